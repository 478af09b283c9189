"""
`python -m tests.bench.fastapi_orders PORT DATABASE_URL`: GET /orders as a FastAPI application would have it.

The yardstick of the API: the same query by the same engine, answered through a pydantic model in FastAPI's usual way.
It knows no tokens, no limits, no tags, no log: what ours does beside is on our side of the scales.
"""

from __future__ import annotations

import sys
from datetime import datetime
from decimal import Decimal

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import make_url

from api.connections import POOL
from shopsync.database.engine import open_database
from shopsync.database.orders_read import OrderFilters, read_orders


class Order(BaseModel):
    """An order's header."""

    order_id: int
    name: str
    created_at: datetime
    processed_at: datetime | None
    updated_at: datetime
    cancelled_at: datetime | None
    cancel_reason: str | None
    closed_at: datetime | None
    is_test: bool
    financial_status: str | None
    fulfillment_status: str | None
    return_status: str | None
    source_name: str | None
    customer_id: int | None
    tags: str
    currency: str
    presentment_currency: str | None
    subtotal_price: Decimal | None
    total_discounts: Decimal | None
    total_shipping: Decimal | None
    total_tax: Decimal | None
    total_price: Decimal
    total_refunded: Decimal | None
    current_total_price: Decimal | None
    first_fulfilled_at: datetime | None
    run_id: str
    synced_at: datetime


class Page(BaseModel):
    """A page of orders."""

    data: list[Order]
    has_more: bool


def application(database: str) -> FastAPI:
    """Return the application over a database."""
    engine, app = open_database(make_url(database), POOL), FastAPI()

    def list_orders(limit: int = 50) -> Page:
        found = read_orders(engine, OrderFilters(), None, limit + 1)
        data = [Order.model_validate(dict(row._mapping)) for row in found[:limit]]
        return Page(data=data, has_more=len(found) > limit)

    app.get("/orders")(list_orders)
    return app


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="error")
