"""Random histories; `make soak` plays thousands."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.histories import UNHURRIED, Histories

FEW = settings(
    max_examples=10,
    stateful_step_count=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=UNHURRIED,
)


@pytest.mark.proves("any history")
def test_no_history_leaves_anything_wrong():
    """Whatever happens to the shop and to the runs, in whatever order, the truth is there or owed."""
    run_state_machine_as_test(Histories, settings=FEW)
