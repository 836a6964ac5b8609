"""The demo's Kubernetes objects: the provider's side, and what tells Octo about it."""

from __future__ import annotations

from deploy.demo.material import Material
from deploy.demo.servers import S3_PORT, SFTP_PORT, secret, servers
from deploy.demo.shell import Object

OCTO = "octo"
"""Namespace and release of Octo."""
SIDE = "octo-demo"
"""Namespace of the provider's servers."""
PROVIDER = "demo"
BUCKET = "octo-demo"
PREFIX = "demo"
FOLDER = "/data/outgoing"
MADE_HERE = "octo.dev/demo"
"""Label of the namespaces that `down` may delete."""


def namespace(name: str) -> Object:
    """A namespace that takes restricted pods only."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", MADE_HERE: "true"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def provider_side(material: Material, image: str) -> list[Object]:
    """An SFTP server with the files, and an S3 server for Octo to store them in."""
    return servers(
        SIDE,
        image,
        sftp_keys={"host_key": material.key("host_key"), "authorized_keys": material.key("client_key.pub")},
        s3_keys={"access-key": material.key("s3-id"), "secret-key": material.key("s3-secret")},
        bucket=BUCKET,
        # New material needs empty servers with its keys.
        generation=material.fingerprint(),
    )


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
        secret(OCTO, "demo-sftp", {"privateKey": material.key("client_key")}),
        secret(OCTO, "demo-openpgp", openpgp),
        secret(OCTO, "demo-s3", s3),
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoProvider",
            "metadata": {"name": PROVIDER, "namespace": OCTO},
            "spec": spec,
        },
    ]
