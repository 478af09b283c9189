"""The figures of the product table, from the measurement that was just written."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from prefect import get_run_logger

from shopsync.database.ledger import last_sold_on
from shopsync.database.products import refresh_products
from shopsync.lake import performance_key
from shopsync.measurements import performance_frame, product_figures
from shopsync.run import Run, ShopProfile
from shopsync.shop_days import as_of_day
from shopsync.telemetry import Step
from tasks import connections
from tasks.step import step


@step("refresh products")
def refresh_product_figures(run: Run, shop: ShopProfile) -> int:
    """Give every product its 7- and 30-day figures as of the run's day, and return how many rows changed."""
    # The zone that was measured in: another run may have met the shop in a new one since this run did.
    as_of = as_of_day(run.requested_at, ZoneInfo(connections.journal(run).last.timezone or shop.timezone))
    measured = performance_frame(connections.lake().get(performance_key(as_of)) or b"")
    connections.record(run, Step.PRODUCTS)
    with connections.database() as database:
        last_sold = {
            product: day
            for (product, currency), day in last_sold_on(database, as_of).items()
            if currency == shop.currency
        }
        changed = refresh_products(database, as_of, shop.currency, product_figures(measured, shop.currency), last_sold)
    get_run_logger().info("refreshed the figures of %d products as of %s", changed, as_of)
    return changed
