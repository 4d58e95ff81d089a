//! How heads of aggregates are written.

use commerce_core::store::{Aggregate, AggregateWrite, ExpectedVersion};

use crate::{batch::Batch, table::table};

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
