"""``octo-controller [restore]``: settings from the environment, logs to standard error.

Exit code 0 after a clean stop, 1 on failure, 3 if it lost its Lease or its event loop was blocked.
"""

from __future__ import annotations

import gc
import os
import signal
import sys


def main() -> None:
    """Run the controller until it is told to stop."""
    if len(sys.argv) > 1:
        from octo_controller import commands  # a pod has no use for it

        sys.exit(commands.main(sys.argv[1:]))

    # Before everything else: the first process of a container does not get a signal that it has no handler for,
    # and importing takes seconds on a busy machine. Nothing has begun that would have to be ended in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))

    import asyncio

    from octo_controller.app import serve
    from octo_controller.settings import ControllerSettings
    from octo_core.telemetry import configure_logging

    settings = ControllerSettings()  # filled from the environment
    configure_logging(settings.log_level, service="octo-controller")
    # What was imported stays, and what the caches hold is no garbage: look through it seldom.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    sys.exit(0 if asyncio.run(serve(settings)) else 1)


if __name__ == "__main__":
    main()
