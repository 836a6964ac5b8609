"""``up``: everything from an empty cluster to files in a bucket, with what to try next."""

from __future__ import annotations

from deploy.demo import material as materials
from deploy.demo.client import OctoClient, api_key, follow
from deploy.demo.compare import compare
from deploy.demo.install import image_tag, install_octo, install_provider
from deploy.demo.manifests import BUCKET, OCTO, SIDE
from deploy.demo.material import TAMPERED, Material
from deploy.demo.servers import S3_PORT
from deploy.demo.shell import KUBECONFIG, REPO, DemoError, Object, check_tools, port_forward, run, say, show

API_PORT = 8080


def run_demo() -> None:
    """The whole demo. Run again, it finds what is there and goes on from that."""
    check_tools("kubectl", "helm", "gpg", "gpgconf", "ssh-keygen")
    material, fresh = materials.load_or_make()
    say("keys and files: " + ("made" if fresh else "those of the last time") + " (.octo/demo)")
    tag = image_tag()
    say(f"Octo by its chart, images {tag} (namespace {OCTO})")
    install_octo(tag)
    say(f"an SFTP server with files and an S3 server (namespace {SIDE}), and an OctoProvider")
    install_provider(material, tag)
    with port_forward(OCTO, "octo-api", API_PORT) as port:
        client = OctoClient(f"http://127.0.0.1:{port}", api_key())
        job_id = str(client.create_job()["id"])
        say(f"POST /v1/jobs: job {job_id}")
        job = follow(client, job_id)
        show_job(job, client.files(job_id))
    check_bucket(material)
    if job["state"] != "Succeeded":
        raise DemoError(f"the job ended as {job['state']}: {job['failure'] or job['reason']}")
    show_next()


def show_job(job: Object, files: list[Object]) -> None:
    """One run, as each door shows it."""
    show("\n$ kubectl -n octo get octojobs -o wide")
    show(run("kubectl", "--namespace", OCTO, "get", "octojobs", "--output", "wide").rstrip())
    show(f"\n$ curl .../v1/jobs/{job['id']}")
    progress = job["progress"] or {}
    counts = " ".join(
        f"{name}={progress.get(name, 0)}"
        for name in ("filesListed", "filesSelected", "filesSkipped", "filesDone", "filesFailed")
    )
    show(f"  {job['name']}: state={job['state']} reason={job['reason']} attempt={job['attempt']}\n  {counts}")
    show(f"\n$ curl .../v1/jobs/{job['id']}/files")
    for row in files:
        name = row["sourcePath"] + (f" » {row['member']}" if row["member"] else "")
        show(f"  {row['outcome']:<13} {row['sha256'] or row['message'] or '':<64} {name}")
    # Listed are those of this run; a file that is stored is not selected again.
    if not progress.get("filesDone"):
        show(f"  nothing new: only {TAMPERED}, never stored since it is damaged, was tried again and refused")


def check_bucket(material: Material) -> None:
    """Every original is there, byte for byte, and nothing else is."""
    with port_forward(SIDE, "s3", S3_PORT) as port:
        result = compare(material, port)
    show(f"\nObjects of s3://{BUCKET}:")
    for key, size in sorted(result.objects.items()):
        show(f"  {size:>9} {key}")
    if result.problems:
        raise DemoError("the bucket is not as it should be:\n  " + "\n  ".join(result.problems))
    show(f"{result.same} objects are byte for byte what was put into the files; the tampered file is not among them.")


def show_next() -> None:
    """What to go on with."""
    kubeconfig = KUBECONFIG.relative_to(REPO)
    show(f"""
Go on with (in this folder):
  export KUBECONFIG=$PWD/{kubeconfig} PATH=$PWD/.octo/bin:$PWD/.venv/bin:$PATH
  kubectl octo -n {OCTO} run demo --follow                          # a second run
  kubectl octo -n {OCTO} run demo --path no-such-folder --wait      # one that breaks
  kubectl octo -n {OCTO} explain "$(kubectl octo -n {OCTO} ls --limit 1 -o name)"
  kubectl -n {OCTO} get octojobs,octoproviders
  kubectl -n {OCTO} port-forward service/octo-api {API_PORT}:{API_PORT} &      # http://127.0.0.1:{API_PORT}/openapi.json
  kubectl -n {OCTO} get secret octo-bootstrap-api-key -o go-template='{{{{.data.apiKey | base64decode}}}}' |
       octo login http://127.0.0.1:{API_PORT} --api-key-stdin && octo ls && octo providers ls
  (umask 077 && kubectl -n {OCTO} get secret octo-bootstrap-api-key \\
       -o go-template='X-API-Key: {{{{.data.apiKey | base64decode}}}}' >.octo/api-key.header)
  curl -H @.octo/api-key.header http://127.0.0.1:{API_PORT}/v1/jobs
  curl -H @.octo/api-key.header -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s)" \\
       -d '{{"provider": "demo"}}' http://127.0.0.1:{API_PORT}/v1/jobs
Again: make demo.   Remove the demo: .venv/bin/python -m deploy.demo down   Remove the cluster: make cluster-down""")
