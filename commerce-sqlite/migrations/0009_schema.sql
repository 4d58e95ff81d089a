-- Columns are called as in PostgreSQL.

ALTER TABLE commerce_user RENAME COLUMN search TO found_by;
ALTER TABLE commerce_stock RENAME COLUMN threshold TO low_stock_threshold;
ALTER TABLE commerce_movement RENAME COLUMN commit_id TO set_id;
ALTER TABLE commerce_task RENAME COLUMN task TO body;
