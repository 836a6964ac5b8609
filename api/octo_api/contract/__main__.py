"""Writes the documents of the contract: ``python -m octo_api.contract OPENAPI_FILE PROBLEMS_FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import SecretStr

from octo_api.contract.problems import page
from octo_api.main import create_app
from octo_api.settings import ApiSettings


def openapi_text() -> str:
    """The OpenAPI document, as it is committed. No setting of an installation shows in it."""
    settings = ApiSettings(
        database_url=SecretStr("postgresql://unused"),
        api_key_pepper=SecretStr("-" * 32),
        token_signing_key=SecretStr("-" * 32),
    )
    return json.dumps(create_app(settings).openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    openapi_file, problems_file = map(Path, sys.argv[1:])
    openapi_file.write_text(openapi_text())
    problems_file.write_text(page())
