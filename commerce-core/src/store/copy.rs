//! Moving a whole shop from one store into another, of whatever kind, as it is: ids, password hashes, versions, ledgers.
//!
//! Aggregates travel as core's own values: read by the read traits, written by [`Store::commit`](super::Store::commit). What has no aggregate
//! (claims, keys, counters, ledgers, outbox) travels as plain [`rows`](Portable::rows). How far a copy has come is kept in the
//! target, as an idempotency key's answer, together with what was copied: it resumes where it was interrupted.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{ChangeSet, CommitError, Portable, RatingDelta, StoreError, TABLES, Table};
use crate::{
    catalog::ProductKey,
    clock::Clock,
    context::{ActorRef, Idempotency},
    id::{AddressId, AlertId, CartId, IdGenerator, MailTokenId, OrderId, ProductId, ReviewId, SessionId, UserId},
};

pub use super::table::BATCH;

/// Aggregates have about as many rows each.
const ROWS_OF_AN_AGGREGATE: u32 = 10;

/// The tables of aggregates' heads.
const HEADS: &[(&str, Kind)] = &[
    ("commerce_category_tree", Kind::Categories),
    ("commerce_product", Kind::Product),
    ("commerce_user", Kind::User),
    ("commerce_address", Kind::Address),
    ("commerce_session", Kind::Session),
    ("commerce_mail_token", Kind::MailToken),
    ("commerce_cart", Kind::Cart),
    ("commerce_order", Kind::Order),
    ("commerce_review", Kind::Review),
    ("commerce_alert", Kind::Alert),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Categories,
    Product,
    User,
    Address,
    Session,
    MailToken,
    Cart,
    Order,
    Review,
    Alert,
}

/// Why a shop wasn't copied, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Something is there already.
    #[error("the target holds another shop: copy into an empty database")]
    NotEmpty,
    /// The shop changed, or the target did.
    #[error("source or target changed while the shop was copied: stop all servers, empty the target and copy again")]
    Changed,
    /// The target can't keep a text of the source's.
    #[error(
        "the {table} {id} has a NUL character (U+0000) in {field}, which the target can't keep: remove it in the source, then \
         run the same command again, which goes on where it stopped"
    )]
    Text {
        /// The table, without the prefix that all have.
        table: String,
        /// Which of its rows.
        id: String,
        /// The field within it, as a JSON Pointer for what is nested.
        field: String,
    },
    /// The source can't be read.
    #[error("the source can't be read: {0}; once that is mended, the same command goes on where it stopped")]
    Source(#[source] StoreError),
    /// The target can't be read or written.
    #[error("the target can't be used: {0}; once that is mended, the same command goes on where it stopped")]
    Target(#[source] StoreError),
}

/// How far a copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// What is being copied.
    pub table: &'static str,
    /// Rows and aggregates that are there.
    pub done: u64,
    /// Of how many.
    pub total: u64,
}

/// The note kept in the target.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    step: usize,
    after: Option<Value>,
    done: u64,
}

/// Copies a whole shop, [`BATCH`] or some other number of rows at a time. No server may run on either side meanwhile. If it is interrupted, calling it again goes on; if it is
/// complete, calling it again changes nothing.
///
/// # Errors
/// See [`CopyError`].
pub async fn copy(
    from: &dyn Portable,
    to: &dyn Portable,
    clock: &dyn Clock,
    ids: &dyn IdGenerator,
    batch: u32,
    mut progress: impl FnMut(CopyProgress),
) -> Result<u64, CopyError> {
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).chain(HEADS.iter().map(|(name, _)| *name)).collect();
    let mut total = 0;
    for name in &names {
        total += from.count(name).await.map_err(CopyError::Source)?;
    }
    let copy = Copy { from, to, clock, ids, batch: batch.max(1), mark: mark(from).await? };
    let mut note = copy.begin().await?;
    while let Some(name) = names.get(note.step).copied() {
        progress(CopyProgress { table: name, done: note.done, total });
        note = match TABLES.get(note.step) {
            Some(table) => copy.rows(table, note).await?,
            None => copy.aggregates(HEADS[note.step - TABLES.len()], note).await?,
        };
    }
    Ok(note.done)
}

struct Copy<'a> {
    from: &'a dyn Portable,
    to: &'a dyn Portable,
    clock: &'a dyn Clock,
    ids: &'a dyn IdGenerator,
    batch: u32,
    mark: Idempotency,
}

/// A shop is known by its first user and product, which are never removed.
async fn mark(from: &dyn Portable) -> Result<Idempotency, CopyError> {
    let mut known_by = Vec::new();
    for table in ["commerce_user", "commerce_product"] {
        known_by.extend(from.ids(table, None, 1).await.map_err(CopyError::Source)?);
    }
    let shop: Vec<u8> = known_by.iter().flat_map(|id| id.into_bytes()).collect();
    Ok(Idempotency { key: Sha256::digest("commerce copy").into(), fingerprint: Sha256::digest(shop).into() })
}

impl Copy<'_> {
    /// Where an earlier copy of this shop stopped, or the beginning, if the target is empty.
    async fn begin(&self) -> Result<Note, CopyError> {
        let known = self.to.reads().load_key(&self.mark.key).await.map_err(CopyError::Target)?;
        if let Some(record) = known {
            let note = record.output.and_then(|note| serde_json::from_value(note).ok());
            let ours = record.fingerprint == self.mark.fingerprint;
            return note.filter(|_| ours).ok_or(CopyError::NotEmpty);
        }
        for (table, kind) in HEADS {
            let empty = match kind {
                Kind::Categories => {
                    self.to.reads().load_categories().await.map_err(CopyError::Target)?.nodes.is_empty()
                }
                _ => self.to.ids(table, None, 1).await.map_err(CopyError::Target)?.is_empty(),
            };
            if !empty {
                return Err(CopyError::NotEmpty);
            }
        }
        let (mut set, note) = (self.set(), Note::default());
        set.key(self.mark, None, Some(text(&note)));
        self.commit(&set).await?;
        Ok(note)
    }

    fn set(&self) -> ChangeSet {
        ChangeSet::new(self.ids, self.clock.now(), ActorRef::System)
    }

    async fn commit(&self, set: &ChangeSet) -> Result<(), CopyError> {
        match self.to.commit(set).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict(_)) => Err(CopyError::Changed),
            Err(CommitError::Bug(error)) => Err(CopyError::Target(StoreError::Bug(error))),
            Err(CommitError::Unavailable(error)) => Err(CopyError::Target(StoreError::Unavailable(error))),
            Err(CommitError::Unknown(error)) => Err(CopyError::Target(StoreError::Unknown(error))),
        }
    }

    async fn rows(&self, table: &Table, note: Note) -> Result<Note, CopyError> {
        let rows = self.from.rows(table, note.after.as_ref(), self.batch).await.map_err(CopyError::Source)?;
        // Adding rows that are there already changes nothing: the note may follow in a commit of its own.
        if let Err(error) = self.to.add_rows(table, &rows).await {
            return Err(unkept_row(table, &rows).unwrap_or(CopyError::Target(error)));
        }
        let mut set = self.set();
        self.note(&mut set, note, rows.len(), rows.last().cloned(), self.batch).await
    }

    async fn aggregates(&self, (table, kind): (&str, Kind), note: Note) -> Result<Note, CopyError> {
        let mut set = self.set();
        if kind == Kind::Categories {
            let tree = self.from.reads().load_categories().await.map_err(CopyError::Source)?;
            let absent = self.to.reads().load_categories().await.map_err(CopyError::Target)?;
            if tree.version > 0 {
                set.import(Some(&absent), &tree);
            }
            return match self.note(&mut set, note, 1, None, u32::MAX).await {
                Err(error @ CopyError::Target(_)) => match find_nul(&text(&tree)) {
                    Some(field) => Err(CopyError::Text { table: short(table), id: String::new(), field }),
                    None => Err(error),
                },
                done => done,
            };
        }
        let limit = (self.batch / ROWS_OF_AN_AGGREGATE).max(1);
        let after = note.after.clone().and_then(|after| serde_json::from_value(after).ok());
        let ids = self.from.ids(table, after, limit).await.map_err(CopyError::Source)?;
        for id in &ids {
            self.load(kind, *id, &mut set).await.map_err(CopyError::Source)?.ok_or(CopyError::Changed)?;
        }
        match self.note(&mut set, note, ids.len(), ids.last().map(text), limit).await {
            Err(error @ CopyError::Target(_)) => Err(self.unkept(table, kind, &ids).await.unwrap_or(error)),
            done => done,
        }
    }

    /// Which of these aggregates has a text that can't be kept.
    async fn unkept(&self, table: &str, kind: Kind, ids: &[Uuid]) -> Option<CopyError> {
        for id in ids {
            let document = self.document(kind, *id).await.ok()?;
            if let Some(field) = find_nul(&document) {
                return Some(CopyError::Text { table: short(table), id: id.to_string(), field });
            }
        }
        None
    }

    /// An aggregate as a JSON document.
    async fn document(&self, kind: Kind, id: Uuid) -> Result<Value, StoreError> {
        let reads = self.from.reads();
        Ok(match kind {
            Kind::Categories => text(&reads.load_categories().await?),
            Kind::Product => text(&reads.load_product(ProductId(id)).await?),
            Kind::User => text(&reads.load_user(UserId(id)).await?),
            Kind::Address => text(&reads.load_address(AddressId(id)).await?),
            Kind::Session => text(&reads.load_session(SessionId(id)).await?.map(|(session, _)| session)),
            Kind::MailToken => text(&reads.load_mail_token(MailTokenId(id)).await?),
            Kind::Cart => text(&reads.load_cart(CartId(id)).await?),
            Kind::Order => text(&reads.load_order(OrderId(id)).await?),
            Kind::Review => text(&reads.load_review(ReviewId(id)).await?),
            Kind::Alert => text(&reads.load_alert(AlertId(id)).await?),
        })
    }

    /// Puts an aggregate into the set; `None` if it has gone.
    async fn load(&self, kind: Kind, id: Uuid, set: &mut ChangeSet) -> Result<Option<()>, StoreError> {
        let reads = self.from.reads();
        Ok(match kind {
            // It has no id of its own and isn't listed.
            Kind::Categories => None,
            Kind::Product => {
                let id = ProductId(id);
                if let Some(view) = reads.view_product(&ProductKey::Id(id)).await? {
                    set.rate(id, RatingDelta { sum: view.rating_sum, count: view.rating_count });
                }
                reads.load_product(id).await?.map(|it| set.import(None, &it))
            }
            Kind::User => reads.load_user(UserId(id)).await?.map(|it| set.import(None, &it)),
            Kind::Address => reads.load_address(AddressId(id)).await?.map(|it| set.import(None, &it)),
            Kind::Session => reads.load_session(SessionId(id)).await?.map(|(it, _)| set.import(None, &it)),
            Kind::MailToken => reads.load_mail_token(MailTokenId(id)).await?.map(|it| set.import(None, &it)),
            Kind::Cart => reads.load_cart(CartId(id)).await?.map(|it| set.import(None, &it)),
            Kind::Order => reads.load_order(OrderId(id)).await?.map(|it| set.import(None, &it)),
            Kind::Review => reads.load_review(ReviewId(id)).await?.map(|it| set.import(None, &it)),
            Kind::Alert => reads.load_alert(AlertId(id)).await?.map(|it| set.import(None, &it)),
        }
        .map(|_| ()))
    }

    /// Commits the set with a note of what has been copied now; the note.
    async fn note(
        &self,
        set: &mut ChangeSet,
        note: Note,
        copied: usize,
        last: Option<Value>,
        limit: u32,
    ) -> Result<Note, CopyError> {
        let done = note.done + copied as u64;
        let note = if copied < limit as usize {
            Note { step: note.step + 1, after: None, done }
        } else {
            Note { after: last, done, ..note }
        };
        set.answer(self.mark.key, text(&note));
        self.commit(set).await?;
        Ok(note)
    }
}

/// A table's name as people read it.
fn short(table: &str) -> String {
    table.trim_start_matches("commerce_").replace('_', " ")
}

/// Which of these rows has a text that can't be kept.
fn unkept_row(table: &Table, rows: &[Value]) -> Option<CopyError> {
    rows.iter().find_map(|row| {
        let mut columns = table.columns.iter();
        // Documents travel as their text, in which the character is escaped.
        let (name, _) = columns.find(|(name, _)| {
            row[*name].as_str().is_some_and(|cell| cell.contains('\0') || cell.contains("\\u0000"))
        })?;
        let key: Vec<String> = table.columns[..table.key]
            .iter()
            .map(|(name, _)| {
                row[*name].as_str().map_or_else(|| row[*name].to_string(), |cell| cell.replace('\0', "\\0"))
            })
            .collect();
        Some(CopyError::Text { table: short(table.name), id: key.join("/"), field: (*name).to_owned() })
    })
}

/// The JSON Pointer to the first text in a document that holds a NUL character, or whose name does.
fn find_nul(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find_nul(item).map(|below| format!("/{index}{below}")))
        }
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if name.contains('\0') {
                return Some(format!("/{}", name.replace('\0', "\\0")));
            }
            find_nul(member).map(|below| format!("/{name}{below}"))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

// Notes, ids and rows have string keys and no fallible serialisers.
fn text(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_that_cannot_be_kept_is_named() {
        assert_eq!(find_nul(&json!({ "title": "a", "lines": [{ "sku": "a\0b" }] })).as_deref(), Some("/lines/0/sku"));
        assert_eq!(find_nul(&json!({ "a\0": 1 })).as_deref(), Some("/a\\0"));
        assert_eq!(find_nul(&json!(["a", 1, null])), None);
        let rows = [
            json!({ "kind": "sku", "key": "a", "owner": "01" }),
            json!({ "kind": "sku", "key": "b\0", "owner": "02" }),
        ];
        let error = unkept_row(&TABLES[1], &rows).map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("the claim sku/b\\0 has a NUL character (U+0000) in key, which"), "{error}");
        assert!(unkept_row(&TABLES[1], &rows[..1]).is_none());
    }
}
