"""A small client for the simulator's own tests; it shares nothing with the product's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx

from tests.simulator import Operation, Shop

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RUN = """
mutation ($query: String!, $group: Boolean!) {
  bulkOperationRunQuery(query: $query, groupObjects: $group) {
    bulkOperation { id status type errorCode createdAt completedAt objectCount rootObjectCount fileSize url }
    userErrors { field message code }
  }
}
"""
READ = """
query ($id: ID!) {
  bulkOperation(id: $id) {
    id status errorCode createdAt completedAt objectCount rootObjectCount fileSize url partialDataUrl query
  }
}
"""
CANCEL = """
mutation ($id: ID!) {
  bulkOperationCancel(id: $id) { bulkOperation { id status url } userErrors { field message } }
}
"""
LEDGER = """
# run_id=7d9f
{
  orders(query: "%s", sortKey: UPDATED_AT) {
    edges {
      node {
        __typename
        id
        name
        updatedAt
        customer { id }
        totalPriceSet { shopMoney { amount currencyCode } }
        fulfillments(first: 5) { id displayStatus }
        lineItems { edges { node { __typename id title product { id title } } } }
        agreements {
          edges {
            node {
              __typename
              id
              happenedAt
              sales {
                edges {
                  node {
                    __typename
                    id
                    quantity
                    totalAmount { shopMoney { amount } }
                    ... on ProductSale { lineItem { id } }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}
"""
ORDERS = "{ orders { edges { node { id updatedAt } } } }"


class Api:
    """Asks a shop over MockTransport."""

    def __init__(self, shop: Shop, *, version: str = "2026-10") -> None:
        self.shop, self.version = shop, version
        self.http = httpx.Client(
            transport=httpx.MockTransport(shop.respond),
            base_url="https://sim-shop.myshopify.com",
            headers={"X-Shopify-Access-Token": shop.token},
        )

    def post(self, document: str, /, **variables: Any) -> httpx.Response:
        """Send a document."""
        body = {"query": document, "variables": variables}
        return self.http.post(f"/admin/api/{self.version}/graphql.json", json=body)

    def ask(self, document: str, /, **variables: Any) -> dict[str, Any]:
        """Send a document and return the whole answer."""
        return self.post(document, **variables).json()

    def run(self, query: str = ORDERS, *, group: bool = True) -> dict[str, Any]:
        """Start a bulk operation and return the payload."""
        return self.ask(RUN, query=query, group=group)["data"]["bulkOperationRunQuery"]

    def read(self, operation_id: str) -> dict[str, Any]:
        """Return the operation as it is now."""
        return self.ask(READ, id=operation_id)["data"]["bulkOperation"]

    def finished(self, query: str = ORDERS, *, group: bool = True) -> dict[str, Any]:
        """Run an operation, let it end, return it."""
        started = self.run(query, group=group)["bulkOperation"]
        self.shop.clock.advance(5)
        return self.read(started["id"])

    def lines(self, query: str = ORDERS, *, group: bool = True) -> list[str]:
        """Return the lines of a finished operation's file."""
        return self.http.get(self.finished(query, group=group)["url"]).text.removesuffix("\n").split("\n")


def shop(orders: int = 0, **more: Any) -> Shop:
    """Return a small shop."""
    return Shop(1, orders, now=NOW, **more)


def last(of: Shop) -> Operation:
    """Return the newest operation."""
    return of.operations[-1]
