//! Pages of lists: what they are sorted by, and where they begin.

use commerce_core::page::{Cursor, PageSpec, SortKey};
use uuid::Uuid;

use crate::sql::Sql;

/// Which way a list runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Rising,
    Falling,
}

impl Direction {
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Rising => "ASC",
            Self::Falling => "DESC",
        }
    }
}

/// How a list is read: what it selects, and what it is sorted by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    pub select: &'a str,
    pub key: &'a str,
    pub id: &'a str,
    pub direction: Direction,
}

/// A row of a list knows its place.
pub(crate) trait Sorted {
    fn position(&self) -> Cursor;
}

/// The place of a row in a list that is sorted by a time or another number.
pub(crate) const fn at(key: i64, id: Uuid) -> Cursor {
    Cursor { key: SortKey::Int(key), id }
}

impl Sql {
    /// A page of a list: what comes after the position where the page before ended, in order.
    pub(crate) fn page(&mut self, key: &str, id: &str, direction: Direction, spec: &PageSpec) -> &mut Self {
        if let Some(Cursor { key: at, id: last }) = &spec.after {
            let than = if matches!(direction, Direction::Rising) { ">" } else { "<" };
            self.push(&format!(" AND ({key}, {id}) {than} ("));
            match at {
                SortKey::Int(at) => self.bind(*at),
                SortKey::Real(at) => self.bind(*at),
                SortKey::Text(at) => self.bind(at.clone()),
            };
            self.push(", ").bind(*last).push(")");
        }
        self.order(key, id, direction, spec)
    }

    /// In order, and one row more than the page holds. The limit is written out: the planner doesn't know a parameter's value.
    pub(crate) fn order(&mut self, key: &str, id: &str, direction: Direction, spec: &PageSpec) -> &mut Self {
        let order = direction.sql();
        self.push(&format!(" ORDER BY {key} {order}, {id} {order} LIMIT {}", spec.limit + 1))
    }
}
