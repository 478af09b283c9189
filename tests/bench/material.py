"""
What is measured on: one simulated shop's bulk result, again and again under other ids until it is long enough.

Titles, sizes of orders and kinds of sales are the simulator's, so they are as varied, and as hostile, as in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from shopsync.archive import ArchiveFile, write_archive
from shopsync.lake import Lake
from shopsync.lines import lines
from shopsync.records import Order
from shopsync.shopify.jsonl import read_orders
from shopsync.shopify.scan import ResultScan
from tests.contract.test_export import Export

ORDERS = 2_500
"""Of the shop; its result has about 18,000 lines."""
APART = 10**14
"""Ids of one repetition are so far from those of the next."""
OWN_ID = re.compile(rb"(shopify\\?/(?:Order|LineItem|Fulfillment|Refund|\w*Agreement|\w*Sale)\\?/)(\d+)")
"""An id of one order alone, its slashes escaped as Shopify does; products and customers come again, as in a shop."""


def write_jsonl(path: Path, line_count: int, seed: int = 41) -> None:
    """Write at least so many lines of JSONL, in whole orders."""
    export = Export(path.parent, seed=seed, orders=ORDERS, days=120)
    template = export.shop.served_bytes(export.operation().id)
    template = template if template.endswith(b"\n") else template + b"\n"
    pieces = OWN_ID.split(template)
    fixed, ids = pieces[0::3], [int(found) for found in pieces[2::3]]
    heads = [text + kind for text, kind in zip(fixed, [*pieces[1::3], b""], strict=True)]
    with path.open("wb") as file:
        for number in range(-(-line_count // template.count(b"\n"))):
            moved = [b"%d" % (found + number * APART) for found in ids]
            file.write(b"".join(part for pair in zip(heads, [*moved, b""], strict=True) for part in pair))


def archive(jsonl: Path, line_count: int, lake: Lake) -> ArchiveFile:
    """Store the first orders of a JSONL file, at least so many lines, as a run would."""
    scan, key = ResultScan(), f"raw/{line_count}.jsonl.zst"
    sha256, size = write_archive(lake, key, scan.over(first_orders(jsonl, line_count)))
    assert scan.broken is None
    return ArchiveFile(key, sha256, size, scan.lines, scan.roots, scan.grouped)


def first_orders(jsonl: Path, line_count: int) -> Iterator[bytes]:
    """Yield a file's lines up to the end of the order in which the line `line_count` is."""
    with jsonl.open("rb") as file:
        yield from islice(file, line_count)
        for line in file:
            if b'"__parentId"' not in line:
                return
            yield line


def orders(jsonl: Path, line_count: int) -> list[Order]:
    """Return the orders of a file's first lines."""
    return list(read_orders(lines(first_orders(jsonl, line_count)), str(jsonl)))


def changed(order: Order) -> Order:
    """Return an order in which every row is another than before: as if one more of everything had been sold."""
    later = order.header.updated_at + timedelta(days=1)
    header = replace(order.header, updated_at=later, total_price=order.header.total_price + 1)
    return replace(
        order,
        header=header,
        line_items=[
            replace(line, order_updated_at=later, quantity=line.quantity + 1, unit_price=line.unit_price + 1)
            for line in order.line_items
        ],
        sales=[
            replace(sale, order_updated_at=later, quantity=(sale.quantity or 0) + 1, total_amount=sale.total_amount + 1)
            for sale in order.sales
        ],
    )
