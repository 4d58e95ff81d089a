//! The published contract of stores, on SQLite files.

use std::sync::Arc;

use commerce_core::{conformance::StoreFixture, store::Store};
use commerce_sqlite::SqliteStore;
use tempfile::TempDir;

struct Fixture {
    store: Arc<dyn Store>,
    _dir: TempDir,
}

impl StoreFixture for Fixture {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
}

async fn fixture() -> Fixture {
    let dir = TempDir::new().expect("a temporary directory");
    let url = format!("sqlite://{}", dir.path().join("shop.db").display());
    let store = SqliteStore::open(&url).await.expect("a new database can be opened");
    Fixture { store: Arc::new(store), _dir: dir }
}

commerce_core::store_conformance_tests!(fixture);
