"""Faults that are planted; `make soak` plays histories until each of them is found."""

from __future__ import annotations

import pytest

from tests.proof.planted import PLANTED, SEED, Plant, find, silence


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_plant_fits_the_product(plant: Plant):
    """A planted fault breaks a rule of the product, not a call of it: no history ends in another error."""
    with silence():
        find(plant, SEED, at_most=2)
