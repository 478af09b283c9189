"""
A flow run in this process, as a person sees it in a terminal.

Shown are our own lines and the report; Prefect's lines are in its log and its UI. A failure of ours is one line on
the error output, a failure that is nobody's keeps its traceback.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.markdown import Markdown

import flows
import shopsync
import tasks
from shopsync.errors import SyncError
from tasks import connections
from tasks.server import prefect_server

OURS = tuple(Path(package.__path__[0]) for package in (shopsync, tasks, flows))
"""Where a line of the log comes from that is worth showing here."""

AGAIN = "start it again, with the same --run-id to go on where it was"


class Terminated(BaseException):
    """SIGTERM."""


def run(job: Callable[[], None], *, asks_shopify: bool = True) -> int:
    """Check the settings, run a job with quiet logs, and return the process's exit code."""
    # Prefect turns the signal into an exception of its own while a flow runs, and then sends it again.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        settings = connections.settings()
        if asks_shopify:
            settings.require_shop()
        say("==> Running as a Prefect flow (without a server of yours one starts in this process: ten seconds or more)")
        _quieten()
        with prefect_server():
            pass
        job()
    except SyncError as error:
        sys.stderr.write(f"shopsync: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"shopsync: interrupted; {AGAIN}\n")
        return 130
    except Terminated:
        sys.stderr.write(f"shopsync: terminated; {AGAIN}\n")
        return 143
    return 0


def moment(text: str) -> datetime:
    """Read an ISO 8601 time with a zone from the command line."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time such as 2026-11-23T06:00:00Z") from error
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone: write it with Z or an offset")
    return at


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201 - the terminal is who this is for


def show(markdown: str) -> None:
    """Print a report."""
    # Without a terminal (a log, a pipe) the width is a guess: an archive's key should not be broken.
    Console(width=None if sys.stdout.isatty() else 140).print(Markdown(markdown))


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def _quieten() -> None:
    for handler in (*logging.getLogger("prefect").handlers, *logging.getLogger().handlers):
        handler.addFilter(_worth_showing)
        handler.setFormatter(logging.Formatter("    %(asctime)s  %(message)s", "%H:%M:%S"))


def _worth_showing(record: logging.LogRecord) -> bool:
    # Failures are told once, at the end.
    return record.exc_info is None and any(Path(record.pathname).is_relative_to(folder) for folder in OURS)
