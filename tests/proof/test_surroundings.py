"""What a daily run stands on is missing, wrong or full: it ends in the one way that is right, and the next is exact."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from shopsync import errors
from shopsync.errors import SyncError
from shopsync.shopify import regroup
from tasks.watermark import SyncWatermark
from tests import lake_reader, truth
from tests.e2e.prefect_server import free_port
from tests.proof.conftest import fails, fails_and_says_so, good_again
from tests.proof.stage import BLOCK, Stage
from tests.simulator import Shop

OTHER = "other-shop.myshopify.com"

Surrounding = Callable[[Stage], AbstractContextManager[None]]


@contextmanager
def without_old_orders(stage: Stage) -> Iterator[None]:
    """The app may not see orders older than 60 days."""
    granted = stage.shop.scopes
    stage.shop.scopes = tuple(scope for scope in granted if scope != "read_all_orders")
    yield
    stage.shop.scopes = granted


@contextmanager
def others_watermark(stage: Stage) -> Iterator[None]:
    """The block is another shop's."""
    own = stage.blocks.saved[BLOCK]
    stage.blocks.saved[BLOCK] = SyncWatermark(shop=OTHER, watermark=own.watermark - timedelta(days=1))
    yield
    stage.blocks.saved[BLOCK] = own


@contextmanager
def others_database(stage: Stage) -> Iterator[None]:
    """The database says that its orders are another shop's."""
    write(stage, f"UPDATE shop SET domain = '{OTHER}'")
    yield
    write(stage, f"UPDATE shop SET domain = '{stage.shop.domain}'")


@contextmanager
def no_server(stage: Stage) -> Iterator[None]:
    """Nobody listens where the database should be."""
    stage.settings["SHOPSYNC_DATABASE_URL"] = f"mysql+pymysql://shopsync@127.0.0.1:{free_port()}/shopsync"
    yield


@contextmanager
def no_table(stage: Stage) -> Iterator[None]:
    """The table of the sales is not there."""
    write(stage, "ALTER TABLE order_sale RENAME TO aside")
    yield
    write(stage, "ALTER TABLE aside RENAME TO order_sale")


@contextmanager
def read_only(_stage: Stage) -> Iterator[None]:
    """The database takes no writes."""
    with connecting("PRAGMA query_only=ON"):
        yield


@contextmanager
def read_only_at_last(stage: Stage) -> Iterator[None]:
    """The database takes no writes any more, once the orders are exported."""
    with connecting("PRAGMA query_only=ON", during=stage):
        yield


@contextmanager
def full_disk(stage: Stage) -> Iterator[None]:
    """There is room for a few of the orders that are exported."""
    stage.shop.trade(60, seed=2)
    stage.shop.clock.advance(timedelta(minutes=10))
    ((pages,),) = truth.select(stage.database, "PRAGMA page_count")
    with connecting(f"PRAGMA max_page_count={pages + 3}", during=stage):
        yield


@contextmanager
def full_temporary_folder(stage: Stage) -> Iterator[None]:
    """There is no room for the lines of an export that has to be regrouped."""
    stage.shop.faults.shuffled = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regroup, "_SCHEMA", f"{regroup._SCHEMA}; PRAGMA max_page_count = 1")
        yield


@contextmanager
def connecting(pragma: str, during: Stage | None = None) -> Iterator[None]:
    """Give a pragma to each connection that is opened in the block, or from the middle of its run on."""
    begun = during is None

    def begin(_shop: Shop) -> None:
        nonlocal begun
        begun = True

    def prepare(connection: Any, _record: Any) -> None:
        if begun:
            connection.execute(pragma).close()

    if during is not None:
        during.shop.faults.order_updated_during_run = begin
    event.listen(Engine, "connect", prepare)
    try:
        yield
    finally:
        event.remove(Engine, "connect", prepare)


def write(stage: Stage, statement: str) -> None:
    """Change the database behind the product's back."""
    with closing(sqlite3.connect(stage.database)) as connection, connection:
        connection.execute(statement)


def stored(stage: Stage, without: str | None = None) -> list[str]:
    """Return all that is in the database and in the lake, without what names a run."""
    with closing(sqlite3.connect(stage.database)) as connection:
        rows = list(connection.iterdump())
    objects = [f"{key} {sha256}" for key, sha256 in lake_reader.snapshot(stage.lake, leave_out=()).items()]
    return [each for each in rows + objects if without is None or without not in each]


def met(row: str, error: type[SyncError], words: str, step: str, around: Surrounding) -> Any:
    """A row of the matrix, which ends the run in this step, with this error."""
    return pytest.param(error, words, step, around, id=around.__name__, marks=pytest.mark.proves(row))


@pytest.mark.parametrize(
    ("error", "words", "step", "around"),
    [
        met("missing scope", errors.MissingScopes, "lacks .* read_all_orders", "initiated", without_old_orders),
        met("other shop", errors.ForeignWatermark, f"belongs to {OTHER}", "initiated", others_watermark),
        met("other shop", errors.ForeignDatabase, f"holds the orders of {OTHER}", "initiated", others_database),
        met("no database", errors.DatabaseUnavailable, "Can't connect to MySQL server", "initiated", no_server),
        met("no table", errors.SchemaOutdated, "lacks order_sale: run ", "upsert", no_table),
        met("read only", errors.DatabaseUnavailable, "attempt to write a readonly database", "initiated", read_only),
        met("read only", errors.DatabaseUnavailable, "a readonly database", "upsert", read_only_at_last),
        met("disk full", errors.DatabaseUnavailable, "database or disk is full", "upsert", full_disk),
        met("disk full", errors.JsonlError, "regrouped .* disk is full", "upsert", full_temporary_folder),
    ],
)
def test_wrong_surroundings_are_told(
    stage: Stage, error: type[SyncError], words: str, step: str, around: Surrounding
) -> None:
    """What is not as it should be ends the run with its reason, and moves nothing; put right, it costs nothing."""
    assert step == fails_and_says_so(stage, error, words, around(stage))


@pytest.mark.parametrize(("folder", "step"), [("raw", "archive"), ("measurement.sales", "measure")])
@pytest.mark.proves("disk full")
def test_full_disk_is_told(stage: Stage, folder: str, step: str) -> None:
    """A disk that is full when archive or figures are written is named; with room again the next run is exact."""

    @contextmanager
    def full() -> Iterator[None]:
        stage.fate.full = folder
        yield
        stage.fate.full = None

    assert step == fails_and_says_so(stage, errors.LakeUnavailable, "the disk is full", full())


@pytest.mark.proves("no lake")
def test_no_lake_is_told(stage: Stage) -> None:
    """A lake that cannot be made leaves no place for a record: the run ends before it asks or writes anything."""
    (stage.folder / "file").touch()
    stage.settings["SHOPSYNC_LAKE_URL"] = (stage.folder / "file" / "below").as_uri()
    before, asked = stored(stage), len(stage.shop.requests)

    fails(stage, errors.LakeUnavailable, "cannot be made.* Check SHOPSYNC_LAKE_URL")

    assert before == stored(stage)
    assert asked == len(stage.shop.requests)
    good_again(stage)
    assert [] == stage.wrong()


@pytest.mark.proves("asked ahead")
def test_asking_ahead_is_refused(stage: Stage) -> None:
    """A run that is asked for in the future asks Shopify for nothing, and writes nothing but the record of it."""
    asked, tomorrow = len(stage.shop.requests), stage.now() + timedelta(days=1)
    before = stored(stage)

    message = fails(stage, errors.WindowError, "requested_at lies in the future", requested_at=tomorrow)

    (told,) = stage.records()
    assert ("failed", "WindowError", message) == (told["status"], told["error"]["type"], told["error"]["message"])
    assert before == stored(stage, without=str(stage.run_id))
    assert asked == len(stage.shop.requests)
    good_again(stage)
    assert [] == stage.wrong()
