"""How Shopify writes ids, times and money; nothing about what an order is."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NoReturn

Node = dict[str, Any]

ZERO = Decimal(0)
CENT = Decimal("0.01")
UNIT = Decimal(1)
WITHOUT_CENTS = frozenset({"JPY"})

# Units of a presentment currency per unit of the shop's; only their difference matters.
RATES = {
    "USD": Decimal("1.0"),
    "EUR": Decimal("0.9137"),
    "GBP": Decimal("0.7871"),
    "CAD": Decimal("1.3642"),
    "JPY": Decimal("151.37"),
    "AUD": Decimal("1.5218"),
    "CHF": Decimal("0.8837"),
    "SEK": Decimal("10.471"),
}


def gid(kind: str, number: int) -> str:
    """Return Shopify's global id."""
    return f"gid://shopify/{kind}/{number}"


def number_of(global_id: str) -> int:
    """Return the number at the end of a global id."""
    return int(global_id.rsplit("/", 1)[1])


def stamp(moment: datetime) -> str:
    """Return a moment as Shopify writes it: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Return the aware moment of a Shopify timestamp."""
    return datetime.fromisoformat(text)


class Frozen(dict[str, Any]):
    """A dict that many nodes share, so it refuses to be changed in place."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("money is shared between nodes: assign a whole new MoneyBag instead")

    __setitem__ = _refuse
    __delitem__ = _refuse
    update = _refuse  # type: ignore[assignment]
    pop = _refuse
    popitem = _refuse
    clear = _refuse
    setdefault = _refuse  # type: ignore[assignment]
    __ior__ = _refuse  # type: ignore[assignment]

    def __copy__(self) -> Frozen:
        return self

    def __deepcopy__(self, memo: object) -> Frozen:
        return self


class Till:
    """Makes MoneyBags of the shop's currency, each distinct one once."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self._bags: dict[tuple[Decimal, str], Frozen] = {}

    def round(self, value: Decimal, currency: str | None = None) -> Decimal:
        """Return the value in whole cents (or yen)."""
        exponent = UNIT if (currency or self.currency) in WITHOUT_CENTS else CENT
        return value.quantize(exponent, ROUND_HALF_UP)

    def bag(self, value: Decimal | int | str, presentment: str | None = None) -> Frozen:
        """Return the MoneyBag of an amount in the shop's currency."""
        shop_amount = self.round(Decimal(value))
        other = presentment or self.currency
        key = (shop_amount, other)
        bag = self._bags.get(key)
        if bag is None:
            shop_money = Frozen(amount=shop_amount, currencyCode=self.currency)
            presentment_money = shop_money
            if other != self.currency:
                rate = RATES.get(other, UNIT) / RATES.get(self.currency, UNIT)
                presentment_money = Frozen(amount=self.round(shop_amount * rate, other), currencyCode=other)
            bag = self._bags[key] = Frozen(shopMoney=shop_money, presentmentMoney=presentment_money)
        return bag


def amount(bag: Node | None) -> Decimal:
    """Return a MoneyBag's amount in the shop's currency; an absent bag is zero."""
    if bag is None:
        return ZERO
    value = bag["shopMoney"]["amount"]
    return value if isinstance(value, Decimal) else Decimal(value)


def combine(*terms: tuple[int | Decimal, Node]) -> Node:
    """Return the MoneyBag of a weighted sum, in both currencies."""
    first = terms[0][1]
    return {
        side: {
            "amount": sum((Decimal(bag[side]["amount"]) * factor for factor, bag in terms), ZERO),
            "currencyCode": first[side]["currencyCode"],
        }
        for side in ("shopMoney", "presentmentMoney")
    }


_decimals: dict[Decimal, str] = {}


def decimal_text(value: Decimal | int | str) -> str:
    """Return a Decimal as Shopify writes it: `12.00` is `"12.0"`, `12.50` is `"12.5"`."""
    exact = value if isinstance(value, Decimal) else Decimal(value)
    text = _decimals.get(exact)
    if text is None:
        text = f"{exact:f}"
        text = text.rstrip("0") if "." in text else f"{text}."
        text = f"{text}0" if text.endswith(".") else text
        text = "0.0" if exact == 0 else text
        _decimals[exact] = text
    return text
