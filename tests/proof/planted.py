"""
Planted faults: `python -m tests.proof.planted` breaks the product in one place at a time, and plays histories.

A suite that finds nothing may be blind. Each fault here is one that somebody could make in a line; the random
histories have to tell of it, and soon.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from shopsync.database import orders, upsert
from shopsync.errors import SyncError
from shopsync.watermark import Move
from tasks import watermark
from tests.proof.histories import UNHURRIED, Histories

AT_MOST = 500
"""Histories, until a fault counts as not found."""
SEED = 20261126

Plant = Callable[[pytest.MonkeyPatch], None]


def backward(patch: pytest.MonkeyPatch) -> None:
    """The watermark is saved as a run found it, though another has moved it further."""

    def advance(name: str, shop: str, reached: datetime, _began_from: datetime | None) -> Move:
        watermark.SyncWatermark(shop=shop, watermark=reached).save(name, overwrite=True)
        return Move.FORWARD

    patch.setattr(watermark, "advance", advance)


def too_far(patch: pytest.MonkeyPatch) -> None:
    """The watermark goes six minutes further than what was fetched: beyond the overlap."""
    advanced = watermark.advanced

    def further(*given: Any) -> Any:
        reached = advanced(*given)
        return reached and reached + timedelta(minutes=6)

    patch.setattr(watermark, "advanced", further)


def offset(patch: pytest.MonkeyPatch) -> None:
    """A resumed upsert leaves out the first order behind the last commit."""
    patch.setattr(upsert, "islice", lambda all_of, start, stop: islice(all_of, start + bool(start), stop))


def unguarded(patch: pytest.MonkeyPatch) -> None:
    """An older version of an order overwrites a newer one."""
    patch.setattr(orders, "HEADERS", replace(orders.HEADERS, guard=None, newer_only=frozenset()))


def children_stay(patch: pytest.MonkeyPatch) -> None:
    """Lines and sales that an order has no more are left where they are."""
    patch.setattr(orders, "remove", lambda *_given: None)


def day_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Of the days whose sales changed in a chunk, the first is not marked."""
    mark_days = orders.mark_days
    patch.setattr(orders, "mark_days", lambda connection, days: mark_days(connection, sorted(set(days))[1:]))


PLANTED: dict[str, Plant] = {
    "watermark: goes back": backward,
    "watermark: goes too far": too_far,
    "chunk offset: one too many": offset,
    "guard: none": unguarded,
    "child removal: none": children_stay,
    "affected days: one forgotten": day_forgotten,
}


@dataclass(frozen=True)
class Found:
    """How many histories it took, None when none of them told; and what the last one said."""

    histories: int | None
    said: str


def find(plant: Plant, first_seed: int, at_most: int = AT_MOST) -> Found:
    """Break the product, and play histories until one of them tells."""
    Histories.tally.clear()
    chosen = settings(
        max_examples=at_most,
        stateful_step_count=8,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=UNHURRIED,
    )
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        try:
            run_state_machine_as_test(seed(first_seed)(Histories), settings=chosen)
        except (AssertionError, SyncError) as broken:  # an invariant, or what a run says itself; no slip of the plant
            return Found(Histories.tally["histories"], f"{type(broken).__name__}: {broken}".partition("\n")[0])
    return Found(None, "nothing")


def find_all(names: Iterable[str] = PLANTED, first_seed: int = SEED) -> Iterator[tuple[str, Found]]:
    """Plant them one by one, and yield what became of each."""
    with silence():
        for name in names:
            yield name, find(PLANTED[name], first_seed)


@contextmanager
def silence() -> Iterator[None]:
    """Hundreds of faults warn."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def main() -> int:
    """Find them all; exit 0 only when each was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.planted", description="Plant faults, and find them.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", choices=list(PLANTED), action="append", help="only this one; may be given again")
    given = parser.parse_args()
    blind = False
    for name, found in find_all(given.only or PLANTED, given.seed):
        told = "not found" if found.histories is None else f"found in history {found.histories}"
        print(f"{name}: {told}, seed {given.seed}: {found.said}", flush=True)
        blind |= found.histories is None
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main())
