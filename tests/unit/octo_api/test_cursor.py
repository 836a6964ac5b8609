"""Signed cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_api.cursor import CursorCodec, InvalidCursorError

CODEC = CursorCodec("k" * 32)
OF = {"list": "files", "job": "u"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, TEXT)
def test_a_cursor_leads_back_to_its_position(path: str, member: str) -> None:
    assert CODEC.decode(CODEC.encode((path, member), of=OF), of=OF) == (path, member)


@given(st.text())
def test_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        CODEC.decode(text, of=OF)


@given(st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_spoils_it(place: int, change: int) -> None:
    cursor = bytearray(CODEC.encode(("a", "b"), of=OF).encode())
    cursor[place % len(cursor)] ^= change
    with pytest.raises(InvalidCursorError):
        CODEC.decode(cursor.decode("latin-1"), of=OF)


def test_it_is_bound_to_its_list_and_its_server() -> None:
    cursor = CODEC.encode(("a", "b"), of=OF)
    with pytest.raises(InvalidCursorError):
        CODEC.decode(cursor, of={**OF, "job": "v"})
    with pytest.raises(InvalidCursorError):
        CursorCodec("l" * 32).decode(cursor, of=OF)
