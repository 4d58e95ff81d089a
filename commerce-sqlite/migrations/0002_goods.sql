-- Goods that come back: units that are never charged for, that lie in stock again until they are shipped once more, or that
-- did not go back into stock; parcels that come back undelivered; what a return waives.

ALTER TABLE commerce_order_line ADD COLUMN uncharged INTEGER NOT NULL DEFAULT 0
    CHECK (uncharged >= 0 AND refunded + uncharged <= quantity);
ALTER TABLE commerce_order_line ADD COLUMN restocked INTEGER NOT NULL DEFAULT 0
    CHECK (restocked >= 0 AND fulfilled + cancelled + restocked <= quantity);
ALTER TABLE commerce_order_line ADD COLUMN written_off INTEGER NOT NULL DEFAULT 0
    CHECK (written_off >= 0 AND written_off <= cancelled + returned);

ALTER TABLE commerce_return ADD COLUMN waived INTEGER CHECK (waived > 0);

-- A CHECK can't be altered: the table is made anew.
CREATE TABLE commerce_fulfilment_new (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    order_id BLOB NOT NULL REFERENCES commerce_order (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'shipped', 'delivered', 'cancelled', 'returned_to_sender')),
    carrier TEXT NOT NULL,
    tracking_number TEXT NOT NULL,
    tracking_url TEXT,
    items TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    shipped_at INTEGER,
    delivered_at INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO commerce_fulfilment_new
    SELECT id, order_id, status, carrier, tracking_number, tracking_url, items, created_at, shipped_at, delivered_at
    FROM commerce_fulfilment;
DROP TABLE commerce_fulfilment;
ALTER TABLE commerce_fulfilment_new RENAME TO commerce_fulfilment;
CREATE INDEX commerce_fulfilment_order ON commerce_fulfilment (order_id);
