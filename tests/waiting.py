"""Waiting for what must come, for as long as a slow and busy machine may need."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 600.0
"""Only a test that fails waits for so long."""

Found = TypeVar("Found")


def until(met: Callable[[], Found | None], ended: Callable[[], object] = lambda: None, look_s: float = 0.01) -> Found:
    """
    Look until there is something, and return it.

    Args:
        met: Gives what is wanted, or nothing yet.
        ended: Gives what the process that should bring it said, once it has ended.
        look_s: The pause between two looks.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (found := met()):
        said = ended()
        assert said is None or met(), f"it ended before: {said}"
        assert time.monotonic() < deadline, f"it did not come in {PATIENCE_S:.0f} s"
        time.sleep(look_s)
    return found
