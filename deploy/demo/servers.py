"""An SFTP and an S3 server as Kubernetes objects: a provider's side, for the demo and for the tests."""

from __future__ import annotations

from deploy.demo.shell import Object

SFTP_PORT = 2222
S3_PORT = 7070


def servers(
    namespace: str, image: str, *, sftp_keys: dict[str, str], s3_keys: dict[str, str], bucket: str, generation: str
) -> list[Object]:
    """Both servers, named ``sftp`` and ``s3``, with the image ``octo/demo``.

    ``sftp_keys`` holds host_key and authorized_keys, ``s3_keys`` access-key and secret-key. Another
    ``generation`` replaces the servers by empty ones.
    """
    buckets = {"OCTO_S3_BUCKETS": bucket}
    return [
        secret(namespace, "sftp", sftp_keys),
        secret(namespace, "s3", s3_keys),
        _service(namespace, "sftp", SFTP_PORT),
        _service(namespace, "s3", S3_PORT),
        _server(namespace, "sftp", image, SFTP_PORT, keys="/etc/octo-sftp", env={}, generation=generation),
        _server(namespace, "s3", image, S3_PORT, keys="/etc/octo-s3", env=buckets, generation=generation),
    ]


def secret(namespace: str, name: str, values: dict[str, str]) -> Object:
    """A Secret."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


def _service(namespace: str, name: str, port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"name": name, "port": port, "targetPort": port}]},
    }


def _server(
    namespace: str, name: str, image: str, port: int, *, keys: str, env: dict[str, str], generation: str
) -> Object:
    container: Object = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [f"octo-{name}"],
        "env": [{"name": variable, "value": value} for variable, value in env.items()],
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
        "metadata": {"labels": {"app": name}, "annotations": {"octo.dev/generation": generation}},
        "spec": pod,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    }
