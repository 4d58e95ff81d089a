//! Stock, the ledger of its movements, and alerts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use commerce_core::{
    alert::{Alert, AlertKind, AlertQuery},
    clock::Timestamp,
    context::ActorRef,
    id::{AlertId, CommitId, OrderId, ProductId, VariantId},
    inventory::{InventoryQueries, MovementRecord, NewStock, StockItem, StockQuery},
    page::{Cursor, PageSpec, Rows, SortKey},
    store::{ChangeSet, Movement, MovementKind, StockDelta, StoreError},
    text::look,
};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    codec::{Column, Name, from_row, table, to_json},
    page::{Direction, List, Sorted, at},
    reads::PgReads,
    sql::Sql,
    statement::{GuardFailure, Statement, TableWrite},
};

/// All that a set does to one stock row, as one write.
#[derive(Clone, Copy, Debug, Default)]
struct Move {
    delta: StockDelta,
    threshold: Option<i64>,
    /// The crossing alerted last, and the one alerted now.
    alerted: Option<(i64, i64)>,
}

/// What a set does to stock.
#[derive(Clone, Debug, Default)]
pub(crate) struct StockMoves {
    opened: BTreeMap<VariantId, NewStock>,
    moves: BTreeMap<VariantId, Move>,
}

impl StockMoves {
    pub(crate) fn open(&mut self, stock: NewStock) {
        self.opened.insert(stock.variant_id, stock);
    }

    pub(crate) fn delta(&mut self, variant: VariantId, delta: StockDelta) {
        self.moves.entry(variant).or_default().delta = delta;
    }

    pub(crate) fn threshold(&mut self, variant: VariantId, threshold: i64) {
        self.moves.entry(variant).or_default().threshold = Some(threshold);
    }

    pub(crate) fn alerted(&mut self, variant: VariantId, from: i64, to: i64) {
        self.moves.entry(variant).or_default().alerted = Some((from, to));
    }

    /// The rows that must be there, and are locked.
    pub(crate) fn moved(&self) -> impl Iterator<Item = Uuid> {
        self.moves.keys().filter(|variant| !self.opened.contains_key(variant)).map(|variant| variant.0)
    }

    /// Adds what another set does. Only plain deltas ever meet in a row, see [`WriteBatch`](crate::batch::WriteBatch).
    pub(crate) fn join(&mut self, other: &Self) {
        self.opened.extend(&other.opened);
        for (variant, moved) in &other.moves {
            let sum = self.moves.entry(*variant).or_insert(Move { delta: StockDelta::default(), ..*moved });
            sum.delta.on_hand += moved.delta.on_hand;
            sum.delta.reserved += moved.delta.reserved;
            sum.delta.expect_on_hand = moved.delta.expect_on_hand;
        }
    }

    /// Whether both write stock in the same ways.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.opened.is_empty() == other.opened.is_empty() && self.moves.is_empty() == other.moves.is_empty()
    }

    /// The rows that the set touches, and whether it does no more than to move their numbers.
    pub(crate) fn touched(&self) -> impl Iterator<Item = (VariantId, bool)> {
        let opened = self.opened.keys().map(|variant| (*variant, false));
        opened.chain(self.moves.iter().map(|(variant, moved)| (*variant, moved.is_plain())))
    }

    pub(crate) fn write_plan(mut self, plan: &mut Statement) {
        self.compose_opened(plan);
        let failures =
            self.moves.iter().map(|(variant, moved)| (variant.to_string(), moved.failure(*variant))).collect();
        let moves = || self.moves.values();
        let rows = vec![
            ("variant_id", Column::uuids(self.moves.keys().map(|variant| variant.0))),
            ("on_hand", Column::ints(moves().map(|moved| moved.delta.on_hand))),
            ("reserved", Column::ints(moves().map(|moved| moved.delta.reserved))),
            ("expected", Column::Int(moves().map(|moved| moved.delta.expect_on_hand).collect())),
            ("threshold", Column::Int(moves().map(|moved| moved.threshold).collect())),
            ("alerted_before", Column::Int(moves().map(|moved| moved.alerted.map(|(from, _)| from)).collect())),
            ("alerted", Column::Int(moves().map(|moved| moved.alerted.map(|(_, to)| to)).collect())),
        ];
        plan.add(TableWrite::change(MOVE, rows).guarded(failures).moves_stock());
    }

    /// A row that opens takes the set's first move at once: within one statement, it can't be updated too.
    fn compose_opened(&mut self, plan: &mut Statement) {
        let (mut rows, mut guards) = (Vec::new(), Vec::new());
        for (variant, stock) in std::mem::take(&mut self.opened) {
            let moved = self.moves.remove(&variant).unwrap_or_default();
            let (on_hand, reserved) = (moved.delta.on_hand, moved.delta.reserved);
            let fits =
                (0..=on_hand).contains(&reserved) && moved.delta.expect_on_hand.is_none_or(|expected| expected == 0);
            if !fits {
                guards.push((variant.to_string(), moved.failure(variant)));
                continue;
            }
            guards.push((variant.to_string(), GuardFailure::Bug("a variant's stock was opened twice")));
            let threshold = moved.threshold.unwrap_or(stock.low_stock_threshold);
            rows.push(StockRow {
                variant_id: variant.0,
                product_id: stock.product_id.0,
                on_hand,
                reserved,
                low_stock_threshold: threshold,
                low: on_hand - reserved <= threshold,
                in_stock: on_hand > reserved,
                crossings: 0,
                alerted: moved.alerted.map_or(0, |(_, to)| to),
            });
        }
        plan.open_stock(rows, guards);
    }
}

impl Move {
    const fn is_plain(&self) -> bool {
        self.delta.expect_on_hand.is_none() && self.threshold.is_none() && self.alerted.is_none()
    }

    fn failure(&self, variant: VariantId) -> GuardFailure {
        GuardFailure::Stock {
            variant,
            expect_on_hand: self.delta.expect_on_hand,
            alerted: self.alerted.map(|(from, _)| from),
        }
    }
}

// Keeps `low`, and counts the ways from not low to low, in the statement that moves the stock.
const MOVE: &str = "UPDATE commerce_stock s SET on_hand = s.on_hand + u.on_hand, reserved = s.reserved + u.reserved, \
    low_stock_threshold = coalesce(u.threshold, s.low_stock_threshold), \
    low = s.on_hand + u.on_hand - s.reserved - u.reserved <= coalesce(u.threshold, s.low_stock_threshold), \
    in_stock = s.on_hand + u.on_hand > s.reserved + u.reserved, \
    crossings = s.crossings + CASE WHEN NOT s.low AND s.on_hand + u.on_hand - s.reserved - u.reserved \
        <= coalesce(u.threshold, s.low_stock_threshold) THEN 1 ELSE 0 END, \
    alerted = coalesce(u.alerted, s.alerted) \
    FROM {u} WHERE s.variant_id = u.variant_id \
    AND (u.expected IS NULL OR s.on_hand = u.expected) \
    AND (u.alerted_before IS NULL OR s.alerted = u.alerted_before) \
    AND s.on_hand + u.on_hand >= 0 AND s.reserved + u.reserved >= 0 \
    AND s.reserved + u.reserved <= s.on_hand + u.on_hand \
    RETURNING s.variant_id::text AS k, s.variant_id, s.on_hand";

// What is on hand afterwards is what the statement's own moves say: their rows aren't visible in the table yet.
const LEDGER: &str = "INSERT INTO commerce_movement (variant_id, set_id, at, kind, delta, on_hand_after, order_id, actor, reason) \
    SELECT u.variant_id, u.set_id, u.at, u.kind, u.delta, s.on_hand - u.later, u.order_id, u.actor, u.reason \
    FROM {u} JOIN {stock} s ON s.variant_id = u.variant_id ON CONFLICT DO NOTHING";

/// A line of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct LedgerLine {
    movement: Movement,
    set_id: CommitId,
    at: Timestamp,
    by: ActorRef,
}

impl LedgerLine {
    pub(crate) fn all(set: &ChangeSet) -> Vec<Self> {
        let line =
            |movement: &Movement| Self { movement: movement.clone(), set_id: set.id(), at: set.at(), by: set.by() };
        set.movements().iter().map(line).collect()
    }

    /// Writes the ledger. Where several sets move one variant, each line says what was on hand after it and before the next.
    pub(crate) fn write_plan(lines: &[Self], plan: &mut Statement) {
        let mut sums: BTreeMap<VariantId, i64> = BTreeMap::new();
        let mut later: Vec<i64> = Vec::with_capacity(lines.len());
        for Self { movement, .. } in lines.iter().rev() {
            let sum = sums.entry(movement.variant).or_default();
            later.push(*sum);
            *sum += movement.delta;
        }
        later.reverse();
        let moved = || lines.iter().map(|line| &line.movement);
        let rows = vec![
            ("variant_id", Column::uuids(moved().map(|movement| movement.variant.0))),
            ("set_id", Column::uuids(lines.iter().map(|line| line.set_id.0))),
            ("at", Column::ints(lines.iter().map(|line| line.at.as_micros()))),
            ("kind", Column::texts(moved().map(|movement| movement.kind.as_str()))),
            ("delta", Column::ints(moved().map(|movement| movement.delta))),
            ("later", Column::ints(later)),
            ("order_id", Column::Uuid(moved().map(|movement| movement.order.map(Into::into)).collect())),
            ("actor", Column::Json(lines.iter().map(|line| Some(to_json(&line.by))).collect())),
            ("reason", Column::Text(moved().map(|movement| movement.reason.clone()).collect())),
        ];
        plan.add(TableWrite::change(LEDGER, rows));
    }
}

table! {
    StockRow = "commerce_stock" by [variant_id] {
        variant_id: Uuid,
        product_id: Uuid,
        on_hand: i64,
        reserved: i64,
        low_stock_threshold: i64,
        low: bool,
        in_stock: bool,
        crossings: i64,
        alerted: i64,
    }
}

table! {
    AlertRow = "commerce_alert" by [id] {
        id: Uuid,
        kind: Name<AlertKind>,
        variant_id: Option<Uuid>,
        order_id: Option<Uuid>,
        detail: String,
        raised_at: i64,
        acknowledged_at: Option<i64>,
        version: i64,
    }
}

impl From<&Alert> for AlertRow {
    fn from(alert: &Alert) -> Self {
        Self {
            id: alert.id.0,
            kind: Name(alert.kind),
            variant_id: alert.variant_id.map(Into::into),
            order_id: alert.order_id.map(Into::into),
            detail: alert.detail.clone(),
            raised_at: alert.raised_at.as_micros(),
            acknowledged_at: alert.acknowledged_at.map(Timestamp::as_micros),
            version: alert.version,
        }
    }
}

impl From<AlertRow> for Alert {
    fn from(row: AlertRow) -> Self {
        Self {
            id: AlertId(row.id),
            kind: row.kind.0,
            variant_id: row.variant_id.map(VariantId),
            order_id: row.order_id.map(OrderId),
            detail: row.detail,
            raised_at: Timestamp::from_micros(row.raised_at),
            acknowledged_at: row.acknowledged_at.map(Timestamp::from_micros),
            version: row.version,
        }
    }
}

impl Sorted for AlertRow {
    fn position(&self) -> Cursor {
        at(self.raised_at, self.id)
    }
}

struct ItemRow {
    variant_id: Uuid,
    product_id: Uuid,
    sku: String,
    product_title: String,
    variant_title: String,
    on_hand: i64,
    reserved: i64,
    low_stock_threshold: i64,
    crossings: i64,
    alerted: i64,
}

from_row!(ItemRow {
    variant_id,
    product_id,
    sku,
    product_title,
    variant_title,
    on_hand,
    reserved,
    low_stock_threshold,
    crossings,
    alerted
});

impl From<ItemRow> for StockItem {
    fn from(row: ItemRow) -> Self {
        Self {
            variant_id: VariantId(row.variant_id),
            product_id: ProductId(row.product_id),
            sku: row.sku,
            product_title: row.product_title,
            variant_title: row.variant_title,
            on_hand: row.on_hand,
            reserved: row.reserved,
            low_stock_threshold: row.low_stock_threshold,
            crossings: row.crossings,
            alerted: row.alerted,
        }
    }
}

impl Sorted for ItemRow {
    fn position(&self) -> Cursor {
        Cursor { key: SortKey::Text(self.sku.clone()), id: self.variant_id }
    }
}

// A ledger outlives its variant's names.
const ITEM: &str = "SELECT s.variant_id, s.product_id, coalesce(v.sku, '') AS sku, coalesce(p.title, '') AS product_title, \
    coalesce(v.title, '') AS variant_title, s.on_hand, s.reserved, s.low_stock_threshold, s.crossings, s.alerted";
const NAMED: &str = " FROM commerce_stock s LEFT JOIN commerce_product p ON p.id = s.product_id \
    LEFT JOIN commerce_variant v ON v.product_id = s.product_id AND v.id = s.variant_id WHERE ";

struct LedgerRow {
    variant_id: Uuid,
    set_id: Uuid,
    at: i64,
    kind: Name<MovementKind>,
    delta: i64,
    on_hand_after: i64,
    order_id: Option<Uuid>,
    actor: Json<ActorRef>,
    reason: Option<String>,
}

from_row!(LedgerRow { variant_id, set_id, at, kind, delta, on_hand_after, order_id, actor, reason });

impl From<LedgerRow> for MovementRecord {
    fn from(row: LedgerRow) -> Self {
        Self {
            variant_id: VariantId(row.variant_id),
            at: Timestamp::from_micros(row.at),
            kind: row.kind.0,
            delta: row.delta,
            on_hand_after: row.on_hand_after,
            order_id: row.order_id.map(OrderId),
            actor: row.actor.0,
            reason: row.reason,
        }
    }
}

impl Sorted for LedgerRow {
    fn position(&self) -> Cursor {
        at(self.at, self.set_id)
    }
}

#[async_trait]
impl InventoryQueries for PgReads {
    async fn load_stock(&self, variant: VariantId) -> Result<Option<StockItem>, StoreError> {
        let mut sql = Sql::new(NAMED).prefixed(ITEM);
        sql.push("s.variant_id = ").bind(variant.0);
        Ok(self.reader.optional::<ItemRow>(&sql).await?.map(Into::into))
    }

    async fn list_stock(&self, query: &StockQuery, spec: &PageSpec) -> Result<Rows<StockItem>, StoreError> {
        let mut from = Sql::new(
            " FROM commerce_variant v JOIN commerce_product p ON p.id = v.product_id JOIN commerce_stock s ON s.variant_id = v.id \
             WHERE NOT v.retired AND p.status <> 'deleted'",
        );
        if query.low_stock {
            from.push(" AND s.low");
        }
        if let Some(q) = &query.q {
            from.push(" AND (starts_with(v.sku_key, ").bind(look(q));
            from.push(") OR strpos(p.title_key, ").bind(q.to_lowercase()).push(") > 0)");
        }
        let list = List { select: ITEM, key: "v.sku", id: "v.id", direction: Direction::Rising };
        self.reader.list::<ItemRow, StockItem>(list, &from, spec).await
    }

    async fn list_movements(&self, variant: VariantId, spec: &PageSpec) -> Result<Rows<MovementRecord>, StoreError> {
        let mut from = Sql::new(" FROM commerce_movement WHERE variant_id = ");
        from.bind(variant.0);
        let list = List { select: "SELECT *", key: "at", id: "set_id", direction: Direction::Falling };
        self.reader.list::<LedgerRow, MovementRecord>(list, &from, spec).await
    }

    async fn load_unalerted(&self, limit: u32) -> Result<Vec<StockItem>, StoreError> {
        let mut sql = Sql::new(NAMED).prefixed(ITEM);
        sql.push("s.crossings > s.alerted ORDER BY s.variant_id LIMIT ").bind(i64::from(limit));
        Ok(self.reader.all::<ItemRow>(&sql).await?.into_iter().map(Into::into).collect())
    }

    async fn load_alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_alert WHERE id = ");
        Ok(self.reader.optional::<AlertRow>(sql.bind(id.0)).await?.map(Into::into))
    }

    async fn list_alerts(&self, query: &AlertQuery, spec: &PageSpec) -> Result<Rows<Alert>, StoreError> {
        let mut from = Sql::new(" FROM commerce_alert WHERE TRUE");
        match query.acknowledged {
            Some(true) => from.push(" AND acknowledged_at IS NOT NULL"),
            Some(false) => from.push(" AND acknowledged_at IS NULL"),
            None => &mut from,
        };
        let list = List { select: "SELECT *", key: "raised_at", id: "id", direction: Direction::Falling };
        self.reader.list::<AlertRow, Alert>(list, &from, spec).await
    }
}
