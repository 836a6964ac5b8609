"""Where the worker finds what its pod gives it. The defaults are the pod's; a test or a laptop sets others."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from octo_core.domain import run
from octo_core.domain.shard import INDEX_VARIABLE
from octo_core.settings import Settings


class WorkerSettings(Settings):
    """Read once, at start."""

    run_file: Path = Field(default=Path(run.RUN_FILE), description="The run document.")
    run_secrets_dir: Path = Field(default=Path(run.SECRETS_DIR), description="Holds sftp/, openpgp/ and s3/.")
    token_file: Path = Field(default=Path(run.TOKEN_FILE), description="The token for the report endpoint.")
    memory_dir: Path = Field(default=Path(run.MEMORY_DIR), description="Memory-backed; key material is unwrapped here.")
    termination_log: Path = Field(default=Path(run.TERMINATION_LOG), description="Where the outcome is written.")
    shard: int = Field(
        default=0,
        ge=0,
        validation_alias=INDEX_VARIABLE,
        description="Which of the workers that share the attempt this is; Kubernetes says it to Indexed Jobs.",
    )
    report_flush_seconds: float = Field(
        default=60.0, ge=0, description="How long a finished run tries to deliver the rest of its report."
    )
