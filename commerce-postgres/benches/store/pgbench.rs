//! The rows of a checkout by `pgbench`, a prepared statement each.

use std::process::Command;

use commerce_core::conformance::load::LoadError;
use commerce_postgres::testing::{Cluster, binaries};
use sqlx::{AssertSqlSafe, raw_sql};

use crate::{SPAN, VARIANTS, database};

/// Carts, by client: each takes its own one after the other.
const CARTS: &str = "
    INSERT INTO commerce_cart SELECT lpad(to_hex(n), 32, '0')::uuid, 'guest:' || n, 'open', 0, 0, 1 FROM generate_series(1, 400000) n;
    INSERT INTO commerce_claim SELECT 'guest:' || n, 'open_cart', lpad(to_hex(n), 32, '0')::uuid FROM generate_series(1, 400000) n;";

const SCRIPT: &str = r#"
\set taken :taken + 1
\set n :client_id * 10000 + :taken
\set a random(1, :variants)
\set b 1 + :a % :variants
BEGIN;
INSERT INTO commerce_commit (id, at) VALUES (lpad(to_hex(:n), 32, 'a')::uuid, 1795000000000000);
DELETE FROM commerce_claim WHERE key = 'guest:' || :n AND kind = 'open_cart';
INSERT INTO commerce_claim (key, kind, owner) VALUES ('R2P6Z-' || :n, 'order_number', lpad(to_hex(:n), 32, 'b')::uuid);
UPDATE commerce_cart SET status = 'ordered', updated_at = 1, version = version + 1 WHERE id = lpad(to_hex(:n), 32, '0')::uuid;
UPDATE commerce_stock SET reserved = reserved + 1, in_stock = on_hand > reserved + 1 WHERE variant_id = lpad(to_hex(least(:a, :b)), 32, 'f')::uuid;
UPDATE commerce_stock SET reserved = reserved + 1, in_stock = on_hand > reserved + 1 WHERE variant_id = lpad(to_hex(greatest(:a, :b)), 32, 'f')::uuid;
INSERT INTO commerce_order (id, number, customer_id, email, status, payment_status, fulfilment_status, currency, subtotal, discount, shipping, tax, grand_total, shipping_address, billing_address, shipping_method, cart_id, declined, placed_at, updated_at, version) VALUES (lpad(to_hex(:n), 32, 'b')::uuid, 'R2P6Z-' || :n, lpad(to_hex(:n), 32, 'c')::uuid, 'ada@example.com', 'pending', 'pending', 'unfulfilled', 'EUR', 3980, 0, 0, 0, 3980, '{"name": "Ada Lovelace", "line1": "12 St James''s Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}', '{"name": "Ada Lovelace", "line1": "12 St James''s Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}', '{"code": "standard", "title": "Standard", "price": {"amount": "0.00", "currency": "EUR"}}', lpad(to_hex(:n), 32, '0')::uuid, false, 1795000000000000 + :n, 1, 1);
INSERT INTO commerce_order_line (order_id, variant_id, position, product_id, sku, title, quantity, currency, unit_price, total, charged, tax, fulfilled, cancelled, refunded, returned) VALUES (lpad(to_hex(:n), 32, 'b')::uuid, lpad(to_hex(:a), 32, 'f')::uuid, 0, lpad(to_hex(:a), 32, 'e')::uuid, 'MUG-ENAMEL-GREEN', 'Enamel mug – green', 1, 'EUR', 1990, 1990, 1990, 0, 0, 0, 0, 0);
INSERT INTO commerce_order_line (order_id, variant_id, position, product_id, sku, title, quantity, currency, unit_price, total, charged, tax, fulfilled, cancelled, refunded, returned) VALUES (lpad(to_hex(:n), 32, 'b')::uuid, lpad(to_hex(:b), 32, 'f')::uuid, 1, lpad(to_hex(:b), 32, 'e')::uuid, 'MUG-ENAMEL-GREEN', 'Enamel mug – green', 1, 'EUR', 1990, 1990, 1990, 0, 0, 0, 0, 0);
INSERT INTO commerce_payment (order_id, id, method, gateway, status, currency, amount, captured, refunded, refund_pending, token, lease_until, reserved_until, created_at, updated_at) VALUES (lpad(to_hex(:n), 32, 'b')::uuid, lpad(to_hex(:n), 32, 'd')::uuid, 'test', 'test', 'pending', 'EUR', 3980, 0, 0, 0, 'pm_card_visa', 1, 1, 1795000000000000 + :n, 1);
INSERT INTO commerce_event (root_id, id, root_kind, version, n, at, actor, event) VALUES (lpad(to_hex(:n), 32, 'b')::uuid, lpad(to_hex(:n), 32, 'd')::uuid, 'order', 1, 0, 1795000000000000, '{"kind": "system"}', '{"kind": "order_placed", "number": "R2P6Z-JACKS", "total": {"amount": "39.80", "currency": "EUR"}}');
INSERT INTO commerce_task (id, due, kind, body, attempts, lease_until, dead) VALUES (lpad(to_hex(:n), 32, 'd')::uuid, 1795000000000000 + :n, 'settle_payment', '{"kind": "settle_payment", "order": "01a2040d-3bff-7527-ba2b-7d9c4a8f5f1b", "payment": "01a2040d-3bff-7527-ba2b-7d9c4a8f5f1b"}', 0, 0, false);
INSERT INTO commerce_task (id, due, kind, body, attempts, lease_until, dead) VALUES (lpad(to_hex(:n), 32, 'e')::uuid, 1795000000000000 + :n, 'expire_reservation', '{"kind": "expire_reservation", "order": "01a2040d-3bff-7527-ba2b-7d9c4a8f5f1b", "payment": "01a2040d-3bff-7527-ba2b-7d9c4a8f5f1b"}', 0, 0, false);
COMMIT;
"#;

/// Transactions a second.
pub(crate) async fn run(cluster: &Cluster, clients: usize) -> Result<f64, LoadError> {
    let store = database(cluster, "pgbench").await?;
    let stock = format!(
        "INSERT INTO commerce_stock SELECT lpad(to_hex(n), 32, 'f')::uuid, lpad(to_hex(n), 32, 'e')::uuid, 1000000, 0, 0, false, \
         true, 0, 0 FROM generate_series(1, {VARIANTS}) n;"
    );
    raw_sql(AssertSqlSafe(format!("{CARTS}{stock}"))).execute(store.pool()).await?;
    raw_sql("VACUUM ANALYZE").execute(store.pool()).await?;
    store.pool().close().await;
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), SCRIPT)?;
    let mut pgbench = Command::new(binaries()?.join("pgbench"));
    pgbench.args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "-U", "postgres", "-h"]).arg(cluster.folder());
    pgbench.arg(format!("--client={clients}")).arg(format!("--time={}", SPAN.as_secs_f64().ceil()));
    pgbench
        .args(["-D", "taken=0", "-D"])
        .arg(format!("variants={VARIANTS}"))
        .arg("-f")
        .arg(script.path())
        .arg("pgbench");
    let output = tokio::task::spawn_blocking(move || pgbench.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.filter(|_| output.status.success()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned().into())
}
