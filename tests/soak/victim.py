"""Daily runs in processes that start at once and die when told: forked from one that has imported everything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["flows.daily_sync"])


def start(environ: Mapping[str, str], arguments: Sequence[str], log: Path) -> ForkServerProcess:
    """Start `python -m flows.daily_sync` with these arguments; its output is appended to `log`."""
    process = CONTEXT.Process(target=_run, args=(dict(environ), list(arguments), log))
    process.start()
    return process


def _run(environ: dict[str, str], arguments: list[str], log: Path) -> None:
    from flows.daily_sync import main

    os.environ.clear()
    os.environ.update(environ)
    with log.open("a") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
        sys.exit(main(arguments))
