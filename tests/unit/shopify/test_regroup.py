"""Bringing lines into grouped order."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopsync.errors import JsonlError
from shopsync.records import Order
from shopsync.shopify.jsonl import read_orders
from shopsync.shopify.regroup import regrouped
from tests.unit.shopify.nodes import agreement, family, jsonl, line_item, order, sale, without

FAMILIES = [family(1), family(2, line_items=0), family(3, agreements=0), family(4, sales=0)]
GROUPED = jsonl([node for each in FAMILIES for node in each])


def regroup(nodes: list[dict[str, Any]], folder: Path) -> list[bytes]:
    """Regroup a file of these lines."""
    return list(regrouped(jsonl(nodes), "key", folder))


def canonical(orders: Iterator[Order]) -> list[Any]:
    """Return the orders without regard to any order of rows."""
    found = [
        (each.header, sorted(item.line_item_id for item in each.line_items), sorted(row.sale_id for row in each.sales))
        for each in orders
    ]
    return sorted(found, key=lambda each: each[0].order_id)


def test_grouped_lines_stay(tmp_path: Path) -> None:
    """A grouped file comes out as it went in."""
    assert list(regrouped(GROUPED, "key", tmp_path)) == GROUPED


def test_interleaved_lines_are_grouped(tmp_path: Path) -> None:
    """Orders come as first seen, each with its line items, then its agreements with their sales."""
    scattered = [agreement(20, 1), order(2), sale(30, 20), sale(31, 21), order(1), agreement(21, 1), line_item(10, 1)]
    expected = [order(2), order(1), line_item(10, 1), agreement(20, 1), sale(30, 20), agreement(21, 1), sale(31, 21)]

    assert regroup(scattered, tmp_path) == jsonl(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_any_shuffle_reads_alike(tmp_path: Path, seed: int) -> None:
    """However the lines are shuffled, the orders are the same."""
    shuffled = random.Random(seed).sample(GROUPED, len(GROUPED))

    found = read_orders(regrouped(shuffled, "key", tmp_path), "key")

    assert canonical(read_orders(GROUPED, "key")) == canonical(found)


@pytest.mark.parametrize("names", [("new", "old"), ("old", "new")])
def test_newer_order_wins(tmp_path: Path, names: tuple[str, str]) -> None:
    """An order that is there twice is yielded once, as updated last."""
    versions = {"old": order(1), "new": order(1, updatedAt="2026-11-22T12:00:01Z", name="new")}

    found = regroup([versions[names[0]], order(2), versions[names[1]], line_item()], tmp_path)

    assert jsonl([versions["new"], line_item(), order(2)]) == found


@pytest.mark.parametrize(
    ("nodes", "line"),
    [
        ([order(1), line_item(parent=2)], 2),
        ([agreement(parent=2), order(1)], 1),
        ([order(1), sale(parent=20)], 2),
        ([order(1), line_item(), line_item(11, __parentId="gid://shopify/LineItem/10")], 3),
        ([order(1), agreement(), line_item(__parentId="gid://shopify/SalesAgreement/20")], 3),
        ([order(1), sale(__parentId="gid://shopify/Order/1")], 2),
        ([sale(30, 8), order(1), line_item(parent=9)], 1),
    ],
)
def test_orphan_fails_with_its_line(tmp_path: Path, nodes: list[dict[str, Any]], line: int) -> None:
    """A child whose parent never comes fails before any order is out."""
    with pytest.raises(JsonlError, match="is not in the file") as caught:
        regroup(nodes, tmp_path)

    assert ("key", line) == (caught.value.archive_key, caught.value.line)


@pytest.mark.parametrize(
    "node", [without(line_item(), "__parentId"), without(order(2), "updatedAt"), {"id": "gid://shopify/Novelty/1"}]
)
def test_wrong_line_fails(tmp_path: Path, node: dict[str, Any]) -> None:
    """A line that cannot be placed fails with its number."""
    with pytest.raises(JsonlError) as caught:
        regroup([order(1), node], tmp_path)

    assert caught.value.line == 2


def test_broken_line_fails(tmp_path: Path) -> None:
    """A line that is no JSON fails with its number, blank lines counted."""
    with pytest.raises(JsonlError, match="not JSON") as caught:
        list(regrouped([b"\xef\xbb\xbf" + GROUPED[0], b"", b"{"], "key", tmp_path))

    assert caught.value.line == 3


def test_later_errors_name_original_lines(tmp_path: Path) -> None:
    """A line that is found wrong after it was moved is named by where it stood."""
    nodes = [line_item(quantity="many"), order(1)]

    with pytest.raises(JsonlError, match="quantity") as caught:
        list(read_orders(regrouped(jsonl(nodes), "key", tmp_path), "key"))

    assert caught.value.line == 1


def test_temporary_file_has_no_name(tmp_path: Path) -> None:
    """While lines are read no file is left to clean up, whatever becomes of the process."""
    lines = regrouped(GROUPED, "key", tmp_path)

    next(lines)

    assert [*tmp_path.iterdir()] == []


def test_temporary_file_is_gone_after_error(tmp_path: Path) -> None:
    """A failure leaves no file either."""
    with pytest.raises(JsonlError):
        regroup([line_item()], tmp_path)

    assert [*tmp_path.iterdir()] == []


def test_folder_is_made(tmp_path: Path) -> None:
    """The folder need not exist."""
    assert list(regrouped(GROUPED, "key", tmp_path / "new" / "folder")) == GROUPED


def test_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary file that SQLite cannot write is an error of ours that names the folder."""
    monkeypatch.setattr("shopsync.shopify.regroup._SCHEMA", "PRAGMA max_page_count = 1; CREATE TABLE line (a)")

    with pytest.raises(JsonlError, match="cannot be regrouped in"):
        list(regrouped(GROUPED, "key", tmp_path))
