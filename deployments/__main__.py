"""
What operators run against the Prefect server, the database and the lake of the environment.

    python -m deployments apply
    python -m deployments check
    python -m deployments reconcile --every 20
    python -m deployments rebuild-runs
    python -m deployments watermark show
    python -m deployments watermark set 2026-11-23T06:00:00Z
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime

from deployments import preparation, reconcile
from flows.command_line import moment, say
from shopsync import rebuild
from shopsync.errors import RecordDamaged, SyncError, WindowError
from shopsync.window import stamp
from tasks import connections, watermark


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; a failure of ours is one line, and exit code 1."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments", description="Prepare the Prefect server, and steer the runs."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    actions = commands.add_parser("watermark", help="read or set the watermark block").add_subparsers(
        dest="action", required=True
    )
    actions.add_parser("show", help="print the block")
    setting = actions.add_parser("set", help="move the watermark, back included; the next run starts there")
    setting.add_argument("at", type=moment, metavar="ISO8601", help="all orders updated up to this moment are in")
    commands.add_parser("apply", help="bring the Prefect server up to the files and the settings; safe to run twice")
    commands.add_parser("check", help="name each difference between the Prefect server and the files")
    reconciling = commands.add_parser("reconcile", help="record runs that died unseen, and start crashed ones again")
    reconciling.add_argument("--every", type=float, metavar="S", help="do it every so many seconds; default: once")
    commands.add_parser(
        "rebuild-runs", help="make the list of runs in the database anew from their records in the lake"
    )
    given = parser.parse_args(arguments)
    try:
        return run(given)
    except SyncError as error:
        sys.stderr.write(f"shopsync: {error}\n")
        return 1


def run(given: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    match given.command:
        case "apply":
            preparation.apply(os.environ, say)
            return 0
        case "check":
            return 1 if preparation.check(os.environ, say) else 0
        case "reconcile":
            if given.every is not None:
                reconcile.forever(given.every, say)
            reconcile.once(say)
            return 0
        case "rebuild-runs":
            return rebuild_runs()
        case _:
            return show_watermark() if given.action == "show" else set_watermark(given.at)


def rebuild_runs() -> int:
    """Project sync.telemetry anew; exit code 1 when a run was left as it is."""
    damaged: list[RecordDamaged] = []
    with connections.database() as database:
        rebuilt = rebuild.rebuild_runs(connections.lake(), database, damaged.append)
    for damage in damaged:
        sys.stderr.write(f"shopsync: {damage}\n")
    say(f"{rebuilt:,} runs are in the database as sync.telemetry tells them; {len(damaged)} were left as they are.")
    return 1 if damaged else 0


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
