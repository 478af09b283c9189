"""
The watermark block of one shop, and the two things done with it.

The block is tiny and bound to its shop. Prefect has no compare-and-set, so it is saved under a strict concurrency
slot: reload, never back, save.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

from prefect import get_run_logger
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from pydantic import AwareDatetime, Field

from shopsync.database.watermarks import record_advance
from shopsync.errors import ForeignWatermark, WatermarkTaken, WatermarkUnreadable
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import Step
from shopsync.watermark import advanced
from shopsync.window import SyncWindow, stamp
from tasks import connections
from tasks.step import step

SLOT_S = 60
"""So long a killed holder keeps the slot: Prefect's shortest; a living one renews it."""


class SyncWatermark(Block):
    """Up to which `updated_at` all orders of one shop are in."""

    _block_type_name = "Sync Watermark"
    _block_type_slug = "sync-watermark"
    _description = "Up to which updated_at all orders of one shop are in. Moved by completed daily runs only."

    shop: str = Field(description="The shop's myshopify.com domain")
    watermark: AwareDatetime = Field(description="All orders updated up to this moment are in")


def load(name: str) -> SyncWatermark | None:
    """Return the block, or None when there is none yet."""
    try:
        block = SyncWatermark.load(name)
    except ValueError:  # Prefect's answer for a block, or a block type, that it does not know
        return None
    except RuntimeError as error:  # and for one whose fields are not those of the class
        raise WatermarkUnreadable(name) from error
    assert isinstance(block, SyncWatermark)
    return block


def advance(name: str, shop: str, watermark: datetime) -> bool:
    """
    Move the block to `watermark` unless it is already as far, and return whether it moved.

    Raises:
        ForeignWatermark: The block belongs to another shop.
    """
    with exclusive(name):
        block = load(name)
        require_same_shop(name, block, shop)
        behind = block is None or block.watermark < watermark
        if behind:
            SyncWatermark(shop=shop, watermark=watermark).save(name, overwrite=True)
    return behind


def put(name: str, watermark: datetime) -> str:
    """
    Set the block to `watermark`, back included, and return its shop: for the operator's command alone.

    The database records it as an advance, so that a run starts there; without a block Shopify is asked for the shop.
    """
    with exclusive(name):
        block = load(name)
        shop = block.shop if block else _this_shop()
        SyncWatermark(shop=shop, watermark=watermark).save(name, overwrite=True)
        with connections.database() as database:
            record_advance(database, shop, str(uuid4()), watermark, connections.now())
    return shop


def _this_shop() -> str:
    with connections.shopify(connections.brief_patience()) as shopify:
        return shopify.shop().domain


def require_same_shop(name: str, block: SyncWatermark | None, shop: str) -> None:
    """Raise ForeignWatermark when the block belongs to another shop."""
    if block is not None and block.shop != shop:
        raise ForeignWatermark(name, block.shop, shop)


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold the one slot under which the block is written."""
    slot = f"watermark-{name}"
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(name=slot, limit=1)
    try:
        with concurrency(slot, occupy=1, strict=True, lease_duration=SLOT_S, timeout_seconds=2 * SLOT_S):
            yield
    except TimeoutError as error:
        raise WatermarkTaken(slot) from error


@step("advance watermark")
def advance_watermark(run: Run, shop: ShopProfile, window: SyncWindow, fetched: datetime | None) -> datetime | None:
    """
    Move the watermark to what this run brought in, and return where it moved to; None when it stays.

    Args:
        window: What was asked for in the end.
        fetched: MAX(updated_at) of the orders in the archive; None when there were none.
    """
    connections.record(run, Step.WATERMARK)
    wanted = advanced(run.watermark_before, fetched, window.end)
    if wanted is None:
        return None
    with connections.database() as database:
        # The block is moved last: what fails before leaves it, and a run starts at the older of the two. Recorded is
        # what this run proves, even where the block is further: a database restored from a backup is behind it.
        record_advance(database, shop.domain, run.run_id, wanted, connections.now())
        moved = advance(connections.settings().watermark_block, shop.domain, wanted)
    get_run_logger().info("the watermark %s", f"is {stamp(wanted)} now" if moved else "stays: it was as far already")
    return wanted if moved else None
