"""Money, times and sets of ids in columns."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, select

from shopsync.database.columns import ten_thousandths, utc_text, utc_text_to_the_microsecond
from shopsync.database.engine import reading, writing
from shopsync.database.ledger import ledger_sums
from shopsync.database.runs import project
from shopsync.database.tables import order_day, product, sales_day, sync_run
from shopsync.errors import InexactMoney
from shopsync.money import exact
from shopsync.telemetry import Initiator, JobType, RunRecord, Status, Step
from tests.database import replace_sales_day, rows
from tests.factories import NOON

TOKYO = timezone(timedelta(hours=9))


@given(st.decimals("-999999999999999.9999", "999999999999999.9999", places=4))
def test_money_survives(amount: Decimal) -> None:
    """Every amount of DECIMAL(19,4) comes back from ten-thousandths as it was."""
    assert amount == Decimal(ten_thousandths(amount)).scaleb(-4)


@pytest.mark.parametrize("amount", ["12.5", "12.50000", "1.25E+1"])
def test_notation_does_not_matter(amount: str) -> None:
    """Zeros at the end are not digits, and an exponent is only a way of writing."""
    assert ("12.5000", 125_000) == (str(exact(Decimal(amount))), ten_thousandths(Decimal(amount)))


def test_times_are_utc() -> None:
    """A time in another zone is written in UTC, cut to the second."""
    at = datetime(2026, 11, 21, 8, 30, 15, 999_999, tzinfo=TOKYO)

    assert "2026-11-20 23:30:15" == utc_text(at)
    assert "2026-11-20 23:30:15.999999" == utc_text_to_the_microsecond(at)


def test_zone_is_required() -> None:
    """A time without a zone is nobody's time."""
    with pytest.raises(ValueError, match="no time zone"):
        utc_text(datetime(2026, 11, 20))  # noqa: DTZ001


def test_query_refuses_naive_times(database: Engine) -> None:
    """A time without a zone is refused in the parameters of a query, too."""
    with pytest.raises(ValueError, match="no time zone"):
        ledger_sums(database, datetime(2026, 11, 20), NOON)  # noqa: DTZ001


def test_query_refuses_inexact_money(database: Engine) -> None:
    """An amount that does not fit is told as such, not as a failure of the database."""
    row = dict.fromkeys((column.name for column in sales_day.c), 0) | {"currency": "EUR", "tax": Decimal("0.00001")}

    with pytest.raises(InexactMoney):
        replace_sales_day(database, NOON.date(), [{**row, "day": NOON.date()}])


def test_null_stays_null(database: Engine) -> None:
    """No amount is not zero, and no time is not the epoch."""
    with writing(database) as connection:
        connection.execute(insert(product).values(product_id=7, net_sales_7d=None, updated_at=None))

    (row,) = rows(database, product)
    assert (None, None) == (row["net_sales_7d"], row["updated_at"])


@given(ids=st.frozensets(st.integers(0, 2**63 - 1), max_size=30))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_survive(database: Engine, ids: frozenset[int]) -> None:
    """A set of ids comes back as it was, in order; none is an empty set."""
    counts = {"day": NOON.date(), "orders": 1, "cancelled": 0, "unfulfilled": 0}
    with writing(database) as connection:
        connection.execute(delete(order_day))
        connection.execute(insert(order_day).values(**counts, customers=ids))

    assert [tuple(sorted(ids))] == [row["customers"] for row in rows(database, order_day)]


def test_instants_are_compared_to_the_microsecond(database: Engine) -> None:
    """What happens more than once a second is told apart in queries too."""
    at = NOON.replace(microsecond=7)
    project(database, RunRecord("run-1", JobType.DAILY, Initiator.CRON, NOON, NOON, Step.POLL, Status.POLLING, at))
    same, later = (sync_run.c.updated_at == at), (sync_run.c.updated_at > at)

    with reading(database) as connection:
        found = [connection.scalar(select(sync_run.c.run_id).where(which)) for which in (same, later)]

    assert ["run-1", None] == found
