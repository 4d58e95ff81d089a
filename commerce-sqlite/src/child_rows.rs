//! Rows below a head. They carry no guard of their own: the head's version guards them.

use uuid::Uuid;

use crate::{batch::Batch, row::Entity};

/// Inserts rows, or replaces those with the same key, in one statement. Each holds the id of its parent in the column of that
/// name, if they have one.
pub(crate) fn children<C: Entity>(batch: &mut Batch, table: &str, parent: Option<(&'static str, Uuid)>, rows: &[&C]) {
    if rows.is_empty() {
        return;
    }
    let columns: Vec<&str> = parent.iter().map(|(column, _)| *column).chain(C::columns()).collect();
    batch.statement("INSERT OR REPLACE INTO ").push(table).push(" (").push(&columns.join(", "));
    batch.push(") VALUES ").rows(rows.len(), columns.len());
    for row in rows {
        if let Some((_, id)) = parent {
            batch.bind(id);
        }
        row.bind_columns(batch, |_| true);
    }
}

/// Removes children that have an id of their own.
pub(crate) fn remove(batch: &mut Batch, table: &str, ids: impl ExactSizeIterator<Item = Uuid>) {
    if ids.len() == 0 {
        return;
    }
    batch.statement("DELETE FROM ").push(table).push(" WHERE id IN (").marks(ids.len()).push(")");
    for id in ids {
        batch.bind(id);
    }
}
