//! Whole tables as JSON, for copying a shop: they are read and written as JSON, column by column.

use async_trait::async_trait;
use commerce_core::store::{
    ColumnType, MissingReference, Portable, StoreError, Table,
    relations::{RELATIONS, Relation, short},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{SqliteStore, sql::Sql};

fn names(table: &Table) -> Vec<&'static str> {
    table.columns.iter().map(|(name, _)| *name).collect()
}

/// A column's value as it travels.
fn out(name: &str, kind: ColumnType) -> String {
    match kind {
        ColumnType::Uuid | ColumnType::Bytes => format!("iif({name} IS NULL, NULL, lower(hex({name})))"),
        ColumnType::Int | ColumnType::Bool | ColumnType::Text | ColumnType::Json => name.to_owned(),
    }
}

/// A column's value from a row `x` as it travels.
fn back(name: &str, kind: ColumnType, x: &str) -> String {
    match kind {
        ColumnType::Uuid | ColumnType::Bytes => format!("unhex(json_extract({x}, '$.{name}'), '-')"),
        ColumnType::Int | ColumnType::Bool | ColumnType::Text | ColumnType::Json => {
            format!("json_extract({x}, '$.{name}')")
        }
    }
}

#[async_trait]
impl Portable for SqliteStore {
    async fn count(&self, table: &str) -> Result<u64, StoreError> {
        self.number(Sql::new(&format!("SELECT count(*) FROM {table}"))).await
    }

    async fn ids(&self, table: &str, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        // In JSON, as all reads are; serde reads an id from its digits.
        let mut sql = Sql::new(&format!("SELECT json_quote(lower(hex(id))) FROM {table} WHERE id > ?"));
        sql.bind(after.map_or(Vec::new(), |after| after.into_bytes().to_vec()));
        sql.push(&format!(" ORDER BY id LIMIT {limit}"));
        self.many(sql).await
    }

    async fn rows(&self, table: &Table, after: Option<&Value>, limit: u32) -> Result<Vec<Value>, StoreError> {
        let columns = table.columns.iter();
        let columns = columns.map(|(name, kind)| format!("'{name}', {}", out(name, *kind)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let key = names(table)[..table.key].join(", ");
        let mut sql = Sql::new(&format!("SELECT json_object({columns}) FROM {}", table.name));
        if let Some(after) = after {
            let from = table.columns[..table.key].iter().map(|(name, kind)| back(name, *kind, "?1"));
            sql.push(&format!(" WHERE ({key}) > ({})", from.collect::<Vec<_>>().join(", "))).bind(after.to_string());
        }
        sql.push(&format!(" ORDER BY {key} LIMIT {limit}"));
        self.many(sql).await
    }

    async fn add_rows(&self, table: &Table, rows: &[Value]) -> Result<(), StoreError> {
        let values = table.columns.iter().map(|(name, kind)| back(name, *kind, "e.value"));
        let mut sql = Sql::new(&format!(
            "INSERT INTO {} ({}) SELECT {} FROM json_each(?) e WHERE true ON CONFLICT DO NOTHING RETURNING '0'",
            table.name,
            names(table).join(", "),
            values.collect::<Vec<_>>().join(", "),
        ));
        sql.bind(Value::from(rows).to_string());
        self.write_returning(sql).await.map(drop)
    }

    async fn unrelated(&self) -> Result<Vec<MissingReference>, StoreError> {
        let mut missing = Vec::new();
        for relation @ Relation { table, column, other, key } in RELATIONS {
            let ids = Sql::new(&format!(
                "SELECT json_quote(lower(hex(x))) FROM (SELECT {column} AS x FROM {table} WHERE {column} IS NOT NULL \
                 EXCEPT SELECT {key} FROM {other}) ORDER BY x"
            ));
            missing.extend(self.many::<Uuid>(ids).await?.into_iter().map(|id| relation.missing(id)));
        }
        // Those that refer to rowids, which mean nothing to anybody.
        let broken = "SELECT json_array(\"table\", parent, count(*)) FROM pragma_foreign_key_check \
                      WHERE \"table\" LIKE 'commerce%' GROUP BY \"table\", parent ORDER BY \"table\", parent";
        let named = |table: &str, parent: &str| {
            RELATIONS.iter().any(|relation| (relation.table, relation.other) == (table, parent))
        };
        for (table, parent, rows) in self.many::<(String, String, u64)>(Sql::new(broken)).await? {
            if !named(&table, &parent) {
                let from = format!("each of {rows} rows of {}", short(&table));
                missing.push(MissingReference::belonging_to(from, short(&parent)));
            }
        }
        Ok(missing)
    }
}
