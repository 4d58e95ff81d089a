//! Everything a database holds, to be compared with another.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, query_scalar};

/// Rows by table, in an order of their own: JSON within them is parsed, so that its spelling doesn't matter.
pub type Dump = BTreeMap<String, Vec<String>>;

/// The shop's tables of a database by its URL, but for what full-text search and the migrations keep for themselves.
pub async fn dump(url: &str) -> Dump {
    if url.starts_with("sqlite") { sqlite(url).await } else { postgres(url).await }.expect("the database can be read")
}

async fn postgres(url: &str) -> Result<Dump, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_name LIKE 'commerce\\_%' \
                  AND table_name NOT LIKE 'commerce\\_search%' AND table_name <> 'commerce_migration'";
    let tables: Vec<String> = query_scalar(tables).fetch_all(&mut connection).await?;
    let mut dump = Dump::new();
    for table in tables {
        let rows = AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t"));
        let rows: Vec<String> = query_scalar(rows).fetch_all(&mut connection).await?;
        dump.insert(table, spelled_alike(&rows));
    }
    Ok(dump)
}

async fn sqlite(url: &str) -> Result<Dump, sqlx::Error> {
    let mut connection = SqliteConnection::connect(url).await?;
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'commerce\\_%' ESCAPE '\\' \
                  AND name NOT LIKE 'commerce\\_search%' ESCAPE '\\' AND name <> 'commerce_migration'";
    let tables: Vec<String> = query_scalar(tables).fetch_all(&mut connection).await?;
    let mut dump = Dump::new();
    for table in tables {
        let cells = "SELECT group_concat(format('''%s'', iif(typeof(%s) = ''blob'', hex(%s), %s)', name, name, name, name)) \
                     FROM pragma_table_info(?)";
        let cells: String = query_scalar(cells).bind(&table).fetch_one(&mut connection).await?;
        let rows = AssertSqlSafe(format!("SELECT json_object({cells}) FROM {table}"));
        let rows: Vec<String> = query_scalar(rows).fetch_all(&mut connection).await?;
        dump.insert(table, spelled_alike(&rows));
    }
    Ok(dump)
}

fn spelled_alike(rows: &[String]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(|row| parsed(Value::from(row.as_str())).to_string()).collect();
    rows.sort();
    rows
}

fn parsed(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str(&text).map_or(Value::String(text), parsed)
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.into_iter().map(|(name, value)| (name, parsed(value))).collect();
            sorted.into_iter().collect()
        }
        Value::Array(items) => items.into_iter().map(parsed).collect(),
        other => other,
    }
}
