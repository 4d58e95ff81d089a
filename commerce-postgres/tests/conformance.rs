//! The published contract of stores, each case on a database of its own.

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
    let database = TestDatabase::new().await.unwrap_or_else(|error| panic!("{error}"));
    let store = database.store().await.expect("the test database answers");
    Fixture { store: Arc::new(store), _database: database }
}

mod one_server {
    use super::fixture;

    commerce_core::store_conformance_tests!(fixture);
}

/// Change-sets as single statements, which a server that is far away is sent.
mod in_one_trip {
    use std::sync::Arc;

    use super::{Fixture, PgStore};

    async fn fixture() -> Fixture {
        let fixture = super::fixture().await;
        Fixture { store: Arc::new(PgStore::clone(&fixture.store).as_if_far()), ..fixture }
    }

    commerce_core::store_conformance_tests!(fixture);
}

/// The statements that a distributed database is sent, which a plain one takes too.
mod row_by_row {
    use std::sync::Arc;

    use super::{Fixture, PgStore};

    async fn fixture() -> Fixture {
        let fixture = super::fixture().await;
        Fixture { store: Arc::new(PgStore::clone(&fixture.store).as_if_distributed()), ..fixture }
    }

    commerce_core::store_conformance_tests!(fixture);
}
