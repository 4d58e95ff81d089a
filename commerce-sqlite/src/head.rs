//! How heads of aggregates are written.

use commerce_core::store::{Aggregate, AggregateWrite, ExpectedVersion};

use crate::{batch::Batch, row::Entity, table::table};

/// Writes a head: an INSERT that must find nothing, or an UPDATE that must find the version that was read.
pub(crate) fn head<T: Aggregate + Entity>(batch: &mut Batch, save: &AggregateWrite<T>) {
    head_and(batch, save, &[], |_, _| {});
}

/// Whether a column is one of what the head holds, and not what it is found by.
pub(crate) fn is_own(column: &str) -> bool {
    !["id", "version"].contains(&column)
}

/// Writes a head with further columns, which are derived from others. `bind` binds them in their order.
pub(crate) fn head_and<T: Aggregate + Entity>(
    batch: &mut Batch,
    save: &AggregateWrite<T>,
    further: &[&str],
    bind: impl FnOnce(&mut Batch, &T),
) {
    let mut columns = T::columns();
    columns.retain(|column| is_own(column));
    columns.extend(further);
    head_of(batch, save, &columns, |batch, entity| {
        entity.bind_columns(batch, is_own);
        bind(batch, entity);
    });
}

/// Writes these columns of a head alone. `bind` binds them in their order.
pub(crate) fn head_of<T: Aggregate>(
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
