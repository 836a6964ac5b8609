"""``down``: removes what ``up`` made. The CRDs stay, as with any ``helm uninstall``."""

from __future__ import annotations

import shutil

from deploy.demo.install import is_installed
from deploy.demo.manifests import MADE_HERE, OCTO, SIDE
from deploy.demo.material import HOME
from deploy.demo.shell import REPO, DemoError, check_tools, run, say, succeeds


def remove_demo() -> None:
    """Remove Octo, the provider's side and their namespaces, and the keys and files."""
    check_tools("kubectl", "helm")
    if succeeds("kubectl", "get", "crd", "octojobs.octo.dev"):
        say("OctoJobs: deleting")
        _delete_jobs()
    if is_installed():
        say("Octo: uninstalling")
        run("helm", "uninstall", OCTO, "--namespace", OCTO, "--wait", "--timeout", "2m", timeout=150)
    for name in (SIDE, OCTO):
        say(f"namespace {name}: deleting")
        # Only one that the demo made.
        ours = ("--selector", f"{MADE_HERE}=true", f"--field-selector=metadata.name={name}")
        run("kubectl", "delete", "namespace", *ours, "--timeout=120s", timeout=130)
    run(REPO / "deploy" / "cluster.sh", "volumes")
    shutil.rmtree(HOME, ignore_errors=True)
    say("the demo is gone; the CRDs are left")


def _delete_jobs() -> None:
    """While the controller is there, since it archives each and only then lets it go."""
    try:
        run("kubectl", "--namespace", OCTO, "delete", "octojobs", "--all", "--timeout=60s", timeout=70)
    except DemoError:
        # Nobody archives them any more; without this their namespace would never go.
        say("OctoJobs: no controller lets them go, taking off their finalizers")
        for name in run("kubectl", "--namespace", OCTO, "get", "octojobs", "--output", "name").split():
            patch = '{"metadata":{"finalizers":null}}'
            run("kubectl", "--namespace", OCTO, "patch", name, "--type=merge", f"--patch={patch}")
