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
from shopsync.errors import ForeignWatermark, WatermarkTaken, WatermarkUnreadable, WindowError
from shopsync.run import Run, ShopProfile
from shopsync.telemetry import JobType, Step
from shopsync.watermark import Move, advanced, move
from shopsync.window import SyncWindow, stamp
from tasks import connections
from tasks.step import step
from tasks.turn import require_turn

SLOT_S = 60
"""How long a killed holder keeps the slot: Prefect's shortest; a living one renews it."""


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


def advance(name: str, shop: str, watermark: datetime, began_from: datetime | None = None) -> Move:
    """
    Move the block to `watermark` unless it is already as far, or is older than `began_from`; return what became of it.

    Raises:
        ForeignWatermark: The block belongs to another shop.
    """
    with exclusive(name):
        block = load(name)
        require_same_shop(name, block, shop)
        moved = move(block.watermark if block else None, began_from, watermark)
        if moved is Move.FORWARD:
            SyncWatermark(shop=shop, watermark=watermark).save(name, overwrite=True)
    return moved


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


@step("check watermark")
def check_watermark(shop: ShopProfile) -> None:
    """See that the block is this shop's, before anything is stored."""
    name = connections.settings().watermark_block
    require_same_shop(name, load(name), shop.domain)


@step("advance watermark")
def advance_watermark(run: Run, shop: ShopProfile, window: SyncWindow, fetched: datetime | None) -> datetime | None:
    """
    Move the watermark to what this run brought in, and return where it moved to; None when it stays.

    One that an operator set back while the run was at work stays as well: the next run starts there.

    Args:
        window: What was asked for in the end.
        fetched: MAX(updated_at) of the orders in the archive; None when there were none.

    Raises:
        LeaseLost: Another daily run of the shop took over meanwhile.
        WindowError: The run is none that asks for all that changed since the watermark.
    """
    if run.job_type is not JobType.DAILY:
        raise WindowError(f"run {run.run_id} is not a daily run ({run.job_type}): it moves no watermark")
    here_before = any(told.step is Step.WATERMARK for told in connections.journal(run).records())
    connections.record(run, Step.WATERMARK)
    wanted = advanced(run.watermark_before, fetched, window.end)
    if wanted is None:
        return None
    with connections.database() as database:
        require_turn(run, shop, database)
        # The block is moved last: what fails before leaves it, and a run starts at the older of the two. Recorded is
        # what this run proves, even where the block is further: a database restored from a backup is behind it.
        record_advance(database, shop.domain, run.run_id, wanted, connections.now())
        moved = advance(connections.settings().watermark_block, shop.domain, wanted, run.watermark_before)
    log, new = get_run_logger(), wanted != run.watermark_before
    if moved is Move.FORWARD or (moved is Move.THERE and new and here_before):  # moved by this run, killed right after
        log.info("the watermark is %s now", stamp(wanted))
        return wanted
    tell = log.warning if moved is Move.SET_BACK else log.info
    tell("the watermark is not moved to %s: %s", stamp(wanted), moved.value)
    return None
