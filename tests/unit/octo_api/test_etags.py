"""If-Match holds a writer to the version it has seen."""

from __future__ import annotations

import pytest

from octo_api.errors import PreconditionFailedError
from octo_api.etags import etag_of, require_match


def test_a_tag_stands_for_content() -> None:
    assert etag_of({"a": 1, "b": 2}) == etag_of({"b": 2, "a": 1})
    assert etag_of({"a": 1}) != etag_of({"a": 2})
    assert etag_of("a", "b") != etag_of("ab")


@pytest.mark.parametrize("header", [None, "*", '"x"', '"a", "x"', ' "x" '])
def test_what_matches(header: str | None) -> None:
    require_match(header, '"x"')


@pytest.mark.parametrize("header", ['"y"', 'W/"x"', "x", '"y","z"'])
def test_what_does_not(header: str) -> None:
    with pytest.raises(PreconditionFailedError):
        require_match(header, '"x"')
