-- What the API reads by (the filters of GET /orders, newest first), and what it remembers of requests that start runs.

CREATE INDEX IF NOT EXISTS order_header_financial ON order_header (financial_status, created_at, order_id);

CREATE INDEX IF NOT EXISTS order_header_fulfillment ON order_header (fulfillment_status, created_at, order_id);

CREATE TABLE IF NOT EXISTS api_idempotency (
    principal TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    run_id TEXT NOT NULL,
    requested_at TEXT NOT NULL,
    attempt TEXT NOT NULL,
    attempted_at TEXT NOT NULL,
    status INTEGER,
    answer TEXT,
    PRIMARY KEY (principal, idempotency_key)
) STRICT;

CREATE INDEX IF NOT EXISTS api_idempotency_age ON api_idempotency (requested_at);
