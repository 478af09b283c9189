"""The stage of a proof, after its first run, and how a fault on it must end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shopsync.errors import SyncError
from tests.proof.stage import Stage, staged
from tests.simulator import Shop

AT = datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A tiny shop whose orders are in, an hour later, with some more of them changed."""
    shop = Shop(seed=5, orders=5, now=AT, days=1)
    with staged(shop, tmp_path) as stage:
        stage.sync()
        shop.clock.advance(timedelta(hours=1))
        shop.trade(4, seed=1)
        shop.clock.advance(timedelta(minutes=10))
        yield stage


def good_again(stage: Stage) -> None:
    """Let an hour pass without faults, and a run come."""
    stage.shop.faults.clear()
    stage.settings.clear()
    stage.skew = timedelta(0)
    stage.shop.clock.advance(timedelta(hours=1))
    stage.sync()


def completes_exactly(stage: Stage) -> None:
    """Let a run come that leaves nothing wrong, and another after it."""
    stage.sync()
    assert [] == stage.wrong()
    good_again(stage)
    assert [] == stage.wrong()


def fails(
    stage: Stage,
    error: type[SyncError],
    words: str | None = None,
    around: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - it holds nothing
    **given: Any,
) -> str:
    """
    Let a run fail with an error, and see that it moves nothing and leaves nothing half written; return its message.

    Args:
        words: A pattern that the message has, if any.
        around: What is out of order while the run runs.
        given: What the run is told.
    """
    with around:
        before = stage.watermark
        with pytest.raises(error, match=words) as failed:
            stage.sync(**given)
        assert before == stage.watermark
    assert [] == stage.wrong_rows() + stage.wrong_days()
    return str(failed.value)


def fails_and_says_so(
    stage: Stage,
    error: type[SyncError],
    words: str | None = None,
    around: AbstractContextManager[object] = nullcontext(),  # noqa: B008 - it holds nothing
    **given: Any,
) -> str:
    """Let a run fail so, and see that its record tells of it and that the next run is exact; return its last step."""
    message = fails(stage, error, words, around, **given)
    told = stage.records()[-1]
    assert ("failed", None) == (told["status"], told["watermark_after"])
    assert (error.__name__, message) == (told["error"]["type"], told["error"]["message"])
    good_again(stage)
    assert [] == stage.wrong()
    return told["error"]["step"]
