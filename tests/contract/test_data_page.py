"""docs/data.md names everything that readers of the database and of the lake rely on, as the code has it."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Column

from shopsync import events, lake
from shopsync.archive import ArchiveFile, Manifest
from shopsync.database.tables import metadata
from shopsync.measurements import PERFORMANCE_SCHEMA, SALES_SCHEMA
from shopsync.telemetry import Counts, JobType, RunError, RunRecord, Status
from tests.unit.database.test_schema import DECLARED

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")
SECTIONS = {part.partition("\n")[0].strip("# `"): part for part in re.split(r"^(?=##)", PAGE, flags=re.MULTILINE)}
OF_ORDERS = ("order_header", "order_line_item", "order_sale", "product")
AT = datetime(2026, 11, 27, tzinfo=UTC)


def _named(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _rows(section: str) -> list[list[str]]:
    """Return the cells of a section's tables, without their heads."""
    lines = [line.strip("| ").split(" | ") for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [row for row, after in zip(lines, [*lines[1:], [""]], strict=True) if not {row[0], after[0]} & {"---"}]


def _first_cells(section: str) -> list[str]:
    return [name for row in _rows(section) for name in _named(row[0])]


def _type(column: Column[Any]) -> str:
    kind: Any = column.type
    declared = DECLARED["mysql"].get(type(kind)) or f"VARCHAR({kind.length})"
    return ", ".join([declared.replace(" ", ""), *(["key"] * column.primary_key), *(["null"] * bool(column.nullable))])


@pytest.mark.parametrize("table", OF_ORDERS)
def test_columns_are_the_tables(table: str) -> None:
    """Every column of the tables of orders, in their order, with its type, key and null."""
    assert [[f"`{each.name}`", _type(each)] for each in metadata.tables[table].columns] == [
        row[:2] for row in _rows(table)
    ]


def test_operational_tables_are_there() -> None:
    """Every other table with all of its columns, the key in bold."""
    operational = {name: table for name, table in metadata.tables.items() if name not in OF_ORDERS}

    assert {
        name: [f"**`{each.name}`**" if each.primary_key else f"`{each.name}`" for each in table.columns]
        for name, table in operational.items()
    } == {row[0].strip("`"): row[1].split(", ") for row in _rows("Operational tables")}


@pytest.mark.parametrize(
    "key",
    [
        lake.raw_archive_key(AT, "<uuid>", 0).replace("-0.", "-<number>."),
        lake.manifest_key(AT, "<uuid>"),
        lake.telemetry_key(AT, "<uuid>", 0, "<step>").replace("0000", "<NNNN>"),
        lake.events_key(AT, "<uuid>", 0).replace("000000", "<NNNNNN>"),
        lake.sales_key(date(2026, 11, 27)),
        lake.performance_key(date(2026, 11, 27)),
    ],
)
def test_keys_are_the_lakes(key: str) -> None:
    """Every kind of object has its key on the page."""
    assert key.replace("2026-11-27", "YYYY-MM-DD") in _first_cells("The lake")


def test_manifest_is_whole() -> None:
    """Every field of a manifest, and of its files."""
    assert {each.name for each in fields(Manifest)} == set(_first_cells("manifest.json"))
    assert {each.name for each in fields(ArchiveFile)} <= set(_named(SECTIONS["manifest.json"]))


def test_record_is_whole() -> None:
    """Every field of a run record with its counts and its error, every kind of run and every status."""
    section = "A record of sync.telemetry"

    assert set(RunRecord.__struct_fields__) == set(_first_cells(section))
    assert {each.name for each in fields(Counts)} | set(RunError.__struct_fields__) <= set(_named(SECTIONS[section]))
    assert {*JobType, *Status} <= set(_named(SECTIONS[section]))


def test_events_are_whole() -> None:
    """Every field that all events have, and what each kind of them adds."""
    common = set(events.Event.__struct_fields__)
    kinds = {
        "order.created": events.OrderCreated,
        "order.updated": events.OrderUpdated,
        "order.cancelled": events.OrderCancelled,
        "order.closed": events.Event,
        "order.refunded": events.OrderRefunded,
        "fulfillment.created": events.FulfillmentEvent,
        "fulfillment.delivered": events.FulfillmentEvent,
    }
    rows = _rows("An event of commerce.telemetry")
    told = {name: set(_named("".join(row[1:]))) for row in rows for name in _named(row[0])}

    assert {name: set(kind.__struct_fields__) - common for name, kind in kinds.items()} == {
        name: added for name, added in told.items() if name not in common
    }
    assert common <= set(told)


@pytest.mark.parametrize(
    ("section", "schema"), [("measurement.sales", SALES_SCHEMA), ("measurement.performance", PERFORMANCE_SCHEMA)]
)
def test_partitions_are_the_schemas(section: str, schema: pa.Schema) -> None:
    """Every column of a partition, in its order, with its type."""
    listed = [
        (name, kind)
        for row in _rows(section)
        for name, kind in zip(_named(row[0]), _kinds(row[1], len(_named(row[0]))), strict=True)
    ]

    assert [(field.name, str(field.type).split("[")[0]) for field in schema] == listed


def _kinds(cell: str, count: int) -> list[str]:
    """Return the types of a row's columns; one stands for all of them."""
    kinds = re.findall(r"decimal128\(19, 4\)|\w+", cell.partition(";")[0])
    return kinds * count if len(kinds) == 1 else kinds
