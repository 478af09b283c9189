"""The OpenAPI document: what it promises, and that the application keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient
from sqlalchemy import Engine

from api import analytics, figures, health, problems, responses, runs, sync
from api.app import Api, create_app, specification
from api.examples import EXAMPLES
from shopsync.database.shops import remember_shop
from tests.api.conftest import NOW, Settled
from tests.api.prefect import FakePrefect
from tests.api.schemathesis import found
from tests.api.serving import serving
from tests.api.staff import OPERATOR, VIEWER
from tests.database import load
from tests.factories import NOON, order

EVERY_PHASE, FEW = "examples,coverage,fuzzing", "examples,fuzzing"
SENDERS = {"operator": (OPERATOR, EVERY_PHASE, 10), "viewer": (VIEWER, FEW, 3), "nobody": ({}, FEW, 3)}
"""Their headers, and how much of it is sent: an operator gets through to every route."""


def test_committed_document_is_this_releases() -> None:
    """`openapi.json` is what `python -m api.openapi` prints."""
    assert json.loads(Path("openapi.json").read_text()) == specification()


@pytest.fixture
def answering(settings: Settled, journals: Engine, prefect: FakePrefect) -> Api:
    """An application with something to answer: a shop, runs, and the order of the document's example."""
    remember_shop(journals, "tea.myshopify.com", "Europe/Berlin", "EUR", NOON)
    load(journals, [order(5001)])
    return create_app(settings(API_STAFF_LIMIT="0", API_ADDRESS_LIMIT="0"), prefect=prefect, now=lambda: NOW)


@pytest.mark.parametrize(("headers", "phases", "examples"), SENDERS.values(), ids=SENDERS)
def test_whatever_is_sent_is_answered_as_promised(
    answering: Api, tmp_path: Path, headers: dict[str, str], phases: str, examples: int
) -> None:
    """Schemathesis sends what nobody thought of, and gets what the document says, as each kind of sender."""
    with serving(answering) as url:
        wrong = found(url, headers, phases, examples, tmp_path)

    assert "" == wrong


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_of_their_shape(name: str) -> None:
    """Each example of the document is read as the shape that it is an example of."""
    shapes: dict[str, Any] = {
        shape.__name__: shape
        for module in (analytics, figures, health, problems, responses, runs, sync)
        for shape in vars(module).values()
        if isinstance(shape, type) and issubclass(shape, msgspec.Struct)
    } | {
        "OrderSummaryPage": responses.Page[responses.OrderSummary],
        "RunSummaryPage": responses.Page[runs.RunSummary],
    }

    read = json.loads(msgspec.json.encode(msgspec.convert(EXAMPLES[name], shapes[name])))

    assert EXAMPLES[name] == {field: read[field] for field in EXAMPLES[name]}


def test_every_answer_has_an_example() -> None:
    """Each shape that a route answers with, so that a client's author sees one."""
    described = specification()
    bodies = {
        content["schema"]["$ref"].rpartition("/")[2]
        for item in described["paths"].values()
        for operation in item.values()
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        if "$ref" in content["schema"]
    }

    assert set() == {name for name in bodies if "examples" not in described["components"]["schemas"][name]}


@pytest.mark.parametrize(("tag", "paths"), [("order", {"/orders", "/orders/{order_id}"})])
def test_each_tag_stands_alone(anyone: TestClient[Any], tag: str, paths: set[str]) -> None:
    """A tag's part has its routes and each shape that they need."""
    described = anyone.get("/schema/openapi.json", params={"tag": tag}).json()

    needed = {part.partition('"')[0] for part in json.dumps(described).split("#/components/schemas/")[1:]}
    assert paths == set(described["paths"])
    assert needed == set(described["components"]["schemas"])


def test_page_needs_nothing_from_elsewhere(anyone: TestClient[Any]) -> None:
    """No script, no address but its own, and a policy that forbids both."""
    answer = anyone.get("/schema")

    assert "text/html; charset=utf-8" == answer.headers["content-type"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "<script" not in answer.text
    assert "http" not in answer.text.replace("http-", "")
    assert "GET /orders/{order_id}" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "headers"),
    [
        ("get", "/orders", "200", {"ETag", "Link"}),
        ("get", "/orders", "304", {"ETag", "Link"}),
        ("get", "/orders", "401", {"WWW-Authenticate"}),
        ("get", "/orders/{order_id}", "200", {"ETag"}),
        ("get", "/health", "503", {"Retry-After"}),
        ("post", "/api/performance-metrics/sync", "200", {"Location", "Idempotency-Replayed"}),
        ("post", "/api/ingest/backfills", "202", {"Location", "Idempotency-Replayed"}),
        ("post", "/api/ingest/backfills", "409", {"Retry-After"}),
    ],
)
def test_headers_are_promised(method: str, path: str, status: str, headers: set[str]) -> None:
    """Those that a client goes on by."""
    assert headers == set(specification()["paths"][path][method]["responses"][status]["headers"])


def test_refusals_before_the_route_are_promised() -> None:
    """Of headers that are too long on every route, of bodies that do not come where there is one."""
    described = specification()["paths"]

    assert {"408", "431"} <= set(described["/api/performance-metrics/sync"]["post"]["responses"])
    assert {"431"} == {"408", "431"} & set(described["/orders"]["get"]["responses"])
