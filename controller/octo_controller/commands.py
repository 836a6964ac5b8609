"""The commands of ``octo-controller`` beside serving."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from octo_controller.restore import RestoreSettings, Unfinished, restore
from octo_core.domain.errors import OctoError
from octo_core.telemetry import configure_logging


def main(argv: Sequence[str]) -> int:
    """Run a command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        settings = RestoreSettings()  # filled from the environment
        configure_logging(settings.log_level, service="octo-controller")
        done = asyncio.run(
            restore(settings, Unfinished(arguments.unfinished), clock=lambda: datetime.now(UTC), say=_complain)
        )
    except ValidationError as error:
        # Not its own text: that repeats the values, and these are secrets.
        wrong = "; ".join(f"OCTO_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        _complain(f"settings: {wrong}")
        return 2
    except OctoError as error:
        _complain(error.detail)
        return 1
    sys.stdout.write(
        f"restored {done.providers} providers; of the lost runs {done.rerun} run again, {done.ended} were ended, "
        f"{done.history} were over\n"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="octo-controller", description="Without a command it serves its namespace.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    again = commands.add_parser("restore", help="give a new cluster what Postgres knows of the one before it")
    again.add_argument(
        "--unfinished",
        choices=[choice.value for choice in Unfinished],
        required=True,
        help="what becomes of runs that were not over: run again, or end as Cancelled (ClusterLost)",
    )
    return parser


def _complain(text: str) -> None:
    sys.stderr.write(f"octo-controller: {text}\n")
