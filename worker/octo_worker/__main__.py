"""Entry point: with arguments the command line of ``octo_worker.cli``, without them the process of a run's pod."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the process."""
    # Loading makes a hundred thousand objects that stay. To look through them for garbage again and again is a sixth
    # of what a start costs.
    gc.disable()
    if len(sys.argv) > 1:
        from octo_worker.cli import commands

        _collect_from_here_on()
        commands.main(sys.argv[1:])
    from octo_worker import pod

    _collect_from_here_on()
    pod.main()


def _collect_from_here_on() -> None:
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    main()
