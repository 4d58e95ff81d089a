//! A change-set as SQL: row locks in sorted order, then sections, all in one statement or each row in one of its own.
//!
//! A [`TableWrite`] writes rows of one table and gives back the keys of the rows it touched; a row that is missing there is a
//! guard that failed. On one server, all sections are folded into one statement of data-modifying CTEs, their rows taken
//! from arrays by UNNEST: they see the same snapshot, taken after the locks. A distributed database takes such a statement
//! within one shard only: there each row is written by a statement of its own, in the same order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use commerce_core::{
    id::{CommitId, VariantId},
    store::{AggregateId, Claim},
};
use uuid::Uuid;

use crate::{
    codec::{Column, Table},
    layout::Layout,
};

/// What it means when a section didn't touch a row.
#[derive(Clone, Debug)]
pub(crate) enum GuardFailure {
    /// The set was applied before.
    Applied(CommitId),
    /// The idempotency key is held.
    Key([u8; 32]),
    /// The claim is held.
    Claim(Claim),
    /// The head isn't as it was read.
    Stale(AggregateId),
    /// The stock has moved, is short, or was alerted by another: the row tells which.
    Stock { variant: VariantId, expect_on_hand: Option<i64>, alerted: Option<i64> },
    /// As many attempts as are allowed were counted.
    Limit([u8; 32]),
    /// Core composed nonsense.
    Bug(&'static str),
}

/// SQLSTATE: a division by zero, which is how a statement says that one of its guards failed.
pub(crate) const GUARD_FAILED: &str = "22012";

/// Rows as named columns.
pub(crate) type NamedColumns = Vec<(&'static str, Column)>;

/// The keys that a section must give back, and what it means if it doesn't.
pub(crate) type Guards = Vec<(String, GuardFailure)>;

/// What is done with rows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    /// Each is inserted as it is, into columns of the same names. `rest` says what happens if it is there already.
    Insert { table: &'static str, rest: String },
    /// SQL that changes a row for each. `{u}` stands for the rows: `unnest(…) AS u (names)`.
    Change(String),
    /// The same of SQL whose guards are only right if the rows they name were locked before.
    WithLock(String),
}

/// Writes rows of one table.
#[derive(Clone, Debug)]
pub(crate) struct TableWrite {
    action: Action,
    names: Vec<&'static str>,
    columns: Vec<Column>,
    guards: Guards,
    stock: bool,
}

impl TableWrite {
    fn new(action: Action, rows: NamedColumns) -> Self {
        let (names, columns) = rows.into_iter().unzip();
        Self { action, names, columns, guards: Vec::new(), stock: false }
    }

    /// Inserts rows into columns of the same names; `rest` is `ON CONFLICT …`.
    pub(crate) fn insert(table: &'static str, rest: impl Into<String>, rows: NamedColumns) -> Self {
        Self::new(Action::Insert { table, rest: rest.into() }, rows)
    }

    /// Changes a row for each of these. In the SQL, `{u}` stands for them, and their columns are `u.name`.
    pub(crate) fn change(sql: impl Into<String>, rows: NamedColumns) -> Self {
        Self::new(Action::Change(sql.into()), rows)
    }

    /// The same of SQL that looks at heads, or removes them: its guards hold only if the rows were locked before.
    pub(crate) fn with_lock(sql: impl Into<String>, rows: NamedColumns) -> Self {
        Self::new(Action::WithLock(sql.into()), rows)
    }

    /// The keys that the statement's `RETURNING … AS k` must give back.
    pub(crate) fn guarded(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// Gives back `(variant_id, on_hand)` too, for the ledger.
    pub(crate) const fn moves_stock(mut self) -> Self {
        self.stock = true;
        self
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether the rows of both may be written by one statement.
    fn is_like(&self, other: &Self) -> bool {
        self.action == other.action && self.is_guarded() == other.is_guarded()
    }

    fn join(&mut self, other: &Self) {
        self.columns.iter_mut().zip(&other.columns).for_each(|(mine, others)| mine.append(others));
        self.guards.extend_from_slice(&other.guards);
    }

    pub(crate) const fn is_guarded(&self) -> bool {
        !self.guards.is_empty()
    }

    pub(crate) fn failures_among(&self, touched: &[String]) -> impl Iterator<Item = &GuardFailure> {
        let touched: BTreeSet<&str> = touched.iter().map(String::as_str).collect();
        self.guards.iter().filter(move |(key, _)| !touched.contains(key.as_str())).map(|(_, failure)| failure)
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// The SQL that writes one row. What is on hand afterwards is in the table by then.
    pub(crate) fn for_a_row(&self) -> String {
        let Action::Insert { table, rest } = &self.action else { return self.render(1, 1, "commerce_stock") };
        // Where it reads `INSERT … SELECT`, Citus gathers rows before it writes them, which takes it five times as long.
        let values = self.columns.iter().zip(1..);
        let values = values.map(|(column, n)| format!("${n}::{}{}", column.sql(), column.cast()));
        let values = values.collect::<Vec<_>>().join(", ");
        format!("INSERT INTO {table} ({}) VALUES ({values}) {rest}", self.names.join(", "))
    }

    /// The section's SQL, with its first placeholder being `$first`. A single row, which most are, is spared the arrays: they
    /// cost more than writing it.
    fn render(&self, rows: usize, first: usize, stock: &str) -> String {
        let (open, array) = if rows == 1 { ("(SELECT ", "") } else { ("unnest(", "[]") };
        let mut rows = String::from(open);
        for (i, column) in self.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let _ = write!(rows, "{comma}${}::{}{array}", first + i, column.sql());
        }
        let names = self.names.join(", ");
        let _ = write!(rows, ") AS u ({names})");
        match &self.action {
            Action::Insert { table, rest } => {
                let values = self.names.iter().zip(&self.columns);
                let values = values.map(|(name, column)| format!("u.{name}{}", column.cast()));
                let values = values.collect::<Vec<_>>().join(", ");
                format!("INSERT INTO {table} ({names}) SELECT {values} FROM {rows} {rest}")
            }
            Action::Change(sql) | Action::WithLock(sql) => sql.replace("{u}", &rows).replace("{stock}", stock),
        }
    }
}

/// Where the heads of a kind of aggregate are, and the tables below it. Ordered as they are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    /// The hotter the rows, the later they are locked.
    rank: u8,
    pub table: &'static str,
    pub id: &'static str,
    pub version: &'static str,
    pub below: &'static [(&'static str, &'static str)],
}

impl Head {
    pub(crate) const STOCK: Self =
        Self { rank: 1, table: "commerce_stock", id: "variant_id", version: "alerted", below: &[] };

    const fn new(table: &'static str, below: &'static [(&'static str, &'static str)]) -> Self {
        Self { rank: 0, table, id: "id", version: "version", below }
    }
}

impl From<AggregateId> for Head {
    fn from(root: AggregateId) -> Self {
        match root {
            AggregateId::User(_) => Self::new("commerce_user", &[]),
            AggregateId::Address(_) => Self::new("commerce_address", &[]),
            AggregateId::Session(_) => Self::new("commerce_session", &[]),
            AggregateId::MailToken(_) => Self::new("commerce_mail_token", &[]),
            AggregateId::Product(_) => Self::new(
                "commerce_product",
                &[
                    ("commerce_variant", "product_id"),
                    ("commerce_product_category", "product_id"),
                    ("commerce_rating", "product_id"),
                ],
            ),
            AggregateId::Categories => Self::new("commerce_category_tree", &[]),
            AggregateId::Cart(_) => Self::new("commerce_cart", &[("commerce_cart_line", "cart_id")]),
            AggregateId::Order(_) => Self::new(
                "commerce_order",
                &[
                    ("commerce_order_line", "order_id"),
                    ("commerce_payment", "order_id"),
                    ("commerce_refund", "order_id"),
                    ("commerce_fulfilment", "order_id"),
                    ("commerce_return", "order_id"),
                ],
            ),
            AggregateId::Review(_) => Self::new("commerce_review", &[]),
            AggregateId::Alert(_) => Self::new("commerce_alert", &[]),
            AggregateId::StockAlert(_) => Self::STOCK,
        }
    }
}

/// All that a change-set does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    locks: BTreeMap<Head, BTreeSet<Uuid>>,
    sections: Vec<TableWrite>,
    nonsense: Option<&'static str>,
}

impl Statement {
    /// Notes that the set asks for what can't be.
    pub(crate) const fn refuse(&mut self, why: &'static str) {
        self.nonsense = Some(why);
    }

    pub(crate) const fn nonsense(&self) -> Option<&'static str> {
        self.nonsense
    }

    pub(crate) fn sections(&self) -> &[TableWrite] {
        &self.sections
    }

    pub(crate) fn guarded(&self) -> impl Iterator<Item = &TableWrite> {
        self.sections.iter().filter(|section| section.is_guarded())
    }

    /// Whether both write to the same tables in the same ways.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.sections.len() == other.sections.len()
            && self.sections.iter().zip(&other.sections).all(|(mine, other)| mine.is_like(other))
    }

    /// Adds what a plan like this one does.
    pub(crate) fn join(&mut self, other: &Self) {
        for (head, ids) in &other.locks {
            self.locks.entry(*head).or_default().extend(ids);
        }
        self.sections.iter_mut().zip(&other.sections).for_each(|(mine, others)| mine.join(others));
    }

    /// Locks a row before anything is looked at.
    pub(crate) fn lock(&mut self, head: Head, id: Uuid) {
        self.locks.entry(head).or_default().insert(id);
    }

    pub(crate) fn add(&mut self, section: TableWrite) {
        if section.len() > 0 || section.is_guarded() {
            self.sections.push(section);
        }
    }

    // Most sets write to few tables: the texts of the others aren't even put together.

    /// Inserts rows; the last column of the key names a row.
    pub(crate) fn insert<T: Table>(&mut self, rows: Vec<T>, guards: Guards) {
        if rows.is_empty() {
            return;
        }
        self.insert_returning(rows, &format!("{}::text", T::KEY[T::KEY.len() - 1]), guards);
    }

    /// Opens stock; the ledger wants to know what is on hand.
    pub(crate) fn open_stock<T: Table>(&mut self, rows: Vec<T>, guards: Guards) {
        let open = "ON CONFLICT DO NOTHING RETURNING variant_id::text AS k, variant_id, on_hand";
        self.add(insertion(rows, open).guarded(guards).moves_stock());
    }

    /// Inserts rows that are named by an expression.
    pub(crate) fn insert_returning<T: Table>(&mut self, rows: Vec<T>, key: &str, guards: Guards) {
        self.add(insertion(rows, format!("ON CONFLICT DO NOTHING RETURNING {key} AS k")).guarded(guards));
    }

    /// Inserts rows, or overwrites those with the same key.
    pub(crate) fn put<T: Table>(&mut self, rows: Vec<T>) {
        if rows.is_empty() {
            return;
        }
        let set: Vec<String> = T::COLUMNS
            .iter()
            .filter(|name| !T::KEY.contains(name))
            .map(|name| format!("{name} = EXCLUDED.{name}"))
            .collect();
        let conflict = format!("ON CONFLICT ({}) DO UPDATE SET {}", T::KEY.join(", "), set.join(", "));
        self.add(insertion(rows, conflict));
    }

    /// Overwrites heads that are still at the version before.
    pub(crate) fn update<T: Table>(&mut self, rows: Vec<T>, guards: Guards) {
        if rows.is_empty() {
            return;
        }
        let columns = T::columns(rows);
        let set: Vec<String> = T::COLUMNS
            .iter()
            .zip(&columns)
            .filter(|(name, _)| !T::KEY.contains(name))
            .map(|(name, column)| format!("{name} = u.{name}{}", column.cast()))
            .collect();
        let sql = format!(
            "UPDATE {table} t SET {} FROM {{u}} WHERE t.id = u.id AND t.version = u.version - 1 RETURNING t.id::text AS k",
            set.join(", "),
            table = T::NAME,
        );
        self.add(TableWrite::change(sql, T::COLUMNS.iter().copied().zip(columns).collect()).guarded(guards));
    }

    /// Deletes rows by their keys.
    pub(crate) fn delete<T: Table>(&mut self, keys: &[Vec<Uuid>]) {
        if keys.is_empty() {
            return;
        }
        let matches: Vec<String> = T::KEY.iter().map(|name| format!("t.{name} = u.{name}")).collect();
        let columns = (0..T::KEY.len()).map(|i| Column::uuids(keys.iter().map(|key| key[i])));
        let rows = T::KEY.iter().copied().zip(columns).collect();
        self.add(TableWrite::change(
            format!("DELETE FROM {} t USING {{u}} WHERE {}", T::NAME, matches.join(" AND ")),
            rows,
        ));
    }

    /// The statements that open the transaction and take the locks: one round trip. Ids are written as literals, which is
    /// safe as they are UUIDs, because the simple protocol takes several statements but no parameters.
    pub(crate) fn opening(&self, begin: &str, layout: Layout) -> String {
        let mut sql = begin.to_owned();
        let mut lock = |table, id, rows: &str| {
            let _ = write!(sql, "; SELECT 1 FROM {table} WHERE {id} {rows} FOR UPDATE");
        };
        for (Head { table, id, .. }, ids) in &self.locks {
            let ids: Vec<String> = ids.iter().map(|id| format!("'{id}'::uuid")).collect();
            match (&ids[..], layout) {
                ([_], _) | (_, Layout::Distributed) => ids.iter().for_each(|one| lock(table, id, &format!("= {one}"))),
                (many, Layout::OneServer) => lock(table, id, &format!("IN ({}) ORDER BY {id}", many.join(", "))),
            }
        }
        sql
    }

    /// All sections as one statement that is a transaction of its own: it fails if a guard does, with [`GUARD_FAILED`], and
    /// then has done nothing. `None` if a guard needs its rows locked before.
    ///
    /// A row that somebody else is changing is waited for, and what was asked of it is asked again of what it has become, as
    /// every UPDATE at READ COMMITTED does. That is all that the locks ahead are for, but for the order in which rows are
    /// locked: two such statements can wait for each other, and one of them then fails.
    pub(crate) fn in_one_trip(&self) -> Option<String> {
        let needs_lock = |section: &TableWrite| matches!(section.action, Action::WithLock(_));
        let fits = |section: &TableWrite| section.guards.len() == section.len() && !needs_lock(section);
        if self.guarded().next().is_none() || !self.guarded().all(fits) {
            return None;
        }
        let guarded = self.sections.iter().enumerate().filter(|(_, section)| section.is_guarded());
        // How many rows there are is a parameter, so that groups of all sizes share their statements.
        let first = self.sections.iter().map(|section| section.columns.len()).sum::<usize>() + 1;
        let holds = guarded.zip(first..).map(|((i, _), n)| format!("(SELECT count(*) FROM s{i}) = ${n}::bigint"));
        let holds = holds.collect::<Vec<_>>().join(" AND ");
        Some(format!("{} SELECT 1 / (CASE WHEN {holds} THEN 1 ELSE 0 END)", self.with().0))
    }

    /// All sections as one statement; its columns are the keys that each guarded section touched, in order.
    pub(crate) fn folded(&self) -> String {
        let (with, select) = self.with();
        format!("{with} SELECT {}", select.join(", "))
    }

    fn with(&self) -> (String, Vec<String>) {
        let moved: Vec<String> = (self.sections.iter().enumerate())
            .filter(|(_, section)| section.stock)
            .map(|(i, _)| format!("SELECT variant_id, on_hand FROM s{i}"))
            .collect();
        let stock = format!("({})", moved.join(" UNION ALL "));
        let mut first = 1;
        let mut with = Vec::with_capacity(self.sections.len());
        let mut select = Vec::new();
        for (i, section) in self.sections.iter().enumerate() {
            with.push(format!("s{i} AS ({})", section.render(section.len(), first, &stock)));
            first += section.columns.len();
            if section.is_guarded() {
                select.push(format!("ARRAY(SELECT k FROM s{i})"));
            }
        }
        (format!("WITH {}", with.join(", ")), select)
    }
}

fn insertion<T: Table>(rows: Vec<T>, conflict: impl Into<String>) -> TableWrite {
    TableWrite::insert(T::NAME, conflict, T::COLUMNS.iter().copied().zip(T::columns(rows)).collect())
}
