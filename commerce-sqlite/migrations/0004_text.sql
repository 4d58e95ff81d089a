-- What customers want the shop to know.
ALTER TABLE commerce_order ADD COLUMN note TEXT;

-- The SKU as it looks, which staff search by: written by core's rule, roughly so here, exactly so on opening.
ALTER TABLE commerce_variant ADD COLUMN sku_key TEXT NOT NULL DEFAULT '';
UPDATE commerce_variant SET sku_key = lower(sku);

-- SKUs are claimed as they look: whoever opens the database next writes their claims anew, and removes this mark.
INSERT INTO commerce_claim (kind, key, owner) VALUES ('rekey', 'sku', zeroblob(16));
