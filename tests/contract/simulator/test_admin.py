"""The GraphQL endpoint: search, pages, tokens, versions, cost, faults."""

from datetime import timedelta

import httpx
import pytest

from tests.contract.simulator.client import NOW, ORDERS, Api, shop
from tests.simulator import Shop

COUNT = "query ($q: String) { ordersCount(query: $q) { count precision } }"


def at_seconds(*seconds: int) -> Shop:
    """A shop with orders so many seconds before now."""
    one = shop()
    for each in seconds:
        one.add_order(at=NOW - timedelta(seconds=each))
    return one


def count(of: Shop, query: str) -> int:
    """Return how many orders a filter finds."""
    return Api(of).ask(COUNT, q=query)["data"]["ordersCount"]["count"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("updated_at:>='2026-11-23T11:59:58Z'", 2),
        ("updated_at:>'2026-11-23T11:59:58Z'", 2),
        ("updated_at:<='2026-11-23T11:59:58Z'", 3),
        ("updated_at:<'2026-11-23T11:59:58Z'", 3),
        ("updated_at:>='2026-11-23T11:59:58Z' AND updated_at:<='2026-11-23T11:59:58Z'", 1),
        ("updated_at:>='2026-11-23T11:59:58Z' updated_at:<=now", 2),
        ("updated_at:>=2026-11-23T11:59:58Z", 3),
        ("updatedat:>='2026-11-23T11:59:58Z'", 4),
        ("NOT updated_at:>='2026-11-23T11:59:58Z'", 2),
        ("name:'#1001' OR name:#1002", 2),
        ("(name:#1001 OR name:#1002) -name:#1001", 1),
        ("created_at:<=2025", 0),
    ],
)
def test_search(query: str, expected: int) -> None:
    """Quoted to the second, strict bounds lenient, unquoted by date, unknown names ignored."""
    assert expected == count(at_seconds(100_000, 3, 2, 1), query)


def test_unknown_filter_warns() -> None:
    """The only sign of a misspelt filter."""
    answer = Api(shop(3)).ask(COUNT, q="updatedat:>='2026'")

    assert answer["extensions"]["search"][0]["warnings"][0]["code"] == "invalid_field"


def test_empty_bound_is_an_internal_error() -> None:
    """200 with INTERNAL_SERVER_ERROR."""
    answer = Api(shop(3)).ask(COUNT, q="updated_at:>")

    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


def test_search_lags() -> None:
    """What has just changed is not found yet."""
    one = shop()
    one.add_order()
    one.faults.search_lag_s = 30

    before = count(one, "")
    one.clock.advance(31)

    assert (before, count(one, "")) == (0, 1)


def test_sixty_days_without_the_scope() -> None:
    """Older orders are silently missing."""
    one = shop(scopes=("read_orders",))
    one.add_order(at=NOW - timedelta(days=61))
    one.add_order(at=NOW - timedelta(days=59))

    assert count(one, "") == 1


def test_pages_reach_every_order() -> None:
    """Cursors lead through all orders once."""
    api = Api(shop(25))
    fields = "nodes { id } pageInfo { hasNextPage endCursor }"
    query = f"query ($after: String) {{ orders(first: 10, after: $after) {{ {fields} }} }}"
    seen: list[str] = []
    info: dict = {"hasNextPage": True, "endCursor": None}
    while info["hasNextPage"]:
        page = api.ask(query, after=info["endCursor"])["data"]["orders"]
        seen += [each["id"] for each in page["nodes"]]
        info = page["pageInfo"]

    assert list(api.shop.orders) == sorted(seen)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{ bulkOperations { nodes { id } } }", "you must provide one of first or last"),
        (
            "{ bulkOperations(first: 1, last: 1) { nodes { id } } }",
            "providing both first and last is not supported",
        ),
        ('{ bulkOperation(id: "gid://shopify/Product/1") { id } }', "Invalid id: gid://shopify/Product/1"),
        ('{ node(id: "7") { id } }', "Invalid global id '7'"),
        (
            "mutation { bulkOperationRunQuery { userErrors { message } } }",
            "Field 'bulkOperationRunQuery' is missing required arguments: query",
        ),
        ("{ shop { nmae } }", "Field 'nmae' doesn't exist on type 'Shop'"),
    ],
)
def test_bad_document_is_an_error(document: str, message: str) -> None:
    """Top-level errors with the recorded words."""
    assert message == Api(shop()).ask(document)["errors"][0]["message"]


def test_operations_are_listed_newest_first() -> None:
    """And filtered; an unknown value finds nothing."""
    one = shop(3)
    api = Api(one)
    old, new = one.foreign_operation(), api.run()["bulkOperation"]["id"]
    query = "query ($q: String) { bulkOperations(first: 5, query: $q) { nodes { id } } }"

    listed = api.ask(query)["data"]["bulkOperations"]["nodes"]
    made = api.ask(query, q="status:CREATED operation_type:query")["data"]["bulkOperations"]["nodes"]
    expired = api.ask(query, q="status:expired")["data"]["bulkOperations"]["nodes"]

    assert [new, old.id] == [each["id"] for each in listed]
    assert (len(made), len(expired)) == (2, 0)


def test_retired_version_falls_forward() -> None:
    """Only the header tells."""
    answer = Api(shop(), version="2024-04").post("{ shop { id } }")

    assert (answer.status_code, answer.headers["X-Shopify-API-Version"]) == (200, "2026-01")


def test_old_version_lacks_bulk_operation() -> None:
    """`node` is the portable poll."""
    one = shop(api_versions=("2025-10",))

    answer = Api(one, version="2025-10").ask('{ bulkOperation(id: "gid://shopify/BulkOperation/1") { id } }')

    assert answer["errors"][0]["message"] == "Field 'bulkOperation' doesn't exist on type 'QueryRoot'"


def test_cost_is_reported() -> None:
    """A run costs ten points, even when refused."""
    api = Api(shop())

    answer = api.ask('mutation { bulkOperationRunQuery(query: "") { userErrors { code } } }')

    assert answer["extensions"]["cost"] == {
        "requestedQueryCost": 10,
        "actualQueryCost": 10,
        "throttleStatus": {"maximumAvailable": 2000, "currentlyAvailable": 1990, "restoreRate": 100},
    }


def test_empty_bucket_throttles() -> None:
    """200, no data, what was asked and what is left."""
    one = shop()
    one.admin.available = 5

    answer = Api(one).ask('mutation { bulkOperationRunQuery(query: "") { userErrors { code } } }')

    assert (answer["errors"][0]["extensions"]["code"], answer.get("data")) == ("THROTTLED", None)
    assert answer["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 5


def test_wrong_token_is_a_string_error() -> None:
    """401, `errors` is a string."""
    one = shop()
    api = Api(one)
    one.token = "other"

    answer = api.post("{ shop { id } }")

    message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
    assert (401, {"errors": message}) == (answer.status_code, answer.json())


@pytest.mark.parametrize("as_json", [True, False])
def test_client_credentials_give_a_token(as_json: bool) -> None:
    """Valid for 24 hours of the shop's clock."""
    one = shop(client_id="app", client_secret="secret")
    api = Api(one)
    asked = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret"}
    path = "/admin/oauth/access_token"

    granted = (api.http.post(path, json=asked) if as_json else api.http.post(path, data=asked)).json()
    api.http.headers["X-Shopify-Access-Token"] = granted["access_token"]
    fresh = api.post("{ shop { id } }").status_code
    one.clock.advance(timedelta(hours=24))

    assert (granted["expires_in"], fresh, api.post("{ shop { id } }").status_code) == (86_399, 200, 401)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("unauthorized", 401),
        ("payment_required", 402),
        ("forbidden", 403),
        ("not_found", 404),
        ("locked", 423),
        ("security_rejection", 430),
        ("too_many_requests", 429),
        ("server_error", 503),
        ("redirect", 301),
        ("throttled", 200),
        ("internal_server_error", 200),
        ("shop_inactive", 200),
        ("too_dear", 200),
        ("partial_data", 200),
        ("not_json", 200),
    ],
)
def test_request_fault_hits_the_next_request(fault: str, status: int) -> None:
    """One request has the fault, the following is fine."""
    one = shop()
    api = Api(one)
    setattr(one.faults, fault, 1)

    broken, fine = api.post("{ shop { id } }"), api.post("{ shop { id } }")

    assert (status, 200) == (broken.status_code, fine.status_code)
    assert "errors" in broken.text or status in (200, 301)
    assert "errors" not in fine.json()


@pytest.mark.parametrize(
    ("fault", "error"), [("connect_error", httpx.ConnectError), ("connection_reset", httpx.ReadError)]
)
def test_connection_faults_raise(fault: str, error: type[Exception]) -> None:
    """As the httpx error that a client would see."""
    one = shop()
    setattr(one.faults, fault, 1)

    with pytest.raises(error):
        Api(one).run(ORDERS)


def test_slow_answer_times_out() -> None:
    """The client leaves; the request was carried out and its patience has passed."""
    one = shop(3)
    one.faults.slow_answer = 1

    with pytest.raises(httpx.ReadTimeout):
        Api(one).run()

    assert (1, NOW + timedelta(seconds=5)) == (len(one.operations), one.clock.now())


def test_faults_can_wait() -> None:
    """`let_pass` lets requests pass first."""
    one = shop()
    api = Api(one)
    one.faults.let_pass, one.faults.locked = 1, 1

    assert [api.post("{ shop { id } }").status_code for _ in range(2)] == [200, 423]


def test_denied_field_names_its_scope() -> None:
    """Plain queries say at once what a bulk run says only later."""
    answer = Api(shop(3, scopes=("read_products",))).ask("{ orders(first: 1) { nodes { id } } }")

    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"


def test_requests_are_logged() -> None:
    """With the root field's name."""
    one = shop()

    Api(one).post("query Named { shop { id } }")

    assert [(each.method, each.field) for each in one.requests] == [("POST", "shop")]
