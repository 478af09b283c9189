"""Each setting of .env.sample that says how something is opened has its effect, and nothing else reads them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shopsync.run import Run
from shopsync.telemetry import Initiator, JobType
from shopsync.window import SyncWindow
from tasks import connections
from tests.services.r2 import R2Place
from tests.services.s3_proxy import s3_proxy
from tests.simulator import Shop, serve

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
WINDOW = SyncWindow(NOW - timedelta(days=1), NOW)
RUN = Run("run-1", JobType.DAILY, Initiator.USER, NOW, NOW, WINDOW, WINDOW, None, False)

IMPORT_EVERYTHING = """
import importlib, os, pkgutil

class Watched(dict):
    def __getitem__(self, name):
        assert not name.startswith("SHOPSYNC_"), f"{name} is read"
        return super().__getitem__(name)

    def get(self, name, default=None):
        return self[name] if name in self else default

    def __contains__(self, name):
        assert not name.startswith("SHOPSYNC_"), f"{name} is looked for"
        return super().__contains__(name)

os.environ = Watched(os.environ)
for package in ("shopsync", "tasks", "flows", "deployments"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
"""


def test_data_dir_holds_database_and_lake(tmp_path: Path):
    """SHOPSYNC_DATA_DIR: where both are unless they are named."""
    with connections.database() as database:
        assert str(tmp_path / "data" / "shopsync.db") == database.url.database

    assert (tmp_path / "data" / "lake").as_uri() == str(connections.lake())


def test_database_url_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """SHOPSYNC_DATABASE_URL: the file that is opened, and brought to this release's schema."""
    monkeypatch.setenv("SHOPSYNC_DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere.db")

    with connections.database():
        pass

    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "data").exists()


def test_lake_url_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """SHOPSYNC_LAKE_URL: where objects go."""
    monkeypatch.setenv("SHOPSYNC_LAKE_URL", (tmp_path / "elsewhere").as_uri())

    connections.lake().put("probe.txt", b"here")

    assert b"here" == (tmp_path / "elsewhere" / "probe.txt").read_bytes()


@pytest.mark.services
def test_bucket_is_written_with_its_keys(monkeypatch: pytest.MonkeyPatch, r2: Callable[[], R2Place]):
    """SHOPSYNC_LAKE_*: where the bucket is, who asks, and where its region lies."""
    with s3_proxy(r2()) as proxy:
        for name, value in (proxy.place.settings | {"SHOPSYNC_LAKE_REGION": "us-east-1"}).items():
            monkeypatch.setenv(name, value)

        connections.lake().put("probe.txt", b"here")

    signed = proxy.requests[-1].headers["authorization"]
    assert f"Credential={proxy.place.access_key_id}/" in signed
    assert "/us-east-1/s3/aws4_request" in signed
    assert proxy.place.secret_access_key not in str(proxy.requests)


def test_shop_is_asked_with_the_token(monkeypatch: pytest.MonkeyPatch):
    """SHOPSYNC_SHOPIFY_URL, _TOKEN, _API_VERSION: whom to ask, with what, in which version."""
    shop = Shop(now=NOW, token="shpat_7")
    with serve(shop) as url:
        for name, value in {"URL": url, "TOKEN": "shpat_7", "API_VERSION": "2026-07"}.items():
            monkeypatch.setenv(f"SHOPSYNC_SHOPIFY_{name}", value)

        with connections.shopify(connections.brief_patience()) as shopify:
            assert shop.domain == shopify.shop().domain

    assert "shpat_7" == shop.requests[0].headers["x-shopify-access-token"]
    assert "/admin/api/2026-07/graphql.json" == shop.requests[0].path


def test_shop_grants_a_token_for_credentials(monkeypatch: pytest.MonkeyPatch):
    """SHOPSYNC_SHOPIFY_CLIENT_ID, _CLIENT_SECRET: exchanged for the token that is sent then."""
    shop = Shop(now=NOW, client_id="client-7", client_secret="shpss_7")
    with serve(shop) as url:
        for name, value in {"URL": url, "CLIENT_ID": "client-7", "CLIENT_SECRET": "shpss_7"}.items():
            monkeypatch.setenv(f"SHOPSYNC_SHOPIFY_{name}", value)

        with connections.shopify(connections.brief_patience()) as shopify:
            assert shop.domain == shopify.shop().domain

    assert ["/admin/oauth/access_token", "/admin/api/2026-10/graphql.json"] == [asked.path for asked in shop.requests]
    assert shop.requests[1].headers["x-shopify-access-token"] in shop.tokens.granted


def test_patience_is_as_set(monkeypatch: pytest.MonkeyPatch):
    """SHOPSYNC_RETRY_BASE_S, _BUSY_WAIT_S, _RETRY_BUDGET_S: the waits, and how long after its start a run gives up."""
    for name, value in {"RETRY_BASE_S": "0.5", "BUSY_WAIT_S": "7.5", "RETRY_BUDGET_S": "90"}.items():
        monkeypatch.setenv(f"SHOPSYNC_{name}", value)

    patience = connections.patience(RUN)

    assert (0.5, 7.5, NOW + timedelta(seconds=90)) == (patience.base_s, patience.busy_s, patience.deadline)


def test_import_reads_no_environment(tmp_path: Path):
    """Modules can be imported where the settings are missing or wrong, and make nothing."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    wrong = {
        "SHOPSYNC_POLL_INTERVAL_S": "soon",
        "SHOPSYNC_NO_SUCH_SETTING": "1",
        "SHOPSYNC_DATA_DIR": str(tmp_path / "data"),
    }

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING],
        env=environ | wrong,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert [] == [path.name for path in tmp_path.iterdir() if path.name in {"data", ".shopsync"}]
