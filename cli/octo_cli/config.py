"""Contexts: the servers that a person has signed in to. Their file is for that person only."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from octo_cli.errors import CliError
from octo_cli.exits import Exit

_SOON = timedelta(seconds=30)
_TIMES = ("token_expires_at", "token_renew_at")


@dataclass(frozen=True, slots=True)
class Context:
    """A server, and what it was signed in to with. The API key itself is never kept: at most the path of its file."""

    name: str
    server: str
    namespace: str | None = None
    token: str | None = field(default=None, repr=False)
    token_expires_at: datetime | None = None
    token_renew_at: datetime | None = None
    """From when on it is time for another token."""
    api_key_file: str | None = None

    def due(self, now: datetime) -> bool:
        """Whether to ask for another token."""
        return self.token_renew_at is not None and now >= self.token_renew_at

    def fresh(self, now: datetime) -> bool:
        """Whether the token can be used for what is about to begin."""
        return self.token is not None and (self.token_expires_at is None or now + _SOON < self.token_expires_at)


@dataclass(frozen=True, slots=True)
class Config:
    """All contexts, and which is in use."""

    current: str | None = None
    contexts: dict[str, Context] = field(default_factory=dict)

    def get(self, name: str) -> Context:
        """Raises CliError if there is none of that name."""
        if name not in self.contexts:
            raise CliError(f"there is no context {name}", Exit.NOT_FOUND, "`octo config contexts` lists them.")
        return self.contexts[name]

    def with_context(self, context: Context) -> Config:
        """With this one put, and in use."""
        return Config(context.name, {**self.contexts, context.name: context})

    def using(self, name: str) -> Config:
        """With that one in use."""
        return replace(self, current=self.get(name).name)

    def without(self, name: str) -> Config:
        """With that one gone."""
        self.get(name)
        left = {key: context for key, context in self.contexts.items() if key != name}
        return Config(None if self.current == name else self.current, left)


def path() -> Path:
    """Where the contexts stand."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "octo" / "config.yaml"


def load() -> Config:
    """What stands there; nothing, if there is no file. Raises CliError for one that cannot be read."""
    import yaml  # here: a tenth of a start, of which help needs nothing

    try:
        document = yaml.safe_load(path().read_text()) or {}
        contexts = [
            Context(**{**entry, **{name: _time(entry.get(name)) for name in _TIMES}})
            for entry in document.get("contexts", ())
        ]
        return Config(document.get("current"), {context.name: context for context in contexts})
    except FileNotFoundError:
        return Config()
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise CliError(
            f"{path()} cannot be read: {error}", Exit.USAGE, "Mend it, or remove it and sign in again."
        ) from error


def save(config: Config) -> None:
    """Write it all, readable for its owner only, and whole or not at all."""
    import yaml

    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {"current": config.current, "contexts": [_entry(context) for context in config.contexts.values()]}
    # A temporary file has the mode 0600 from the start.
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".config-")
    try:
        with os.fdopen(descriptor, "w") as output:
            yaml.safe_dump(document, output, sort_keys=False)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _entry(context: Context) -> dict[str, Any]:
    values = {key: value for key, value in asdict(context).items() if value is not None}
    return {key: value.isoformat() if key in _TIMES else value for key, value in values.items()}


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).astimezone(UTC)
