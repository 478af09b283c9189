"""
What a run is, as its steps hand it to each other.

A leaf of values: ids, times and windows, never rows or clients. They are fixed by the run's first record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shopsync.telemetry import Initiator, JobType, RunRecord, Status, Step
from shopsync.window import SyncWindow


@dataclass(frozen=True, slots=True)
class Run:
    """
    One run: `whole` is the window that it was begun with, `window` what it asks Shopify for now.

    They differ once an operation outlasted the poll budget and the window was halved.
    """

    run_id: str
    job_type: JobType
    initiator: Initiator
    requested_at: datetime
    process_initiated_at: datetime
    whole: SyncWindow
    window: SyncWindow
    watermark_before: datetime | None
    completed: bool

    @classmethod
    def of(cls, records: Sequence[RunRecord]) -> Run:
        """Return the run that its records tell of; one from before it could begin (its first record) is no part."""
        first = next(record for record in records if record.step is Step.INITIATED)
        last = records[-1]
        return cls(
            first.run_id,
            first.job_type,
            first.initiator,
            first.requested_at,
            first.process_initiated_at,
            _window(first),
            _window(last),
            first.watermark_before,
            last.status is Status.COMPLETED,
        )


@dataclass(frozen=True, slots=True)
class ShopProfile:
    """The shop that a run reads: its permanent domain, the IANA zone that cuts its days, its currency."""

    domain: str
    timezone: str
    currency: str


def _window(record: RunRecord) -> SyncWindow:
    assert record.window_start is not None
    assert record.window_end is not None
    return SyncWindow(record.window_start, record.window_end)
