"""Each fault by itself, on a daily run: it ends in the one way that is right, and the next run is exact."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from shopsync import errors
from shopsync.backfill import By
from shopsync.errors import SyncError
from tests.proof.conftest import completes_exactly, fails_and_says_so, good_again
from tests.proof.stage import Stage
from tests.simulator import Shop

OF_EVERY_FILE = {
    *("gzip", "bom", "crlf", "blank_lines", "no_final_newline", "interleaved", "shuffled"),
    *("duplicate_line", "duplicate_order", "child_before_parent"),
}
"""Faults that do not count down: every export has them while they are on."""
FOR_EVER = 10**6


def case(row: str, *, name: str | None = None, **faults: Any) -> Any:
    """A row of the matrix, met by switching faults of the shop on."""
    return pytest.param(faults, id=name or row, marks=pytest.mark.proves(row))


def failing(row: str, error: type[SyncError], *, name: str | None = None, **faults: Any) -> Any:
    """A row of the matrix whose fault ends the run with this error."""
    return pytest.param(error, faults, id=name or row, marks=pytest.mark.proves(row))


def meet(stage: Stage, faults: dict[str, Any]) -> None:
    """Switch faults of the shop on."""
    for name, value in faults.items():
        setattr(stage.shop.faults, name, value)


@pytest.mark.parametrize(
    "faults",
    [
        case("throttled", let_pass=2, throttled=3),
        case("internal error", let_pass=1, internal_server_error=2),
        case("400s that pass", name="locked", locked=1),
        case("400s that pass", name="too many requests", let_pass=3, too_many_requests=2),
        case("500s", name="500", let_pass=1, server_error=2, server_error_status=500),
        case("500s", name="504", let_pass=3, server_error=1, server_error_status=504),
        case("no JSON", let_pass=2, not_json=1),
        case("no connection", name="refused", connect_error=2),
        case("no connection", name="reset", let_pass=2, connection_reset=1),
        case("slow answer", let_pass=1, slow_answer=1),
        case("lost answer", lost_answer=1),
        case("limit reached", limit_reached=2),
        case("stuck", stuck_in_created=1),
        case("outlasts the polls", runs_long=1),
        case("canceled", canceled_by_shopify=1),
        case("failed", name="failed, timeout", failed=1, failed_error_code="TIMEOUT"),
        case("failed", name="failed, no code", failed=1, failed_error_code=None),
        case("failed", name="failed, partial", failed=1, failed_partial="url"),
        case("failed", name="failed, partial later", failed=1, failed_partial="late"),
        case("expired", expired=1),
        case("no link", completed_without_url=1),
        case("truncated", truncated=1),
        case("reset", reset_mid_file=2),
        case("reset", name="reset, from the start", reset_mid_file=1, range_ignored=True),
        case("reset", name="reset again and again", reset_mid_file=6),
        case("stalled", stalled=2),
        case("another file", reset_mid_file=1, etag_changes=True),
        case("dead link", name="403", expired_link=1),
        case("dead link", name="404", expired_link=1, expired_link_status=404),
        case("dead link", name="403, several times", expired_link=4),
        case("storage away", download_error=2),
        case("storage away", name="storage away for minutes", download_error=6),
        case("wrong counts", name="lines", wrong_object_count=1, bad_files=1),
        case("wrong counts", name="orders", wrong_root_object_count=-1, bad_files=1),
        case("wrong counts", name="bytes", wrong_file_size=5, bad_files=1),
        case("gzip", gzip=True, reset_mid_file=1),
        case("byte order mark", bom=True, crlf=True, blank_lines=3, no_final_newline=True),
        case("duplicate line", duplicate_line=3),
        case("duplicate order", duplicate_order=2),
        case("children first", child_before_parent=3),
        case("interleaved", interleaved=True),
        case("interleaved", name="shuffled", shuffled=True),
    ],
)
def test_completes_exactly(stage: Stage, faults: dict[str, Any]):
    """A fault that passes, or that can be got round, leaves nothing wrong."""
    meet(stage, faults)

    stage.sync()

    met = {name for name, value in faults.items() if getattr(stage.shop.faults, name) != value}
    assert met or faults.keys() <= OF_EVERY_FILE
    assert [] == stage.wrong()
    good_again(stage)
    assert [] == stage.wrong()


@pytest.mark.parametrize(
    ("error", "faults"),
    [
        failing("400s that stay", errors.TokenRefused, name="401", unauthorized=1),
        failing("refused token", errors.TokenRefused, let_pass=3, unauthorized=1),
        failing("400s that stay", errors.ShopRefused, name="402", let_pass=1, payment_required=1),
        failing("400s that stay", errors.ShopRefused, name="403", let_pass=2, forbidden=1),
        failing("400s that stay", errors.ShopRefused, name="404", not_found=1),
        failing("400s that stay", errors.ShopRefused, name="430", let_pass=1, security_rejection=1),
        failing("400s that stay", errors.ShopRefused, name="redirect", redirect=1),
        failing("inactive shop", errors.ShopRefused, let_pass=2, shop_inactive=1),
        failing("too dear", errors.QueryRefused, let_pass=1, too_dear=1),
        failing("partial data", errors.ShopRefused, partial_data=1),
        failing("other version", errors.ApiVersionMismatch, name="other version at once", served_version="2026-07"),
        failing("access denied", errors.BulkAccessDenied, failed=1, failed_error_code="ACCESS_DENIED"),
        failing("null node", errors.UnexpectedAnswer, null_node=1),
        failing("unknown status", errors.UnexpectedAnswer, unknown_status=1),
        failing("broken line", errors.JsonlError, broken_line=3),
        failing("no UTF-8", errors.JsonlError, invalid_utf8=2),
        failing("orphan", errors.JsonlError, orphan_child=1),
        failing("orphan", errors.JsonlError, name="orphan among others", orphan_child=1, interleaved=True),
        *(
            failing(row, errors.RetryBudgetSpent, name=f"{next(iter(faults))} for ever", **faults)
            for row, faults in (
                ("always down", {"throttled": FOR_EVER}),
                ("always down", {"server_error": FOR_EVER, "let_pass": 3}),
                ("always down", {"connection_reset": FOR_EVER, "let_pass": 3}),
                ("always useless", {"limit_reached": FOR_EVER}),
                ("always useless", {"expired": FOR_EVER}),
                ("always useless", {"canceled_by_shopify": FOR_EVER}),
                ("always useless", {"completed_without_url": FOR_EVER}),
                ("never whole", {"download_error": FOR_EVER}),
                ("never whole", {"expired_link": FOR_EVER}),
                ("never whole", {"reset_mid_file": FOR_EVER}),
                ("never whole", {"wrong_object_count": 1}),
            )
        ),
    ],
)
def test_fails_and_says_so(stage: Stage, error: type[SyncError], faults: dict[str, Any]):
    """A fault that nobody here can mend ends the run with its reason, and moves nothing."""
    meet(stage, faults)

    fails_and_says_so(stage, error)


@pytest.mark.proves("other version")
def test_version_changes_in_mid_run(stage: Stage):
    """A version that is retired while the run runs is met at the next answer."""
    stage.shop.faults.order_updated_during_run = lambda shop: setattr(shop.faults, "served_version", "2027-01")

    assert "poll" == fails_and_says_so(stage, errors.ApiVersionMismatch)


@pytest.mark.proves("no token")
def test_waits_for_a_token(stage: Stage):
    """Client credentials: a token endpoint that is away for a while is asked again."""
    stage.shop.client_id, stage.shop.client_secret = "client-7", "secret-of-client-7"
    stage.settings |= {
        "SHOPSYNC_SHOPIFY_TOKEN": "",
        "SHOPSYNC_SHOPIFY_CLIENT_ID": stage.shop.client_id,
        "SHOPSYNC_SHOPIFY_CLIENT_SECRET": stage.shop.client_secret,
    }
    stage.shop.faults.token_error = 3

    stage.sync()

    assert 0 == stage.shop.faults.token_error
    assert [] == stage.wrong()
    stage.shop.client_id = None
    good_again(stage)
    assert [] == stage.wrong()


@pytest.mark.proves("no progress")
def test_counts_of_nothing_are_no_end(stage: Stage):
    """An operation that counts nothing for as long as it runs is waited for."""
    stage.shop.operation_seconds = 60
    stage.shop.faults.object_count_zero_while_running = True

    completes_exactly(stage)


@pytest.mark.proves("search lags")
def test_search_may_lag(stage: Stage):
    """What search does not know yet is beyond the window's end; the next run brings it."""
    stage.shop.faults.search_lag_s = 170
    stage.shop.trade(5, seed=7)
    stage.shop.clock.advance(100)

    completes_exactly(stage)


@pytest.mark.proves("slots taken")
def test_waits_for_canceling_operations(stage: Stage):
    """Slots that are held by operations of others, one of which takes its time to be canceled, are waited for."""
    others = [stage.shop.foreign_operation(600.0, lingering_cancel=True) for _ in range(5)]
    stage.shop.bulk.cancel(others[0].id)

    stage.sync()

    assert [1, 0, 0, 0, 0] == [other.cancel_requests for other in others]
    assert [] == stage.wrong()
    good_again(stage)
    assert [] == stage.wrong()


@pytest.mark.proves("large order")
def test_large_order_is_whole(stage: Stage):
    """An order of 400 lines is in with all of them."""
    shop, order = stage.shop, next(iter(stage.shop.orders.values()))
    first = order["lineItems"][0]
    for _ in range(400):
        order["lineItems"].append({**first, "id": shop.next_id("LineItem")})
    shop.touch(order)
    shop.clock.advance(timedelta(minutes=10))

    stage.sync()

    assert 400 < stage.records()[-1]["counts"]["line_items"]
    assert [] == stage.wrong()
    good_again(stage)
    assert [] == stage.wrong()


@pytest.mark.proves("large line")
def test_large_line_is_read(stage: Stage):
    """A line of 50 MB is archived and read like any other."""
    shop, order = stage.shop, next(iter(stage.shop.orders.values()))
    shop.touch(order, tag="x" * 50_000_000)
    shop.clock.advance(timedelta(minutes=10))

    stage.sync()

    assert 50_000_000 < stage.records()[-1]["counts"]["bytes"]
    assert [] == stage.wrong()
    good_again(stage)
    assert [] == stage.wrong()


@pytest.mark.proves("lines left out")
def test_lines_left_out_are_noticed(stage: Stage):
    """Lines that an export leaves out, and does not count, are told; the next run asks for the window again."""
    before = stage.watermark
    stage.shop.faults.children_cut_at = 1

    stage.sync()

    told = stage.records()[-1]
    assert "completed" == told["status"]
    assert any("other line items" in difference for difference in told["differences"])
    assert before == stage.watermark
    good_again(stage)
    assert [] == stage.records()[-1]["differences"] + stage.wrong()


def test_lasting_difference_holds_the_watermark_once(stage: Stage):
    """What a second export leaves out as well is told each time, but does not hold the watermark for ever."""
    before, shop = stage.watermark, stage.shop
    shop.faults.children_cut_at = 1
    shop.trade(2, seed=3)
    shop.clock.advance(timedelta(minutes=10))

    stage.sync()
    first = stage.watermark
    shop.clock.advance(timedelta(hours=1))
    stage.sync()

    assert before == first
    assert stage.watermark not in {None, before}
    assert any("other line items" in difference for difference in stage.records()[-1]["differences"])


@pytest.mark.proves("order left out")
def test_order_left_out_is_noticed(stage: Stage):
    """An order that search did not know yet is missed by Shopify's own count; the next run brings it."""
    before, shop = stage.watermark, stage.shop
    hidden = next(iter(shop.orders.values()))
    shop.touch(hidden)
    shop.clock.advance(60)
    shop.trade(2, seed=3)
    shop.clock.advance(timedelta(minutes=10))
    del shop.orders[hidden["id"]]
    shop.faults.order_updated_during_run = lambda shop: shop.orders.update({hidden["id"]: hidden})

    stage.sync()

    assert before == stage.watermark
    assert any("orders in the window" in difference for difference in stage.records()[-1]["differences"])
    good_again(stage)
    assert [] == stage.records()[-1]["differences"] + stage.wrong()


@pytest.mark.proves("new value")
@pytest.mark.parametrize("field", ["displayFulfillmentStatus", "reason", "actionType", "lineType"])
def test_new_enum_value_is_kept(stage: Stage, field: str):
    """What Shopify adds to an enum, of an order, an agreement or a sale, is stored as it spells it."""
    shop, order = stage.shop, next(iter(stage.shop.orders.values()))
    agreement = order["agreements"][0]
    node = next(each for each in (order, agreement, agreement["sales"][0]) if field in each)
    node[field] = "HAUNTED"
    shop.touch(order)
    shop.clock.advance(timedelta(minutes=10))

    completes_exactly(stage)


@pytest.mark.proves("empty")
def test_no_orders_at_all(stage: Stage):
    """A shop that has none any more completes, and leaves the watermark."""
    before = stage.watermark
    stage.shop.orders.clear()

    stage.sync()

    assert before == stage.watermark
    assert "completed" == stage.records()[-1]["status"]
    assert [] == stage.wrong_rows() + stage.wrong_days()


@pytest.mark.parametrize(
    "minutes",
    [
        pytest.param(20, marks=pytest.mark.proves("clock ahead")),
        pytest.param(-2, marks=pytest.mark.proves("clock behind")),
    ],
)
def test_clock_may_be_wrong(stage: Stage, minutes: int):
    """A clock that is some way off brings the same orders, and skips none."""
    stage.skew = timedelta(minutes=minutes)

    completes_exactly(stage)


@pytest.mark.parametrize("seconds", [-7_200, -1_000, 1_500, 7_200])
@pytest.mark.proves("clock jumps")
def test_clock_may_jump(stage: Stage, seconds: int):
    """A clock that is set in the middle of a run costs nothing."""

    def jump(_shop: Shop) -> None:
        stage.skew = timedelta(seconds=seconds)

    stage.shop.faults.order_updated_during_run = jump

    stage.sync()

    assert timedelta(0) != stage.skew
    assert [] == stage.wrong()
    good_again(stage)
    assert [] == stage.wrong()


@pytest.mark.proves("clock far ahead")
def test_clock_far_ahead_is_no_gap(stage: Stage):
    """By a clock that is an hour ahead every operation outlasts its polls: the clock is named, and nothing moves."""
    stage.skew = timedelta(hours=1)

    fails_and_says_so(stage, errors.PollBudgetExhausted, "the clock is ahead of Shopify's: correct it")


@pytest.mark.proves("old watermark")
def test_old_watermark_misses_nothing_new(stage: Stage):
    """
    A watermark beyond the floor brings what changed since the floor, and moves on.

    What changed before is left to the backfill that the run's warning names.
    """
    before = stage.watermark
    assert before is not None
    stage.shop.clock.advance(timedelta(days=140))
    stage.shop.trade(4, seed=2)
    stage.shop.clock.advance(timedelta(minutes=10))
    reached = stage.now() - timedelta(days=1)

    stage.sync()
    after = stage.watermark
    floor = datetime.fromisoformat(stage.records()[0]["window_start"])
    left_out = stage.missing()
    stage.backfill(before, floor, by=By.UPDATED)

    assert after is not None
    assert reached < after
    assert [] != left_out
    assert after == stage.watermark
    assert [] == stage.wrong()


@pytest.mark.proves("watermark ahead")
def test_clock_behind_the_watermark(stage: Stage):
    """A clock that has gone back behind the watermark is named, and nothing moves."""
    stage.skew = timedelta(hours=-9)

    fails_and_says_so(stage, errors.WindowError, "correct the clock")
