"""The first contact with Shopify: is it the right shop, the right version, and may we see all orders?"""

from __future__ import annotations

from prefect import get_run_logger
from prefect.runtime import flow_run

from shopsync.database.shops import remember_shop
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Initiator, JobType, Status, Step
from tasks import connections
from tasks.step import step


@step("check shop")
def check_shop(run: Run) -> ShopProfile:
    """
    Return the shop, once its answers are checked: the version, and whether all orders may be seen.

    A scheduled run, and a window of a backfill, waits out an outage; who asks by hand is told within half a minute that
    nobody answers.
    """
    settings = connections.settings()
    waits = run.initiator is Initiator.CRON or run.parent_run_id is not None
    with connections.shopify(connections.patience(run) if waits else connections.brief_patience()) as shopify:
        shop = shopify.shop()
    shop.require_scopes()
    return ShopProfile(shop.domain, str(settings.shop_timezone or shop.timezone), shop.currency)


@step("enter shop")
def enter_shop(run: Run, shop: ShopProfile) -> None:
    """Make the database this shop's, or see that it is; from here on the run's records name the shop."""
    with connections.database() as database:
        remember_shop(database, shop.domain, shop.timezone, shop.currency, connections.now())
    last = connections.journal(run).last
    told = (last.shop, last.timezone, last.flow_run_id) == (shop.domain, shop.timezone, flow_run.id)
    if not told or last.status is Status.FAILED:  # a flow run that goes on has nothing new to tell
        # A replay asks for nothing.
        now = Step.UPSERT if run.job_type is JobType.REPLAY else Step.REQUEST
        connections.record(run, now, shop=shop.domain, timezone=shop.timezone)
    get_run_logger().info("the shop is %s, its days are cut in %s", shop.domain, shop.timezone)
