"""How much memory a process takes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

LOOK_S = 0.1


def peak_of(process: subprocess.Popen[Any]) -> float:
    """
    Wait until a process has ended, and return the most MB that it had resident.

    What the kernel tells of an ended child (`ru_maxrss`) counts the process too that it was forked from.
    """
    peak_mb = 0.0
    while process.poll() is None:
        peak_mb = max(peak_mb, _so_far_mb(process.pid))
        time.sleep(LOOK_S)
    return peak_mb


def _so_far_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    except OSError:  # it is over
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")), 0.0)
