-- What the overview and the pages about runs read: sums per shop-local day, first orders, the records of runs.

CREATE TABLE IF NOT EXISTS shop_day (
    day TEXT NOT NULL,
    currency TEXT NOT NULL,
    orders INTEGER NOT NULL,
    ordered_sales INTEGER NOT NULL,
    units_sold INTEGER NOT NULL,
    units_returned INTEGER NOT NULL,
    gross_sales INTEGER NOT NULL,
    discounts INTEGER NOT NULL,
    returns INTEGER NOT NULL,
    net_sales INTEGER NOT NULL,
    tax INTEGER NOT NULL,
    shipping INTEGER NOT NULL,
    shipping_tax INTEGER NOT NULL,
    fees INTEGER NOT NULL,
    fees_tax INTEGER NOT NULL,
    PRIMARY KEY (day, currency)
) STRICT;

CREATE TABLE IF NOT EXISTS order_day (
    day TEXT NOT NULL PRIMARY KEY,
    orders INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    unfulfilled INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS fulfilment_day (
    day TEXT NOT NULL,
    hours INTEGER NOT NULL,
    orders INTEGER NOT NULL,
    PRIMARY KEY (day, hours)
) STRICT;

CREATE TABLE IF NOT EXISTS customer (
    customer_id INTEGER NOT NULL PRIMARY KEY,
    first_order_at TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS customer_first_order ON customer (first_order_at);

CREATE TABLE IF NOT EXISTS sync_step (
    run_id TEXT NOT NULL,
    at TEXT NOT NULL,
    step TEXT NOT NULL,
    flow_run_id TEXT,
    PRIMARY KEY (run_id, at, step)
) STRICT;

ALTER TABLE sync_run ADD COLUMN roots INTEGER;

ALTER TABLE sync_run ADD COLUMN api_version TEXT;

CREATE INDEX IF NOT EXISTS sync_run_job ON sync_run (job_type, requested_at, run_id);

CREATE INDEX IF NOT EXISTS sync_run_status ON sync_run (status, requested_at, run_id);

CREATE INDEX IF NOT EXISTS sync_run_job_status ON sync_run (job_type, status, requested_at, run_id);

CREATE INDEX IF NOT EXISTS product_best ON product (currency, net_sales_30d);

CREATE INDEX IF NOT EXISTS order_header_customers ON order_header (is_test, created_at, customer_id);

CREATE INDEX IF NOT EXISTS order_header_customer ON order_header (customer_id, is_test, created_at);

-- The days that are measured already have none of these sums yet: the next run measures them anew.
INSERT INTO dirty_day (day, marks) SELECT DISTINCT day, 1 FROM sales_day WHERE true
ON CONFLICT (day) DO UPDATE SET marks = marks + 1;
