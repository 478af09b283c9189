"""Cursors and bodies that nobody meant: each is answered, or refused in the shape of every refusal."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient
from sqlalchemy import Engine

from api.app import create_app
from api.problems import MEDIA_TYPE
from tests.api.conftest import NOW, Settled
from tests.api.prefect import FakePrefect
from tests.api.staff import OPERATOR

BRIEFLY = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.datetimes().map(lambda at: f"{at.isoformat()}+14:00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
def staff(settings: Settled, journals: Engine, prefect: FakePrefect) -> Generator[TestClient[Any]]:
    """An operator's client of an API with orders and runs, which lets it ask as often as it likes."""
    app = create_app(settings(API_STAFF_LIMIT="0", API_ADDRESS_LIMIT="0"), prefect=prefect, now=lambda: NOW)
    with TestClient(app) as client:
        client.headers.update(OPERATOR)
        yield client


def refused_or_fine(answer: Any) -> bool:
    """Whether an answer is a page, or a problem of the sender's that says what it is."""
    if answer.status_code in {200, 202}:
        return True
    told = answer.json()
    return (
        400 <= answer.status_code < 500
        and answer.headers["content-type"].startswith(MEDIA_TYPE)
        and bool(told["detail"])
        and answer.status_code == told["status"]
    )


def unpacked(cursor: str) -> Any:
    """Return what is in a cursor."""
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def packed(content: Any) -> str:
    """Return a cursor of anything."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize("path", ["/orders", "/api/ingest/runs"])
@given(position=JSON)
@example(position="0001-01-01T00:00:00+14:00")
@example(position="2026-11-20T10:00:00")
@example(position=2**70)
@BRIEFLY
def test_any_position_is_answered_or_refused(staff: TestClient[Any], path: str, position: Any) -> None:
    """A cursor with the right fingerprint and any value in the place of one of its own."""
    fingerprint, mine = unpacked(staff.get(path, params={"limit": 1}).json()["next_cursor"])
    fields: list[Any] = [*mine] if isinstance(mine, dict) else [*range(len(mine))]
    forged = [packed([fingerprint, position])]
    for field in fields:
        changed = dict(mine) if isinstance(mine, dict) else list(mine)
        changed[field] = position
        forged.append(packed([fingerprint, changed]))

    answers = [staff.get(path, params={"limit": 1, "cursor": cursor}) for cursor in forged if len(cursor) <= 512]

    assert [] == [answer.text for answer in answers if not refused_or_fine(answer)]


@given(cursor=st.text(max_size=600) | st.binary(max_size=300).map(lambda some: base64.urlsafe_b64encode(some).decode()))
@BRIEFLY
def test_any_text_is_no_cursor(staff: TestClient[Any], cursor: str) -> None:
    """What no listing gave is refused by name."""
    answer = staff.get("/orders", params={"cursor": cursor})

    assert refused_or_fine(answer), answer.text
    assert 400 == answer.status_code


FIELDS = st.sampled_from(["run_id", "initiator", "requested_at", "start", "end", "reason", "window_days", "by", "x"])
GOOD = {"start": "2026-10-01T00:00:00Z", "end": "2026-10-02T00:00:00Z", "reason": "why"}


@pytest.mark.parametrize("path", ["/api/performance-metrics/sync", "/api/ingest/backfills"])
@given(
    body=JSON | st.dictionaries(FIELDS, JSON, max_size=4) | st.dictionaries(FIELDS, JSON, max_size=2).map(GOOD.__or__)
)
@example(body=GOOD | {"start": "0001-01-01T00:00:00+14:00"})
@example(body={"requested_at": "9999-12-31T23:59:59-14:00"})
@BRIEFLY
def test_any_body_is_answered_or_refused(staff: TestClient[Any], path: str, body: Any) -> None:
    """JSON of any kind, and bodies whose fields hold what they should not."""
    answer = staff.post(path, json=body)

    assert refused_or_fine(answer), answer.text


def is_json(body: bytes) -> bool:
    """Whether a body is JSON, or none at all."""
    try:
        return not body or bool(json.loads(body) or True)
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize("path", ["/api/performance-metrics/sync", "/api/ingest/backfills"])
@given(body=st.binary(max_size=200))
@example(body=b"[" * 50_000)
@example(body=b'{"reason":"\xff"}')
@BRIEFLY
def test_any_bytes_are_refused(staff: TestClient[Any], path: str, body: bytes) -> None:
    """What is no JSON is no request."""
    answer = staff.post(path, content=body, headers={"Content-Type": "application/json"})

    assert refused_or_fine(answer), answer.text
    assert 400 == answer.status_code or is_json(body)
