"""Schemathesis against an application that is served."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

NOT_ASKED = "positive_data_acceptance"
"""What no schema can say makes a valid request wrong: an opaque cursor, a key that is taken, an end in the future."""


def found(url: str, headers: Mapping[str, str], phases: str, examples: int, folder: Path) -> str:
    """Return what it finds wrong with the answers, as it tells it; nothing when they are as the document says."""
    options = [f"--phases={phases}", f"--max-examples={examples}", f"--exclude-checks={NOT_ASKED}"]
    options += [f"--header={name}: {value}" for name, value in headers.items()]
    options += ["--generation-deterministic", "--no-color"]
    program = Path(sys.executable).with_name("schemathesis")
    # By its file: the route that it would be fetched from is left out otherwise.
    command = [program, "run", Path("openapi.json").absolute(), f"--url={url}", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""
