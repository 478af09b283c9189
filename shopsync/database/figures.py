"""
What a day's figures are made of, as one text per sale and per order: to see which changed, and with them which days.

Compared as text, because fetching and converting the columns one by one costs several times as much as writing them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from shopsync.database.columns import money_text, ten_thousandths, utc_text
from shopsync.records import OrderHeader, OrderSale

_OF_SALE = (
    "happened_at",
    "reason",
    "action_type",
    "line_type",
    "quantity",
    "total_amount",
    "discount_amount",
    "tax_amount",
    "currency",
    "is_test",
)
"""All but the product: what a sale has no more, its row keeps."""


_OF_ORDER = (
    "updated_at",
    "created_at",
    "first_fulfilled_at",
    "cancelled_at",
    "closed_at",
    "fulfillment_status",
    "customer_id",
    "is_test",
)
"""Its version, and what the figures of the day of its creation ask of it."""
_TIME = len("2026-11-20 12:00:00")


def figures_column(dialect: str) -> str:
    """Return the expression that gives a stored sale's `figures`."""
    return _joined(dialect, _OF_SALE)


def figures_of(dialect: str, sale: OrderSale) -> str:
    """Return what `figures_column` will say of a sale once it is stored."""
    money = ten_thousandths if dialect == "sqlite" else money_text
    quantity = "" if sale.quantity is None else sale.quantity
    return (
        f"{utc_text(sale.happened_at)}|{sale.reason}|{sale.action_type}|{sale.line_type}|{quantity}|{money(sale.total_amount)}"
        f"|{money(sale.discount_amount)}|{money(sale.tax_amount)}|{sale.currency}|{int(sale.is_test)}"
    )


def happened_at(figures: str) -> datetime:
    """Return when a sale with these figures happened."""
    return _time(figures.partition("|")[0])


def order_figures_column(dialect: str) -> str:
    """Return the expression that gives a stored order's version and `figures`."""
    return _joined(dialect, _OF_ORDER)


def order_figures_of(header: OrderHeader) -> str:
    """Return what `order_figures_column` will say of an order once it is stored."""
    customer = "" if header.customer_id is None else header.customer_id
    return (
        f"{utc_text(header.updated_at)}|{utc_text(header.created_at)}|{_text(header.first_fulfilled_at)}"
        f"|{_text(header.cancelled_at)}|{_text(header.closed_at)}|{header.fulfillment_status or ''}|{customer}"
        f"|{int(header.is_test)}"
    )


def is_newer(figures: str, header: OrderHeader) -> bool:
    """Return whether a stored order with these figures is of a newer version than another one."""
    return figures[:_TIME] > utc_text(header.updated_at)


def is_other(figures: str | None, header: OrderHeader) -> bool:
    """Return whether an order was not there, or in another version, or with other figures."""
    # Most that were there are in another version, and of those the rest is not built.
    return not figures or figures[:_TIME] != utc_text(header.updated_at) or figures != order_figures_of(header)


def created_at(figures: str) -> datetime:
    """Return when an order with these figures was created."""
    return _time(figures[_TIME + 1 : 2 * _TIME + 1])


def _joined(dialect: str, columns: Sequence[str]) -> str:
    texts = [f"IFNULL({name}, '')" for name in columns]
    joined = " || '|' || ".join(texts) if dialect == "sqlite" else f"CONCAT_WS('|', {', '.join(texts)})"
    return f"{joined} AS figures"


def _text(at: datetime | None) -> str:
    return "" if at is None else utc_text(at)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
