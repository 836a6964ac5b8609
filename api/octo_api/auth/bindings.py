"""What the configuration lets identities do, as role bindings do in Kubernetes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import AfterValidator, Field, WithJsonSchema

from octo_api.auth.caller import ANY, Scope
from octo_api.auth.identity import Identity
from octo_core.domain.model import Model


def _known(scope: str) -> str:
    if scope not in SCOPE_NAMES:
        raise ValueError(f"no such scope; there are {', '.join(SCOPE_NAMES)}")
    return scope


SCOPE_NAMES = (ANY, *(str(scope) for scope in Scope))
ScopeName = Annotated[str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(SCOPE_NAMES)})]
NamespaceName = Annotated[str, Field(max_length=63, pattern=r"^(\*|[a-z0-9]([a-z0-9-]*[a-z0-9])?)$")]


class Binding(Model):
    """Lets users and members of groups do something in some namespaces."""

    users: tuple[str, ...] = Field(
        default=(), description="User names, such as `system:serviceaccount:ci:deployer` or `oidc:ann@example.com`."
    )
    groups: tuple[str, ...] = Field(default=(), description="Such as `system:serviceaccounts:ci` or `oidc:operators`.")
    scopes: tuple[ScopeName, ...] = Field(min_length=1)
    namespaces: tuple[NamespaceName, ...] = Field(default=(ANY,), min_length=1)

    def fits(self, identity: Identity) -> bool:
        """Whether it speaks of this identity."""
        return identity.username in self.users or not identity.groups.isdisjoint(self.groups)


class Rights(Protocol):
    """Decides what an identity may do."""

    async def namespaces(self, identity: Identity, scope: str) -> frozenset[str]:
        """Where the identity has the scope; ``*`` stands for everywhere, and as a scope for all scopes."""
        ...


class BindingRights:
    """Decides by bindings."""

    def __init__(self, bindings: Sequence[Binding]) -> None:
        self._bindings = tuple(bindings)

    async def namespaces(self, identity: Identity, scope: str) -> frozenset[str]:
        """See ``Rights``."""
        fitting = (
            binding
            for binding in self._bindings
            if (ANY in binding.scopes or scope in binding.scopes) and binding.fits(identity)
        )
        return frozenset(namespace for binding in fitting for namespace in binding.namespaces)
