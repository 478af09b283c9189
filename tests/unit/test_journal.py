"""A run's records: numbered, written once, carrying forward what is known."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from shopsync.errors import DatabaseUnavailable, RecordDamaged
from shopsync.journal import Journal, find_run, open_run, read_records
from shopsync.lake import Lake, open_lake, telemetry_key, telemetry_prefix
from shopsync.telemetry import Counts, Initiator, JobType, RunError, RunRecord, Status, Step

NOW = datetime(2026, 11, 23, 6, 0, 5, tzinfo=UTC)
FIRST = RunRecord(
    run_id="2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11",
    job_type=JobType.DAILY,
    initiator=Initiator.CRON,
    requested_at=datetime(2026, 11, 23, 6, tzinfo=UTC),
    process_initiated_at=NOW,
    step=Step.INITIATED,
    status=Status.INITIATED,
    at=NOW,
    shop="tea.myshopify.com",
    window_start=NOW - timedelta(days=1),
    window_end=NOW - timedelta(minutes=3),
    watermark_before=NOW - timedelta(hours=23),
)
FOLDER = telemetry_prefix(FIRST.requested_at, FIRST.run_id)


@pytest.fixture
def lake() -> Lake:
    """An empty lake."""
    return open_lake("memory://")


@pytest.fixture
def journal(lake: Lake) -> Journal:
    """The journal of a run that has just begun."""
    return open_run(lake, FIRST)


def after(seconds: int) -> datetime:
    """A moment of the run."""
    return NOW + timedelta(seconds=seconds)


def names(lake: Lake) -> list[str]:
    """The names of the run's objects."""
    return [key.rpartition("/")[2] for key in lake.list(FOLDER)]


class Projection:
    """A projection that remembers the steps it was told, or fails."""

    def __init__(self, failing: bool = False) -> None:
        self.steps: list[Step] = []
        self.failing = failing

    def __call__(self, record: RunRecord) -> None:
        if self.failing:
            raise DatabaseUnavailable("mysql://host/db", "it is down")
        self.steps.append(record.step)


def test_numbers_records_in_order(lake: Lake, journal: Journal) -> None:
    """Each record is an object of its own, named by its number and step."""
    journal.append(Step.REQUEST, at=after(1))
    journal.append(Step.POLL, at=after(2))

    assert names(lake) == ["0000-initiated.jsonl", "0001-request.jsonl", "0002-poll.jsonl"]


def test_record_is_the_contract(lake: Lake) -> None:
    """Other programs read these names; what does not apply is null."""
    open_run(lake, FIRST)

    content = lake.get(telemetry_key(FIRST.requested_at, FIRST.run_id, 0, "initiated")) or b""

    assert content.endswith(b"}\n")
    assert json.loads(content) == {
        "run_id": "2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11",
        "job_type": "DAILY_SYNC_EXECUTE",
        "initiator": "cron",
        "requested_at": "2026-11-23T06:00:00Z",
        "process_initiated_at": "2026-11-23T06:00:05Z",
        "step": "initiated",
        "status": "initiated",
        "at": "2026-11-23T06:00:05Z",
        "flow_run_id": None,
        "shop": "tea.myshopify.com",
        "timezone": None,
        "window_start": "2026-11-22T06:00:05Z",
        "window_end": "2026-11-23T05:57:05Z",
        "watermark_before": "2026-11-22T07:00:05Z",
        "watermark_after": None,
        "bulk_operation_id": None,
        "archive_key": None,
        "counts": dict.fromkeys(
            ("objects", "orders", "line_items", "sales", "products", "unchanged", "removed", "bytes")
        ),
        "waiting_until": None,
        "error": None,
        "duration_s": None,
        "window_field": None,
        "parent_run_id": None,
        "reason": None,
        "roots": None,
        "api_version": None,
        "differences": None,
    }


def test_writes_times_in_utc(lake: Lake) -> None:
    """Times end in Z, however they were given."""
    in_berlin = NOW.astimezone(timezone(timedelta(hours=1)))

    journal = open_run(lake, replace(FIRST, at=in_berlin))
    journal.append(Step.POLL, at=in_berlin)

    assert [json.loads(lake.get(key) or b"")["at"] for key in lake.list(FOLDER)] == ["2026-11-23T06:00:05Z"] * 2


def test_carries_known_facts_forward(journal: Journal) -> None:
    """What a record learned, the next ones still say."""
    journal.append(Step.POLL, at=after(1), bulk_operation_id="gid://shopify/BulkOperation/1")

    record = journal.append(Step.ARCHIVE, at=after(90), archive_key="raw/x")

    assert record == replace(
        FIRST,
        step=Step.ARCHIVE,
        status=Status.DOWNLOADING,
        at=after(90),
        bulk_operation_id="gid://shopify/BulkOperation/1",
        archive_key="raw/x",
        duration_s=90.0,
    )
    assert journal.last == record


def test_joins_counts(journal: Journal) -> None:
    """A step's counts join those before it; a new count replaces the old one, also by zero."""
    journal.append(Step.ARCHIVE, at=after(1), counts=Counts(objects=10, bytes=100, orders=7))

    record = journal.append(Step.UPSERT, at=after(2), counts=Counts(orders=5, removed=0))

    assert record.counts == Counts(objects=10, bytes=100, orders=5, removed=0)


def test_waiting_ends_with_next(journal: Journal) -> None:
    """`waiting_until` holds for the record that says it."""
    waiting = journal.append(Step.REQUEST, at=after(1), waiting_until=after(61))

    going_on = journal.append(Step.REQUEST, at=after(61))

    assert (waiting.waiting_until, going_on.waiting_until) == (after(61), None)


def test_status_never_goes_back(journal: Journal) -> None:
    """A run that asks for a second operation still shows what it had reached."""
    journal.append(Step.POLL, at=after(1))

    record = journal.append(Step.REQUEST, at=after(2))

    assert record.status is Status.POLLING


def test_time_never_goes_back(journal: Journal) -> None:
    """A record after that of a machine whose clock is ahead bears that one's time, for readers that sort by it."""
    journal.append(Step.POLL, at=after(300))

    record = journal.append(Step.COMPLETED, at=after(60))

    assert (record.at, record.duration_s) == (after(300), 300.0)


def test_failed_run_may_resume(journal: Journal) -> None:
    """After its failure a resumed run shows the step it is at, and no error."""
    error = RunError("LakeUnavailable", "the lake fails", step="archive")
    failed = journal.append(Step.FAILED, at=after(1), error=error)

    resumed = journal.append(Step.ARCHIVE, at=after(100))

    assert (failed.status, failed.error) == (Status.FAILED, error)
    assert (resumed.status, resumed.error) == (Status.DOWNLOADING, None)


def test_first_record_wins(lake: Lake) -> None:
    """A run that is opened again, later and by another process, is the run as it was begun."""
    open_run(lake, FIRST)

    again = open_run(lake, replace(FIRST, at=after(600), window_end=after(500), process_initiated_at=after(600)))

    assert again.last == FIRST
    assert names(lake) == ["0000-initiated.jsonl"]


def test_resumed_run_goes_on_numbering(lake: Lake, journal: Journal) -> None:
    """A new process continues after what is there."""
    journal.append(Step.POLL, at=after(1), bulk_operation_id="gid://shopify/BulkOperation/1")

    resumed = open_run(lake, FIRST)
    resumed.append(Step.ARCHIVE, at=after(2))

    assert names(lake)[-1] == "0002-archive.jsonl"
    assert resumed.last.bulk_operation_id == "gid://shopify/BulkOperation/1"


def test_racing_record_takes_next_number(lake: Lake, journal: Journal) -> None:
    """Two processes of one run lose no record to each other."""
    rival = open_run(lake, FIRST)
    rival.append(Step.POLL, at=after(1))

    journal.append(Step.POLL, at=after(2))

    assert names(lake) == ["0000-initiated.jsonl", "0001-poll.jsonl", "0002-poll.jsonl"]


def test_rivals_are_ordered_by_time(lake: Lake, journal: Journal) -> None:
    """Under one number two steps may stand: the later one is the newest."""
    rival = open_run(lake, FIRST)
    rival.append(Step.ARCHIVE, at=after(9))
    journal.append(Step.POLL, at=after(2))

    steps = [record.step for record in journal.records()]

    assert steps == [Step.INITIATED, Step.POLL, Step.ARCHIVE]
    assert open_run(lake, FIRST).last.step is Step.ARCHIVE


def test_finds_no_unknown_run(lake: Lake) -> None:
    """A run that has not begun has no journal and no records."""
    assert find_run(lake, FIRST.run_id, FIRST.requested_at) is None
    assert read_records(lake, FIRST.run_id, FIRST.requested_at) == []


def test_finds_a_begun_run(lake: Lake, journal: Journal) -> None:
    """A task that knows the run's identity finds it as it stands."""
    record = journal.append(Step.POLL, at=after(1))

    found = find_run(lake, FIRST.run_id, FIRST.requested_at)

    assert found is not None
    assert found.last == record


def test_damaged_record_is_named(lake: Lake, journal: Journal) -> None:
    """A record that cannot be read stops whoever needs it, with its key."""
    lake.put(f"{FOLDER}/0001-poll.jsonl", b'{"run_id":')

    with pytest.raises(RecordDamaged, match=r"0001-poll\.jsonl is not a run record"):
        journal.records()


def test_projects_after_each_record(lake: Lake) -> None:
    """Whoever opens a run projects it anew, so that a lost projection heals."""
    projection = Projection()

    open_run(lake, FIRST, projection).append(Step.POLL, at=after(1))
    open_run(lake, FIRST, projection)

    assert projection.steps == [Step.INITIATED, Step.POLL, Step.POLL]


def test_failing_projection_loses_nothing(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    """The record is in the lake when the database is down, and the log tells it."""
    journal = open_run(lake, FIRST, Projection(failing=True))

    journal.append(Step.FAILED, at=after(1))

    assert names(lake) == ["0000-initiated.jsonl", "0001-failed.jsonl"]
    assert "'failed' of run 2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11 was written but not projected" in caplog.text
