"""
`python -m api.tokens new --name NAME --role viewer|operator [--expires ISO8601]`: make a staff token.

Prints the secret, once, and the entry for SHOPSYNC_API_TOKENS, which holds its SHA-256 alone.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

import msgspec

from api.staff import StaffToken, hash_token

SECRET_BYTES = 32
PREFIX = "shopsync_"
"""It tells whoever finds a token, a scanner of secrets included, what it is."""


def main(arguments: Sequence[str], out: TextIO) -> int:
    """Make a token and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m api.tokens", description=(__doc__ or "").strip())
    new = parser.add_subparsers(required=True, metavar="new").add_parser("new", help="make a token")
    new.add_argument("--name", required=True, type=_name, help="whose it is; shown in logs")
    new.add_argument("--role", required=True, choices=["viewer", "operator"])
    new.add_argument("--expires", type=_moment, metavar="ISO8601", help="when it ends; default: never")
    given = parser.parse_args(arguments)
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    token = StaffToken(given.name, given.role, hash_token(secret), given.expires)
    entry = {name: value for name, value in msgspec.to_builtins(token).items() if value is not None}
    out.write(
        f"secret, shown this once; it is sent as `Authorization: Bearer <secret>`:\n{secret}\n\n"
        f"entry, one of the JSON list SHOPSYNC_API_TOKENS:\n{msgspec.json.encode(entry).decode()}\n"
    )
    return 0


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a token needs a name")
    return text.strip()


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time such as 2027-01-01T00:00:00Z") from error
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone: write it with Z or an offset")
    return at


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
