"""What the api does is what its OpenAPI document says, whatever it is asked; requests are made by schemathesis.

`make test-contract` is the long form: more examples, the cases that lie at the edges of every schema, another seed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from pathlib import Path

from octo_core.settings import DatabaseSettings
from tests.support.control_plane import ControlPlane
from tests.support.whole_api import whole_api

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    # Every error is a problem document: no operation has another form of error.
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "use_after_free",
    "ensure_resource_availability",
)
"""Whether a credential opens a route is test_matrix's; pydantic takes some values that a schema does not name."""
EXAMPLES = os.environ.get("OCTO_CONTRACT_EXAMPLES")
SEED = os.environ.get("OCTO_CONTRACT_SEED")
SECONDS = 1100 if EXAMPLES else 400


async def test_the_api_is_as_its_document_says(
    bare_control_plane: ControlPlane, database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    namespace = f"contract-{uuid.uuid4().hex[:8]}"
    phases = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,fuzzing,stateful"
    async with whole_api(bare_control_plane, database_settings, tmp_path, namespace=namespace, pepper="p" * 32) as api:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{api.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {api.token}", "--checks", ",".join(CHECKS), "--phases", phases),
            *("--max-examples", EXAMPLES or "3", "--request-timeout", "240", "--continue-on-failure"),
            *(("--seed", SEED) if SEED else ("--generation-deterministic",)),
            *("--no-color", "--warnings", "off"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 0, output.decode()[-20_000:]
    # A failure that nobody thought of is a 500 above; one beside the requests stands in the log only.
    assert "Traceback" not in api.log.read_text()
