"""
What happens to orders and products after they exist: refunds, edits, cancellations, shipping, deletion.

Every change writes its agreement with the amounts that the ledger still has, so a full return leaves
exactly zero, and moves `updatedAt` as Shopify does. Changes of products do not move their orders.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from random import Random

from tests.simulator.books import UNPAID, Amounts, Books, Item
from tests.simulator.nodes import ZERO, Node, amount, stamp

FIGURES = ("totalAmount", "totalTaxAmount", "totalDiscountAmountBeforeTaxes", "totalDiscountAmountAfterTaxes")


def remaining(order: Node, picks: Callable[[Node], bool]) -> tuple[int, list[Decimal]]:
    """Return the quantity and the four amounts that the ledger's picked sales still sum to."""
    quantity, sums = 0, [ZERO] * 4
    for agreement in order["agreements"]:
        for sale in agreement["sales"]:
            if picks(sale):
                quantity += sale["quantity"] or 0
                sums = [total + amount(sale[key]) for total, key in zip(sums, FIGURES, strict=True)]
    return quantity, sums


class Trade(Books):
    """The shop's books with everything that staff, customers and apps do to them."""

    def _change(self, order: Node, at: datetime | None) -> datetime:
        self.before_change()
        moment = at or self.clock.now()
        order["updatedAt"] = stamp(moment)
        self.changed_at[order["id"]] = self.clock.now()
        return moment

    def _return_of(self, order: Node, line: Node, quantity: int) -> Node:
        left, sums = remaining(order, lambda sale: sale.get("lineItem") is line)
        sold = next(
            sale for agreement in order["agreements"] for sale in agreement["sales"] if sale.get("lineItem") is line
        )
        if not 0 < quantity <= left:
            raise ValueError(f"{line['id']} has {left} left, not {quantity}")
        parts = sums if quantity == left else [self.till.round(each * quantity / left) for each in sums]
        line["currentQuantity"] -= quantity
        line["unfulfilledQuantity"] = max(0, line["unfulfilledQuantity"] - quantity)
        figures = Amounts(*(-part for part in parts))
        return self.sale(order, "RETURN", sold["lineType"], -quantity, figures, line)

    def _return_of_other(self, order: Node, line_type: str) -> list[Node]:
        _, sums = remaining(order, lambda sale: sale["lineType"] == line_type)
        if not any(sums):
            return []
        return [self.sale(order, "RETURN", line_type, None, Amounts(*(-part for part in sums)))]

    def refund(
        self,
        order: Node,
        line: Node | None = None,
        quantity: int | None = None,
        at: datetime | None = None,
        *,
        shipping: bool = False,
        adjustment: Decimal | int | str = ZERO,
        as_return: bool = False,
    ) -> Node:
        """
        Refund pieces of a line (default: all that are left), the shipping, and/or a discrepancy.

        Adds the refund and its RefundAgreement with RETURN sales; `adjustment` is money given beyond the
        items. With `as_return` the sales stand in a ReturnAgreement, as for a return made first.
        """
        moment = self._change(order, at)
        sales = []
        if line is not None:
            sales.append(self._return_of(order, line, quantity or line["currentQuantity"]))
        if shipping:
            sales += self._return_of_other(order, "SHIPPING")
        if Decimal(adjustment):
            given = Amounts(-Decimal(adjustment), ZERO, ZERO, ZERO)
            sales.append(self.sale(order, "RETURN", "ADJUSTMENT", None, given))
        return self._refund_sales(order, sales, moment, as_return=as_return)

    def _refund_sales(self, order: Node, sales: list[Node], moment: datetime, *, as_return: bool = False) -> Node:
        currency = order["presentmentCurrencyCode"]
        paid = order["displayFinancialStatus"] not in UNPAID
        back = -sum((amount(sale["totalAmount"]) for sale in sales), ZERO) if paid else ZERO
        refund: Node = {
            "__typename": "Refund",
            "id": self.next_id("Refund"),
            "createdAt": stamp(moment),
            "processedAt": stamp(moment),
            "updatedAt": stamp(moment),
            "note": None,
            "order": {"__typename": "Order", "id": order["id"]},
            "totalRefundedSet": self.till.bag(back, currency),
            "refundLineItems": [self._refund_line(sale) for sale in sales if "lineItem" in sale],
        }
        order["refunds"].append(refund)
        if as_return:
            order["returnStatus"] = "RETURNED"
            self.agree(order, "ReturnAgreement", sales, moment)
        else:
            self.agree(order, "RefundAgreement", sales, moment, refund=refund)
        self._show_fulfilment(order)
        self.settle(order)
        return refund

    def _refund_line(self, sale: Node) -> Node:
        line = sale["lineItem"]
        return {
            "id": self.next_id("RefundLineItem"),
            "lineItem": line,
            "quantity": -sale["quantity"],
            "restockType": "RETURN",
            "restocked": True,
            "priceSet": line["originalUnitPriceSet"],
            "subtotalSet": self.till.bag(-amount(sale["totalAmount"]) + amount(sale["totalTaxAmount"])),
            "totalTaxSet": self.till.bag(-amount(sale["totalTaxAmount"])),
        }

    def edit(
        self,
        order: Node,
        *,
        add: Item | Node | None = None,
        remove: Node | None = None,
        vanish: bool = False,
        at: datetime | None = None,
    ) -> Node:
        """
        Edit the order: one OrderEditAgreement with a RETURN sale for `remove` and an ORDER sale for `add`.

        `add` is an Item or a product. A removed line stays with `currentQuantity` 0, or with `vanish`
        is gone from `lineItems`.
        """
        moment = self._change(order, at)
        sales = []
        if remove is not None:
            if remove["currentQuantity"]:
                sales.append(self._return_of(order, remove, remove["currentQuantity"]))
            if vanish:
                order["lineItems"] = [line for line in order["lineItems"] if line is not remove]
        if add is not None:
            sales.append(self.line_sale(order, add if isinstance(add, Item) else Item(add)))
        order["edited"] = True
        agreement = self.agree(order, "OrderEditAgreement", sales, moment)
        self._show_fulfilment(order)
        self.settle(order)
        return agreement

    def remove_line(self, order: Node, line: Node, at: datetime | None = None) -> Node:
        """Edit a line away, so that it vanishes from `lineItems`."""
        return self.edit(order, remove=line, vanish=True, at=at)

    def reprice(
        self,
        order: Node,
        line: Node | None = None,
        at: datetime | None = None,
        *,
        off: Decimal | int | str = "1.00",
    ) -> Node:
        """Give a discount afterwards: an UPDATE sale without quantity that lowers a line's price."""
        moment = self._change(order, at)
        chosen = line or next(each for each in order["lineItems"] if each["currentQuantity"])
        sold = next(sale for sale in order["agreements"][0]["sales"] if sale.get("lineItem") is chosen)
        _, (total, tax, *_) = remaining(order, lambda sale: sale.get("lineItem") is chosen)
        worth = total if order["taxesIncluded"] else total - tax
        discount = min(self.till.round(Decimal(off)), worth)
        figures = self.amounts(ZERO, discount, taxable=chosen["taxable"])
        sale = self.sale(order, "UPDATE", sold["lineType"], None, figures, chosen)
        bag = self.till.bag(discount, order["presentmentCurrencyCode"])
        chosen["discountAllocations"] = [*chosen["discountAllocations"], {"allocatedAmountSet": bag}]
        order["edited"] = True
        agreement = self.agree(order, "OrderEditAgreement", [sale], moment)
        self.settle(order)
        return agreement

    def cancel(self, order: Node, reason: str = "CUSTOMER", at: datetime | None = None) -> None:
        """Cancel the order: everything left is returned, money received goes back."""
        moment = self._change(order, at)
        sales = [
            self._return_of(order, line, line["currentQuantity"])
            for line in order["lineItems"]
            if line["currentQuantity"]
        ]
        for line_type in ("SHIPPING", "DUTY", "ADDITIONAL_FEE"):
            sales += self._return_of_other(order, line_type)
        order["cancelledAt"] = order["closedAt"] = stamp(moment)
        order["cancelReason"] = reason
        if sales:
            self._refund_sales(order, sales, moment)
        if order["displayFinancialStatus"] in UNPAID:
            order["displayFinancialStatus"] = "VOIDED"

    def fulfil(self, order: Node, at: datetime | None = None, *, line: Node | None = None) -> Node:
        """Ship what is unfulfilled, or only one line of it."""
        moment = self._change(order, at)
        shipped = 0
        for each in order["lineItems"] if line is None else [line]:
            shipped += each["unfulfilledQuantity"]
            each["unfulfilledQuantity"] = 0
        fulfilment: Node = {
            "__typename": "Fulfillment",
            "id": self.next_id("Fulfillment"),
            "name": f"{order['name']}-F{len(order['fulfillments']) + 1}",
            "createdAt": stamp(moment),
            "updatedAt": stamp(moment),
            "inTransitAt": None,
            "deliveredAt": None,
            "estimatedDeliveryAt": None,
            "status": "SUCCESS",
            "displayStatus": "FULFILLED",
            "totalQuantity": shipped,
        }
        order["fulfillments"].append(fulfilment)
        self._show_fulfilment(order)
        return fulfilment

    def _show_fulfilment(self, order: Node) -> None:
        if order["fulfillments"]:
            open_pieces = any(line["unfulfilledQuantity"] for line in order["lineItems"])
            order["displayFulfillmentStatus"] = "PARTIALLY_FULFILLED" if open_pieces else "FULFILLED"

    def deliver(self, order: Node, at: datetime | None = None) -> None:
        """The carrier has delivered every fulfilment."""
        moment = self._change(order, at)
        for fulfilment in order["fulfillments"]:
            fulfilment["deliveredAt"] = fulfilment["deliveredAt"] or stamp(moment)
            fulfilment["displayStatus"] = "DELIVERED"
            fulfilment["updatedAt"] = stamp(moment)

    def close(self, order: Node, at: datetime | None = None) -> None:
        """Archive the order."""
        order["closedAt"] = stamp(self._change(order, at))

    def touch(self, order: Node, at: datetime | None = None, *, tag: str = "seen") -> None:
        """Add a tag: a change that moves `updatedAt` and no figure."""
        self._change(order, at)
        order["tags"] = [*order["tags"], tag]

    def rename_product(self, product: Node, title: str, at: datetime | None = None) -> None:
        """Rename a product; lines already sold keep their title, orders their `updatedAt`."""
        self.before_change()
        product["title"] = title
        product["updatedAt"] = stamp(at or self.clock.now())
        self.changed_at[product["id"]] = self.clock.now()

    def delete_product(self, product: Node) -> None:
        """Delete a product: every line of it loses `product` and `variant`, no order moves."""
        self.before_change()
        del self.products[product["id"]]
        self.deleted_products[product["id"]] = product
        for order in self.orders.values():
            for line in order["lineItems"]:
                if line["product"] is product:
                    line["product"] = line["variant"] = None
            for agreement in order["agreements"]:
                for sale in agreement["sales"]:
                    line = sale.get("lineItem")
                    if line is not None and line["product"] is product:
                        line["product"] = line["variant"] = None

    def trade(self, count: int, seed: int | None = None, at: datetime | None = None) -> list[Node]:
        """
        Do `count` random things now (or `at`), the same ones for the same seed and history.

        Returns the orders that were added or changed, each once.
        """
        from tests.simulator.generate import random_order

        rng = self.random if seed is None else Random(seed)
        changed: dict[str, Node] = {}
        for _ in range(count):
            order = rng.choice(list(self.orders.values())[-500:]) if self.orders else None
            deed = rng.random()
            if order is None or deed < 0.3:
                order = random_order(self, rng, at or self.clock.now(), at or self.clock.now())
            else:
                self._do(rng, order, deed, at)
            changed[order["id"]] = order
        return list(changed.values())

    def _do(self, rng: Random, order: Node, deed: float, at: datetime | None) -> None:
        lines = [line for line in order["lineItems"] if line["currentQuantity"]]
        if lines and not order["cancelledAt"] and self._sell(rng, order, lines, deed, at):
            return
        if deed >= 0.97 and len(self.products) > 3:
            product = rng.choice(list(self.products.values()))
            if deed >= 0.99:
                self.delete_product(product)
            else:
                self.rename_product(product, f"{product['title'][:200]} (new)", at)
        self.touch(order, at, tag=f"tag-{rng.randrange(100)}")

    def _sell(self, rng: Random, order: Node, lines: list[Node], deed: float, at: datetime | None) -> bool:
        line = rng.choice(lines)
        if deed < 0.5:
            self.refund(order, line, rng.randint(1, line["currentQuantity"]), at, shipping=rng.random() < 0.2)
        elif deed < 0.6:
            self.edit(order, add=rng.choice(list(self.products.values())), remove=line, at=at)
        elif deed < 0.64:
            self.remove_line(order, line, at)
        elif deed < 0.69:
            self.reprice_any(order, line, at)
        elif deed < 0.74:
            self.cancel(order, rng.choice(("CUSTOMER", "FRAUD", "INVENTORY", "OTHER")), at)
        elif deed < 0.86:
            self.fulfil(order, at)
        elif deed < 0.92 and order["fulfillments"]:
            self.deliver(order, at)
        elif deed < 0.94:
            self.close(order, at)
        else:
            return False
        return True

    def reprice_any(self, order: Node, line: Node, at: datetime | None) -> None:
        """Reprice the line where it was part of the original order; else only touch the order."""
        if any(sale.get("lineItem") is line for sale in order["agreements"][0]["sales"]):
            self.reprice(order, line, at)
        else:
            self.touch(order, at)
