-- GET /orders by both statuses: by one of them it would walk through all orders that have not the other.

CREATE INDEX order_header_statuses ON order_header (financial_status, fulfillment_status, created_at, order_id);
