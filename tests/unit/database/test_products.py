"""The figures of `product`; tests/services runs this on MariaDB too."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from msgspec import structs
from msgspec.structs import asdict
from sqlalchemy import Engine

from shopsync.database.products import best_products, refresh_products
from shopsync.database.tables import product
from shopsync.records import BestProduct, ProductFigures
from tests.database import load, rows
from tests.factories import order
from tests.factories import product as a_product

TODAY = date(2026, 11, 20)
YESTERDAY = TODAY - timedelta(days=1)


SOLD = ProductFigures(2, 5, Decimal("16.8100"), Decimal("42.0000"))
NOTHING = ProductFigures(0, 0, Decimal("0.0000"), Decimal("0.0000"))


def _figures(database: Engine) -> list[dict[str, Any]]:
    names = ("product_id", "currency", *ProductFigures.__struct_fields__, "last_sold_on", "metrics_as_of")
    return [{name: row[name] for name in names} for row in rows(database, product)]


def _expected(product_id: int, figures: ProductFigures, last_sold_on: date | None, as_of: date) -> dict[str, Any]:
    return {
        "product_id": product_id,
        "currency": "EUR",
        **asdict(figures),
        "last_sold_on": last_sold_on,
        "metrics_as_of": as_of,
    }


def test_sets_the_figures_of_all(database: Engine) -> None:
    """Products with figures get them, the others go to zero."""
    load(database, [order(1, products=[a_product(7), a_product(8)])])

    written = refresh_products(database, TODAY, "EUR", {7: SOLD}, {7: TODAY, 8: YESTERDAY})

    assert [_expected(7, SOLD, TODAY, TODAY), _expected(8, NOTHING, YESTERDAY, TODAY)] == _figures(database)
    assert 2 == written


def test_unseen_product_gets_a_row(database: Engine) -> None:
    """A product that only the ledger knows gets a row without attributes; product 0 gets none."""
    written = refresh_products(database, TODAY, "EUR", {0: SOLD, 7: SOLD}, {})

    assert [_expected(7, SOLD, None, TODAY)] == _figures(database)
    assert [None] == [row["title"] for row in rows(database, product)]
    assert 1 == written


def test_equal_figures_write_nothing(database: Engine) -> None:
    """The same measurement again touches no row."""
    refresh_products(database, TODAY, "EUR", {7: SOLD}, {})

    assert 0 == refresh_products(database, TODAY, "EUR", {7: SOLD}, {})


def test_fallen_out_goes_to_zero(database: Engine) -> None:
    """A product whose windows became empty goes to zero and keeps the day of its last sale."""
    refresh_products(database, YESTERDAY, "EUR", {7: SOLD}, {7: YESTERDAY})

    refresh_products(database, TODAY, "EUR", {}, {7: YESTERDAY})

    assert [_expected(7, NOTHING, YESTERDAY, TODAY)] == _figures(database)


def test_older_day_changes_nothing(database: Engine) -> None:
    """The figures of an earlier as-of day never overwrite those of a later one."""
    refresh_products(database, TODAY, "EUR", {7: SOLD}, {})

    written = refresh_products(database, YESTERDAY, "EUR", {7: NOTHING}, {})

    assert [_expected(7, SOLD, None, TODAY)] == _figures(database)
    assert 0 == written


def test_attributes_stay(database: Engine) -> None:
    """A refresh leaves title and the like as they are."""
    load(database, [order(1, products=[a_product(7, title="Green tea")])])

    refresh_products(database, TODAY, "EUR", {7: SOLD}, {})

    assert ["Green tea"] == [row["title"] for row in rows(database, product)]


def test_refreshes_page_by_page(database: Engine) -> None:
    """A catalogue of more than one page is refreshed to its end."""
    figures = dict.fromkeys(range(1, 2002), SOLD)

    assert 2_001 == refresh_products(database, YESTERDAY, "EUR", figures, {})
    assert 2_001 == refresh_products(database, TODAY, "EUR", figures, {})


def test_best_products_first(database: Engine) -> None:
    """The best have the greatest net sales of 30 days; those without sales are left out."""
    load(database, [order(1, products=[a_product(7, title="Green tea")])])
    better = structs.replace(SOLD, net_sales_30d=Decimal("42.0001"))

    best = best_products(database, {10: SOLD, 9: NOTHING, 8: better, 7: SOLD}, "EUR", 2)

    assert [
        BestProduct(None, 2, SOLD.net_sales_7d, 5, better.net_sales_30d, "EUR"),
        BestProduct("Green tea", 2, SOLD.net_sales_7d, 5, SOLD.net_sales_30d, "EUR"),
    ] == best


def test_best_products_of_an_older_day(database: Engine) -> None:
    """The figures are those given, whatever later day the table shows by now."""
    refresh_products(database, TODAY, "EUR", {7: NOTHING}, {})

    (best,) = best_products(database, {7: SOLD}, "EUR", 10)

    assert (5, SOLD.net_sales_30d) == (best.units_sold_30d, best.net_sales_30d)
