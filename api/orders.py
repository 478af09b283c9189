"""`/orders`: what came out of Shopify, as it stands here."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter
from sqlalchemy import Engine, Row

from api.caching import NOT_MODIFIED, unless_known
from api.cursors import Cursor, Limit, cut_page, next_link, read_cursor
from api.problems import Refused, invalid
from api.responses import LineItem, Order, OrderSummary, Page, Sale
from api.specification import problem_responses
from api.staff import Role, open_to
from api.words import MOMENT, id_or_none, moment_of, money, money_or_none
from shopsync.database.orders_read import OrderFilters, OrderPosition, WholeOrder, read_order, read_orders

LARGEST_ID = 2**63 - 1


class FinancialStatus(StrEnum):
    """Shopify's OrderDisplayFinancialStatus."""

    AUTHORIZED = "AUTHORIZED"
    EXPIRED = "EXPIRED"
    PAID = "PAID"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    PENDING = "PENDING"
    REFUNDED = "REFUNDED"
    VOIDED = "VOIDED"


class FulfillmentStatus(StrEnum):
    """Shopify's OrderDisplayFulfillmentStatus."""

    FULFILLED = "FULFILLED"
    FULFILLMENT_NOT_REQUIRED = "FULFILLMENT_NOT_REQUIRED"
    IN_PROGRESS = "IN_PROGRESS"
    ON_HOLD = "ON_HOLD"
    OPEN = "OPEN"
    PARTIALLY_FULFILLED = "PARTIALLY_FULFILLED"
    PENDING_FULFILLMENT = "PENDING_FULFILLMENT"
    REQUEST_DECLINED = "REQUEST_DECLINED"
    RESTOCKED = "RESTOCKED"
    SCHEDULED = "SCHEDULED"
    UNFULFILLED = "UNFULFILLED"


CreatedMin = Annotated[str | None, QueryParameter(description="Created then or later (RFC 3339).", schema_extra=MOMENT)]
CreatedMax = Annotated[
    str | None, QueryParameter(description="Created then or earlier (RFC 3339).", schema_extra=MOMENT)
]


@get(
    "/",
    operation_id="listOrders",
    summary="List orders, newest first",
    responses=NOT_MODIFIED | problem_responses(),
    sync_to_thread=True,
)
def list_orders(
    *,
    request: Request[Any, Any, Any],
    database: NamedDependency[Engine],
    limit: Limit = 50,
    cursor: Cursor = None,
    created_at_min: CreatedMin = None,
    created_at_max: CreatedMax = None,
    financial_status: Annotated[FinancialStatus | None, QueryParameter(description="As Shopify spells it.")] = None,
    fulfillment_status: Annotated[FulfillmentStatus | None, QueryParameter(description="As Shopify spells it.")] = None,
    name: Annotated[
        str | None,
        QueryParameter(
            min_length=1, max_length=255, description="The whole name.", examples=[Example("A name", value="#1001")]
        ),
    ] = None,
) -> Response[Page[OrderSummary]]:
    """
    Orders by creation, ties by id.

    The next page begins after the last order of this one, so that pages show the same rows while orders arrive.
    """
    first, last = moment_of(created_at_min, "created_at_min"), moment_of(created_at_max, "created_at_max")
    if first is not None and last is not None and first > last:
        raise invalid("created_at_max", "query", "it lies before created_at_min")
    filters = OrderFilters(first, last, financial_status, fulfillment_status, name)
    found = read_orders(database, filters, read_cursor(cursor, OrderPosition, filters), limit + 1)
    page, following = cut_page(found, limit, lambda row: OrderPosition(row.created_at, row.order_id), filters)
    content = Page([_summary(row) for row in page], following is not None, following, limit)
    return unless_known(request, content, next_link(request, following))


@get(
    "/{order_id:str}",
    operation_id="readOrder",
    summary="Read one order with its lines and sales",
    responses=NOT_MODIFIED | problem_responses(404),
    sync_to_thread=True,
)
def show_order(
    request: Request[Any, Any, Any],
    database: NamedDependency[Engine],
    order_id: Annotated[
        str,
        PathParameter(
            pattern="^[0-9]{1,19}$",
            description="The numeric tail of Shopify's gid.",
            examples=[Example("An id", value="5001")],
        ),
    ],
) -> Response[Order]:
    """The header as Shopify last told it, each line, and each sale of Shopify's ledger; all from one moment."""
    number = int(order_id)
    order = read_order(database, number) if number <= LARGEST_ID else None
    if order is None:
        raise Refused(404, f"there is no order {order_id} here", kind="no-such-order")
    return unless_known(request, _whole(order))


def _whole(order: WholeOrder) -> Order:
    return Order(
        **_header(order.header),
        line_items=[_line_item(row) for row in order.line_items],
        sales=[_sale(row) for row in order.sales],
    )


def _summary(row: Row[Any]) -> OrderSummary:
    return OrderSummary(**_header(row))


def _header(row: Row[Any]) -> dict[str, Any]:
    return {
        **row._mapping,
        "order_id": str(row.order_id),
        "customer_id": id_or_none(row.customer_id),
        "tags": json.loads(row.tags),
        "total_price": money(row.total_price),
        **{name: money_or_none(getattr(row, name)) for name in _AMOUNTS},
    }


_AMOUNTS = (
    "subtotal_price",
    "total_discounts",
    "total_shipping",
    "total_tax",
    "total_refunded",
    "current_total_price",
)


def _line_item(row: Row[Any]) -> LineItem:
    return LineItem(
        line_item_id=str(row.line_item_id),
        product_id=id_or_none(row.product_id),
        variant_id=id_or_none(row.variant_id),
        sku=row.sku,
        title=row.title,
        variant_title=row.variant_title,
        vendor=row.vendor,
        quantity=row.quantity,
        current_quantity=row.current_quantity,
        unfulfilled_quantity=row.unfulfilled_quantity,
        unit_price=money(row.unit_price),
        total_discount=money(row.total_discount),
        is_gift_card=row.is_gift_card,
        currency=row.currency,
    )


def _sale(row: Row[Any]) -> Sale:
    return Sale(
        sale_id=str(row.sale_id),
        agreement_id=str(row.agreement_id),
        happened_at=row.happened_at,
        reason=row.reason,
        action_type=row.action_type,
        line_type=row.line_type,
        line_item_id=id_or_none(row.line_item_id),
        product_id=id_or_none(row.product_id),
        quantity=row.quantity,
        total_amount=money(row.total_amount),
        discount_amount=money(row.discount_amount),
        tax_amount=money(row.tax_amount),
        currency=row.currency,
        is_test=row.is_test,
    )


router = Router("/orders", route_handlers=[list_orders, show_order], opt=open_to(Role.VIEWER), tags=["order"])
