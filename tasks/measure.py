"""measurement.sales of every day that changed, and measurement.performance as of the run's day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from pandas import DataFrame
from prefect import get_run_logger
from sqlalchemy import Engine

from shopsync.commerce import shop_days
from shopsync.database.day_totals import charge_sums, order_states, replace_day
from shopsync.database.days import clear_dirty_day, dirty_days, mark_days
from shopsync.database.engine import writing
from shopsync.database.leases import acquire, release, renew
from shopsync.database.ledger import last_sold_on, ledger_sums
from shopsync.database.shops import stored_zone
from shopsync.errors import LeaseHeld, LeaseLost
from shopsync.lake import Lake, performance_key, sales_key
from shopsync.measurements import (
    ledger_figures,
    performance,
    performance_parquet,
    sales_parquet,
    windows,
)
from shopsync.patience import Patience
from shopsync.run import Run, ShopProfile
from shopsync.shop_days import DayRange, as_of_day
from shopsync.telemetry import Step
from tasks import connections
from tasks.step import step

LEASE = "measure"
LEASE_TTL = timedelta(seconds=60)
"""
How long a killed run keeps others waiting; it is renewed before and after every write, which takes well under a second.

A write may take longer: the lake is tried again for minutes. It is then too late, not wrong: see `_measured`.
"""


PASSES = 3


@step("measure")
def measure(run: Run, shop: ShopProfile) -> int:
    """Measure every marked day anew, whole, then the performance as of the run's day; return how many days."""
    connections.record(run, Step.MEASURE)

    def days() -> tuple[int, ZoneInfo]:
        _take(run, database)  # once more, if another run took it while a write was slow
        return measure_days(run, database, connections.lake(), ZoneInfo(shop.timezone))

    with connections.database() as database, only_measurer(run, database):
        measured, zone = _patience(run).call(days, (LeaseHeld, LeaseLost))
        measure_performance(run, database, connections.lake(), zone)
    if zone.key != connections.journal(run).last.timezone:
        # The steps after this one, and the report, ask for the day of which the figures are.
        connections.record(run, Step.MEASURE, timezone=zone.key)
    get_run_logger().info("measured %d days, and the performance up to the last complete day", measured)
    return measured


def measure_days(run: Run, database: Engine, lake: Lake, zone: ZoneInfo) -> tuple[int, ZoneInfo]:
    """
    Measure marked days until there are none; return how many, and the zone that cut the last.

    Not for ever: beside a backfill there are always some, and who marks a day measures after it.

    Raises:
        LeaseLost: Another run measures by now; the day that was being written is marked again.
    """
    measured = 0
    for _ in range(PASSES):
        marked = dirty_days(database)
        # After the marks: another run that stores a new zone from here on lets every mark grow.
        zone = stored_zone(database) or zone
        if not marked:
            break
        for day, marks in marked:
            _measured(run, database, lake, day, zone)
            # A mark that grew since it was read means newer sales: the day stays marked.
            clear_dirty_day(database, day, marks)
            measured += 1
    return measured, zone


def _measured(run: Run, database: Engine, lake: Lake, day: date, zone: ZoneInfo) -> None:
    """Write one day with the whole lease ahead; when it may have come too late, over newer figures, mark it again."""
    _renew(run, database)
    try:
        write_sales(database, lake, day, zone)
        _renew(run, database)
    except BaseException:
        # Whoever took the lease may have cleared the mark. A write that failed may have arrived all the same.
        with writing(database) as connection:
            mark_days(connection, [day])
        raise


def measure_performance(run: Run, database: Engine, lake: Lake, zone: ZoneInfo) -> None:
    """
    Write the performance as of the run's day, again if the lease was lost meanwhile.

    An as-of day has no mark, and runs of other days leave it alone: what came too late, over newer figures, would
    stay if this run merely failed and nobody resumed it. So it waits for the lease and writes what the ledger says by
    then.
    """

    def write() -> None:
        _take(run, database)
        write_performance(database, lake, as_of_day(run.requested_at, zone), zone)
        _renew(run, database)

    _patience(run).call(write, (LeaseHeld, LeaseLost))


def _patience(run: Run) -> Patience:
    """Return the patience for the lease, whose budget begins now: a backfill may have begun days ago."""
    budget = timedelta(seconds=connections.settings().retry_budget_s)
    return replace(connections.patience(run), deadline=connections.now() + budget)


def _take(run: Run, database: Engine) -> None:
    acquire(database, LEASE, run.run_id, connections.now(), LEASE_TTL)


def _renew(run: Run, database: Engine) -> None:
    renew(database, LEASE, run.run_id, connections.now(), LEASE_TTL)


def write_sales(database: Engine, lake: Lake, day: date, zone: ZoneInfo) -> None:
    """Write measurement.sales of one shop-local day; a day that became empty gets a file without rows."""
    bounds = DayRange(day, day).bounds(zone)
    figures = ledger_figures(ledger_sums(database, *bounds))
    rows = cast("list[dict[str, Any]]", figures.to_dict("records"))
    totals = shop_days(day, rows, charge_sums(database, *bounds))
    replace_day(database, day, bounds, rows, totals=totals, states=order_states(database, *bounds))
    key = sales_key(day)
    if len(figures) or lake.exists(key):
        lake.put(key, sales_parquet(figures))


def write_performance(database: Engine, lake: Lake, as_of: date, zone: ZoneInfo) -> None:
    """Write measurement.performance as of one shop-local day."""

    def figures(days: DayRange) -> DataFrame:
        return ledger_figures(ledger_sums(database, *days.bounds(zone)))

    cut = windows(as_of)
    frame = performance(
        figures(cut.last_7),
        figures(cut.last_30),
        figures(cut.prev_7),
        figures(cut.prev_30),
        last_sold_on(database, as_of),
    )
    lake.put(performance_key(as_of), performance_parquet(frame))


@contextmanager
def only_measurer(run: Run, database: Engine) -> Iterator[None]:
    """Hold the lease of whoever measures, waiting for another run that has it."""
    _patience(run).call(lambda: _take(run, database), (LeaseHeld,))
    try:
        yield
    finally:
        release(database, LEASE, run.run_id)
