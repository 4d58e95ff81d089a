//! Whole tables as JSON, for copying a shop: they are read and written as JSON, column by column.

use async_trait::async_trait;
use commerce_core::store::{
    ColumnType, MissingReference, Portable, StoreError, Table,
    relations::{RELATIONS, Relation},
};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::{PgStore, sql::Sql, task};

/// What only this backend's tables have.
const OWN_RELATIONS: &[Relation] = &[
    Relation { table: "commerce_variant", column: "product_id", other: "commerce_product", key: "id" },
    Relation { table: "commerce_product_category", column: "product_id", other: "commerce_product", key: "id" },
    Relation { table: "commerce_rating", column: "product_id", other: "commerce_product", key: "id" },
    Relation { table: "commerce_product", column: "id", other: "commerce_rating", key: "product_id" },
];

/// A column's value as it travels.
fn out(table: &Table, name: &str, kind: ColumnType) -> String {
    match kind {
        // 0 stands for a task that was never leased.
        _ if (table.name, name) == ("commerce_task", "lease_until") => "nullif(lease_until, 0)".to_owned(),
        ColumnType::Uuid | ColumnType::Json => format!("{name}::text"),
        ColumnType::Bytes => format!("encode({name}, 'hex')"),
        ColumnType::Bool => format!("{name}::int"),
        ColumnType::Int | ColumnType::Text => name.to_owned(),
    }
}

/// A column's value from a row `x` as it travels.
fn back(table: &Table, name: &str, kind: ColumnType) -> String {
    match kind {
        _ if (table.name, name) == ("commerce_task", "lease_until") => {
            "coalesce((x->>'lease_until')::bigint, 0)".to_owned()
        }
        ColumnType::Uuid => format!("(x->>'{name}')::uuid"),
        ColumnType::Json => format!("(x->>'{name}')::jsonb"),
        ColumnType::Bytes => format!("decode(x->>'{name}', 'hex')"),
        ColumnType::Bool => format!("(x->>'{name}')::bigint <> 0"),
        ColumnType::Int => format!("(x->>'{name}')::bigint"),
        ColumnType::Text => format!("x->>'{name}'"),
    }
}

fn names(table: &Table) -> Vec<&'static str> {
    table.columns.iter().map(|(name, _)| *name).collect()
}

#[async_trait]
impl Portable for PgStore {
    async fn count(&self, table: &str) -> Result<u64, StoreError> {
        let (count,): (i64,) =
            self.primary.reader.one(Sql::new(format!("SELECT count(*) FROM {table}")).unhurried()).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn ids(&self, table: &str, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        let mut sql = Sql::new(format!("SELECT id FROM {table} WHERE TRUE"));
        sql.and("id >", after).push(&format!(" ORDER BY id LIMIT {limit}")).unhurried();
        let ids: Vec<(Uuid,)> = self.primary.reader.all(&sql).await?;
        Ok(ids.into_iter().map(|(id,)| id).collect())
    }

    async fn rows(&self, table: &Table, after: Option<&Value>, limit: u32) -> Result<Vec<Value>, StoreError> {
        let columns: Vec<String> =
            table.columns.iter().map(|(name, kind)| format!("'{name}', {}", out(table, name, *kind))).collect();
        let key = names(table)[..table.key].join(", ");
        let mut sql = Sql::new(format!("SELECT json_build_object({}) FROM {}", columns.join(", "), table.name));
        if let Some(after) = after {
            // Written out for each column, so that the key's index serves.
            let from = table.columns[..table.key].iter().map(|(name, kind)| back(table, name, *kind));
            let from = from.map(|value| value.replace("x->", "$1::jsonb->")).collect::<Vec<_>>().join(", ");
            sql.push(&format!(" WHERE ({key}) > ({from}) AND ")).bind(Json(after.clone())).push(" IS NOT NULL");
        }
        sql.push(&format!(" ORDER BY {key} LIMIT {limit}")).unhurried();
        let rows: Vec<(Json<Value>,)> = self.primary.reader.all(&sql).await?;
        Ok(rows.into_iter().map(|(Json(row),)| row).collect())
    }

    async fn add_rows(&self, table: &Table, rows: &[Value]) -> Result<(), StoreError> {
        let mut columns = names(table).join(", ");
        let values = table.columns.iter().map(|(name, kind)| back(table, name, *kind));
        let mut values = values.collect::<Vec<_>>().join(", ");
        if table.name == "commerce_stock" {
            columns.push_str(", in_stock");
            values.push_str(", (x->>'on_hand')::bigint > (x->>'reserved')::bigint");
        }
        let into = format!("INSERT INTO {} ({columns}) SELECT {values} FROM jsonb_array_elements(", table.name);
        let mut sql = Sql::new(into);
        sql.bind(Json(rows.to_vec())).push(") AS e (x) ON CONFLICT DO NOTHING").writes();
        let reader = self.primary.reader.clone();
        task(async move { reader.all::<(i64,)>(&sql).await }).await.map_err(StoreError::bug)?.map(drop)
    }

    async fn unrelated(&self) -> Result<Vec<MissingReference>, StoreError> {
        let mut missing = Vec::new();
        for relation @ Relation { table, column, other, key } in RELATIONS.iter().chain(OWN_RELATIONS) {
            // EXCEPT, as shards of different tables may be on different nodes: those can't be joined.
            let mut sql = Sql::new(format!(
                "SELECT {column} FROM {table} WHERE {column} IS NOT NULL EXCEPT SELECT {key} FROM {other} ORDER BY 1"
            ));
            let ids: Vec<(Uuid,)> = self.primary.reader.all(sql.unhurried()).await?;
            missing.extend(ids.into_iter().map(|(id,)| relation.missing(id)));
        }
        Ok(missing)
    }
}
