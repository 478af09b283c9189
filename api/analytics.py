"""`/analytics`: figures of the shop, and how the runs that bring them are doing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from sqlalchemy import Connection, Engine

from api import figures
from api.caching import NOT_MODIFIED, unless_known
from api.live import LiveRuns, NextRun
from api.problems import Refused, invalid
from api.specification import problem_responses
from api.staff import Role, open_to
from api.starter import DAILY
from api.words import DAY, day_of, money
from shopsync.commerce import AGED_DAYS, STALE
from shopsync.database import overview
from shopsync.database.engine import snapshot
from shopsync.database.pipelines import pipeline_facts
from shopsync.pipelines import PERIOD, Pipeline, pipeline
from shopsync.shop_days import DayRange
from shopsync.telemetry import JobType

DEFAULT_DAYS = 30
MOST_DAYS = 731
FIRST_DAY = date(2000, 1, 1)
"""Before any shop."""

BASIS = (
    "Shopify's sales ledger: a sale on the shop-local day on which it happened, a return on the day on which it was "
    "made; products only, without test orders, gift cards and tips. Top products: the last 30 days up to their as_of."
)


@get(
    "/commerce/overview",
    operation_id="readOverview",
    summary="Read the shop's figures of a period, and of the equal period before it",
    responses=NOT_MODIFIED | problem_responses(404),
    sync_to_thread=True,
)
def read_overview(
    request: Request[Any, Any, Any],
    database: NamedDependency[Engine],
    now: NamedDependency[Callable[[], datetime]],
    start: Annotated[
        str | None, QueryParameter(description="First shop-local day; default: 30 days up to `end`.", schema_extra=DAY)
    ] = None,
    end: Annotated[
        str | None,
        QueryParameter(description="Last shop-local day; default: the last one that is over.", schema_extra=DAY),
    ] = None,
) -> Response[figures.Overview]:
    """Sales, orders and customers of whole shop-local days; both days are included."""
    at, first, last = now(), day_of(start, "start"), day_of(end, "end")
    with snapshot(database) as connection:
        shop = overview.shop_place(connection)
        today = at.astimezone(ZoneInfo(shop.timezone) if shop else UTC).date()
        days = _period(first, last, today)
        if shop is None:
            raise Refused(404, "there are no figures yet: no run has brought anything in", kind="no-figures")
        content = _overview(connection, shop, days, at, today)
    return unless_known(request, content)


def _overview(
    connection: Connection, shop: overview.ShopPlace, days: DayRange, at: datetime, today: date
) -> figures.Overview:
    zone, before = ZoneInfo(shop.timezone), days.before()
    covered = overview.covered(connection)
    current, previous = overview.order_figures(connection, days, zone)
    sales = overview.sales_by_currency(connection, days, shop.currency)
    best = overview.top_products(connection, shop.currency)
    return figures.Overview(
        start=days.first,
        end=days.last,
        previous_start=before.first,
        previous_end=before.last,
        timezone=shop.timezone,
        currency=shop.currency,
        basis=BASIS,
        data_as_of=covered.as_of,
        complete_since=covered.since,
        stale=covered.as_of is None or at - covered.as_of > STALE,
        partial=covered.lacks(*days.bounds(zone)),
        previous_partial=covered.lacks(*before.bounds(zone)),
        owed_days=overview.owed_days(connection, DayRange(before.first, days.last)),
        sales=[_worded(one, figures.CurrencySales) for one in sales],
        orders=figures.OrderPeriods(_worded(current, figures.OrderFigures), _worded(previous, figures.OrderFigures)),
        backlog=_worded(overview.backlog(connection, today - timedelta(days=AGED_DAYS)), figures.Backlog),
        top_products=[
            _worded(msgspec.structs.replace(one, product_id=str(one.product_id)), figures.TopProduct) for one in best
        ],
    )


class PipelineState(Pipeline, frozen=True, kw_only=True):
    """One kind of run; `next_run` is null for kinds that nothing schedules."""

    next_run: NextRun | None


class Pipelines(msgspec.Struct, frozen=True):
    """Every kind of run; rates and percentiles are of the runs of the last `period_days` days."""

    as_of: datetime
    period_days: int
    pipelines: list[PipelineState]


@get(
    "/pipelines",
    operation_id="readPipelines",
    summary="Read how each kind of run is doing",
    responses=problem_responses(),
    sync_to_thread=True,
)
def read_pipelines(
    database: NamedDependency[Engine],
    live: NamedDependency[LiveRuns],
    now: NamedDependency[Callable[[], datetime]],
) -> Pipelines:
    """Freshness, success, duration, records, watermark, reconciliation with Shopify's counts; and health, with why."""
    at = now()
    states = [pipeline(facts, at) for facts in pipeline_facts(database, at)]
    scheduled = {JobType.DAILY: live.next_run(DAILY)}
    return Pipelines(
        at,
        PERIOD.days,
        [PipelineState(**msgspec.structs.asdict(one), next_run=scheduled.get(one.job_type)) for one in states],
    )


def _period(start: date | None, end: date | None, today: date) -> DayRange:
    last = end or today - timedelta(days=1)
    tomorrow = today + timedelta(days=1)
    if not FIRST_DAY <= last <= tomorrow:
        raise invalid("end", "query", f"it must lie between {FIRST_DAY} and {tomorrow}, the shop's tomorrow")
    first = start or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise invalid("start", "query", f"it lies after the end, {last}")
    if (last - first).days >= MOST_DAYS or first < FIRST_DAY:
        raise invalid("start", "query", f"a period has at most {MOST_DAYS} days, none before {FIRST_DAY}")
    return DayRange(first, last)


def _worded(value: object, shape: type[Any]) -> Any:
    """Return a struct of the core as one of the API's, money and rates in words."""
    return msgspec.convert(_in_words(value), shape, from_attributes=True)


def _in_words(value: object) -> Any:
    match value:
        case Decimal():
            return money(value)
        case msgspec.Struct():
            return {name: _in_words(getattr(value, name)) for name in value.__struct_fields__}
        case list():
            return [_in_words(one) for one in value]
    return value


router = Router(
    "/analytics", route_handlers=[read_overview, read_pipelines], opt=open_to(Role.VIEWER), tags=["analytics"]
)
