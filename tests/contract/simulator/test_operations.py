"""Bulk operations: slots, life cycle, cancelling, and the recorded messages."""

from datetime import timedelta

import pytest

from tests.contract.simulator.client import CANCEL, ORDERS, Api, last, shop


def test_accepted_run_looks_as_recorded() -> None:
    """No url, counts as strings, whole seconds."""
    payload = Api(shop(5)).run()

    assert payload["userErrors"] == []
    assert payload["bulkOperation"] == {
        "id": "gid://shopify/BulkOperation/8072963424562",
        "status": "CREATED",
        "type": "QUERY",
        "errorCode": None,
        "createdAt": "2026-11-23T12:00:00Z",
        "completedAt": None,
        "objectCount": "0",
        "rootObjectCount": "0",
        "fileSize": None,
        "url": None,
    }


def test_sixth_run_names_the_holders() -> None:
    """Five open operations; the refusal lists all ids."""
    api = Api(shop(5))
    ids = [api.run()["bulkOperation"]["id"] for _ in range(5)]

    refused = api.run()

    assert refused["bulkOperation"] is None
    assert [
        {
            "field": None,
            "message": "A bulk query operation for this app and shop is already in progress: " + ", ".join(ids) + ".",
            "code": "OPERATION_IN_PROGRESS",
        }
    ] == refused["userErrors"]


def test_old_version_has_one_slot() -> None:
    """Before 2026-01 the second run is refused."""
    one = shop(5, api_versions=("2025-07", "2026-10"))
    holder = one.foreign_operation()

    refused = Api(one, version="2025-07").run()

    assert refused["userErrors"][0]["message"].endswith(f"already in progress: {holder.id}.")


def test_canceling_holds_its_slot() -> None:
    """A canceled operation blocks until it is really gone."""
    one = shop(5)
    api = Api(one)
    holders = [one.foreign_operation(lingering_cancel=True) for _ in range(5)]

    canceled = api.ask(CANCEL, id=holders[0].id)["data"]["bulkOperationCancel"]

    assert (canceled["bulkOperation"]["status"], canceled["userErrors"]) == ("CANCELING", [])
    assert api.run()["userErrors"][0]["code"] == "OPERATION_IN_PROGRESS"


def test_cancel_takes_a_moment() -> None:
    """CANCELING for about a second and a half, then CANCELED without url."""
    one = shop(5)
    api = Api(one)
    started = api.run()["bulkOperation"]["id"]
    api.ask(CANCEL, id=started)

    one.clock.advance(2)

    assert (api.read(started)["status"], api.read(started)["url"]) == ("CANCELED", None)


def test_ended_operation_cannot_be_canceled() -> None:
    """The message has the status in lower case."""
    api = Api(shop(5))
    ended = api.finished()

    answer = api.ask(CANCEL, id=ended["id"])["data"]["bulkOperationCancel"]

    assert answer["userErrors"] == [
        {"field": None, "message": "A bulk operation cannot be canceled when it is completed"}
    ]


def test_unknown_operation_cannot_be_canceled() -> None:
    """The field is named."""
    answer = Api(shop()).ask(CANCEL, id="gid://shopify/BulkOperation/1")["data"]["bulkOperationCancel"]

    assert answer == {
        "bulkOperation": None,
        "userErrors": [{"field": ["id"], "message": "Bulk operation does not exist"}],
    }


def test_operation_runs_by_the_clock() -> None:
    """CREATED, RUNNING, COMPLETED."""
    one = shop(5, operation_seconds=10)
    api = Api(one)
    started = api.run()["bulkOperation"]["id"]

    one.clock.advance(3)
    running = api.read(started)["status"]
    one.clock.advance(7)

    assert (running, api.read(started)["status"]) == ("RUNNING", "COMPLETED")


def test_empty_result_has_no_url() -> None:
    """No rows: COMPLETED with url null."""
    ended = Api(shop()).finished()

    assert (ended["status"], ended["url"], ended["objectCount"]) == ("COMPLETED", None, "0")


def test_link_expires_after_a_week() -> None:
    """Then the status is EXPIRED and the storage refuses the link."""
    one = shop(5)
    api = Api(one)
    ended = api.finished()

    one.clock.advance(7 * 86_400)

    assert api.http.get(ended["url"]).status_code == 403
    assert (api.read(ended["id"])["status"], api.read(ended["id"])["url"]) == ("EXPIRED", None)


def test_missing_scope_fails_later() -> None:
    """Accepted, then FAILED with ACCESS_DENIED."""
    ended = Api(shop(5, scopes=("read_products",))).finished()

    assert (ended["status"], ended["errorCode"]) == ("FAILED", "ACCESS_DENIED")


def test_query_text_comes_back_verbatim() -> None:
    """Comments included."""
    text = f"# run_id=1\n{ORDERS}"

    assert text == Api(shop(5)).finished(text)["query"]


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        ("", ["Invalid bulk query: syntax error, unexpected end of file"]),
        ("{ shop { id } }", ["Bulk queries must contain at least one connection."]),
        (
            "{ orders { nodes { id } } }",
            [
                "All connection fields in a bulk query must select their contents using 'edges' > 'node', "
                "e.g: 'orders { edges { node {'. Selecting via 'nodes' is not supported. "
                "Invalid connection fields: 'orders'."
            ],
        ),
        (
            '{ node(id: "gid://shopify/Order/1") { id } }',
            [
                "Bulk queries cannot contain a top level `node` field.",
                "Bulk queries must contain at least one connection.",
            ],
        ),
        (
            "{ orders { edges { node { lineItems { edges { node { id } } } } } } }",
            [
                "The parent 'node' field for a nested connection must select the 'id' field without an alias "
                "and must be of 'ID' return type. Connection fields without 'id': orders."
            ],
        ),
        (
            "{ orders { edges { node { id refunds { refundLineItems { edges { node { id } } } } } } } }",
            ["Queries that contain a connection field within a list field are not currently supported."],
        ),
        (
            'mutation { bulkOperationCancel(id: "gid://shopify/BulkOperation/1") { userErrors { field } } }',
            ["Invalid operation type. Only `query` operations are supported."],
        ),
        ("#" + "x" * 65_535, ["Query is too large (65536 bytes; maximum is 65535 bytes)"]),
        (
            "{ orders { edges { node { nmae } } } }",
            ["Invalid bulk query: Field 'nmae' doesn't exist on type 'Order'"],
        ),
    ],
)
def test_unfit_query_is_refused(query: str, messages: list[str]) -> None:
    """Recorded messages, all with field query and code INVALID."""
    errors = Api(shop()).run(query)["userErrors"]

    assert [{"field": ["query"], "message": each, "code": "INVALID"} for each in messages] == errors


def test_six_connections_are_refused() -> None:
    """Five at most."""
    lines = " ".join(f"l{number}: lineItems {{ edges {{ node {{ id }} }} }}" for number in range(5))

    errors = Api(shop()).run(f"{{ orders {{ edges {{ node {{ id {lines} }} }} }} }}")["userErrors"]

    assert [each["message"] for each in errors] == ["Bulk queries cannot contain more than 5 connections."]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("stuck_in_created", "CREATED"),
        ("unknown_status", "PAUSED"),
        ("canceled_by_shopify", "CANCELED"),
        ("failed", "FAILED"),
        ("expired", "EXPIRED"),
        ("runs_long", "RUNNING"),
    ],
)
def test_fate_of_the_next_operation(fault: str, status: str) -> None:
    """A counted switch changes how the next operation goes, and only that one."""
    one = shop(5)
    api = Api(one)
    setattr(one.faults, fault, 1)

    ended = api.finished()

    assert (status, None) == (ended["status"], ended["url"])
    assert api.finished()["status"] == "COMPLETED"


def test_late_partial_url() -> None:
    """It appears only some time after the failure."""
    one = shop(50)
    api = Api(one)
    one.faults.failed, one.faults.failed_partial = 1, "late"
    early = api.finished()

    one.clock.advance(60)

    assert early["partialDataUrl"] is None
    assert api.http.get(api.read(early["id"])["partialDataUrl"]).text.count("\n") == 25


def test_lost_answer_leaves_an_operation() -> None:
    """The operation exists although nobody was told."""
    one = shop(5)
    one.faults.lost_answer, one.faults.lost_answer_status = 1, 502

    answer = Api(one).post('mutation { bulkOperationRunQuery(query: "' + ORDERS + '") { userErrors { code } } }')

    assert (answer.status_code, last(one).status) == (502, "CREATED")


def test_long_windows_run_long() -> None:
    """A window that was halved finishes."""
    one = shop(5)
    api = Api(one)
    one.faults.runs_long_over = timedelta(days=10)
    window = ORDERS.replace("orders", "orders(query: \"updated_at:>='%sT00:00:00Z' updated_at:<='2026-11-24'\")")

    assert api.finished(window % "2026-11-01")["status"] == "RUNNING"
    assert api.finished(window % "2026-11-20")["status"] == "COMPLETED"


def test_order_updated_during_run_is_read_late() -> None:
    """The file may have a newer updatedAt than the window's end."""
    one = shop(0)
    order = one.add_order()
    one.faults.order_updated_during_run = lambda each: each.touch(order, tag="meanwhile")

    lines = Api(one).lines(
        "{ orders(query: \"updated_at:<='2026-11-23T12:00:00Z'\") { edges { node { updatedAt } } } }"
    )

    assert lines == ['{"updatedAt":"2026-11-23T12:00:05Z"}']
