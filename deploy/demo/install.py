"""Octo by its chart, and the provider's side beside it."""

from __future__ import annotations

import os

from deploy.demo.manifests import FOLDER, OCTO, SIDE, for_octo, namespace, provider_side
from deploy.demo.material import Material
from deploy.demo.shell import REPO, DemoError, apply, run, say, succeeds

CRDS = ("octojobs.octo.dev", "octoproviders.octo.dev")


def install_octo(tag: str) -> None:
    """Install the chart, or bring it to this version."""
    apply(namespace(OCTO))
    run(REPO / "deploy" / "cluster.sh", "volumes")
    if run("helm", "list", "--namespace", OCTO, "--pending", "--short").strip():
        say("an install was interrupted, beginning it again")
        run("helm", "uninstall", OCTO, "--namespace", OCTO, "--wait")
    # As strings: a tag of digits only would be a number.
    values = {"image.tag": tag, "image.registry": _registry()}
    sets = ["--set=postgres.embedded.enabled=true", *(f"--set-string={name}={value}" for name, value in values.items())]
    chart = str(REPO / "charts" / "octo")
    command = ("helm", "upgrade", "--install", OCTO, chart, "--namespace", OCTO, *skip_crds())
    try:
        run(*command, *sets, "--wait", "--timeout", "5m", timeout=330)
    except DemoError as error:
        pods = run("kubectl", "--namespace", OCTO, "get", "pods")
        hint = f"see: kubectl -n {OCTO} describe pods; kubectl -n {OCTO} logs POD"
        if "ImagePull" in pods:
            hint = f"the cluster has no images of the tag {tag}: run `make image`"
        raise DemoError(f"{error}\n{pods}{hint}") from error


def skip_crds() -> tuple[str, ...]:
    """The option of ``helm install`` for a cluster that has the custom resource definitions already, else none.

    Helm 4 would apply those of ``crds/`` in its own name, and refuses where the chart's Job, which brings them to this
    version afterwards, has written another version's.
    """
    return ("--skip-crds",) if succeeds("kubectl", "get", "customresourcedefinitions", *CRDS) else ()


def install_provider(material: Material, tag: str) -> None:
    """The servers with the files, and the OctoProvider that names them."""
    registry = _registry()
    apply(namespace(SIDE))
    apply(*provider_side(material, f"{registry + '/' if registry else ''}octo/demo:{tag}"))
    for name in ("sftp", "s3"):
        run("kubectl", "--namespace", SIDE, "rollout", "status", f"deployment/{name}", "--timeout=120s", timeout=130)
    unpack = f"mkdir -p {FOLDER} && tar --extract --directory {FOLDER}"
    run(
        *("kubectl", "--namespace", SIDE, "exec", "--stdin", "deployment/sftp", "--", "sh", "-c", unpack),
        stdin=material.archive(),
    )
    apply(*for_octo(material))


def image_tag() -> str:
    """The tag of the images that were built and given to the cluster."""
    return run(REPO / "deploy" / "images.sh", "tag").strip()


def is_installed() -> bool:
    """Whether there is a release."""
    return succeeds("helm", "status", OCTO, "--namespace", OCTO)


def _registry() -> str:
    return os.environ.get("OCTO_IMAGE_REGISTRY", "")
