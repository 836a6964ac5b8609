"""The Job of an attempt: what Pod Security, the worker and the design ask of it."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from octo_controller.reconcile.manifest import PodSettings, child_job
from octo_core.domain import names
from octo_core.domain.run import MEMORY_DIR, RUN_FILE, SECRETS_DIR, TOKEN_FILE, Run
from tests.unit.octo_controller.builders import job, provider

PODS = PodSettings(image="worker:1", report_url="http://api")
SFTP = {
    "source": {"sftp": {"host": "h", "username": "u", "credentialsSecretRef": {"name": "sftp-1"}, "hostKeys": ["k"]}},
    "destination": {"s3": {"bucket": "landing", "credentialsSecretRef": {"name": "s3-1"}}},
    "decrypt": {
        "openpgp": {
            "keySecretRef": {"name": "pgp-1", "key": "private.asc"},
            "passphraseSecretRef": {"name": "pgp-2", "key": "words"},
        }
    },
}


def made(spec: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The Job of the second attempt."""
    return child_job(job(**options), provider(**(spec or SFTP)), 2, PODS)


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return spec


def volume_at(manifest: dict[str, Any], path: str) -> dict[str, Any]:
    pod = pod_of(manifest)
    mount = next(m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == path)
    return next(v for v in pod["volumes"] if v["name"] == mount["name"])


def test_name_owner_and_labels() -> None:
    manifest = made()
    meta = manifest["metadata"]
    assert meta["name"] == "run-2"
    assert meta["ownerReferences"] == [
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoJob",
            "name": "run",
            "uid": "uid-run",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert meta["labels"] == {
        names.LABEL_JOB: "run",
        names.LABEL_JOB_UID: "uid-run",
        names.LABEL_ATTEMPT: "2",
        names.LABEL_PROVIDER: "bank",
        names.LABEL_MANAGED_BY: "octo",
        names.LABEL_PARTITION: "30",
    }
    of_pods = {key: value for key, value in meta["labels"].items() if key != names.LABEL_PARTITION}
    assert manifest["spec"]["template"]["metadata"]["labels"] == of_pods


def test_a_job_for_kueue_carries_its_label_and_is_held_until_kueue_lets_it_go() -> None:
    manifest = made(queueName="night")
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "night"
    assert manifest["spec"]["suspend"] is True
    assert "kueue.x-k8s.io/queue-name" not in manifest["spec"]["template"]["metadata"]["labels"]
    assert not {"kueue.x-k8s.io/queue-name", "suspend"} & {*made()["metadata"]["labels"], *made()["spec"]}


def test_an_attempt_has_the_shorter_of_its_own_time_and_the_runs() -> None:
    assert made()["spec"]["activeDeadlineSeconds"] == 21_600
    assert made(activeDeadlineSeconds=80, attemptDeadlineSeconds=50)["spec"]["activeDeadlineSeconds"] == 50
    assert made(activeDeadlineSeconds=80)["spec"]["activeDeadlineSeconds"] == 80


def test_workers_that_share_a_run_are_an_indexed_job_in_which_each_goes_to_its_end() -> None:
    one, spec = made()["spec"], made(transfer={"parallelism": 3})["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (0, 3)
    assert "backoffLimit" not in spec, "a failure of one would end the others"
    changed = {"completionMode", "completions", "parallelism", "backoffLimitPerIndex", "maxFailedIndexes", "template"}
    assert {key for key in spec.keys() | one.keys() if spec.get(key) != one.get(key)} == changed | {"backoffLimit"}
    text = spec["template"]["metadata"]["annotations"][names.ANNOTATION_RUN]
    assert Run.model_validate_json(text).transfer.parallelism == 3


def test_a_dry_run_needs_one_worker() -> None:
    manifest = made(transfer={"parallelism": 3}, selection={"dryRun": True})
    assert manifest["spec"]["completions"] == 1
    assert "completionMode" not in manifest["spec"]
    run = Run.model_validate_json(manifest["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_RUN])
    assert run.transfer.parallelism == 1


@pytest.mark.parametrize("spec", [SFTP, {"container": {"image": "mine"}}])
def test_the_pod_is_restricted_and_has_no_rights(spec: dict[str, Any]) -> None:
    pod = pod_of(made(spec))
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_the_run_document_is_an_annotation_shown_as_a_file() -> None:
    manifest = made(parameters={"day": "2026-01-02"})
    text = manifest["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_RUN]
    run = Run.model_validate_json(text)
    assert (run.job.attempt, run.job.uid, run.parameters, run.report_url) == (
        2,
        "uid-run",
        {"day": "2026-01-02"},
        "http://api",
    )
    document, _ = volume_at(manifest, str(PurePosixPath(RUN_FILE).parent))["projected"]["sources"]
    item = document["downwardAPI"]["items"][0]
    assert item["path"] == "run.json"
    assert item["fieldRef"]["fieldPath"] == "metadata.annotations['octo.dev/run']"


def test_secrets_are_files_of_the_group_and_nowhere_else() -> None:
    manifest = made()
    assert volume_at(manifest, f"{SECRETS_DIR}/sftp")["secret"] == {"secretName": "sftp-1", "defaultMode": 0o440}
    assert volume_at(manifest, f"{SECRETS_DIR}/s3")["secret"] == {"secretName": "s3-1", "defaultMode": 0o440}
    assert volume_at(manifest, f"{SECRETS_DIR}/openpgp")["projected"] == {
        "defaultMode": 0o440,
        "sources": [
            {"secret": {"name": "pgp-1", "items": [{"key": "private.asc", "path": "privateKey"}]}},
            {"secret": {"name": "pgp-2", "items": [{"key": "words", "path": "passphrase"}]}},
        ],
    }
    assert "env" not in pod_of(manifest)["containers"][0]


def test_further_keys_and_those_of_signers_are_where_the_worker_looks() -> None:
    openpgp = {
        "keySecretRef": {"name": "pgp-1", "key": "private.asc"},
        "additionalKeys": [
            {"keySecretRef": {"name": "old", "key": "a"}, "passphraseSecretRef": {"name": "old", "key": "b"}},
            {"keySecretRef": {"name": "older", "key": "c"}},
        ],
        "requireSignature": True,
        "signerKeysSecretRef": {"name": "signers", "key": "all.asc"},
    }
    sources = volume_at(made({**SFTP, "decrypt": {"openpgp": openpgp}}), f"{SECRETS_DIR}/openpgp")["projected"][
        "sources"
    ]
    assert [
        (source["secret"]["name"], item["key"], item["path"])
        for source in sources
        for item in source["secret"]["items"]
    ] == [
        ("pgp-1", "private.asc", "privateKey"),
        ("old", "a", "additional/0/privateKey"),
        ("old", "b", "additional/0/passphrase"),
        ("older", "c", "additional/1/privateKey"),
        ("signers", "all.asc", "signerKeys"),
    ]


def test_the_token_is_for_the_api_alone() -> None:
    volume = volume_at(made(), str(PurePosixPath(TOKEN_FILE).parent))["projected"]
    token = volume["sources"][1]["serviceAccountToken"]
    assert token == {"audience": names.REPORT_AUDIENCE, "expirationSeconds": 3600, "path": "token"}
    assert volume["defaultMode"] == 0o440


def test_keys_are_unwrapped_to_memory_only() -> None:
    assert volume_at(made(), MEMORY_DIR)["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}


def test_a_pod_has_the_volumes_that_are_used() -> None:
    """Each is in the Job and in the pod, and with them in a dozen writes of every run."""

    def volumes(manifest: dict[str, Any]) -> list[str]:
        pod = pod_of(manifest)
        used = [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]
        assert set(used) == {volume["name"] for volume in pod["volumes"]}
        return sorted(used)

    own = {"container": {"image": "mine"}}
    assert volumes(made(own)) == ["octo-run", "octo-run", "octo-tmp"]
    silent = child_job(job(), provider(**own), 1, PodSettings(image="worker:1"))
    assert volumes(silent) == ["octo-run", "octo-tmp"]
    assert volume_at(silent, str(PurePosixPath(RUN_FILE).parent))["downwardAPI"]["items"][0]["path"] == "run.json"
    assert "octo-memory" in volumes(made())


def test_a_store_with_workload_identity_mounts_no_secret() -> None:
    spec = {**SFTP, "destination": {"s3": {"bucket": "landing"}}, "decrypt": {"openpgp": {"mode": "Never"}}}
    paths = [mount["mountPath"] for mount in pod_of(made(spec))["containers"][0]["volumeMounts"]]
    assert [path for path in paths if path.startswith(SECRETS_DIR)] == [f"{SECRETS_DIR}/sftp"]


def test_a_container_of_ones_own_has_the_same_control() -> None:
    own = {
        "image": "mine:2",
        "command": ["run"],
        "args": ["-v"],
        "env": [{"name": "A", "value": "b"}],
        "envFrom": [{"secretRef": {"name": "own"}}],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    }
    manifest = made({"container": own})
    container = pod_of(manifest)["containers"][0]
    assert (container["name"], container["image"], container["command"], container["args"]) == (
        "worker",
        "mine:2",
        ["run"],
        ["-v"],
    )
    assert container["env"] == own["env"]
    assert container["envFrom"] == own["envFrom"]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert volume_at(manifest, "/scratch") == {"name": "scratch", "emptyDir": {}}
    assert volume_at(manifest, str(PurePosixPath(TOKEN_FILE).parent))
    assert pod_of(made())["containers"][0]["terminationMessagePolicy"] == "File"


def test_the_pod_template_changes_the_pod() -> None:
    template = {
        "image": "worker:2",
        "imagePullSecrets": [{"name": "pull"}],
        "resources": {"limits": {"memory": "1Gi"}},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "batch"}],
        "serviceAccountName": "mine",
    }
    pod = pod_of(made({**SFTP, "podTemplate": template}))
    assert pod["containers"][0]["image"] == "worker:2"
    assert pod["containers"][0]["resources"] == {"limits": {"memory": "1Gi"}}
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert (pod["nodeSelector"], pod["tolerations"]) == ({"disk": "fast"}, [{"key": "batch"}])
    assert pod["serviceAccountName"] == "mine"
    plain = pod_of(made())
    assert plain["containers"][0]["image"] == "worker:1"
    assert plain["containers"][0]["resources"]["limits"] == {"memory": "512Mi"}
    assert plain["serviceAccountName"] == "octo-worker"


def test_the_same_input_makes_the_same_job() -> None:
    assert json.dumps(made()) == json.dumps(made())
