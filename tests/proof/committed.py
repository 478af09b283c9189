"""What runs have committed, chunk by chunk, by the files that Shopify made for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests import truth
from tests.simulator import Shop
from tests.simulator.compile import Plan
from tests.simulator.operations import Operation, Operations
from tests.truth import Node, Truth

PROGRESS = "SELECT archive_sha256, run_id, orders FROM archive_progress"


class Export(NamedTuple):
    """The orders in the file of a bulk operation, in its order."""

    number: int
    orders: list[Node]


@dataclass
class Committed:
    """
    The truth of a shop's orders as far as runs have committed them.

    `exports` is what is in each file that Shopify made, by sha256, and `taken` how many of its orders the truth has, by
    sha256 and run.
    """

    shop: Shop
    truth: Truth = field(default_factory=Truth)
    exports: dict[str, Export] = field(default_factory=dict)
    taken: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shop.bulk = Exports(self.shop, self.exports)

    def take(self, progress: Iterable[tuple[Any, ...]]) -> None:
        """Take into the truth what was committed of each archive since the last look, which PROGRESS tells."""
        grown = [
            (self.exports[sha256], orders) for sha256, run_id, orders in progress if self._grew(sha256, run_id, orders)
        ]
        for export, orders in sorted(grown, key=lambda each: each[0].number):
            self.truth.take(export.orders[:orders])

    def _grew(self, sha256: str, run_id: str, orders: int) -> bool:
        before = self.taken.get((sha256, run_id), 0)
        self.taken[sha256, run_id] = orders
        return orders > before

    def missing(self, reached: datetime | None) -> list[str]:
        """Return the orders that a watermark says are in, and are not."""
        headers = self.truth.tables["order_header"]
        late = [] if reached is None else truth.orders_within(self.shop, datetime.min.replace(tzinfo=UTC), reached)
        return [
            f"{order['id']} of {order['updatedAt']} is missing, the watermark is {reached}"
            for order in late
            if headers.get(int(order["id"].rsplit("/", 1)[1]), {}).get("updated_at") != truth.moment(order["updatedAt"])
        ]


class Exports(Operations):
    """Bulk operations that remember which orders each file holds, as they were then, by the file's sha256."""

    def __init__(self, shop: Shop, kept: dict[str, Export]) -> None:
        super().__init__(shop)
        self._kept = kept
        self._orders: list[Node] = []

    def _chosen(self, operation: Operation) -> Iterator[tuple[Plan, Node]]:
        chosen = list(super()._chosen(operation))
        self._orders = [node for _, node in chosen]
        return iter(chosen)

    def _export(self, operation: Operation) -> None:
        super()._export(operation)
        sha256 = hashlib.sha256(self.shop.served_bytes(operation)).hexdigest()
        self._kept[sha256] = Export(operation.number, deepcopy(self._orders))
