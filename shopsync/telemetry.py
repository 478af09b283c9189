"""
What shopsync says of a run: the records of sync.telemetry.

A leaf of shapes. `shopsync/journal.py` writes them to the lake and projects them into `sync_run`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

import msgspec

from shopsync.window import WindowField


class JobType(StrEnum):
    """The kind of a run."""

    DAILY = "DAILY_SYNC_EXECUTE"
    BACKFILL = "FULL_BACKFILL_EXECUTE"
    REPLAY = "REPLAY_EXECUTE"


class Initiator(StrEnum):
    """Who asked for a run."""

    CRON = "cron"
    USER = "user"


class Status(StrEnum):
    """What staff see of a run, in this order."""

    INITIATED = "initiated"
    POLLING = "polling"
    DOWNLOADING = "downloading"
    UPSERTING = "upserting"
    COMPLETED = "completed"
    FAILED = "failed"


class Step(StrEnum):
    """
    The steps of a run, each with a record at its start; a run ends with `completed` or `failed`.

    `windows` is a backfill's own: its windows are runs with records of their own.
    """

    INITIATED = "initiated"
    WINDOWS = "windows"
    REQUEST = "request"
    POLL = "poll"
    ARCHIVE = "archive"
    UPSERT = "upsert"
    EVENTS = "events"
    MEASURE = "measure"
    PRODUCTS = "products"
    WATERMARK = "watermark"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def status(self) -> Status:
        """What staff see while this step runs."""
        return _STATUS.get(self, Status.UPSERTING)


_STATUS = {
    Step.INITIATED: Status.INITIATED,
    Step.REQUEST: Status.INITIATED,
    Step.WINDOWS: Status.POLLING,
    Step.POLL: Status.POLLING,
    Step.ARCHIVE: Status.DOWNLOADING,
    Step.COMPLETED: Status.COMPLETED,
    Step.FAILED: Status.FAILED,
}


@dataclass(frozen=True, slots=True)
class Counts:
    """
    What a run moved; None where a step has not counted yet.

    `objects` and `bytes` are Shopify's (lines and length of the uncompressed JSONL). `orders`, `line_items` and
    `sales` were in it; of these orders `unchanged` were already here as fetched. `removed` counts lines and sales
    that their orders no longer have, `products` the rows of that table whose figures changed.
    """

    objects: int | None = None
    orders: int | None = None
    line_items: int | None = None
    sales: int | None = None
    products: int | None = None
    unchanged: int | None = None
    removed: int | None = None
    bytes: int | None = None

    def plus(self, other: Counts) -> Counts:
        """Return both together; what neither counted stays uncounted."""
        names = [field.name for field in fields(self)]
        both = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return Counts(
            **{name: None if (a, b) == (None, None) else (a or 0) + (b or 0) for name, (a, b) in both.items()}
        )


class RunError(msgspec.Struct, frozen=True):
    """Why a run failed; `step` is where, `line` counts from 1 within the archive."""

    type: str
    message: str
    step: str | None = None
    archive_key: str | None = None
    line: int | None = None


class RunRecord(msgspec.Struct, frozen=True):
    """
    One line of sync.telemetry: the run as it stood at `at`.

    Times are aware UTC, `duration_s` the seconds since the run was initiated; None where a field does not apply.
    `window_field` is what the window cuts, `parent_run_id` the backfill of which this run is one window, `reason` what
    an operator gave for it. `roots` is how many orders Shopify counted in the archive, `api_version` the version of
    the API that served it. `differences` tell where orders differed from Shopify's when the run had brought them in;
    none when all was the same, None when nobody compared.
    """

    run_id: str
    job_type: JobType
    initiator: Initiator
    requested_at: datetime
    process_initiated_at: datetime
    step: Step
    status: Status
    at: datetime
    flow_run_id: str | None = None
    shop: str | None = None
    timezone: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    watermark_before: datetime | None = None
    watermark_after: datetime | None = None
    bulk_operation_id: str | None = None
    archive_key: str | None = None
    counts: Counts = Counts()
    waiting_until: datetime | None = None
    error: RunError | None = None
    duration_s: float | None = None
    window_field: WindowField | None = None
    parent_run_id: str | None = None
    reason: str | None = None
    roots: int | None = None
    api_version: str | None = None
    differences: list[str] | None = None
