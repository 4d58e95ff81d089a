//! Where the rows are: on one server, or spread over many. Writes and some reads differ by it.

use std::sync::Arc;

use sqlx::{PgConnection, Row as _, raw_sql};
use tokio::sync::OnceCell;

/// Where the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// All on one server: any statement may read or write any of them.
    OneServer,
    /// Spread over the nodes of Citus or its like. A statement locks or writes one row, so that one node runs it; and joins
    /// rows only with those that are on the same node.
    Distributed,
}

impl Layout {
    /// As a query of one column: whether it is [`Self::Distributed`].
    pub(crate) const QUERY: &str = "SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL";

    pub(crate) const fn new(distributed: bool) -> Self {
        if distributed { Self::Distributed } else { Self::OneServer }
    }

    /// That of the server at the other end.
    pub(crate) async fn of(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        // Not prepared: poolers tell one connection's statements from another's only within a transaction.
        let row = raw_sql(Self::QUERY).fetch_one(connection).await?;
        Ok(Self::new(row.try_get(0)?))
    }
}

/// The layout of a database, asked when it is first needed, by whoever needs it first.
pub(crate) type Known = Arc<OnceCell<Layout>>;
