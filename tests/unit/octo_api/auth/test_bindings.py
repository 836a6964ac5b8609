"""What bindings let identities do."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from octo_api.auth.bindings import Binding, BindingRights
from octo_api.auth.identity import Identity

ANN = Identity("oidc:ann", frozenset({"oidc:operators"}))
BOB = Identity("system:serviceaccount:ci:bob", frozenset({"system:serviceaccounts"}))


async def test_rights_are_the_sum_of_what_fits() -> None:
    rights = BindingRights(
        [
            Binding.model_validate({"groups": ["oidc:operators"], "scopes": ["jobs:read"], "namespaces": ["a"]}),
            Binding.model_validate({"users": ["oidc:ann"], "scopes": ["jobs:create"], "namespaces": ["b"]}),
            Binding.model_validate({"users": [BOB.username], "scopes": ["*"]}),
        ]
    )
    # Each scope in its own namespaces: two narrow bindings do not add up to a wide one.
    assert await rights.namespaces(ANN, "jobs:read") == {"a"}
    assert await rights.namespaces(ANN, "jobs:create") == {"b"}
    assert await rights.namespaces(ANN, "jobs:delete") == frozenset()
    assert await rights.namespaces(ANN, "*") == frozenset()
    assert await rights.namespaces(BOB, "jobs:delete") == {"*"}
    assert await rights.namespaces(BOB, "*") == {"*"}
    assert await rights.namespaces(Identity("oidc:eve", frozenset()), "jobs:read") == frozenset()


@pytest.mark.parametrize(
    "wrong", [{"scopes": []}, {"scopes": ["jobs:all"]}, {"scopes": ["*"], "namespaces": ["A"]}, {"scope": ["*"]}]
)
def test_a_malformed_binding_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Binding.model_validate({"users": ["x"], **wrong})
