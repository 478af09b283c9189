"""`python -m api --host HOST --port PORT`: serve the API with the settings of the environment, until told to stop."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

import uvicorn

from api.app import create_app
from api.logs import configure_logs
from shopsync.errors import SyncError
from shopsync.settings import Settings

STOP_S = 10
"""How long answers in flight may take when the process is told to stop."""


def main(arguments: Sequence[str], environ: Mapping[str, str], err: TextIO) -> int:
    """Serve until told to stop; return the exit code, 2 after one line when a setting is wrong."""
    parser = argparse.ArgumentParser(prog="python -m api", description=(__doc__ or "").strip())
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment(environ)
        app = create_app(settings)
    except SyncError as error:
        err.write(f"shopsync: {error}\n")
        return 2
    configure_logs()
    # The edge writes the access log; uvicorn's would have queries in it.
    uvicorn.run(
        app,
        host=given.host,
        port=given.port,
        access_log=False,
        log_config=None,
        server_header=False,
        # Whose X-Forwarded-For is believed: anybody else's would let an attacker choose the address that is limited.
        forwarded_allow_ips=list(settings.api_proxies),
        timeout_graceful_shutdown=STOP_S,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, sys.stderr))
