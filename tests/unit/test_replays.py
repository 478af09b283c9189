"""Which archives a replay reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from shopsync.archive import ArchiveFile, Manifest, write_draft, write_manifest
from shopsync.errors import ArchiveMismatch, ArchiveUnknown, WindowError
from shopsync.lake import Lake, manifest_key, open_lake, raw_archive_key
from shopsync.replays import Choice, chosen_manifests
from shopsync.telemetry import JobType

DAY = timedelta(days=1)
ASKED = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def lake() -> Lake:
    return open_lake("memory://")


def archived(lake: Lake, run_id: str, requested_at: datetime = ASKED, **fields: object) -> Manifest:
    key = raw_archive_key(requested_at, run_id, 7)
    lake.put(key, b"")
    manifest = Manifest(
        run_id=run_id,
        job_type=JobType.DAILY,
        shop="tea.myshopify.com",
        timezone="Europe/Berlin",
        currency="EUR",
        api_version="2026-10",
        requested_at=requested_at,
        operation_id="gid://shopify/BulkOperation/7",
        window_start=requested_at - DAY,
        window_end=requested_at,
        files=(ArchiveFile(key, "ab" * 32, 0, 0, 0, grouped=True),),
    )
    manifest = replace(manifest, **fields)
    write_manifest(lake, manifest)
    return manifest


def test_archive_is_found_by_its_key(lake: Lake) -> None:
    """One archive is chosen by its key, whatever else its run has."""
    manifest = archived(lake, "run-1")
    archived(lake, "run-2")

    assert [manifest] == chosen_manifests(lake, Choice(archive=manifest.files[0].key))


def test_days_are_both_included(lake: Lake) -> None:
    """Archives are chosen by the day on which their runs were asked for, oldest first."""
    days = [archived(lake, f"run-{9 - number}", ASKED + number * DAY) for number in range(4)]

    assert days[1:3] == chosen_manifests(lake, Choice(first_day=date(2026, 11, 24), last_day=date(2026, 11, 25)))


def test_run_of_a_backfill_is_its_windows(lake: Lake) -> None:
    """A backfill has no archive of its own: its windows' archives are its, in the order of the windows."""
    later = archived(lake, "window-1", parent_run_id="backfill")
    earlier = archived(lake, "window-2", parent_run_id="backfill", window_start=ASKED - 9 * DAY)
    archived(lake, "run-1")

    assert [earlier, later] == chosen_manifests(lake, Choice(of_run="backfill"))
    assert [later] == chosen_manifests(lake, Choice(of_run="window-1"))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(), "needs one of"),
        (Choice(archive="a", of_run="b"), "needs one of"),
        (Choice(first_day=date(2026, 11, 1)), "first and the last"),
        (Choice(first_day=date(2026, 11, 2), last_day=date(2026, 11, 1)), "comes after the last"),
    ],
)
def test_senseless_choice_is_refused(lake: Lake, choice: Choice, words: str) -> None:
    """It must be clear what is wanted."""
    with pytest.raises(WindowError, match=words):
        chosen_manifests(lake, choice)


def test_two_shops_are_refused(lake: Lake) -> None:
    """Rows of two shops are never mixed."""
    archived(lake, "run-1")
    archived(lake, "run-2", shop="coffee.myshopify.com")

    with pytest.raises(WindowError, match=r"coffee\.myshopify\.com, tea\.myshopify\.com"):
        chosen_manifests(lake, Choice(first_day=ASKED.date(), last_day=ASKED.date()))


@pytest.mark.parametrize(
    "choice",
    [
        Choice(archive="raw/shopify/orders/date=2026-11-23/run_id=run-9/bulk-7.jsonl.zst"),
        Choice(archive="raw/shopify/orders/date=2026-11-23/run_id=run-1/bulk-9.jsonl.zst"),
        Choice(archive="sync.telemetry/date=2026-11-23/run_id=run-1/0000-initiated.jsonl"),
        Choice(archive="raw/shopify/orders/../../secrets"),
        Choice(of_run="run-9"),
        Choice(first_day=date(2020, 1, 1), last_day=date(2020, 1, 2)),
    ],
)
def test_unknown_archive_is_named(lake: Lake, choice: Choice) -> None:
    """What the lake does not have is named as it was asked for."""
    archived(lake, "run-1")

    with pytest.raises(ArchiveUnknown, match=str(choice)):
        chosen_manifests(lake, choice)


def test_archive_beside_its_manifest_must_be_in_it(lake: Lake) -> None:
    """A file that the manifest does not vouch for is not read."""
    archived(lake, "run-1")
    stray = raw_archive_key(ASKED, "run-1", 8)
    lake.put(stray, b"")

    with pytest.raises(ArchiveMismatch, match="does not name it"):
        chosen_manifests(lake, Choice(archive=stray))


def test_refused_archive_is_found_by_its_key(lake: Lake) -> None:
    """An archive that its run could not read has a draft alone; a repaired parser may read it. Days leave it out."""
    better = archived(lake, "run-1")
    key = raw_archive_key(ASKED, "run-1", 6)
    lake.put(key, b"")
    file = ArchiveFile(key, "ab" * 32, 0, 0, 0, grouped=True)
    draft = replace(better, operation_id="gid://shopify/BulkOperation/6", files=(file,))
    write_draft(lake, key, draft)

    assert [draft] == chosen_manifests(lake, Choice(archive=key))
    assert [better] == chosen_manifests(lake, Choice(first_day=ASKED.date(), last_day=ASKED.date()))


def test_draft_makes_no_manifest_good(lake: Lake) -> None:
    """Where the manifest is of the archive's own operation and does not name it, somebody changed it."""
    changed = archived(lake, "run-1", files=())
    key = raw_archive_key(ASKED, "run-1", 7)
    write_draft(lake, key, replace(changed, files=(ArchiveFile(key, "ab" * 32, 0, 0, 0, grouped=True),)))

    with pytest.raises(ArchiveMismatch, match="does not name it"):
        chosen_manifests(lake, Choice(archive=key))


def test_broken_manifest_is_told(lake: Lake) -> None:
    """A manifest that cannot be read is no reason to leave its archive out silently."""
    lake.put(manifest_key(ASKED, "run-1"), b"{")

    with pytest.raises(ArchiveMismatch, match="cannot be read"):
        chosen_manifests(lake, Choice(first_day=ASKED.date(), last_day=ASKED.date()))
