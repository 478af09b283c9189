"""
Every table, for the reads and for the statements of the write path.

The tables are made by the numbered files in `migrations/`, which a test compares with this module. Text is
`utf8mb4_bin` on MySQL: it compares byte by byte as SQLite does, and MySQL 8, MariaDB and Vitess all have it. The
lengths are what Shopify allows, with room: a longer text is refused, never cut.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, Double, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.types import TypeEngine

from shopsync.database.columns import Ids, Money, UtcDateTime, UtcInstant

metadata = MetaData()


def _key(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] = BigInteger) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _given(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, nullable=False)


WORD = String(64)
"""Enum values of Shopify and of ours, currencies, zones, uuids."""
SHORT = String(255)
LONG = String(1024)
"""A line's titles: a variant's joins three options of 255 characters each."""

order_header = Table(
    "order_header",
    metadata,
    _key("order_id"),
    _given("name", SHORT),
    _given("created_at", UtcDateTime),
    Column("processed_at", UtcDateTime),
    _given("updated_at", UtcDateTime),
    Column("cancelled_at", UtcDateTime),
    Column("cancel_reason", WORD),
    Column("closed_at", UtcDateTime),
    _given("is_test", Boolean),
    Column("financial_status", WORD),
    Column("fulfillment_status", WORD),
    Column("return_status", WORD),
    Column("source_name", SHORT),
    Column("customer_id", BigInteger),
    _given("tags", Text),
    _given("currency", WORD),
    Column("presentment_currency", WORD),
    Column("subtotal_price", Money),
    Column("total_discounts", Money),
    Column("total_shipping", Money),
    Column("total_tax", Money),
    _given("total_price", Money),
    Column("total_refunded", Money),
    Column("current_total_price", Money),
    Column("first_fulfilled_at", UtcDateTime),
    _given("run_id", WORD),
    _given("synced_at", UtcDateTime),
    Index("order_header_newest", "created_at", "order_id"),
    Index("order_header_updated", "updated_at"),
    Index("order_header_name", "name"),
    Index("order_header_financial", "financial_status", "created_at", "order_id"),
    Index("order_header_fulfillment", "fulfillment_status", "created_at", "order_id"),
    Index("order_header_statuses", "financial_status", "fulfillment_status", "created_at", "order_id"),
    Index("order_header_customers", "is_test", "created_at", "customer_id"),
    Index("order_header_customer", "customer_id", "is_test", "created_at"),
)

order_line_item = Table(
    "order_line_item",
    metadata,
    _key("line_item_id"),
    _given("order_id", BigInteger),
    Column("product_id", BigInteger),
    Column("variant_id", BigInteger),
    Column("sku", LONG),
    _given("title", LONG),
    Column("variant_title", LONG),
    Column("vendor", SHORT),
    _given("quantity", Integer),
    _given("current_quantity", Integer),
    _given("unfulfilled_quantity", Integer),
    _given("unit_price", Money),
    _given("total_discount", Money),
    _given("is_gift_card", Boolean),
    _given("currency", WORD),
    _given("order_updated_at", UtcDateTime),
    Index("order_line_item_order", "order_id"),
)

order_sale = Table(
    "order_sale",
    metadata,
    _key("sale_id"),
    _given("order_id", BigInteger),
    _given("agreement_id", BigInteger),
    _given("happened_at", UtcDateTime),
    _given("reason", WORD),
    _given("action_type", WORD),
    _given("line_type", WORD),
    Column("line_item_id", BigInteger),
    Column("product_id", BigInteger),
    Column("quantity", Integer),
    _given("total_amount", Money),
    _given("discount_amount", Money),
    _given("tax_amount", Money),
    _given("currency", WORD),
    _given("is_test", Boolean),
    _given("order_updated_at", UtcDateTime),
    Index("order_sale_order", "order_id"),
    Index("order_sale_happened", "happened_at"),
)

product = Table(
    "product",
    metadata,
    _key("product_id"),
    # The attributes are null until an order shows them: figures may come first.
    Column("title", LONG),
    Column("handle", LONG),
    Column("vendor", SHORT),
    Column("product_type", SHORT),
    Column("status", WORD),
    Column("updated_at", UtcDateTime),
    # The figures are null until the first measurement.
    Column("currency", WORD),
    Column("units_sold_7d", BigInteger),
    Column("units_sold_30d", BigInteger),
    Column("net_sales_7d", Money),
    Column("net_sales_30d", Money),
    Column("last_sold_on", Date),
    Column("metrics_as_of", Date),
    Index("product_best", "currency", "net_sales_30d"),
)

shop = Table(
    "shop",
    metadata,
    _key("domain", SHORT),
    _given("timezone", WORD),
    _given("currency", WORD),
    _given("updated_at", UtcDateTime),
)

sync_run = Table(
    "sync_run",
    metadata,
    _key("run_id", WORD),
    _given("job_type", WORD),
    _given("initiator", WORD),
    _given("requested_at", UtcDateTime),
    _given("process_initiated_at", UtcDateTime),
    _given("step", WORD),
    _given("status", WORD),
    _given("updated_at", UtcInstant),
    Column("flow_run_id", WORD),
    Column("shop", SHORT),
    Column("timezone", WORD),
    Column("window_start", UtcDateTime),
    Column("window_end", UtcDateTime),
    Column("watermark_before", UtcDateTime),
    Column("watermark_after", UtcDateTime),
    Column("bulk_operation_id", SHORT),
    Column("archive_key", LONG),
    Column("objects", BigInteger),
    Column("orders", BigInteger),
    Column("line_items", BigInteger),
    Column("sales", BigInteger),
    Column("products", BigInteger),
    Column("unchanged", BigInteger),
    Column("removed", BigInteger),
    Column("bytes", BigInteger),
    Column("waiting_until", UtcDateTime),
    Column("error_type", SHORT),
    Column("error_message", Text),
    Column("duration_s", Double[float]()),
    Column("roots", BigInteger),
    Column("api_version", WORD),
    Column("differences", BigInteger),
    # None for runs of before it was kept.
    Column("window_field", WORD),
    Index("sync_run_newest", "requested_at", "run_id"),
    Index("sync_run_job", "job_type", "requested_at", "run_id"),
    Index("sync_run_status", "status", "requested_at", "run_id"),
    Index("sync_run_job_status", "job_type", "status", "requested_at", "run_id"),
    Index("sync_run_windows", "job_type", "status", "window_end", "window_start", "window_field"),
    Index("sync_run_ended", "job_type", "status", "updated_at"),
)

sync_step = Table(
    "sync_step",
    metadata,
    _key("run_id", WORD),
    _key("at", UtcInstant),
    _key("step", WORD),
    Column("flow_run_id", WORD),
)

sales_day = Table(
    "sales_day",
    metadata,
    _key("day", Date),
    _key("product_id"),
    _key("currency", WORD),
    _given("orders", BigInteger),
    _given("units_sold", BigInteger),
    _given("units_returned", BigInteger),
    _given("gross_sales", Money),
    _given("discounts", Money),
    _given("returns", Money),
    _given("net_sales", Money),
    _given("tax", Money),
    Index("sales_day_product", "product_id", "currency", "day", "units_sold"),
)

shop_day = Table(
    "shop_day",
    metadata,
    _key("day", Date),
    _key("currency", WORD),
    _given("orders", BigInteger),
    _given("ordered_sales", Money),
    _given("units_sold", BigInteger),
    _given("units_returned", BigInteger),
    _given("gross_sales", Money),
    _given("discounts", Money),
    _given("returns", Money),
    _given("net_sales", Money),
    _given("tax", Money),
    _given("shipping", Money),
    _given("shipping_tax", Money),
    _given("fees", Money),
    _given("fees_tax", Money),
)

order_day = Table(
    "order_day",
    metadata,
    _key("day", Date),
    _given("orders", BigInteger),
    _given("cancelled", BigInteger),
    _given("unfulfilled", BigInteger),
    # None until the day is measured by a release that counts them.
    Column("customers", Ids),
)

fulfilment_day = Table("fulfilment_day", metadata, _key("day", Date), _key("hours"), _given("orders", BigInteger))

customer = Table(
    "customer",
    metadata,
    _key("customer_id"),
    _given("first_order_at", UtcDateTime),
    Index("customer_first_order", "first_order_at"),
)

dirty_day = Table("dirty_day", metadata, _key("day", Date), _given("marks", BigInteger))

lease = Table("lease", metadata, _key("name", SHORT), _given("owner", SHORT), _given("expires_at", UtcDateTime))

archive_progress = Table(
    "archive_progress",
    metadata,
    _key("archive_sha256", WORD),
    _key("run_id", WORD),
    _given("orders", BigInteger),
    _given("line_items", BigInteger),
    _given("sales", BigInteger),
    _given("unchanged", BigInteger),
    _given("removed", BigInteger),
    Column("max_updated_at", UtcDateTime),
    _given("finished", Boolean),
)

backfill_window = Table(
    "backfill_window",
    metadata,
    _key("backfill_run_id", WORD),
    _key("window_start", UtcDateTime),
    _given("window_end", UtcDateTime),
    _given("status", WORD),
    Column("run_id", WORD),
    Column("length_s", BigInteger),
    _given("halved", Boolean),
    _given("failures", Integer),
    Column("objects", BigInteger),
    Column("orders", BigInteger),
    Column("line_items", BigInteger),
    Column("sales", BigInteger),
    Column("products", BigInteger),
    Column("unchanged", BigInteger),
    Column("removed", BigInteger),
    Column("bytes", BigInteger),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("flow_run_id", WORD),
    Column("error_message", Text),
    Index("backfill_window_run", "run_id"),
)

watermark_advance = Table(
    "watermark_advance",
    metadata,
    _key("shop", SHORT),
    _key("run_id", WORD),
    _given("watermark", UtcDateTime),
    _given("advanced_at", UtcDateTime),
)

api_idempotency = Table(
    "api_idempotency",
    metadata,
    _key("principal", SHORT),
    _key("idempotency_key", SHORT),
    _given("fingerprint", WORD),
    _given("run_id", WORD),
    _given("requested_at", UtcDateTime),
    _given("attempt", WORD),
    _given("attempted_at", UtcDateTime),
    # Both are null until the request was answered.
    Column("status", Integer),
    Column("answer", Text),
    Index("api_idempotency_age", "requested_at"),
)

schema_version = Table("schema_version", metadata, _key("version", SHORT))
