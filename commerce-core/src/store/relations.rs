//! Which rows belong together. Nothing but this crate sees to it where a schema has no foreign keys, as one that is spread over
//! nodes can't have them; and a copy of a database that lacks its newest rows may agree with itself otherwise.

use std::fmt;

use uuid::Uuid;

/// Something that is referred to and isn't there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingReference {
    /// What refers to it.
    pub from: String,
    /// What kind of thing it is.
    pub kind: String,
    /// The id of what is missing, where it has one of its own.
    pub id: Option<Uuid>,
}

impl MissingReference {
    /// Something that belongs to every one of what is described and isn't there.
    #[must_use]
    pub fn belonging_to(from: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { from: from.into(), kind: kind.into(), id: None }
    }
}

impl fmt::Display for MissingReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "{} refers to the {} {id}, which is missing", self.from, self.kind),
            None => write!(f, "{} has no {}, which every one has", self.from, self.kind),
        }
    }
}

/// Rows that hold the id of something that must be there.
#[derive(Debug)]
pub struct Relation {
    /// The table of the rows.
    pub table: &'static str,
    /// Their column that holds the id; NULL refers to nothing.
    pub column: &'static str,
    /// The table of what must be there.
    pub other: &'static str,
    /// Its column that holds the same id.
    pub key: &'static str,
}

const fn relation(table: &'static str, column: &'static str, other: &'static str, key: &'static str) -> Relation {
    Relation { table, column, other, key }
}

/// What both backends keep in the same columns.
pub const RELATIONS: &[Relation] = &[
    relation("commerce_session", "user_id", "commerce_user", "id"),
    relation("commerce_mail_token", "user_id", "commerce_user", "id"),
    relation("commerce_address", "user_id", "commerce_user", "id"),
    relation("commerce_cart_line", "cart_id", "commerce_cart", "id"),
    relation("commerce_order", "customer_id", "commerce_user", "id"),
    relation("commerce_order_line", "order_id", "commerce_order", "id"),
    relation("commerce_payment", "order_id", "commerce_order", "id"),
    relation("commerce_refund", "order_id", "commerce_order", "id"),
    relation("commerce_fulfilment", "order_id", "commerce_order", "id"),
    relation("commerce_return", "order_id", "commerce_order", "id"),
    relation("commerce_review", "product_id", "commerce_product", "id"),
    relation("commerce_review", "customer_id", "commerce_user", "id"),
    relation("commerce_alert", "order_id", "commerce_order", "id"),
    // What belongs to every row of a kind.
    relation("commerce_variant", "id", "commerce_stock", "variant_id"),
    relation("commerce_order", "id", "commerce_order_line", "order_id"),
    relation("commerce_order", "id", "commerce_event", "root_id"),
    relation("commerce_order", "id", "commerce_claim", "owner"),
];

/// Aggregates whose events carry the version that the aggregate had, or was given: none may be newer than the aggregate itself.
/// Their tables are named after them.
pub const VERSIONED: &[&str] = &["user", "product", "order", "review"];

impl Relation {
    /// What it means that the id of a row isn't there.
    #[must_use]
    pub fn missing(&self, id: Uuid) -> MissingReference {
        let (name, kind) = (short(self.table), short(self.other));
        if self.column == "id" {
            MissingReference::belonging_to(format!("{name} {id}"), kind)
        } else {
            MissingReference { from: name.to_owned(), kind: kind.to_owned(), id: Some(id) }
        }
    }
}

/// A table's name without the prefix that all have.
#[must_use]
pub fn short(table: &str) -> &str {
    table.trim_start_matches("commerce_")
}
