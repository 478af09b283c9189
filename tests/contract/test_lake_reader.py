"""The lake's reader: it returns what is there, and refuses what docs/data.md does not allow."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests import lake_reader, reference

DAY = date(2026, 11, 22)
ARCHIVE = "raw/shopify/orders/date=2026-11-23/run_id=abc"
SALES = pa.schema(
    [
        ("product_id", pa.int64()),
        ("currency", pa.string()),
        *((name, pa.int64()) for name in ("orders", "units_sold", "units_returned")),
        *((name, lake_reader.MONEY) for name in ("gross_sales", "discounts", "returns", "net_sales", "tax")),
    ]
)


def sales_row(product_id: int) -> dict[str, Any]:
    """Return a row of measurement.sales."""
    money = dict.fromkeys(lake_reader.MONEY_FIGURES, Decimal("1.5000"))
    return {"product_id": product_id, "currency": "USD", "orders": 1, "units_sold": 2, "units_returned": 3, **money}


def put(lake_dir: Path, key: str, content: bytes) -> None:
    """Put an object into the lake."""
    (lake_dir / key).parent.mkdir(parents=True, exist_ok=True)
    (lake_dir / key).write_bytes(content)


def put_sales(lake_dir: Path, rows: list[dict[str, Any]], schema: pa.Schema = SALES) -> None:
    """Put one day of measurement.sales into the lake."""
    folder = lake_dir / f"measurement.sales/date={DAY}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "part-0.parquet")


def put_archive(lake_dir: Path, content: bytes, **claimed: Any) -> None:
    """Put an archive of two frames into the lake, and a manifest that tells the truth unless told otherwise."""
    halves = content[: len(content) // 2], content[len(content) // 2 :]
    put(lake_dir, f"{ARCHIVE}/bulk-1.jsonl.zst", b"".join(zstandard.compress(half) for half in halves))
    entry = {
        "key": f"{ARCHIVE}/bulk-1.jsonl.zst",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "lines": 2,
        "roots": 1,
    }
    put(lake_dir, f"{ARCHIVE}/manifest.json", json.dumps({"run_id": "abc", "files": [entry | claimed]}).encode())


def test_reads_sales_by_day(tmp_path: Path) -> None:
    """A day's rows come back by product and currency."""
    put_sales(tmp_path, [sales_row(0), sales_row(7)])

    sales = lake_reader.read_sales(tmp_path)

    assert {DAY: {(0, "USD"), (7, "USD")}} == {day: set(rows) for day, rows in sales.items()}
    assert Decimal("1.5") == sales[DAY][7, "USD"]["net_sales"]


def test_empty_day_is_empty(tmp_path: Path) -> None:
    """A file without rows is a day without figures."""
    put_sales(tmp_path, [])

    assert {DAY: {}} == lake_reader.read_sales(tmp_path)


def test_key_twice_is_refused(tmp_path: Path) -> None:
    """A product and currency that a file holds twice is an error."""
    put_sales(tmp_path, [sales_row(7), sales_row(7)])

    with pytest.raises(AssertionError, match="twice"):
        lake_reader.read_sales(tmp_path)


def test_second_object_is_refused(tmp_path: Path) -> None:
    """A partition of two objects counts its day twice for a reader, so it is an error."""
    put_sales(tmp_path, [])
    put(tmp_path, f"measurement.sales/date={DAY}/part-1.parquet", b"")

    with pytest.raises(AssertionError, match="instead of one"):
        lake_reader.read_sales(tmp_path)


def test_float_money_is_refused(tmp_path: Path) -> None:
    """Money of another type than decimal128(19,4) is an error."""
    schema = SALES.set(SALES.get_field_index("tax"), pa.field("tax", pa.float64()))
    put_sales(tmp_path, [], schema)

    with pytest.raises(AssertionError, match="tax is double"):
        lake_reader.read_sales(tmp_path)


def test_reads_performance(tmp_path: Path) -> None:
    """Performance as of a day comes back by product and currency, with dates as dates."""
    figures = dict.fromkeys(lake_reader.PERFORMANCE_FIGURES, 0) | {"last_sold_on": DAY}
    money = {name: Decimal(0) for name in figures if name.startswith(lake_reader.MONEY_FIGURES)}
    row = figures | money
    schema = pa.schema(
        [("product_id", pa.int64()), ("currency", pa.string())]
        + [(name, lake_reader.MONEY if name in money else pa.int64()) for name in figures if name != "last_sold_on"]
        + [("last_sold_on", pa.date32())]
    )
    folder = tmp_path / f"measurement.performance/as_of={DAY}"
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist([row | {"product_id": 7, "currency": "USD"}], schema=schema)
    pq.write_table(table, folder / "part-0.parquet")

    assert {(7, "USD"): row} == lake_reader.read_performance(tmp_path, DAY)
    assert [DAY] == lake_reader.performance_days(tmp_path)


def test_reads_stream_in_order(tmp_path: Path) -> None:
    """Records come back in the order of keys and lines; only a line feed ends a line."""
    put(tmp_path, "sync.telemetry/date=2026-11-23/run_id=abc/0002-poll.jsonl", b'{"step": "poll"}\n')
    initiated = '{"step": "initiated", "shop": "a\u2028b"}\n'
    put(tmp_path, "sync.telemetry/date=2026-11-23/run_id=abc/0001-initiated.jsonl", initiated.encode())
    put(tmp_path, "sync.telemetry/date=2026-11-23/run_id=def/0001-initiated.jsonl", b'{"step": "other"}\n')

    steps = [record["step"] for record in lake_reader.read_telemetry(tmp_path, "abc")]

    assert ["initiated", "poll"] == steps
    assert 3 == len(lake_reader.read_telemetry(tmp_path))


def test_events_tell_facts(tmp_path: Path) -> None:
    """An event is compared by what happened, to which order, and when."""
    event = {
        "event_id": "1",
        "event": "order.created",
        "occurred_at": "2026-11-22T10:00:00Z",
        "order_id": 7,
        "order_name": "#7",
        "is_test": False,
    }
    key = "commerce.telemetry/date=2026-11-23/run_id=abc/batch-000001.jsonl"
    put(tmp_path, key, json.dumps(event).encode() + b"\n")

    facts = lake_reader.facts_told(lake_reader.read_events(tmp_path))

    assert [reference.Fact("order.created", datetime(2026, 11, 22, 10, tzinfo=UTC), 7, "#7", False)] == list(facts)


CONTENT = b'{"id":"gid:\\/\\/shopify\\/Order\\/1"}\n{"id":"2","__parentId":"gid:\\/\\/shopify\\/Order\\/1"}\n'


def test_archive_comes_back_whole(tmp_path: Path) -> None:
    """The archive's bytes are those of all its frames, and its manifest agrees."""
    put_archive(tmp_path, CONTENT)

    assert {f"{ARCHIVE}/bulk-1.jsonl.zst": CONTENT} == lake_reader.archived_bytes(tmp_path, "abc")
    assert [] == lake_reader.manifest_problems(tmp_path, "abc")


@pytest.mark.parametrize("claimed", [{"sha256": "0" * 64}, {"bytes": 1}, {"lines": 3}, {"roots": 2}])
def test_false_manifest_is_told(tmp_path: Path, claimed: dict[str, Any]) -> None:
    """Every count of the manifest is held against the archive."""
    put_archive(tmp_path, CONTENT, **claimed)

    (problem,) = lake_reader.manifest_problems(tmp_path, "abc")

    assert f"{ARCHIVE}/bulk-1.jsonl.zst {next(iter(claimed))}" == problem.split(":")[0]


def test_unlisted_file_is_told(tmp_path: Path) -> None:
    """A file of the archive that the manifest does not list is a problem."""
    put_archive(tmp_path, CONTENT)
    put(tmp_path, f"{ARCHIVE}/bulk-2.jsonl.zst", zstandard.compress(b""))

    assert 1 == len(lake_reader.manifest_problems(tmp_path, "abc"))


def test_snapshot_leaves_telemetry_out(tmp_path: Path) -> None:
    """A whole lake is compared by the hashes of its objects, without what runs say of themselves."""
    put(tmp_path, "sync.telemetry/date=2026-11-23/run_id=abc/0001-initiated.jsonl", b"{}\n")
    put(tmp_path, "measurement.sales/date=2026-11-22/part-0.parquet", b"rows")

    assert {"measurement.sales/date=2026-11-22/part-0.parquet": hashlib.sha256(b"rows").hexdigest()} == (
        lake_reader.snapshot(tmp_path)
    )
