"""`python -m api.tokens new`: what it prints lets somebody in."""

from __future__ import annotations

import io
from datetime import UTC

import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.staff import read_tokens
from api.tokens import main
from tests.api.conftest import Settled
from tests.api.staff import bearer


def made(*arguments: str) -> tuple[str, str]:
    out = io.StringIO()
    assert 0 == main(["new", *arguments], out)
    lines = out.getvalue().splitlines()
    return lines[1], lines[4]


def test_new_token_opens_the_door(settings: Settled) -> None:
    """The entry goes into SHOPSYNC_API_TOKENS, the secret to its owner."""
    secret, entry = made("--name", "vera", "--role", "viewer")

    with TestClient(create_app(settings(API_TOKENS=f"[{entry}]"))) as client:
        assert 200 == client.get("/orders", headers=bearer(secret)).status_code
    assert secret not in entry


def test_token_may_end() -> None:
    """With --expires the entry says when."""
    _, entry = made("--name", "otto", "--role", "operator", "--expires", "2027-01-01T00:00:00+01:00")

    expires_at = read_tokens(f"[{entry}]")[0].expires_at
    assert expires_at is not None
    assert "2026-12-31T23:00:00+00:00" == expires_at.astimezone(UTC).isoformat()


def test_no_two_secrets_are_alike() -> None:
    """Each is made of 32 random bytes."""
    assert made("--name", "a", "--role", "viewer")[0] != made("--name", "a", "--role", "viewer")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", " ", "--role", "viewer"],
        ["--name", "a", "--role", "owner"],
        ["--name", "a", "--role", "viewer", "--expires", "soon"],
        ["--name", "a", "--role", "viewer", "--expires", "2027-01-01T00:00:00"],
    ],
)
def test_wrong_argument_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """In argparse's way, and no token is made."""
    with pytest.raises(SystemExit):
        main(["new", *arguments], io.StringIO())

    assert "error: argument --" in capsys.readouterr().err
