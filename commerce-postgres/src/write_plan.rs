//! Turns a change-set into a [`Statement`]: rows are gathered by table, so that each table is written once.
//!
//! The order is the same in every set: keys, claims, attempts, heads, ratings, children, events, tasks, stock, ledger.

use commerce_core::{
    clock::Timestamp,
    id::ProductId,
    store::{
        Aggregate, AggregateId, AggregateWrite, Attempt, AttemptWrite, Change, ChangeSet, Claim, ClaimOp, KeyWrite,
        TaskWrite, Version,
    },
};
use std::collections::{BTreeMap, BTreeSet};

use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    account::{AddressRow, MailTokenRow, SessionRow, UserRow},
    batch::WriteBatch,
    cart::{CartLineRow, CartRow},
    catalog::{CategoryRow, ProductCategoryRow},
    codec::{Column, Table, to_json},
    inventory::{AlertRow, StockMoves},
    order::{FulfilmentRow, OrderLineRow, OrderRow, PaymentRow, RefundRow, ReturnRow},
    outbox::{EventRow, IdempotencyRow, TaskRow},
    product_row::{ProductRow, VariantRow},
    review::ReviewRow,
    statement::{GuardFailure, Guards, Head, NamedColumns, Statement, TableWrite},
};

/// Heads of one kind.
pub(crate) struct Heads<T> {
    new: Vec<(AggregateId, T)>,
    changed: Vec<(AggregateId, T)>,
}

/// Child rows of one kind.
pub(crate) struct Below<T> {
    put: Vec<T>,
    gone: Vec<Vec<Uuid>>,
}

impl<T> Default for Heads<T> {
    fn default() -> Self {
        Self { new: Vec::new(), changed: Vec::new() }
    }
}

impl<T> Default for Below<T> {
    fn default() -> Self {
        Self { put: Vec::new(), gone: Vec::new() }
    }
}

impl<T: Table> Heads<T> {
    pub(crate) fn save<A: Aggregate>(&mut self, save: &AggregateWrite<A>, row: T) {
        let list = if save.before().is_none() { &mut self.new } else { &mut self.changed };
        list.push((save.after().root(), row));
    }

    fn write_plan(self, plan: &mut Statement) {
        let stale = |root: &AggregateId| (root.id().to_string(), GuardFailure::Stale(*root));
        let (roots, rows): (Vec<_>, Vec<_>) = self.new.into_iter().unzip();
        plan.insert(rows, roots.iter().map(stale).collect());
        let (roots, rows): (Vec<_>, Vec<_>) = self.changed.into_iter().unzip();
        plan.update(rows, roots.iter().map(stale).collect());
    }
}

impl<T: Table> Below<T> {
    pub(crate) fn put(&mut self, row: T) {
        self.put.push(row);
    }

    /// Removes the row with this key.
    pub(crate) fn gone(&mut self, key: impl Into<Vec<Uuid>>) {
        self.gone.push(key.into());
    }

    fn write_plan(self, plan: &mut Statement) {
        plan.delete::<T>(&self.gone);
        plan.put(self.put);
    }
}

/// A change-set's rows, by table.
#[derive(Default)]
pub(crate) struct RowSet {
    pub users: Heads<UserRow>,
    pub addresses: Heads<AddressRow>,
    pub sessions: Heads<SessionRow>,
    pub mail_tokens: Heads<MailTokenRow>,
    pub products: Heads<ProductRow>,
    /// The version of the category tree, before and after.
    pub tree: Option<(Version, Version)>,
    pub carts: Heads<CartRow>,
    pub orders: Heads<OrderRow>,
    pub reviews: Heads<ReviewRow>,
    pub alerts: Heads<AlertRow>,
    pub variants: Below<VariantRow>,
    pub product_categories: Below<ProductCategoryRow>,
    pub words: BTreeSet<String>,
    pub opened_ratings: Vec<ProductId>,
    pub categories: Below<CategoryRow>,
    pub cart_lines: Below<CartLineRow>,
    pub order_lines: Below<OrderLineRow>,
    pub payments: Below<PaymentRow>,
    pub refunds: Below<RefundRow>,
    pub fulfilments: Below<FulfilmentRow>,
    pub returns: Below<ReturnRow>,
    pub stock: StockMoves,
    removed: Vec<(AggregateId, Version)>,
    asserted: Vec<(AggregateId, Version)>,
    purge: Option<Timestamp>,
}

/// Composes what a set does.
pub(crate) fn write_plan(set: &ChangeSet) -> WriteBatch {
    let mut plan = Statement::default();
    let mut batch = RowSet::default();
    for change in set.changes() {
        batch.change(change);
        if let Some(root) = read_before(change) {
            plan.lock(root.into(), root.id());
        }
    }
    for (variant, delta) in set.stock() {
        batch.stock.delta(variant, delta);
    }
    for variant in batch.stock.moved() {
        plan.lock(Head::STOCK, variant);
    }

    let applied = (set.id().to_string(), GuardFailure::Applied(set.id()));
    let id = ("id", Column::uuids([set.id().0]));
    let at = ("at", Column::ints([set.at().as_micros()]));
    let once = "ON CONFLICT DO NOTHING RETURNING id::text AS k";
    plan.add(TableWrite::insert("commerce_commit", once, vec![id, at]).guarded(vec![applied]));
    keys(set, &mut plan);
    claims(set, &mut plan);
    attempts(set, &mut plan);
    let purge = batch.purge;
    let stock = batch.write_plan(set, &mut plan);
    outbox(set, &mut plan);
    if let Some(before) = purge {
        forget(before, &mut plan);
    }
    WriteBatch::new(set, plan, stock)
}

/// The head that must be as it was read, if the change says so.
fn read_before(change: &Change) -> Option<AggregateId> {
    fn root<A: Aggregate>(save: &AggregateWrite<A>) -> Option<AggregateId> {
        save.before().map(Aggregate::root)
    }
    match change {
        Change::User(save) => root(save),
        Change::Address(save) => root(save),
        Change::Session(save) => root(save),
        Change::MailToken(save) => root(save),
        Change::Product(save) => root(save),
        Change::Categories(_) => Some(AggregateId::Categories),
        Change::Cart(save) => root(save),
        Change::Order(save) => root(save),
        Change::Review(save) => root(save),
        Change::Alert(save) => root(save),
        Change::Remove(root, _) | Change::RequireVersion(root, _) => Some(*root),
        Change::OpenStock(_) | Change::StockThreshold(..) | Change::StockAlerted { .. } | Change::Purge(_) => None,
    }
}

fn keys(set: &ChangeSet, plan: &mut Statement) {
    let answer_of = |key: &[u8; 32]| {
        set.keys().iter().find_map(|write| match write {
            KeyWrite::Resolve { key: answered, output } if answered == key => Some(output.clone()),
            _ => None,
        })
    };
    let (mut claimed, mut guards) = (Vec::new(), Vec::new());
    let (mut answered, mut outputs, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
    for write in set.keys() {
        match write {
            KeyWrite::Claim(record) => {
                let output = answer_of(&record.key).or_else(|| record.output.clone());
                guards.push((hex::encode(record.key), GuardFailure::Key(record.key)));
                claimed.push(IdempotencyRow { output: output.map(Json), ..record.into() });
            }
            KeyWrite::Resolve { key, output } => {
                answered.push(Some(key.to_vec()));
                outputs.push(Some(to_json(output)));
            }
            KeyWrite::Forget(key) => forgotten.push(Some(key.to_vec())),
        }
    }
    let sql = "DELETE FROM commerce_key t USING {u} WHERE t.key = u.key";
    plan.add(TableWrite::change(sql, vec![("key", Column::Bytes(forgotten))]));
    plan.insert_returning(claimed, "encode(key, 'hex')", guards);
    let sql = "UPDATE commerce_key t SET output = u.output FROM {u} WHERE t.key = u.key";
    plan.add(TableWrite::change(sql, vec![("key", Column::Bytes(answered)), ("output", Column::Json(outputs))]));
}

fn claims(set: &ChangeSet, plan: &mut Statement) {
    let (mut conn, mut freed, mut guards) = (Vec::new(), Vec::new(), Vec::new());
    for (claim, take) in set.claims() {
        match take {
            ClaimOp::Acquire(owner) => {
                guards.push((format!("{}:{}", claim.kind.as_str(), claim.key), GuardFailure::Claim(claim.clone())));
                conn.push((claim, owner));
            }
            ClaimOp::Release(owner) => freed.push((claim, owner)),
        }
    }
    let rows = |claims: Vec<(&Claim, Uuid)>| {
        vec![
            ("key", Column::texts(claims.iter().map(|(claim, _)| claim.key.as_str()))),
            ("kind", Column::texts(claims.iter().map(|(claim, _)| claim.kind.as_str()))),
            ("owner", Column::uuids(claims.iter().map(|(_, owner)| *owner))),
        ]
    };
    let take = "ON CONFLICT DO NOTHING RETURNING kind || ':' || key AS k";
    plan.add(TableWrite::insert("commerce_claim", take, rows(conn)).guarded(guards));
    let free = "DELETE FROM commerce_claim t USING {u} WHERE t.key = u.key AND t.kind = u.kind AND t.owner = u.owner";
    plan.add(TableWrite::change(free, rows(freed)));
}

fn attempts(set: &ChangeSet, plan: &mut Statement) {
    let (mut counted, mut taken_back) = (Vec::new(), Vec::new());
    for write in set.attempts() {
        match write {
            AttemptWrite::Count(attempt) => counted.push(attempt),
            AttemptWrite::TakeBack(attempt) => taken_back.push(attempt),
        }
    }
    let keys =
        |attempts: &[Attempt]| Column::Bytes(attempts.iter().map(|attempt| Some(attempt.key.to_vec())).collect());
    let since = |attempts: &[Attempt]| Column::ints(attempts.iter().map(|attempt| attempt.since.as_micros()));
    let rows = vec![
        ("key", keys(&counted)),
        ("since", since(&counted)),
        ("attempts", Column::ints(counted.iter().map(|_| 1))),
        ("most", Column::ints(counted.iter().map(|attempt| i64::from(attempt.limit)))),
    ];
    let guards = counted.iter().map(|attempt| (hex::encode(attempt.key), GuardFailure::Limit(attempt.key))).collect();
    plan.add(TableWrite::insert("commerce_attempt", COUNT, rows).guarded(guards));
    let sql = "UPDATE commerce_attempt t SET attempts = t.attempts - 1 FROM {u} \
                     WHERE t.key = u.key AND t.since = u.since AND t.attempts > 0";
    plan.add(TableWrite::change(sql, vec![("key", keys(&taken_back)), ("since", since(&taken_back))]));
}

// Writes no row if the limit is reached. Of those who count at once, each waits for the row and looks at it anew.
const COUNT: &str = "ON CONFLICT (key) DO UPDATE SET \
    attempts = CASE WHEN commerce_attempt.since < EXCLUDED.since THEN 1 ELSE commerce_attempt.attempts + 1 END, \
    since = greatest(commerce_attempt.since, EXCLUDED.since), most = EXCLUDED.most \
    WHERE commerce_attempt.since < EXCLUDED.since OR commerce_attempt.attempts < EXCLUDED.most \
    RETURNING encode(key, 'hex') AS k";

fn outbox(set: &ChangeSet, plan: &mut Statement) {
    let events: Vec<EventRow> = set.events().iter().map(EventRow::from).collect();
    let twice = |id: String| (id, GuardFailure::Bug("an event or a task was written before under the same id"));
    let ids = events.iter().map(|event| twice(event.id.to_string())).collect();
    plan.insert(events, ids);

    let (mut added, mut done) = (Vec::new(), Vec::new());
    let (mut failed, mut dues, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for write in set.tasks() {
        match write {
            TaskWrite::Add { id, due, task } => added.push(TaskRow::new(*id, *due, task)),
            TaskWrite::Done(id) => done.push(vec![id.0]),
            TaskWrite::Failed { id, due, error } => {
                failed.push(id.0);
                dues.push(due.map(Timestamp::as_micros));
                errors.push(error.as_str());
            }
        }
    }
    let ids = added.iter().map(|task| twice(task.id.to_string())).collect();
    plan.insert(added, ids);
    plan.delete::<TaskRow>(&done);
    let put_off = "UPDATE commerce_task t SET due = coalesce(u.due, t.due), dead = u.due IS NULL, lease_until = 0, worker = NULL, \
                   last_error = u.error FROM {u} WHERE t.id = u.id";
    let rows = vec![("id", Column::uuids(failed)), ("due", Column::Int(dues)), ("error", Column::texts(errors))];
    plan.add(TableWrite::change(put_off, rows));
}

impl RowSet {
    fn change(&mut self, change: &Change) {
        match change {
            Change::User(save) => self.users.save(save, save.after().into()),
            Change::Address(save) => self.addresses.save(save, save.after().into()),
            Change::Session(save) => self.sessions.save(save, save.after().into()),
            Change::MailToken(save) => self.mail_tokens.save(save, save.after().into()),
            Change::Product(save) => self.product(save),
            Change::Categories(save) => self.categories(save),
            Change::Cart(save) => self.cart(save),
            Change::Order(save) => self.order(save),
            Change::Review(save) => self.reviews.save(save, save.after().into()),
            Change::Alert(save) => self.alerts.save(save, save.after().into()),
            Change::Remove(root, version) => self.removed.push((*root, *version)),
            Change::RequireVersion(root, version) => self.asserted.push((*root, *version)),
            Change::OpenStock(stock) => self.stock.open(*stock),
            Change::StockThreshold(variant, threshold) => self.stock.threshold(*variant, *threshold),
            Change::StockAlerted { variant, from, to } => self.stock.alerted(*variant, *from, *to),
            Change::Purge(before) => self.purge = self.purge.max(Some(*before)),
        }
    }

    // Stock is left to last, as it may be added up with that of others.
    fn write_plan(self, set: &ChangeSet, plan: &mut Statement) -> StockMoves {
        self.users.write_plan(plan);
        self.addresses.write_plan(plan);
        self.sessions.write_plan(plan);
        self.mail_tokens.write_plan(plan);
        self.products.write_plan(plan);
        tree(self.tree, plan);
        self.carts.write_plan(plan);
        self.orders.write_plan(plan);
        self.reviews.write_plan(plan);
        self.alerts.write_plan(plan);
        remove(&self.removed, plan);
        assert_unchanged(&self.asserted, plan);
        crate::review::rate(set, &self.opened_ratings, plan);
        self.variants.write_plan(plan);
        self.product_categories.write_plan(plan);
        let words = vec![("word", Column::texts(self.words.iter().map(String::as_str)))];
        plan.add(TableWrite::insert("commerce_search_word", "ON CONFLICT DO NOTHING", words));
        self.categories.write_plan(plan);
        self.cart_lines.write_plan(plan);
        self.order_lines.write_plan(plan);
        self.payments.write_plan(plan);
        self.refunds.write_plan(plan);
        self.fulfilments.write_plan(plan);
        self.returns.write_plan(plan);
        self.stock
    }
}

// Its head is always there, at version 0 while nothing was written; a tree that is copied here comes with a version of its own.
fn tree(versions: Option<(Version, Version)>, plan: &mut Statement) {
    let Some((before, after)) = versions else { return };
    let sql = "UPDATE commerce_category_tree t SET version = u.version FROM {u} WHERE t.id = u.id AND t.version = u.before \
               RETURNING t.id::text AS k";
    let root = AggregateId::Categories;
    let rows = vec![
        ("id", Column::uuids([root.id()])),
        ("before", Column::ints([before])),
        ("version", Column::ints([after])),
    ];
    plan.add(TableWrite::change(sql, rows).guarded(vec![(root.id().to_string(), GuardFailure::Stale(root))]));
}

fn by_head(roots: &[(AggregateId, Version)]) -> BTreeMap<Head, Vec<(AggregateId, Version)>> {
    let mut heads: BTreeMap<Head, Vec<(AggregateId, Version)>> = BTreeMap::new();
    for (root, version) in roots {
        heads.entry((*root).into()).or_default().push((*root, *version));
    }
    heads
}

fn at_version(roots: &[(AggregateId, Version)]) -> (NamedColumns, Guards) {
    let ids = Column::uuids(roots.iter().map(|(root, _)| root.id()));
    let versions = Column::ints(roots.iter().map(|(_, version)| *version));
    let guards = roots.iter().map(|(root, _)| (root.id().to_string(), GuardFailure::Stale(*root))).collect();
    (vec![("id", ids), ("version", versions)], guards)
}

fn remove(roots: &[(AggregateId, Version)], plan: &mut Statement) {
    if roots.iter().any(|(root, _)| matches!(root, AggregateId::Categories | AggregateId::StockAlert(_))) {
        plan.refuse("the category tree and stock can't be removed");
    }
    for (head, roots) in by_head(roots) {
        let Head { table, id, version, below, .. } = head;
        let (rows, guards) = at_version(&roots);
        let sql = format!(
            "DELETE FROM {table} t USING {{u}} WHERE t.{id} = u.id AND t.{version} = u.version RETURNING t.{id}::text AS k"
        );
        plan.add(TableWrite::with_lock(sql, rows).guarded(guards));
        for (table, id) in below {
            let ids = Column::uuids(roots.iter().map(|(root, _)| root.id()));
            plan.add(TableWrite::change(
                format!("DELETE FROM {table} t USING {{u}} WHERE t.{id} = u.id"),
                vec![("id", ids)],
            ));
        }
    }
}

// The rows were locked with BEGIN, so what this statement sees stays true until the COMMIT.
fn assert_unchanged(roots: &[(AggregateId, Version)], plan: &mut Statement) {
    for (head, roots) in by_head(roots) {
        let Head { table, id, version, .. } = head;
        let (rows, guards) = at_version(&roots);
        let sql =
            format!("SELECT t.{id}::text AS k FROM {table} t JOIN {{u}} ON t.{id} = u.id AND t.{version} = u.version");
        plan.add(TableWrite::with_lock(sql, rows).guarded(guards));
    }
}

fn forget(before: Timestamp, plan: &mut Statement) {
    for (table, past) in [
        ("commerce_commit", "t.at < u.past"),
        ("commerce_key", "t.at < u.past"),
        ("commerce_attempt", "t.since < u.past"),
        ("commerce_session", "(t.ended_at < u.past OR t.expires_at < u.past)"),
        ("commerce_mail_token", "(t.used_at < u.past OR t.expires_at < u.past)"),
    ] {
        let rows = vec![("past", Column::ints([before.as_micros()]))];
        plan.add(TableWrite::change(format!("DELETE FROM {table} t USING {{u}} WHERE {past}"), rows));
    }
}
