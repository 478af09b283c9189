"""What every answer has, whatever it is."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from litestar.testing import TestClient

from api.app import Api, create_app
from api.edge import HEADER_BYTES, SECURITY_HEADERS, Edge
from api.limits import Allowance, network_of
from shopsync.prefect_api import Deployment
from tests.api.conftest import Settled
from tests.api.prefect import FakePrefect
from tests.api.serving import serving
from tests.api.staff import OPERATOR


class Broken(FakePrefect):
    """A Prefect that fails as nobody foresaw."""

    def deployment(self, full_name: str) -> Deployment:
        """Fail."""
        raise ZeroDivisionError(full_name)


ANSWERS = [("GET", "/health", 200), ("GET", "/nowhere", 404), ("DELETE", "/health", 405), ("GET", "/health?x=1", 400)]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_every_answer_is_dressed(anyone: TestClient[Any], method: str, path: str, status: int) -> None:
    """Security headers and a request id are on each answer, on those that were never routed too."""
    answer = anyone.request(method, path)

    assert status == answer.status_code
    assert {name.lower() for name in SECURITY_HEADERS} <= set(answer.headers)
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS[1:])
def test_every_failure_is_a_problem(anyone: TestClient[Any], method: str, path: str, status: int) -> None:
    """Failures are RFC 9457 problems that name the request."""
    answer = anyone.request(method, path, headers={"X-Request-Id": "abc-1"})

    assert "application/problem+json" == answer.headers["content-type"]
    assert (status, "abc-1") == (answer.json()["status"], answer.json()["request_id"])


def test_caller_names_the_request(anyone: TestClient[Any]) -> None:
    """A caller's request id comes back, so that its log and ours meet."""
    assert "abc-1" == anyone.get("/health", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"]


def test_strange_request_id_is_replaced(anyone: TestClient[Any]) -> None:
    """What is no id never reaches the log."""
    assert "a b" != anyone.get("/health", headers={"X-Request-Id": "a b"}).headers["x-request-id"]


def test_unknown_parameter_is_named(anyone: TestClient[Any]) -> None:
    """A parameter that a route does not have is refused by its name."""
    assert [{"field": "x", "in": "query", "problem": "there is no such parameter: this route has none"}] == anyone.get(
        "/health?x=1"
    ).json()["errors"]


def test_address_is_limited(settings: Settled) -> None:
    """An address that asks too often waits, before anybody looks at its token."""
    with TestClient(create_app(settings(API_ADDRESS_LIMIT="2"))) as client:
        answers = [client.get("/health") for _ in range(3)]

    assert [200, 200, 429] == [answer.status_code for answer in answers]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("address", "limited"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("x:y", "x:y"),
        ("192.0.2.7:443", "192.0.2.7:443"),
    ],
)
def test_ipv6_customer_is_one_address(address: str, limited: str) -> None:
    """Who has 2^64 addresses is limited as one; the next customer is another."""
    assert limited == network_of(address)


@pytest.mark.parametrize("path", ["/health/live", "/schema/openapi.json", "/orders", "/nowhere"])
def test_head_is_get_without_a_body(anyone: TestClient[Any], path: str) -> None:
    """Status and headers are those of GET."""
    head, get = anyone.head(path), anyone.get(path)

    assert (get.status_code, get.headers["content-length"]) == (head.status_code, head.headers["content-length"])
    assert b"" == head.content


def test_wrong_method_is_told_the_right_ones(anyone: TestClient[Any]) -> None:
    """405 names them in words and in `Allow`."""
    answer = anyone.put("/health/live")

    assert (405, {"GET", "HEAD", "OPTIONS"}) == (answer.status_code, set(answer.headers["allow"].split(", ")))
    assert answer.json()["detail"].startswith("there is no PUT here: there is ")


def test_log_names_a_failed_request(settings: Settled, caplog: pytest.LogCaptureFixture) -> None:
    """What a 500 refers to is in the log under the request's id, with why."""
    with TestClient(create_app(settings(), prefect=Broken())) as client:
        answer = client.post("/api/performance-metrics/sync", headers=OPERATOR | {"X-Request-Id": "abc-1"})

    assert (500, "abc-1") == (answer.status_code, answer.json()["request_id"])
    (failure,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "abc-1" == vars(failure).get("request_id")
    assert failure.exc_info


def test_log_names_a_request_that_a_neighbour_failed(
    operator: TestClient[Any], prefect: FakePrefect, caplog: pytest.LogCaptureFixture
) -> None:
    """A 503 leads by its request id to the line which says what did not answer."""
    prefect.is_down = True

    operator.post("/api/performance-metrics/sync", headers={"X-Request-Id": "abc-1"})

    assert ["abc-1"] == [vars(record).get("request_id") for record in caplog.records if record.name == "api.problems"]


def test_problem_names_the_path_as_it_was_sent(anyone: TestClient[Any]) -> None:
    """Also one that begins like an address of another host."""
    assert "//evil.example/x" == anyone.get("http://testserver//evil.example/x").json()["instance"]


def test_long_nonsense_has_a_short_answer(anyone: TestClient[Any]) -> None:
    """A query of many unknown names is refused with the first of them."""
    answer = anyone.get("/health?" + "&".join(f"x{number}=1" for number in range(1_000)))

    assert (400, 20) == (answer.status_code, len(answer.json()["errors"]))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": "2", "Transfer-Encoding": "chunked"}, 400),
        ({"X-Long": "x" * HEADER_BYTES}, 431),
    ],
    ids=["two ends", "long headers"],
)
def test_strange_headers_are_refused(anyone: TestClient[Any], headers: dict[str, str], status: int) -> None:
    """Whatever they ask for, before anybody reads on, and the connection ends."""
    answer = anyone.get("/health/live", headers=headers)

    assert (status, status, "close") == (answer.status_code, answer.json()["status"], answer.headers["connection"])


def test_body_that_does_not_come_is_given_up(app: Api) -> None:
    """Who sends half of it and waits is told so."""
    impatient = replace(app, edge=Edge(app.litestar, Allowance(0), lambda *_: None, body_s=0.1))

    with serving(impatient) as url, socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as half:
        half.sendall(
            b"POST /api/performance-metrics/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer operator-secret\r\nContent-Length: 9\r\n\r\n{"
        )
        answer = half.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 408 ")
