"""What is in the bucket, against what the provider's files were made of."""

from __future__ import annotations

from dataclasses import dataclass

import obstore
from deploy.demo.manifests import BUCKET, PREFIX
from deploy.demo.material import TAMPERED, Material
from obstore.store import S3Store


@dataclass(frozen=True, slots=True)
class Comparison:
    """Keys and sizes of all objects, and what is wrong with them."""

    objects: dict[str, int]
    same: int
    problems: list[str]


def compare(material: Material, port: int) -> Comparison:
    """Fetch each object over a forwarded port and compare it byte for byte."""
    store = S3Store(
        BUCKET,
        endpoint=f"http://127.0.0.1:{port}",
        region="us-east-1",
        access_key_id=material.key("s3-id"),
        secret_access_key=material.key("s3-secret"),
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    objects = {found["path"]: found["size"] for page in obstore.list(store, prefix=PREFIX) for found in page}
    expected = {f"{PREFIX}/{key}": path for key, path in material.expected().items()}
    tampered = TAMPERED.removesuffix(".gz.gpg")
    problems = [f"{key}: missing" for key in sorted(expected.keys() - objects.keys())]
    for key in sorted(key for key in objects if key.startswith(f"{PREFIX}/data/")):
        if key not in expected:
            what = "is of the tampered file" if tampered in key else "was in no file"
            problems.append(f"{key}: stored, but {what}")
        elif bytes(obstore.get(store, key).bytes()) != expected[key].read_bytes():
            problems.append(f"{key}: differs from the original")
    same = len(expected.keys() & objects.keys()) - sum(problem.endswith("original") for problem in problems)
    return Comparison(objects, same, problems)
