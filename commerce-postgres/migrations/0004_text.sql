-- What customers want the shop to know.
ALTER TABLE commerce_order ADD COLUMN note TEXT;

-- SKUs are claimed, and searched by staff, as they look: whoever migrates the database writes claims and keys anew, and removes
-- this mark.
INSERT INTO commerce_claim (kind, key, owner) VALUES ('rekey', 'sku', '00000000-0000-0000-0000-000000000000');
