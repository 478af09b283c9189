"""
`python -m tests.bench.cases NAME JSON`: one contestant, measured in a process of its own.

Each case prepares what it needs and returns its phases; each phase is timed, and its peak memory is told beyond what
the process had when it began.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import URL, Engine, make_url

from shopsync.archive import ArchiveFile, read_archive, write_archive
from shopsync.database.chunks import DAILY_CHUNKS
from shopsync.database.engine import open_database
from shopsync.database.upsert import upsert_orders
from shopsync.lake import Lake, open_lake
from shopsync.lines import lines
from shopsync.records import Order
from shopsync.shopify.jsonl import read_orders
from tests.bench import material, rivals
from tests.factories import NOON

ZONE = ZoneInfo("America/New_York")
CHUNK_ROWS = DAILY_CHUNKS.rows
Given = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One phase: what it is called, its seconds, how many units (rows, lines, days) it did, and its peak in MB."""

    phase: str
    seconds: float
    units: int
    peak_mb: float


@dataclass(frozen=True)
class Phase:
    """A phase to be measured: `work` returns how many units it did."""

    name: str
    work: Callable[[], int]


def measured(phase: Phase) -> Measured:
    """Run a phase and measure it."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    base_mb, begun = _memory_mb("VmRSS"), time.perf_counter()
    units = phase.work()
    return Measured(phase.name, time.perf_counter() - begun, units, max(0.0, _memory_mb("VmHWM") - base_mb))


def _memory_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1024


# --- parsing ---


def parse_json(given: Given) -> list[Phase]:
    """Read with `json.loads`, and do nothing with it."""
    return [Phase("parse", lambda: sum(1 for line in _lines(given) if json.loads(line)))]


def parse_msgspec(given: Given) -> list[Phase]:
    """Read with msgspec into dicts, and do nothing with them: the bare parser."""
    return [Phase("parse", lambda: sum(1 for line in _lines(given) if msgspec.json.decode(line)))]


def parse_product(given: Given) -> list[Phase]:
    """Read into checked records, whole orders with their children."""

    def parse() -> int:
        for _ in read_orders(_lines(given), "bench"):
            pass
        return given["lines"]

    return [Phase("parse", parse)]


def _lines(given: Given) -> Any:
    return lines(material.first_orders(Path(given["jsonl"]), given["lines"]))


# --- rows in memory to committed tables ---


def upsert_product(given: Given) -> list[Phase]:
    """Upsert as the product does, with so many writers."""

    def write(orders: list[Order], run_id: str) -> int:
        engine = open_database(_url(given))
        _upsert(engine, iter(orders), "a" * 64, run_id, given["writers"])
        engine.dispose()
        return _rows(orders)

    return _three_phases(given, write)


def upsert_load_data(given: Given) -> list[Phase]:
    """Upsert by LOAD DATA and a guarded INSERT..SELECT, in chunks of so many rows."""
    rival = rivals.LoadData(_url(given), Path(given["jsonl"]).parent)

    def write(orders: list[Order], _run_id: str) -> int:
        rival.write(orders, given["rows"])
        return _rows(orders)

    return _three_phases(given, write)


def upsert_executemany(given: Given) -> list[Phase]:
    """Upsert by the driver's `executemany`."""
    rival = rivals.ExecuteMany(_url(given))

    def write(orders: list[Order], _run_id: str) -> int:
        rival.write(orders, CHUNK_ROWS)
        return _rows(orders)

    return _three_phases(given, write)


def _three_phases(given: Given, write: Callable[[list[Order], str], int]) -> list[Phase]:
    orders = material.orders(Path(given["jsonl"]), given["lines"])
    changed = [material.changed(order) for order in orders]
    return [
        Phase("insert", lambda: write(orders, "run-1")),
        Phase("unchanged", lambda: write(orders, "run-2")),
        Phase("changed", lambda: write(changed, "run-3")),
    ]


def append_pandas(given: Given) -> list[Phase]:
    """Append with `pandas.to_sql`."""
    orders = material.orders(Path(given["jsonl"]), given["lines"])
    return [Phase("insert", lambda: rivals.to_sql(_url(given), orders))]


# --- archive to committed tables ---


def load_product(given: Given) -> list[Phase]:
    """Archive to tables, as the product's step does it: decompressed, checked, parsed, upserted."""
    file = msgspec.convert(given["file"], ArchiveFile)
    lake, engine = _lake(given), open_database(_url(given))

    def load() -> int:
        _upsert(engine, read_orders(read_archive(lake, file), file.key), file.sha256, "run-1", given["writers"])
        return file.lines

    return [Phase("load", load)]


def load_json_executemany(given: Given) -> list[Phase]:
    """The same archive to the same tables with zstd, `json` and `executemany`."""
    file, lake = msgspec.convert(given["file"], ArchiveFile), _lake(given)
    rival = rivals.ExecuteMany(_url(given))

    def load() -> int:
        for chunk in rivals.JsonReader().chunks(read_archive(lake, file), CHUNK_ROWS):
            rival.write_chunk(chunk)
        return file.lines

    return [Phase("load", load)]


def load_dlt(given: Given) -> list[Phase]:
    """The first load, and a second one of the same lines, with dlt into tables of its own."""
    folder = Path(given["jsonl"]).parent / "dlt"
    load = rivals.dlt_load(_url(given), _lines(given), given["lines"], folder)

    def counted() -> int:
        load()
        return given["lines"]

    return [Phase("load", counted), Phase("again", counted)]


# --- the lake ---


def upload_product(given: Given) -> list[Phase]:
    """JSONL to the lake as the archive step does it, then back again, byte for byte."""
    lake, path = _lake(given), Path(given["jsonl"])
    stored: list[ArchiveFile] = []

    def upload() -> int:
        sha256, size = write_archive(lake, "upload.jsonl.zst", _pieces(path))
        stored.append(ArchiveFile("upload.jsonl.zst", sha256, size, 0, 0, grouped=True))
        return size

    def download() -> int:
        size = sum(len(line) + 1 for line in read_archive(lake, stored[0]))  # checks the sha256
        assert size == path.stat().st_size
        with path.open("rb") as file:
            assert stored[0].sha256 == hashlib.file_digest(file, "sha256").hexdigest()
        return size

    return [Phase("upload", upload), Phase("download", download)]


def upload_boto3(given: Given) -> list[Phase]:
    """The same bytes through zstd with boto3's `upload_fileobj`."""
    import boto3
    import zstandard
    from botocore.config import Config

    config = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    place = given["lake"]
    client = boto3.client(
        "s3",
        endpoint_url=place["endpoint_url"],
        aws_access_key_id=place["access_key_id"],
        aws_secret_access_key=place["secret_access_key"],
        region_name=place["region"],
        config=config,
    )
    bucket, _, prefix = place["url"].removeprefix("s3://").partition("/")

    def upload() -> int:
        with Path(given["jsonl"]).open("rb") as file:
            client.upload_fileobj(
                zstandard.ZstdCompressor(level=3).stream_reader(file), bucket, f"{prefix}/boto3.jsonl.zst"
            )
        return Path(given["jsonl"]).stat().st_size

    return [Phase("upload", upload)]


def _pieces(path: Path) -> Any:
    with path.open("rb") as file:
        while piece := file.read(64 * 1024):
            yield piece


# --- the figures ---


def measure_product(given: Given) -> list[Phase]:
    """Measure every marked day as the step does: sums in the database, a partition a day in the lake."""
    from shopsync.database.days import dirty_days
    from tasks.measure import write_sales

    engine, lake = open_database(_url(given)), _lake(given)

    def measure() -> int:
        days = [day for day, _ in dirty_days(engine)]
        for day in days:
            write_sales(engine, lake, day, ZONE)
        return len(days)

    return [Phase("measure", measure)]


def measure_pandas(given: Given) -> list[Phase]:
    """The whole ledger into one frame, and a partition a day from it: the memory grows with the ledger."""
    import pandas as pd
    from sqlalchemy import create_engine

    engine, folder = create_engine(_url(given)), Path(given["jsonl"]).parent / "pandas"

    def measure() -> int:
        query = "SELECT * FROM order_sale WHERE line_type = 'PRODUCT' AND is_test = 0"
        ledger = pd.read_sql(query, engine)
        ledger["day"] = ledger["happened_at"].dt.tz_localize("UTC").dt.tz_convert(ZONE).dt.date
        amounts = ["quantity", "total_amount", "tax_amount", "discount_amount"]
        for day, sales in ledger.groupby("day"):
            sums = sales.groupby(["product_id", "currency", sales["action_type"] == "RETURN"], dropna=False)[amounts]
            path = folder / f"date={day}" / "part-0.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            sums.agg("sum").reset_index().to_parquet(path)
        return ledger["day"].nunique()

    return [Phase("measure", measure)]


def _upsert(engine: Engine, orders: Any, sha256: str, run_id: str, writers: int) -> None:
    upsert_orders(
        engine,
        orders,
        archive_sha256=sha256,
        run_id=run_id,
        synced_at=NOON,
        zone=ZONE,
        budget=DAILY_CHUNKS,
        on_chunk=lambda progress: None,
        writers=writers,
    )


def _rows(orders: list[Order]) -> int:
    return sum(order.rows for order in orders)


def _url(given: Given) -> URL:
    return make_url(given["database"])


def _lake(given: Given) -> Lake:
    return open_lake(**given["lake"])


CASES: dict[str, Callable[[Given], list[Phase]]] = {
    case.__name__: case
    for case in (
        parse_json,
        parse_msgspec,
        parse_product,
        upsert_product,
        upsert_load_data,
        upsert_executemany,
        append_pandas,
        load_product,
        load_json_executemany,
        load_dlt,
        upload_product,
        upload_boto3,
        measure_product,
        measure_pandas,
    )
}


if __name__ == "__main__":
    found = [measured(phase) for phase in CASES[sys.argv[1]](json.loads(sys.argv[2]))]
    sys.stdout.write("\nMEASURED " + json.dumps([asdict(each) for each in found]) + "\n")
