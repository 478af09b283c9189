"""From the request to the rows, against the simulated shop: whatever goes wrong on the way, the rows are its truth."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from shopsync.errors import (
    BulkAccessDenied,
    BulkOperationFailed,
    DownloadIncomplete,
    JsonlError,
    SyncError,
)
from shopsync.lines import lines
from shopsync.patience import Patience
from shopsync.records import Order
from shopsync.shopify.access import ShopAccess
from shopsync.shopify.admin import REQUIRED_SCOPES, AdminClient
from shopsync.shopify.bulk import BulkOperation, cancel_operation, read_operation, request_operation, result_url
from shopsync.shopify.download import download
from shopsync.shopify.jsonl import read_orders
from shopsync.shopify.poll import PollBudget, wait_until_done
from shopsync.shopify.regroup import regrouped
from shopsync.shopify.scan import ResultScan
from shopsync.window import SyncWindow
from tests import truth
from tests.simulator import Shop
from tests.unit.shopify.fakes import NOW, RUN_ID

WINDOW = SyncWindow(NOW - timedelta(days=128), NOW)


class Export:
    """One run's way from the request to the orders, in a simulated shop whose clock moves when the run sleeps."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.shop = Shop(**{"seed": 7, "orders": 12, "now": NOW} | given)
        self.folder = folder
        clock = self.shop.clock
        access = ShopAccess(f"https://{self.shop.domain}", "2026-10", None, "app", "hush")
        if self.shop.client_id is None:
            access = ShopAccess(f"https://{self.shop.domain}", "2026-10", self.shop.token)
        self.patience = Patience(2, 60, NOW + timedelta(hours=12), 43200, clock.advance, clock.now, jitter=lambda: 0.0)
        http = httpx.Client(transport=httpx.MockTransport(self.shop.respond))
        self.client = AdminClient(access, http, self.patience)

    def set_faults(self, **faults: Any) -> None:
        for name, value in faults.items():
            assert hasattr(self.shop.faults, name)
            setattr(self.shop.faults, name, value)

    def operation(self) -> BulkOperation:
        clock, client = self.shop.clock, self.client
        requested = request_operation(client, WINDOW, RUN_ID, NOW, self.patience)
        return wait_until_done(
            lambda: read_operation(client, requested.id),
            PollBudget(),
            clock.advance,
            clock.now,
            lambda _attempt, _operation: None,
        )

    def fetch(self, operation: BulkOperation) -> bytes | None:
        pieces = download(self.client.http, operation, lambda: result_url(self.client, operation.id), self.patience)
        if pieces is None:
            return None
        self.scan = ResultScan()
        content = b"".join(self.scan.over(pieces))
        self.scan.verify(operation)
        return content

    def orders(self) -> list[Order]:
        found = lines([self.fetch(self.operation()) or b""])
        return list(read_orders(found if self.scan.grouped else regrouped(found, "key", self.folder), "key"))


def rows(found: list[Any], key: str) -> dict[int, Any]:
    """Return records as rows by their key."""
    return {getattr(record, key): msgspec.structs.asdict(record) for record in found}


def tables(orders: list[Order]) -> truth.Tables:
    """Return the rows of the orders in the shape of the truth."""
    headers = rows([each.header for each in orders], "order_id")
    for header in headers.values():
        header["tags"] = json.loads(header["tags"])
    return {
        "order_header": headers,
        "order_line_item": rows([row for each in orders for row in each.line_items], "line_item_id"),
        "order_sale": rows([row for each in orders for row in each.sales], "sale_id"),
        "product": rows([row for each in orders for row in each.products], "product_id"),
    }


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"shuffled": True},
        {"interleaved": True},
        {"bom": True, "crlf": True, "blank_lines": 2, "no_final_newline": True},
        {"throttled": 2, "internal_server_error": 1, "too_many_requests": 1, "server_error": 1, "not_json": 1},
        {"connect_error": 1, "connection_reset": 2, "locked": 1},
        {"let_pass": 1, "slow_answer": 3, "slow_answer_s": 90.0},
        {"lost_answer": 1},
        {"reset_mid_file": 3},
        {"reset_mid_file": 2, "range_ignored": True},
        {"expired_link": 2, "download_error": 1},
        {"expired_link": 1, "expired_link_status": 404, "gzip": True},
    ],
)
def test_rows_are_the_shops_truth(tmp_path: Path, faults: dict[str, Any]) -> None:
    """Every row of the window is what the shop holds, whatever passes on the way there; one operation does it."""
    export = Export(tmp_path)
    export.set_faults(**faults)

    found = tables(export.orders())

    assert found == truth.expected_rows(export.shop, WINDOW.start, WINDOW.end)
    assert len(export.shop.operations) == 1


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ({"failed": 1, "failed_error_code": "ACCESS_DENIED"}, BulkAccessDenied),
        ({"expired": 1}, BulkOperationFailed),
        ({"completed_without_url": 1}, DownloadIncomplete),
        ({"wrong_object_count": 1}, DownloadIncomplete),
        ({"wrong_file_size": 1}, DownloadIncomplete),
        ({"truncated": 9}, DownloadIncomplete),
        ({"reset_mid_file": 1, "etag_changes": True}, DownloadIncomplete),
        ({"broken_line": 3}, JsonlError),
        ({"invalid_utf8": 3}, JsonlError),
        ({"orphan_child": 1}, JsonlError),
    ],
)
def test_what_cannot_be_mended_fails(tmp_path: Path, faults: dict[str, Any], error: type[SyncError]) -> None:
    """What makes an export incomplete, or its meaning unsure, is an error of its kind and never a short result."""
    export = Export(tmp_path)
    export.set_faults(**faults)

    with pytest.raises(error):
        export.orders()


def test_empty_window_has_no_result(tmp_path: Path) -> None:
    """A window without orders completes without a file."""
    export = Export(tmp_path)
    export.shop.orders.clear()

    assert export.fetch(export.operation()) is None


def test_token_expires_in_the_middle(tmp_path: Path) -> None:
    """A granted token that Shopify forgets in mid-run is renewed."""
    export = Export(tmp_path, client_id="app", client_secret="hush")
    requested = request_operation(export.client, WINDOW, RUN_ID, NOW, export.patience)
    export.set_faults(expire_tokens=True)

    assert read_operation(export.client, requested.id).id == requested.id


def test_resumed_run_adopts_its_operation(tmp_path: Path) -> None:
    """A second process of the same run finds the operation of the first, also when it has completed."""
    export = Export(tmp_path)
    first = export.operation()

    assert export.operation() == first


def test_waits_for_foreign_operations(tmp_path: Path) -> None:
    """Foreign operations that hold all slots are waited for, and left alone."""
    export = Export(tmp_path)
    foreign = [export.shop.foreign_operation(500.0) for _ in range(5)]

    export.operation()

    assert {"COMPLETED"} == {each.status for each in foreign}


def test_given_up_operation_is_cancelled(tmp_path: Path) -> None:
    """An operation that the run gives up ends, and a new one is started in its place."""
    export = Export(tmp_path)
    export.set_faults(stuck_in_created=1)
    stuck = request_operation(export.client, WINDOW, RUN_ID, NOW, export.patience)

    cancel_operation(export.client, stuck.id, RUN_ID)

    assert export.operation().id != stuck.id


def test_shop_tells_of_itself(tmp_path: Path) -> None:
    """The first contact brings what the run needs to know of the shop."""
    export = Export(tmp_path, timezone="Asia/Kolkata", currency="INR")

    shop = export.client.shop()

    assert (shop.domain, shop.timezone, shop.currency) == (export.shop.domain, "Asia/Kolkata", "INR")
    assert shop.scopes >= set(REQUIRED_SCOPES)


def test_token_never_goes_to_storage(tmp_path: Path) -> None:
    """The access token is sent to the shop alone."""
    export = Export(tmp_path)
    export.set_faults(reset_mid_file=2)

    export.orders()

    to_storage = [asked for asked in export.shop.requests if asked.to_storage]
    assert len(to_storage) == 3
    assert not [asked for asked in to_storage if "x-shopify-access-token" in asked.headers]
