-- Every table of release 0.1, for SQLite. STRICT: a float never slips into a column of money.
-- Money is an integer of ten-thousandths, times are text in UTC, booleans 0 or 1.

CREATE TABLE IF NOT EXISTS order_header (
    order_id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    processed_at TEXT,
    updated_at TEXT NOT NULL,
    cancelled_at TEXT,
    cancel_reason TEXT,
    closed_at TEXT,
    is_test INTEGER NOT NULL,
    financial_status TEXT,
    fulfillment_status TEXT,
    return_status TEXT,
    source_name TEXT,
    customer_id INTEGER,
    tags TEXT NOT NULL,
    currency TEXT NOT NULL,
    presentment_currency TEXT,
    subtotal_price INTEGER,
    total_discounts INTEGER,
    total_shipping INTEGER,
    total_tax INTEGER,
    total_price INTEGER NOT NULL,
    total_refunded INTEGER,
    current_total_price INTEGER,
    first_fulfilled_at TEXT,
    run_id TEXT NOT NULL,
    synced_at TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS order_header_name ON order_header (name);

CREATE INDEX IF NOT EXISTS order_header_newest ON order_header (created_at, order_id);

CREATE TABLE IF NOT EXISTS order_line_item (
    line_item_id INTEGER NOT NULL PRIMARY KEY,
    order_id INTEGER NOT NULL,
    product_id INTEGER,
    variant_id INTEGER,
    sku TEXT,
    title TEXT NOT NULL,
    variant_title TEXT,
    vendor TEXT,
    quantity INTEGER NOT NULL,
    current_quantity INTEGER NOT NULL,
    unfulfilled_quantity INTEGER NOT NULL,
    unit_price INTEGER NOT NULL,
    total_discount INTEGER NOT NULL,
    is_gift_card INTEGER NOT NULL,
    currency TEXT NOT NULL,
    order_updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS order_line_item_order ON order_line_item (order_id);

CREATE TABLE IF NOT EXISTS order_sale (
    sale_id INTEGER NOT NULL PRIMARY KEY,
    order_id INTEGER NOT NULL,
    agreement_id INTEGER NOT NULL,
    happened_at TEXT NOT NULL,
    reason TEXT NOT NULL,
    action_type TEXT NOT NULL,
    line_type TEXT NOT NULL,
    line_item_id INTEGER,
    product_id INTEGER,
    quantity INTEGER,
    total_amount INTEGER NOT NULL,
    discount_amount INTEGER NOT NULL,
    tax_amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    is_test INTEGER NOT NULL,
    order_updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS order_sale_happened ON order_sale (happened_at);

CREATE INDEX IF NOT EXISTS order_sale_order ON order_sale (order_id);

CREATE TABLE IF NOT EXISTS product (
    product_id INTEGER NOT NULL PRIMARY KEY,
    title TEXT,
    handle TEXT,
    vendor TEXT,
    product_type TEXT,
    status TEXT,
    updated_at TEXT,
    currency TEXT,
    units_sold_7d INTEGER,
    units_sold_30d INTEGER,
    net_sales_7d INTEGER,
    net_sales_30d INTEGER,
    last_sold_on TEXT,
    metrics_as_of TEXT
) STRICT;

CREATE TABLE IF NOT EXISTS shop (
    domain TEXT NOT NULL PRIMARY KEY,
    timezone TEXT NOT NULL,
    currency TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS sync_run (
    run_id TEXT NOT NULL PRIMARY KEY,
    job_type TEXT NOT NULL,
    initiator TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    process_initiated_at TEXT NOT NULL,
    step TEXT NOT NULL,
    status TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    flow_run_id TEXT,
    shop TEXT,
    timezone TEXT,
    window_start TEXT,
    window_end TEXT,
    watermark_before TEXT,
    watermark_after TEXT,
    bulk_operation_id TEXT,
    archive_key TEXT,
    objects INTEGER,
    orders INTEGER,
    line_items INTEGER,
    sales INTEGER,
    products INTEGER,
    unchanged INTEGER,
    removed INTEGER,
    bytes INTEGER,
    waiting_until TEXT,
    error_type TEXT,
    error_message TEXT,
    duration_s REAL
) STRICT;

CREATE INDEX IF NOT EXISTS sync_run_newest ON sync_run (requested_at, run_id);

CREATE TABLE IF NOT EXISTS sales_day (
    day TEXT NOT NULL,
    product_id INTEGER NOT NULL,
    currency TEXT NOT NULL,
    orders INTEGER NOT NULL,
    units_sold INTEGER NOT NULL,
    units_returned INTEGER NOT NULL,
    gross_sales INTEGER NOT NULL,
    discounts INTEGER NOT NULL,
    returns INTEGER NOT NULL,
    net_sales INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    PRIMARY KEY (day, product_id, currency)
) STRICT;

CREATE TABLE IF NOT EXISTS dirty_day (
    day TEXT NOT NULL PRIMARY KEY,
    marks INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS lease (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS archive_progress (
    archive_sha256 TEXT NOT NULL,
    run_id TEXT NOT NULL,
    orders INTEGER NOT NULL,
    line_items INTEGER NOT NULL,
    sales INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    max_updated_at TEXT,
    finished INTEGER NOT NULL,
    PRIMARY KEY (archive_sha256, run_id)
) STRICT;

CREATE TABLE IF NOT EXISTS watermark_advance (
    shop TEXT NOT NULL,
    run_id TEXT NOT NULL,
    watermark TEXT NOT NULL,
    advanced_at TEXT NOT NULL,
    PRIMARY KEY (shop, run_id)
) STRICT;

CREATE TABLE IF NOT EXISTS schema_version (
    version TEXT NOT NULL PRIMARY KEY
) STRICT;
