"""A replay brings archives into the tables again, without Shopify, and refuses what is not whole."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import zstandard

from flows.replay import ReplayResult, replay
from shopsync.errors import ArchiveMismatch, ArchiveUnknown, DatabaseUnavailable, JsonlError, SyncError, WindowError
from shopsync.telemetry import Initiator
from tests import lake_reader
from tests.e2e.backfilled import Backfilled
from tests.e2e.conftest import OpenWorld
from tests.e2e.world import World, environment, now
from tests.simulator import Shop
from tests.soak import victim
from tests.truth import differences, stored_rows

DAY = timedelta(days=1)
NOBODY = "http://127.0.0.1:9"
"""A port on which nothing answers: Shopify is away."""


@dataclass
class Elsewhere:
    """An empty database, and a lake that holds nothing but the archives of another world."""

    folder: Path
    environ: dict[str, str]

    @classmethod
    def of(cls, world: World, folder: Path) -> Elsewhere:
        shutil.copytree(world.lake / "raw", folder / "lake" / "raw")
        storage = ("SHOPSYNC_LAKE", "SHOPSYNC_DATABASE")
        kept = {name: value for name, value in world.environ.items() if not name.startswith(storage)}
        return cls(folder, kept | {"SHOPSYNC_DATA_DIR": str(folder), "SHOPSYNC_SHOPIFY_URL": NOBODY})

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def database(self) -> Path:
        return self.folder / "shopsync.db"

    def replay(self, **parameters: Any) -> ReplayResult:
        with environment(self.environ):
            return cast("ReplayResult", replay("a test", initiator=Initiator.USER, **parameters))

    def archives(self) -> list[Path]:
        return sorted(self.lake.glob("raw/shopify/orders/date=*/run_id=*/*.zst"))

    def key(self, path: Path) -> str:
        return path.relative_to(self.lake).as_posix()

    def written(self) -> list[str]:
        """What a run wrote but its records."""
        rows = stored_rows(self.database) if self.database.exists() else {}
        keys = [key for key in lake_reader.snapshot(self.lake) if not key.startswith("raw/")]
        return [table for table, found in rows.items() if found] + keys


@pytest.fixture
def elsewhere(long_history: Backfilled, tmp_path: Path) -> Elsewhere:
    """The same archives beside an empty database."""
    return Elsewhere.of(long_history.world, tmp_path)


def test_replay_gives_the_same_tables(long_history: Backfilled, elsewhere: Elsewhere):
    """All archives of a day, replayed into an empty database while Shopify is away: the same rows and figures."""
    day = long_history.requested_at.date()

    elsewhere.replay(first_day=day, last_day=day, requested_at=long_history.requested_at)

    assert [] == differences(long_history.world.rows, stored_rows(elsewhere.database))
    assert lake_reader.read_sales(long_history.world.lake) == lake_reader.read_sales(elsewhere.lake)


EMBEDDED = pytest.mark.parametrize("storage", ["embedded"], indirect=True)


@EMBEDDED
def test_replay_tells_no_events(long_history: Backfilled, elsewhere: Elsewhere):
    """What happened to the orders was told when they were archived; the replay's records say what it was."""
    elsewhere.replay(of_run=UUID(long_history.run_id))

    told = lake_reader.read_telemetry(elsewhere.lake)
    assert [] == lake_reader.read_events(elsewhere.lake)
    assert {"REPLAY_EXECUTE"} == {record["job_type"] for record in told}
    assert ("completed", "a test") == (told[-1]["status"], told[-1]["reason"])
    assert len(long_history.world.shop.orders) == told[-1]["counts"]["orders"]


@EMBEDDED
def test_second_replay_changes_nothing(elsewhere: Elsewhere):
    """Replaying one archive twice leaves the same rows and the same objects."""
    key = elsewhere.key(elsewhere.archives()[0])
    elsewhere.replay(archive=key)
    rows, objects = stored_rows(elsewhere.database), lake_reader.snapshot(elsewhere.lake)

    elsewhere.replay(archive=key)

    assert rows == stored_rows(elsewhere.database)
    assert objects == lake_reader.snapshot(elsewhere.lake)


@EMBEDDED
def test_replay_takes_nothing_back(open_world: OpenWorld):
    """An archive that is older than what is here changes no row and no figure."""
    shop = Shop(seed=45, orders=30, now=now() - timedelta(minutes=5), days=20, operation_seconds=0.2)
    filled = Backfilled(open_world(shop))
    filled.backfill(now() - 21 * DAY, now())
    first = filled.run_id
    shop.trade(9, seed=3, at=now() - timedelta(minutes=1))
    filled.backfill(now() - 21 * DAY, now())

    with environment(filled.world.environ):
        replay("a test", of_run=UUID(first), requested_at=filled.requested_at)

    assert [] == filled.wrong()


@EMBEDDED
def test_refused_begin_is_told(elsewhere: Elsewhere, tmp_path: Path):
    """A replay that could not begin has said so under its run id, which begins it later all the same."""
    run_id, environ = uuid4(), elsewhere.environ
    elsewhere.environ = environ | {"SHOPSYNC_DATABASE_URL": f"sqlite:///{tmp_path}"}
    with pytest.raises(DatabaseUnavailable):
        elsewhere.replay(archive=elsewhere.key(elsewhere.archives()[0]), run_id=run_id)
    elsewhere.environ = environ

    elsewhere.replay(archive=elsewhere.key(elsewhere.archives()[0]), run_id=run_id)

    told = lake_reader.read_telemetry(elsewhere.lake)
    assert ["failed", "initiated"] == [record["step"] for record in told[:2]]
    assert "completed" == told[-1]["step"]


@EMBEDDED
def test_completed_replay_is_not_run_again(elsewhere: Elsewhere):
    """The same run id a second time shows the same run; over another archive it is refused."""
    key, run_id = elsewhere.key(elsewhere.archives()[0]), uuid4()
    elsewhere.replay(archive=key, run_id=run_id)
    before = lake_reader.read_telemetry(elsewhere.lake)

    elsewhere.replay(archive=key, run_id=run_id)
    with pytest.raises(WindowError, match=f"was begun over {key}"):
        elsewhere.replay(archive=elsewhere.key(elsewhere.archives()[1]), run_id=run_id)

    assert before == lake_reader.read_telemetry(elsewhere.lake)


def truncate(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-20])


def overwrite(archive: Path) -> None:
    archive.write_bytes(b"nonsense" * 100)


def change_a_line(archive: Path) -> None:
    content = zstandard.ZstdDecompressor().decompressobj().decompress(archive.read_bytes())
    archive.write_bytes(zstandard.ZstdCompressor().compress(content.replace(b'"quantity":1', b'"quantity":9', 1)))


def break_a_line(archive: Path) -> None:
    """As Shopify sent it: the manifest vouches for the broken bytes."""
    content = b"{nonsense\n" + zstandard.ZstdDecompressor().decompressobj().decompress(archive.read_bytes())
    archive.write_bytes(zstandard.ZstdCompressor().compress(content))
    vouch(archive, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def remove(archive: Path) -> None:
    archive.unlink()


def vouch(archive: Path, **fields: Any) -> None:
    manifest = json.loads((archive.parent / "manifest.json").read_text())
    manifest["files"][0] |= fields
    (archive.parent / "manifest.json").write_text(json.dumps(manifest))


def miscount_lines(archive: Path) -> None:
    vouch(archive, lines=7)


def miscount_orders(archive: Path) -> None:
    vouch(archive, roots=7)


def misname(archive: Path) -> None:
    vouch(archive, key="raw/another.jsonl.zst")


def break_the_manifest(archive: Path) -> None:
    (archive.parent / "manifest.json").write_text("{")


@EMBEDDED
@pytest.mark.proves("unsound archive")
@pytest.mark.parametrize(
    ("tamper", "error"),
    [
        (truncate, ArchiveMismatch),
        (overwrite, ArchiveMismatch),
        (change_a_line, ArchiveMismatch),
        (break_a_line, JsonlError),
        (miscount_lines, ArchiveMismatch),
        (miscount_orders, ArchiveMismatch),
        (misname, ArchiveMismatch),
        (break_the_manifest, ArchiveMismatch),
        (remove, ArchiveUnknown),
    ],
)
def test_unsound_archive_writes_nothing(elsewhere: Elsewhere, tamper: Callable[[Path], None], error: type[SyncError]):
    """An archive that is not what its manifest says, or cannot be parsed, is refused before a row of it is written."""
    archive = elsewhere.archives()[-1]
    key = elsewhere.key(archive)
    tamper(archive)

    with pytest.raises(error, match="run_id="):
        elsewhere.replay(archive=key)

    assert [] == elsewhere.written()


@EMBEDDED
@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({}, WindowError, "needs one of"),
        ({"archive": "raw/x.zst", "of_run": uuid4()}, WindowError, "needs one of"),
        ({"first_day": date(2026, 11, 1)}, WindowError, "first and the last"),
        ({"first_day": date(2026, 11, 2), "last_day": date(2026, 11, 1)}, WindowError, "comes after"),
        ({"first_day": date(2020, 11, 1), "last_day": date(2020, 11, 2)}, ArchiveUnknown, "2020-11-01 to 2020-11-02"),
        ({"of_run": UUID(int=7)}, ArchiveUnknown, "00000000-0000-0000-0000-000000000007"),
        ({"archive": "raw/shopify/orders/../../secret"}, ArchiveUnknown, "has no archive for"),
    ],
)
def test_senseless_replay_is_refused(
    elsewhere: Elsewhere, parameters: dict[str, Any], error: type[SyncError], words: str
):
    """What cannot be meant, or is not there, is refused in one line; no record is written either."""
    with pytest.raises(error, match=words):
        elsewhere.replay(**parameters)

    assert [] == elsewhere.written()
    assert [] == lake_reader.read_telemetry(elsewhere.lake)


@EMBEDDED
def test_command_needs_no_shop(elsewhere: Elsewhere, tmp_path: Path):
    """The command works without any setting of Shopify's, and ends in one line where the archive is unknown."""
    arguments = ["--reason", "a test", "--archive"]
    without_shop = {name: "" for name in elsewhere.environ if name.startswith("SHOPSYNC_SHOPIFY")}
    environ, known = elsewhere.environ | without_shop, elsewhere.key(elsewhere.archives()[0])

    with environment(environ):  # for the process that runs are forked from
        done, said = victim.run(environ, [*arguments, known], tmp_path / "known.log", "flows.replay")
        failed, why = victim.run(environ, [*arguments, f"{known}.x"], tmp_path / "unknown.log", "flows.replay")

    assert 0 == done, said
    assert "REPLAY_EXECUTE completed" in said
    assert 1 == failed
    assert "shopsync: the lake" in why
    assert "Traceback" not in why
