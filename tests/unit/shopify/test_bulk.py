"""Bulk operations: one per run and window, whatever happens to the answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopsync.errors import (
    AnotherRunHolds,
    BulkAlreadyRunning,
    QueryRefused,
    RetryBudgetSpent,
    ShopifyUnavailable,
    UnexpectedAnswer,
)
from shopsync.shopify.bulk import (
    BulkOperation,
    BulkStatus,
    cancel_operation,
    cancel_running,
    inner_query,
    read_operation,
    request_operation,
    result_url,
)
from shopsync.window import SyncWindow, WindowField
from tests.unit.shopify.fakes import NOW, RUN_ID, WINDOW, BulkShop, Clock, client

OWN = inner_query(WINDOW, RUN_ID)
FOREIGN = "{ products { edges { node { id } } } }"


def request(shop: BulkShop, clock: Clock | None = None, **more: Any) -> BulkOperation:
    """Request the operation of the run and window of these tests."""
    clock = clock or Clock()
    return request_operation(client(shop, clock), WINDOW, RUN_ID, NOW, clock.patience(), **more)


def test_query_is_marked() -> None:
    """The inner query's first line names run and window; the window is its filter and decides the order."""
    first, *others = OWN.splitlines()

    assert f"# run_id={RUN_ID} window=2026-11-22T06:00:00Z/2026-11-23T06:00:00Z" == first
    assert "updated_at:>='2026-11-22T06:00:00Z' AND updated_at:<='2026-11-23T06:00:00Z'" in others[1]
    assert "sortKey: UPDATED_AT" in others[1]


def test_creation_window_sorts_likewise() -> None:
    """A creation window is sorted by creation."""
    query = inner_query(SyncWindow(WINDOW.start, WINDOW.end, WindowField.CREATED), RUN_ID)

    assert "created_at:>=" in query
    assert "sortKey: CREATED_AT" in query
    assert "UPDATED_AT" not in query


def test_runs_a_new_operation() -> None:
    """Without an operation of its own the run starts one."""
    shop = BulkShop()
    shop.add(FOREIGN)

    operation = request(shop)

    assert BulkOperation("gid://shopify/BulkOperation/2", BulkStatus.CREATED, None, NOW, None, 0, 0, None) == operation
    assert shop.operations[0]["query"] == OWN


def test_operation_holds_no_address() -> None:
    """The signed address is a secret and no part of what is persisted."""
    assert not {"url", "partial_data_url"} & {field.name for field in fields(BulkOperation)}


@pytest.mark.parametrize("status", ["CREATED", "RUNNING", "COMPLETED"])
def test_adopts_its_own(status: str) -> None:
    """An operation of exactly this run and window is adopted, not started again."""
    shop = BulkShop()
    own = shop.add(OWN, status)

    operation = request(shop)

    assert (own["id"], status) == (operation.id, operation.status)
    assert "RunOperation" not in shop.asked


@pytest.mark.parametrize("status", ["CANCELED", "CANCELING", "FAILED", "EXPIRED"])
def test_leaves_what_gives_nothing(status: str) -> None:
    """An own operation that will give no result is not adopted."""
    shop = BulkShop()
    shop.add(OWN, status)

    assert request(shop).id == "gid://shopify/BulkOperation/2"


def test_leaves_what_is_spent() -> None:
    """An own operation whose result was no good is not adopted again."""
    shop = BulkShop()
    own = shop.add(OWN, "COMPLETED")

    assert request(shop, spent=frozenset({own["id"]})).id != own["id"]


def test_leaves_other_windows() -> None:
    """An operation of the same run but another window is another operation."""
    shop = BulkShop()
    shop.add(inner_query(WINDOW.first_half(), RUN_ID))

    assert request(shop).id == "gid://shopify/BulkOperation/2"


def test_foreign_status_does_no_harm() -> None:
    """A foreign operation in a state that this release does not know is none of its business."""
    shop = BulkShop()
    shop.add(FOREIGN, "PAUSED")

    assert request(shop).status is BulkStatus.CREATED


def test_finds_own_on_later_page() -> None:
    """All recent operations are looked through, page by page."""
    shop = BulkShop(slots=9)
    shop.page_size = 2
    own = shop.add(OWN)
    [shop.add(FOREIGN) for _ in range(4)]

    assert request(shop).id == own["id"]


def test_stops_at_older_operations() -> None:
    """Operations older than the run are not looked at, even if Shopify ignores the filter."""
    shop = BulkShop()
    shop.page_size = 1
    shop.add(OWN, created_at=NOW - timedelta(days=1))
    shop.add(FOREIGN, created_at=NOW - timedelta(hours=1))

    operation = request(shop)

    assert operation.id == "gid://shopify/BulkOperation/3"
    assert shop.asked == ["RecentOperations", "RunOperation"]


def test_lost_answer_is_looked_for() -> None:
    """After a lost answer the operation is found instead of started twice."""
    shop = BulkShop()
    shop.lost = 1

    operation = request(shop)

    assert shop.asked == ["RecentOperations", "RunOperation", "RecentOperations"]
    assert [operation.id] == [existing["id"] for existing in shop.operations]


def test_waits_for_a_slot() -> None:
    """Taken slots are waited for, longer each time."""
    shop, clock = BulkShop(slots=1), Clock()
    shop.add(FOREIGN)

    with pytest.raises(RetryBudgetSpent) as caught:
        request(shop, clock)

    assert isinstance(caught.value.__cause__, BulkAlreadyRunning)
    assert caught.value.__cause__.operation_ids == ("gid://shopify/BulkOperation/1",)
    assert clock.naps[:6] == [60, 120, 240, 480, 900, 900]


def test_slot_of_another_run_is_waited_for_evenly() -> None:
    """Another run of ours gives its slot back soon: waits that double would sleep through that moment."""
    shop, clock = BulkShop(slots=2), Clock()
    shop.add(FOREIGN)
    shop.add("# run_id=run-2 window=x\nquery {}")

    with pytest.raises(RetryBudgetSpent) as caught:
        request(shop, clock)

    assert isinstance(caught.value.__cause__, AnotherRunHolds)
    assert clock.naps[:3] == [60, 60, 60]


def test_waits_for_its_turn() -> None:
    """What is raised when it is not the run's turn is as if Shopify had no slot: it waits, and asks later."""
    shop, clock = BulkShop(), Clock()
    turns = iter([BulkAlreadyRunning((), "another goes first"), None])

    @contextmanager
    def turn() -> Iterator[None]:
        refused = next(turns)
        if refused is not None:
            raise refused
        yield

    request(shop, clock, turn=turn)

    assert clock.naps == [60]


def test_adopts_own_among_busy() -> None:
    """When the slots are taken by an operation of ours that the list did not show yet, it is adopted."""
    shop = BulkShop(slots=2)
    own = shop.add(OWN)
    shop.add(FOREIGN)
    shop.hidden = True

    assert request(shop).id == own["id"]


def test_limit_is_waited_for() -> None:
    """LIMIT_REACHED names no operation, and is waited for like taken slots."""
    shop, clock = BulkShop(), Clock()
    shop.user_errors = [{"code": "LIMIT_REACHED", "field": None, "message": "Bulk operations limit reached."}]

    request(shop, clock)

    assert clock.naps == [60]


@pytest.mark.parametrize("code", ["INVALID", None, "NEW_CODE"])
def test_refused_query_is_final(code: str | None) -> None:
    """A refused inner query is not sent again."""
    shop = BulkShop()
    shop.user_errors = [{"code": code, "field": ["query"], "message": "Bulk queries cannot"}]

    with pytest.raises(QueryRefused, match="Bulk queries cannot"):
        request(shop)


def test_empty_payload_is_asked_again() -> None:
    """An answer with neither an operation nor a reason is treated as lost."""
    shop, clock = BulkShop(), Clock()
    shop.add(FOREIGN)
    empty = {"bulkOperationRunQuery": {"bulkOperation": None, "userErrors": []}}
    shop.run_operation = lambda _: empty  # type: ignore[method-assign]

    with pytest.raises(RetryBudgetSpent) as caught:
        request(shop, clock)

    assert isinstance(caught.value.__cause__, ShopifyUnavailable)


def test_reads_counts_and_times() -> None:
    """Counts come as text and become numbers, times are UTC."""
    shop = BulkShop()
    told: dict[str, Any] = {"completedAt": "2026-11-23T07:00:00+01:00", "objectCount": "1459", "rootObjectCount": "7"}
    own = shop.add(OWN, "COMPLETED", **told, fileSize="116246")

    operation = read_operation(client(shop), own["id"])

    assert (operation.object_count, operation.root_object_count, operation.file_size) == (1459, 7, 116246)
    assert operation.completed_at == datetime(2026, 11, 23, 6, tzinfo=UTC)


def test_keeps_unknown_error_code() -> None:
    """An error code that this release does not know stays as it is."""
    shop = BulkShop()
    own = shop.add(OWN, "FAILED", errorCode="NEW_CODE")

    assert read_operation(client(shop), own["id"]).error_code == "NEW_CODE"


@pytest.mark.parametrize(
    ("told", "text"), [({"status": "PAUSED"}, "PAUSED"), ({"objectCount": "many"}, "many"), ({"query": None}, "query")]
)
def test_unknown_answer_is_told(told: dict[str, Any], text: str) -> None:
    """A state or count that this release cannot read is an error that names it."""
    shop = BulkShop()
    own = {**shop.add(OWN), **told}
    shop.operations = [own]

    with pytest.raises(UnexpectedAnswer, match=text):
        read_operation(client(shop), own["id"])


def test_unknown_operation_is_told() -> None:
    """An id that Shopify does not know is an error that names it."""
    with pytest.raises(UnexpectedAnswer, match="no bulk operation gid://shopify/BulkOperation/9"):
        read_operation(client(BulkShop()), "gid://shopify/BulkOperation/9")


@pytest.mark.parametrize("url", ["https://storage/x?Signature=1", None])
def test_address_is_read_fresh(url: str | None) -> None:
    """The address is asked for when it is needed; None without a file."""
    shop = BulkShop()
    own = shop.add(OWN, "COMPLETED", url=url)

    assert result_url(client(shop), own["id"]) == url


def test_cancels_its_own() -> None:
    """A run cancels the operation that it gives up."""
    shop = BulkShop()
    own = shop.add(OWN)

    cancel_operation(client(shop), own["id"], RUN_ID)

    assert own["status"] == "CANCELING"


@pytest.mark.parametrize("query", [FOREIGN, inner_query(WINDOW, "another-run")])
def test_never_cancels_others(query: str) -> None:
    """What this run did not start is not cancelled, be it ours or another app's."""
    shop = BulkShop()
    other = shop.add(query)

    with pytest.raises(UnexpectedAnswer, match="not one of run"):
        cancel_operation(client(shop), other["id"], RUN_ID)

    assert other["status"] == "RUNNING"


@pytest.mark.parametrize("status", ["COMPLETED", "CANCELING", "CANCELED", "FAILED"])
def test_ended_needs_no_cancelling(status: str) -> None:
    """An operation that has ended, or is being cancelled, is left alone."""
    shop = BulkShop()
    own = shop.add(OWN, status)

    cancel_operation(client(shop), own["id"], RUN_ID)

    assert shop.asked == ["Operation"]


def test_cancels_what_its_run_has_running() -> None:
    """A run that ends early cancels each of its operations that still runs, known or not, and nobody else's."""
    shop = BulkShop()
    statuses = {shop.add(OWN, status)["id"]: status for status in ("RUNNING", "COMPLETED", "CREATED")}
    other = shop.add(inner_query(WINDOW, "another-run"))

    cancelled = cancel_running(client(shop), RUN_ID, NOW)

    assert [key for key, status in statuses.items() if status != "COMPLETED"] == sorted(cancelled)
    assert {"COMPLETED", "CANCELING"} == {
        operation["status"] for operation in shop.operations if operation is not other
    }
    assert "RUNNING" == other["status"]


def test_cancelling_too_late_is_fine(caplog: pytest.LogCaptureFixture) -> None:
    """An operation that ends just before its cancellation is no failure."""
    caplog.set_level("INFO")
    shop = BulkShop()
    own = shop.add(OWN)
    shop.user_errors = [{"field": None, "message": "A bulk operation cannot be canceled when it is completed"}]

    cancel_operation(client(shop), own["id"], RUN_ID)

    assert "cannot be canceled when it is completed" in caplog.text
