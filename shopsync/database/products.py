"""
The figures of `product`, refreshed from a measurement; its attributes come with the orders (`orders.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, select

from shopsync.database.engine import reading, writing
from shopsync.database.keys import KEYS, in_batches
from shopsync.database.statements import Upsert, upsert
from shopsync.database.tables import product
from shopsync.records import BestProduct, ProductFigures

FIGURES = Upsert(
    product,
    (
        "product_id",
        "currency",
        "units_sold_7d",
        "units_sold_30d",
        "net_sales_7d",
        "net_sales_30d",
        "last_sold_on",
        "metrics_as_of",
    ),
    guard="metrics_as_of",
)
_COLUMNS = tuple(product.c[name] for name in FIGURES.columns)


def refresh_products(
    engine: Engine, as_of: date, currency: str, figures: Mapping[int, ProductFigures], last_sold: Mapping[int, date]
) -> int:
    """
    Set the figures of every product, and return how many rows differed and were written.

    A product without figures goes to zero; one that no order has shown yet gets a row without attributes. Product 0
    (sales without a product) has no row. Figures of a later day are never overwritten.

    Args:
        engine: Where to.
        as_of: The last day of the windows.
        currency: The shop's.
        figures: Per product, in that currency.
        last_sold: Per product, also of those without figures, the last day up to `as_of` with units sold.
    """
    written = 0
    seen: set[int] = set()
    for page in _pages(engine):
        seen.update(row.product_id for row in page)
        due = (row for row in page if row.metrics_as_of is None or row.metrics_as_of <= as_of)
        wanted = [(tuple(row), _row(row.product_id, as_of, currency, figures, last_sold)) for row in due]
        written += _write(engine, [new for old, new in wanted if old != new])
    unknown = sorted(figures.keys() - seen - {0})
    for batch in in_batches(unknown):
        written += _write(engine, [_row(product_id, as_of, currency, figures, last_sold) for product_id in batch])
    return written


def _pages(engine: Engine) -> Iterator[Sequence[Any]]:
    """Read the stored figures by key, a page at a time, so that no transaction stays open between pages."""
    query = select(*_COLUMNS).order_by(product.c.product_id).limit(KEYS)
    with reading(engine) as connection:
        page = connection.execute(query).all()
    while page:
        yield page
        with reading(engine) as connection:
            page = connection.execute(query.where(product.c.product_id > page[-1].product_id)).all()


def _row(
    product_id: int, as_of: date, currency: str, figures: Mapping[int, ProductFigures], last_sold: Mapping[int, date]
) -> tuple[Any, ...]:
    sold = figures.get(product_id)
    sums = (
        (0, 0, Decimal(0), Decimal(0))
        if sold is None
        else (sold.units_sold_7d, sold.units_sold_30d, sold.net_sales_7d, sold.net_sales_30d)
    )
    return (product_id, currency, *sums, last_sold.get(product_id), as_of)


def _write(engine: Engine, rows: list[tuple[Any, ...]]) -> int:
    if rows:
        with writing(engine) as connection:
            upsert(connection, FIGURES, rows)
    return len(rows)


def best_products(
    engine: Engine, figures: Mapping[int, ProductFigures], currency: str, limit: int
) -> list[BestProduct]:
    """
    Return the products with the greatest net sales of 30 days, best first; those that sold nothing are left out.

    The figures are given, since those of the table may be of a later day; the titles are the table's.
    """
    sold = [(product_id, sums) for product_id, sums in figures.items() if sums.units_sold_30d > 0]
    best = sorted(sold, key=lambda one: (-one[1].net_sales_30d, one[0]))[:limit]
    query = select(product.c.product_id, product.c.title)
    with reading(engine) as connection:
        known = connection.execute(query.where(product.c.product_id.in_([product_id for product_id, _ in best])))
        titles = {row.product_id: row.title for row in known}
    return [
        BestProduct(
            titles.get(product_id),
            sums.units_sold_7d,
            sums.net_sales_7d,
            sums.units_sold_30d,
            sums.net_sales_30d,
            currency,
        )
        for product_id, sums in best
    ]
