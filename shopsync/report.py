"""
The report of one completed run, as people read it: one markdown text for the Prefect UI and for the terminal.

It is made from what the run stored (its records, its measurement), never from what it remembers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from shopsync.backfill import BackfillWindow
from shopsync.records import BestProduct
from shopsync.telemetry import JobType, RunRecord, Step
from shopsync.window import SyncWindow, WindowField


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look further."""

    database: str
    lake: str
    flow_run: str


@dataclass(frozen=True, slots=True)
class StepTime:
    """How long a step took, in seconds."""

    step: Step
    duration_s: float


def step_times(records: Sequence[RunRecord]) -> list[StepTime]:
    """
    Return how long each step took, over all its attempts: from each of its records to the next record.

    The time in which the run did not run is nobody's: what follows a failure, and what lies between a flow run and
    the one that went on with it.
    """
    took: dict[Step, float] = {}
    for record, following in pairwise(records):
        if record.step is not Step.FAILED and record.flow_run_id == following.flow_run_id:
            took[record.step] = took.get(record.step, 0.0) + (following.at - record.at).total_seconds()
    return [StepTime(step, duration_s) for step, duration_s in took.items()]


def markdown(
    records: Sequence[RunRecord],
    best: Sequence[BestProduct],
    as_of: date,
    places: Places,
    windows: Sequence[BackfillWindow] = (),
) -> str:
    """
    Return the report of a completed run as markdown.

    Args:
        records: The run's records in order, at least one.
        best: Its best products, best first; empty when nothing was sold.
        as_of: The day whose figures `best` shows.
        places: Where database, lake and flow run are.
        windows: Those of a backfill, oldest first.
    """
    last = records[-1]
    parts = [f"# {last.job_type} {last.status}", _headline(last), _facts(records), _steps(records), _counts(last)]
    if windows:
        parts.append(_windows(windows))
    if best:
        parts.append(_best(best, as_of))
    parts.append(_places(places))
    return "\n\n".join(parts) + "\n"


def _headline(last: RunRecord) -> str:
    orders, unchanged = last.counts.orders or 0, last.counts.unchanged or 0
    if last.job_type is not JobType.DAILY:
        source = "the archives" if last.job_type is JobType.REPLAY else "the range"
        return f"**{orders:,} orders** of {source} are in, {unchanged:,} of them were here already."
    if not orders:
        return "No order changed in the window."
    return (
        f"**{orders - unchanged:,} changed orders** are in. "
        f"Shopify sent {orders:,} in the window, {unchanged:,} of them unchanged (windows overlap on purpose)."
    )


def window_table(counted: Sequence[tuple[SyncWindow, int]]) -> str:
    """Return the windows of a dry run with Shopify's count of their orders, as markdown."""
    rows = [(f"{_time(window.start)} to {_time(window.end)}", f"{orders:,}") for window, orders in counted]
    whole = ("**in all**", f"**{sum(orders for _, orders in counted):,}**")
    return _table((f"{len(counted)} windows", "orders"), [*rows, whole]) + "\n"


def _facts(records: Sequence[RunRecord]) -> str:
    first, last = records[0], records[-1]
    rows = [
        ("run", last.run_id),
        ("shop", f"{last.shop or 'unknown'} ({last.timezone or 'time zone unknown'})"),
        ("asked for", f"orders {_verb(last)} from {_time(last.window_start)} to {_time(last.window_end)}"),
    ]
    if last.reason:
        rows.append(("reason", last.reason))
    if last.job_type is JobType.DAILY:
        rows += [
            ("watermark before", _time(first.watermark_before)),
            ("watermark after", _time(last.watermark_after) if last.watermark_after else "not moved"),
            ("bulk operation", last.bulk_operation_id or "none"),
        ]
    if last.job_type is not JobType.BACKFILL:
        rows.append(("archive", last.archive_key or "none"))
    return _list(rows)


def _verb(record: RunRecord) -> str:
    return "created" if record.window_field is WindowField.CREATED else "updated"


def _windows(windows: Sequence[BackfillWindow]) -> str:
    rows = [
        (f"{_time(window.start)} to {_time(window.end)}", window.status.value, f"{window.counts.orders or 0:,}")
        for window in windows
    ]
    return _table(("window", "status", "orders"), rows)


def _steps(records: Sequence[RunRecord]) -> str:
    times = step_times(records)
    rows = [(timed.step.value, f"{timed.duration_s:.1f} s") for timed in times]
    whole = records[-1].duration_s
    return _table(("step", "took"), [*rows, ("**in all**", f"**{whole or 0:.1f} s**")])


def _counts(last: RunRecord) -> str:
    counts = last.counts
    named = {
        "lines in the archive": counts.objects,
        "bytes in the archive": counts.bytes,
        "orders": counts.orders,
        "line items": counts.line_items,
        "sales": counts.sales,
        "orders unchanged": counts.unchanged,
        "lines and sales removed": counts.removed,
        "products refreshed": counts.products,
    }
    return _table(("counted", "rows"), [(name, f"{count:,}") for name, count in named.items() if count is not None])


def _best(best: Sequence[BestProduct], as_of: date) -> str:
    rows = [
        (
            _plain(product.title),
            f"{product.units_sold_7d:,}",
            f"{product.net_sales_7d:,.2f}",
            f"{product.units_sold_30d:,}",
            f"{product.net_sales_30d:,.2f} {product.currency}",
        )
        for product in best
    ]
    head = ("best products", "units 7 d", "net sales 7 d", "units 30 d", "net sales 30 d")
    return f"Figures of the days up to {as_of}, the last complete day of the shop:\n\n" + _table(head, rows)


def _places(places: Places) -> str:
    rows = [("database", places.database), ("lake", places.lake), ("Prefect run", places.flow_run)]
    return "Where to look:\n\n" + _list(rows)


def _list(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {_code(value)}" for name, value in rows)


def _code(value: str) -> str:
    return f"`{value.replace('`', '')}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table: names to the left, numbers to the right."""
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def _time(at: datetime | None) -> str:
    return "none" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _plain(title: str | None) -> str:
    """Return a product's title fit for a cell: one line, no markup, at most 40 characters."""
    words = " ".join((title or "(title not seen yet)").split())
    safe = "".join("\\" + letter if letter in "\\`*_{}[]<>|#" else letter for letter in words[:40])
    return safe if len(words) <= 40 else safe + "…"
