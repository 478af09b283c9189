"""Two runs that measure at once, or in two zones, leave the figures of the newest sales in the zone of the shop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import Engine

import tasks.measure
from shopsync.database.days import dirty_days
from shopsync.database.leases import acquire, release
from shopsync.database.products import refresh_products
from shopsync.database.shops import remember_shop
from shopsync.database.tables import lease, product, sales_day
from shopsync.errors import LakeUnavailable, LeaseLost
from shopsync.journal import open_run
from shopsync.lake import Lake, performance_key, sales_key
from shopsync.measurements import performance_frame
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Initiator, JobType, RunRecord, Step
from shopsync.window import SyncWindow
from tasks import connections
from tasks.measure import LEASE, LEASE_TTL, measure, measure_days, measure_performance, only_measurer
from tasks.products import refresh_product_figures
from tasks.report import best_as_of
from tests.database import column, load, rows
from tests.factories import order, sale
from tests.factories import product as a_product
from tests.lake_reader import read_sales

ASKED = datetime(2026, 11, 21, 6, tzinfo=UTC)
SOLD = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = SOLD.date()
UTC_ZONE = ZoneInfo("UTC")
WINDOW = SyncWindow(ASKED - timedelta(days=1), ASKED)
RUN = Run("slow", JobType.DAILY, Initiator.USER, ASKED, ASKED, WINDOW, WINDOW, None, False)
SHOP = ShopProfile("tea.myshopify.com", "UTC", "EUR")


class SlowLake(Lake):
    """A lake whose first write of a key hangs, while `meanwhile` happens elsewhere; then it arrives, or fails."""

    def __init__(self, lake: Lake, key: str, meanwhile: Callable[[], object], failure: Exception | None = None) -> None:
        self._lake, self._key, self._failure = lake, key, failure
        self._meanwhile = iter([meanwhile])

    def exists(self, key: str) -> bool:
        return self._lake.exists(key)

    def put(self, key: str, content: bytes) -> None:
        if key == self._key:
            next(self._meanwhile, _nothing)()
        self._lake.put(key, content)
        if self._failure is not None:
            raise self._failure


def _nothing() -> None:
    """Happen not at all."""


class Clock:
    """The time of every run here."""

    def __init__(self) -> None:
        self.at = ASKED

    def now(self) -> datetime:
        return self.at


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still."""
    monkeypatch.setenv("SHOPSYNC_RETRY_BASE_S", "0.05")
    clock = Clock()
    monkeypatch.setattr(connections, "now", clock.now)
    return clock


@pytest.fixture
def database() -> Iterator[Engine]:
    """The database, with one sale of two pieces."""
    with connections.database() as engine:
        load(engine, [order(1, sales=[sale(1, happened_at=SOLD)], products=[a_product()])], zone=UTC_ZONE)
        yield engine


def _another_run(database: Engine, clock: Clock) -> Callable[[], None]:
    """Return what another run does once the lease has expired: it brings a sale, and measures."""

    def overtake() -> None:
        clock.at += LEASE_TTL
        load(database, [order(2, sales=[sale(2, happened_at=SOLD)])], archive="b" * 64, run_id="fast", zone=UTC_ZONE)
        acquire(database, LEASE, "fast", clock.at, LEASE_TTL)
        fast = Run("fast", RUN.job_type, RUN.initiator, ASKED, ASKED, WINDOW, WINDOW, None, False)
        measure_days(fast, database, connections.lake(), UTC_ZONE)
        measure_performance(fast, database, connections.lake(), UTC_ZONE)
        release(database, LEASE, "fast")

    return overtake


def _units(day: date) -> list[int]:
    folder = Path(connections.settings().lake_url.removeprefix("file://"))
    return [int(row["units_sold"]) for row in read_sales(folder).get(day, {}).values()]


def _units_as_of(day: date) -> list[int]:
    return performance_frame(connections.lake().get(performance_key(day)) or b"")["units_sold_7d"].tolist()


def test_day_written_too_late_is_owed(database: Engine, clock: Clock):
    """Old figures that land over another run's newer ones fail their run, and the next measurement repairs them."""
    slow = SlowLake(connections.lake(), sales_key(DAY), _another_run(database, clock))

    with pytest.raises(LeaseLost, match="slow lost the lease 'measure'"), only_measurer(RUN, database):
        measure_days(RUN, database, slow, UTC_ZONE)

    assert ([2], [(DAY, 1)]) == (_units(DAY), dirty_days(database))

    with only_measurer(RUN, database):
        measure_days(RUN, database, connections.lake(), UTC_ZONE)

    assert ([4], []) == (_units(DAY), dirty_days(database))
    assert [4] == column(database, sales_day, "units_sold")


def test_lost_lease_is_taken_again(database: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    """A run that lost the lease during a slow write waits for it, and measures what it owes by then."""
    slow = SlowLake(connections.lake(), sales_key(DAY), _another_run(database, clock))
    first = RunRecord("slow", RUN.job_type, RUN.initiator, ASKED, ASKED, Step.INITIATED, Step.INITIATED.status, ASKED)
    open_run(connections.lake(), first, connections.project)
    monkeypatch.setattr(
        tasks.measure, "measure_days", lambda run, engine, _lake, zone: measure_days(run, engine, slow, zone)
    )

    with disable_run_logger():
        measure.fn(RUN, SHOP)

    assert ([4], []) == (_units(DAY), dirty_days(database))
    assert [] == rows(database, lease)


def test_lease_is_waited_for_however_old_the_run_is(database: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    """A backfill of days may meet a daily run that measures: its budget of patience begins when it has to wait."""
    clock.at += timedelta(days=2)
    acquire(database, LEASE, "fast", clock.at, LEASE_TTL)

    def sleep(_seconds: float) -> None:
        release(database, LEASE, "fast")

    monkeypatch.setattr(time, "sleep", sleep)

    with only_measurer(RUN, database):
        assert ["slow"] == column(database, lease, "owner")


def test_failed_write_is_owed(database: Engine, clock: Clock):
    """A write that the lake seems to have refused may have landed late too: its day is owed again."""
    refused = LakeUnavailable("the lake", "it does not answer")
    slow = SlowLake(connections.lake(), sales_key(DAY), _another_run(database, clock), refused)

    with pytest.raises(LakeUnavailable), only_measurer(RUN, database):
        measure_days(RUN, database, slow, UTC_ZONE)

    assert [(DAY, 1)] == dirty_days(database)


def test_each_write_has_the_whole_lease(database: Engine, clock: Clock):
    """The lease is renewed right before a write, however long ago it was taken."""
    left: list[timedelta] = []
    slow = SlowLake(
        connections.lake(),
        sales_key(DAY),
        lambda: left.extend(row["expires_at"] - clock.at for row in rows(database, lease)),
    )

    with only_measurer(RUN, database):
        clock.at += LEASE_TTL - timedelta(seconds=1)
        measure_days(RUN, database, slow, UTC_ZONE)

    assert [LEASE_TTL] == left


def test_performance_written_too_late_is_repeated(database: Engine, clock: Clock):
    """An as-of day has no mark: who lost the lease while it was written takes it again and writes what is true now."""
    slow = SlowLake(connections.lake(), performance_key(DAY), _another_run(database, clock))

    with only_measurer(RUN, database):
        measure_days(RUN, database, connections.lake(), UTC_ZONE)
        measure_performance(RUN, database, slow, UTC_ZONE)

    assert [4] == _units_as_of(DAY)
    assert [] == rows(database, lease)


def test_zone_that_changed_meanwhile_counts(database: Engine):
    """A sale near midnight, brought by a run that began in the old zone, is on its day in the new one."""
    remember_shop(database, SHOP.domain, "UTC", "EUR", ASKED)
    remember_shop(database, SHOP.domain, "Europe/Berlin", "EUR", ASKED)
    late = order(2, sales=[sale(2, happened_at=SOLD.replace(hour=23, minute=30))])
    load(database, [late], archive="b" * 64, zone=UTC_ZONE)

    with only_measurer(RUN, database):
        measure_days(RUN, database, connections.lake(), UTC_ZONE)

    assert ([2], [2]) == (_units(DAY), _units(DAY + timedelta(days=1)))


def test_zone_stored_during_a_write_owes_it(database: Engine):
    """A zone that is stored while a day is written leaves no day of the old one."""
    remember_shop(database, SHOP.domain, "UTC", "EUR", ASKED)
    load(database, [order(2, sales=[sale(2, happened_at=SOLD.replace(hour=23))])], archive="b" * 64, zone=UTC_ZONE)
    slow = SlowLake(
        connections.lake(),
        sales_key(DAY),
        lambda: remember_shop(database, SHOP.domain, "Europe/Berlin", "EUR", ASKED),
    )

    with only_measurer(RUN, database):
        _, zone = measure_days(RUN, database, slow, UTC_ZONE)

    assert ([2], [2]) == (_units(DAY), _units(DAY + timedelta(days=1)))
    assert "Europe/Berlin" == zone.key


def test_later_steps_ask_for_the_measured_day(database: Engine):
    """The products, and the report, show the day that was measured, in whatever zone that was."""
    remember_shop(database, SHOP.domain, "Pacific/Honolulu", "EUR", ASKED)
    first = RunRecord("slow", RUN.job_type, RUN.initiator, ASKED, ASKED, Step.INITIATED, Step.INITIATED.status, ASKED)
    open_run(connections.lake(), first, connections.project)

    with disable_run_logger():
        measure.fn(RUN, SHOP)
        refresh_product_figures.fn(RUN, SHOP)

    assert [date(2026, 11, 19)] == column(database, product, "metrics_as_of")
    assert "Pacific/Honolulu" == connections.journal(RUN).last.timezone


def test_report_shows_the_runs_own_day(database: Engine):
    """A run that is shown again shows the figures of its own day, not those that the table has by now."""
    remember_shop(database, SHOP.domain, "UTC", "EUR", ASKED)
    with only_measurer(RUN, database):
        measure_days(RUN, database, connections.lake(), UTC_ZONE)
        measure_performance(RUN, database, connections.lake(), UTC_ZONE)
    refresh_products(database, DAY + timedelta(days=40), "EUR", {}, {})

    assert [(2, Decimal("16.8100"))] == [(one.units_sold_7d, one.net_sales_7d) for one in best_as_of(DAY)]


def test_report_without_a_measurement_shows_none(database: Engine):
    """A lake that lost the day, or a database that knows no shop, costs the report its list and nothing else."""
    assert [] == best_as_of(DAY)
