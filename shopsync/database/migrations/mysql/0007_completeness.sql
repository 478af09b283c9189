-- In how many things the orders that a run brought differed from Shopify's; NULL when nobody compared.
ALTER TABLE sync_run ADD COLUMN differences BIGINT;

CREATE INDEX order_header_updated ON order_header (updated_at);
