"""
Reads a lake folder back, with plain pyarrow, zstandard and json: what a reader of the lake would see.

It is strict where docs/data.md is: one object per partition under its fixed name, no key twice in a file, money as
decimal128(19,4).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tests.reference import Fact, Figures, Key

MONEY = pa.decimal128(19, 4)
PART = "part-0.parquet"
# What a run says of itself; everything else in the lake must not change when nothing changed in the shop.
TELEMETRY = ("sync.telemetry/",)
# What belongs to one run, under keys of its own.
OF_ONE_RUN = ("sync.telemetry/", "commerce.telemetry/", "raw/")

SALES_FIGURES = (
    "orders",
    "units_sold",
    "units_returned",
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "tax",
)
PERFORMANCE_FIGURES = (
    *(
        f"{figure}_{window}"
        for window in ("7d", "30d")
        for figure in (
            "units_sold",
            "units_returned",
            "gross_sales",
            "discounts",
            "returns",
            "net_sales",
            "orders",
            "units_sold_prev",
            "net_sales_prev",
        )
    ),
    "last_sold_on",
)
MONEY_FIGURES = ("gross_sales", "discounts", "returns", "net_sales", "tax")


# --- Measurements -------------------------------------------------------------------------------------------------


def read_sales(lake_dir: Path) -> dict[date, dict[Key, Figures]]:
    """Return measurement.sales by shop-local day; a day whose file has no rows is there, and empty."""
    return {
        date.fromisoformat(day): _read_part(folder, SALES_FIGURES)
        for day, folder in _partitions(lake_dir / "measurement.sales", "date").items()
    }


def read_performance(lake_dir: Path, as_of: date) -> dict[Key, Figures]:
    """Return measurement.performance as of one shop-local day."""
    return _read_part(lake_dir / "measurement.performance" / f"as_of={as_of.isoformat()}", PERFORMANCE_FIGURES)


def performance_days(lake_dir: Path) -> list[date]:
    """Return the as-of days that the lake has, oldest first."""
    return [date.fromisoformat(day) for day in sorted(_partitions(lake_dir / "measurement.performance", "as_of"))]


def _partitions(folder: Path, name: str) -> dict[str, Path]:
    if not folder.exists():
        return {}
    return {path.name.removeprefix(f"{name}="): path for path in folder.iterdir() if path.name.startswith(f"{name}=")}


def _read_part(folder: Path, figures: Iterable[str]) -> dict[Key, Figures]:
    objects = sorted(path.name for path in folder.iterdir())
    assert objects == [PART], f"{folder.name} holds {objects} instead of one {PART}"
    # ParquetFile, not read_table: that one would take the partition's folder for a column.
    with pq.ParquetFile(folder / PART) as part:
        table = part.read()
    for field in table.schema:
        if field.name.startswith(MONEY_FIGURES):
            assert field.type == MONEY, f"{folder.name} {field.name} is {field.type}"
    rows: dict[Key, Figures] = {}
    for row in table.to_pylist():
        key = (row["product_id"], row["currency"])
        assert key not in rows, f"{folder.name} holds {key} twice"
        rows[key] = {figure: row[figure] for figure in figures}
    return rows


# --- Streams ------------------------------------------------------------------------------------------------------


def read_events(lake_dir: Path, run_id: str | None = None) -> list[dict[str, Any]]:
    """Return the events of commerce.telemetry, of one run or of all, in the order of their keys and lines."""
    return _read_stream(lake_dir, "commerce.telemetry", run_id)


def read_telemetry(lake_dir: Path, run_id: str | None = None) -> list[dict[str, Any]]:
    """Return the records of sync.telemetry, of one run or of all, in the order of their keys and lines."""
    return _read_stream(lake_dir, "sync.telemetry", run_id)


def facts_told(events: Iterable[dict[str, Any]]) -> Counter[Fact]:
    """Return the facts that these events tell, to be compared with `reference.facts_of`."""
    return Counter(
        Fact(
            event["event"],
            datetime.fromisoformat(event["occurred_at"]),
            int(event["order_id"]),
            event["order_name"],
            event["is_test"],
        )
        for event in events
    )


def _read_stream(lake_dir: Path, stream: str, run_id: str | None) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for path in sorted((lake_dir / stream).glob(f"date=*/run_id={run_id or '*'}/*.jsonl")):
        text = path.read_text(encoding="utf-8")
        # Only \n ends a line: titles of products may hold other line separators.
        records.extend(json.loads(line) for line in text.split("\n") if line)
    return records


# --- Archive ------------------------------------------------------------------------------------------------------


def read_manifest(lake_dir: Path, run_id: str) -> dict[str, Any]:
    """Return the manifest of one run's archive."""
    (path,) = (lake_dir / "raw/shopify/orders").glob(f"date=*/run_id={run_id}/manifest.json")
    return json.loads(path.read_bytes())


def archived_bytes(lake_dir: Path, run_id: str) -> dict[str, bytes]:
    """Return the decompressed bytes of every file in one run's archive, by key, whatever its manifest says."""
    paths = sorted((lake_dir / "raw/shopify/orders").glob(f"date=*/run_id={run_id}/*.jsonl.zst"))
    return {path.relative_to(lake_dir).as_posix(): _decompress(path.read_bytes()) for path in paths}


def manifest_problems(lake_dir: Path, run_id: str) -> list[str]:
    """Return where a manifest and its archive disagree on keys, sha256, bytes, lines or roots."""
    listed = {entry["key"]: entry for entry in read_manifest(lake_dir, run_id)["files"]}
    contents = archived_bytes(lake_dir, run_id)
    problems = [f"{key}: only in one of manifest and archive" for key in sorted({*listed} ^ {*contents})]
    for key in sorted({*listed} & {*contents}):
        for name, counted in _count(contents[key]).items():
            if listed[key][name] != counted:
                problems.append(f"{key} {name}: {listed[key][name]} in the manifest, {counted} in the archive")
    return problems


def _count(content: bytes) -> dict[str, Any]:
    nodes = [json.loads(line) for line in content.split(b"\n") if line]
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "lines": len(nodes),
        "roots": sum("__parentId" not in node for node in nodes),
    }


def _decompress(content: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True)
    return reader.read()


# --- The whole lake -----------------------------------------------------------------------------------------------


def snapshot(lake_dir: Path, leave_out: tuple[str, ...] = TELEMETRY) -> dict[str, str]:
    """Return the sha256 of every object by key, without those whose key starts with one of `leave_out`."""
    keys = {path.relative_to(lake_dir).as_posix(): path for path in lake_dir.rglob("*") if path.is_file()}
    return {
        key: hashlib.sha256(path.read_bytes()).hexdigest()
        for key, path in sorted(keys.items())
        if not key.startswith(leave_out)
    }
