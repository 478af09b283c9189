"""The report of a run, as people read it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from shopsync.records import BestProduct
from shopsync.report import Places, StepTime, markdown, step_times
from shopsync.telemetry import Counts, Initiator, JobType, RunRecord, Step

START = datetime(2026, 11, 23, 6, tzinfo=UTC)
PLACES = Places("sqlite:////data/shopsync.db", "file:///data/lake", "brave-crab (17)")
AS_OF = date(2026, 11, 22)


def record(step: Step, after_s: float, **changes: object) -> RunRecord:
    first = RunRecord(
        run_id="11111111-2222-3333-4444-555555555555",
        job_type=JobType.DAILY,
        initiator=Initiator.CRON,
        requested_at=START,
        process_initiated_at=START,
        step=step,
        status=step.status,
        at=START + timedelta(seconds=after_s),
        shop="tea.myshopify.com",
        timezone="Europe/Berlin",
        window_start=START - timedelta(days=1),
        window_end=START,
        watermark_before=START - timedelta(days=1),
        duration_s=after_s,
    )
    return replace(first, **changes)


def completed(counts: Counts, **changes: object) -> list[RunRecord]:
    return [record(Step.INITIATED, 0), record(Step.COMPLETED, 61.5, counts=counts, **changes)]


def product(title: str | None) -> BestProduct:
    return BestProduct(title, 3, Decimal("30.0000"), 1200, Decimal("12345.6000"), "EUR")


def test_step_lasts_until_the_next():
    """A step's time is from its first record to the first of the next step; waits and retries are part of it."""
    records = [record(Step.REQUEST, 1), record(Step.REQUEST, 3), record(Step.POLL, 6), record(Step.COMPLETED, 10)]

    assert [StepTime(Step.REQUEST, 5), StepTime(Step.POLL, 4)] == step_times(records)


def test_dead_time_is_no_steps():
    """Between a kill and the flow run that went on nobody worked; the repeated step counts both of its times."""
    records = [
        record(Step.REQUEST, 0, flow_run_id="killed"),
        record(Step.UPSERT, 1, flow_run_id="killed"),
        record(Step.UPSERT, 3, flow_run_id="killed"),
        record(Step.REQUEST, 3600, flow_run_id="resumed"),
        record(Step.UPSERT, 3602, flow_run_id="resumed"),
        record(Step.COMPLETED, 3605, flow_run_id="resumed"),
    ]

    assert [StepTime(Step.REQUEST, 3), StepTime(Step.UPSERT, 5)] == step_times(records)


def test_failure_is_no_step():
    """The time after a failed record is nobody's, even within one flow run; the time before it is its step's."""
    records = [
        record(Step.POLL, 0),
        record(Step.FAILED, 2),
        record(Step.POLL, 3600),
        record(Step.COMPLETED, 3604),
    ]

    assert [StepTime(Step.POLL, 6)] == step_times(records)


def test_changed_orders_are_told_from_fetched_ones():
    """The overlap fetches orders again: the headline says how many really changed."""
    report = markdown(completed(Counts(orders=1030, unchanged=30)), [], AS_OF, PLACES)

    assert "**1,000 changed orders** are in. Shopify sent 1,030 in the window, 30 of them unchanged" in report


def test_empty_window_is_said():
    """A run without orders does not look like a failure."""
    assert "No order changed in the window." in markdown(completed(Counts(orders=0)), [], AS_OF, PLACES)


def test_watermark_is_told_before_and_after():
    """An operator sees how far the run moved the watermark, or that it did not."""
    moved = markdown(completed(Counts(), watermark_after=START), [], AS_OF, PLACES)
    kept = markdown(completed(Counts()), [], AS_OF, PLACES)

    assert "- watermark before: `2026-11-22 06:00:00 UTC`\n- watermark after: `2026-11-23 06:00:00 UTC`" in moved
    assert "- watermark after: `not moved`" in kept


def test_only_what_was_counted_is_shown():
    """A count that a run does not have is left out, not shown as zero."""
    report = markdown(completed(Counts(orders=2, bytes=1234567)), [], AS_OF, PLACES)

    assert "| bytes in the archive | 1,234,567 |\n| orders | 2 |" in report
    assert "sales |" not in report.replace("net sales", "")


def test_best_products_have_their_figures():
    """Money is shown to the cent with its currency, as of the day that it is true for."""
    report = markdown(completed(Counts(orders=1)), [product("Tea")], AS_OF, PLACES)

    assert "Figures of the days up to 2026-11-22" in report
    assert "| Tea | 3 | 30.00 | 1,200 | 12,345.60 EUR |" in report


def test_hostile_title_stays_in_its_cell():
    """A product's title cannot break the table, nor become markup."""
    report = markdown(completed(Counts(orders=1)), [product("a|b\n# <b>c</b> `d` " + "x" * 60)], AS_OF, PLACES)

    assert r"| a\|b \# \<b\>c\</b\> \`d\` " in report
    assert "x… | 3 |" in report


def test_unseen_title_is_said():
    """A product known only from its sales has no title yet."""
    assert r"| (title not seen yet) |" in markdown(completed(Counts(orders=1)), [product(None)], AS_OF, PLACES)


def test_places_are_named():
    """The report ends with where to look further."""
    report = markdown(completed(Counts()), [], AS_OF, PLACES)

    assert report.endswith(
        "- database: `sqlite:////data/shopsync.db`\n- lake: `file:///data/lake`\n- Prefect run: `brave-crab (17)`\n"
    )


def test_run_without_archive_says_so():
    """An empty result leaves no archive."""
    report = markdown([record(Step.INITIATED, 0, window_start=None, shop=None, timezone=None)], [], AS_OF, PLACES)

    assert "- archive: `none`" in report
    assert "- shop: `unknown (time zone unknown)`" in report
    assert "from none to" in report
