"""How many values one statement may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

VALUES = 1_000
"""SQLite takes 32,766 variables; a list of this length costs no server a thought."""

Item = TypeVar("Item")


def in_batches(items: Iterable[Item], size: int = VALUES) -> Iterator[list[Item]]:
    """Cut items into lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
