"""
Bulk operations: who holds a slot, how they run by the shop's clock, and how they end.

CREATED -> RUNNING -> COMPLETED | FAILED, CREATED/RUNNING -> CANCELING -> CANCELED, COMPLETED -> EXPIRED.
States follow from the clock whenever somebody looks. Messages as recorded from real shops.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from graphql import DocumentNode

from tests.simulator import export
from tests.simulator.compile import Compiler, Plan, Root
from tests.simulator.nodes import Node, gid, stamp
from tests.simulator.rules import bulk_errors, needed_scopes, selected
from tests.simulator.schema import is_modern, schema_of
from tests.simulator.search import EmptyBoundError

if TYPE_CHECKING:
    from tests.simulator.shop import Shop

OPEN = frozenset({"CREATED", "RUNNING", "CANCELING"})
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELED", "EXPIRED"})
LINK_LIFE = timedelta(days=7)
CANCEL_TIME = timedelta(seconds=1.5)
IN_PROGRESS = "A bulk query operation for this app and shop is already in progress: {ids}."
LIMIT_REACHED = "Bulk operations limit reached. Please try again later."
NOT_CANCELABLE = "A bulk operation cannot be canceled when it is {status}"
DOES_NOT_EXIST = "Bulk operation does not exist"


@dataclass(slots=True, eq=False)
class Operation:
    """One bulk operation; `number` is the tail of its gid."""

    number: int
    query: str
    created_at: datetime
    seconds: float
    version: str
    group_objects: bool = False
    foreign: bool = False
    document: DocumentNode | None = None
    fate: str = "completed"
    status: str = "CREATED"
    error_code: str | None = None
    object_count: int = 0
    root_object_count: int = 0
    file: Path | None = None
    file_size: int | None = None
    has_url: bool = False
    partial_from: datetime | None = None
    completed_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_at: datetime | None = None
    cancel_lasts: timedelta = CANCEL_TIME
    cancel_requests: int = 0
    missing_scopes: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        """The operation's gid."""
        return gid("BulkOperation", self.number)

    @property
    def is_open(self) -> bool:
        """Whether it still holds a slot."""
        return self.status not in ENDED


class Operations:
    """The bulk operations of one app in one shop."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.all: list[Operation] = []

    def get(self, operation_id: str) -> Operation | None:
        """Return the operation with this gid."""
        self.settle()
        return next((each for each in self.all if each.id == operation_id), None)

    def is_idle(self) -> bool:
        """Whether every operation has ended."""
        self.settle()
        return not any(each.is_open for each in self.all)

    def run(self, query: str, group_objects: bool, version: str) -> tuple[Operation | None, list[Node]]:
        """Start an operation, or return Shopify's user errors."""
        self.settle()
        document, messages = bulk_errors(schema_of(version), query)
        if messages:
            return None, [_error(["query"], message, "INVALID") for message in messages]
        if self.shop.faults.take("limit_reached"):
            return None, [_error(None, LIMIT_REACHED, "LIMIT_REACHED")]
        holders = [each for each in self.all if each.is_open]
        if len(holders) >= (5 if is_modern(version) else 1):
            ids = ", ".join(each.id for each in holders)
            return None, [_error(None, IN_PROGRESS.format(ids=ids), "OPERATION_IN_PROGRESS")]
        operation = Operation(
            number=self.shop.next_number("BulkOperation"),
            query=query,
            created_at=self.shop.clock.now(),
            seconds=self.shop.operation_seconds,
            version=version,
            group_objects=group_objects,
            document=document,
        )
        assert document is not None
        operation.missing_scopes = needed_scopes(selected(schema_of(version), document)) - set(self.shop.scopes)
        self._doom(operation)
        self.all.append(operation)
        return operation, []

    def add_foreign(self, seconds: float, *, lingering_cancel: bool = False) -> Operation:
        """Start an operation that is not the client's; canceled, it may linger in CANCELING."""
        operation = Operation(
            number=self.shop.next_number("BulkOperation"),
            query="{ products { edges { node { id } } } }",
            created_at=self.shop.clock.now(),
            seconds=seconds,
            version=self.shop.api_versions[-1],
            foreign=True,
            fate="foreign",
            cancel_lasts=timedelta(minutes=10) if lingering_cancel else CANCEL_TIME,
        )
        self.all.append(operation)
        return operation

    def _doom(self, operation: Operation) -> None:
        """Let the faults decide how the operation will go."""
        faults = self.shop.faults
        if faults.take("runs_long") or self._is_long(operation):
            operation.seconds = faults.runs_long_seconds
        for fault, fate in (
            ("stuck_in_created", "stuck"),
            ("unknown_status", "unknown"),
            ("canceled_by_shopify", "canceled"),
            ("failed", "failed"),
            ("completed_without_url", "no_url"),
            ("expired", "expired"),
        ):
            if faults.take(fault):
                operation.fate = fate
                if fate == "failed":
                    operation.error_code = faults.failed_error_code
                return

    def _is_long(self, operation: Operation) -> bool:
        over = self.shop.faults.runs_long_over
        if over is None:
            return False
        spans = []
        for root in self._roots(operation):
            try:
                spans.append(self.shop.search_of(root.name, root.arguments.get("query")).span_s)
            except EmptyBoundError:
                spans.append(0.0)
        return max(spans, default=0.0) > over.total_seconds()

    def cancel(self, operation_id: str) -> tuple[Operation | None, list[Node]]:
        """Begin to cancel; an ended operation stays as it is, with a user error."""
        operation = self.get(operation_id)
        if operation is None:
            return None, [{"field": ["id"], "message": DOES_NOT_EXIST}]
        operation.cancel_requests += 1
        if not operation.is_open:
            return operation, [{"field": None, "message": NOT_CANCELABLE.format(status=operation.status.lower())}]
        if operation.status != "CANCELING":
            operation.status = "CANCELING"
            operation.cancel_at = self.shop.clock.now()
        return operation, []

    def settle(self) -> None:
        """Bring every operation to where it is by now."""
        now = self.shop.clock.now()
        for operation in self.all:
            self._advance(operation, now)

    def _advance(self, operation: Operation, now: datetime) -> None:
        if operation.status == "COMPLETED":
            if operation.ended_at and now >= operation.ended_at + LINK_LIFE:
                operation.status, operation.has_url = "EXPIRED", False
            return
        if not operation.is_open or (operation.fate == "stuck" and operation.status != "CANCELING"):
            return
        if operation.cancel_at is not None:
            if now >= operation.cancel_at + operation.cancel_lasts:
                operation.status, operation.ended_at = "CANCELED", now
            return
        age = (now - operation.created_at).total_seconds()
        if age < min(operation.seconds / 2, 2.0):
            return
        if operation.fate == "unknown":
            operation.status = self.shop.faults.unknown_status_name
        elif age < operation.seconds:
            operation.status = "RUNNING"
            if operation.fate != "foreign" and not self.shop.faults.object_count_zero_while_running:
                self._show_progress(operation, age / operation.seconds)
        else:
            self._end(operation, operation.created_at + timedelta(seconds=operation.seconds))

    def _show_progress(self, operation: Operation, share: float) -> None:
        """Counts stay "0" for most of the run, then jump: no steady progress bar, as recorded."""
        if share > 0.75 and not operation.object_count and not operation.missing_scopes:
            try:
                chosen = sum(1 for _ in self._chosen(operation))
            except EmptyBoundError:
                return
            operation.object_count = operation.root_object_count = chosen // 2

    def _end(self, operation: Operation, at: datetime) -> None:
        operation.ended_at = at
        if operation.fate == "canceled":
            operation.status = "CANCELED"
            return
        if operation.missing_scopes:
            operation.status, operation.error_code = "FAILED", "ACCESS_DENIED"
            return
        if operation.fate == "foreign":
            operation.status, operation.completed_at = "COMPLETED", at
            return
        try:
            self._export(operation)
        except EmptyBoundError:
            operation.status, operation.error_code = "FAILED", "INTERNAL_SERVER_ERROR"
            return
        if operation.fate == "failed":
            self._fail(operation, at)
            return
        operation.completed_at = at
        operation.status = "EXPIRED" if operation.fate == "expired" else "COMPLETED"
        operation.has_url = operation.object_count > 0 and operation.fate == "completed"

    def _fail(self, operation: Operation, at: datetime) -> None:
        faults = self.shop.faults
        operation.status = "FAILED"
        if faults.failed_partial == "none" or not operation.object_count:
            operation.file_size = None
        else:
            late = faults.late_s if faults.failed_partial == "late" else 0.0
            operation.partial_from = at + timedelta(seconds=late)

    def _roots(self, operation: Operation) -> list[Root]:
        assert operation.document is not None
        return Compiler(schema_of(operation.version), operation.document).roots()

    def _chosen(self, operation: Operation) -> Iterator[tuple[Plan, Node]]:
        for root in self._roots(operation):
            for node in self.shop.find(root.name, root.arguments):
                yield root.plan, node

    def _export(self, operation: Operation) -> None:
        shop, faults = self.shop, self.shop.faults
        chosen = list(self._chosen(operation))
        if faults.order_updated_during_run is not None:
            during, faults.order_updated_during_run = faults.order_updated_during_run, None
            operation.status = "EXPORTING"  # changes made meanwhile must not settle this operation again
            held, operation.fate = operation.fate, "stuck"
            during(shop)
            operation.fate = held
        if faults.bad_files is not None and not faults.take("bad_files"):
            faults = export.without_file_faults(faults)
        path = shop.folder() / f"bulk-{operation.number}.jsonl"
        written = export.write(
            path,
            chosen,
            group=operation.group_objects,
            seed=operation.number,
            faults=faults,
            share=faults.failed_share if operation.fate == "failed" else 1.0,
        )
        operation.file = path
        operation.object_count = written.objects + faults.wrong_object_count
        operation.root_object_count = written.roots + faults.wrong_root_object_count
        operation.file_size = written.size + faults.wrong_file_size if written.objects else None
        shop.served[operation.id] = path

    def node(self, operation: Operation) -> Node:
        """Return the operation as the schema shows it."""
        links = self.shop.storage
        now = self.shop.clock.now()
        partial = operation.partial_from is not None and now >= operation.partial_from
        return {
            "__typename": "BulkOperation",
            "id": operation.id,
            "type": "QUERY",
            "status": operation.status,
            "errorCode": operation.error_code if operation.status == "FAILED" else None,
            "query": operation.query,
            "createdAt": stamp(operation.created_at),
            "completedAt": stamp(operation.completed_at) if operation.completed_at else None,
            "objectCount": operation.object_count,
            "rootObjectCount": operation.root_object_count,
            "fileSize": operation.file_size if operation.has_url or partial else None,
            "url": links.link(operation) if operation.has_url else None,
            "partialDataUrl": links.link(operation) if partial else None,
        }


def _error(where: list[str] | None, message: str, code: str) -> Node:
    return {"field": where, "message": message, "code": code}
