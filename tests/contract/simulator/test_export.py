"""The JSONL file, its faults, and the storage that serves it."""

import gzip
import json

import httpx
import pytest

from tests.contract.simulator.client import LEDGER, ORDERS, Api, last, shop
from tests.simulator import Item, Shop

EVERYTHING = LEDGER % "updated_at:>='2020-01-01T00:00:00Z'"


def two_orders() -> Shop:
    """Two orders of two lines."""
    one = shop()
    product = one.add_product('Say "hi"/\\', ["12.00"])
    for _ in range(2):
        one.add_order([Item(product), Item(price="3.50", title="Custom")])
    return one


def test_line_is_written_as_recorded() -> None:
    """Slashes escaped, selection order, decimals trimmed, the connection's key absent."""
    one = two_orders()

    first = Api(one).lines(EVERYTHING)[0]

    order = next(iter(one.orders.values()))
    assert list(json.loads(first)) == [
        "__typename",
        "id",
        "name",
        "updatedAt",
        "customer",
        "totalPriceSet",
        "fulfillments",
    ]
    assert first.startswith('{"__typename":"Order","id":"gid:\\/\\/shopify\\/Order\\/' + order["id"][-13:] + '"')


def test_decimals_are_trimmed_strings() -> None:
    """`12.00` is `"12.0"`."""
    one = shop()
    one.add_order([Item(price="12.00", taxable=False)])

    line = Api(one).lines("{ orders { edges { node { totalPriceSet { shopMoney { amount } } } } } }")[0]

    assert line == '{"totalPriceSet":{"shopMoney":{"amount":"12.0"}}}'


def test_grouped_children_follow_their_parent() -> None:
    """Order, its lines, its agreement, the agreement's sales."""
    kinds = [json.loads(line)["__typename"] for line in Api(two_orders()).lines(EVERYTHING)]

    one = ["Order", "LineItem", "LineItem", "OrderAgreement", "ProductSale", "ProductSale"]
    assert one + one == kinds


def test_children_name_their_parent() -> None:
    """A sale's parent is its agreement, whose parent is the order."""
    records = [json.loads(line) for line in Api(two_orders()).lines(EVERYTHING)[:6]]

    assert [records[0]["id"]] * 3 == [each["__parentId"] for each in records[1:4]]
    assert [records[3]["id"]] * 2 == [each["__parentId"] for each in records[4:]]


def test_ungrouped_children_are_far_but_after() -> None:
    """No adjacency without groupObjects, but no child before its parent."""
    records = [json.loads(line) for line in Api(shop(60)).lines(EVERYTHING, group=False)]
    places = {each["id"]: number for number, each in enumerate(records)}

    assert all(places[each["__parentId"]] < number for number, each in enumerate(records) if "__parentId" in each)
    assert any(
        "__parentId" in each
        and each["__parentId"] != records[number - 1].get("id")
        and each["__parentId"] != records[number - 1].get("__parentId")
        for number, each in enumerate(records)
    )


def test_counts_and_size_match_the_file() -> None:
    """objectCount counts lines, rootObjectCount roots, fileSize bytes; all are strings."""
    one = shop(80)
    api = Api(one)

    ended = api.finished(EVERYTHING)

    raw = api.http.get(ended["url"]).content
    assert (str(len(raw)), str(raw.count(b"\n")), "80") == (
        ended["fileSize"],
        ended["objectCount"],
        ended["rootObjectCount"],
    )
    assert raw == one.served_bytes(ended["id"]) == one.served_bytes(last(one).number)


def test_aliases_and_fragments_work() -> None:
    """Named and inline fragments, aliases, on objects and interfaces."""
    one = shop()
    one.add_order(shipping="5.00")
    query = """
    query { orders { edges { node { id ...extra agreements { edges { node { id
      sales { edges { node { kind: lineType ... on ProductSale { lineItem { title } } } } } } } } } } } }
    fragment extra on Order { number: name }
    """

    records = [json.loads(line) for line in Api(one).lines(query)]

    assert records[0]["number"] == "#1001"
    assert [list(each) for each in records[2:]] == [
        ["kind", "lineItem", "__parentId"],
        ["kind", "__parentId"],
    ]


@pytest.mark.parametrize(
    ("faults", "check"),
    [
        ({"no_final_newline": True}, lambda raw: not raw.endswith(b"\n")),
        ({"bom": True}, lambda raw: raw.startswith(b"\xef\xbb\xbf{")),
        ({"crlf": True}, lambda raw: raw.count(b"\r\n") == 12),
        ({"blank_lines": 2}, lambda raw: raw.count(b"\n") == 14),
        ({"broken_line": 2}, lambda raw: not raw.split(b"\n")[1].endswith(b"}")),
        ({"invalid_utf8": 1}, lambda raw: b"\xff" in raw),
        ({"new_enum_value": "NEW", "new_enum_field": "name"}, lambda raw: raw.count(b'"NEW"') == 2),
        ({"orphan_child": 1}, lambda raw: raw.count(b'\\/Order\\/1"') == 1),
        ({"child_before_parent": 1}, lambda raw: b"__parentId" in raw.split(b"\n")[0]),
        ({"duplicate_order": 1}, lambda raw: raw.count(b'"Order"') == 3),
        ({"duplicate_line": 1}, lambda raw: raw.count(b'"LineItem"') == 5),
        ({"interleaved": True}, lambda raw: b"__parentId" not in raw.split(b"\n")[1]),
        ({"children_cut_at": 1}, lambda raw: raw.count(b'"LineItem"') == 2),
        ({"shuffled": True}, lambda raw: raw.count(b"\n") == 12),
    ],
)
def test_file_fault(faults: dict, check) -> None:
    """Each switch spoils the file in its own way."""
    one = two_orders()
    vars(one.faults).update(faults)
    api = Api(one)

    raw = api.http.get(api.finished(EVERYTHING)["url"]).content

    assert check(raw)


def test_bad_files_can_be_counted() -> None:
    """Only the next n exports are spoilt."""
    one = two_orders()
    one.faults.bom, one.faults.bad_files = True, 1
    api = Api(one)

    assert [api.lines()[0][0], api.lines()[0][0]] == ["\ufeff", "{"]


@pytest.mark.parametrize("count", ["objectCount", "rootObjectCount", "fileSize"])
def test_counts_can_be_wrong(count: str) -> None:
    """Each figure is off on its own."""
    one = two_orders()
    right = Api(one).finished()[count]
    one.faults.wrong_object_count = one.faults.wrong_root_object_count = one.faults.wrong_file_size = 1

    assert int(right) + 1 == int(Api(one).finished()[count])


def test_storage_answers_ranges() -> None:
    """206 with Content-Range and an ETag."""
    one = two_orders()
    api = Api(one)
    url = api.finished()["url"]
    whole = api.http.get(url)

    part = api.http.get(url, headers={"Range": "bytes=10-", "If-Range": whole.headers["ETag"]})

    assert (206, whole.content[10:]) == (part.status_code, part.content)
    assert f"bytes 10-{len(whole.content) - 1}/{len(whole.content)}" == part.headers["Content-Range"]


def test_storage_refuses_a_forged_link() -> None:
    """A changed signature is refused with XML."""
    api = Api(two_orders())

    answer = api.http.get(api.finished()["url"].replace("Signature=", "Signature=0"))

    assert (answer.status_code, answer.text.startswith("<?xml")) == (403, True)


def test_truncated_download_looks_complete() -> None:
    """Content-Length agrees with the cut body."""
    one = two_orders()
    api = Api(one)
    one.faults.truncated, one.faults.cut_at = 1, 7

    answer = api.http.get(api.finished()["url"])

    assert (len(answer.content), answer.headers["Content-Length"]) == (7, "7")


def test_reset_download_breaks() -> None:
    """The connection is lost before the announced end, once."""
    one = two_orders()
    api = Api(one)
    one.faults.reset_mid_file = 1
    url = api.finished()["url"]

    with pytest.raises(httpx.ReadError):
        api.http.get(url)

    assert one.served_bytes(last(one)) == api.http.get(url).content


def test_gzip_is_transparent() -> None:
    """The bytes on the wire are compressed."""
    one = two_orders()
    api = Api(one)
    one.faults.gzip = True
    url = api.finished()["url"]

    with api.http.stream("GET", url) as answer:
        raw = b"".join(answer.iter_raw())

    assert one.served_bytes(last(one)) == gzip.decompress(raw)


def test_token_sent_to_storage_is_seen() -> None:
    """The request log keeps the headers, lower-cased."""
    one = two_orders()
    api = Api(one)

    api.http.get(api.finished(ORDERS)["url"])

    assert one.requests[-1].to_storage
    assert one.token == one.requests[-1].headers["x-shopify-access-token"]
