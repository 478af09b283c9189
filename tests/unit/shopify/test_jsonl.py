"""From lines to whole orders: exact, complete, and checked on every line."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsync.errors import InexactMoney, JsonlError
from shopsync.records import Fulfillment, Order, OrderHeader, OrderLineItem, OrderSale, Product, Refund
from shopsync.shopify.jsonl import read_orders
from shopsync.shopify.lines import Line
from tests.unit.shopify.nodes import agreement, bag, family, jsonl, line_item, order, product, sale, without

CREATED = datetime(2026, 11, 20, 10, tzinfo=UTC)
UPDATED = datetime(2026, 11, 22, 12, tzinfo=UTC)


def read(*nodes: dict[str, Any]) -> list[Order]:
    """Read a file of these lines."""
    return list(read_orders(jsonl(nodes), "key"))


def test_header_is_read() -> None:
    """Every column of the header comes from its field."""
    expected = OrderHeader(
        order_id=1,
        name="#1",
        created_at=CREATED,
        processed_at=datetime(2026, 11, 20, 10, 0, 1, tzinfo=UTC),
        updated_at=UPDATED,
        cancelled_at=datetime(2026, 11, 21, tzinfo=UTC),
        cancel_reason="CUSTOMER",
        closed_at=datetime(2026, 11, 22, tzinfo=UTC),
        is_test=True,
        financial_status="PAID",
        fulfillment_status="FULFILLED",
        return_status="NO_RETURN",
        source_name="web",
        customer_id=5,
        tags='["a b","ü,\\"x\\""]',
        currency="EUR",
        presentment_currency="USD",
        subtotal_price=Decimal("1.0"),
        total_discounts=Decimal("2.0"),
        total_shipping=Decimal("3.0"),
        total_tax=Decimal("4.0"),
        total_price=Decimal("5.0"),
        total_refunded=Decimal("6.0"),
        current_total_price=Decimal("7.0"),
        first_fulfilled_at=None,
    )
    node = order(
        cancelledAt="2026-11-21T00:00:00Z",
        cancelReason="CUSTOMER",
        closedAt="2026-11-22T00:00:00Z",
        test=True,
        tags=["a b", 'ü,"x"'],
        subtotalPriceSet=bag("1.0"),
        totalDiscountsSet=bag("2.0"),
        totalShippingPriceSet=bag("3.0"),
        totalTaxSet=bag("4.0"),
        totalPriceSet=bag("5.0"),
        totalRefundedSet=bag("6.0"),
        currentTotalPriceSet=bag("7.0"),
    )

    assert [Order(expected, [], [], [], [], [])] == read(node)


def test_nulls_stay_null() -> None:
    """What Shopify leaves out of an order, a guest's customer among it, is None."""
    names = ("processedAt", "customer", "sourceName", "displayFinancialStatus", "subtotalPriceSet", "totalTaxSet")

    header = read(order(**dict.fromkeys(names)))[0].header

    assert {None} == {
        header.processed_at,
        header.customer_id,
        header.source_name,
        header.financial_status,
        header.subtotal_price,
        header.total_tax,
    }


def test_line_item_is_read() -> None:
    """Every column of a line item comes from its field or its order; discounts are the sum of their allocations."""
    allocations = [{"allocatedAmountSet": bag("0.1")}, {"allocatedAmountSet": bag("0.2")}]

    found = read(order(), line_item(discountAllocations=allocations))[0]

    assert [
        OrderLineItem(
            line_item_id=10,
            order_id=1,
            product_id=100,
            variant_id=200,
            sku="T-1",
            title="Tea",
            variant_title="Green",
            vendor="Acme",
            quantity=3,
            current_quantity=2,
            unfulfilled_quantity=1,
            unit_price=Decimal("4.5"),
            total_discount=Decimal("0.3"),
            is_gift_card=False,
            currency="EUR",
            order_updated_at=UPDATED,
        )
    ] == found.line_items
    assert [Product(100, "Tea", "tea", "Acme", "Drinks", "ACTIVE", datetime(2026, 10, 1, tzinfo=UTC))] == found.products


def test_custom_item_has_no_product() -> None:
    """A custom item, or one whose product was deleted, keeps its own words."""
    found = read(order(), line_item(product=None, variant=None, sku=None, variantTitle=None, vendor=None))[0]

    item = found.line_items[0]
    assert (
        item.product_id,
        item.variant_id,
        item.sku,
        item.variant_title,
        item.vendor,
    ) == (None, None, None, None, None)
    assert (found.products, item.total_discount) == ([], Decimal(0))


def test_sale_is_read() -> None:
    """Every column of a sale comes from its field, its agreement or its order."""
    found = read(order(test=True), agreement(reason="REFUND"), sale(actionType="RETURN", quantity=-1))[0]

    assert [
        OrderSale(
            sale_id=30,
            order_id=1,
            agreement_id=20,
            happened_at=CREATED,
            reason="REFUND",
            action_type="RETURN",
            line_type="PRODUCT",
            line_item_id=10,
            product_id=100,
            quantity=-1,
            total_amount=Decimal("13.5"),
            discount_amount=Decimal("0.0"),
            tax_amount=Decimal("1.23"),
            currency="EUR",
            is_test=True,
            order_updated_at=UPDATED,
        )
    ] == found.sales


@pytest.mark.parametrize(
    ("node", "line_item_id", "product_id"),
    [
        (sale(lineItem={"id": "gid://shopify/LineItem/10", "product": None}), 10, None),
        (without(sale(__typename="ShippingLineSale"), "lineItem"), None, None),
    ],
)
def test_sale_without_product(node: dict[str, Any], line_item_id: int | None, product_id: int | None) -> None:
    """A sale of a deleted product has no product, a sale of shipping no line item either."""
    found = read(order(), agreement(), {**node, "quantity": None})[0].sales[0]

    assert (line_item_id, product_id, None) == (found.line_item_id, found.product_id, found.quantity)


@pytest.mark.parametrize(
    "nodes",
    [
        [agreement(__typename="NewAgreement"), sale(__typename="NewSale")],
        [agreement(__typename="Novelty"), sale(__typename="Novelty")],
        [without(agreement(), "__typename"), without(sale(), "__typename")],
        [agreement(reason="NEW_REASON"), sale(actionType="NEW_ACTION", lineType="NEW_TYPE")],
    ],
)
def test_new_kinds_are_kept(nodes: list[dict[str, Any]]) -> None:
    """Kinds of agreements and sales, and enum values, that Shopify adds one day are kept."""
    assert read(order(), *nodes)[0].sales[0].sale_id == 30


def test_new_enum_values_are_kept() -> None:
    """A status that Shopify adds one day is kept as it is spelt."""
    assert read(order(displayFulfillmentStatus="NOVEL"))[0].header.fulfillment_status == "NOVEL"


def shipment(number: int, status: str, created_at: str) -> dict[str, Any]:
    """Return a fulfillment."""
    return {
        "id": f"gid://shopify/Fulfillment/{number}",
        "name": f"#1-F{number}",
        "status": status,
        "displayStatus": None,
        "createdAt": created_at,
        "deliveredAt": "2026-11-22T08:00:00Z",
        "totalQuantity": 3,
    }


def test_first_shipment_counts() -> None:
    """An order was first fulfilled by its oldest fulfillment that was not called off."""
    shipments = [
        shipment(1, "CANCELLED", "2026-11-20T11:00:00Z"),
        shipment(2, "SUCCESS", "2026-11-21T12:00:00Z"),
        shipment(3, "SUCCESS", "2026-11-21T11:00:00Z"),
        shipment(4, "FAILURE", "2026-11-20T11:00:00Z"),
        shipment(5, "ERROR", "2026-11-20T11:00:00Z"),
    ]

    found = read(order(fulfillments=shipments))[0]

    first = datetime(2026, 11, 21, 11, tzinfo=UTC)
    assert found.header.first_fulfilled_at == first
    assert (
        Fulfillment(3, "#1-F3", "SUCCESS", None, first, datetime(2026, 11, 22, 8, tzinfo=UTC), 3)
        == found.fulfillments[2]
    )


def test_refunds_are_read() -> None:
    """Refunds come with their day and their amount."""
    refund = {"id": "gid://shopify/Refund/9", "processedAt": "2026-11-22T12:00:00Z", "totalRefundedSet": bag("4.5")}

    assert [Refund(9, UPDATED, Decimal("4.5"))] == read(order(refunds=[refund]))[0].refunds


def test_orders_keep_to_themselves() -> None:
    """Each order has its own children and no others."""
    found = read(*family(1), *family(2), order(3))

    assert [each.header.order_id for each in found] == [1, 2, 3]
    assert [[item.line_item_id for item in each.line_items] for each in found] == [[100, 101], [200, 201], []]
    assert [[row.sale_id for row in each.sales] for each in found] == [[100, 101, 110, 111], [200, 201, 210, 211], []]
    assert sorted({row.agreement_id for row in found[0].sales}) == [100, 101]


def test_empty_file_has_no_orders() -> None:
    """Nothing gives nothing."""
    assert read() == []


def test_child_twice_counts_once() -> None:
    """A child that was exported twice is one row."""
    found = read(order(), line_item(), line_item(), agreement(), sale(), agreement(), sale())[0]

    assert (len(found.line_items), len(found.sales), len(found.products)) == (1, 1, 1)


def test_product_is_listed_once() -> None:
    """Two lines of one product list it once."""
    found = read(order(), line_item(10), line_item(11), line_item(12, product=product(101)))[0]

    assert [row.product_id for row in found.products] == [100, 101]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-22T13:00:00+01:00", UPDATED),
        ("2026-11-22T12:00:00.999Z", UPDATED),
    ],
)
def test_times_become_utc_seconds(at: str, expected: datetime) -> None:
    """Times with an offset become UTC, fractions of a second are cut."""
    header = read(order(updatedAt=at))[0].header

    assert (expected, UTC) == (header.updated_at, header.updated_at.tzinfo)


@pytest.mark.parametrize(
    "amount", ["0.0", "-4300.0", "12.3400", "12.34000000", "999999999999999.9999", "000000000000000000012.5"]
)
def test_money_is_exact(amount: str) -> None:
    """An amount that fits is the same number, never rounded; zeros at its ends do not count."""
    assert Decimal(amount) == read(order(totalPriceSet=bag(amount)))[0].header.total_price


@pytest.mark.parametrize("amount", ["0.00001", "1000000000000000", "-1000000000000000.0"])
def test_inexact_money_fails(amount: str) -> None:
    """An amount that would lose digits fails the run, and says where."""
    with pytest.raises(InexactMoney, match="key, line 2: the amount") as caught:
        read(order(), line_item(originalUnitPriceSet=bag(amount)))

    assert caught.value.amount == amount


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e3", "1_0", " 1", "1.", ".5", "--1", "", "٣"])
def test_what_is_no_amount_fails(amount: str) -> None:
    """Only plain decimal numbers are amounts."""
    with pytest.raises(JsonlError, match="is no decimal number"):
        read(order(totalPriceSet=bag(amount)))


@pytest.mark.parametrize(
    ("nodes", "line", "text"),
    [
        ([line_item()], 1, "__parentId gid://shopify/Order/1 is not the order above it"),
        ([order(), line_item(parent=2)], 2, "is not the order above it"),
        ([order(), agreement(parent=2)], 2, "is not the order above it"),
        ([order(1), order(2), line_item(parent=1)], 3, "is not the order above it"),
        ([order(), sale()], 2, "is not an agreement of the order above it"),
        ([order(), agreement(), sale(__parentId="gid://shopify/Order/1")], 3, "is not an agreement"),
        ([order(), line_item(10), sale(__parentId="gid://shopify/LineItem/10")], 3, "is not an agreement"),
        ([order(), line_item(__parentId="gid://shopify/SalesAgreement/1")], 2, "is not the order above it"),
        ([order(1), agreement(), order(2), sale()], 4, "is not an agreement"),
        ([order(), without(line_item(), "__parentId")], 2, "has no __parentId"),
        ([without(line_item(), "__parentId")], 1, "has no __parentId"),
        ([order(), agreement(), without(sale(), "__parentId")], 3, "has no __parentId"),
        ([line_item(__parentId="")], 1, "is not the order above it"),
        ([order(__parentId="gid://shopify/Order/2")], 1, "an order has a __parentId"),
        (
            [order(), {**line_item(), "__typename": "Refund", "id": "gid://shopify/Refund/1"}],
            2,
            "unknown kind 'Refund'",
        ),
        ([without(order(), "id")], 1, "missing required field `id`"),
        ([without(order(), "name")], 1, "missing required field `name`"),
        ([order(name=7)], 1, r"Expected `str`, got `int` - at `\$.name`"),
        ([order(id="7", __typename="Order")], 1, "is not a gid with a number"),
        ([order(updatedAt="2026-11-22T12:00:00")], 1, r"at `\$.updatedAt`"),
        ([order(updatedAt="yesterday")], 1, r"at `\$.updatedAt`"),
        ([order(totalPriceSet=None)], 1, r"at `\$.totalPriceSet`"),
        ([order(), line_item(quantity=1.5)], 2, r"at `\$.quantity`"),
        ([order(), line_item(variant={"id": "x"})], 2, "is not a gid"),
    ],
)
def test_wrong_line_fails(nodes: list[dict[str, Any]], line: int, text: str) -> None:
    """A line that does not belong where it is, or is not what was asked for, fails with its number and the reason."""
    with pytest.raises(JsonlError, match=text) as caught:
        read(*nodes)

    assert ("key", line) == (caught.value.archive_key, caught.value.line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"{", "not JSON"),
        (b"[]", "not what the query asked for"),
        (b'{"id": "\xff"}', "not UTF-8"),
        (b'{"id": "gid://shopify/Order/1", "unread": "\xff"}', "not UTF-8"),
        (rb'{"id": "gid:\/\/shopify\/Order\/1", "__typename": "Order\udc00"}', "not JSON"),
        (b'{"id": "gid://shopify/Order/1"', "not JSON"),
    ],
)
def test_broken_line_fails(line: bytes, text: str) -> None:
    """A line that is no JSON object, or no text (a lone surrogate), fails with its number."""
    with pytest.raises(JsonlError, match=text) as caught:
        list(read_orders([*jsonl([order()]), line], "key"))

    assert caught.value.line == 2


def test_null_character_is_kept() -> None:
    """A NUL in a text is a character like any other."""
    assert read(order(name="a\0b"))[0].header.name == "a\0b"


def test_reason_holds_no_content() -> None:
    """The reason names the field, not what is in it."""
    with pytest.raises(JsonlError) as caught:
        read(order(tags="hush-hush"))

    assert "hush-hush" not in str(caught.value)


def test_blank_lines_are_counted() -> None:
    """Blank lines and a byte order mark are no content; line numbers are the file's nevertheless."""
    first, second = jsonl([order(), line_item(parent=2)])

    with pytest.raises(JsonlError) as caught:
        list(read_orders([b"\xef\xbb\xbf" + first + b"\r", b"", b" \r", second], "key"))

    assert caught.value.line == 4


def test_numbered_lines_keep_numbers() -> None:
    """A line that was moved is reported under its own number."""
    lines = [Line.numbered(7, jsonl([order()])[0]), Line.numbered(3, b"{")]

    with pytest.raises(JsonlError) as caught:
        list(read_orders(lines, "key"))

    assert caught.value.line == 3


def test_orders_stream() -> None:
    """An order is there as soon as the next one starts."""
    lines = iter([*jsonl(family(1)), *jsonl([order(2)]), b"{"])

    assert next(read_orders(lines, "key")).header.order_id == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(order())), inner, max_size=4),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(order())), value=JSON)
def test_any_value_reads_or_fails(field: str, value: Any) -> None:
    """Whatever stands in a field, the order is read or a JsonlError says why not."""
    line = json.dumps(order(**{field: value})).encode()

    outcome = attempt(line)

    assert isinstance(outcome, Order | JsonlError)


@given(line=st.binary(max_size=40))
def test_any_bytes_read_or_fail(line: bytes) -> None:
    """Whatever the bytes, no other exception comes out."""
    assert attempt(line) is None or isinstance(attempt(line), JsonlError)


def attempt(line: bytes) -> Order | JsonlError | None:
    """Read one line; None when it is blank."""
    try:
        return next(read_orders([line], "key"), None)
    except JsonlError as error:
        return error
