//! Keyset pages: the part of a list after a position, one row more than asked to know whether there is a next page.

use commerce_core::{
    page::{Cursor, PageSpec, Rows, SortKey},
    store::StoreError,
};
use uuid::Uuid;

use crate::{
    SqliteStore,
    codec::{FromJson, Row},
    sql::Sql,
};

/// What a list is sorted by: a key and, to break ties, an id that runs the same way.
pub(crate) struct Keyset {
    key: &'static str,
    id: &'static str,
    falling: bool,
}

impl Keyset {
    pub(crate) const fn falling(key: &'static str, id: &'static str) -> Self {
        Self { key, id, falling: true }
    }

    pub(crate) const fn rising(key: &'static str, id: &'static str) -> Self {
        Self { key, id, falling: false }
    }

    fn after(&self, sql: &mut Sql, position: &Cursor) {
        let than = if self.falling { "<" } else { ">" };
        sql.push(" AND (").push(self.key).push(", ").push(self.id).push(") ").push(than).push(" (?, ?)");
        bind_key(sql, &position.key);
        sql.bind(position.id);
    }

    fn order(&self, sql: &mut Sql) {
        let way = if self.falling { " DESC" } else { "" };
        sql.push(" ORDER BY ").push(self.key).push(way).push(", ").push(self.id).push(way);
    }
}

pub(crate) fn bind_key(sql: &mut Sql, key: &SortKey) {
    match key {
        SortKey::Int(key) => sql.bind(*key),
        SortKey::Real(key) => sql.bind(*key),
        SortKey::Text(key) => sql.bind(key.clone()),
    };
}

/// The rows of a page and, if it was asked for, the total.
pub(crate) struct FetchedRows<T> {
    pub(crate) items: Vec<T>,
    pub(crate) total: Option<u64>,
}

impl SqliteStore {
    /// `SELECT row filter …`, where `filter` writes `FROM` and `WHERE`. Counting is a second statement.
    pub(crate) async fn page<T: FromJson>(
        &self,
        row: &str,
        filter: impl Fn(&mut Sql) + Send,
        keyset: &Keyset,
        spec: &PageSpec,
    ) -> Result<FetchedRows<T>, StoreError> {
        let total = if spec.count {
            let mut count = Sql::new("SELECT count(*)");
            filter(&mut count);
            Some(self.number(count).await?)
        } else {
            None
        };
        let mut sql = Sql::new("SELECT ");
        sql.push(row);
        filter(&mut sql);
        if let Some(position) = &spec.after {
            keyset.after(&mut sql, position);
        }
        keyset.order(&mut sql);
        sql.push(" LIMIT ?").bind(i64::from(spec.limit) + 1);
        let items = self.many::<Row<T>>(sql).await?.into_iter().map(|row| row.0).collect();
        Ok(FetchedRows { items, total })
    }
}

/// Cuts the row too many off and says where the page ended.
pub(crate) fn listed<T>(rows: FetchedRows<T>, spec: &PageSpec, at: impl Fn(&T) -> (SortKey, Uuid)) -> Rows<T> {
    let FetchedRows { mut items, total } = rows;
    let limit = spec.limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| {
        let (key, id) = at(last);
        Cursor { key, id }
    });
    Rows { items, next, total }
}
