"""The way into the archive and back takes the same memory, however large the file."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.r2 import R2Place

pytestmark = pytest.mark.services

BEYOND_BASE_MB = 64


@pytest.mark.parametrize("megabytes", [20, 160])
def test_archive_streams(r2: Callable[[], R2Place], tmp_path: Path, megabytes: int) -> None:
    """Upload and download hold at most 64 MB beyond the process's base, and the bytes read back are identical."""
    noise = random.Random(megabytes)  # compresses to a half: many parts
    jsonl = tmp_path / "orders.jsonl"
    with jsonl.open("w") as file:
        file.writelines(f'{{"id":"{noise.randbytes(5_000).hex()}"}}\n' for _ in range(100 * megabytes))

    peaks_mb = archived(jsonl, r2())

    assert {"upload", "download"} == peaks_mb.keys()
    assert max(peaks_mb.values()) < BEYOND_BASE_MB


def archived(jsonl: Path, place: R2Place) -> dict[str, float]:
    """Archive a file and compare it with what comes back, in a process of its own; return the peak of each phase."""
    lake = {
        "url": place.url,
        "endpoint_url": place.endpoint_url,
        "access_key_id": place.access_key_id,
        "secret_access_key": place.secret_access_key,
    }
    command = [sys.executable, "-m", "tests.bench.cases", "upload_product"]
    given = json.dumps({"jsonl": str(jsonl), "lake": lake})
    done = subprocess.run([*command, given], check=True, capture_output=True, text=True)
    return {phase["phase"]: phase["peak_mb"] for phase in json.loads(done.stdout.rpartition("MEASURED ")[2])}
