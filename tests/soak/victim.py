"""Runs in processes that start at once and die when told: forked from one that has imported everything."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from prefect.settings import temporary_settings

from tests.e2e.prefect_server import client_settings
from tests.waiting import PATIENCE_S

CHUNKS_LOG = "SOAK_CHUNKS_LOG"
"""Names a file to which a run's process appends a byte for each chunk that it begins; its chunks are small then."""

CONTEXT = get_context("forkserver")
PRELOADED = ["flows.daily_sync", "flows.backfill", "flows.replay", "tests.soak.bare"]
CONTEXT.set_forkserver_preload(PRELOADED)


def start(
    environ: Mapping[str, str], arguments: Sequence[str], log: Path, flow: str = "flows.daily_sync"
) -> ForkServerProcess:
    """Start `python -m flows.daily_sync`, or another flow, with these arguments; its output is appended to `log`."""
    process = CONTEXT.Process(target=_run, args=(dict(environ), list(arguments), log, flow))
    process.start()
    return process


def run(environ: Mapping[str, str], arguments: Sequence[str], log: Path, flow: str) -> tuple[int | None, str]:
    """Run a flow's command to its end; return its exit code and what it said."""
    process = start(environ, arguments, log, flow)
    process.join(PATIENCE_S)
    return process.exitcode, log.read_text()


def _run(environ: dict[str, str], arguments: list[str], log: Path, flow: str) -> None:
    from tests.soak.chunks import small_chunks

    main = import_module(flow).main
    os.environ.clear()
    os.environ.update(environ)
    with log.open("a") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
        # Prefect read its settings when it was imported, before this world's server was there.
        with (
            small_chunks(Path(environ[CHUNKS_LOG])) if CHUNKS_LOG in environ else nullcontext(),
            temporary_settings(client_settings(environ)),
        ):
            sys.exit(main(arguments))
