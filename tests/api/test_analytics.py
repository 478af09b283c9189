"""`/analytics` as staff's dashboards read it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace
from sqlalchemy import Engine

from shopsync.commerce import shop_days
from shopsync.database.day_totals import charge_sums, order_states, replace_day
from shopsync.database.products import refresh_products
from shopsync.database.runs import project
from shopsync.database.shops import remember_shop
from shopsync.database.watermarks import record_advance
from shopsync.records import ProductFigures
from shopsync.shop_days import DayRange
from shopsync.telemetry import Counts, Initiator, JobType, RunError, RunRecord, Step
from shopsync.window import WindowField
from tests.api.conftest import NOW
from tests.api.prefect import FakePrefect
from tests.factories import NOON

TODAY = date(2026, 11, 20)
BERLIN = ZoneInfo("Europe/Berlin")
OVERVIEW = "/analytics/commerce/overview"
DAY = {"start": "2026-11-20", "end": "2026-11-20"}


def _ran(database: Engine, step: Step = Step.COMPLETED, ago: timedelta = timedelta(hours=6), **fields: Any) -> None:
    at = NOW - ago
    begun = RunRecord(f"run-{ago}", JobType.DAILY, Initiator.CRON, at, at, Step.INITIATED, Step.INITIATED.status, at)
    project(database, replace(begun, window_start=at - timedelta(days=128), window_end=at))
    end = at + timedelta(minutes=5)
    project(database, replace(begun, step=step, status=step.status, at=end, **fields))


@pytest.fixture
def measured(seeded: Engine) -> Engine:
    """The seeded orders in a shop in Berlin, their day measured: seven sales of 20.00, of which 3.19 tax."""
    remember_shop(seeded, "tea.myshopify.com", "Europe/Berlin", "EUR", NOON)
    bounds = DayRange(TODAY, TODAY).bounds(BERLIN)
    row = {
        "product_id": 7,
        "currency": "EUR",
        "orders": 7,
        "units_sold": 14,
        "units_returned": 0,
        "gross_sales": Decimal("117.67"),
        "discounts": Decimal(0),
        "returns": Decimal(0),
        "net_sales": Decimal("117.67"),
        "tax": Decimal("22.33"),
    }
    totals = shop_days(TODAY, [row], charge_sums(seeded, *bounds))
    replace_day(seeded, TODAY, bounds, [row], totals=totals, states=order_states(seeded, *bounds))
    figures = {7: ProductFigures(14, 14, Decimal("117.67"), Decimal("117.67"))}
    refresh_products(seeded, TODAY, "EUR", figures, {7: TODAY})
    return seeded


def test_figures_of_a_day(viewer: TestClient[Any], measured: Engine) -> None:
    """Sales in the shop's currency as decimal strings, orders and customers."""
    answer = viewer.get(OVERVIEW, params=DAY).json()
    (sales,) = answer["sales"]

    assert ("EUR", "117.67", "22.33", "140.00") == (
        sales["currency"],
        sales["current"]["net_sales"],
        sales["current"]["taxes"],
        sales["current"]["total_sales"],
    )
    assert (7, "16.81") == (sales["current"]["orders"], sales["current"]["average_order_value"])
    assert (7, 1, 0) == tuple(
        answer["orders"]["current"][name] for name in ("created", "new_customers", "returning_customers")
    )
    assert ("2026-11-19", "Europe/Berlin") == (answer["previous_start"], answer["timezone"])
    assert (7, 0) == (answer["backlog"]["unfulfilled"], answer["backlog"]["aged"])


def test_series_has_every_day(viewer: TestClient[Any], measured: Engine) -> None:
    """A day without sales has zeros."""
    days = viewer.get(OVERVIEW, params={"start": "2026-11-18", "end": "2026-11-20"}).json()["sales"][0]["days"]

    assert [("2026-11-18", "0.00"), ("2026-11-19", "0.00"), ("2026-11-20", "117.67")] == [
        (day["day"], day["net_sales"]) for day in days
    ]


def test_best_products_have_both_windows(viewer: TestClient[Any], measured: Engine) -> None:
    """With the day that they are of."""
    (best,) = viewer.get(OVERVIEW, params=DAY).json()["top_products"]

    assert ("7", "117.67", 14, "2026-11-20") == tuple(
        best[name] for name in ("product_id", "net_sales_7d", "units_sold_30d", "as_of")
    )


def test_default_is_thirty_complete_days(viewer: TestClient[Any], measured: Engine) -> None:
    """Up to the last day of the shop that is over: at midnight UTC it is the next day in Berlin."""
    answer = viewer.get(OVERVIEW).json()

    assert ("2026-10-22", "2026-11-20") == (answer["start"], answer["end"])


def test_freshness_is_said(viewer: TestClient[Any], measured: Engine) -> None:
    """Data is as of the end of the last completed daily window; days that are owed are counted."""
    _ran(measured)

    answer = viewer.get(OVERVIEW, params=DAY).json()

    assert ("2026-11-20T18:00:00Z", False, 1) == (answer["data_as_of"], answer["stale"], answer["owed_days"])


@pytest.mark.parametrize("hours", [27, 50])
def test_old_data_is_stale(viewer: TestClient[Any], measured: Engine, hours: int) -> None:
    """More than 26 hours after the last window."""
    _ran(measured, ago=timedelta(hours=hours))

    assert viewer.get(OVERVIEW, params=DAY).json()["stale"]


@pytest.mark.parametrize(("end", "partial"), [("2026-11-19", False), ("2026-11-20", True)])
def test_unfinished_period_is_said(viewer: TestClient[Any], measured: Engine, end: str, partial: bool) -> None:
    """A day that the data does not reach the end of has more to come."""
    _ran(measured)

    assert partial is viewer.get(OVERVIEW, params={"start": "2026-11-18", "end": end}).json()["partial"]


LAST_WEEKS = {"start": "2026-11-06", "end": "2026-11-19"}
"""Two weeks in Berlin, from 2026-11-05 23:00 UTC; the two before them from 2026-10-22 22:00."""


@pytest.mark.parametrize(
    ("since", "partial", "previous"),
    [
        ("2026-10-22T22:00:00Z", False, False),
        ("2026-10-22T22:00:01Z", False, True),
        ("2026-11-05T23:00:00Z", False, True),
        ("2026-11-05T23:00:01Z", True, True),
    ],
)
def test_fragments_of_before_are_said(
    viewer: TestClient[Any], measured: Engine, since: str, partial: bool, previous: bool
) -> None:
    """What lies before the first run's window is there in part only, and so is what is compared with it."""
    _ran(measured, window_start=datetime.fromisoformat(since))

    answer = viewer.get(OVERVIEW, params=LAST_WEEKS).json()

    assert (since, partial, previous) == (answer["complete_since"], answer["partial"], answer["previous_partial"])


def test_backfill_completes_the_past(viewer: TestClient[Any], measured: Engine) -> None:
    """By creation, up to the first run's window; one that has not completed brings nothing yet."""
    first = NOW - timedelta(days=20)
    backfill = {"job_type": JobType.BACKFILL, "window_field": WindowField.CREATED, "window_end": first}
    _ran(measured, window_start=first)
    _ran(measured, ago=timedelta(hours=4), window_start=datetime(2020, 1, 1, tzinfo=UTC), **backfill)
    _ran(measured, Step.FAILED, timedelta(hours=3), window_start=datetime(2010, 1, 1, tzinfo=UTC), **backfill)

    answer = viewer.get(OVERVIEW, params=LAST_WEEKS).json()

    assert ("2020-01-01T00:00:00Z", False, False) == (
        answer["complete_since"],
        answer["partial"],
        answer["previous_partial"],
    )


def test_repetition_for_an_earlier_day_counts(viewer: TestClient[Any], measured: Engine) -> None:
    """What is in is in, whatever day the run was asked for: the furthest window counts, not the newest request."""
    _ran(measured, ago=timedelta(hours=30))
    _ran(measured, ago=timedelta(hours=3), requested_at=NOW - timedelta(days=3))

    answer, daily = viewer.get(OVERVIEW, params=DAY).json(), _daily(viewer)

    assert ("2026-11-20T21:00:00Z", False) == (answer["data_as_of"], answer["stale"])
    assert ("ok", "2026-11-20T21:00:00Z", "2026-11-20T21:05:00Z") == (
        daily["health"],
        daily["data_as_of"],
        daily["last_success_at"],
    )


def test_equal_products_keep_their_order(viewer: TestClient[Any], measured: Engine) -> None:
    """Of those that sold as much the newer id is first, so that an unchanged answer stays unchanged."""
    figures = {number: ProductFigures(1, 1, Decimal(5), Decimal(5)) for number in (8, 9)}
    refresh_products(measured, TODAY, "EUR", figures, {8: TODAY, 9: TODAY})

    best = viewer.get(OVERVIEW, params=DAY).json()["top_products"]

    assert ["9", "8"] == [product["product_id"] for product in best]


def test_mistake_is_told_before_the_first_run(viewer: TestClient[Any]) -> None:
    """A period that makes no sense is one, whether there are figures or not."""
    answer = viewer.get(OVERVIEW, params={"start": "yesterday"})

    assert (400, ["start"]) == (answer.status_code, [error["field"] for error in answer.json()["errors"]])


def test_without_a_run_there_is_nothing(viewer: TestClient[Any]) -> None:
    """A database that knows no shop has no figures."""
    assert 404 == viewer.get(OVERVIEW).status_code


@pytest.mark.parametrize(
    ("period", "field", "problem"),
    [
        ({"start": "2026-11-20", "end": "2026-11-19"}, "start", "it lies after the end, 2026-11-19"),
        ({"start": "2023-01-01"}, "start", "a period has at most 731 days, none before 2000-01-01"),
        ({"end": "2026-12-24"}, "end", "it must lie between 2000-01-01 and 2026-11-22, the shop's tomorrow"),
        ({"end": "1999-12-31"}, "end", "it must lie between 2000-01-01 and 2026-11-22, the shop's tomorrow"),
        ({"start": "yesterday"}, "start", "it is no day such as 2026-11-20"),
        ({"end": "2026-11-31"}, "end", "it is no day such as 2026-11-20"),
        ({"end": "2026-11-20T00:00:00Z"}, "end", "it is no day such as 2026-11-20"),
        ({"end": "20261120"}, "end", "it is no day such as 2026-11-20"),
    ],
)
def test_bad_period_is_named(
    viewer: TestClient[Any], measured: Engine, period: dict[str, str], field: str, problem: str
) -> None:
    """A period that makes no sense is refused by the parameter, with what would make sense."""
    answer = viewer.get(OVERVIEW, params=period)

    assert (400, {"field": field, "in": "query", "problem": problem}) == (
        answer.status_code,
        answer.json()["errors"][0],
    )


def _daily(viewer: TestClient[Any]) -> dict[str, Any]:
    return viewer.get("/analytics/pipelines").json()["pipelines"][0]


def test_fresh_pipeline_is_well(viewer: TestClient[Any], seeded: Engine) -> None:
    """A daily run a few hours ago, with as many orders as Shopify counted, in five minutes."""
    _ran(seeded, counts=Counts(orders=3), roots=3, api_version="2026-10", duration_s=300.0)

    daily = _daily(viewer)

    assert ("ok", [], "1.0000") == (daily["health"], daily["reasons"], daily["success_rate"])
    assert {"p50_s": 300.0, "p95_s": 300.0, "target_s": 900.0} == daily["duration"]
    assert (True, "2026-10", {"initiated": 300.0}) == (
        daily["reconciliation"]["agrees"],
        daily["api_version"],
        daily["step_p95_s"],
    )


@pytest.mark.parametrize(
    ("runs", "health", "reason"),
    [
        ([], "error", "no run has ever completed"),
        ([{"ago": timedelta(hours=27)}], "warn", "the data is of 2026-11-19 21:00 UTC, more than 26 hours ago"),
        ([{"ago": timedelta(hours=31)}], "error", "the data is of 2026-11-19 17:00 UTC, more than 30 hours ago"),
        ([{"duration_s": 1200.0}], "warn", "one run in twenty takes 20 minutes or more, the target is 15"),
        (
            [{"roots": 4, "counts": Counts(orders=3)}],
            "error",
            "Shopify counted other orders in the last archive than are in the database",
        ),
        (
            [{"differences": ["order 1 is not here"]}],
            "error",
            "orders differ from Shopify's (1 `differences` in the run's last record); the next run asks for them again",
        ),
        (
            [{"ago": timedelta(hours=9)}, {"step": Step.FAILED, "error": RunError("Throttled", "x")}],
            "warn",
            "the last run failed: Throttled",
        ),
        (
            [{"ago": timedelta(hours=9)}, {"step": Step.POLL, "ago": timedelta(hours=5)}],
            "warn",
            "run run-5:00:00 has said nothing since 2026-11-20 19:05 UTC",
        ),
    ],
)
def test_health_says_why(
    viewer: TestClient[Any], seeded: Engine, runs: list[dict[str, Any]], health: str, reason: str
) -> None:
    """The worst of the reasons is the health."""
    _ = [_ran(seeded, **run) for run in runs]

    daily = _daily(viewer)

    assert health == daily["health"]
    assert reason in daily["reasons"]


def test_lasting_difference_asks_for_a_backfill(viewer: TestClient[Any], seeded: Engine) -> None:
    """Once the watermark has moved on no daily run asks for the window again: an operator has to."""
    start, end = NOW - timedelta(days=1), NOW - timedelta(hours=6)
    differences, moved_to = ["order 1 is not here"], NOW - timedelta(hours=7)
    _ran(seeded, window_start=start, window_end=end, differences=differences, watermark_after=moved_to)

    daily = _daily(viewer)

    assert "error" == daily["health"]
    assert [
        "orders differ from Shopify's (1 `differences` in the run's last record); no run asks for them again: "
        "compare them in Shopify, then run a backfill with --by updated "
        "--start 2026-11-20T00:00:00Z --end 2026-11-20T18:00:00Z"
    ] == daily["reasons"]


def test_data_of_long_ago_is_late(viewer: TestClient[Any], seeded: Engine) -> None:
    """A run that completed just now over the first part of its window brought nothing of today."""
    _ran(seeded, ago=timedelta(hours=1), window_end=NOW - timedelta(hours=40))

    daily = _daily(viewer)

    assert ("error", 40 * 3600.0, "2026-11-20T23:05:00Z") == (
        daily["health"],
        daily["freshness_s"],
        daily["last_success_at"],
    )


def test_watermark_is_shown_as_it_was_set(viewer: TestClient[Any], seeded: Engine) -> None:
    """Back, too, when an operator did."""
    record_advance(seeded, "tea.myshopify.com", "run-1", NOW - timedelta(hours=9), NOW - timedelta(hours=9))
    record_advance(seeded, "tea.myshopify.com", "set", NOW - timedelta(days=9), NOW - timedelta(hours=1))

    assert "2026-11-12T00:00:00Z" == _daily(viewer)["watermark"]


def test_kinds_on_demand_are_never_late(viewer: TestClient[Any], seeded: Engine) -> None:
    """Nobody expects a backfill."""
    kinds = viewer.get("/analytics/pipelines").json()["pipelines"]

    assert ["error", "ok", "ok"] == [kind["health"] for kind in kinds]


def test_backfill_counts_by_its_windows(viewer: TestClient[Any], seeded: Engine) -> None:
    """What the whole of it tells is the sum of its windows, and as long as all of them: it is not told twice."""
    window = {"job_type": JobType.BACKFILL, "counts": Counts(orders=3), "roots": 3, "duration_s": 60.0}
    whole = {"job_type": JobType.BACKFILL, "counts": Counts(orders=6), "duration_s": 600.0}
    _ = [_ran(seeded, ago=timedelta(hours=ago), **run) for ago, run in ((3, window), (4, window), (5, whole))]

    backfill = viewer.get("/analytics/pipelines").json()["pipelines"][1]

    assert (3, 6, 60.0) == (backfill["runs"], backfill["records"]["orders_in_period"], backfill["duration"]["p95_s"])


@pytest.mark.parametrize(("days", "health"), [(1, "warn"), (31, "ok")])
def test_old_failure_on_demand_is_history(viewer: TestClient[Any], seeded: Engine, days: int, health: str) -> None:
    """Nobody starts a backfill to make a warning go away."""
    _ran(
        seeded, step=Step.FAILED, ago=timedelta(days=days), job_type=JobType.BACKFILL, error=RunError("Throttled", "x")
    )

    assert health == viewer.get("/analytics/pipelines").json()["pipelines"][1]["health"]


def test_next_run_is_prefects(viewer: TestClient[Any], seeded: Engine, prefect: FakePrefect) -> None:
    """When the deployment runs next."""
    prefect.add("daily-sync/daily", {}, expected=NOW + timedelta(hours=6))

    assert {"known": True, "at": "2026-11-21T06:00:00Z"} == _daily(viewer)["next_run"]


def test_pipelines_are_read_without_prefect(viewer: TestClient[Any], seeded: Engine, prefect: FakePrefect) -> None:
    """The next run is unknown then, and nothing else."""
    prefect.is_down = True

    assert {"known": False, "at": None} == _daily(viewer)["next_run"]
