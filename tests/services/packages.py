"""Debian packages that the tests need and the machine lacks: installed with apt, as root or with sudo."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PATIENT = ("-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3")
"""Somebody else on the machine may be installing just now."""


def install(package: str, why: str) -> None:
    """Install a package; one process of ours at a time."""
    sys.stderr.write(f"installing {package} with apt: {why}\n")
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with Path(tempfile.gettempdir(), "shopsync-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run([*root, "apt-get", "-q", *PATIENT, *command], check=True, env=quiet, stdout=sys.stderr)
