"""OctoProviders, read from Kubernetes."""

from __future__ import annotations

from octo_api.errors import CursorExpiredError, ProviderNotFoundError, acting_on_cluster
from octo_core.crd.resources import Raw
from octo_core.domain.errors import NotFoundError
from octo_core.kube.client import KubeClient
from octo_core.kube.errors import GoneError
from octo_core.kube.resources import OCTOPROVIDERS


class ProviderService:
    """What can be asked of providers."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def get(self, namespace: str, name: str) -> Raw:
        """One provider. Raises ProviderNotFoundError or ClusterUnavailableError."""
        try:
            with acting_on_cluster():
                return await self._kube.get(OCTOPROVIDERS, namespace, name)
        except NotFoundError as error:
            raise ProviderNotFoundError(f"there is no provider {name} in namespace {namespace}") from error

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
