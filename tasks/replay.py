"""How a replay begins, and the proof that its archives are whole, before anything of them is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec
from prefect import get_run_logger

from shopsync.archive import ArchiveFile, Manifest, read_archive
from shopsync.database.shops import stored_currency, stored_zone
from shopsync.errors import ArchiveMismatch, JsonlError, WindowError
from shopsync.journal import find_run, open_run
from shopsync.replays import Choice, chosen_manifests
from shopsync.run import Run, ShopProfile
from shopsync.shopify.scan import ResultScan
from shopsync.telemetry import Initiator, JobType, RunRecord, Step
from tasks import connections
from tasks.archive import parsed_orders
from tasks.step import step
from tasks.telemetry import first_record, fixed_requested_at


@step("choose archives")
def choose_archives(choice: Choice) -> list[Manifest]:
    """Return the manifests of what was chosen."""
    manifests = chosen_manifests(connections.lake(), choice)
    get_run_logger().info("%d archives of %s are replayed", sum(len(each.files) for each in manifests), choice)
    return manifests


@step("initiate replay")
def initiate_replay(  # noqa: PLR0917 - who asked for what, and when
    run_id: str,
    reason: str,
    manifests: list[Manifest],
    initiator: Initiator,
    requested_at: datetime | None,
    scheduled_start: datetime,
) -> Run:
    """Fix what this replay is; its window is what Shopify was once sent for its archives, first to last."""
    if not reason.strip():
        raise WindowError("a replay needs a reason: its records tell it to whoever looks later")
    requested_at = fixed_requested_at(run_id, requested_at, scheduled_start)
    begun = find_run(connections.lake(), run_id, requested_at)
    files = [file for manifest in manifests for file in manifest.files]
    first = msgspec.structs.replace(
        first_record(run_id, JobType.REPLAY, initiator, requested_at, Step.INITIATED),
        shop=manifests[0].shop,
        timezone=manifests[-1].timezone,
        window_field=manifests[-1].window_field,
        window_start=min(manifest.window.start for manifest in manifests),
        window_end=max(manifest.window.end for manifest in manifests),
        archive_key=files[0].key if len(files) == 1 else None,
        reason=reason.strip(),
    )
    if begun is not None:
        _require_same(begun.records(), first)
    run = Run.of(open_run(connections.lake(), first, connections.project).records())
    return replace(run, tried_since=connections.now())


@step("verify archive")
def verify_archive(manifest: Manifest) -> None:
    """
    Read an archive to its end without writing anything.

    Raises:
        ArchiveMismatch: Its bytes, lines or orders are not those of its manifest.
        JsonlError: A line is not what the query asked for.
    """
    for file in manifest.files:
        _verify(file)


def archived_shop(manifests: list[Manifest]) -> ShopProfile:
    """Return the shop as its archives tell; zone and currency are the database's, if that knows them."""
    newest = manifests[-1]
    with connections.database() as database:
        zone, currency = connections.settings().shop_timezone or stored_zone(database), stored_currency(database)
    return ShopProfile(newest.shop, zone.key if zone else newest.timezone, currency or newest.currency)


def _require_same(records: Sequence[RunRecord], wanted: RunRecord) -> None:
    if records[0].job_type is not JobType.REPLAY:
        raise WindowError(f"run {wanted.run_id} is not a replay: leave run_id out to begin one")
    # The first of all may tell that the replay could not begin: it knows no archives.
    begun = next((record for record in records if record.step is Step.INITIATED), wanted)
    chosen = ("shop", "archive_key", "window_start", "window_end")
    if any(getattr(begun, name) != getattr(wanted, name) for name in chosen):
        raise WindowError(
            f"replay {begun.run_id} was begun over {begun.archive_key or 'other archives'}: choose the same to go on "
            "with it, or leave run_id out to begin another"
        )


def _verify(file: ArchiveFile) -> None:
    lake, scan = connections.lake(), ResultScan()
    if not lake.exists(file.key):
        raise ArchiveMismatch(file.key, "it is not there")
    lines = read_archive(lake, file)
    try:
        for _ in parsed_orders(_seen(lines, scan), file):
            pass
    except JsonlError:
        for _ in lines:  # bytes that are not the manifest's are the better reason: they are told at the end
            pass
        raise
    for what, seen, vouched in (("lines", scan.lines, file.lines), ("orders", scan.roots, file.roots)):
        if seen != vouched:
            raise ArchiveMismatch(file.key, f"it has {seen:,} {what} instead of {vouched:,}")


def _seen(lines: Iterable[bytes], scan: ResultScan) -> Iterator[bytes]:
    for line in lines:
        scan.see(line)
        yield line
