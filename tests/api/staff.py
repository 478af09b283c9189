"""Tokens of the tests' staff."""

from __future__ import annotations

import json

from api.staff import hash_token

SECRETS = {"viewer": "viewer-secret", "operator": "operator-secret", "expired": "expired-secret"}
ENTRIES = [
    {"name": "vera", "role": "viewer", "sha256": hash_token(SECRETS["viewer"])},
    {"name": "otto", "role": "operator", "sha256": hash_token(SECRETS["operator"])},
    {
        "name": "erik",
        "role": "operator",
        "sha256": hash_token(SECRETS["expired"]),
        "expires_at": "2026-11-01T00:00:00Z",
    },
]
TOKENS = json.dumps(ENTRIES)


def bearer(secret: str) -> dict[str, str]:
    """Return the header that a token is sent in."""
    return {"Authorization": f"Bearer {secret}"}


VIEWER = bearer(SECRETS["viewer"])
OPERATOR = bearer(SECRETS["operator"])
EXPIRED = bearer(SECRETS["expired"])
GARBAGE = bearer("nobody-ever-made-this")
