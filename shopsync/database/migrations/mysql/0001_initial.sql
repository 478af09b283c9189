-- Every table of release 0.1, for MySQL, MariaDB and PlanetScale. No foreign keys, no AUTO_INCREMENT, no ENUM.
-- Times are UTC. IF NOT EXISTS: DDL commits by itself, so a file that failed half-way must be able to run again.

CREATE TABLE IF NOT EXISTS order_header (
    order_id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    created_at DATETIME NOT NULL,
    processed_at DATETIME,
    updated_at DATETIME NOT NULL,
    cancelled_at DATETIME,
    cancel_reason VARCHAR(64),
    closed_at DATETIME,
    is_test TINYINT(1) NOT NULL,
    financial_status VARCHAR(64),
    fulfillment_status VARCHAR(64),
    return_status VARCHAR(64),
    source_name VARCHAR(255),
    customer_id BIGINT,
    tags MEDIUMTEXT NOT NULL,
    currency VARCHAR(64) NOT NULL,
    presentment_currency VARCHAR(64),
    subtotal_price DECIMAL(19,4),
    total_discounts DECIMAL(19,4),
    total_shipping DECIMAL(19,4),
    total_tax DECIMAL(19,4),
    total_price DECIMAL(19,4) NOT NULL,
    total_refunded DECIMAL(19,4),
    current_total_price DECIMAL(19,4),
    first_fulfilled_at DATETIME,
    run_id VARCHAR(64) NOT NULL,
    synced_at DATETIME NOT NULL,
    KEY order_header_name (name),
    KEY order_header_newest (created_at, order_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS order_line_item (
    line_item_id BIGINT NOT NULL PRIMARY KEY,
    order_id BIGINT NOT NULL,
    product_id BIGINT,
    variant_id BIGINT,
    sku VARCHAR(1024),
    title VARCHAR(1024) NOT NULL,
    variant_title VARCHAR(1024),
    vendor VARCHAR(255),
    quantity INT NOT NULL,
    current_quantity INT NOT NULL,
    unfulfilled_quantity INT NOT NULL,
    unit_price DECIMAL(19,4) NOT NULL,
    total_discount DECIMAL(19,4) NOT NULL,
    is_gift_card TINYINT(1) NOT NULL,
    currency VARCHAR(64) NOT NULL,
    order_updated_at DATETIME NOT NULL,
    KEY order_line_item_order (order_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS order_sale (
    sale_id BIGINT NOT NULL PRIMARY KEY,
    order_id BIGINT NOT NULL,
    agreement_id BIGINT NOT NULL,
    happened_at DATETIME NOT NULL,
    reason VARCHAR(64) NOT NULL,
    action_type VARCHAR(64) NOT NULL,
    line_type VARCHAR(64) NOT NULL,
    line_item_id BIGINT,
    product_id BIGINT,
    quantity INT,
    total_amount DECIMAL(19,4) NOT NULL,
    discount_amount DECIMAL(19,4) NOT NULL,
    tax_amount DECIMAL(19,4) NOT NULL,
    currency VARCHAR(64) NOT NULL,
    is_test TINYINT(1) NOT NULL,
    order_updated_at DATETIME NOT NULL,
    KEY order_sale_happened (happened_at),
    KEY order_sale_order (order_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS product (
    product_id BIGINT NOT NULL PRIMARY KEY,
    title VARCHAR(1024),
    handle VARCHAR(1024),
    vendor VARCHAR(255),
    product_type VARCHAR(255),
    status VARCHAR(64),
    updated_at DATETIME,
    currency VARCHAR(64),
    units_sold_7d BIGINT,
    units_sold_30d BIGINT,
    net_sales_7d DECIMAL(19,4),
    net_sales_30d DECIMAL(19,4),
    last_sold_on DATE,
    metrics_as_of DATE
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS shop (
    domain VARCHAR(255) NOT NULL PRIMARY KEY,
    timezone VARCHAR(64) NOT NULL,
    currency VARCHAR(64) NOT NULL,
    updated_at DATETIME NOT NULL
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sync_run (
    run_id VARCHAR(64) NOT NULL PRIMARY KEY,
    job_type VARCHAR(64) NOT NULL,
    initiator VARCHAR(64) NOT NULL,
    requested_at DATETIME NOT NULL,
    process_initiated_at DATETIME NOT NULL,
    step VARCHAR(64) NOT NULL,
    status VARCHAR(64) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    flow_run_id VARCHAR(64),
    shop VARCHAR(255),
    timezone VARCHAR(64),
    window_start DATETIME,
    window_end DATETIME,
    watermark_before DATETIME,
    watermark_after DATETIME,
    bulk_operation_id VARCHAR(255),
    archive_key VARCHAR(1024),
    objects BIGINT,
    orders BIGINT,
    line_items BIGINT,
    sales BIGINT,
    products BIGINT,
    unchanged BIGINT,
    removed BIGINT,
    bytes BIGINT,
    waiting_until DATETIME,
    error_type VARCHAR(255),
    error_message MEDIUMTEXT,
    duration_s DOUBLE,
    KEY sync_run_newest (requested_at, run_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sales_day (
    day DATE NOT NULL,
    product_id BIGINT NOT NULL,
    currency VARCHAR(64) NOT NULL,
    orders BIGINT NOT NULL,
    units_sold BIGINT NOT NULL,
    units_returned BIGINT NOT NULL,
    gross_sales DECIMAL(19,4) NOT NULL,
    discounts DECIMAL(19,4) NOT NULL,
    returns DECIMAL(19,4) NOT NULL,
    net_sales DECIMAL(19,4) NOT NULL,
    tax DECIMAL(19,4) NOT NULL,
    PRIMARY KEY (day, product_id, currency)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS dirty_day (
    day DATE NOT NULL PRIMARY KEY,
    marks BIGINT NOT NULL
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS lease (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    owner VARCHAR(255) NOT NULL,
    expires_at DATETIME NOT NULL
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS archive_progress (
    archive_sha256 VARCHAR(64) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    orders BIGINT NOT NULL,
    line_items BIGINT NOT NULL,
    sales BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    removed BIGINT NOT NULL,
    max_updated_at DATETIME,
    finished TINYINT(1) NOT NULL,
    PRIMARY KEY (archive_sha256, run_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS watermark_advance (
    shop VARCHAR(255) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    watermark DATETIME NOT NULL,
    advanced_at DATETIME NOT NULL,
    PRIMARY KEY (shop, run_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS schema_version (
    version VARCHAR(255) NOT NULL PRIMARY KEY
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
