//! Both backends keep the same tables, columns, types, nullability and CHECKs: the databases are asked, after all migrations.
//! What differs for a reason is in [`DIFFERENCES`].

use std::collections::{BTreeMap, BTreeSet};

use commerce_postgres::testing::TestDatabase;
use commerce_sqlite::SqliteStore;
use sqlx::{Connection as _, PgConnection, SqliteConnection, query_as};

/// Tables and columns (`table.column`) that only one backend has, or that differ, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("commerce_migration", "is sqlx's, in its own types"),
    ("commerce_schema", "is a lock row in PostgreSQL, and only the first release's number in SQLite"),
    // Lists and search.
    ("commerce_product.n", "SQLite's full-text search can only walk rowids, so they run with the ids"),
    ("commerce_variant.product", "SQLite's lists join by those rowids"),
    ("commerce_variant.product_id", "PostgreSQL joins by ids"),
    (
        "commerce_listing",
        "what SQLite's lists walk along; PostgreSQL has commerce_product_category and columns of the product",
    ),
    ("commerce_product_category", "see commerce_listing"),
    ("commerce_product.category_ids", "see commerce_listing"),
    ("commerce_product.title_key", "see commerce_listing"),
    ("commerce_product.title_sort", "see commerce_listing"),
    ("commerce_product.min_price", "see commerce_listing"),
    ("commerce_product.max_price", "see commerce_listing"),
    ("commerce_product.document", "what PostgreSQL searches; SQLite's index is commerce_search"),
    ("commerce_search", "see commerce_product.document"),
    ("commerce_stock.in_stock", "PostgreSQL's index on it keeps updates of the numbers heap-only"),
    // Ratings.
    (
        "commerce_rating",
        "locked apart from the product in PostgreSQL; SQLite has one writer and keeps the sums in the product",
    ),
    ("commerce_product.rating_sum", "see commerce_rating"),
    ("commerce_product.rating_count", "see commerce_rating"),
    // Keys.
    ("commerce_category_tree.one", "the table has one row; PostgreSQL's key must be one that shards know, a UUID"),
    ("commerce_category_tree.id", "see commerce_category_tree.one"),
    ("commerce_order.n", "SQLite appends orders by rowid, whatever their ids"),
    // PostgreSQL's shards read a child without its order; SQLite has the order at hand.
    ("commerce_order_line.currency", "read without the order in PostgreSQL"),
    ("commerce_payment.currency", "read without the order in PostgreSQL"),
    ("commerce_refund.currency", "read without the order in PostgreSQL"),
    ("commerce_task.lease_until", "never NULL in PostgreSQL, so that its one condition is one range of an index"),
];

/// A table as a database tells it.
#[derive(Debug, Default)]
struct Table {
    columns: BTreeMap<String, Column>,
    // Each a condition without AND: `a >= 0`, `kind in 'x' 'y'`.
    checks: BTreeSet<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Column {
    kind: String,
    nullable: bool,
}

type Schema = BTreeMap<String, Table>;

fn differs(name: &str) -> bool {
    DIFFERENCES.iter().any(|(known, _)| *known == name)
}

async fn sqlite() -> Schema {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    drop(SqliteStore::open(&url).await.expect("a new database"));
    let mut connection = SqliteConnection::connect(&url).await.expect("the database");
    let tables = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name LIKE 'commerce%' \
                  AND name NOT LIKE 'commerce\\_search\\_%' ESCAPE '\\' \
                  OR name IN ('commerce_search_word', 'commerce_search_index')";
    let tables: Vec<(String, String)> = query_as(tables).fetch_all(&mut connection).await.expect("tables");
    let mut schema = Schema::new();
    for (name, sql) in tables {
        let columns = "SELECT name, type, \"notnull\" FROM pragma_table_info(?)";
        let columns: Vec<(String, String, bool)> =
            query_as(columns).bind(&name).fetch_all(&mut connection).await.expect("columns");
        let columns = columns.into_iter().map(|(name, kind, not_null)| (name, Column { kind, nullable: !not_null }));
        let checks = checks_of(&sql).iter().flat_map(|check| conditions(check)).collect();
        schema.insert(name, Table { columns: columns.collect(), checks });
    }
    schema
}

async fn postgres() -> Schema {
    let database = TestDatabase::new().await.unwrap_or_else(|error| panic!("{error}"));
    let mut connection = PgConnection::connect(database.url()).await.expect("the database");
    let columns = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' \
                   FROM information_schema.columns WHERE table_name LIKE 'commerce%'";
    let columns: Vec<(String, String, String, bool)> =
        query_as(columns).fetch_all(&mut connection).await.expect("columns");
    let checks = "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint \
                  WHERE contype = 'c' AND conrelid::regclass::text LIKE 'commerce%'";
    let checks: Vec<(String, String)> = query_as(checks).fetch_all(&mut connection).await.expect("checks");
    let mut schema = Schema::new();
    for (table, name, kind, nullable) in columns {
        schema.entry(table).or_default().columns.insert(name, Column { kind, nullable });
    }
    for (table, definition) in checks {
        let checks = checks_of(&definition).into_iter().flat_map(|check| conditions(&check));
        schema.entry(table).or_default().checks.extend(checks);
    }
    schema
}

/// What stands in the parentheses of each CHECK.
fn checks_of(sql: &str) -> Vec<String> {
    let sql: String = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    sql.split("CHECK (")
        .skip(1)
        .map(|rest| {
            let mut depth = 1;
            let end = rest.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            rest[..end.expect("the parenthesis is closed")].to_owned()
        })
        .collect()
}

/// A check's conditions, spelled alike: what AND joins is told apart, `BETWEEN` becomes two, lists are sorted.
fn conditions(check: &str) -> Vec<String> {
    let mut text = format!(" {check} ");
    for cast in ["::text", "::bigint", "::integer", "[]"] {
        text = text.replace(cast, "");
    }
    let is_list = text.contains("ARRAY[") || text.contains(" IN ");
    if is_list {
        let (name, values) = text.split_once(" IN ").or_else(|| text.split_once("= ANY ")).expect("a list");
        let name = name.replace(['(', ')'], "");
        let mut values: Vec<&str> = values.split(['(', ')', '[', ']', ',']).map(str::trim).collect();
        values.retain(|value| !["", "ARRAY"].contains(value));
        values.sort_unstable();
        return vec![format!("{} in {}", name.trim(), values.join(" "))];
    }
    text = text.replace(['(', ')'], " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found = Vec::new();
    let mut words = words.as_slice();
    while !words.is_empty() {
        if let [name, "BETWEEN", low, "AND", high, ..] = words {
            found.extend([format!("{name} >= {low}"), format!("{name} <= {high}")]);
            words = &words[5..];
        } else {
            let end = words.iter().position(|word| *word == "AND").unwrap_or(words.len());
            found.push(words[..end].join(" "));
            words = &words[end..];
        }
        words = words.strip_prefix(&["AND"]).unwrap_or(words);
    }
    found
}

/// What SQLite calls a type of PostgreSQL's.
fn in_sqlite(kind: &str) -> &str {
    match kind {
        "bigint" | "boolean" => "INTEGER",
        "text" | "jsonb" => "TEXT",
        "uuid" | "bytea" => "BLOB",
        "double precision" => "REAL",
        other => panic!("a type that no column had so far: {other}"),
    }
}

#[tokio::test]
async fn both_backends_keep_the_same() {
    let (sqlite, postgres) = (sqlite().await, postgres().await);
    let mut found = Vec::new();
    let names: BTreeSet<&String> = sqlite.keys().chain(postgres.keys()).filter(|name| !differs(name)).collect();
    assert!(names.len() > 20, "the tables are read");
    for name in names {
        let (Some(here), Some(there)) = (sqlite.get(name), postgres.get(name)) else {
            found.push(format!("only one backend has the table {name}"));
            continue;
        };
        let own = |column: &&String| differs(&format!("{name}.{column}"));
        for column in here.columns.keys().chain(there.columns.keys()).filter(|column| !own(column)) {
            match (here.columns.get(column), there.columns.get(column)) {
                (Some(here), Some(there)) => {
                    if (here.kind.as_str(), here.nullable) != (in_sqlite(&there.kind), there.nullable) {
                        found.push(format!("{name}.{column}: {here:?} in SQLite, {there:?} in PostgreSQL"));
                    }
                }
                _ => found.push(format!("only one backend has the column {name}.{column}")),
            }
        }
        // What the types of PostgreSQL say already.
        let implied = |check: &&String| {
            there.columns.iter().any(|(column, Column { kind, .. })| {
                kind == "uuid" && **check == format!("length {column} = 16")
                    || kind == "boolean" && **check == format!("{column} in 0 1")
            })
        };
        let of_own = |check: &&String| check.split(' ').any(|word| differs(&format!("{name}.{word}")));
        for check in here.checks.symmetric_difference(&there.checks).filter(|check| !implied(check) && !of_own(check)) {
            let only = if here.checks.contains(check) { "SQLite" } else { "PostgreSQL" };
            found.push(format!("only {only} has, in {name}, CHECK ({check})"));
        }
        let booleans = there.columns.iter().filter(|(_, column)| column.kind == "boolean").map(|(name, _)| name);
        for column in booleans.filter(|column| !own(column)) {
            if !here.checks.contains(&format!("{column} in 0 1")) {
                found.push(format!("SQLite takes any number for {name}.{column}"));
            }
        }
    }
    let stale = DIFFERENCES.iter().filter(|(name, _)| {
        let (table, column) = name.split_once('.').unwrap_or((name, ""));
        match [&sqlite, &postgres].map(|schema| schema.get(table)) {
            [None, None] => true,
            _ if column.is_empty() => false,
            tables => match tables.map(|table| table.and_then(|table| table.columns.get(column))) {
                [Some(here), Some(there)] => {
                    (here.kind.as_str(), here.nullable) == (in_sqlite(&there.kind), there.nullable)
                }
                [None, None] => true,
                _ => false,
            },
        }
    });
    found.extend(stale.map(|(name, _)| format!("{name} is said to differ and doesn't")));
    found.sort();
    found.dedup();
    assert_eq!(found, [""; 0], "{}", found.join("\n"));
}

#[test]
fn checks_are_spelled_alike() {
    let alike = [
        ("version > 0", "(version > 0)"),
        ("returned BETWEEN 0 AND fulfilled", "((returned >= 0) AND (returned <= fulfilled))"),
        ("status IN ('open', 'merged')", "(status = ANY (ARRAY['merged'::text, 'open'::text]))"),
        ("fulfilled + cancelled <= quantity", "((fulfilled + cancelled) <= quantity)"),
        ("length(hash) = 32", "(length(hash) = 32)"),
    ];
    for (sqlite, postgres) in alike {
        let [sqlite, postgres] = [sqlite, postgres].map(|check| conditions(check).into_iter().collect::<BTreeSet<_>>());
        assert_eq!(sqlite, postgres);
    }
    assert_eq!(checks_of("a INTEGER CHECK (a > (1)), -- CHECK (no)\nCHECK (b = 2)"), ["a > (1)", "b = 2"]);
}
