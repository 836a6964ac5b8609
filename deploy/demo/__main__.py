"""The command line of the demo."""

from __future__ import annotations

import argparse
import sys

from deploy.demo import down, up
from deploy.demo.shell import DemoError, say


def main() -> int:
    """Run one command; the exit code is 1 where anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"], help="make the demo and run a job, or remove it all")
    try:
        {"up": up.run_demo, "down": down.remove_demo}[parser.parse_args().command]()
    except DemoError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
