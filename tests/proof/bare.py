"""
The flows without Prefect's server: a step is called as a function, a block is kept in memory, artifacts go nowhere.

A run costs a tenth of a second then, and the flows are the product's own, line by line. What Prefect itself does
(states, results, workers) is not to be seen here: `tests/e2e` is for that.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import Task
from prefect.logging import disable_run_logger

import flows.daily_sync  # noqa: F401 - imported before anything is patched, with all that it imports
import tasks.backfill
import tasks.progress
import tasks.report
import tasks.windows
from tasks import connections, watermark
from tasks.watermark import SyncWatermark

ARTIFACTS = {
    tasks.progress: ("create_progress_artifact", "update_progress_artifact"),
    tasks.windows: ("shown_artifact", "show_artifact"),
    tasks.report: ("create_markdown_artifact", "create_table_artifact"),
    tasks.backfill: ("create_table_artifact",),
}


class Blocks:
    """Where blocks are kept, instead of Prefect's server: `saved` is each watermark by its name."""

    def __init__(self) -> None:
        self.saved: dict[str, SyncWatermark] = {}
        self.touch: Callable[[], None] = lambda: None

    def load(self, name: str) -> SyncWatermark:
        """Return a copy, or say as Prefect does that there is none."""
        self.touch()
        if name not in self.saved:
            raise ValueError(name)
        return self.saved[name].model_copy()

    def save(self, block: SyncWatermark, name: str, overwrite: bool = False) -> None:
        """Keep it."""
        self.touch()
        self.saved[name] = block

    def exclusive(self, _name: str) -> AbstractContextManager[None]:
        """Nobody else is here."""
        return nullcontext()


class _State:
    """As much of a failed state as a retry condition asks for."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    def result(self, raise_on_failure: bool) -> Exception:
        """Return the failure."""
        return self._failure


def call(step: Task[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a step as Prefect's engine does: again after those failures that its condition names."""
    delays = step.retry_delay_seconds if isinstance(step.retry_delay_seconds, list) else []
    for delay_s in delays:
        try:
            return step.fn(*arguments, **named)
        except Exception as failure:
            condition: Any = step.retry_condition_fn
            if condition is None or not condition(step, None, _State(failure)):
                raise
            time.sleep(delay_s)
    return step.fn(*arguments, **named)


class FileBlocks(Blocks):
    """The same in a folder, for processes that die: a block is replaced whole, and written by one at a time."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def load(self, name: str) -> SyncWatermark:
        """Return the block as some process saved it last."""
        path = self._folder / name
        if not path.exists():
            raise ValueError(name)
        return SyncWatermark.model_validate_json(path.read_bytes())

    def save(self, block: SyncWatermark, name: str, overwrite: bool = False) -> None:
        """Keep it for every process."""
        apart = self._folder / f"{name}.{os.getpid()}"
        apart.write_text(json.dumps({"shop": block.shop, "watermark": block.watermark.isoformat()}))
        apart.replace(self._folder / name)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold the lock, which ends with the process."""
        with (self._folder / f"{name}.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


@contextmanager
def without_prefect(blocks: Blocks) -> Iterator[pytest.MonkeyPatch]:
    """Let flows run in this process during the block, as they are; give what more is patched, until its end."""
    with pytest.MonkeyPatch.context() as patch, disable_run_logger():
        patch.setattr(Task, "__call__", call)
        patch.setattr(SyncWatermark, "load", blocks.load)
        patch.setattr(SyncWatermark, "save", lambda block, name, overwrite=False: blocks.save(block, name, overwrite))
        patch.setattr(watermark, "exclusive", blocks.exclusive)
        for module, names in ARTIFACTS.items():
            for name in names:
                patch.setattr(module, name, lambda *_arguments, **_named: uuid4())
        yield patch


@contextmanager
def bare_flows(
    blocks: Blocks,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
    respond: Callable[[httpx.Request], httpx.Response],
) -> Iterator[None]:
    """Let flows run in this process during the block, by this clock, over this shop."""
    client = httpx.Client
    with without_prefect(blocks) as patch:
        patch.setattr(time, "sleep", sleep)
        patch.setattr(connections, "now", now)
        patch.setattr(httpx, "Client", lambda **_: client(transport=httpx.MockTransport(respond)))
        yield
