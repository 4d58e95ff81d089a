//! Rows below a head. They carry no guard of their own: the head's version guards them.

use uuid::Uuid;

use crate::batch::Batch;

/// Inserts rows, or replaces those with the same key, in one statement.
pub(crate) fn children<C>(
    batch: &mut Batch,
    table: &str,
    columns: &[&str],
    rows: &[&C],
    mut bind: impl FnMut(&mut Batch, &C),
) {
    if rows.is_empty() {
        return;
    }
    batch.statement("INSERT OR REPLACE INTO ").push(table).push(" (");
    for (n, column) in columns.iter().enumerate() {
        batch.push(if n == 0 { "" } else { ", " }).push(column);
    }
    batch.push(") VALUES ").rows(rows.len(), columns.len());
    for row in rows {
        bind(batch, row);
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
