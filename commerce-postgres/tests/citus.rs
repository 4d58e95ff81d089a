//! The whole contract on a real Citus: a coordinator and two workers, the tables placed by [`PgStore::distribute`].
//!
//! Not among the tests that run by themselves, as few machines have the extension: `tests/citus` runs it.

use std::sync::Arc;

use commerce_core::{conformance::StoreFixture, store::Store};
use commerce_postgres::{PgStore, testing::TestDatabase};

struct Fixture {
    store: Arc<PgStore>,
    // Dropped after the store.
    _database: TestDatabase,
}

impl StoreFixture for Fixture {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }
}

async fn fixture() -> Fixture {
    let database = TestDatabase::distributed().await.unwrap_or_else(|error| panic!("{error}"));
    let store = database.store().await.expect("the test database answers");
    Fixture { store: Arc::new(store), _database: database }
}

commerce_core::store_conformance_tests!(fixture);
