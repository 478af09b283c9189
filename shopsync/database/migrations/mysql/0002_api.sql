-- What the API reads by (the filters of GET /orders, newest first), and what it remembers of requests that start runs.

CREATE INDEX order_header_financial ON order_header (financial_status, created_at, order_id);

CREATE INDEX order_header_fulfillment ON order_header (fulfillment_status, created_at, order_id);

CREATE TABLE IF NOT EXISTS api_idempotency (
    principal VARCHAR(255) NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    requested_at DATETIME NOT NULL,
    attempt VARCHAR(64) NOT NULL,
    attempted_at DATETIME NOT NULL,
    status INT,
    answer MEDIUMTEXT,
    PRIMARY KEY (principal, idempotency_key)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX api_idempotency_age ON api_idempotency (requested_at);
