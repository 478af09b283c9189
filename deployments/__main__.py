"""
What operators run against the Prefect server of the environment.

    python -m deployments watermark show
    python -m deployments watermark set 2026-11-23T06:00:00Z
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime

from flows.command_line import moment, say
from shopsync.errors import SyncError, WindowError
from shopsync.window import stamp
from tasks import connections, watermark


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; a failure of ours is one line, and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description="Prepare and steer the Prefect server.")
    commands = parser.add_subparsers(dest="command", required=True)
    actions = commands.add_parser("watermark", help="read or set the watermark block").add_subparsers(
        dest="action", required=True
    )
    actions.add_parser("show", help="print the block")
    setting = actions.add_parser("set", help="move the watermark, back included; the next run starts there")
    setting.add_argument("at", type=moment, metavar="ISO8601", help="all orders updated up to this moment are in")
    given = parser.parse_args(arguments)
    try:
        return show_watermark() if given.action == "show" else set_watermark(given.at)
    except SyncError as error:
        sys.stderr.write(f"shopsync: {error}\n")
        return 1


def show_watermark() -> int:
    """Print where the watermark stands; exit code 1 when there is none."""
    name = connections.settings().watermark_block
    block = watermark.load(name)
    if block is None:
        say(f"The block '{name}' does not exist yet: the first completed run makes it, starting 128 days back.")
        return 1
    say(f"{stamp(block.watermark)}  {block.shop}  (block '{name}')")
    return 0


def set_watermark(at: datetime) -> int:
    """Set the block, and record it in the database, so that the two agree."""
    if at > connections.now():
        raise WindowError(f"{stamp(at)} lies in the future: orders that do not exist yet cannot be in")
    name = connections.settings().watermark_block
    shop = watermark.put(name, at)
    say(f"The watermark of {shop} is {stamp(at)} now (block '{name}').")
    return 0


if __name__ == "__main__":
    sys.exit(main())
