//! The schema holds nothing that keeps it from being sharded; see the chapter "Scaling out" of the crate's documentation.

use std::collections::{BTreeMap, BTreeSet};

/// The migrations, in order.
fn migrations() -> Vec<String> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).expect("the folder");
    let mut files: Vec<_> = folder.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).expect("a migration")).collect()
}

/// Statements without comments, blanks evened out.
fn statements() -> Vec<String> {
    let migrations = migrations();
    let sql: Vec<&str> = migrations
        .iter()
        .flat_map(|file| file.lines())
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let statements = sql.join(" ");
    statements
        .split(';')
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|text| !text.is_empty())
        .collect()
}

/// Tables with their column definitions and constraints.
fn tables() -> BTreeMap<String, Vec<String>> {
    let mut tables = BTreeMap::new();
    for statement in statements() {
        let Some((name, rest)) = statement.strip_prefix("CREATE TABLE ").and_then(|text| text.split_once(" (")) else {
            continue;
        };
        let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
        for c in rest.chars() {
            depth += i32::from(c == '(') - i32::from(c == ')');
            if depth < 0 {
                break;
            }
            if c == ',' && depth == 0 {
                parts.push(part.trim().to_owned());
                part.clear();
            } else {
                part.push(c);
            }
        }
        parts.push(part.trim().to_owned());
        tables.insert(name.to_owned(), parts);
    }
    tables
}

/// What of a statement would break on shards.
fn banned(statement: &str) -> Option<&'static str> {
    let upper = statement.to_uppercase();
    let banned = [
        "TRIGGER",
        "SEQUENCE",
        "SERIAL",
        "IDENTITY",
        "REFERENCES",
        "FOREIGN KEY",
        "FUNCTION",
        "NOW()",
        "CURRENT_TIMESTAMP",
        "RANDOM_UUID",
        " UNIQUE",
        "TIMESTAMPTZ",
        "NUMERIC",
        " INTEGER",
        " INT ",
    ];
    banned.into_iter().find(|word| upper.contains(word))
}

#[test]
fn nothing_in_the_schema_stands_in_the_way_of_sharding() {
    let statements = statements();
    assert!(statements.len() > 50, "the migrations are read");
    for statement in statements {
        assert_eq!(banned(&statement), None, "in: {statement}");
    }
}

#[test]
fn what_would_break_is_found() {
    for statement in [
        "CREATE TRIGGER moved AFTER UPDATE ON commerce_stock EXECUTE FUNCTION note()",
        "CREATE TABLE t (id BIGSERIAL PRIMARY KEY)",
        "CREATE TABLE t (id UUID PRIMARY KEY, order_id UUID REFERENCES commerce_order (id))",
        "CREATE UNIQUE INDEX t_number ON t (number)",
        "CREATE TABLE t (id UUID PRIMARY KEY, number TEXT UNIQUE)",
        "CREATE TABLE t (id UUID PRIMARY KEY, at BIGINT DEFAULT nextval('a_sequence'))",
    ] {
        assert!(banned(statement).is_some(), "{statement}");
    }
    let table = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let by_order = Some("order_id");
    assert!(is_placed_by_its_key(
        &table(&["order_id UUID NOT NULL", "id UUID", "PRIMARY KEY (order_id, id)"]),
        by_order
    ));
    assert!(!is_placed_by_its_key(&table(&["order_id UUID NOT NULL", "id UUID PRIMARY KEY"]), by_order));
    assert!(!is_placed_by_its_key(
        &table(&["order_id UUID NOT NULL", "id UUID", "PRIMARY KEY (id, order_id)"]),
        by_order
    ));
    assert!(!is_placed_by_its_key(&table(&["order_id UUID NOT NULL"]), None), "every table has a primary key");
}

/// Whether a table's primary key begins with the column it is distributed by; a reference table only needs a key.
fn is_placed_by_its_key(parts: &[String], column: Option<&str>) -> bool {
    let composite = parts.iter().find_map(|part| part.strip_prefix("PRIMARY KEY ("));
    let single = parts.iter().find(|part| part.contains(" PRIMARY KEY")).and_then(|part| part.split(' ').next());
    let first = composite.map(|columns| columns.split([',', ')']).next().unwrap_or_default()).or(single);
    first.is_some_and(|first| column.is_none_or(|column| first == column))
}

#[test]
fn every_primary_key_begins_with_the_distribution_column() {
    let tables = tables();
    let distributed = distribution();
    // The lock row of migrations is made before them.
    let names: BTreeSet<&str> = tables.keys().map(String::as_str).chain(["commerce_schema"]).collect();
    let placed: BTreeSet<&str> = distributed.keys().map(String::as_str).collect();
    assert_eq!(names, placed, "the chapter \"Scaling out\" places every table, and only those");
    for (table, parts) in &tables {
        assert!(is_placed_by_its_key(parts, distributed[table].as_deref()), "{table}: {parts:?}");
    }
}

#[test]
fn statements_keep_to_what_shards_understand() {
    let sources = [
        "account",
        "cart",
        "catalog",
        "commit",
        "write_plan",
        "distribute",
        "inventory",
        "layout",
        "listing",
        "migrate",
        "order",
        "outbox",
        "statement",
        "table_dump",
        "replica",
        "review",
        "product_view",
    ];
    for name in sources {
        let path = format!("{}/src/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(&path).expect("a source file of this crate");
        // The process's own clock.
        let source = source.replace("Instant::now()", "");
        // Read to be compared with ours, and never written.
        let source = source.replace("SELECT (extract(epoch FROM clock_timestamp())", "");
        for banned in [
            "pg_advisory",
            "pg_try_advisory",
            "LISTEN ",
            "NOTIFY ",
            "now()",
            "clock_timestamp",
            "gen_random_uuid",
            "random()",
            "nextval",
        ] {
            assert!(!source.contains(banned), "{banned} in {name}.rs");
        }
    }
}

/// What the chapter "Scaling out" says of each table: its distribution column, or `None` for a reference table.
fn distribution() -> BTreeMap<String, Option<String>> {
    let chapter = include_str!("../src/scaling_out.md");
    let mut distribution = BTreeMap::new();
    for line in chapter.lines() {
        let quoted: Vec<&str> = line.split('\'').skip(1).step_by(2).collect();
        if line.contains("create_reference_table(") {
            distribution.insert(quoted[0].to_owned(), None);
        } else if line.contains("create_distributed_table(") {
            distribution.insert(quoted[0].to_owned(), Some(quoted[1].to_owned()));
        }
    }
    distribution
}
