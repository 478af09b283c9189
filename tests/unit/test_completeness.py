"""What Shopify has and is not so here."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shopsync.completeness import MOST_TOLD, Seen, SeenOrder, differences
from tests.factories import NOON

ORDER = SeenOrder(1, NOON, {"name": "#1", "total_price": 12}, {11: (2, 2), 12: (1, 0)})


def test_same_orders_differ_in_nothing() -> None:
    """What is here as Shopify has it is complete."""
    assert [] == differences(Seen(1, [ORDER]), Seen(1, [ORDER]), NOON)


@pytest.mark.parametrize(
    ("here", "told"),
    [
        ([], "order 1 is not here"),
        ([replace(ORDER, updated_at=NOON - timedelta(seconds=1))], "as of 2026-11-20T11:59:59Z"),
        ([replace(ORDER, fields={"name": "#1", "total_price": 13})], "another total_price"),
        ([replace(ORDER, lines={11: (2, 2)})], "other line items"),
        ([replace(ORDER, lines={11: (2, 2), 12: (1, 1)})], "other line items"),
    ],
)
def test_difference_is_told(here: list[SeenOrder], told: str) -> None:
    """An order that is missing, older, or otherwise here is named."""
    (difference,) = differences(Seen(1, [ORDER]), Seen(1, here), NOON)

    assert told in difference


def test_fewer_orders_here_are_told() -> None:
    """Shopify's own count tells of orders that no sample shows."""
    assert ["Shopify counts 1,002 orders in the window, 1,001 of them are here"] == differences(
        Seen(1_002, []), Seen(1_001, []), NOON
    )


def test_changes_since_are_no_difference() -> None:
    """An order that is newer here, or that Shopify no longer has in the window, was changed meanwhile."""
    newer = replace(ORDER, updated_at=NOON + timedelta(seconds=1), fields={"name": "#1", "total_price": 13})

    assert [] == differences(Seen(1, [ORDER]), Seen(2, [newer]), NOON)


def test_changes_beyond_the_window_are_no_difference() -> None:
    """An order that was changed a moment ago is found under its old time for a while; it comes with the next run."""
    shown, here = [replace(ORDER, updated_at=NOON + timedelta(hours=1))], [ORDER]

    assert [] == differences(Seen(1, shown), Seen(1, here), NOON)
    assert [] != differences(Seen(1, shown), Seen(1, here), NOON + timedelta(hours=1))


def test_not_all_is_told() -> None:
    """Where everything differs, a record stays readable."""
    missing = [replace(ORDER, order_id=number) for number in range(99)]

    assert MOST_TOLD == len(differences(Seen(99, missing), Seen(0, []), NOON))
