-- What the overview and the pages about runs read: sums per shop-local day, first orders, the records of runs.

CREATE TABLE IF NOT EXISTS shop_day (
    day DATE NOT NULL,
    currency VARCHAR(64) NOT NULL,
    orders BIGINT NOT NULL,
    ordered_sales DECIMAL(19,4) NOT NULL,
    units_sold BIGINT NOT NULL,
    units_returned BIGINT NOT NULL,
    gross_sales DECIMAL(19,4) NOT NULL,
    discounts DECIMAL(19,4) NOT NULL,
    returns DECIMAL(19,4) NOT NULL,
    net_sales DECIMAL(19,4) NOT NULL,
    tax DECIMAL(19,4) NOT NULL,
    shipping DECIMAL(19,4) NOT NULL,
    shipping_tax DECIMAL(19,4) NOT NULL,
    fees DECIMAL(19,4) NOT NULL,
    fees_tax DECIMAL(19,4) NOT NULL,
    PRIMARY KEY (day, currency)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS order_day (
    day DATE NOT NULL PRIMARY KEY,
    orders BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    unfulfilled BIGINT NOT NULL
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS fulfilment_day (
    day DATE NOT NULL,
    hours BIGINT NOT NULL,
    orders BIGINT NOT NULL,
    PRIMARY KEY (day, hours)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS customer (
    customer_id BIGINT NOT NULL PRIMARY KEY,
    first_order_at DATETIME NOT NULL,
    KEY customer_first_order (first_order_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sync_step (
    run_id VARCHAR(64) NOT NULL,
    at DATETIME(6) NOT NULL,
    step VARCHAR(64) NOT NULL,
    flow_run_id VARCHAR(64),
    PRIMARY KEY (run_id, at, step)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE sync_run ADD COLUMN roots BIGINT;

ALTER TABLE sync_run ADD COLUMN api_version VARCHAR(64);

CREATE INDEX sync_run_job ON sync_run (job_type, requested_at, run_id);

CREATE INDEX sync_run_status ON sync_run (status, requested_at, run_id);

CREATE INDEX sync_run_job_status ON sync_run (job_type, status, requested_at, run_id);

CREATE INDEX product_best ON product (currency, net_sales_30d);

CREATE INDEX order_header_customers ON order_header (is_test, created_at, customer_id);

CREATE INDEX order_header_customer ON order_header (customer_id, is_test, created_at);

-- The days that are measured already have none of these sums yet: the next run measures them anew.
INSERT INTO dirty_day (day, marks) SELECT DISTINCT day, 1 FROM sales_day ON DUPLICATE KEY UPDATE marks = marks + 1;
