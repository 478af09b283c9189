"""What Prefect's form for a run asks an operator: typed, described, with defaults; and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from prefect import Flow
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema

from flows.backfill import backfill
from flows.replay import replay
from flows.windows import backfill_window

FLOWS = {"backfill": backfill, "replay": replay, "backfill-window": backfill_window}
RANGE = {"start": datetime(2025, 1, 1, tzinfo=UTC), "end": datetime(2025, 2, 1, tzinfo=UTC), "reason": "a test"}


def form(flow: Flow[..., Any]) -> dict[str, Any]:
    """The fields of a flow's form."""
    return parameter_schema(flow).model_dump()["properties"]


@pytest.mark.parametrize("name", FLOWS)
def test_every_field_is_described(name: str):
    """Each field of a form says what it is for."""
    assert [] == [field for field, schema in form(FLOWS[name]).items() if not schema.get("description")]


def test_backfill_asks_for_a_range_and_a_reason():
    """Two dates and a reason are all that an operator has to give."""
    fields = form(backfill)

    assert ["start", "end", "reason"] == parameter_schema(backfill).model_dump()["required"]
    assert ["date-time", "date-time"] == [fields[name]["format"] for name in ("start", "end")]
    assert ("created", 1, False) == tuple(fields[name]["default"] for name in ("by", "max_parallel", "dry_run"))
    assert (1, 5) == (fields["max_parallel"]["minimum"], fields["max_parallel"]["maximum"])


def test_replay_asks_for_a_reason():
    """What is replayed is a choice, why is not."""
    assert ["reason"] == parameter_schema(replay).model_dump()["required"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "yesterday"},
        {"by": "processed"},
        {"window_days": 0},
        {"window_days": 367},
        {"max_parallel": 0},
        {"max_parallel": 6},
        {"run_id": "seven"},
    ],
)
def test_wrong_parameter_is_refused(wrong: dict[str, Any]):
    """A parameter outside of its type or bounds is refused before anything runs."""
    with pytest.raises(ParameterTypeError, match=next(iter(wrong))):
        backfill.validate_parameters(RANGE | wrong)
