"""What an operator reads when something is missing or wrong: one line with the cause and the cure, and no secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from shopsync import errors
from shopsync.errors import SyncError
from tasks import watermark
from tests import lake_reader
from tests.e2e.conftest import OpenWorld
from tests.e2e.history import History
from tests.e2e.prefect_server import free_port
from tests.e2e.world import World, environment, now
from tests.simulator import Shop

# The messages are those of this machine's files; tests/services has those of the servers.
pytestmark = pytest.mark.parametrize("storage", ["embedded"], indirect=True)

SECRET = "shpat_0123456789abcdef"


@pytest.fixture
def world(open_world: OpenWorld) -> World:
    """A world around an almost empty shop, with settings that give up soon."""
    shop = Shop(seed=2, orders=3, now=now() - timedelta(minutes=5), days=5, token=SECRET)
    return open_world(shop, SHOPSYNC_RETRY_BUDGET_S="1")


def below_a_file(world: World) -> Path:
    """A path that nothing can be made at: one of its parents is a file."""
    world.folder.mkdir(parents=True, exist_ok=True)
    (world.folder / "file").touch()
    return world.folder / "file" / "below"


@dataclass(frozen=True)
class Mistake:
    """A wrong setting or surrounding; `words` must be in the message: the cause and the cure."""

    name: str
    error: type[SyncError]
    words: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    make: Callable[[World], None] = lambda _world: None


def without_all_orders(world: World) -> None:
    """The app was not granted orders older than 60 days."""
    world.shop.scopes = ("read_orders", "read_products", "read_customers")


def other_version(world: World) -> None:
    """Shopify has retired the pinned version and serves the next one."""
    world.shop.faults.served_version = "2027-01"


def others_watermark(world: World) -> None:
    """The block is another shop's."""
    watermark.advance(world.block, "other-shop.myshopify.com", now())


def lake_below_a_file(world: World) -> None:
    """A lake where no folder can be made."""
    world.settings["SHOPSYNC_LAKE_URL"] = below_a_file(world).as_uri()


def database_below_a_file(world: World) -> None:
    """A database where no file can be made."""
    world.settings["SHOPSYNC_DATABASE_URL"] = f"sqlite:///{below_a_file(world)}/shopsync.db"


MISTAKES = [
    Mistake(
        "no url",
        errors.SettingsError,
        ("SHOPSYNC_SHOPIFY_URL is not set", "https://<shop>.myshopify.com"),
        {"SHOPIFY_URL": ""},
    ),
    Mistake(
        "no token",
        errors.SettingsError,
        ("SHOPSYNC_SHOPIFY_TOKEN is not set", "SHOPSYNC_SHOPIFY_CLIENT_ID"),
        {"SHOPIFY_TOKEN": ""},
    ),
    Mistake(
        "wrong token",
        errors.TokenRefused,
        ("refuses the access token", "Invalid API key or access token", "check SHOPSYNC_SHOPIFY_TOKEN"),
        {"SHOPIFY_TOKEN": "shpat_of_somebody_else"},
    ),
    Mistake(
        "wrong client secret",
        errors.TokenRefused,
        ("refuses the access token", "check SHOPSYNC_SHOPIFY_TOKEN, or SHOPSYNC_SHOPIFY_CLIENT_ID"),
        {"SHOPIFY_TOKEN": "", "SHOPIFY_CLIENT_ID": "nobody", "SHOPIFY_CLIENT_SECRET": "shpss_of_somebody_else"},
    ),
    Mistake(
        "missing scope",
        errors.MissingScopes,
        ("lacks", "read_all_orders", "grant it"),
        make=without_all_orders,
    ),
    Mistake(
        "served version",
        errors.ApiVersionMismatch,
        ("version 2027-01 instead of the pinned 2026-10", "SHOPSYNC_SHOPIFY_API_VERSION"),
        make=other_version,
    ),
    Mistake(
        "foreign watermark",
        errors.ForeignWatermark,
        ("belongs to other-shop.myshopify.com", "SHOPSYNC_WATERMARK_BLOCK"),
        make=others_watermark,
    ),
    Mistake(
        "lake",
        errors.LakeUnavailable,
        ("cannot be made", "Check SHOPSYNC_LAKE_URL"),
        make=lake_below_a_file,
    ),
    Mistake(
        "database",
        errors.DatabaseUnavailable,
        ("Not a directory", "Check SHOPSYNC_DATABASE_URL"),
        make=database_below_a_file,
    ),
]


def named(mistake: Mistake) -> Any:
    """The mistake as a parameter, under its name."""
    return pytest.param(mistake, id=mistake.name.replace(" ", "-"))


@pytest.mark.parametrize("mistake", [named(each) for each in MISTAKES])
def test_names_cause_and_cure(world: World, mistake: Mistake):
    """A mistake ends the run before anything is asked for, in one line that tells what to do."""
    world.settings.update({f"SHOPSYNC_{name}": value for name, value in mistake.settings.items()})
    mistake.make(world)

    with pytest.raises(mistake.error) as refused:
        world.sync()

    message = str(refused.value)
    assert [] == [words for words in mistake.words if words not in message]
    assert "\n" not in message
    assert [] == [secret for secret in (SECRET, *mistake.settings.values()) if len(secret) > 12 and secret in message]
    assert [] == world.shop.operations


def test_asking_ahead_is_refused(world: World):
    """A run decides the day of its figures by when it was asked for, which cannot be tomorrow."""
    with pytest.raises(errors.WindowError, match="requested_at lies in the future"):
        world.sync(requested_at=now() + timedelta(days=1))


def told(process: tuple[int, str, str]) -> tuple[int, list[str]]:
    """The exit code, and the lines on the error output that are ours; there is no traceback and no secret."""
    code, output, errors = process
    assert "Traceback" not in output + errors
    assert SECRET not in output + errors
    return code, [line for line in errors.splitlines() if line.startswith("shopsync: ")]


def held(world: World) -> tuple[Any, ...]:
    """All that a run could have written: watermark, rows, the runs that are known, objects."""
    runs = world.storage.select("SELECT * FROM sync_run")
    return world.watermark, world.rows, runs, lake_reader.snapshot(world.lake, leave_out=())


def test_malformed_setting_in_a_process(world: World):
    """A malformed setting is named with what it expects; its value is not repeated."""
    code, lines = told(world.run(SHOPSYNC_POLL_INTERVAL_S=SECRET))

    assert 1 == code
    (line,) = lines
    assert line.startswith("shopsync: SHOPSYNC_POLL_INTERVAL_S is malformed: it expects seconds between two looks")


def test_unreachable_shop_in_a_process(world: World):
    """A shop that nobody answers for is told within the first contact's patience, with the address."""
    nowhere = f"http://127.0.0.1:{free_port()}"

    code, lines = told(world.run(SHOPSYNC_SHOPIFY_URL=nowhere))

    assert 1 == code
    (line,) = lines
    assert f"Shopify does not answer at {nowhere}" in line
    assert "Check SHOPSYNC_SHOPIFY_URL" in line


@pytest.mark.proves("no Prefect")
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AUTH_STRING", "operator:wrong", "refuses this process (401): set PREFECT_API_AUTH_STRING"),
        ("URL", "", "start it, or correct PREFECT_API_URL"),
    ],
    ids=["refused", "nobody"],
)
def test_no_prefect_in_a_process(settled: History, name: str, value: str, words: str):
    """A Prefect server that lets nobody in, or does not answer, ends the process before it reads or writes anything."""
    world = settled.world
    world.shop.trade(12, seed=3)
    before = held(world)

    code, lines = told(world.run(**{f"PREFECT_API_{name}": value or f"http://127.0.0.1:{free_port()}/api"}))

    assert 1 == code
    (line,) = lines
    assert line.startswith("shopsync: Prefect ")
    assert words in line
    assert before == held(world)
    assert [] == world.shop.requests
    settled.sync()
    assert [] == settled.wrong()


def test_failed_run_in_a_process(world: World):
    """A failing process exits 1 with the same words that are in its failed record."""
    world.shop.faults.broken_line = 2
    run_id = uuid4()

    code, lines = told(world.run("--run-id", str(run_id)))

    assert 1 == code
    last = lake_reader.read_telemetry(world.lake, str(run_id))[-1]
    assert [f"shopsync: {last['error']['message']}"] == lines
    assert f"{last['error']['archive_key']}, line 2: " in lines[0]


def test_naive_time_is_a_usage_error(world: World):
    """A time without a zone would be another moment on every machine."""
    code, _, complaint = world.run("--requested-at", "2026-11-23T06:00:00")

    assert 2 == code
    assert "has no time zone: write it with Z or an offset" in complaint


def test_settings_reach_the_run(world: World):
    """What the settings say of window, shop's days, version and places is what a run does."""
    zone, version, since = "Pacific/Auckland", "2026-07", now() - timedelta(days=2)
    world.settings.update(
        SHOPSYNC_OVERLAP_S="60",
        SHOPSYNC_LAG_S="600",
        SHOPSYNC_SHOP_TIMEZONE=zone,
        SHOPSYNC_SHOPIFY_API_VERSION=version,
        SHOPSYNC_LAKE_URL=(world.folder / "another-lake").as_uri(),
        SHOPSYNC_DATABASE_URL=f"sqlite:///{world.folder}/another.db",
    )
    with environment(world.environ):
        watermark.put(world.block, since)

    run_id, before = uuid4(), now()
    world.sync(run_id=run_id)
    after = now()

    lake = world.folder / "another-lake"
    first = lake_reader.read_telemetry(lake, str(run_id))[0]
    manifest = lake_reader.read_manifest(lake, str(run_id))
    start, end = (datetime.fromisoformat(first[name]) for name in ("window_start", "window_end"))
    lag = timedelta(seconds=600)
    assert since - timedelta(seconds=60) == start
    assert before - lag <= end <= after - lag
    assert (zone, version) == (manifest["timezone"], manifest["api_version"])
    assert {f"/admin/api/{version}/graphql.json"} == {a.path for a in world.shop.requests if not a.to_storage}
    assert not (world.folder / "lake").exists()
    assert not (world.folder / "shopsync.db").exists()
