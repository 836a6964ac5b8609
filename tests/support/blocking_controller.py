"""The controller, with an event loop that SIGUSR1 blocks for good: its signal handler runs where the loop does."""

from __future__ import annotations

import signal
import time

from octo_controller.__main__ import main


def block(*_: object) -> None:
    """Never come back, and leave the other threads alone."""
    while True:
        time.sleep(1)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, block)
    main()
