"""Orders, refunds and edits: the ledger and the totals agree to the cent."""

from decimal import Decimal

import pytest

from tests.contract.simulator.client import NOW, shop
from tests.simulator import Item, Shop
from tests.simulator.nodes import amount


def ledger(order: dict, *line_types: str) -> Decimal:
    """Return the sum of the order's sales, adjustments apart."""
    return sum(
        (
            amount(sale["totalAmount"])
            for agreement in order["agreements"]
            for sale in agreement["sales"]
            if sale["lineType"] != "ADJUSTMENT" and (not line_types or sale["lineType"] in line_types)
        ),
        Decimal(0),
    )


@pytest.fixture(scope="module")
def busy() -> Shop:
    """A shop with history."""
    return shop(600)


def test_same_seed_makes_the_same_shop(busy: Shop) -> None:
    """Seed and arguments decide everything."""
    again = shop(600)

    assert busy.orders == again.orders


def test_ledger_sums_to_current_total(busy: Shop) -> None:
    """All sales but adjustments are what the order is worth now."""
    wrong = [o["id"] for o in busy.orders.values() if ledger(o) != amount(o["currentTotalPriceSet"])]

    assert wrong == []


def test_ledger_sums_to_current_total_with_taxes_included() -> None:
    """The same holds where prices include the tax."""
    taxed = shop(200, taxes_included=True, currency="EUR", timezone="Europe/Berlin")

    assert all(ledger(o) == amount(o["currentTotalPriceSet"]) for o in taxed.orders.values())


def test_yen_have_no_cents() -> None:
    """A currency without cents stays whole."""
    yen = shop(100, currency="JPY", timezone="Asia/Tokyo")

    assert all(amount(o["totalPriceSet"]) % 1 == 0 for o in yen.orders.values())


def test_returned_lines_sum_to_zero(busy: Shop) -> None:
    """Once all pieces are back, a line's sales cancel out exactly."""
    left: dict[str, Decimal] = {}
    gone = {line["id"] for o in busy.orders.values() for line in o["lineItems"] if not line["currentQuantity"]}
    for order in busy.orders.values():
        for agreement in order["agreements"]:
            for sale in agreement["sales"]:
                line_id = sale.get("lineItem", {}).get("id")
                left[line_id] = left.get(line_id, Decimal(0)) + amount(sale["totalAmount"])

    assert gone
    assert {Decimal(0)} == {left[line_id] for line_id in gone}


def test_history_has_every_kind_of_sale(busy: Shop) -> None:
    """A generated shop has what real ones have."""
    kinds = {s["lineType"] for o in busy.orders.values() for a in o["agreements"] for s in a["sales"]}

    assert {"PRODUCT", "GIFT_CARD", "TIP", "SHIPPING", "ADJUSTMENT", "DUTY", "ADDITIONAL_FEE"} <= kinds


def test_history_has_gaps(busy: Shop) -> None:
    """Guests, deleted products, orders without lines, tests, cancellations and ties occur."""
    orders = list(busy.orders.values())

    assert any(o["customer"] is None for o in orders)
    assert any(line["product"] is None for o in orders for line in o["lineItems"])
    assert any(not o["lineItems"] for o in orders)
    assert any(len(o["lineItems"]) > 100 for o in orders)
    assert any(o["test"] for o in orders)
    assert any(o["cancelledAt"] for o in orders)
    assert any(o["processedAt"] < o["createdAt"] for o in orders)
    assert len({o["updatedAt"] for o in orders}) < len(orders)


def test_ids_rise(busy: Shop) -> None:
    """Orders created later have higher ids."""
    orders = list(busy.orders.values())

    assert sorted(orders, key=lambda o: o["createdAt"]) == sorted(orders, key=lambda o: o["id"])


def test_partial_refund_keeps_cents() -> None:
    """Three refunds of a third each leave exactly zero."""
    one = shop()
    order = one.add_order([Item(one.add_product(prices=["3.33"]), quantity=3, discount=Decimal("0.01"))])
    line = order["lineItems"][0]

    for _ in range(3):
        one.refund(order, line, 1)

    assert Decimal(0) == amount(order["currentTotalPriceSet"])
    assert amount(order["totalPriceSet"]) == amount(order["totalRefundedSet"])
    assert (line["currentQuantity"], order["displayFinancialStatus"]) == (0, "REFUNDED")


def test_refund_is_negative() -> None:
    """A return is its own agreement with negative quantity and amount."""
    one = shop()
    order = one.add_order([Item(one.add_product(prices=["43.00"]), quantity=100, taxable=False)])

    one.refund(order, order["lineItems"][0], 100, shipping=True)

    agreement = order["agreements"][-1]
    assert agreement["__typename"] == "RefundAgreement"
    assert [("RETURN", -100, Decimal(-4300))] == [
        (sale["actionType"], sale["quantity"], amount(sale["totalAmount"])) for sale in agreement["sales"]
    ]


def test_edit_swaps_lines() -> None:
    """An edit has RETURN and ORDER rows; the removed line vanishes when asked."""
    one = shop()
    order = one.add_order()

    one.edit(order, add=one.add_product("Other", ["5.00"]), remove=order["lineItems"][0], vanish=True)

    assert [line["title"] for line in order["lineItems"]] == ["Other"]
    assert [sale["actionType"] for sale in order["agreements"][-1]["sales"]] == ["RETURN", "ORDER"]


def test_reprice_has_no_quantity() -> None:
    """A later discount is an UPDATE sale without quantity."""
    one = shop()
    order = one.add_order()

    one.reprice(order, off="2.00")

    sale = order["agreements"][-1]["sales"][0]
    assert (sale["actionType"], sale["quantity"]) == ("UPDATE", None)
    assert Decimal(2) == amount(sale["totalDiscountAmountBeforeTaxes"])


def test_cancel_returns_everything() -> None:
    """A cancelled order is worth nothing."""
    one = shop()
    order = one.add_order(shipping="4.95", duty="3.33", fee="1.00")

    one.cancel(order, "FRAUD")

    assert ("FRAUD", Decimal(0)) == (order["cancelReason"], amount(order["currentTotalPriceSet"]))


def test_deleted_product_leaves_lines() -> None:
    """Lines of a deleted product stay, without product; their orders do not move."""
    one = shop()
    order = one.add_order()
    product, before = order["lineItems"][0]["product"], order["updatedAt"]
    one.clock.advance(60)

    one.delete_product(product)

    assert (None, before) == (order["lineItems"][0]["product"], order["updatedAt"])
    assert [product["id"]] == list(one.deleted_products)


def test_changes_move_updated_at() -> None:
    """Every change is dated now, to the second."""
    one = shop()
    order = one.add_order()
    one.clock.advance(61.5)

    one.touch(order)

    assert order["updatedAt"] == "2026-11-23T12:01:01Z"


def test_trade_repeats_itself() -> None:
    """The same seed does the same things."""
    first, second = shop(100), shop(100)

    first.trade(40, seed=3)
    second.trade(40, seed=3)

    assert first.orders == second.orders


def test_shared_money_refuses_changes() -> None:
    """A MoneyBag belongs to many nodes."""
    order = shop().add_order(at=NOW)

    with pytest.raises(TypeError, match="assign a whole new MoneyBag"):
        order["totalPriceSet"]["shopMoney"]["amount"] = Decimal(1)
