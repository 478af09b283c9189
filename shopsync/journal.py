"""
The journal of a run: its records in sync.telemetry, each an object of its own, written once and in order.

The first record fixes what a run is, its window above all: whoever opens the same run again gets that record back,
whatever time it is by then. A projection (the table `sync_run`) may follow each record; the lake is the truth.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import TypedDict, Unpack

import msgspec

from shopsync.errors import RecordDamaged, RecordDiffers, SyncError
from shopsync.lake import TELEMETRY, Lake, telemetry_key, telemetry_prefix
from shopsync.telemetry import Counts, RunError, RunRecord, Status, Step

logger = logging.getLogger(__name__)

UNCOUNTED = Counts()

Project = Callable[[RunRecord], None]


class Changes(TypedDict, total=False):
    """What a record may say anew; the rest is carried forward from the record before."""

    flow_run_id: str | None
    shop: str | None
    timezone: str | None
    window_start: datetime | None
    window_end: datetime | None
    watermark_after: datetime | None
    bulk_operation_id: str | None
    archive_key: str | None
    roots: int | None
    api_version: str | None
    waiting_until: datetime | None
    error: RunError | None
    differences: list[str] | None


class Journal:
    """One run's records; `last` is the run as it stands."""

    def __init__(self, lake: Lake, last: RunRecord, number: int, project: Project | None) -> None:
        self._lake = lake
        self._number = number
        self._project = project
        self.last = last

    def records(self) -> list[RunRecord]:
        """Return all records of the run, in order, or raise as `read_records` does."""
        return read_records(self._lake, self.last.run_id, self.last.requested_at)

    def append(self, step: Step, *, at: datetime, counts: Counts = UNCOUNTED, **changes: Unpack[Changes]) -> RunRecord:
        """
        Write the run's next record: what changed, on top of what the record before knew.

        Counts are joined: what this step did not count stays as counted. `waiting_until` and `error` hold for one
        record. The status never goes back, except that a run which failed may be resumed; nor does the time, though
        another machine's clock was ahead.

        Raises:
            LakeUnavailable: The record cannot be written.
        """
        before = self.last
        at = max(at, before.at)
        record = msgspec.structs.replace(
            before,
            **{"waiting_until": None, "error": None, **changes},
            step=step,
            status=_status(before.status, step),
            at=at,
            counts=_joined(before.counts, counts),
            duration_s=(at - before.process_initiated_at).total_seconds(),
        )
        return self._write(_in_utc(record))

    def _write(self, record: RunRecord) -> RunRecord:
        while True:
            self._number += 1
            try:
                self._lake.create(_key(record, self._number), _encoded(record))
                break
            except RecordDiffers:  # another process of this run took the number
                continue
        self.last = record
        _projected(record, self._project)
        return record


def open_run(lake: Lake, first: RunRecord, project: Project | None = None) -> Journal:
    """
    Begin a run with its first record, or go on with the run as it was begun: then `first` is not used.

    Raises:
        LakeUnavailable: The lake cannot be read or written.
    """
    first = _in_utc(first)
    try:
        lake.create(_key(first, 0), _encoded(first))
    except RecordDiffers:
        logger.info("run %s goes on as it was begun", first.run_id)
    journal = _newest(lake, _numbered(lake, telemetry_prefix(first.requested_at, first.run_id)), project)
    _projected(journal.last, project)
    return journal


def find_run(lake: Lake, run_id: str, requested_at: datetime, project: Project | None = None) -> Journal | None:
    """
    Return the journal of a run that has begun; None when it has not.

    Raises:
        LakeUnavailable: The lake cannot be read.
        RecordDamaged: The newest record is not one.
    """
    numbered = _numbered(lake, telemetry_prefix(requested_at, run_id))
    return _newest(lake, numbered, project) if numbered else None


def read_records(lake: Lake, run_id: str, requested_at: datetime) -> list[RunRecord]:
    """
    Return all records of a run, in order; none when it has not begun.

    Raises:
        LakeUnavailable: The lake cannot be read.
        RecordDamaged: A record is not one.
    """
    return records_in(lake, telemetry_prefix(requested_at, run_id))


def run_folders(lake: Lake) -> Iterator[str]:
    """Yield the folders of all runs, those of the oldest day first; or raise LakeUnavailable."""
    for day in lake.folders(TELEMETRY):
        yield from lake.folders(day)


def records_in(lake: Lake, folder: str) -> list[RunRecord]:
    """Return the records of a run's folder, in order; or raise as `read_records` does."""
    records = [(number, _read(lake, key)) for number, key in _numbered(lake, folder)]
    return [record for _, record in sorted(records, key=lambda numbered: (numbered[0], numbered[1].at))]


def _numbered(lake: Lake, folder: str) -> list[tuple[int, str]]:
    return [(int(key.rpartition("/")[2].partition("-")[0]), key) for key in lake.list(folder)]


def _newest(lake: Lake, numbered: list[tuple[int, str]], project: Project | None) -> Journal:
    # Two processes of one run may have written different steps under one number.
    top = max(number for number, _ in numbered)
    last = max((_read(lake, key) for number, key in numbered if number == top), key=lambda record: record.at)
    return Journal(lake, last, top, project)


def _read(lake: Lake, key: str) -> RunRecord:
    try:
        return msgspec.json.decode(lake.get(key) or b"", type=RunRecord)
    except msgspec.DecodeError as error:
        raise RecordDamaged(key, str(error)) from error


def _key(record: RunRecord, number: int) -> str:
    return telemetry_key(record.requested_at, record.run_id, number, record.step)


def _encoded(record: RunRecord) -> bytes:
    return msgspec.json.encode(record) + b"\n"


def _status(before: Status, step: Step) -> Status:
    if before is Status.FAILED:
        return step.status
    order = list(Status)
    return max(before, step.status, key=order.index)


def _joined(before: Counts, counted: Counts) -> Counts:
    """Let what was counted now replace what was counted before."""
    names = [field.name for field in fields(Counts)]
    old_and_new = {name: (getattr(before, name), getattr(counted, name)) for name in names}
    return Counts(**{name: old if new is None else new for name, (old, new) in old_and_new.items()})


def _in_utc(record: RunRecord) -> RunRecord:
    times = {name: at for name, at in msgspec.structs.asdict(record).items() if isinstance(at, datetime)}
    return msgspec.structs.replace(record, **{name: at.astimezone(UTC) for name, at in times.items()})


def _projected(record: RunRecord, project: Project | None) -> None:
    if project is None:
        return
    try:
        project(record)
    except SyncError as error:
        # The record is safe in the lake; the projection is caught up by the next record, or rebuilt.
        logger.warning("the record '%s' of run %s was written but not projected: %s", record.step, record.run_id, error)
