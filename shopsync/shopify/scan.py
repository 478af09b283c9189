"""
The look at a result on its way into the archive: counts to check against Shopify's, and whether lines are grouped.

It never refuses bytes, so that a broken file is in the archive before the run fails. Constant memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from shopsync.errors import DownloadIncomplete
from shopsync.lines import LineCutter
from shopsync.shopify.bulk import BulkOperation
from shopsync.shopify.lines import UNREADABLE, content, plainly, require_utf8


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that is no JSON object of the expected kind; `number` counts from 1."""

    number: int
    problem: str


class _Node(msgspec.Struct, gc=False):
    id: str
    parent: str | None = msgspec.field(name="__parentId", default=None)
    updated_at: str = msgspec.field(name="updatedAt", default="")
    created_at: str = msgspec.field(name="createdAt", default="")


_NODE = msgspec.json.Decoder(_Node)


class _Sorted:
    """Whether orders come sorted by one of their times, none of them twice; only those of the last moment are kept."""

    def __init__(self) -> None:
        self.holds = True
        self._last = ""
        self._ids = set[str]()

    def see(self, at: str, order_id: str) -> None:
        if at != self._last:
            self.holds = self.holds and at > self._last
            self._last = at
            self._ids.clear()
        self.holds = self.holds and order_id not in self._ids
        if self.holds:
            self._ids.add(order_id)


class ResultScan:
    """
    What has been seen of a JSONL file so far.

    `lines` counts all lines but blank ones, `roots` those without a parent. `broken` is the first broken line.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.roots = 0
        self.broken: BrokenLine | None = None
        self._number = 0
        self._root = ""
        self._children: set[str] = set()
        self._below = True
        self._by_update, self._by_creation = _Sorted(), _Sorted()

    @property
    def grouped(self) -> bool:
        """
        Whether the file can be read order by order.

        Each child comes below its order, and each grandchild below its parent, before the next order; and orders come
        sorted by a time, as they were asked for. In any other order one might come again, far away and without its
        children, and would be taken for an order that has lost them.
        """
        return self._below and (self._by_update.holds or self._by_creation.holds)

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces unchanged, having looked at each."""
        cutter = LineCutter()
        for piece in pieces:
            for line in cutter.cut(piece):
                self.see(line)
            yield piece
        rest = cutter.rest()
        if rest:
            self.see(rest)

    def see(self, line: bytes) -> None:
        """Look at the next line."""
        self._number += 1
        line = content(line, self._number)
        if not line:
            return
        self.lines += 1
        try:
            require_utf8(line)
            node = _NODE.decode(line)
        except UNREADABLE as error:
            self.broken = self.broken or BrokenLine(self._number, plainly(error))
            return
        if node.parent is None:
            self.roots += 1
            self._root = node.id
            self._children.clear()
            self._by_update.see(node.updated_at, node.id)
            self._by_creation.see(node.created_at, node.id)
        elif node.parent == self._root:
            self._children.add(node.id)
        elif node.parent not in self._children:
            self._below = False

    def verify(self, operation: BulkOperation) -> None:
        """
        Check the counts of a whole result; with a broken line there is nothing to check: see `broken`.

        Raises:
            DownloadIncomplete: Lines or orders are not as many as Shopify counted.
        """
        if self.broken is not None:
            return
        for what, seen, counted in (
            ("lines", self.lines, operation.object_count),
            ("orders", self.roots, operation.root_object_count),
        ):
            if seen != counted:
                raise DownloadIncomplete(operation.id, f"{seen} {what}, where Shopify counted {counted}")
