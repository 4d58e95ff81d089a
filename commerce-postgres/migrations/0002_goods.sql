-- Goods that come back: units that are never charged for, that lie in stock again until they are shipped once more, or that
-- did not go back into stock; what a return waives.

ALTER TABLE commerce_order_line ADD COLUMN uncharged BIGINT NOT NULL DEFAULT 0;
ALTER TABLE commerce_order_line ADD COLUMN restocked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE commerce_order_line ADD COLUMN written_off BIGINT NOT NULL DEFAULT 0;
ALTER TABLE commerce_order_line ADD CONSTRAINT commerce_order_line_uncharged
    CHECK (uncharged >= 0 AND refunded + uncharged <= quantity);
ALTER TABLE commerce_order_line ADD CONSTRAINT commerce_order_line_restocked
    CHECK (restocked >= 0 AND fulfilled + cancelled + restocked <= quantity);
ALTER TABLE commerce_order_line ADD CONSTRAINT commerce_order_line_written_off
    CHECK (written_off >= 0 AND written_off <= cancelled + returned);

ALTER TABLE commerce_return ADD COLUMN waived BIGINT;
ALTER TABLE commerce_return ADD CONSTRAINT commerce_return_waived CHECK (waived > 0);
