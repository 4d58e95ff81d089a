//! What a change-set becomes in SQL. Each domain's module writes its own rows; here is the order they go in.

use commerce_core::store::{Aggregate, Change, ChangeSet, CommitError, Root, Save, Version, Was};

use crate::{account, cart, catalog, inventory, order, outbox, review, script::Script};

/// Where an aggregate's head is kept.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) id: &'static str,
    pub(crate) version: &'static str,
}

pub(crate) const fn table(root: Root) -> Table {
    let name = match root {
        Root::User(_) => "commerce_user",
        Root::Address(_) => "commerce_address",
        Root::Session(_) => "commerce_session",
        Root::MailToken(_) => "commerce_mail_token",
        Root::Product(_) => "commerce_product",
        Root::Categories => return Table { name: "commerce_category_tree", id: "one", version: "version" },
        Root::Cart(_) => "commerce_cart",
        Root::Order(_) => "commerce_order",
        Root::Review(_) => "commerce_review",
        Root::Alert(_) => "commerce_alert",
        Root::StockAlert(_) => return Table { name: "commerce_stock", id: "variant_id", version: "alerted" },
    };
    Table { name, id: "id", version: "version" }
}

/// Keys, claims, aggregates, counters, ledger, events, tasks: what comes later may read what came before.
pub(crate) fn compile(set: &ChangeSet) -> Result<Script, CommitError> {
    let mut script = Script::new(set.id());
    outbox::commit_id(&mut script, set);
    outbox::keys(&mut script, set);
    outbox::claims(&mut script, set);
    for change in set.changes() {
        aggregate(&mut script, change)?;
    }
    inventory::counters(&mut script, set);
    review::ratings(&mut script, set);
    inventory::movements(&mut script, set);
    outbox::events(&mut script, set);
    outbox::tasks(&mut script, set);
    for change in set.changes() {
        if let Change::Purge(before) = change {
            outbox::purge(&mut script, *before);
        }
    }
    Ok(script)
}

fn aggregate(script: &mut Script, change: &Change) -> Result<(), CommitError> {
    match change {
        Change::User(save) => account::save_user(script, save),
        Change::Address(save) => account::save_address(script, save),
        Change::Session(save) => account::save_session(script, save),
        Change::MailToken(save) => account::save_mail_token(script, save),
        Change::Product(save) => catalog::save_product(script, save),
        Change::Categories(save) => catalog::save_categories(script, save),
        Change::Cart(save) => cart::save_cart(script, save),
        Change::Order(save) => order::save_order(script, save),
        Change::Review(save) => review::save_review(script, save),
        Change::Alert(save) => inventory::save_alert(script, save),
        Change::Remove(root, version) => return remove(script, *root, *version),
        Change::Assert(root, version) => assert(script, *root, *version),
        Change::OpenStock(stock) => inventory::open_stock(script, stock),
        Change::StockThreshold(variant, threshold) => inventory::threshold(script, *variant, *threshold),
        Change::StockAlerted { variant, from, to } => inventory::alerted(script, *variant, *from, *to),
        // Purging comes last.
        Change::Purge(_) => {}
    }
    Ok(())
}

/// Writes a head: an INSERT that must find nothing, or an UPDATE that must find the version that was read. `bind` binds the
/// `columns` in their order.
pub(crate) fn head<T: Aggregate>(
    script: &mut Script,
    save: &Save<T>,
    columns: &[&str],
    bind: impl FnOnce(&mut Script, &T),
) {
    let (root, was) = (save.after().root(), save.was());
    let table = table(root);
    script.guards.heads.push((root, was));
    match was {
        Was::Absent => {
            script.guarded(1, "INSERT INTO ").push(table.name).push(" (");
            for column in columns {
                script.push(column).push(", ");
            }
            script.push("version, id) VALUES ").rows(1, columns.len() + 2).push(" ON CONFLICT (id) DO NOTHING");
            bind(script, save.after());
            script.bind(save.after().version()).bind(root.id());
        }
        Was::At(version) => {
            script.guarded(1, "UPDATE ").push(table.name).push(" SET ");
            for column in columns {
                script.push(column).push(" = ?, ");
            }
            script.push("version = ? WHERE id = ? AND version = ?");
            bind(script, save.after());
            script.bind(save.after().version()).bind(root.id()).bind(version);
        }
    }
}

fn remove(script: &mut Script, root: Root, version: Version) -> Result<(), CommitError> {
    match root {
        Root::Categories | Root::StockAlert(_) => {
            return Err(CommitError::Bug(format!("{root:?} can't be removed").into()));
        }
        Root::Product(id) => catalog::forget_search(script, id),
        _ => {}
    }
    script.guards.heads.push((root, Was::At(version)));
    let table = table(root);
    script.guarded(1, "DELETE FROM ").push(table.name);
    script.push(" WHERE id = ? AND version = ?").bind(root.id()).bind(version);
    Ok(())
}

/// An UPDATE that changes nothing counts whether the row is there at this version.
fn assert(script: &mut Script, root: Root, version: Version) {
    script.guards.heads.push((root, Was::At(version)));
    let table = table(root);
    script.guarded(1, "UPDATE ").push(table.name).push(" SET ").push(table.version).push(" = ").push(table.version);
    script.push(" WHERE ").push(table.id).push(" = ? AND ").push(table.version).push(" = ?");
    if root == Root::Categories {
        script.bind(1)
    } else {
        script.bind(root.id())
    };
    script.bind(version);
}
