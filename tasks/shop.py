"""The first contact with Shopify: is it the right shop, the right version, and may we see all orders?"""

from __future__ import annotations

from prefect import get_run_logger

from shopsync.database.shops import remember_shop
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Initiator, Step
from tasks import connections, watermark
from tasks.step import step


@step("check shop")
def check_shop(run: Run) -> ShopProfile:
    """
    Return the shop, once everything is checked that would make a run fail later, or lose rows silently.

    A scheduled run waits out an outage; who asks by hand is told within half a minute that nobody answers.
    """
    settings = connections.settings()
    scheduled = run.initiator is Initiator.CRON
    with connections.shopify(connections.patience(run) if scheduled else connections.brief_patience()) as shopify:
        shop = shopify.shop()
    shop.require_scopes()
    watermark.require_same_shop(settings.watermark_block, watermark.load(settings.watermark_block), shop.domain)
    profile = ShopProfile(shop.domain, str(settings.shop_timezone or shop.timezone), shop.currency)
    with connections.database() as database:
        remember_shop(database, profile.domain, profile.timezone, profile.currency, connections.now())
    connections.record(run, Step.REQUEST, shop=profile.domain, timezone=profile.timezone)
    get_run_logger().info("the shop is %s, its days are cut in %s", profile.domain, profile.timezone)
    return profile
