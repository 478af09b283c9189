"""
The product on one machine: `make run` (one daily sync, then exit) and `make up` (everything, until Ctrl-C).

`SHOPSYNC_*` variables that the user set are honoured, and with a shop of the user's own no simulator is started.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from deployments.children import GRACE_S, SIMULATOR_TOKEN, say, simulator
from deployments.embedded import LOCAL_BUDGETS, embedded_prefect, prefect_home
from deployments.signals import Stopped, hear
from deployments.stack import Ports, up
from shopsync.errors import SyncError
from shopsync.settings import Settings


def run(environ: Mapping[str, str]) -> int:
    """Run one daily sync on embedded defaults; return the flow's exit code."""
    settings = Settings.from_environment(environ)
    if settings.shopify_url is not None:
        settings.require_shop()
    flow_environ = embedded_prefect(environ, settings.data_dir)
    with prefect_home(settings.data_dir) as in_use:
        if settings.shopify_url is not None:
            return sync(flow_environ, in_use)
        with simulator(settings.data_dir) as url:
            shop = {"SHOPSYNC_SHOPIFY_URL": url, "SHOPSYNC_SHOPIFY_TOKEN": SIMULATOR_TOKEN}
            return sync(LOCAL_BUDGETS | flow_environ | shop, in_use)


def sync(environ: Mapping[str, str], in_use: int) -> int:
    """Run the flow in a process group of its own, of which nothing is left afterwards; return its exit code."""
    command = [sys.executable, "-m", "flows.daily_sync", "--initiator", "user"]
    process = subprocess.Popen(command, env=environ, process_group=0, pass_fds=[in_use])
    try:
        code = process.wait()
    except Stopped:
        # SIGTERM for Ctrl-C too: it ends a process that is still importing without a traceback.
        process.terminate()
        say(f"==> Stopping: the run cancels its operation and records its end ({GRACE_S} seconds at most)")
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        raise
    finally:
        # A killed flow leaves its in-process Prefect server behind.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code if code >= 0 else 128 - code


def main() -> int:
    """Parse the command line and run; a failure of ours is one line."""
    parser = argparse.ArgumentParser(prog="python -m deployments.local", description=__doc__)
    parser.add_argument("job", choices=["run", "up"], help="run: one daily sync, then exit; up: everything")
    defaults = Ports()
    parser.add_argument("--prefect-port", type=int, default=defaults.prefect)
    parser.add_argument("--api-port", type=int, default=defaults.api)
    parser.add_argument("--shop-port", type=int, default=defaults.shop)
    given = parser.parse_args()
    hear()
    try:
        if given.job == "run":
            return run(os.environ)
        up(os.environ, Ports(given.prefect_port, given.api_port, given.shop_port))
    except SyncError as error:
        sys.stderr.write(f"shopsync: {error}\n")
        return 1
    except Stopped as stopped:
        return 128 + stopped.number if given.job == "run" else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
