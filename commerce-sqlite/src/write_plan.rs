//! What a change-set becomes in SQL. Each domain's module writes its own rows; here is the order they go in.

use commerce_core::store::{AggregateId, Applied, Change, ChangeSet, CommitError, ExpectedVersion, Version};
use sqlx::{Executor as _, SqliteConnection};

use crate::{
    account,
    batch::{Batch, RELEASE, SAVEPOINT, WritePlan},
    cart, catalog,
    error::{SharedError, not_applied},
    head::head,
    inventory, order, outbox, review,
    table::table,
};

impl WritePlan {
    /// # Errors
    /// If the set asks for something that can't be: a bug in core.
    pub(crate) fn new(set: &ChangeSet) -> Result<Self, CommitError> {
        write_plan(set).map(Batch::finish)
    }
}

/// Keys, claims, attempts, aggregates, counters, ledger, events, tasks: what comes later may read what came before.
fn write_plan(set: &ChangeSet) -> Result<Batch, CommitError> {
    let mut batch = Batch::new(set.id());
    outbox::commit_id(&mut batch, set);
    outbox::keys(&mut batch, set);
    outbox::claims(&mut batch, set);
    outbox::attempts(&mut batch, set);
    for change in set.changes() {
        aggregate(&mut batch, change)?;
    }
    inventory::counters(&mut batch, set);
    review::ratings(&mut batch, set);
    inventory::movements(&mut batch, set);
    outbox::events(&mut batch, set);
    outbox::tasks(&mut batch, set);
    for change in set.changes() {
        if let Change::Purge(before) = change {
            outbox::purge(&mut batch, *before);
        }
    }
    Ok(batch)
}

fn aggregate(batch: &mut Batch, change: &Change) -> Result<(), CommitError> {
    match change {
        Change::User(save) => account::save_user(batch, save),
        Change::Address(save) => head(batch, save),
        Change::Session(save) => head(batch, save),
        Change::MailToken(save) => head(batch, save),
        Change::Product(save) => catalog::save_product(batch, save),
        Change::Categories(save) => catalog::save_categories(batch, save),
        Change::Cart(save) => cart::save_cart(batch, save),
        Change::Order(save) => order::save_order(batch, save),
        Change::Review(save) => head(batch, save),
        Change::Alert(save) => head(batch, save),
        Change::Remove(root, version) => return remove(batch, *root, *version),
        Change::RequireVersion(root, version) => assert(batch, *root, *version),
        Change::OpenStock(stock) => inventory::open_stock(batch, stock),
        Change::StockThreshold(variant, threshold) => inventory::threshold(batch, *variant, *threshold),
        Change::StockAlerted { variant, from, to } => inventory::alerted(batch, *variant, *from, *to),
        // Purging comes last.
        Change::Purge(_) => {}
    }
    Ok(())
}

fn remove(batch: &mut Batch, root: AggregateId, version: Version) -> Result<(), CommitError> {
    match root {
        AggregateId::Categories | AggregateId::StockAlert(_) => {
            return Err(CommitError::Bug(format!("{root:?} can't be removed").into()));
        }
        AggregateId::Product(id) => catalog::forget_search(batch, id),
        _ => {}
    }
    batch.guards.heads.push((root, ExpectedVersion::At(version)));
    let table = table(root);
    batch.guarded(1, "DELETE FROM ").push(table.name);
    batch.push(" WHERE id = ? AND version = ?").bind(root.id()).bind(version);
    Ok(())
}

/// An UPDATE that changes nothing counts whether the row is there at this version.
fn assert(batch: &mut Batch, root: AggregateId, version: Version) {
    batch.guards.heads.push((root, ExpectedVersion::At(version)));
    let table = table(root);
    batch.guarded(1, "UPDATE ").push(table.name).push(" SET ").push(table.version).push(" = ").push(table.version);
    batch.push(" WHERE ").push(table.id).push(" = ? AND ").push(table.version).push(" = ?");
    if root == AggregateId::Categories {
        batch.bind(1)
    } else {
        batch.bind(root.id())
    };
    batch.bind(version);
}

/// Applies a change-set inside a transaction of your own, all or nothing: a conflict leaves the transaction as it was before
/// the call. The set takes effect when you commit.
///
/// Begin the transaction with `BEGIN IMMEDIATE`; better still, join the writer queue by
/// [`SqliteStore::write`](crate::SqliteStore::write).
///
/// # Errors
/// As [`Store::commit`](commerce_core::store::Store::commit); [`CommitError::Unavailable`] means that SQLite may have rolled
/// back your whole transaction.
pub async fn apply(conn: &mut SqliteConnection, set: &ChangeSet) -> Result<Applied, CommitError> {
    let compiled = WritePlan::new(set)?;
    let fatal = |error| not_applied(SharedError::new(error));
    conn.execute(SAVEPOINT).await.map_err(fatal)?;
    let answer = compiled.run(&mut *conn).await.map_err(fatal)?;
    conn.execute(RELEASE).await.map_err(fatal)?;
    answer
}
