"""
From the lines of an export to whole orders, one at a time, in constant memory.

It trusts no adjacency: each line's `__parentId` is checked against the order that it stands under. Enum values and
the names of kinds of sales and agreements stay open, since Shopify adds to them; everything else is exact or fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache, reduce
from itertools import chain, islice
from typing import Any, NoReturn, cast

import msgspec

from shopsync.errors import InexactMoney, JsonlError
from shopsync.lines import BYTE_ORDER_MARK
from shopsync.records import Fulfillment, Order, OrderHeader, OrderLineItem, OrderSale, Product, Refund
from shopsync.shopify import gid
from shopsync.shopify.lines import UNREADABLE, Line, plainly, require_utf8
from shopsync.shopify.nodes import (
    KNOWN,
    AgreementNode,
    FulfillmentNode,
    LineItemNode,
    MoneyBag,
    NodeHead,
    OrderNode,
    ProductNode,
    RefundNode,
    SaleNode,
)

NOT_SHIPPED = frozenset({"CANCELLED", "ERROR", "FAILURE"})
"""Fulfillments in these states never left the shop."""


class Kind(IntEnum):
    """What a line is, in the order in which an order's lines follow each other."""

    ORDER = 1
    LINE_ITEM = 2
    AGREEMENT = 3
    SALE = 4


_HEAD = msgspec.json.Decoder(NodeHead)
_SHAPES = {Kind.ORDER: OrderNode, Kind.LINE_ITEM: LineItemNode, Kind.AGREEMENT: AgreementNode, Kind.SALE: SaleNode}
_DECODERS = {kind: msgspec.json.Decoder[Any](shape) for kind, shape in _SHAPES.items()}
_KNOWN = msgspec.json.Decoder[Any](reduce(lambda either, shape: either | shape, cast("list[Any]", [*KNOWN])))
_KINDS = {known: kind for known, its_shape in KNOWN.items() for kind, shape in _SHAPES.items() if shape is its_shape}
# Asked of every line: looked up in its class, a member costs more than all that is done with it.
_ORDER, _LINE_ITEM, _SALE = Kind.ORDER, Kind.LINE_ITEM, Kind.SALE
_ZERO = Decimal(0)


def read_orders(lines: Iterable[bytes], archive_key: str) -> Iterator[Order]:
    """
    Yield the orders of a file whose lines are grouped: an order, its line items, its agreements, each with its sales.

    A child that is there twice counts once; blank lines and a byte order mark are no content.

    Args:
        lines: Without their line feed. `Line`s are reported under their own number, others are counted.

    Raises:
        JsonlError: A line is not what the query asked for, or does not belong to the order above it.
        InexactMoney: An amount does not fit DECIMAL(19,4).
    """
    reader = _Reader()
    for counted, line in enumerate(_bare(lines), start=1):
        try:
            complete = reader.read(line)
        except InexactMoney as error:
            raise InexactMoney(error.amount, f"{archive_key}, line {_number(line, counted)}") from error
        except UNREADABLE as error:
            if line.strip():
                raise JsonlError(archive_key, _number(line, counted), plainly(error)) from error
            continue
        if complete:
            yield complete
    last = reader.complete()
    if last:
        yield last


def _bare(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Return the lines without a byte order mark; as a generator it would cost something for each of them."""
    rest = iter(lines)
    first = [line[len(BYTE_ORDER_MARK) :] if line.startswith(BYTE_ORDER_MARK) else line for line in islice(rest, 1)]
    return chain(first, rest)


def _number(line: bytes, counted: int) -> int:
    return line.number if isinstance(line, Line) else counted


def head(line: bytes) -> tuple[NodeHead, Kind]:
    """Return what a line is; raises one of UNREADABLE, for `plainly` to explain."""
    require_utf8(line)
    node = _HEAD.decode(line)
    kind = _kind(node.typename) or _kind(gid.kind(node.id))
    if kind is None:
        raise ValueError(f"an object of the unknown kind {node.typename[:80]!r}")
    if (kind is Kind.ORDER) != (node.parent_id is None):
        raise ValueError("an order has a __parentId" if kind is Kind.ORDER else "a child of an order has no __parentId")
    return node, kind


class _Reader:
    """The order being read."""

    def __init__(self) -> None:
        self._order_gid: str | None = None
        self._header: OrderHeader
        self._fulfillments: list[Fulfillment] = []
        self._refunds: list[Refund] = []
        self._line_items: dict[int, OrderLineItem] = {}
        self._products: dict[int, Product] = {}
        self._agreements: dict[str | None, tuple[int, datetime, str]] = {}
        self._sales: dict[int, OrderSale] = {}

    def read(self, line: bytes) -> Order | None:
        """Take the next line in; returns the order before it when the line starts another."""
        if not line.isascii():
            require_utf8(line)
        try:
            node = _KNOWN.decode(line)
        except msgspec.ValidationError:  # a type that Shopify has added, or a fault that is told here
            known, kind = head(line)
            parent_id, node = known.parent_id, _DECODERS[kind].decode(line)
        else:
            parent_id, kind = node.parent_id, _KINDS[type(node)]
        if kind is _SALE:
            agreement = self._agreements.get(parent_id)
            if agreement is None:
                _refuse(line, "an agreement of the order above it")
            self._add_sale(node, agreement)
        elif kind is _ORDER:
            if parent_id is not None:
                _refuse(line, "that of an order")
            return self._start(node)
        elif parent_id is None or parent_id != self._order_gid:
            _refuse(line, "the order above it")
        elif kind is _LINE_ITEM:
            self._add_line_item(node)
        else:
            self._agreements[node.id] = (gid.number(node.id), _utc(node.happened_at), node.reason)
        return None

    def complete(self) -> Order | None:
        """Return the order that was being read."""
        if self._order_gid is None:
            return None
        return Order(
            self._header,
            list(self._line_items.values()),
            list(self._sales.values()),
            list(self._products.values()),
            self._fulfillments,
            self._refunds,
        )

    def _start(self, order: OrderNode) -> Order | None:
        before = self.complete()
        self._header = _header(order)
        self._order_gid = order.id
        self._fulfillments = [_fulfillment(shipment) for shipment in order.fulfillments]
        self._refunds = [_refund(refund) for refund in order.refunds]
        self._line_items, self._products, self._agreements, self._sales = {}, {}, {}, {}
        return before

    def _add_line_item(self, node: LineItemNode) -> None:
        header, product_id = self._header, None
        if node.product is not None:
            product = _product(node.product)
            product_id = product.product_id
            self._products[product_id] = product
        line_item_id = gid.number_again(node.id)
        self._line_items[line_item_id] = OrderLineItem(
            line_item_id,
            header.order_id,
            product_id,
            None if node.variant is None else gid.number_again(node.variant.id),
            node.sku,
            node.title,
            node.variant_title,
            node.vendor,
            node.quantity,
            node.current_quantity,
            node.unfulfilled_quantity,
            _exact(node.original_unit_price_set.shop_money.amount),
            _sum([_money(discount.allocated_amount_set) for discount in node.discount_allocations]),
            node.is_gift_card,
            header.currency,
            header.updated_at,
        )

    def _add_sale(self, node: SaleNode, agreement: tuple[int, datetime, str]) -> None:
        header, (agreement_id, happened_at, reason) = self._header, agreement
        line_item = node.line_item
        product = None if line_item is None else line_item.product
        sale_id = gid.number(node.id)
        self._sales[sale_id] = OrderSale(
            sale_id,
            header.order_id,
            agreement_id,
            happened_at,
            reason,
            node.action_type,
            node.line_type,
            None if line_item is None else gid.number_again(line_item.id),
            None if product is None else gid.number_again(product.id),
            node.quantity,
            _exact(node.total_amount.shop_money.amount),
            _exact(node.total_discount_amount_before_taxes.shop_money.amount),
            _exact(node.total_tax_amount.shop_money.amount),
            header.currency,
            header.is_test,
            header.updated_at,
        )


def _header(node: OrderNode) -> OrderHeader:
    shipped = [_utc(shipment.created_at) for shipment in node.fulfillments if shipment.status not in NOT_SHIPPED]
    return OrderHeader(
        order_id=gid.number(node.id),
        name=node.name,
        created_at=_utc(node.created_at),
        processed_at=_maybe_utc(node.processed_at),
        updated_at=_utc(node.updated_at),
        cancelled_at=_maybe_utc(node.cancelled_at),
        cancel_reason=node.cancel_reason,
        closed_at=_maybe_utc(node.closed_at),
        is_test=node.test,
        financial_status=node.display_financial_status,
        fulfillment_status=node.display_fulfillment_status,
        return_status=node.return_status,
        source_name=node.source_name,
        customer_id=None if node.customer is None else gid.number_again(node.customer.id),
        tags=msgspec.json.encode(node.tags).decode(),
        currency=node.currency_code,
        presentment_currency=node.presentment_currency_code,
        subtotal_price=_maybe_money(node.subtotal_price_set),
        total_discounts=_maybe_money(node.total_discounts_set),
        total_shipping=_maybe_money(node.total_shipping_price_set),
        total_tax=_maybe_money(node.total_tax_set),
        total_price=_money(node.total_price_set),
        total_refunded=_maybe_money(node.total_refunded_set),
        current_total_price=_maybe_money(node.current_total_price_set),
        first_fulfilled_at=min(shipped, default=None),
    )


def _fulfillment(node: FulfillmentNode) -> Fulfillment:
    return Fulfillment(
        gid.number(node.id),
        node.name,
        node.status,
        node.display_status,
        _utc(node.created_at),
        _maybe_utc(node.delivered_at),
        node.total_quantity,
    )


def _refund(node: RefundNode) -> Refund:
    return Refund(gid.number(node.id), _utc(node.processed_at), _money(node.total_refunded_set))


def _product(node: ProductNode) -> Product:
    return Product(
        gid.number_again(node.id),
        node.title,
        node.handle,
        node.vendor,
        node.product_type,
        node.status,
        _utc(node.updated_at),
    )


@lru_cache(maxsize=256)
def _kind(typename: str) -> Kind | None:
    """Return the kind that a `__typename`, or the type in a gid, stands for; new kinds of sales are sales."""
    if typename == "Order":
        return Kind.ORDER
    if typename == "LineItem":
        return Kind.LINE_ITEM
    if typename.endswith("Agreement"):
        return Kind.AGREEMENT
    return Kind.SALE if typename.endswith("Sale") else None


def _refuse(line: bytes, parent: str) -> NoReturn:
    node, _ = head(line)
    raise ValueError(f"its __parentId {str(node.parent_id)[:80]} is not {parent}")


def _maybe_utc(at: datetime | None) -> datetime | None:
    return None if at is None else _utc(at)


def _utc(at: datetime) -> datetime:
    """Return a time in UTC, cut to the second."""
    return at if at.tzinfo is UTC and not at.microsecond else at.astimezone(UTC).replace(microsecond=0)


def _maybe_money(bag: MoneyBag | None) -> Decimal | None:
    return None if bag is None else _exact(bag.shop_money.amount)


def _money(bag: MoneyBag) -> Decimal:
    return _exact(bag.shop_money.amount)


def _sum(amounts: list[Decimal]) -> Decimal:
    return sum(amounts, _ZERO)


@lru_cache(maxsize=16_384)
def _exact(amount: str) -> Decimal:
    """Return an amount as it is, or raise: InexactMoney when DECIMAL(19,4) cannot hold it."""
    whole, _, decimals = amount.removeprefix("-").partition(".")
    if not (whole.isdecimal() and (decimals.isdecimal() or "." not in amount) and amount.isascii()):
        raise ValueError(f"the amount {amount[:40]!r} is no decimal number")
    if len(whole.lstrip("0")) > 15 or len(decimals.rstrip("0")) > 4:
        raise InexactMoney(amount[:40])
    return Decimal(amount)
