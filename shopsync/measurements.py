"""
The figures: from sums of the sales ledger to measurement.sales and measurement.performance, exact to the last digit.

Frames in, frames out; it knows neither the database nor the lake. Money is Decimal in object columns: pandas adds
such columns exactly, a float never holds money. What the figures mean is in docs/data.md.
"""

# pyarrow has no type stubs, and pandas-stubs leave most of an object column unknown.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from shopsync.money import exact
from shopsync.records import LedgerSum, ProductFigures
from shopsync.shop_days import DayRange

ZERO = Decimal(0)
KEYS = ["product_id", "currency"]
COUNTS = ["orders", "units_sold", "units_returned"]
MONEY = ["gross_sales", "discounts", "returns", "net_sales", "tax"]
FIGURES = ["units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "orders"]
"""Of measurement.performance, in its order of columns, for each of its windows."""
PREVIOUS = ["units_sold", "net_sales"]
"""What is kept of the windows before."""

MONEY_TYPE = pa.decimal128(19, 4)


def _fields(names: list[str], suffix: str = "") -> list[tuple[str, pa.DataType]]:
    return [(name + suffix, MONEY_TYPE if name in MONEY else pa.int64()) for name in names]


KEY_FIELDS = [("product_id", pa.int64()), ("currency", pa.string())]
SALES_SCHEMA = pa.schema([*KEY_FIELDS, *_fields(COUNTS), *_fields(MONEY)])
PERFORMANCE_SCHEMA = pa.schema(
    [
        *KEY_FIELDS,
        *_fields(FIGURES, "_7d"),
        *_fields(PREVIOUS, "_prev_7d"),
        *_fields(FIGURES, "_30d"),
        *_fields(PREVIOUS, "_prev_30d"),
        ("last_sold_on", pa.date32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Windows:
    """The ranges of measurement.performance as of one day."""

    last_7: DayRange
    last_30: DayRange
    prev_7: DayRange
    prev_30: DayRange


def windows(as_of: date) -> Windows:
    """Return the last 7 and 30 days up to `as_of`, and the 7 and 30 before those."""
    return Windows(
        last_7=_days(as_of, 7),
        last_30=_days(as_of, 30),
        prev_7=_days(as_of - timedelta(days=7), 7),
        prev_30=_days(as_of - timedelta(days=30), 30),
    )


def _days(last: date, count: int) -> DayRange:
    return DayRange(last - timedelta(days=count - 1), last)


def ledger_figures(sums: Sequence[LedgerSum]) -> pd.DataFrame:
    """
    Turn the ledger's sums over one range into figures.

    Args:
        sums: At most one per (product_id, currency, is_return).

    Returns:
        One row per (product_id, currency), sorted by them: orders, units_sold, units_returned (int), gross_sales,
        discounts, returns, net_sales, tax (Decimal).
    """
    ledger = pd.DataFrame(
        {
            "product_id": _ints([one.product_id for one in sums]),
            "currency": pd.Series([one.currency for one in sums], dtype="str"),
            "orders": _ints([0 if one.is_return else one.orders for one in sums]),
            "units_sold": _ints([0 if one.is_return else one.quantity for one in sums]),
            "units_returned": _ints([-one.quantity if one.is_return else 0 for one in sums]),
            "discounts": _objects([ZERO if one.is_return else one.discount_amount for one in sums]),
            "returns": _objects([one.tax_amount - one.total_amount if one.is_return else ZERO for one in sums]),
            "net_sales": _objects([one.total_amount - one.tax_amount for one in sums]),
            "tax": _objects([one.tax_amount for one in sums]),
        }
    )
    figures = ledger.groupby(KEYS, as_index=False, sort=True).sum()
    figures["gross_sales"] = figures["net_sales"] + figures["discounts"] + figures["returns"]
    return figures[[*KEYS, *COUNTS, *MONEY]]


def performance(
    last_7: pd.DataFrame,
    last_30: pd.DataFrame,
    prev_7: pd.DataFrame,
    prev_30: pd.DataFrame,
    last_sold_on: Mapping[tuple[int, str], date],
) -> pd.DataFrame:
    """
    Join the figures of four ranges (each as from `ledger_figures`, see `windows`).

    Args:
        last_sold_on: By (product_id, currency), the last day up to the as-of day with units sold.

    Returns:
        One row per (product_id, currency) with any figure not zero in its last 30 days or the 30 before, sorted by
        them; columns as in PERFORMANCE_SCHEMA, money as Decimal, `last_sold_on` a date or None.
    """
    keys = sorted({*_keys_with_figures(last_30), *_keys_with_figures(prev_30)})
    index = pd.MultiIndex.from_arrays([[key[0] for key in keys], [key[1] for key in keys]], names=KEYS)
    ranges = [
        _aligned(last_7, FIGURES, index).add_suffix("_7d"),
        _aligned(prev_7, PREVIOUS, index).add_suffix("_prev_7d"),
        _aligned(last_30, FIGURES, index).add_suffix("_30d"),
        _aligned(prev_30, PREVIOUS, index).add_suffix("_prev_30d"),
    ]
    frame = pd.concat(ranges, axis=1).reset_index()
    frame["last_sold_on"] = _objects([last_sold_on.get(key) for key in keys])
    return frame


def _keys_with_figures(figures: pd.DataFrame) -> list[tuple[int, str]]:
    found = figures[(figures[FIGURES] != 0).any(axis=1)]
    return list(zip(found["product_id"].tolist(), found["currency"].tolist(), strict=True))


def _aligned(figures: pd.DataFrame, names: list[str], index: pd.MultiIndex) -> pd.DataFrame:
    """Return the named figures in the order of `index`, zero where a key has none in this range."""
    by_key = figures.set_index(KEYS)
    zero: Any = {name: 0 if name in COUNTS else ZERO for name in names}  # the stubs know no Decimal
    return pd.DataFrame({name: by_key[name].reindex(index, fill_value=zero[name]) for name in names}, index=index)


def product_figures(performance: pd.DataFrame, currency: str) -> dict[int, ProductFigures]:
    """Return what `product` shows of each product: its figures in the shop's currency; product 0 is no product."""
    shown = performance[(performance["product_id"] != 0) & (performance["currency"] == currency)]
    columns = [shown[name].tolist() for name in ("product_id", *ProductFigures.__struct_fields__)]
    return {product_id: ProductFigures(*figures) for product_id, *figures in zip(*columns, strict=True)}


def sales_parquet(figures: pd.DataFrame) -> bytes:
    """Return a partition of measurement.sales; equal figures give equal bytes. Raises InexactMoney."""
    return _parquet(figures, SALES_SCHEMA)


def performance_parquet(frame: pd.DataFrame) -> bytes:
    """Return a partition of measurement.performance; equal figures give equal bytes. Raises InexactMoney."""
    return _parquet(frame, PERFORMANCE_SCHEMA)


def performance_frame(content: bytes) -> pd.DataFrame:
    """Read a partition of measurement.performance back, as `performance` made it."""
    return pq.read_table(BytesIO(content), schema=PERFORMANCE_SCHEMA).to_pandas()


def _parquet(frame: pd.DataFrame, schema: pa.Schema) -> bytes:
    columns = {field.name: frame[field.name].tolist() for field in schema}
    money = {field.name: [exact(one) for one in columns[field.name]] for field in schema if field.type == MONEY_TYPE}
    file = BytesIO()
    pq.write_table(pa.table({**columns, **money}, schema=schema), file)
    return file.getvalue()


def _ints(values: list[int]) -> pd.Series:
    return pd.Series(values, dtype="int64")


def _objects(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype="object")
