-- Who ordered on a day, as a whole: the customers of months are counted from days, not from orders.

ALTER TABLE order_day ADD COLUMN customers MEDIUMBLOB;

-- The days that are measured already have none yet: the next run measures them anew.
INSERT INTO dirty_day (day, marks) SELECT day, 1 FROM order_day ON DUPLICATE KEY UPDATE marks = marks + 1;
