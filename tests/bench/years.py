"""
Years of a shop, made by the database itself: a million orders, the totals of their days, the runs that brought them.

Orders come evenly, in shop-local days that are UTC's; nine of ten are paid, nearly all that are older than five days
have gone out. Lines and sales have the newest orders alone: a page of orders reads none, and one order reads its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, text

from shopsync.database.shops import remember_shop
from shopsync.telemetry import JobType

ROOM = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M")
"""A server that keeps a shop's tables in memory, as a paid one does; with its own 128 MB it would wait for the disk."""
WITH_LINES = 50_000
CUSTOMERS = 300_000
PRODUCTS = 5_000
BACKFILLED = 400
"""Windows of one backfill within the last 30 days."""
STEPS = ("initiated", "request", "poll", "archive", "upsert", "events", "measure", "products", "watermark", "completed")


@dataclass(frozen=True)
class Years:
    """A number of orders, the last of them at `now`, over a number of days."""

    orders: int
    now: datetime
    days: int = 3 * 365

    @property
    def start(self) -> datetime:
        """The first order's creation."""
        return self.now - timedelta(days=self.days)

    def write(self, engine: Engine) -> None:
        """Fill an empty database of this release's schema."""
        remember_shop(engine, "bench.myshopify.com", "UTC", "EUR", self.now)
        values = {
            "start": self.start.replace(tzinfo=None),
            "now": self.now.replace(tzinfo=None),
            "apart_s": self.days * 86_400 / self.orders,
            "daily": JobType.DAILY,
            "backfill": JobType.BACKFILL,
        }
        with engine.begin() as connection:
            for statement in (*_orders(self.orders), *_TOTALS, *_runs(self.days)):
                connection.execute(text(statement), values).close()
        with engine.begin() as connection:
            connection.execute(text(f"ANALYZE TABLE {', '.join(_WRITTEN)}")).close()


def _orders(count: int) -> tuple[str, ...]:
    newest = f"seq_{max(1, count - WITH_LINES)}_to_{count}"
    return (
        f"""
        INSERT INTO order_header (order_id, name, created_at, processed_at, updated_at, cancelled_at, is_test,
            financial_status, fulfillment_status, source_name, customer_id, tags, currency, presentment_currency,
            subtotal_price, total_discounts, total_shipping, total_tax, total_price, total_refunded,
            current_total_price, first_fulfilled_at, run_id, synced_at)
        SELECT seq, CONCAT('#', seq), at, at, at, IF(seq % 50, NULL, at), 0,
            CASE WHEN seq % 10 THEN 'PAID' WHEN seq % 20 THEN 'REFUNDED' WHEN seq % 40 THEN 'PENDING' ELSE 'VOIDED' END,
            CASE WHEN is_recent AND seq % 3 THEN 'UNFULFILLED' WHEN seq % 200 THEN 'FULFILLED'
                WHEN seq % 50000 THEN 'PARTIALLY_FULFILLED' ELSE 'ON_HOLD' END,
            'web', IF(seq % 25, 1 + seq * 7919 % {CUSTOMERS}, NULL), '["vip"]', 'EUR', 'EUR',
            100, 10, 5, 19, 124, 0, 124, IF(is_recent AND seq % 3, NULL, at + INTERVAL 1 + seq * 31 % 200 HOUR),
            'run', at
        FROM (
            SELECT seq, :start + INTERVAL FLOOR(seq * :apart_s) SECOND AS at,
                (:start + INTERVAL FLOOR(seq * :apart_s) SECOND) > :now - INTERVAL 5 DAY AS is_recent
            FROM seq_1_to_{count}
        ) AS made
        """,
        *(
            f"""
            INSERT INTO order_line_item (line_item_id, order_id, product_id, title, vendor, quantity, current_quantity,
                unfulfilled_quantity, unit_price, total_discount, is_gift_card, currency, order_updated_at)
            SELECT 10 * seq + {each}, seq, 1 + seq % {PRODUCTS}, 'A tea', 'Tea & Co', 1, 1, 0, 50, 5, 0, 'EUR', :now
            FROM {newest}
            """
            for each in range(2)
        ),
        *(
            f"""
            INSERT INTO order_sale (sale_id, order_id, agreement_id, happened_at, reason, action_type, line_type,
                line_item_id, product_id, quantity, total_amount, discount_amount, tax_amount, currency, is_test,
                order_updated_at)
            SELECT 10 * seq + {each}, seq, seq, :now, 'ORDER', 'ORDER', 'PRODUCT', 10 * seq + {each},
                1 + seq % {PRODUCTS}, 1, 59.5, 5, 9.5, 'EUR', 0, :now
            FROM {newest}
            """
            for each in range(2)
        ),
        f"""
        INSERT INTO product (product_id, title, currency, units_sold_7d, units_sold_30d, net_sales_7d, net_sales_30d,
            last_sold_on, metrics_as_of)
        SELECT seq, CONCAT('Tea ', seq), 'EUR', 7, 30, 7 * seq, 30 * seq, DATE(:now), DATE(:now)
        FROM seq_1_to_{PRODUCTS}
        """,
    )


_TOTALS = (
    "SET SESSION group_concat_max_len = 1000000",
    """
    INSERT INTO order_day SELECT DATE(created_at), COUNT(*), SUM(cancelled_at IS NOT NULL),
        SUM(fulfillment_status = 'UNFULFILLED'),
        GROUP_CONCAT(DISTINCT REVERSE(UNHEX(LPAD(HEX(customer_id), 16, '0'))) SEPARATOR '')
    FROM order_header GROUP BY DATE(created_at)
    """,
    """
    INSERT INTO shop_day SELECT day, 'EUR', orders, 90 * orders, 2 * orders, 0, 100 * orders, 10 * orders, 0,
        90 * orders, 19 * orders, 5 * orders, 1 * orders, 0, 0 FROM order_day
    """,
    """
    INSERT INTO fulfilment_day SELECT DATE(created_at), TIMESTAMPDIFF(HOUR, created_at, first_fulfilled_at), COUNT(*)
    FROM order_header WHERE first_fulfilled_at IS NOT NULL GROUP BY 1, 2
    """,
    """
    INSERT INTO customer SELECT customer_id, MIN(created_at) FROM order_header
    WHERE customer_id IS NOT NULL GROUP BY customer_id
    """,
)


def _runs(days: int) -> tuple[str, ...]:
    """A daily run a day, one of fifty failed; a backfill of twelve windows a month, and one of hundreds just now."""
    columns = (
        "run_id, job_type, initiator, requested_at, process_initiated_at, step, status, updated_at, flow_run_id, "
        "window_end, objects, orders, line_items, sales, error_type, error_message, duration_s, roots, api_version"
    )
    run = (
        "'cron', at, at, IF(fails, 'failed', 'completed'), IF(fails, 'failed', 'completed'), at + INTERVAL 5 MINUTE, "
        "id, at, 9000, 900, 1800, 1800, IF(fails, 'Throttled', NULL), IF(fails, 'Shopify throttles this app', NULL), "
        "200 + seq % 200, 900, '2026-10'"
    )
    asked = (
        ("daily", days, ":now - INTERVAL seq DAY", "seq % 50 = 0"),
        ("backfill", 12 * days // 30, ":now - INTERVAL FLOOR(seq / 12) * 30 DAY - INTERVAL seq MINUTE", "seq % 90 = 0"),
        ("backfill", BACKFILLED, ":now - INTERVAL 20 DAY + INTERVAL seq MINUTE", "0"),
    )
    runs = [
        f"""
        INSERT INTO sync_run ({columns}) SELECT id, :{kind}, {run} FROM (
            SELECT seq, CONCAT('{kind}-{number}-', seq) AS id, {at} AS at, {fails} AS fails FROM seq_1_to_{count}
        ) AS made
        """
        for number, (kind, count, at, fails) in enumerate(asked)
    ]
    steps = [
        f"""
        INSERT INTO sync_step (run_id, at, step, flow_run_id)
        SELECT run_id, requested_at + INTERVAL {30 * number} SECOND, '{step}', flow_run_id FROM sync_run
        """
        for number, step in enumerate(STEPS)
    ]
    advances = """
        INSERT INTO watermark_advance SELECT 'bench.myshopify.com', run_id, window_end, updated_at FROM sync_run
        WHERE job_type = :daily AND status = 'completed'
        """
    return (*runs, *steps, advances)


_WRITTEN = (
    "order_header",
    "order_line_item",
    "order_sale",
    "product",
    "order_day",
    "shop_day",
    "fulfilment_day",
    "customer",
    "sync_run",
    "sync_step",
    "watermark_advance",
)
