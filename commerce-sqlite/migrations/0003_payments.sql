-- Where a refund was made, and what a customer was told about an offline payment.
ALTER TABLE commerce_refund ADD COLUMN origin TEXT NOT NULL DEFAULT 'shop' CHECK (origin IN ('shop', 'gateway'));
ALTER TABLE commerce_payment ADD COLUMN instructions TEXT;
