//! Pages of lists: keyset-based, so that they stay stable while rows are inserted and cost the same at any depth.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How many items a page has at most, and after which one it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// 1 to 100.
    pub limit: u32,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Whether to count all items too, which costs more the more there are.
    pub count: bool,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: 20, cursor: None, count: false }
    }
}

impl PageRequest {
    /// The first page, with at most `limit` items.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }

    /// What the store needs to know, after checking that the cursor belongs to this query.
    ///
    /// # Errors
    /// [`InvalidCursor`] if the cursor isn't one, or came from other filters or another sort.
    pub fn spec(&self, query: &impl Serialize) -> Result<PageSpec, InvalidCursor> {
        let after = self.cursor.as_deref().map(|cursor| Cursor::decode(cursor, query)).transpose()?;
        Ok(PageSpec { limit: self.limit.clamp(1, 100), after, count: self.count })
    }
}

/// The cursor isn't one that this list gave out for these filters and this sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor doesn't belong to this list with these filters and this sort")]
pub struct InvalidCursor;

/// The part of a list that a store is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct PageSpec {
    /// 1 to 100.
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Whether to count all matching rows.
    pub count: bool,
}

impl PageSpec {
    /// The first `limit` rows.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { limit, after: None, count: false }
    }
}

/// A place in a sorted list: the sort key of a row, and its id to break ties. The id runs the same way as the key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// The row's sort key.
    pub key: SortKey,
    /// The row's id.
    pub id: Uuid,
}

/// A value that lists are sorted by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortKey {
    /// Times in microseconds, prices in minor units, relevance, positions.
    Int(i64),
    /// Averages.
    Real(f64),
    /// Titles (lower-cased), compared byte by byte.
    Text(String),
}

impl Cursor {
    fn encode(&self, query: &impl Serialize) -> String {
        let mut bytes = fingerprint(query).to_vec();
        bytes.extend(serde_json::to_vec(self).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(cursor: &str, query: &impl Serialize) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
        let (print, position) = bytes.split_at_checked(8).ok_or(InvalidCursor)?;
        if print != fingerprint(query) {
            return Err(InvalidCursor);
        }
        serde_json::from_slice(position).map_err(|_| InvalidCursor)
    }
}

fn fingerprint(query: &impl Serialize) -> [u8; 8] {
    let mut print = [0; 8];
    print.copy_from_slice(&Sha256::digest(serde_json::to_vec(query).unwrap_or_default())[..8]);
    print
}

/// What a store answers to a [`PageSpec`].
#[derive(Clone, Debug)]
pub struct Rows<T> {
    /// At most `limit` rows, in order.
    pub items: Vec<T>,
    /// The position of the last row, if there are more after it.
    pub next: Option<Cursor>,
    /// How many rows match in all, if it was asked.
    pub total: Option<u64>,
}

impl<T> Rows<T> {
    /// The page that a service hands out, with a cursor bound to `query`.
    pub fn page(self, query: &impl Serialize) -> Page<T> {
        Page { items: self.items, next_cursor: self.next.map(|at| at.encode(query)), total: self.total }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Asks for the page after this one; `None` at the end.
    pub next_cursor: Option<String>,
    /// How many items there are in all, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// The same page with each item turned into something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor, total: self.total }
    }
}
