"""What an operator of a cluster relies on in the chart."""

from __future__ import annotations

import base64
import copy
import json
import re

import pytest

from octo_controller.rivals import lease_name
from octo_core.domain.partitions import MAX_SHARDS, Share
from tests.unit.charts.rendering import (
    CHART,
    EMBEDDED,
    EXTERNAL,
    REPO,
    Object,
    RenderError,
    containers,
    helm,
    of_kind,
    pods,
    render,
)
from tests.unit.charts.restricted import violations


@pytest.fixture(scope="module")
def embedded() -> list[Object]:
    return render(*EMBEDDED)


@pytest.fixture(scope="module")
def external() -> list[Object]:
    return render(*EXTERNAL)


def secret(objects: list[Object], name: str, key: str) -> str:
    return base64.b64decode(of_kind(objects, "Secret")[name]["data"][key]).decode()


def test_lint() -> None:
    helm("lint", "--strict", str(CHART), "--set", EMBEDDED[0])


def test_the_crds_are_the_ones_made_from_the_models() -> None:
    made = {path.name: path.read_bytes() for path in (REPO / "crds").glob("*.yaml")}
    assert made, "no CRDs"
    assert {path.name: path.read_bytes() for path in (CHART / "crds").iterdir()} == made, "run `make crds`"


def test_names_of_a_release_called_octo(embedded: list[Object]) -> None:
    assert set(of_kind(embedded, "Deployment")) == {"octo-api", "octo-controller"}
    assert set(of_kind(embedded, "ServiceAccount")) == {
        "octo-api",
        "octo-controller",
        "octo-crds",
        "octo-worker",
    }
    assert set(of_kind(embedded, "Service")) == {"octo-api", "octo-postgres"}
    assert set(of_kind(embedded, "StatefulSet")) == {"octo-postgres"}


def test_two_releases_share_no_name() -> None:
    ours, theirs = (
        {(found["kind"], found["metadata"]["name"]) for found in render(*EMBEDDED, release=release)}
        for release in ("octo", "other")
    )
    assert not ours & theirs


# ---- pods ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [EMBEDDED, EXTERNAL], ids=["embedded", "external"])
def test_every_pod_is_restricted(values: tuple[str, ...]) -> None:
    found = {name: violations(pod) for name, pod in pods(render(*values))}
    assert len(found) >= 3
    assert not any(found.values()), found


def test_the_checker_finds_what_is_wrong(embedded: list[Object]) -> None:
    pod = copy.deepcopy(dict(pods(embedded))["Deployment/octo-api"])
    pod["hostNetwork"] = True
    pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    pod["containers"][0]["securityContext"]["capabilities"] = {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert violations(pod) == ["hostNetwork", "volume host", "api: capabilities"]


def test_every_server_has_probes(embedded: list[Object]) -> None:
    for name, pod in pods(embedded):
        if not name.startswith("Job/"):
            assert {"startupProbe", "readinessProbe"} <= set(pod["containers"][0]), name


def test_secrets_come_as_files_only(embedded: list[Object], external: list[Object]) -> None:
    for objects in (embedded, external):
        secrets = {
            base64.b64decode(v).decode() for s in of_kind(objects, "Secret").values() for v in s["data"].values()
        }
        others = json.dumps([found for found in objects if found["kind"] != "Secret"])
        assert not [value for value in (*secrets, "hidden-word") if value in others]
        for _, pod in pods(objects):
            for container in containers(pod):
                assert "envFrom" not in container
                sources = [variable["valueFrom"] for variable in container.get("env", []) if "valueFrom" in variable]
                assert all(set(source) == {"fieldRef"} for source in sources)


def test_files_that_the_processes_read(embedded: list[Object]) -> None:
    def paths(pod: Object) -> set[str]:
        volume = next(volume for volume in pod["volumes"] if volume["name"] == "secrets")
        sources = (
            [part["secret"] for part in volume["projected"]["sources"]] if "projected" in volume else [volume["secret"]]
        )
        return {item["path"] for source in sources for item in source["items"]}

    found = dict(pods(embedded))
    assert paths(found["Deployment/octo-api"]) == {
        "octo_database_url",
        "octo_api_key_pepper",
        "octo_token_signing_key",
        "octo_webhook_signing_key",
        "octo_webhook_signing_key_previous",
        "octo_bootstrap_api_key",
    }
    assert paths(found["Deployment/octo-controller"]) == {"octo_database_url"}
    assert paths(found["Job/octo-migrate-1"]) == {"octo_database_url"}


def test_the_namespace_has_as_many_active_runs_as_values_say() -> None:
    objects = render(*EMBEDDED, "controller.maxActiveRuns=40")
    env = dict(pods(objects))["Deployment/octo-controller"]["containers"][0]["env"]
    assert {v["name"]: v.get("value") for v in env}["OCTO_MAX_ACTIVE_RUNS"] == "40"


def test_the_controller_is_told_of_worker_and_api() -> None:
    objects = render(*EMBEDDED, "image.registry=registry.example/team", "image.tag=1.2", "worker.image.tag=1.3")
    environment = {
        v["name"]: v["value"]
        for v in dict(pods(objects))["Deployment/octo-controller"]["containers"][0]["env"]
        if "value" in v
    }
    assert environment == {
        "OCTO_NAMESPACE": "octo",
        "OCTO_LOG_LEVEL": "INFO",
        "OCTO_SECRETS_DIR": "/run/secrets/octo",
        "OCTO_WORKER_IMAGE": "registry.example/team/octo/worker:1.3",
        "OCTO_WORKER_IMAGE_PULL_POLICY": "IfNotPresent",
        "OCTO_WORKER_SERVICE_ACCOUNT": "octo-worker",
        "OCTO_MAX_ACTIVE_RUNS": "0",
        "OCTO_REPORT_URL": "http://octo-api.octo.svc:8080",
        "OCTO_IDENTITY": "$(OCTO_POD_NAME)_$(OCTO_POD_UID)",
        "OCTO_LEASE_NAME": "octo-controller",
        "OCTO_SHARD_INDEX": "0",
        "OCTO_SHARD_COUNT": "1",
        "OCTO_LEASE_DURATION_SECONDS": "15",
        "OCTO_LEASE_RENEW_SECONDS": "10",
        "OCTO_LEASE_RETRY_SECONDS": "2",
    }


def test_a_new_controller_is_ready_before_an_old_one_ends() -> None:
    spec = of_kind(render(*EMBEDDED, "controller.replicas=2"), "Deployment")["octo-controller"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_each_shard_is_a_deployment_whose_pods_are_no_others() -> None:
    deployments = of_kind(render(*EMBEDDED, "controller.shards=3", "controller.replicas=2"), "Deployment")
    shards = {name: found for name, found in deployments.items() if name.startswith("octo-controller")}
    assert sorted(shards) == ["octo-controller-0", "octo-controller-1", "octo-controller-2"]
    selectors = []
    for index, name in enumerate(sorted(shards)):
        spec = shards[name]["spec"]
        assert spec["replicas"] == 2
        selectors.append(spec["selector"]["matchLabels"])
        assert selectors[-1].items() <= spec["template"]["metadata"]["labels"].items()
        env = {v["name"]: v.get("value") for v in spec["template"]["spec"]["containers"][0]["env"]}
        assert (env["OCTO_SHARD_INDEX"], env["OCTO_SHARD_COUNT"]) == (str(index), "3")
        assert env["OCTO_LEASE_NAME"] == "octo-controller"
        assert spec["template"]["spec"]["serviceAccountName"] == "octo-controller"
    assert len({json.dumps(selector) for selector in selectors}) == 3


@pytest.mark.parametrize("shards", [1, 3])
def test_the_controllers_may_change_their_own_leases_only(shards: int) -> None:
    objects = render(*EMBEDDED, f"controller.shards={shards}", release="other")
    rules = of_kind(objects, "Role")["other-octo-controller"]["rules"]
    leases = [rule for rule in rules if "leases" in rule["resources"]]
    names = [lease_name("other-octo-controller", Share(index, MAX_SHARDS)) for index in range(MAX_SHARDS)]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in leases] == [
        (["get", "patch"], names),
        (["create", "list"], None),
    ]


# ---- rights ----------------------------------------------------------------------------------------


def test_no_role_reaches_secrets_or_everything(embedded: list[Object]) -> None:
    roles = [*of_kind(embedded, "Role").values(), *of_kind(embedded, "ClusterRole").values()]
    rules = [rule for role in roles for rule in role["rules"]]
    assert rules
    for rule in rules:
        assert not {"secrets", "*", "pods/exec", "serviceaccounts/token"} & set(rule["resources"])
        assert "*" not in (*rule["verbs"], *rule["apiGroups"])


def test_only_token_reviews_are_the_clusters(embedded: list[Object]) -> None:
    roles, bindings = of_kind(embedded, "ClusterRole"), of_kind(embedded, "ClusterRoleBinding")
    # The latter for the moment of an install or upgrade only; see test_production.py.
    assert set(roles) == set(bindings) == {"octo-octo-tokenreviews", "octo-octo-crds"}
    assert roles["octo-octo-tokenreviews"]["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]
    assert [subject["name"] for subject in bindings["octo-octo-tokenreviews"]["subjects"]] == ["octo-api"]


def test_the_worker_has_no_rights(embedded: list[Object]) -> None:
    bindings = [*of_kind(embedded, "RoleBinding").values(), *of_kind(embedded, "ClusterRoleBinding").values()]
    assert "octo-worker" not in {subject["name"] for binding in bindings for subject in binding["subjects"]}
    assert of_kind(embedded, "ServiceAccount")["octo-worker"]["automountServiceAccountToken"] is False


# ---- secrets ---------------------------------------------------------------------------------------


def test_generated_secrets_have_the_right_form(embedded: list[Object]) -> None:
    assert re.fullmatch("octo_[a-z2-7]{12}_[A-Za-z0-9_-]{43}", secret(embedded, "octo-bootstrap-api-key", "apiKey"))
    assert len(secret(embedded, "octo-auth", "apiKeyPepper")) >= 32
    assert len(secret(embedded, "octo-auth", "tokenSigningKey")) >= 32
    assert len(secret(embedded, "octo-auth", "webhookSigningKey")) >= 32
    assert secret(embedded, "octo-auth", "webhookSigningKey") != secret(embedded, "octo-auth", "apiKeyPepper")
    password = secret(embedded, "octo-postgres", "password")
    assert secret(embedded, "octo-database", "databaseUrl") == (
        f"postgresql://octo:{password}@octo-postgres.octo.svc:5432/octo"
    )


def test_secrets_are_random(embedded: list[Object]) -> None:
    again = render(*EMBEDDED)
    for name, key in (
        ("octo-bootstrap-api-key", "apiKey"),
        ("octo-auth", "apiKeyPepper"),
        ("octo-postgres", "password"),
    ):
        assert secret(embedded, name, key) != secret(again, name, key)


def test_ones_own_secrets() -> None:
    objects = render(
        "database.existingSecret=db", "auth.existingSecret=auth", "auth.bootstrapApiKey.existingSecret=key"
    )
    assert not of_kind(objects, "Secret")
    volumes = dict(pods(objects))["Deployment/octo-api"]["volumes"]
    sources = [source["secret"] for source in volumes[0]["projected"]["sources"]]
    assert [source["name"] for source in sources if not source.get("optional")] == ["db", "auth", "key"]
    # A Secret from before webhooks had a key of their own is enough.
    assert {source["name"] for source in sources if source.get("optional")} == {"auth"}


# ---- Postgres and the migration --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "Octo needs a Postgres"),
        ((*EMBEDDED, *EXTERNAL), "Octo needs one Postgres"),
        ((*EXTERNAL, "database.existingSecret=db"), "Octo needs one Postgres"),
    ],
)
def test_where_postgres_is_has_to_be_said_once(values: tuple[str, ...], message: str) -> None:
    with pytest.raises(RenderError, match=message):
        render(*values)


def test_an_external_database_is_migrated_before_anything_changes(external: list[Object]) -> None:
    job = of_kind(external, "Job")["octo-migrate"]
    url = of_kind(external, "Secret")["octo-migrate-database"]
    for found in (job, url):
        assert found["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert "hook-succeeded" in found["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    assert job["spec"]["ttlSecondsAfterFinished"], "a failed one would outlive the release"
    weights = [int(found["metadata"]["annotations"]["helm.sh/hook-weight"]) for found in (url, job)]
    assert weights == sorted(set(weights))
    assert job["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"] == "octo-migrate-database"
    assert "serviceAccountName" not in job["spec"]["template"]["spec"], "the release's accounts are not there yet"


def test_ones_own_database_secret_is_there_before_the_hook() -> None:
    objects = render("database.existingSecret=db")
    assert "octo-migrate-database" not in of_kind(objects, "Secret")
    job = of_kind(objects, "Job")["octo-migrate"]
    assert job["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"] == "db"


def test_the_embedded_postgres_is_migrated_within_the_release(embedded: list[Object]) -> None:
    job = of_kind(embedded, "Job")["octo-migrate-1"]
    assert "annotations" not in job["metadata"]
    assert "octo-migrate-database" not in of_kind(embedded, "Secret")


def test_the_embedded_postgres_leaves_nothing_unless_told(embedded: list[Object]) -> None:
    def policy(objects: list[Object]) -> str:
        spec = of_kind(objects, "StatefulSet")["octo-postgres"]["spec"]
        return str(spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"])

    assert policy(embedded) == "Delete"
    assert policy(render(*EMBEDDED, "postgres.embedded.persistence.whenDeleted=Retain")) == "Retain"
    assert not [found for found in embedded if "helm.sh/resource-policy" in found["metadata"].get("annotations", {})]
    bare = render(*EMBEDDED, "postgres.embedded.persistence.enabled=false")
    assert "volumeClaimTemplates" not in of_kind(bare, "StatefulSet")["octo-postgres"]["spec"]


# ---- network ---------------------------------------------------------------------------------------


def test_every_pod_is_under_the_default_deny(embedded: list[Object]) -> None:
    deny = of_kind(embedded, "NetworkPolicy")["octo-default-deny"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    wanted = deny["podSelector"]["matchLabels"].items()
    for found in embedded:
        if template := found.get("spec", {}).get("template"):
            assert wanted <= template["metadata"]["labels"].items()


def test_only_octo_reaches_postgres_and_nobody_a_run(embedded: list[Object]) -> None:
    policies = of_kind(embedded, "NetworkPolicy")
    (rule,) = policies["octo-postgres"]["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchExpressions"][0]["values"] == ["api", "controller", "migrate"]
    assert "ingress" not in policies["octo-worker"]["spec"]


def test_where_runs_may_go() -> None:
    def last(*values: str) -> Object:
        rules: list[Object] = of_kind(render(*EMBEDDED, *values), "NetworkPolicy")["octo-worker"]["spec"]["egress"]
        return rules[-1]

    assert last() == {}
    assert last("networkPolicy.worker.egressPorts={22,443}") == {
        "ports": [{"protocol": "TCP", "port": 22}, {"protocol": "TCP", "port": 443}]
    }


def test_without_network_policies() -> None:
    assert not of_kind(render(*EMBEDDED, "networkPolicy.enabled=false"), "NetworkPolicy")


# ---- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "api.replicas=many",
        "api.replica=2",
        "controller.replicas=-1",
        "controller.shards=0",
        "controller.shards=17",
        "controller.lease.durationSeconds=0",
        "logLevel=LOUD",
        "image.pullPolicy=Sometimes",
        "database.url=mysql://x",
        "networkPolicy.dnsPorts={70000}",
        "postgres.embedded.persistence.whenDeleted=Maybe",
        "api.extraEnv[0].name=OCTO_DATABASE_URL,api.extraEnv[0].value=x",
    ],
)
def test_wrong_values_are_refused(value: str) -> None:
    with pytest.raises(RenderError, match=r"schema|specification"):
        render(*EMBEDDED, value)


def test_the_schema_knows_every_value() -> None:
    render(*EMBEDDED, args=("--values", str(CHART / "values.yaml")))
