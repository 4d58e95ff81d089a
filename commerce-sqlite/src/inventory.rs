//! Stock, its ledger and alerts.

use async_trait::async_trait;
use commerce_core::{
    alert::{Alert, AlertQuery},
    id::{AlertId, VariantId},
    inventory::{InventoryQueries, MovementRecord, NewStock, StockItem, StockQuery},
    page::{PageSpec, Rows, SortKey},
    store::{AggregateId, ChangeSet, ExpectedVersion, StoreError},
    text::look,
};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::{
    SqliteStore,
    batch::Batch,
    catalog::ANY_AVAILABLE,
    codec::{FromJson, Row, json},
    list::{Keyset, listed},
    row::{Id, Int, Json, MaybeId, Name, Text, Time, row},
    sql::Sql,
};

row! {
    /// The stock `s` of a variant `v` of a product `p`.
    fn stock() -> StockItem of "s." {
        variant_id: Id,
        product_id: Id,
        sku: Text = "v.sku",
        product_title: Text = "p.title",
        variant_title: Text = "v.title",
        on_hand: Int,
        reserved: Int,
        low_stock_threshold: Int,
        crossings: Int,
        alerted: Int,
    }
}

row! {
    fn movement() -> MovementRecord of "" {
        variant_id: Id,
        at: Time,
        kind: Name,
        delta: Int,
        on_hand_after: Int,
        order_id: MaybeId,
        actor: Json,
        reason: Text,
    }
}

/// A line of the ledger has no id of its own; the commit's is what breaks ties.
struct Movement(MovementRecord, Uuid);

impl FromJson for Movement {
    fn from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (Row(record), commit) = Deserialize::deserialize(from)?;
        Ok(Self(record, commit))
    }
}

row! {
    fn alert() -> Alert of "" {
        id: Id,
        kind: Name,
        variant_id: MaybeId,
        order_id: MaybeId,
        detail: Text,
        raised_at: Time,
        acknowledged_at: Time,
        version: Int,
    }
}

/// Opens at zero, which is low for any threshold from 0 up but no crossing: an empty new variant alerts nobody.
pub(crate) fn open_stock(batch: &mut Batch, stock: &NewStock) {
    batch.guards.opened.push(stock.variant_id);
    batch.statement(
        "INSERT INTO commerce_stock (variant_id, product_id, on_hand, reserved, low_stock_threshold, low, crossings, alerted) \
         VALUES (?, ?, 0, 0, ?, ?, 0, 0)",
    );
    batch.bind(stock.variant_id.0).bind(stock.product_id.0).bind(stock.low_stock_threshold);
    batch.bind(stock.low_stock_threshold >= 0);
}

pub(crate) fn threshold(batch: &mut Batch, variant: VariantId, threshold: i64) {
    batch.guarded(
        1,
        "UPDATE commerce_stock SET low_stock_threshold = m.column2, low = on_hand - reserved <= m.column2, \
         crossings = crossings + (NOT low AND on_hand - reserved <= m.column2) \
         FROM (VALUES (?, ?)) m WHERE variant_id = m.column1",
    );
    batch.bind(variant.0).bind(threshold);
}

pub(crate) fn alerted(batch: &mut Batch, variant: VariantId, from: i64, to: i64) {
    batch.guards.heads.push((AggregateId::StockAlert(variant), ExpectedVersion::At(from)));
    batch.guarded(1, "UPDATE commerce_stock SET alerted = ? WHERE variant_id = ? AND alerted = ?");
    batch.bind(to).bind(variant.0).bind(from);
}

/// Moves stock above its floors, keeping `low` and `crossings`, and then whether the products are in stock for lists.
pub(crate) fn counters(batch: &mut Batch, set: &ChangeSet) {
    let count = set.stock().len();
    if count == 0 {
        return;
    }
    batch.guards.stock.extend(set.stock());
    batch.guarded(
        count,
        "UPDATE commerce_stock SET on_hand = on_hand + m.column2, reserved = reserved + m.column3, \
         low = on_hand + m.column2 - reserved - m.column3 <= low_stock_threshold, \
         crossings = crossings + (NOT low AND on_hand + m.column2 - reserved - m.column3 <= low_stock_threshold) \
         FROM (VALUES ",
    );
    batch.rows(count, 4);
    batch.push(
        ") m WHERE variant_id = m.column1 AND on_hand + m.column2 >= 0 AND reserved + m.column3 >= 0 \
         AND on_hand + m.column2 >= reserved + m.column3 AND (m.column4 IS NULL OR on_hand = m.column4)",
    );
    for (variant, delta) in set.stock() {
        batch.bind(variant.0).bind(delta.on_hand).bind(delta.reserved).bind(delta.expect_on_hand);
    }
    batch.statement("UPDATE commerce_listing SET in_stock = NOT in_stock WHERE product IN (SELECT product ");
    batch.push("FROM commerce_variant WHERE id IN (").marks(count).push(")) AND in_stock <> ").push(ANY_AVAILABLE);
    for (variant, _) in set.stock() {
        batch.bind(variant.0);
    }
}

pub(crate) fn movements(batch: &mut Batch, set: &ChangeSet) {
    let movements = set.movements();
    if movements.is_empty() {
        return;
    }
    batch.statement(
        "INSERT INTO commerce_movement (variant_id, at, set_id, kind, delta, order_id, actor, reason, on_hand_after) \
         SELECT m.*, s.on_hand FROM (VALUES ",
    );
    batch.rows(movements.len(), 8).push(") m JOIN commerce_stock s ON s.variant_id = m.column1");
    let actor = json(&set.by());
    for line in movements {
        batch.bind(line.variant.0).bind(set.at().as_micros()).bind(set.id().0).bind(line.kind.as_str());
        batch.bind(line.delta).bind(line.order.map(|id| id.0)).bind(actor.clone()).bind(line.reason.clone());
    }
}

#[async_trait]
impl InventoryQueries for SqliteStore {
    async fn load_stock(&self, variant: VariantId) -> Result<Option<StockItem>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&stock()).push(" FROM commerce_stock s JOIN commerce_variant v ON v.id = s.variant_id ");
        sql.push("JOIN commerce_product p ON p.n = v.product WHERE s.variant_id = ?").bind(variant.0);
        self.entity(sql).await
    }

    async fn list_stock(&self, query: &StockQuery, spec: &PageSpec) -> Result<Rows<StockItem>, StoreError> {
        let filter = |sql: &mut Sql| {
            sql.push(" FROM commerce_variant v CROSS JOIN commerce_stock s ON s.variant_id = v.id ");
            sql.push("CROSS JOIN commerce_product p ON p.n = v.product WHERE NOT v.retired AND p.status <> 'deleted'");
            if query.low_stock {
                sql.push(" AND v.id IN (SELECT variant_id FROM commerce_stock WHERE low = 1)");
            }
            if let Some(q) = &query.q {
                sql.push(" AND (instr(v.sku_key, ?) = 1 OR v.product IN (SELECT product FROM commerce_listing ");
                sql.push("WHERE category = x'' AND instr(title_key, ?)))").bind(look(q)).bind(q.to_lowercase());
            }
        };
        let rows = self.page::<StockItem>(&stock(), filter, &Keyset::rising("v.sku", "v.id"), spec).await?;
        Ok(listed(rows, spec, |item| (SortKey::Text(item.sku.clone()), item.variant_id.0)))
    }

    async fn list_movements(&self, variant: VariantId, spec: &PageSpec) -> Result<Rows<MovementRecord>, StoreError> {
        let row = format!("json_array({}, hex(set_id))", movement());
        let filter = |sql: &mut Sql| {
            sql.push(" FROM commerce_movement WHERE variant_id = ?").bind(variant.0);
        };
        let rows = self.page::<Movement>(&row, filter, &Keyset::falling("at", "set_id"), spec).await?;
        let page = listed(rows, spec, |line| (SortKey::Int(line.0.at.as_micros()), line.1));
        let items = page.items.into_iter().map(|line| line.0).collect();
        Ok(Rows { items, next: page.next, total: page.total })
    }

    async fn load_unalerted(&self, limit: u32) -> Result<Vec<StockItem>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&stock()).push(" FROM commerce_stock s INDEXED BY commerce_stock_unalerted ");
        sql.push("JOIN commerce_variant v ON v.id = s.variant_id JOIN commerce_product p ON p.n = v.product ");
        sql.push("WHERE s.crossings > s.alerted ORDER BY s.variant_id LIMIT ?").bind(i64::from(limit));
        self.entities(sql).await
    }

    async fn load_alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&alert()).push(" FROM commerce_alert WHERE id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn list_alerts(&self, query: &AlertQuery, spec: &PageSpec) -> Result<Rows<Alert>, StoreError> {
        let filter = |sql: &mut Sql| {
            sql.push(" FROM commerce_alert WHERE ");
            sql.push(match query.acknowledged {
                None => "true",
                Some(true) => "acknowledged_at IS NOT NULL",
                Some(false) => "acknowledged_at IS NULL",
            });
        };
        let rows = self.page::<Alert>(&alert(), filter, &Keyset::falling("raised_at", "id"), spec).await?;
        Ok(listed(rows, spec, |alert| (SortKey::Int(alert.raised_at.as_micros()), alert.id.0)))
    }
}
