"""JSON schemas of the kinds of others that the chart and its examples make, as far as they use them.

No API server has these before their owners are installed, so they are written here by hand: Prometheus Operator
(monitoring.coreos.com/v1), Gateway API (gateway.networking.k8s.io/v1), External Secrets Operator
(external-secrets.io/v1), CloudNativePG (postgresql.cnpg.io/v1). They were compared once, field by field, with the
owners' own definitions of August 2026: each field, type and required field here is as it is there, where patterns and
lengths are stricter. What the chart and the examples made then was valid there, too. A field that is not here fails,
so whoever uses a new one looks it up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 253}
WORDS: Schema = {"type": "object", "additionalProperties": TEXT}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
SPAN: Schema = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"}
"""As Prometheus writes durations."""
GO_SPAN: Schema = {"type": "string", "pattern": r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
"""As the Gateway API does."""
HOSTNAME: Schema = {"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}


def one_of(*words: str) -> Schema:
    return {"enum": list(words)}


def many(of: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": of, **more}


def fields(*required: str, **known: Schema) -> Schema:
    """An object with these fields and no others; ``_`` at the end is for words of Python."""
    properties = {name.removesuffix("_"): schema for name, schema in known.items()}
    assert set(required) <= set(properties)
    needed: Schema = {"required": list(required)} if required else {}
    return {"type": "object", "additionalProperties": False, "properties": properties, **needed}


def kind(api_version: str, name: str, spec: Schema) -> Schema:
    meta = fields("name", name=NAME, namespace=NAME, labels=WORDS, annotations=WORDS)
    return fields(
        *("apiVersion", "kind", "metadata", "spec"),
        apiVersion=one_of(api_version),
        kind=one_of(name),
        metadata=meta,
        spec=spec,
    )


EXPRESSION = fields(
    *("key", "operator"), key=NAME, operator=one_of("In", "NotIn", "Exists", "DoesNotExist"), values=many(TEXT)
)
SELECTOR = fields(matchLabels=WORDS, matchExpressions=many(EXPRESSION))
SCRAPE = {
    **{"port": NAME, "path": TEXT, "scheme": one_of("http", "https"), "params": {"type": "object"}},
    **{"interval": SPAN, "scrapeTimeout": SPAN, "honorLabels": {"type": "boolean"}},
}
WHERE = {"selector": SELECTOR, "namespaceSelector": fields(any={"type": "boolean"}, matchNames=many(NAME))}

RULE = fields(
    "expr",
    alert=NAME,
    record=NAME,
    expr={"type": ["string", "integer"]},
    for_=SPAN,
    keep_firing_for=SPAN,
    labels=WORDS,
    annotations=WORDS,
)
GROUP = fields("name", name=NAME, interval=SPAN, rules=many(RULE))

REFERENCE = {"group": TEXT, "kind": NAME, "name": NAME, "namespace": NAME}
LISTENER = fields(
    *("name", "port", "protocol"),
    name=NAME,
    hostname=HOSTNAME,
    port=PORT,
    protocol=one_of("HTTP", "HTTPS", "TLS", "TCP", "UDP"),
    tls=fields(mode=one_of("Terminate", "Passthrough"), certificateRefs=many(fields("name", **REFERENCE))),
    allowedRoutes=fields(
        namespaces=fields(from_=one_of("All", "Selector", "Same"), selector=SELECTOR),
        kinds=many(fields("kind", group=TEXT, kind=NAME)),
    ),
)
PATH = fields(type=one_of("Exact", "PathPrefix", "RegularExpression"), value={"type": "string", "pattern": "^/"})
BACKEND = fields("name", **REFERENCE, port=PORT, weight={"type": "integer", "minimum": 0, "maximum": 1_000_000})
ROUTE = fields(
    name=NAME,
    matches=many(fields(path=PATH)),
    backendRefs=many(BACKEND),
    timeouts=fields(request=GO_SPAN, backendRequest=GO_SPAN),
)

REMOTE = fields("key", key=NAME, property=NAME, version=NAME)
STORE = fields(name=NAME, kind=one_of("SecretStore", "ClusterSecretStore"))

KEY_OF = fields("name", "key", name=NAME, key=NAME)
QUANTITY: Schema = {"type": ["string", "integer"], "pattern": r"^[0-9.]+([EPTGMk]i?|m)?$"}
QUANTITIES: Schema = {"type": "object", "additionalProperties": QUANTITY}
COUNT: Schema = {"type": "integer", "minimum": 0}
BARMAN = fields(
    "destinationPath",
    destinationPath=NAME,
    endpointURL=TEXT,
    s3Credentials=fields(accessKeyId=KEY_OF, secretAccessKey=KEY_OF, region=KEY_OF),
)

MONITORING, GATEWAY, CNPG = "monitoring.coreos.com/v1", "gateway.networking.k8s.io/v1", "postgresql.cnpg.io/v1"
SCHEMAS: dict[tuple[str, str], Schema] = {
    (MONITORING, "ServiceMonitor"): fields(
        *("selector", "endpoints"), **WHERE, jobLabel=TEXT, endpoints=many(fields(**SCRAPE))
    ),
    (MONITORING, "PodMonitor"): fields("selector", **WHERE, jobLabel=TEXT, podMetricsEndpoints=many(fields(**SCRAPE))),
    (MONITORING, "PrometheusRule"): fields(groups=many(GROUP)),
    (GATEWAY, "Gateway"): fields(
        *("gatewayClassName", "listeners"), gatewayClassName=NAME, listeners=many(LISTENER, minItems=1)
    ),
    (GATEWAY, "HTTPRoute"): fields(
        hostnames=many(HOSTNAME),
        parentRefs=many(fields("name", **REFERENCE, sectionName=NAME, port=PORT)),
        rules=many(ROUTE),
    ),
    ("external-secrets.io/v1", "ExternalSecret"): fields(
        refreshInterval=GO_SPAN,
        secretStoreRef=STORE,
        target=fields(name=NAME, creationPolicy=one_of("Owner", "Orphan", "Merge", "None")),
        data=many(fields(*("secretKey", "remoteRef"), secretKey=NAME, remoteRef=REMOTE)),
    ),
    (CNPG, "Cluster"): fields(
        "instances",
        instances={"type": "integer", "minimum": 1},
        minSyncReplicas=COUNT,
        maxSyncReplicas=COUNT,
        bootstrap=fields(initdb=fields(database=NAME, owner=NAME, secret=fields("name", name=NAME))),
        storage=fields(size=QUANTITY, storageClass=NAME),
        resources=fields(requests=QUANTITIES, limits=QUANTITIES),
        postgresql=fields(parameters=WORDS),
        backup=fields(barmanObjectStore=BARMAN, retentionPolicy={"type": "string", "pattern": "^[1-9][0-9]*[dwm]$"}),
    ),
    (CNPG, "ScheduledBackup"): fields(
        *("schedule", "cluster"),
        # Six words, seconds first.
        schedule={"type": "string", "pattern": r"^\S+( \S+){5}$"},
        cluster=fields("name", name=NAME),
    ),
}


def write(folder: Path) -> None:
    """Put them where, and under the names under which, kubeconform looks for them."""
    for (api_version, name), spec in SCHEMAS.items():
        group, _, version = api_version.partition("/")
        file = folder / f"{name.lower()}-{group.split('.')[0]}-{version}.json"
        file.write_text(json.dumps(kind(api_version, name, spec)))
