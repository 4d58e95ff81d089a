//! [`Store`] and [`Reads`]: what a storage backend implements.

use async_trait::async_trait;

use super::{Applied, ChangeSet, CommitError, OutboxQueries};
use crate::{
    account::AccountQueries, cart::CartQueries, catalog::CatalogQueries, clock::Timestamp, error::StoreError,
    event::LeasedTask, inventory::InventoryQueries, order::OrderQueries, review::ReviewQueries,
};

/// A storage backend: one write door, one task lease, and reads.
///
/// The published contract is `commerce_core::conformance` (feature `conformance`); a backend that passes it can be trusted
/// with a shop. A wrapper (fault injection, metrics) needs only [`commit`](Store::commit), [`lease`](Store::lease) and
/// [`reads`](Store::reads).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Applies all of the set or nothing, durably, and answers only then. Idempotent by the set's id for 24 hours.
    ///
    /// Judged in this order, and all failures of the strongest class are named: set id (→ [`Applied::Before`]),
    /// idempotency key, claims, versions, floors of counters.
    ///
    /// # Errors
    /// See [`CommitError`]; after [`CommitError::Unknown`] commit the identical set again.
    async fn commit(&self, set: &ChangeSet) -> Result<Applied, CommitError>;

    /// Takes up to `limit` tasks that are due and not leased, oldest first, for `worker` until `until`.
    /// Two workers never hold the same task at the same time.
    ///
    /// # Errors
    /// If the database can't be reached.
    async fn lease(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LeasedTask>, StoreError>;

    /// The reading side: what was last committed, by whatever process.
    fn reads(&self) -> &dyn Reads;

    /// Ends the store in order, once nobody uses it any more; what comes later is refused as unavailable.
    ///
    /// # Errors
    /// If something is left to be done by the next to open the database. Nothing that was committed is lost.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// A reading side for what is only shown. It may be up to a second behind, so that copies of the database can serve it.
    fn replica_reads(&self) -> &dyn Reads {
        self.reads()
    }
}

/// Everything a backend can be asked.
///
/// `load_*` reads an aggregate and its version from one snapshot.
pub trait Reads:
    AccountQueries
    + CatalogQueries
    + InventoryQueries
    + CartQueries
    + OrderQueries
    + ReviewQueries
    + OutboxQueries
    + Send
    + Sync
{
}

impl<T> Reads for T where
    T: AccountQueries
        + CatalogQueries
        + InventoryQueries
        + CartQueries
        + OrderQueries
        + ReviewQueries
        + OutboxQueries
        + Send
        + Sync
{
}
