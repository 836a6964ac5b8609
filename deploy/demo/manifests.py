"""The demo's Kubernetes objects: the provider's side, and what tells Octo about it."""

from __future__ import annotations

from deploy.demo.material import Material
from deploy.demo.shell import Object

OCTO = "octo"
"""Namespace and release of Octo."""
SIDE = "octo-demo"
"""Namespace of the provider's servers."""
PROVIDER = "demo"
BUCKET = "octo-demo"
PREFIX = "demo"
SFTP_PORT = 2222
S3_PORT = 7070
FOLDER = "/data/outgoing"
MADE_HERE = "octo.dev/demo"
"""Label of the namespaces that `down` may delete."""


def namespace(name: str) -> Object:
    """A namespace that takes restricted pods only."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", MADE_HERE: "true"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def provider_side(material: Material, image: str) -> list[Object]:
    """An SFTP server with the files, and an S3 server for Octo to store them in."""
    sftp_keys = {"host_key": material.key("host_key"), "authorized_keys": material.key("client_key.pub")}
    s3_keys = {"access-key": material.key("s3-id"), "secret-key": material.key("s3-secret")}
    return [
        _secret(SIDE, "sftp", sftp_keys),
        _secret(SIDE, "s3", s3_keys),
        _service("sftp", SFTP_PORT),
        _service("s3", S3_PORT),
        _server(material, "sftp", image, "octo-sftp", SFTP_PORT, keys="/etc/octo-sftp"),
        _server(material, "s3", image, "octo-s3", S3_PORT, keys="/etc/octo-s3", env={"OCTO_S3_BUCKETS": BUCKET}),
    ]


def for_octo(material: Material) -> list[Object]:
    """The OctoProvider and the Secrets it names."""
    host = f"sftp.{SIDE}.svc"
    host_key = " ".join(material.key("host_key.pub").split()[:2])
    spec: Object = {
        "source": {
            "sftp": {
                "host": host,
                "port": SFTP_PORT,
                "username": "octo",
                "paths": [FOLDER],
                "credentialsSecretRef": {"name": "demo-sftp"},
                "hostKeys": [f"[{host}]:{SFTP_PORT} {host_key}"],
            }
        },
        "decrypt": {
            "openpgp": {
                "keySecretRef": {"name": "demo-openpgp", "key": "privateKey"},
                "passphraseSecretRef": {"name": "demo-openpgp", "key": "passphrase"},
            }
        },
        "destination": {
            "s3": {
                "bucket": BUCKET,
                "prefix": PREFIX,
                "endpoint": f"http://s3.{SIDE}.svc:{S3_PORT}",
                "pathStyle": True,
                "credentialsSecretRef": {"name": "demo-s3"},
            }
        },
        # The damaged file must not make the run a failure; it is told of either way.
        "jobDefaults": {"transfer": {"onFileError": "SkipFile"}},
    }
    openpgp = {"privateKey": material.key("openpgp.asc"), "passphrase": material.key("passphrase")}
    s3 = {"accessKeyId": material.key("s3-id"), "secretAccessKey": material.key("s3-secret")}
    return [
        _secret(OCTO, "demo-sftp", {"privateKey": material.key("client_key")}),
        _secret(OCTO, "demo-openpgp", openpgp),
        _secret(OCTO, "demo-s3", s3),
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoProvider",
            "metadata": {"name": PROVIDER, "namespace": OCTO},
            "spec": spec,
        },
    ]


def _secret(space: str, name: str, values: dict[str, str]) -> Object:
    metadata = {"name": name, "namespace": space}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


def _service(name: str, port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": SIDE},
        "spec": {"selector": {"app": name}, "ports": [{"name": name, "port": port, "targetPort": port}]},
    }


def _server(
    material: Material, name: str, image: str, command: str, port: int, *, keys: str, env: dict[str, str] | None = None
) -> Object:
    container: Object = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [command],
        "env": [{"name": variable, "value": value} for variable, value in (env or {}).items()],
        "ports": [{"containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "keys", "mountPath": keys, "readOnly": True},
            {"name": "data", "mountPath": "/data"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container
        ],
    }
    pod: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "keys", "secret": {"secretName": name, "defaultMode": 0o440}},
            {"name": "data", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    template = {
        # New material needs empty servers with its keys.
        "metadata": {"labels": {"app": name}, "annotations": {"octo.dev/material": material.fingerprint()}},
        "spec": pod,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SIDE},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    }
