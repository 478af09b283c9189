"""Runs without Prefect's server: in this process, or in one that is forked and may be killed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from flows.backfill import backfill
from flows.daily_sync import daily_sync
from flows.replay import replay
from tests.e2e.world import environment
from tests.proof.bare import FileBlocks, without_prefect
from tests.soak.chunks import small_chunks
from tests.soak.victim import CHUNKS_LOG, CONTEXT

FLOWS = {"daily": daily_sync, "backfill": backfill, "replay": replay}


def start(
    environ: Mapping[str, str], blocks: Path, kind: str, given: Mapping[str, Any], log: Path
) -> ForkServerProcess:
    """Start a run in a process of its own; its output is appended to `log`."""
    process = CONTEXT.Process(target=_run, args=(dict(environ), blocks, kind, dict(given), log))
    process.start()
    return process


def run(environ: Mapping[str, str], blocks: Path, kind: str, given: Mapping[str, Any]) -> None:
    """Run in this process; a failure is raised."""
    with environment(environ), without_prefect(FileBlocks(blocks)):
        FLOWS[kind].fn(**given)


def _run(environ: dict[str, str], blocks: Path, kind: str, given: dict[str, Any], log: Path) -> None:
    with log.open("a") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    with small_chunks(Path(environ[CHUNKS_LOG])):
        run(environ, blocks, kind, given)
