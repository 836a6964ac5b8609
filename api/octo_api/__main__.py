"""``octo-api [serve | migrate | apply-crds | create-key | revoke-key | rebuild]``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import secrets
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn
from pydantic import ValidationError

from octo_api.auth.caller import ANY
from octo_api.auth.settings import KeySettings
from octo_api.commands import apply_crds, check_scopes, create_key, parse_expiry, revoke_key, upgrade_schema
from octo_api.main import create_app, utc_now
from octo_api.rebuild import rebuild
from octo_api.server.loop import Loop
from octo_api.server.protocol import bounded
from octo_api.server.server import Server
from octo_api.settings import ApiSettings
from octo_core.domain.errors import OctoError
from octo_core.settings import ClusterSettings, DatabaseSettings
from octo_core.telemetry import configure_logging


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "migrate":
            _migrate(arguments)
        elif arguments.command == "apply-crds":
            _apply_crds()
        elif arguments.command == "create-key":
            _create_key(arguments)
        elif arguments.command == "revoke-key":
            _revoke_key(arguments)
        elif arguments.command == "rebuild":
            _rebuild(arguments)
        else:
            _serve()
    except ValidationError as error:
        # Not its own text: that repeats the values, and these are secrets.
        wrong = "; ".join(f"OCTO_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        sys.stderr.write(f"octo-api: settings: {wrong}\n")
        return 2
    except OctoError as error:
        sys.stderr.write(f"octo-api: {error.detail}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="octo-api", description="Octo's REST API; settings come as OCTO_* variables.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve the API (the default)")
    migrate = commands.add_parser("migrate", help="bring the database schema to the newest version")
    migrate.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="for Postgres to come up (60)")
    commands.add_parser(
        "apply-crds", help="bring the cluster's custom resource definitions to this version; those of a newer one stay"
    )
    key = commands.add_parser("create-key", help="make an API key and print it, once")
    key.add_argument("--subject", required=True, help="who the key speaks for")
    key.add_argument("--scope", action="append", required=True, help="what it may do; may be repeated; * for all")
    key.add_argument("--namespace", action="append", help="where it may do it; may be repeated; * for all (default)")
    key.add_argument("--expires", help="a span such as 90d, 12h, 30m, or an RFC 3339 time (default: never)")
    revoke = commands.add_parser("revoke-key", help="end an API key's life, at once")
    revoke.add_argument("key", help="its id, the 12 characters behind octo_, or the whole key")
    again = commands.add_parser(
        "rebuild", help="add past runs to a database that was lost, from the lines of `octo-worker history`"
    )
    again.add_argument("--namespace", default="octo", help="of runs whose manifests do not say it (octo)")
    return parser


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def server_of(settings: ApiSettings) -> Server:
    """The server of the whole application; it has opened nothing yet."""
    app = create_app(settings)
    return Server(
        uvicorn.Config(
            app,
            http=bounded(
                max_head_bytes=settings.max_header_bytes, head_timeout_seconds=settings.header_timeout_seconds
            ),
            ws="none",
            loop=f"{Loop.__module__}:{Loop.__qualname__}",
            # It would believe any local client; see limits.clients.
            proxy_headers=False,
            host=settings.listen_host,
            port=settings.listen_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_grace_seconds,
        ),
        drain=app.state.drain,
        drain_seconds=settings.drain_seconds,
    )


def _serve() -> None:
    # uvicorn drains on these signals and then raises them once more, which would end us as if killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    settings = ApiSettings()
    configure_logging(settings.log_level, service="octo-api")
    server = server_of(settings)
    # What is there now stays: a collector that looks through all of it now and then would hold up requests.
    gc.collect()
    gc.freeze()
    server.run()
    if not server.started:
        raise OctoError("the server could not start; see the log")


def _migrate(arguments: argparse.Namespace) -> None:
    settings = DatabaseSettings()
    configure_logging(settings.log_level, service="octo-api")
    version = asyncio.run(upgrade_schema(settings, wait_seconds=arguments.wait))
    sys.stdout.write(f"schema at version {version}\n")


def _apply_crds() -> None:
    settings = ClusterSettings()
    configure_logging(settings.log_level, service="octo-api")
    for told in asyncio.run(apply_crds(settings.kubeconfig)):
        sys.stdout.write(f"{told}\n")


def _create_key(arguments: argparse.Namespace) -> None:
    key = asyncio.run(
        create_key(
            KeySettings(),
            subject=arguments.subject,
            scopes=check_scopes(arguments.scope),
            namespaces=tuple(arguments.namespace or [ANY]),
            expires_at=parse_expiry(arguments.expires, now=utc_now()) if arguments.expires else None,
            random=secrets.token_bytes(40),
        )
    )
    sys.stdout.write(f"{key.text}\n")


def _revoke_key(arguments: argparse.Namespace) -> None:
    key_id = asyncio.run(revoke_key(DatabaseSettings(), arguments.key, now=utc_now()))
    sys.stdout.write(f"revoked {key_id}\n")


def _rebuild(arguments: argparse.Namespace) -> None:
    settings = DatabaseSettings()
    configure_logging(settings.log_level, service="octo-api")
    done = asyncio.run(rebuild(settings, sys.stdin.buffer, namespace=arguments.namespace, clock=utc_now))
    sys.stdout.write(f"rebuilt {done.attempts} attempts with {done.rows} rows\n")


if __name__ == "__main__":
    sys.exit(main())
