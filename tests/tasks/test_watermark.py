"""What a run that brought orders in makes of the watermark's block, and what it says of that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prefect.logging import disable_run_logger

from shopsync.database.leases import acquire
from shopsync.errors import WindowError
from shopsync.journal import open_run
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Initiator, JobType, RunRecord, Status, Step
from tasks import connections, turn, watermark
from tasks.watermark import SyncWatermark, advance_watermark

ASKED = datetime(2026, 11, 21, 6, tzinfo=UTC)
BEGAN = ASKED - timedelta(days=1)
REACHED = ASKED - timedelta(hours=1)
SHOP = ShopProfile("x.myshopify.com", "UTC", "EUR")

Blocks = dict[str, SyncWatermark]


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> Blocks:
    """Blocks as Prefect would keep them: the watermark is where the run begins."""
    kept = {"orders": SyncWatermark(shop=SHOP.domain, watermark=BEGAN)}
    monkeypatch.setattr(watermark, "exclusive", nullcontext)
    monkeypatch.setattr(watermark, "load", kept.get)
    monkeypatch.setattr(SyncWatermark, "save", lambda block, name, overwrite: kept.update({name: block}))
    return kept


@pytest.fixture
def run() -> Run:
    """A daily run that has its turn."""
    first = RunRecord(
        "r1",
        JobType.DAILY,
        Initiator.USER,
        ASKED,
        ASKED,
        Step.INITIATED,
        Status.INITIATED,
        ASKED,
        window_start=BEGAN - timedelta(minutes=5),
        window_end=ASKED,
        watermark_before=BEGAN,
    )
    run = Run.of(open_run(connections.lake(), first).records())
    with connections.database() as database:
        acquire(database, turn.lease_name(run, SHOP), run.run_id, connections.now(), timedelta(minutes=5))
    return run


def advanced(run: Run, fetched: datetime | None = REACHED) -> datetime | None:
    with disable_run_logger():
        return advance_watermark.fn(run, SHOP, run.whole, fetched)


def test_block_moves_to_what_was_fetched(run: Run, blocks: Blocks):
    """MAX(updated_at) of the archive is the watermark."""
    assert REACHED == advanced(run)
    assert REACHED == blocks["orders"].watermark


@pytest.mark.parametrize("fetched", [REACHED, None])
def test_what_was_set_back_meanwhile_stays(run: Run, blocks: Blocks, fetched: datetime | None):
    """An operator sets the watermark back while a run is at work: the run leaves it, and says that it did not move."""
    back = BEGAN - timedelta(days=60)
    blocks["orders"] = SyncWatermark(shop=SHOP.domain, watermark=back)

    assert advanced(run, fetched) is None
    assert back == blocks["orders"].watermark


def killed_after_saving(save: Callable[..., object]) -> Callable[..., None]:
    """Return the saving of a block that is followed by the end of the process."""

    def saved(*given: object, **named: object) -> None:
        save(*given, **named)
        raise KeyboardInterrupt

    return saved


def test_killed_right_after_the_block_was_moved(run: Run, blocks: Blocks, monkeypatch: pytest.MonkeyPatch):
    """A run that goes on after that says that it moved the watermark, so that its follow-up starts."""
    with monkeypatch.context() as patch:
        patch.setattr(SyncWatermark, "save", killed_after_saving(SyncWatermark.save))
        with pytest.raises(KeyboardInterrupt):
            advanced(run)

    assert REACHED == blocks["orders"].watermark
    assert REACHED == advanced(run)


def test_others_move_is_not_claimed(run: Run, blocks: Blocks):
    """Where another run has brought the block as far, or further, this run did not move it."""
    blocks["orders"] = SyncWatermark(shop=SHOP.domain, watermark=REACHED)

    assert advanced(run) is None


def test_empty_window_moves_nothing(run: Run, blocks: Blocks):
    """A run that fetched nothing says so each time that it comes here."""
    assert advanced(run, None) is None
    assert advanced(run, None) is None
    assert BEGAN == blocks["orders"].watermark


@pytest.mark.parametrize("job_type", [JobType.BACKFILL, JobType.REPLAY])
def test_only_daily_runs_move_the_watermark(job_type: JobType, run: Run, blocks: Blocks):
    """Whatever led there: a run that did not ask for all that changed is refused before anything is written."""
    before = connections.journal(run).records()

    with pytest.raises(WindowError, match="is not a daily run"):
        advanced(replace(run, job_type=job_type))

    assert BEGAN == blocks["orders"].watermark
    assert before == connections.journal(run).records()
