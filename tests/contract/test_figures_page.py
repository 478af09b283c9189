"""docs/figures.md explains every figure that the API gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api import figures
from api.analytics import Pipelines, PipelineState
from shopsync.pipelines import Reconciliation

PAGE = (Path(__file__).parents[2] / "docs" / "figures.md").read_text("utf-8")
NAMED = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", PAGE))))
PLAIN = {"product_id", "title", "day", "job_type", "as_of", "last_sold_on", "current", "previous", "unfulfilled"}
"""What needs no words."""


@pytest.mark.parametrize(
    "shape",
    [
        figures.Overview,
        figures.SalesFigures,
        figures.OrderFigures,
        figures.Backlog,
        Pipelines,
        PipelineState,
        Reconciliation,
    ],
    ids=lambda shape: shape.__name__,
)
def test_every_figure_is_explained(shape: type[Any]) -> None:
    """A field that is added is a line of the page, too."""
    assert set() == {_named(field) for field in shape.__struct_fields__} - NAMED - PLAIN


def _named(field: str) -> str:
    # The page pairs `hours_to_fulfilment_median`, `_p90` and the like.
    return field.replace("hours_to_fulfilment_p90", "_p90")
