"""One client of the Kubernetes API for a whole process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlencode
from urllib.request import getproxies

import aiohttp
import orjson
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from octo_core.domain.errors import ClusterUnavailableError
from octo_core.domain.model import rfc3339
from octo_core.kube.errors import error_of
from octo_core.kube.lines import lines
from octo_core.kube.resources import PODS, Resource

Raw = dict[str, Any]
PatchType = Literal["merge", "json", "apply"]
Propagation = Literal["Foreground", "Background", "Orphan"]

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""Asks for a watch in which objects come without spec and status."""
WATCH_SECONDS = 600
WATCH_SILENCE_SECONDS = 75.0
"""The API server sends a bookmark a minute; without a byte for longer than that, a stream is dead."""

_BUFFER = 1 << 21
"""Bytes of an answer that are read ahead; a line of a watch is longer than aiohttp would have it."""
_CONTENT_TYPES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class KubeClient:
    """Raw objects in, raw objects out; every call has a timeout.

    Raises ``ClusterUnavailableError`` when there is no answer, or one that asks to try again, and else
    the error of ``kube.errors`` that fits the answer. ``fence`` is called right before each write is sent; what it
    raises comes through, and the write is not sent.
    """

    def __init__(
        self, configuration: Configuration, *, timeout: float = 30.0, fence: Callable[[], None] = lambda: None
    ) -> None:
        self._configuration = configuration
        self._settings = RESTClientObject(configuration)
        self._session: aiohttp.ClientSession | None = None
        self._options: dict[str, Any] = {"proxy": configuration.proxy, "proxy_headers": configuration.proxy_headers}
        if configuration.tls_server_name:
            self._options["server_hostname"] = configuration.tls_server_name
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._fence = fence

    @classmethod
    async def connect(
        cls, kubeconfig: str | None = None, *, timeout: float = 30.0, fence: Callable[[], None] = lambda: None
    ) -> Self:
        """A client for the cluster of ``kubeconfig`` (a path), else of the pod it runs in, else of the
        user's default kubeconfig. Raises ClusterUnavailableError when none of them can be read."""
        configuration = Configuration()
        configuration.connection_pool_maxsize = 100
        try:
            if kubeconfig is None:
                try:
                    config.load_incluster_config(client_configuration=configuration)
                except config.ConfigException:
                    await config.load_kube_config(client_configuration=configuration)
            else:
                await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        except (config.ConfigException, OSError) as error:
            raise ClusterUnavailableError(f"no usable Kubernetes configuration: {error}") from error
        return cls(configuration, timeout=timeout, fence=fence)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Raw:
        """One object."""
        return await self._request("GET", resource.path(namespace, name))

    async def list_page(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        continue_token: str = "",
    ) -> Raw:
        """One page of a list: the raw List with its ``metadata.resourceVersion`` and ``continue``."""
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": str(limit),
            "continue": continue_token,
        }
        return await self._request("GET", resource.path(namespace), query=query)

    async def items(
        self, resource: Resource, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[Raw]:
        """All objects, page by page. Raises GoneError if the list expired under way."""
        token = ""
        while True:
            page = await self.list_page(
                resource,
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                continue_token=token,
            )
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        since: int,
        label_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[tuple[str, Raw]]:
        """What changes after the resourceVersion ``since``: ADDED, MODIFIED, DELETED with the object, and BOOKMARK with
        no more than its resourceVersion. Ends when the API server ends it, as it does every few minutes.

        Raises GoneError if ``since`` is too old: list again."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(since),
            "timeoutSeconds": str(WATCH_SECONDS),
            "labelSelector": label_selector,
        }
        response = await self._answer(
            "GET",
            resource.path(namespace),
            query=query,
            accept=METADATA_ONLY if metadata_only else "application/json",
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_SILENCE_SECONDS),
        )
        try:
            async for line in lines(response.content.iter_any()):
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise error_of(int(event["object"].get("code", 500)), event["object"])
                yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ClusterUnavailableError(f"the watch broke: {type(error).__name__}") from error
        finally:
            response.close()

    async def create(self, resource: Resource, namespace: str | None, body: Raw, *, dry_run: bool = False) -> Raw:
        """Create; raises AlreadyExistsError if the name is taken, InvalidError for an unknown field too."""
        query = {"fieldValidation": "Strict", "dryRun": "All" if dry_run else ""}
        return await self._request("POST", resource.path(namespace), query=query, body=body)

    async def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Raw, *, dry_run: bool = False
    ) -> Raw:
        """Write the whole object; raises ConflictError if its ``metadata.resourceVersion`` is not the newest any
        more, InvalidError for an unknown field too."""
        query = {"fieldValidation": "Strict", "dryRun": "All" if dry_run else ""}
        return await self._request("PUT", resource.path(namespace, name), query=query, body=body)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Raw | list[Raw],
        *,
        kind: PatchType = "merge",
        subresource: str | None = None,
        field_manager: str | None = None,
    ) -> Raw:
        """Patch; a ``metadata.resourceVersion`` in a merge patch makes it conditional (ConflictError)."""
        query = {"fieldManager": field_manager or "", "force": "true" if kind == "apply" else ""}
        return await self._request(
            "PATCH",
            resource.path(namespace, name, subresource),
            query=query,
            body=body,
            content_type=_CONTENT_TYPES[kind],
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation | None = None,
        grace_period_seconds: int | None = None,
    ) -> None:
        """Ask for deletion; with ``uid`` only of that very object, with ``resource_version`` only as it was then
        (ConflictError if it is another)."""
        body: Raw = {"apiVersion": "v1", "kind": "DeleteOptions"}
        given = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in given.items() if value is not None}
        if preconditions:
            body["preconditions"] = preconditions
        if propagation is not None:
            body["propagationPolicy"] = propagation
        if grace_period_seconds is not None:
            body["gracePeriodSeconds"] = grace_period_seconds
        await self._request("DELETE", resource.path(namespace, name), body=body)

    async def pod_log(
        self,
        namespace: str,
        name: str,
        *,
        container: str,
        limit_bytes: int,
        tail_lines: int | None = None,
        timestamps: bool = False,
        since: datetime | None = None,
    ) -> str:
        """As ``pod_log_bytes``, as text."""
        raw = await self.pod_log_bytes(
            namespace,
            name,
            container=container,
            limit_bytes=limit_bytes,
            tail_lines=tail_lines,
            timestamps=timestamps,
            since=since,
        )
        return raw.decode(errors="replace")

    async def pod_log_bytes(
        self,
        namespace: str,
        name: str,
        *,
        container: str,
        limit_bytes: int,
        tail_lines: int | None = None,
        timestamps: bool = False,
        since: datetime | None = None,
    ) -> bytes:
        """A container's log from its beginning, from ``since`` (whole seconds), or its last lines; of that, the first
        ``limit_bytes``.

        Raises InvalidError if it has none yet, NotFoundError if the pod is gone, ClusterUnavailableError if its
        node does not answer."""
        query = {
            "container": container,
            "limitBytes": str(limit_bytes),
            "tailLines": "" if tail_lines is None else str(tail_lines),
            "timestamps": "true" if timestamps else "",
            "sinceTime": "" if since is None else rfc3339(since),
        }
        return await self._send("GET", PODS.path(namespace, name, "log"), query=query)

    async def ready(self) -> None:
        """Return if the API server answers its version; raise ClusterUnavailableError if not."""
        await self._request("GET", "/version")

    def _connections(self) -> aiohttp.ClientSession:
        """Ours, and not those of the library's own client, which spends more on a request than this does."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._settings.maxsize, ssl=self._settings.ssl_context),
                # Looking for a proxy and a .netrc costs more than all the rest of a request.
                trust_env=bool(getproxies()),
                read_bufsize=_BUFFER,
            )
        return self._session

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Raw | list[Raw] | None = None,
        content_type: str = "application/json",
    ) -> Raw:
        payload = await self._send(method, path, query=query, body=body, content_type=content_type)
        return _parsed(payload)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Raw | list[Raw] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        response = await self._answer(method, path, query=query, body=body, content_type=content_type)
        return await _payload(response)

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Raw | list[Raw] | None = None,
        accept: str = "application/json",
        content_type: str = "application/json",
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        """The answer before its body is read; raises the error that it stands for."""
        url = self._configuration.host + path
        given = {key: value for key, value in (query or {}).items() if value}
        if given:
            url = f"{url}?{urlencode(given)}"
        headers = {"Accept": accept, "Content-Type": content_type}
        # It may have to be read again, or asked of a program.
        token = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token is not None:
            headers["Authorization"] = token
        if method != "GET":
            self._fence()
        try:
            response = await self._connections().request(
                method,
                url,
                headers=headers,
                data=None if body is None else orjson.dumps(body),
                timeout=timeout or self._timeout,
                **self._options,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unanswered(error) from error
        if response.status >= 400:
            raise error_of(response.status, _parsed(await _payload(response)))
        return response


async def _payload(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unanswered(error) from error


def _unanswered(error: Exception) -> ClusterUnavailableError:
    return ClusterUnavailableError(f"the Kubernetes API did not answer: {type(error).__name__}")


def _parsed(payload: bytes) -> Raw:
    try:
        answer: Raw = orjson.loads(payload)
    except ValueError:
        return {"message": payload[:200].decode(errors="replace")}
    return answer
