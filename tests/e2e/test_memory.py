"""Memory does not grow with the file."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.world import NO_WAITS
from tests.memory import peak_of

GROWTH_MB = 20
SMALL_CONTAINER_MB = 512


@pytest.mark.proves("little memory")
def test_more_orders_take_the_same_memory(prefect: Mapping[str, str], tmp_path: Path):
    """The peak of a run over 50,000 orders is less than 20 MB above that of one over 15,000, and fits a container."""
    few = peak_mb(15_000, prefect, tmp_path / "few")
    many = peak_mb(50_000, prefect, tmp_path / "many")

    print(f"peak of a run: {few:.0f} MB for 15,000 orders, {many:.0f} MB for 50,000")
    assert many - few < GROWTH_MB
    assert many < SMALL_CONTAINER_MB


def peak_mb(orders: int, prefect: Mapping[str, str], folder: Path) -> float:
    """Return the peak resident memory of one run's process over a shop of its own."""
    command = [sys.executable, "-m", "tests.simulator", "--orders", str(orders), "--days", "120", "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        url = simulator.stdout.readline().split(" at ")[1].split()[0]
        shop = {"SHOPSYNC_SHOPIFY_URL": url, "SHOPSYNC_SHOPIFY_TOKEN": "shpat_simulated"}
        run = subprocess.Popen(
            [sys.executable, "-m", "flows.daily_sync"],
            env={
                **prefect,
                **NO_WAITS,
                **shop,
                "SHOPSYNC_DATA_DIR": str(folder),
                "SHOPSYNC_WATERMARK_BLOCK": folder.name,
            },
            stdout=subprocess.DEVNULL,
        )
        peak = peak_of(run)
        simulator.terminate()
    assert run.returncode == 0
    return peak
