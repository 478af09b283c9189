"""Money as DECIMAL(19,4) holds it, in the tables as in the lake: exact, or refused; nothing is ever rounded."""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

from shopsync.errors import InexactMoney

_CENT_OF_A_CENT = Decimal("0.0001")
_MONEY = Context(prec=19, traps=[Inexact, InvalidOperation])
"""More digits, before or after the point, are an error instead of a rounding."""


def exact(amount: Decimal) -> Decimal:
    """
    Return `amount` with four decimals.

    Raises:
        InexactMoney: It has more of them, or more than fifteen digits before the point.
    """
    try:
        # Plus: zero has no sign in a column, and its text must not differ from what comes back.
        written = _MONEY.plus(_MONEY.quantize(amount, _CENT_OF_A_CENT))
    except DecimalException as error:
        raise InexactMoney(str(amount)) from error
    if written.is_nan():
        raise InexactMoney(str(amount))
    return written
