"""The kinds that are read and written, as plain documents."""

from __future__ import annotations

from lightkube.generic_resource import GenericNamespacedResource, create_api_info

from octo_core.domain.names import GROUP, VERSION


class OctoJob(GenericNamespacedResource):
    """A run."""

    _api_info = create_api_info(GROUP, VERSION, "OctoJob", "octojobs")


class OctoProvider(GenericNamespacedResource):
    """What can be run."""

    _api_info = create_api_info(GROUP, VERSION, "OctoProvider", "octoproviders")


class Pod(GenericNamespacedResource):
    """Where a run does its work."""

    _api_info = create_api_info("", "v1", "Pod", "pods")


class Event(GenericNamespacedResource):
    """What the cluster says of a thing."""

    _api_info = create_api_info("", "v1", "Event", "events")
