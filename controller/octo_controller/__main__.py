"""``octo-controller``: settings from the environment, logs to standard error, exit code 1 on failure."""

from __future__ import annotations

import asyncio
import sys

from octo_controller.app import serve
from octo_controller.settings import ControllerSettings
from octo_core.telemetry import configure_logging


def main() -> None:
    """Run the controller until it is told to stop."""
    settings = ControllerSettings()  # filled from the environment
    configure_logging(settings.log_level, service="octo-controller")
    sys.exit(0 if asyncio.run(serve(settings)) else 1)


if __name__ == "__main__":
    main()
