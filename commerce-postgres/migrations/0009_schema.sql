-- The same CHECKs as in SQLite. The few that only this schema had either follow from these, or guarded numbers that only grow.

ALTER TABLE commerce_key ADD CONSTRAINT commerce_key_length CHECK (length(key) = 32 AND length(fingerprint) = 32);
ALTER TABLE commerce_user ADD CONSTRAINT commerce_user_role CHECK (role IN ('customer', 'support', 'manager', 'admin'));
ALTER TABLE commerce_session DROP CONSTRAINT commerce_session_generation_check;
ALTER TABLE commerce_mail_token ADD CONSTRAINT commerce_mail_token_kind
    CHECK (kind IN ('confirm_email', 'reset_password', 'change_email'));

ALTER TABLE commerce_product
    ADD CONSTRAINT commerce_product_status CHECK (status IN ('draft', 'active', 'archived', 'deleted'));
ALTER TABLE commerce_variant ADD CONSTRAINT commerce_variant_currency CHECK (length(currency) = 3);

ALTER TABLE commerce_stock DROP CONSTRAINT commerce_stock_crossings_check;
ALTER TABLE commerce_stock DROP CONSTRAINT commerce_stock_alerted_check;
ALTER TABLE commerce_stock ADD CONSTRAINT commerce_stock_alerted CHECK (alerted <= crossings);
ALTER TABLE commerce_movement ADD CONSTRAINT commerce_movement_kind
    CHECK (kind IN ('initial', 'adjustment', 'sale', 'cancellation', 'return'));

ALTER TABLE commerce_cart ADD CONSTRAINT commerce_cart_status CHECK (status IN ('open', 'ordered', 'merged'));

ALTER TABLE commerce_order ADD CONSTRAINT commerce_order_status
    CHECK (status IN ('pending', 'confirmed', 'completed', 'cancelled'));
ALTER TABLE commerce_order ADD CONSTRAINT commerce_order_currency CHECK (length(currency) = 3);
ALTER TABLE commerce_order ADD CONSTRAINT commerce_order_amounts
    CHECK (subtotal >= 0 AND discount >= 0 AND shipping >= 0 AND tax >= 0);
ALTER TABLE commerce_order_line ADD CONSTRAINT commerce_order_line_amounts
    CHECK (unit_price >= 0 AND total >= 0 AND charged >= 0 AND tax >= 0);
-- Only what left the house comes back; that no more does than was ordered follows.
ALTER TABLE commerce_order_line DROP CONSTRAINT commerce_order_line_check1;
ALTER TABLE commerce_order_line ADD CONSTRAINT commerce_order_line_returned CHECK (returned >= 0 AND returned <= fulfilled);
ALTER TABLE commerce_payment ADD CONSTRAINT commerce_payment_captured CHECK (captured >= 0);
ALTER TABLE commerce_refund DROP CONSTRAINT commerce_refund_amount_check;
ALTER TABLE commerce_refund ADD CONSTRAINT commerce_refund_amount CHECK (amount > 0);
ALTER TABLE commerce_refund ADD CONSTRAINT commerce_refund_status CHECK (status IN ('pending', 'settled', 'failed'));
ALTER TABLE commerce_fulfilment ADD CONSTRAINT commerce_fulfilment_status
    CHECK (status IN ('pending', 'shipped', 'delivered', 'cancelled', 'returned_to_sender'));
ALTER TABLE commerce_return ADD CONSTRAINT commerce_return_status
    CHECK (status IN ('requested', 'approved', 'rejected', 'received'));
ALTER TABLE commerce_review ADD CONSTRAINT commerce_review_status CHECK (status IN ('published', 'hidden'));
