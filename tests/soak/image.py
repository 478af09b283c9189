"""The images' build steps without a Docker engine: each command of the Dockerfile, run in a clean folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.prefect_server import clean_environment, free_port

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deployments" / "Dockerfile"
STARTS_WITHIN_S = 90.0
NOT_HERE = ("--from=", "useradd")
"""Copies between stages are not needed in one folder, and a user of the machine needs root."""


@dataclass(frozen=True)
class Built:
    """A step, how long it took, and what is wrong with it."""

    step: str
    took_s: float
    wrong: list[str]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, such as ("RUN", "python -m venv .venv")."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text("utf-8"))
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def build(folder: Path) -> Iterator[Built]:
    """Carry out the steps below `folder`, then what the images start there."""
    place, home = folder / "opt" / "shopsync", folder / "home"
    place.mkdir(parents=True)
    home.mkdir()
    for name, rest in instructions():
        if any(each in rest for each in NOT_HERE):
            continue
        match name:
            case "COPY":
                yield _timed(f"COPY {rest}", lambda rest=rest: _copy(shlex.split(rest), place))
            case "RUN":
                yield _timed(f"RUN {rest[:70]}", lambda rest=rest: _run(["sh", "-c", rest], place, place))
            case "CMD" if "api" in rest:
                yield _timed(f"CMD {rest}", lambda rest=rest: _serve(json.loads(rest), home, place))
            case "CMD":
                yield _timed(f"CMD {rest}", lambda rest=rest: _run(json.loads(rest), home, place))
            case _:
                pass
    loads = ["python", "-c", "import flows.daily_sync, flows.backfill, flows.windows, flows.replay"]
    yield _timed(" ".join(loads[:2]), lambda: _run(loads, home, place))


def markdown(steps: Sequence[Built]) -> str:
    """Return the part of the report about the images."""
    wrong = [each for each in steps if each.wrong]
    lines = [
        "# Images",
        "",
        "Each step of `deployments/Dockerfile` that needs no Docker engine, carried out in a clean folder,",
        f"and what the images start. {'All went well.' if not wrong else f'**{len(wrong)} failed.**'}",
        "",
        "| step | seconds |",
        "|---|---:|",
        *(f"| `{each.step}` | {each.took_s:.1f} |" for each in steps),
        *(f"\n- {each.step}: {found}" for each in wrong for found in each.wrong),
    ]
    return "\n".join(lines) + "\n"


def _timed(step: str, carry_out: Callable[[], list[str]]) -> Built:
    begun = time.monotonic()
    wrong = carry_out()
    return Built(step, time.monotonic() - begun, wrong)


def _copy(names: list[str], place: Path) -> list[str]:
    *sources, target = names
    for each in sources:
        source, into = ROOT / each, place / target
        if source.is_dir():
            shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, into)
    return []


def _run(command: list[str], cwd: Path, place: Path) -> list[str]:
    done = subprocess.run(command, cwd=cwd, env=_environment(cwd, place), capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [f"exit code {done.returncode}: {(done.stdout + done.stderr)[-500:]}"]


def _serve(command: list[str], cwd: Path, place: Path) -> list[str]:
    """Start the API on a port of this machine alone; see that it answers."""
    port = free_port()
    command = [{"0.0.0.0": "127.0.0.1", "8000": str(port)}.get(each, each) for each in command]
    process = subprocess.Popen(command, cwd=cwd, env=_environment(cwd, place))
    deadline = time.monotonic() + STARTS_WITHIN_S
    try:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                return _unless_alive(httpx.get(f"http://127.0.0.1:{port}/health", timeout=10))
            except httpx.TransportError:
                time.sleep(0.25)
        return [f"it does not answer (exit code {process.poll()})"]
    finally:
        process.kill()
        process.wait()


def _unless_alive(answer: httpx.Response) -> list[str]:
    # Without its neighbours it is not ready, and says so; an answer is what counts here.
    return [] if answer.status_code in {200, 503} else [f"it answered {answer.status_code}: {answer.text[:200]}"]


def _environment(home: Path, place: Path) -> dict[str, str]:
    path = os.pathsep.join((str(place / ".venv" / "bin"), os.environ["PATH"]))
    return clean_environment() | {"PATH": path, "HOME": str(home), "SHOPSYNC_DATA_DIR": str(home / "data")}
