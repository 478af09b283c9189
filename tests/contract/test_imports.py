"""The core and its tests know nothing of what runs them."""

import subprocess
import sys

IMPORT_ALL = """
import importlib, pkgutil, sys

for package in ("shopsync", "tests.unit"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print(sorted({"prefect", "litestar"} & {name.partition(".")[0] for name in sys.modules}))
"""


WATERMARK = """
import flows.backfill, flows.replay, sys
print(sorted(name for name in sys.modules if "watermark" in name))
"""


def test_backfill_cannot_reach_the_watermark():
    """Neither a backfill nor a replay loads anything that could read or move the watermark."""
    done = subprocess.run([sys.executable, "-c", WATERMARK], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_core_and_its_tests_import_no_prefect():
    """Neither Prefect nor the API's framework is loaded by any module of the core, nor by its tests."""
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
