"""OctoProviders, kept by Kubernetes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from octo_api.audit.intents import Intents, change_between, of_object
from octo_api.errors import ContendedError, CursorExpiredError, ProviderNotFoundError, acting_on_cluster
from octo_api.etags import require_match
from octo_api.providers.schemas import provider_etag
from octo_core.crd.resources import Raw
from octo_core.domain.errors import AlreadyExistsError, ConflictError, InvalidError, NotFoundError
from octo_core.kube.client import KubeClient
from octo_core.kube.errors import GoneError
from octo_core.kube.resources import OCTOPROVIDERS

_TRIES = 5


class ProviderService:
    """What can be done with providers. Who may do it has been decided before."""

    def __init__(self, kube: KubeClient, *, intents: Intents) -> None:
        self._kube = kube
        self._intents = intents

    async def get(self, namespace: str, name: str) -> Raw:
        """One provider. Raises ProviderNotFoundError or ClusterUnavailableError."""
        try:
            with acting_on_cluster():
                return await self._kube.get(OCTOPROVIDERS, namespace, name)
        except NotFoundError as error:
            raise _not_found(namespace, name) from error

    async def page(self, namespace: str, *, after: str, limit: int) -> tuple[list[Raw], str]:
        """Providers by name, and where the next page begins (empty on the last).

        Raises CursorExpiredError when ``after`` is too old, or ClusterUnavailableError.
        """
        try:
            with acting_on_cluster():
                found = await self._kube.list_page(OCTOPROVIDERS, namespace, limit=limit, continue_token=after)
        except GoneError as error:
            raise CursorExpiredError("the cursor is too old; list again from the start") from error
        return found["items"], found["metadata"].get("continue", "")

    async def create(self, namespace: str, provider: Raw, *, dry_run: bool) -> Raw:
        """Make a provider. Raises AlreadyExistsError, InvalidError with the fields, or ClusterUnavailableError."""
        name = provider["metadata"]["name"]
        if not dry_run:
            await self._announce("created", namespace, name, change={"spec": provider["spec"]})
        try:
            with acting_on_cluster():
                return await self._kube.create(OCTOPROVIDERS, namespace, provider, dry_run=dry_run)
        except AlreadyExistsError as error:
            raise AlreadyExistsError(f"there is a provider {name} in namespace {namespace} already") from error
        except NotFoundError as error:
            raise InvalidError(f"there is no namespace {namespace}", field="/namespace") from error
        except InvalidError as error:
            raise _as_sent(error) from error

    async def change(
        self, namespace: str, name: str, edit: Callable[[Raw], Raw], *, if_match: str | None, dry_run: bool = False
    ) -> Raw:
        """Write what ``edit`` makes of the provider as it is; asked again if somebody else wrote in between.

        Raises what ``edit`` raises, PreconditionFailedError, ProviderNotFoundError, InvalidError with the fields,
        or ClusterUnavailableError.
        """
        for _ in range(_TRIES):
            current = await self.get(namespace, name)
            require_match(if_match, provider_etag(current))
            wanted = edit(current)
            if wanted == current:
                return current
            if not dry_run:
                await self._announce(
                    "changed",
                    namespace,
                    name,
                    uid=current["metadata"]["uid"],
                    resourceVersion=current["metadata"]["resourceVersion"],
                    change=change_between(current, wanted),
                )
            try:
                with acting_on_cluster():
                    return await self._kube.replace(OCTOPROVIDERS, namespace, name, wanted, dry_run=dry_run)
            except ConflictError:
                continue
            except NotFoundError as error:
                raise _not_found(namespace, name) from error
            except InvalidError as error:
                raise _as_sent(error) from error
        raise ContendedError("The OctoProvider changes too fast; try again.")

    async def delete(self, namespace: str, name: str, *, if_match: str | None) -> None:
        """Delete the provider; its runs and their history stay.

        Raises PreconditionFailedError, ProviderNotFoundError, or ClusterUnavailableError.
        """
        for _ in range(_TRIES):
            current = await self.get(namespace, name)
            require_match(if_match, provider_etag(current))
            meta = current["metadata"]
            await self._announce("deleted", namespace, name, uid=meta["uid"])
            try:
                with acting_on_cluster():
                    await self._kube.delete(
                        OCTOPROVIDERS,
                        namespace,
                        name,
                        uid=meta["uid"],
                        resource_version=meta["resourceVersion"] if if_match is not None else None,
                    )
            except ConflictError:
                continue
            except NotFoundError as error:
                raise _not_found(namespace, name) from error
            return
        raise ContendedError("The OctoProvider changes too fast; try again.")

    async def _announce(self, kind: str, namespace: str, name: str, **more: Any) -> None:
        probe = of_object(kind, OCTOPROVIDERS, namespace, name, **more)
        await self._intents.note(probe, resource=name, namespace=namespace)


def _not_found(namespace: str, name: str) -> ProviderNotFoundError:
    return ProviderNotFoundError(f"there is no provider {name} in namespace {namespace}")


def _as_sent(error: InvalidError) -> InvalidError:
    """The API server's verdict on an OctoProvider, with pointers into the document that the client sent."""
    fields = [(where.removeprefix("/metadata") if where != "/metadata" else "", why) for where, why in error.fields]
    detail = "The cluster does not take the provider; see errors." if fields else error.detail
    return InvalidError(detail, fields=fields)
