"""
Bulk operations: asking for one exactly once, finding our own again, reading and cancelling it.

Running one is not idempotent at Shopify; a comment with run and window in the inner query makes it so here. The
signed address of a result is a bearer secret: it is no part of `BulkOperation` and is read when it is needed.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from shopsync.errors import AnotherRunHolds, BulkAlreadyRunning, QueryRefused, ShopifyUnavailable, UnexpectedAnswer
from shopsync.patience import Patience
from shopsync.shopify.admin import AdminClient, converted, document
from shopsync.window import SyncWindow, WindowField, stamp

CLOCK_SKEW = timedelta(minutes=10)
"""How far our clock may run ahead of Shopify's when we look for an operation since a time of ours."""

BUSY = frozenset({"OPERATION_IN_PROGRESS", "LIMIT_REACHED"})

MARK = "# run_id="
"""The query of every operation of ours begins with it."""

# A range is sorted by the field that it filters: otherwise large shops time out (Shopify's bulk operation guide).
_SORT_KEYS = {WindowField.UPDATED: "UPDATED_AT", WindowField.CREATED: "CREATED_AT"}

_log = logging.getLogger(__name__)


class BulkStatus(StrEnum):
    """
    The state of a bulk operation.

    Source: Admin API 2026-10, BulkOperationStatus.
    """

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


ADOPTABLE = frozenset({BulkStatus.CREATED, BulkStatus.RUNNING, BulkStatus.COMPLETED})
"""An own operation in another state has no result any more."""


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """
    A bulk operation as Shopify last told, without its result's address.

    `error_code` is Shopify's word, None without one. `object_count` counts all lines of the result,
    `root_object_count` the orders; `file_size` is its bytes, None until there is a file.
    """

    id: str
    status: BulkStatus
    error_code: str | None
    created_at: datetime
    completed_at: datetime | None
    object_count: int
    root_object_count: int
    file_size: int | None


class _Operation(msgspec.Struct, rename="camel", frozen=True):
    id: str
    status: str
    error_code: str | None
    created_at: datetime
    completed_at: datetime | None
    object_count: str
    root_object_count: str
    file_size: str | None
    query: str

    def converted(self) -> BulkOperation:
        try:
            return BulkOperation(
                self.id,
                BulkStatus(self.status),
                self.error_code,
                self.created_at.astimezone(UTC),
                self.completed_at and self.completed_at.astimezone(UTC),
                int(self.object_count),
                int(self.root_object_count),
                None if self.file_size is None else int(self.file_size),
            )
        except ValueError as error:
            raise UnexpectedAnswer(f"bulk operation {self.id}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Wanted:
    window: SyncWindow
    run_id: str
    since: datetime
    spent: Set[str]

    def adopted(self, operation: _Operation) -> BulkOperation | None:
        mark = operation.query.partition("\n")[0].strip()
        if mark != _mark(self.window, self.run_id) or operation.id in self.spent:
            return None
        own = operation.converted()
        if own.status not in ADOPTABLE:
            return None
        _log.info("bulk operation %s of this run is %s already, it is adopted", own.id, own.status)
        return own


class _UserError(msgspec.Struct):
    message: str
    code: str | None = None


class _Payload(msgspec.Struct, rename="camel"):
    bulk_operation: _Operation | None
    user_errors: list[_UserError]


class _Cancellation(msgspec.Struct, rename="camel"):
    user_errors: list[_UserError]


class _Edge(msgspec.Struct):
    node: _Operation


class _PageInfo(msgspec.Struct, rename="camel"):
    has_next_page: bool
    end_cursor: str | None


class _Page(msgspec.Struct, rename="camel"):
    edges: list[_Edge]
    page_info: _PageInfo


def request_operation(
    client: AdminClient,
    window: SyncWindow,
    run_id: UUID | str,
    since: datetime,
    patience: Patience,
    *,
    spent: Set[str] = frozenset(),
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> BulkOperation:
    """
    Return the bulk operation of this run and window: the own one that exists already, or a new one.

    Args:
        since: The run's first start; no operation of its own is older.
        patience: Waits while Shopify's bulk slots are taken, and after an answer that was lost.
        spent: Ids of own operations that gave no usable result and must not be adopted again.
        turn: Entered around each request for a new operation; what it raises is as if Shopify had refused it.

    Returns:
        It may have ended already.

    Raises:
        QueryRefused: Shopify refuses the inner query.
        RetryBudgetSpent: The slots stayed taken, or Shopify did not answer, until the deadline.
    """
    wanted = _Wanted(window, str(run_id), since - CLOCK_SKEW, spent)

    def in_turn() -> BulkOperation:
        with turn():
            return _run(client, wanted)

    return patience.call(lambda: _existing(client, wanted) or in_turn())


def read_operation(client: AdminClient, operation_id: str) -> BulkOperation:
    """Return the operation as it stands now, or raise UnexpectedAnswer when Shopify does not know it."""
    return _read(client, operation_id).converted()


def result_url(client: AdminClient, operation_id: str) -> str | None:
    """Return the signed address of the result, fresh from Shopify and for nobody's log; None without a file."""
    url = _node(client, "result_url", operation_id).get("url")
    return url if isinstance(url, str) else None


def cancel_operation(client: AdminClient, operation_id: str, run_id: UUID | str) -> None:
    """
    Cancel an operation of this run; one that has ended, or is being cancelled, is left as it is.

    Raises:
        UnexpectedAnswer: The operation is not this run's: nothing was cancelled.
    """
    operation = _read(client, operation_id)
    if not operation.query.startswith(f"{MARK}{run_id} "):
        raise UnexpectedAnswer(f"bulk operation {operation_id} is not one of run {run_id}, it is not cancelled")
    if operation.status not in {BulkStatus.CREATED, BulkStatus.RUNNING}:
        return
    answer = client.execute(document("cancel_operation"), {"id": operation_id})
    for refusal in converted(answer.get("bulkOperationCancel"), _Cancellation).user_errors:
        # It ended between the look and the cancellation.
        _log.info("bulk operation %s was not cancelled: %s", operation_id, refusal.message)


def cancel_running(client: AdminClient, run_id: UUID | str, since: datetime) -> list[str]:
    """Cancel whatever a run has running at Shopify, also an operation whose answer was lost; return their ids."""
    running = {BulkStatus.CREATED, BulkStatus.RUNNING}
    own = [
        operation.id
        for operation in _operations_since(client, since - CLOCK_SKEW)
        if operation.query.startswith(f"{MARK}{run_id} ") and operation.status in running
    ]
    for operation_id in own:
        cancel_operation(client, operation_id, run_id)
    return own


def inner_query(window: SyncWindow, run_id: UUID | str) -> str:
    """Return the query that the operation runs over the window's orders, marked with the run and the window."""
    query = document("orders").replace('"WINDOW"', json.dumps(window.search()))
    return f"{_mark(window, run_id)}\n{query.replace('UPDATED_AT', _SORT_KEYS[window.field])}"


def _mark(window: SyncWindow, run_id: UUID | str) -> str:
    return f"{MARK}{run_id} window={stamp(window.start)}/{stamp(window.end)}"


def _existing(client: AdminClient, wanted: _Wanted) -> BulkOperation | None:
    for operation in _operations_since(client, wanted.since):
        adopted = wanted.adopted(operation)
        if adopted:
            return adopted
    return None


def _operations_since(client: AdminClient, since: datetime) -> Iterator[_Operation]:
    """Yield the app's query operations, newest first; an ignored filter (Shopify's habit) does no harm."""
    search = f"operation_type:query created_at:>='{stamp(since)}'"
    cursor: str | None = None
    while True:
        answer = client.execute(document("recent_operations"), {"search": search, "after": cursor})
        page = converted(answer.get("bulkOperations"), _Page)
        for edge in page.edges:
            if edge.node.created_at < since:
                return
            yield edge.node
        cursor = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            return


def _run(client: AdminClient, wanted: _Wanted) -> BulkOperation:
    """Send the mutation once: after a lost answer the caller looks for the operation before it comes here again."""
    query = inner_query(wanted.window, wanted.run_id)
    answer = client.send(document("run_operation"), {"query": query})
    payload = converted(answer.get("bulkOperationRunQuery"), _Payload)
    message = "; ".join(error.message for error in payload.user_errors)
    if BUSY & {error.code for error in payload.user_errors}:
        return _adopt_named(client, message, wanted)
    if payload.user_errors:
        raise QueryRefused(message)
    if payload.bulk_operation is None:
        raise ShopifyUnavailable(client.url, "neither a bulk operation nor a reason why not")
    operation = payload.bulk_operation.converted()
    _log.info("bulk operation %s was created for %s", operation.id, wanted.window.search())
    return operation


def _adopt_named(client: AdminClient, message: str, wanted: _Wanted) -> BulkOperation:
    """Adopt our own one of the operations that hold the slots, or raise BulkAlreadyRunning."""
    ids = tuple(re.findall(r"gid://shopify/BulkOperation/\d+", message))
    busy = BulkAlreadyRunning
    for operation_id in ids:
        holder = _read(client, operation_id)
        adopted = wanted.adopted(holder)
        if adopted:
            return adopted
        if holder.query.startswith(MARK):
            busy = AnotherRunHolds
    raise busy(ids, message)


def _read(client: AdminClient, operation_id: str) -> _Operation:
    return converted(_node(client, "operation", operation_id), _Operation)


def _node(client: AdminClient, query: str, operation_id: str) -> dict[str, Any]:
    node = client.execute(document(query), {"id": operation_id}).get("node")
    if not node:
        raise UnexpectedAnswer(f"it has no bulk operation {operation_id}")
    return node
