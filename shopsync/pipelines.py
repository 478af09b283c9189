"""
How each kind of run is doing: what its runs of the last days say, and whether somebody should look.

A leaf of values and rules. What is asked of a daily run (its target, how fresh its data must be) is asked of no other
kind: those run when somebody wants them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction

import msgspec

from shopsync.commerce import MEDIAN, P95, STALE, percentile
from shopsync.telemetry import JobType, Status
from shopsync.window import FLOOR, stamp

TARGET = timedelta(minutes=15)
"""A daily run is to be done within this."""
WARN_AFTER = STALE
ERROR_AFTER = timedelta(hours=30)
"""The usual thresholds of a daily source."""
NEAR_FLOOR = timedelta(days=120)
"""A week before changes begin to be missed."""
SILENT = timedelta(hours=2)
"""A run that goes on writes a record more often than that, unless it says until when it waits."""
PERIOD = timedelta(days=30)
"""Of which runs rates and percentiles are made."""
FAILING = Fraction(9, 10)
OVER = frozenset({Status.COMPLETED, Status.FAILED})


class Health(StrEnum):
    """Whether somebody should look at it."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


class PipelineRun(msgspec.Struct, frozen=True, kw_only=True):
    """
    A run, as far as its pipeline is concerned.

    `roots` is what Shopify counted of `orders`; `differences` in how many things they differed from Shopify's.
    """

    run_id: str
    job_type: str
    status: str
    requested_at: datetime
    updated_at: datetime
    window_start: datetime | None
    window_end: datetime | None
    watermark_after: datetime | None
    waiting_until: datetime | None
    duration_s: float | None
    orders: int | None
    line_items: int | None
    sales: int | None
    objects: int | None
    roots: int | None
    api_version: str | None
    differences: int | None
    error_type: str | None
    error_message: str | None


class RecentRun(msgspec.Struct, frozen=True):
    """A run of the last days, as far as rates and percentiles are made of it."""

    status: str
    duration_s: float | None
    orders: int | None
    roots: int | None


class PipelineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the database knows of one kind of run; `recent` are its runs of the last days.

    `last` was asked for last, `last_success` and `last_failure` ended last. `data_as_of` is of daily runs alone.
    """

    job_type: JobType
    last: PipelineRun | None
    last_success: PipelineRun | None
    last_failure: PipelineRun | None
    recent: Sequence[RecentRun]
    step_durations_s: Mapping[str, Sequence[float]]
    data_as_of: datetime | None
    watermark: datetime | None


class Durations(msgspec.Struct, frozen=True):
    """
    Of the completed runs (a backfill's windows, not the whole), in seconds; null when there are none.

    `target_s` is null where nothing is asked.
    """

    p50_s: float | None
    p95_s: float | None
    target_s: float | None


class Records(msgspec.Struct, frozen=True):
    """What the last completed run brought, and the orders of all completed runs of the period."""

    orders: int | None
    line_items: int | None
    sales: int | None
    orders_in_period: int


class Reconciliation(msgspec.Struct, frozen=True):
    """
    Shopify's count of orders in the last completed run's archive, and ours; null where there was no archive.

    `differences` counts what was not as in the shop once they were in; null where nobody compared.
    """

    shopify_objects: int | None
    shopify_orders: int | None
    our_orders: int | None
    agrees: bool | None
    differences: int | None


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of run; `freshness_s` is the age of the data of daily runs, of others that of the last success."""

    job_type: JobType
    health: Health
    reasons: list[str]
    last_run_id: str | None
    last_status: str | None
    last_success_at: datetime | None
    data_as_of: datetime | None
    freshness_s: float | None
    warn_after_s: float | None
    error_after_s: float | None
    runs: int
    success_rate: str | None
    duration: Durations
    records: Records
    step_p95_s: dict[str, float]
    watermark: datetime | None
    watermark_age_s: float | None
    watermark_floor_s: float | None
    reconciliation: Reconciliation
    api_version: str | None
    last_error: str | None
    last_error_at: datetime | None


def pipeline(facts: PipelineFacts, now: datetime) -> Pipeline:
    """Return how a kind of run is doing at `now`."""
    is_daily, success, failure = facts.job_type is JobType.DAILY, facts.last_success, facts.last_failure
    fresh_at = facts.data_as_of or (success and success.updated_at)
    over = [run for run in facts.recent if run.status in OVER]
    completed = [run for run in over if run.status == Status.COMPLETED]
    # A backfill's own counts are the sum of its windows', and it lasts as long as all of them.
    single = [run for run in completed if facts.job_type is not JobType.BACKFILL or run.roots is not None]
    seconds = Counter(run.duration_s for run in single if run.duration_s is not None)
    p95_s = percentile(seconds, P95)
    reasons = list(_reasons(facts, completed, over, p95_s, now))
    return Pipeline(
        job_type=facts.job_type,
        health=max((health for health, _ in reasons), key=list(Health).index, default=Health.OK),
        reasons=[reason for _, reason in reasons],
        last_run_id=facts.last and facts.last.run_id,
        last_status=facts.last and facts.last.status,
        last_success_at=success and success.updated_at,
        data_as_of=facts.data_as_of,
        freshness_s=(now - fresh_at).total_seconds() if fresh_at else None,
        warn_after_s=WARN_AFTER.total_seconds() if is_daily else None,
        error_after_s=ERROR_AFTER.total_seconds() if is_daily else None,
        runs=len(facts.recent),
        success_rate=f"{len(completed) / len(over):.4f}" if over else None,
        duration=Durations(percentile(seconds, MEDIAN), p95_s, TARGET.total_seconds() if is_daily else None),
        records=Records(
            success and success.orders,
            success and success.line_items,
            success and success.sales,
            sum(run.orders or 0 for run in single),
        ),
        step_p95_s={step: percentile(Counter(took), P95) or 0.0 for step, took in facts.step_durations_s.items()},
        watermark=facts.watermark,
        watermark_age_s=(now - facts.watermark).total_seconds() if facts.watermark else None,
        watermark_floor_s=FLOOR.total_seconds() if is_daily else None,
        reconciliation=_reconciliation(success),
        api_version=success and success.api_version,
        last_error=failure and f"{failure.error_type}: {failure.error_message}",
        last_error_at=failure and failure.updated_at,
    )


def _reconciliation(run: PipelineRun | None) -> Reconciliation:
    if run is None or run.roots is None:
        return Reconciliation(run and run.objects, None, run and run.orders, None, run and run.differences)
    return Reconciliation(run.objects, run.roots, run.orders, run.roots == (run.orders or 0), run.differences)


def _reasons(
    facts: PipelineFacts,
    completed: Sequence[RecentRun],
    over: Sequence[RecentRun],
    p95_s: float | None,
    now: datetime,
) -> Iterator[tuple[Health, str]]:
    if facts.job_type is JobType.DAILY:
        yield from _freshness(facts, now)
        if p95_s is not None and p95_s > TARGET.total_seconds():
            yield Health.WARN, f"one run in twenty takes {p95_s / 60:.0f} minutes or more, the target is 15"
    last, success = facts.last, facts.last_success
    if last is not None and last.status == Status.FAILED and now - last.updated_at <= PERIOD:
        yield Health.WARN, f"the last run failed: {last.error_type or 'for a reason that nobody wrote'}"
    if last is not None and _is_silent(last, now):
        yield Health.WARN, f"run {last.run_id} has said nothing since {last.updated_at:%Y-%m-%d %H:%M} UTC"
    if over and Fraction(len(completed), len(over)) < FAILING:
        yield Health.WARN, f"{len(over) - len(completed)} of {len(over)} runs in {PERIOD.days} days failed"
    if _reconciliation(success).agrees is False:
        yield Health.ERROR, "Shopify counted other orders in the last archive than are in the database"
    if success is not None and success.differences:
        differ = f"orders differ from Shopify's ({success.differences} `differences` in the run's last record)"
        yield Health.ERROR, f"{differ}; {_what_follows(success)}"


def _what_follows(run: PipelineRun) -> str:
    # A run asks from the watermark on: where it stayed the next one asks for the same window, elsewhere none does.
    if run.watermark_after is None or run.window_start is None or run.window_end is None:
        return "the next run asks for them again"
    window = f"--start {stamp(run.window_start)} --end {stamp(run.window_end)}"
    return f"no run asks for them again: compare them in Shopify, then run a backfill with --by updated {window}"


def _freshness(facts: PipelineFacts, now: datetime) -> Iterator[tuple[Health, str]]:
    as_of = facts.data_as_of
    if as_of is None:
        yield Health.ERROR, "no run has ever completed"
    elif now - as_of > ERROR_AFTER:
        yield Health.ERROR, f"the data is of {as_of:%Y-%m-%d %H:%M} UTC, more than 30 hours ago"
    elif now - as_of > WARN_AFTER:
        yield Health.WARN, f"the data is of {as_of:%Y-%m-%d %H:%M} UTC, more than 26 hours ago"
    if facts.watermark is not None and now - facts.watermark > FLOOR:
        yield Health.ERROR, "the watermark is older than 128 days: the next run misses changes, a backfill repairs it"
    elif facts.watermark is not None and now - facts.watermark > NEAR_FLOOR:
        yield Health.WARN, "the watermark is nearly 128 days old: beyond that a run misses changes"


def _is_silent(run: PipelineRun, now: datetime) -> bool:
    return run.status not in OVER and now - max(run.updated_at, run.waiting_until or run.updated_at) > SILENT
