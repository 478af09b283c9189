"""
`python -m shopsync.database show|apply`: the migrations that the database of SHOPSYNC_DATABASE_URL lacks.

`show` prints their SQL and exits 1 if there are any; `apply` applies them. What fails exits 2 with one line.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from sqlalchemy import Engine

from shopsync.database import schema
from shopsync.database.engine import open_database
from shopsync.errors import SyncError
from shopsync.settings import Settings


def main(arguments: Sequence[str], environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m shopsync.database", description=(__doc__ or "").strip())
    parser.add_argument("command", choices=["show", "apply"])
    command = parser.parse_args(arguments).command
    try:
        engine = open_database(Settings.from_environment(environ).database)
        try:
            return _show(engine, out) if command == "show" else _apply(engine, out)
        finally:
            engine.dispose()
    except SyncError as error:
        err.write(f"{error}\n")
        return 2


def _show(engine: Engine, out: TextIO) -> int:
    names = schema.missing(engine)
    for name in names:
        out.write(f"-- migration {name}\n{schema.migration(engine, name)}\n")
    if not names:
        out.write(f"{engine.url.render_as_string(hide_password=True)} lacks no migration\n")
    return 1 if names else 0


def _apply(engine: Engine, out: TextIO) -> int:
    names = schema.apply(engine)
    database = engine.url.render_as_string(hide_password=True)
    out.write(f"{database}: applied {', '.join(names)}\n" if names else f"{database} lacks no migration\n")
    return 0


if __name__ == "__main__":  # pragma: no cover - one line, which hands the process to main()
    sys.exit(main(sys.argv[1:], os.environ, sys.stdout, sys.stderr))
