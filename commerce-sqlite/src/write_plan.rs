//! What a change-set becomes in SQL. Each domain's module writes its own rows; here is the order they go in.

use commerce_core::store::{
    Aggregate, AggregateId, AggregateWrite, Change, ChangeSet, CommitError, ExpectedVersion, Version,
};

use crate::{account, batch::Batch, cart, catalog, inventory, order, outbox, review};

/// Where an aggregate's head is kept.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) id: &'static str,
    pub(crate) version: &'static str,
}

pub(crate) const fn table(root: AggregateId) -> Table {
    let name = match root {
        AggregateId::User(_) => "commerce_user",
        AggregateId::Address(_) => "commerce_address",
        AggregateId::Session(_) => "commerce_session",
        AggregateId::MailToken(_) => "commerce_mail_token",
        AggregateId::Product(_) => "commerce_product",
        AggregateId::Categories => return Table { name: "commerce_category_tree", id: "one", version: "version" },
        AggregateId::Cart(_) => "commerce_cart",
        AggregateId::Order(_) => "commerce_order",
        AggregateId::Review(_) => "commerce_review",
        AggregateId::Alert(_) => "commerce_alert",
        AggregateId::StockAlert(_) => return Table { name: "commerce_stock", id: "variant_id", version: "alerted" },
    };
    Table { name, id: "id", version: "version" }
}

/// Keys, claims, aggregates, counters, ledger, events, tasks: what comes later may read what came before.
pub(crate) fn write_plan(set: &ChangeSet) -> Result<Batch, CommitError> {
    let mut batch = Batch::new(set.id());
    outbox::commit_id(&mut batch, set);
    outbox::keys(&mut batch, set);
    outbox::claims(&mut batch, set);
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
        Change::Address(save) => account::save_address(batch, save),
        Change::Session(save) => account::save_session(batch, save),
        Change::MailToken(save) => account::save_mail_token(batch, save),
        Change::Product(save) => catalog::save_product(batch, save),
        Change::Categories(save) => catalog::save_categories(batch, save),
        Change::Cart(save) => cart::save_cart(batch, save),
        Change::Order(save) => order::save_order(batch, save),
        Change::Review(save) => review::save_review(batch, save),
        Change::Alert(save) => inventory::save_alert(batch, save),
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

/// Writes a head: an INSERT that must find nothing, or an UPDATE that must find the version that was read. `bind` binds the
/// `columns` in their order.
pub(crate) fn head<T: Aggregate>(
    batch: &mut Batch,
    save: &AggregateWrite<T>,
    columns: &[&str],
    bind: impl FnOnce(&mut Batch, &T),
) {
    let (root, was) = (save.after().root(), save.expected_version());
    let table = table(root);
    batch.guards.heads.push((root, was));
    match was {
        ExpectedVersion::Absent => {
            batch.guarded(1, "INSERT INTO ").push(table.name).push(" (");
            for column in columns {
                batch.push(column).push(", ");
            }
            batch.push("version, id) VALUES ").rows(1, columns.len() + 2).push(" ON CONFLICT (id) DO NOTHING");
            bind(batch, save.after());
            batch.bind(save.after().version()).bind(root.id());
        }
        ExpectedVersion::At(version) => {
            batch.guarded(1, "UPDATE ").push(table.name).push(" SET ");
            for column in columns {
                batch.push(column).push(" = ?, ");
            }
            batch.push("version = ? WHERE id = ? AND version = ?");
            bind(batch, save.after());
            batch.bind(save.after().version()).bind(root.id()).bind(version);
        }
    }
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
