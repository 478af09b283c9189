"""The report of a run, as artifacts in Prefect and as text for the terminal."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run
from prefect.settings import get_current_settings

from shopsync.database.products import best_products
from shopsync.database.shops import stored_currency
from shopsync.database.windows import BackfillPlan
from shopsync.lake import performance_key
from shopsync.measurements import performance_frame, product_figures
from shopsync.records import BestProduct
from shopsync.report import Places, markdown, step_times
from shopsync.run import Run
from shopsync.shop_days import as_of_day
from tasks import connections
from tasks.step import again


@again
def report_run(run: Run) -> str:
    """Write the run's summary (markdown) and its steps (table) as artifacts, and return the summary."""
    settings = connections.settings()
    records = connections.journal(run).records()
    zone = records[-1].timezone
    assert zone is not None, "a completed run knows its shop"
    as_of = as_of_day(run.requested_at, ZoneInfo(zone))
    places = Places(
        database=settings.database.render_as_string(hide_password=True),
        lake=settings.lake_url,
        flow_run=f"{flow_run.name} ({flow_run.id}), {_prefect()}",
    )
    with connections.database() as database:
        windows = BackfillPlan(database, run.run_id).windows()
    summary = markdown(records, best_as_of(as_of), as_of, places, windows)
    create_markdown_artifact(summary, key="run-summary", description=f"Run {run.run_id}")
    create_table_artifact(
        [{"step": timed.step.value, "seconds": round(timed.duration_s, 1)} for timed in step_times(records)],
        key="run-steps",
        description=f"Steps of run {run.run_id}",
    )
    return summary


def _prefect() -> str:
    """Return where this process's Prefect is: a server, or the home of one that starts and ends with the process."""
    prefect = get_current_settings()
    return f"at {prefect.api.url}" if prefect.api.url else f"with PREFECT_HOME={prefect.home}"


def best_as_of(as_of: date) -> list[BestProduct]:
    """Return the best products of a day's measurement, whatever was measured since; none where there is none."""
    measured = connections.lake().get(performance_key(as_of))
    with connections.database() as database:
        currency = stored_currency(database)
        if measured is None or currency is None:
            return []
        figures = product_figures(performance_frame(measured), currency)
        return best_products(database, figures, currency, limit=10)
