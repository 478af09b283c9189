"""Staff behind Cloudflare Access: whose token is believed, and what happens while its keys cannot be had."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from litestar.testing import TestClient

from api import cloudflare
from api.app import create_app
from api.problems import Refused
from shopsync.errors import SettingsError
from shopsync.settings import Settings
from tests.api.access import AUDIENCE, Team, carrying, private_key, serving_team
from tests.api.conftest import Settled
from tests.api.prefect import FakePrefect
from tests.api.staff import GARBAGE, OPERATOR, VIEWER

SYNC = "/api/performance-metrics/sync"


@pytest.fixture
def team() -> Generator[Team]:
    """A team that serves its keys."""
    with serving_team() as team:
        yield team


@pytest.fixture(scope="module")
def lasting_team() -> Generator[Team]:
    """One for those who change nothing of it."""
    with serving_team() as team:
        yield team


@pytest.fixture(scope="module")
def door(lasting_team: Team) -> Generator[TestClient[Any]]:
    """A client of an API behind Access that nobody gets to see the inside of."""
    behind = {"SHOPSYNC_ACCESS_TEAM_URL": lasting_team.url, "SHOPSYNC_ACCESS_AUDIENCE": AUDIENCE}
    with TestClient(create_app(Settings.from_environment(behind))) as client:
        yield client


@pytest.fixture
def client(settings: Settled, prefect: FakePrefect, team: Team) -> Generator[TestClient[Any]]:
    """A client of an API that is behind Access; otto and a service are operators."""
    access = settings(
        ACCESS_TEAM_URL=team.url,
        ACCESS_AUDIENCE=AUDIENCE,
        ACCESS_OPERATORS="Otto@shop.example, 5ce2.access",
        API_STAFF_LIMIT="0",
    )
    with TestClient(create_app(access, prefect=prefect)) as client:
        yield client


@pytest.mark.parametrize(
    ("who", "read", "start"),
    [
        ({"email": "vera@shop.example"}, 200, 403),
        ({"email": "OTTO@shop.example"}, 200, 202),
        ({"email": None, "sub": "", "common_name": "5ce2.access"}, 200, 202),
        ({"email": None, "sub": "", "common_name": "0000.access"}, 200, 403),
        ({"aud": AUDIENCE}, 200, 403),
        ({"email": None}, 401, 401),
    ],
    ids=["person", "operator", "operating service", "service", "one audience", "nobody"],
)
def test_whom_access_lets_in(client: TestClient[Any], team: Team, who: dict[str, Any], read: int, start: int) -> None:
    """Everybody is a viewer, but for those whom the settings name as operators."""
    token = carrying(team.token(**who))

    answers = [client.get("/orders", headers=token), client.post(SYNC, headers=token)]

    assert [read, start] == [answer.status_code for answer in answers]


def with_public_key_as_secret(team: Team) -> str:
    """Return a token whose HMAC secret is the team's public key: whoever lets the token choose believes it."""
    public = private_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims = ({"alg": "HS256", "kid": "first"}, jwt.decode(team.token(), options={"verify_signature": False}))
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    signature = base64.urlsafe_b64encode(hmac.digest(public, signed, "sha256")).rstrip(b"=")
    return (signed + b"." + signature).decode()


def unsigned(team: Team) -> str:
    claims = jwt.decode(team.token(), options={"verify_signature": False})
    return jwt.encode(claims, "", "none", headers={"kid": "first"})


def with_other_claims(team: Team) -> str:
    header, _, signature = team.token().split(".")
    return ".".join([header, team.token(email="otto@shop.example").split(".")[1], signature])


def without_kid(team: Team) -> str:
    claims = jwt.decode(team.token(), options={"verify_signature": False})
    return jwt.encode(claims, private_key("first"), "RS256")


@pytest.mark.parametrize(
    ("forged", "words"),
    [
        (lambda team: team.token(exp=int(time.time()) - 60), "has expired: sign in again"),
        (lambda team: team.token(nbf=int(time.time()) + 600), "is not valid yet: a clock is wrong"),
        (lambda team: team.token(aud=["0" * 64]), "is for another application"),
        (lambda team: team.token(iss="https://other.cloudflareaccess.com"), "is of another team"),
        (lambda team: team.token(exp=None), "is not valid"),
        (lambda team: team.token(aud=None), "is not valid"),
        (lambda team: team.token(key="another", kid="first"), "is not valid"),
        (lambda team: team.token(key="another"), "is signed with a key that the team does not have"),
        (without_kid, "is signed with a key that the team does not have"),
        (with_public_key_as_secret, "is not valid"),
        (unsigned, "is not valid"),
        (with_other_claims, "is not valid"),
        (lambda team: "", "is not valid"),
        (lambda team: "a.b.c", "is not valid"),
        (lambda team: team.token() + ".", "is not valid"),
        (lambda team: team.token()[:-9], "is not valid"),
    ],
    ids=[
        *("expired", "early", "audience", "issuer", "no expiry", "no audience", "wrong key", "unknown key", "no key"),
        *("HS256", "unsigned", "other claims", "empty", "garbage", "a part more", "cut"),
    ],
)
def test_what_is_not_believed(
    door: TestClient[Any], lasting_team: Team, forged: Callable[[Team], str], words: str
) -> None:
    """401 says what is wrong, and how else to ask."""
    answer = door.get("/orders", headers=carrying(forged(lasting_team)))

    assert (401, f"the Cloudflare Access token {words}") == (answer.status_code, answer.json()["detail"])
    assert 'Bearer realm="shopsync", error="invalid_token"' == answer.headers["www-authenticate"]


def test_bearer_token_goes_first(client: TestClient[Any], team: Team) -> None:
    """A program behind Access has both: its own token is what counts, and a wrong one is told."""
    access = carrying(team.token())

    answers = [client.post(SYNC, headers=access | headers).status_code for headers in (OPERATOR, VIEWER, GARBAGE)]

    assert [202, 403, 401] == answers
    assert 0 == team.asked


def test_new_key_is_fetched(settings: Settled, team: Team) -> None:
    """Access signs with a new key every six weeks: a token that names it has the keys fetched again, after a pause."""
    clock = iter([0.0, 0.0, 0.0, 10.0, 40.0, 40.0, 40.0])
    keys = cloudflare.TeamKeys(team.url, lambda: next(clock))

    async def ask() -> list[bool]:
        known = [await keys.key("first") is not None]
        team.keys = ["first", "second"]
        return [*known, *[await keys.key("second") is not None for _ in range(2)]]

    assert [True, False, True] == anyio.run(ask)
    assert 2 == team.asked


def test_withdrawn_key_is_forgotten(team: Team) -> None:
    """The keys are fetched again after an hour, whoever asks."""
    clock = iter([0.0, 0.0, 0.0, 3600.0, 3600.0, 3600.0])
    keys = cloudflare.TeamKeys(team.url, lambda: next(clock))

    async def ask() -> list[bool]:
        known = [await keys.key("first") is not None]
        team.keys = ["second"]
        return [*known, await keys.key("first") is not None]

    assert [True, False] == anyio.run(ask)


def test_storm_of_unknown_keys_asks_once(client: TestClient[Any], team: Team) -> None:
    """Made-up names of keys cost the team's domain one request, and keep nobody else out."""
    forged = [team.token(kid=f"made-up-{number}") for number in range(30)]

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda token: client.get("/orders", headers=carrying(token)).status_code, forged))

    assert {401} == set(answers)
    assert 1 == team.asked
    assert 200 == client.get("/orders", headers=carrying(team.token())).status_code


@pytest.mark.parametrize(
    "fault",
    [
        {"is_down": True},
        {"body": b"<html>"},
        {"body": b'{"keys": []}'},
        {"body": b'{"keys": [{"kty": "RSA", "n": 1}]}'},
    ],
    ids=["down", "no JSON", "no keys", "no key"],
)
def test_keys_that_cannot_be_had(client: TestClient[Any], team: Team, fault: dict[str, Any]) -> None:
    """503 says whose fault it is, once for all who ask; bearer tokens do without."""
    vars(team).update(fault)

    answers = [client.get("/orders", headers=carrying(team.token())) for _ in range(3)]

    assert {(503, "urn:shopsync:problem:access-unavailable", "15")} == {
        (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) for answer in answers
    }
    assert 1 == team.asked
    assert team.url not in answers[0].text
    assert 200 == client.get("/orders", headers=VIEWER).status_code


def test_team_that_hangs_is_not_waited_for(
    client: TestClient[Any], team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits longer than the patience, and those behind the first not at all."""
    monkeypatch.setattr(cloudflare, "PATIENCE_S", 0.2)
    team.hangs_s = 60.0
    began = time.monotonic()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: client.get("/orders", headers=carrying(team.token())).status_code, range(10)))

    assert {503} == set(answers)
    assert team.asked <= 1
    assert time.monotonic() - began < team.hangs_s / 2


def test_known_keys_stay_while_the_team_is_down(team: Team) -> None:
    """Who is signed in goes on; a key that nobody has seen yet cannot be told from a made-up one."""
    clock = iter([0.0, 0.0, 0.0, 3600.0, 3600.0, 3600.0, 3610.0])
    keys = cloudflare.TeamKeys(team.url, lambda: next(clock))

    async def ask() -> list[jwt.PyJWK | None]:
        fetched = await keys.key("first")
        team.is_down = True
        return [fetched, await keys.key("first")]

    first, later = anyio.run(ask)

    assert first is later is not None
    with pytest.raises(Refused, match="cannot be had"):
        anyio.run(keys.key, "second")


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"ACCESS_TEAM_URL": "https://team.cloudflareaccess.com"}, "SHOPSYNC_ACCESS_AUDIENCE is not set"),
        ({"ACCESS_AUDIENCE": AUDIENCE}, "SHOPSYNC_ACCESS_TEAM_URL is not set"),
        ({"ACCESS_OPERATORS": "otto@shop.example"}, "SHOPSYNC_ACCESS_TEAM_URL is not set"),
    ],
)
def test_half_configured_access_stops_the_start(settings: Settled, changes: dict[str, str], variable: str) -> None:
    """Nobody believes to be behind Access who is not."""
    with pytest.raises(SettingsError, match=variable):
        create_app(settings(**changes))
