//! The rows of a checkout by `pgbench`, a prepared statement each.

use std::process::Command;

use commerce_core::conformance::load::LoadError;
use commerce_postgres::testing::binaries;
use sqlx::{AssertSqlSafe, raw_sql};

use crate::{SPAN, Server, VARIANTS, database};

/// Carts, by client: each takes its own one after the other.
const CARTS: &str = "
    INSERT INTO commerce_cart SELECT ('0' || lpad(to_hex(n), 31, '0'))::uuid, 'guest:' || n, 'open', 0, 0, 1 FROM generate_series(1, 400000) n;
    INSERT INTO commerce_claim SELECT 'guest:' || n, 'open_cart', ('0' || lpad(to_hex(n), 31, '0'))::uuid FROM generate_series(1, 400000) n;";

const SCRIPT: &str = r#"
\set taken :taken + 1
\set n :client_id * 10000 + :taken
\set a random(1, :variants)
\set b 1 + :a % :variants
BEGIN;
INSERT INTO commerce_commit (id, at) VALUES (('a' || lpad(to_hex(:n::int8), 31, '0'))::uuid, 1795000000000000);
DELETE FROM commerce_claim WHERE key = 'guest:' || :n::text AND kind = 'open_cart';
INSERT INTO commerce_claim (key, kind, owner) VALUES ('R2P6Z-' || :n::text, 'order_number', ('b' || lpad(to_hex(:n::int8), 31, '0'))::uuid);
UPDATE commerce_cart SET status = 'ordered', updated_at = 1, version = version + 1 WHERE id = ('0' || lpad(to_hex(:n::int8), 31, '0'))::uuid;
UPDATE commerce_stock SET reserved = reserved + 1, in_stock = on_hand > reserved + 1 WHERE variant_id = ('f' || lpad(to_hex(least(:a::int8, :b::int8)), 31, '0'))::uuid;
UPDATE commerce_stock SET reserved = reserved + 1, in_stock = on_hand > reserved + 1 WHERE variant_id = ('f' || lpad(to_hex(greatest(:a::int8, :b::int8)), 31, '0'))::uuid;
INSERT INTO commerce_order (id, number, customer_id, email, status, payment_status, fulfilment_status, currency, subtotal, discount, shipping, tax, grand_total, shipping_address, billing_address, shipping_method, cart_id, declined, placed_at, updated_at, version) VALUES (('b' || lpad(to_hex(:n::int8), 31, '0'))::uuid, 'R2P6Z-' || :n::text, ('c' || lpad(to_hex(:n::int8), 31, '0'))::uuid, 'ada@example.com', 'pending', 'pending', 'unfulfilled', 'EUR', 3980, 0, 0, 0, 3980, '{"name": "Ada Lovelace", "line1": "12 St James''s Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}', '{"name": "Ada Lovelace", "line1": "12 St James''s Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}', '{"code": "standard", "title": "Standard", "price": {"amount": "0.00", "currency": "EUR"}}', ('0' || lpad(to_hex(:n::int8), 31, '0'))::uuid, false, 1795000000000000 + :n, 1, 1);
INSERT INTO commerce_order_line (order_id, variant_id, position, product_id, sku, title, quantity, currency, unit_price, total, charged, tax, fulfilled, cancelled, refunded, returned) VALUES (('b' || lpad(to_hex(:n::int8), 31, '0'))::uuid, ('f' || lpad(to_hex(:a::int8), 31, '0'))::uuid, 0, ('e' || lpad(to_hex(:a::int8), 31, '0'))::uuid, 'MUG-ENAMEL-GREEN', 'Enamel mug – green', 1, 'EUR', 1990, 1990, 1990, 0, 0, 0, 0, 0);
INSERT INTO commerce_order_line (order_id, variant_id, position, product_id, sku, title, quantity, currency, unit_price, total, charged, tax, fulfilled, cancelled, refunded, returned) VALUES (('b' || lpad(to_hex(:n::int8), 31, '0'))::uuid, ('f' || lpad(to_hex(:b::int8), 31, '0'))::uuid, 1, ('e' || lpad(to_hex(:b::int8), 31, '0'))::uuid, 'MUG-ENAMEL-GREEN', 'Enamel mug – green', 1, 'EUR', 1990, 1990, 1990, 0, 0, 0, 0, 0);
INSERT INTO commerce_payment (order_id, id, method, gateway, status, currency, amount, captured, refunded, refund_pending, token, lease_until, reserved_until, created_at, updated_at) VALUES (('b' || lpad(to_hex(:n::int8), 31, '0'))::uuid, ('d' || lpad(to_hex(:n::int8), 31, '0'))::uuid, 'test', 'test', 'pending', 'EUR', 3980, 0, 0, 0, 'pm_card_visa', 1, 1, 1795000000000000 + :n, 1);
INSERT INTO commerce_event (root_id, id, root_kind, version, n, at, actor, event) VALUES (('b' || lpad(to_hex(:n::int8), 31, '0'))::uuid, ('d' || lpad(to_hex(:n::int8), 31, '0'))::uuid, 'order', 1, 0, 1795000000000000, '{"kind": "system"}', '{"kind": "order_placed", "number": "R2P6Z-JACKS", "total": {"amount": "39.80", "currency": "EUR"}}');
INSERT INTO commerce_task (id, due, kind, body, attempts, lease_until, dead) VALUES (('d' || lpad(to_hex(:n::int8), 31, '0'))::uuid, 1795000000000000 + :n, 'settle_payment', '{"kind": "settle_payment", "order": "01a2040d-3bff-7527-ba2b-7d9c4a8f5f1b", "payment": "01a2040d-3bff-7527-ba2b-7d9c4a8f5f1b"}', 0, 0, false);
INSERT INTO commerce_task (id, due, kind, body, attempts, lease_until, dead) VALUES (('e' || lpad(to_hex(:n::int8), 31, '0'))::uuid, 1795000000000000 + :n, 'expire_reservation', '{"kind": "expire_reservation", "order": "01a2040d-3bff-7527-ba2b-7d9c4a8f5f1b", "payment": "01a2040d-3bff-7527-ba2b-7d9c4a8f5f1b"}', 0, 0, false);
COMMIT;
"#;

/// Transactions a second.
pub(crate) async fn run(server: &Server, clients: usize) -> Result<f64, LoadError> {
    let store = database(server, "pgbench").await?;
    let stock = format!(
        "INSERT INTO commerce_stock SELECT ('f' || lpad(to_hex(n), 31, '0'))::uuid, ('e' || lpad(to_hex(n), 31, '0'))::uuid, 1000000, 0, 0, false, \
         true, 0, 0 FROM generate_series(1, {VARIANTS}) n;"
    );
    raw_sql(AssertSqlSafe(format!("{CARTS}{stock}"))).execute(store.pool()).await?;
    raw_sql("VACUUM ANALYZE").execute(store.pool()).await?;
    store.close().await;
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), SCRIPT)?;
    let mut pgbench = Command::new(binaries()?.join("pgbench"));
    pgbench
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "-U", "postgres", "-h", "127.0.0.1", "-p"])
        .arg(server.port.to_string());
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
