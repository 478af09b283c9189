"""
What a run is, as its steps hand it to each other.

A leaf of values: ids, times and windows, never rows or clients. They are fixed by the run's first record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from shopsync.telemetry import Initiator, JobType, RunRecord, Status, Step
from shopsync.window import SyncWindow, WindowField


@dataclass(frozen=True, slots=True)
class Run:
    """
    One run: `whole` is the window that it was begun with, `window` what it asks Shopify for now.

    They differ once the window was halved because Shopify, or this process, would have taken too long for the whole.
    `parent_run_id` is the backfill of which the run is one window; `tried_since` is when a flow run set out to do what
    the run is about, which may be days after its first start.
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
    parent_run_id: str | None = None
    tried_since: datetime | None = None

    @property
    def patient_since(self) -> datetime:
        """From when its budget of patience counts, unless its flow run goes on in another process."""
        return self.tried_since or self.process_initiated_at

    @classmethod
    def of(cls, records: Sequence[RunRecord]) -> Run:
        """Build a run from its records; a refusal written before the run began is skipped."""
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
            first.parent_run_id,
        )


@dataclass(frozen=True, slots=True)
class ShopProfile:
    """The shop that a run reads: its permanent domain, the IANA zone that cuts its days, its currency."""

    domain: str
    timezone: str
    currency: str


def going_on_since(records: Sequence[RunRecord], flow_run_id: str | None) -> datetime | None:
    """
    Return from when the budget counts of a flow run that goes on: its first record since the run last failed.

    None when it has none: by its id or by *Retry* somebody set out anew.
    """
    last = takewhile(
        lambda each: each.status is not Status.FAILED and each.flow_run_id == flow_run_id, reversed(records)
    )
    return min((each.at for each in last), default=None)


def _window(record: RunRecord) -> SyncWindow:
    assert record.window_start is not None
    assert record.window_end is not None
    return SyncWindow(record.window_start, record.window_end, record.window_field or WindowField.UPDATED)
