"""Who may do what: each route with each kind of token, over the application's own list of routes."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.testing import TestClient

from api.app import create_app
from api.specification import operations
from api.staff import Role, hash_token
from shopsync.errors import SettingsError
from shopsync.settings import Settings
from tests.api.access import AUDIENCE, Team, carrying, serving_team
from tests.api.conftest import Settled
from tests.api.staff import EXPIRED, GARBAGE, OPERATOR, TOKENS, VIEWER, bearer

OPERATIONS = operations(create_app(Settings.from_environment({})).litestar)
"""(method, path, role) of each route."""

Headers = Callable[[Team], dict[str, str]]

NOBODY: dict[str, Headers] = {
    "none": lambda _: {},
    "garbage": lambda _: GARBAGE,
    "expired": lambda _: EXPIRED,
    "other scheme": lambda _: {"Authorization": "Basic dmVyYTp4"},
    "garbage of Access": lambda _: carrying("a.b.c"),
    "expired at Access": lambda team: carrying(team.token(exp=1)),
    "forged for Access": lambda team: carrying(team.token(key="other", kid="first")),
}
VIEWERS: dict[str, Headers] = {"viewer": lambda _: VIEWER, "viewer by Access": lambda team: carrying(team.token())}
OPERATORS: dict[str, Headers] = {
    "operator": lambda _: OPERATOR,
    "operator by Access": lambda team: carrying(team.token(email="otto@shop.example")),
}
SENDERS = NOBODY | VIEWERS | OPERATORS
REFUSED: dict[Role, dict[str, int]] = {
    Role.ANYONE: {},
    Role.VIEWER: dict.fromkeys(NOBODY, 401),
    Role.OPERATOR: dict.fromkeys(NOBODY, 401) | dict.fromkeys(VIEWERS, 403),
}
"""What the door answers to whom it does not let in."""


@pytest.fixture(scope="module")
def team() -> Generator[Team]:
    """A team of Cloudflare Access."""
    with serving_team() as team:
        yield team


@pytest.fixture(scope="module")
def door(team: Team) -> Generator[TestClient[Any]]:
    """A client of an API that knows tokens and Access; nobody gets to see its inside."""
    who = {"API_TOKENS": TOKENS, "API_STAFF_LIMIT": "0", "API_ADDRESS_LIMIT": "0"}
    access = {"TEAM_URL": team.url, "AUDIENCE": AUDIENCE, "OPERATORS": "otto@shop.example"}
    given = who | {f"ACCESS_{name}": value for name, value in access.items()}
    environ = {f"SHOPSYNC_{name}": value for name, value in given.items()}
    with TestClient(create_app(Settings.from_environment(environ))) as client:
        yield client


@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize(("method", "path", "role"), OPERATIONS, ids=str)
def test_route_by_role_by_token(
    door: TestClient[Any], team: Team, method: str, path: str, role: Role, sender: str
) -> None:
    """No token, a wrong one, one that expired: 401. One of a lesser role: 403. Else the route itself answers."""
    # No route has this parameter: whoever is let in is told so, and nothing is done.
    answer = door.request(method, filled(path), params={"no_such_parameter": "1"}, headers=SENDERS[sender](team))

    assert REFUSED[role].get(sender, 400) == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]


def test_a_route_without_a_role_is_a_mistake() -> None:
    """It is found when the application is made, not when somebody comes through it."""

    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> None: ...

    with pytest.raises(TypeError, match="does not say whom it is for"):
        operations(Litestar([forgotten], openapi_config=None))


def test_refusal_says_how_to_ask(anyone: TestClient[Any]) -> None:
    """A 401 names the scheme; a token that expired is told from one that nobody knows."""
    answers = [anyone.get("/orders", headers=headers) for headers in ({}, GARBAGE, EXPIRED)]

    assert [
        'Bearer realm="shopsync"',
        'Bearer realm="shopsync", error="invalid_token"',
        'Bearer realm="shopsync", error="invalid_token"',
    ] == [answer.headers["www-authenticate"] for answer in answers]
    assert "the token has expired" == answers[2].json()["detail"]


def test_two_tokens_of_a_name_live_at_once(settings: Settled) -> None:
    """Two tokens of one name are let in, for a rotation without a gap."""
    entries = [{"name": "vera", "role": "viewer", "sha256": hash_token(secret)} for secret in ("old", "new")]

    with TestClient(create_app(settings(API_TOKENS=json.dumps(entries)))) as client:
        answers = [client.get("/orders", headers=bearer(secret)) for secret in ("old", "new")]

    assert [200, 200] == [answer.status_code for answer in answers]


def test_token_lives_until_it_expires(settings: Settled) -> None:
    """At its last second it is still one."""
    moments = iter([datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)])

    with TestClient(create_app(settings(), now=lambda: next(moments))) as client:
        answers = [client.get("/orders", headers=EXPIRED) for _ in range(2)]

    assert [200, 401] == [answer.status_code for answer in answers]


def test_without_tokens_nobody_is_let_in(settings: Settled) -> None:
    """An API without SHOPSYNC_API_TOKENS answers 401 on each protected route."""
    with TestClient(create_app(settings(API_TOKENS=""))) as client:
        assert 401 == client.get("/orders", headers=VIEWER).status_code


def test_staff_are_limited_by_name(settings: Settled) -> None:
    """One who asks too often waits; the others do not."""
    with TestClient(create_app(settings(API_STAFF_LIMIT="1"))) as client:
        answers = [client.get("/orders", headers=headers) for headers in (VIEWER, VIEWER, OPERATOR)]

    assert [200, 429, 200] == [answer.status_code for answer in answers]
    assert 1 <= int(answers[1].headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    "tokens",
    [
        "verysecret",
        '{"name": "a"}',
        '[{"name": "a", "role": "viewer"}]',
        TOKENS.replace("viewer", "owner"),
        TOKENS.replace('"sha256": "', '"sha256": "X'),
        TOKENS.replace("2026-11-01T00:00:00Z", "2026-11-01T00:00:00"),
        TOKENS.replace("vera", " "),
        TOKENS.replace('"name": "vera"', '"name": "vera", "secret": "verysecret"'),
    ],
)
def test_malformed_tokens_stop_the_start(settings: Settled, tokens: str) -> None:
    """One line names the variable and what it expects."""
    with pytest.raises(SettingsError, match="SHOPSYNC_API_TOKENS is malformed: it expects a JSON list of") as refused:
        create_app(settings(API_TOKENS=tokens))

    assert "verysecret" not in str(refused.value)


def filled(path: str) -> str:
    """Return a path with something in the place of its parameters."""
    return path.replace("{order_id}", "1001").replace("{run_id}", "6e2f3a1e-0000-4000-8000-000000000000")
