-- When a product was last sold: one entry of the index for each, instead of every day of the shop's life.

CREATE INDEX sales_day_product ON sales_day (product_id, currency, day, units_sold);
