//! Rows below a head. They carry no guard of their own: the head's version guards them.

use uuid::Uuid;

use crate::script::Script;

/// Inserts rows, or replaces those with the same key, in one statement.
pub(crate) fn children<C>(
    script: &mut Script,
    table: &str,
    columns: &[&str],
    rows: &[&C],
    mut bind: impl FnMut(&mut Script, &C),
) {
    if rows.is_empty() {
        return;
    }
    script.statement("INSERT OR REPLACE INTO ").push(table).push(" (");
    for (n, column) in columns.iter().enumerate() {
        script.push(if n == 0 { "" } else { ", " }).push(column);
    }
    script.push(") VALUES ").rows(rows.len(), columns.len());
    for row in rows {
        bind(script, row);
    }
}

/// Removes children that have an id of their own.
pub(crate) fn remove(script: &mut Script, table: &str, ids: impl ExactSizeIterator<Item = Uuid>) {
    if ids.len() == 0 {
        return;
    }
    script.statement("DELETE FROM ").push(table).push(" WHERE id IN (").marks(ids.len()).push(")");
    for id in ids {
        script.bind(id);
    }
}
