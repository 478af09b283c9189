"""Progress artifacts: what Prefect's UI shows while a long step runs."""

from __future__ import annotations

import time
from typing import cast
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

UPDATE_EVERY_S = 2.0
"""An update costs Prefect's server about 20 ms: not for every chunk."""


class Progress:
    """One progress artifact of the running task, and a line in its log, at most every two seconds."""

    def __init__(self, key: str, description: str) -> None:
        self._description = description
        self._artifact = cast("UUID", create_progress_artifact(0.0, key=key, description=description))
        self._next_update = 0.0

    def show(self, done: int, whole: int, description: str) -> None:
        """Show that `done` of `whole` is done."""
        now = time.monotonic()
        if now < self._next_update and done < whole:
            return
        self._next_update = now + UPDATE_EVERY_S
        share = 100.0 * min(done, whole) / whole if whole else 100.0
        update_progress_artifact(self._artifact, share, description=f"{self._description}: {description}")
        get_run_logger().info("%s: %s", self._description, description)

    def finish(self) -> None:
        """Show the step as done."""
        update_progress_artifact(self._artifact, 100.0)
