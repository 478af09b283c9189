"""Money as DECIMAL(19,4) holds it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shopsync.errors import InexactMoney
from shopsync.money import exact


@pytest.mark.parametrize(
    "amount", ["0.00001", "1E+15", "999999999999999.99999", "1.0000000000000000000000000000000001", "NaN", "Infinity"]
)
def test_inexact_money_is_refused(amount: str) -> None:
    """What does not fit is refused, however close it is."""
    with pytest.raises(InexactMoney, match="does not fit"):
        exact(Decimal(amount))
