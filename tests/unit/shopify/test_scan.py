"""What is counted while a result passes by."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsync.errors import DownloadIncomplete
from shopsync.lines import lines
from shopsync.shopify.bulk import BulkOperation, BulkStatus
from shopsync.shopify.jsonl import read_orders
from shopsync.shopify.scan import ResultScan
from tests.unit.shopify.fakes import NOW
from tests.unit.shopify.nodes import agreement, family, jsonl, line_item, order, sale

LINES = jsonl([*family(1), *family(2), order(3)])
FILE = b"\n".join(LINES) + b"\n"
LATER = "2026-11-22T13:00:00Z"


def scanned(*pieces: bytes) -> ResultScan:
    """Return the scan of a file in these pieces."""
    scan = ResultScan()
    assert list(scan.over(pieces)) == list(pieces)
    return scan


def counted(objects: int, roots: int) -> BulkOperation:
    """Return an operation with Shopify's counts."""
    return BulkOperation("gid://shopify/BulkOperation/1", BulkStatus.COMPLETED, None, NOW, NOW, objects, roots, 1)


@pytest.mark.parametrize(
    "file",
    [
        FILE,
        FILE.removesuffix(b"\n"),
        FILE + b"\n \r\n",
        FILE.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + FILE,
    ],
)
def test_counts_lines_and_roots(file: bytes) -> None:
    """Lines and orders are counted, whatever the line ends, blank lines and marks."""
    scan = scanned(file)

    assert (scan.lines, scan.roots, scan.grouped, scan.broken) == (19, 3, True, None)


@given(cuts=st.lists(st.integers(0, len(FILE)), max_size=20))
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    """Wherever the pieces are cut, the same is counted, and the same lines come out."""
    edges = [0, *sorted(cuts), len(FILE)]
    pieces = [FILE[start:end] for start, end in pairwise(edges)]

    scan = scanned(*pieces)

    assert (scan.lines, scan.roots, scan.grouped, scan.broken) == (19, 3, True, None)
    assert list(lines(pieces)) == LINES


def test_empty_file_counts_nothing() -> None:
    """A file without a byte has no lines."""
    scan = scanned(b"")

    scan.verify(counted(0, 0))

    assert (scan.lines, scan.roots, scan.grouped) == (0, 0, True)


@pytest.mark.parametrize(
    "nodes",
    [
        [line_item(), order()],
        [order(1), order(2), line_item(parent=1)],
        [order(1), agreement(), order(2), sale()],
        [order(1), sale(), agreement()],
    ],
)
def test_scattered_lines_are_noticed(nodes: list[dict[str, object]]) -> None:
    """A child that is not below its parent, or comes after the next order, breaks the grouping."""
    assert not scanned(b"\n".join(jsonl(nodes))).grouped


@pytest.mark.parametrize("between", [[], [order(2)], [order(2, updatedAt=LATER, createdAt=LATER)]])
def test_order_that_comes_again_is_noticed(between: list[dict[str, object]]) -> None:
    """A second line of an order, far from its children, would read as an order that has lost them."""
    assert not scanned(b"\n".join(jsonl([order(1), line_item(), *between, order(1)]))).grouped


@pytest.mark.parametrize("moved", ["updatedAt", "createdAt"])
def test_sorted_by_either_time_is_grouped(moved: str) -> None:
    """Orders come sorted by the time that the window cuts, whatever their other time is."""
    other = {"updatedAt": "createdAt", "createdAt": "updatedAt"}[moved]
    nodes = [order(1, **{other: LATER}), order(2, **{moved: LATER}), order(3, **{moved: LATER})]

    assert scanned(b"\n".join(jsonl(nodes))).grouped


def test_whole_result_passes() -> None:
    """As many lines and orders as Shopify counted are a whole result."""
    scanned(FILE).verify(counted(19, 3))


@pytest.mark.parametrize(
    ("operation", "text"),
    [(counted(20, 3), "19 lines, where Shopify counted 20"), (counted(19, 4), "3 orders, where Shopify counted 4")],
)
def test_missing_lines_are_noticed(operation: BulkOperation, text: str) -> None:
    """Fewer lines or orders than Shopify counted are no whole result."""
    with pytest.raises(DownloadIncomplete, match=text):
        scanned(FILE).verify(operation)


def test_first_broken_line_is_remembered() -> None:
    """A broken line does not stop the archive; the first is remembered with its number and reason."""
    scan = scanned(LINES[0] + b"\n\n{oops\n[]\n\xff\n")

    scan.verify(counted(99, 99))

    assert scan.broken is not None
    assert (scan.broken.number, scan.lines) == (3, 4)
    assert "malformed" in scan.broken.problem


def test_broken_text_is_remembered() -> None:
    """Bytes that are no UTF-8 are a broken line too."""
    scan = scanned(b'{"id": "x", "unread": "\xff"}\n')

    assert scan.broken is not None
    assert scan.broken.problem == "it is not UTF-8"


@given(order_of_lines=st.permutations(LINES[:10]))
def test_grouped_means_readable(order_of_lines: list[bytes]) -> None:
    """What the scan calls grouped, the reader reads."""
    scan = scanned(b"\n".join(order_of_lines))

    orders = list(read_orders(order_of_lines, "key")) if scan.grouped else []

    assert scan.grouped is bool(orders)
