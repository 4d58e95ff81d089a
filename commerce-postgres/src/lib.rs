//! The storage backend on PostgreSQL, for shops that have outgrown one machine.
//!
//! | module | holds |
//! |---|---|
//! | `address` | URLs: hosts, what a session must be able to do, parameters |
//! | `pool` | connections, deadlines, and whether the server is there |
//! | `error` | what an error means |
//! | `sql` `page` `reads` | statements, pages of lists, reads that survive a lost connection |
//! | `replica` `watch` | which replicas may be read from |
//! | `table_dump` | whole tables as JSON, for copying a shop |
//! | `migrate` | the schema, applied once however many servers start, and how to change it |
//! | `distribute` | its tables, spread over the nodes of Citus |
//! | `layout` | whether rows are on one server or on many |
//! | `write_plan` `aggregate_rows` | a change-set as rows, by table |
//! | `statement` | rows as one statement, with the locks before it |
//! | `batch` | which sets may be written together |
//! | `writer` | change-sets that wait at the same time are written together |
//! | `commit` | a transaction: lock, write and check the guards, commit |
//! | `account` `catalog` `product_view` `listing` `inventory` `cart` `order` `payment` `review` `outbox` | rows and reads of each domain |
//! | `codec` | values as columns |
//!
//! ```no_run
//! use commerce_postgres::PgStore;
//! # async fn run() -> Result<(), commerce_core::store::StoreError> {
//! let store = PgStore::connect("postgres://shop@db.internal/shop").await?;
//! store.migrate().await?;
//! # Ok(()) }
//! ```
//!
#![doc = include_str!("scaling_out.md")]
#![forbid(unsafe_code)]

mod account;
mod address;
mod aggregate_rows;
mod cart;
mod catalog;
// Product names, most of which look like code.
#[allow(clippy::doc_markdown)]
#[doc = include_str!("clusters.md")]
pub mod clusters {}
mod batch;
mod codec;
mod commit;
mod distribute;
mod error;
mod inventory;
mod layout;
mod listing;
mod migrate;
mod order;
mod order_child;
mod outbox;
mod page;
mod payment;
mod pool;
mod product_row;
mod product_view;
mod reads;
mod reindex;
mod rekey;
mod replica;
mod review;
mod search_words;
mod settings;
mod sql;
mod statement;
mod table_dump;
#[cfg(feature = "testing")]
pub mod testing;
mod watch;
mod write_plan;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use commerce_core::{
    clock::Timestamp,
    event::LeasedTask,
    store::{Applied, ChangeSet, CommitError, Reads, Store, StoreError, require_migrated},
};
use sqlx::{PgPool, Postgres, Transaction};
#[cfg(feature = "testing")]
use tokio::sync::OnceCell;

pub use self::{
    address::{UrlError, check_replica_url, check_url},
    distribute::DistributeError,
    settings::PoolSettings,
};
use crate::{
    address::Address,
    commit::Target,
    error::store_error,
    layout::Known,
    pool::ConnectionPool,
    reads::{PgReads, Reader},
    replica::Replicas,
    writer::Writer,
};

/// A shop in a PostgreSQL database (version 13 or later). Cheap to clone; any number of processes can share one database.
#[derive(Clone, Debug)]
pub struct PgStore {
    writer: Writer,
    primary: PgReads,
    replicas: Option<Arc<Replicas>>,
}

impl PgStore {
    /// Connects to a database by its URL, `postgres://user:password@host:port/name`, which may list several servers and say
    /// which of them is wanted; see [`clusters`].
    ///
    /// # Errors
    /// If the URL isn't one, or the database can't be reached within seconds.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, PoolSettings::default()).await
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_with(url: &str, settings: PoolSettings) -> Result<Self, StoreError> {
        let pool = ConnectionPool::new(Address::parse(url).map_err(StoreError::bug)?, settings);
        pool.find().await.map_err(store_error)?;
        Ok(Self::laid_out(pool, Known::default()))
    }

    /// Connects to a database that is up to date, for hosts that run [`migrate`](Self::migrate) at a time of their own, maybe by
    /// another user of the database. Doesn't change its tables.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if it lacks migrations, and says which, or if a newer version of this crate wrote it; as
    /// [`connect`](Self::connect).
    pub async fn connect_existing(url: &str) -> Result<Self, StoreError> {
        Self::connect_existing_with(url, PoolSettings::default()).await
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`connect_existing`](Self::connect_existing).
    pub async fn connect_existing_with(url: &str, settings: PoolSettings) -> Result<Self, StoreError> {
        let store = Self::connect_with(url, settings).await?;
        require_migrated(&migrate::missing(&store.writer.target().pool).await?)?;
        Ok(store)
    }

    /// Shares a pool with the host. Let its connections have an `idle_in_transaction_session_timeout`, `jit = off`, and
    /// `synchronous_commit = on`, the server's default: an answer of success is as durable as that.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        Self::laid_out(ConnectionPool::of_host(pool), Known::default())
    }

    fn laid_out(pool: ConnectionPool, layout: Known) -> Self {
        let primary = PgReads::new(Reader::new(pool.clone(), layout.clone()));
        Self { writer: Writer::new(Target { pool, layout }), primary, replicas: None }
    }

    /// Writes as to a server that is far away, wherever it is.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn as_if_far(self) -> Self {
        self.writer.target().pool.set_far();
        self
    }

    /// Reads and writes as on a distributed database, whatever it is.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn as_if_distributed(self) -> Self {
        Self::laid_out(
            self.writer.target().pool.clone(),
            Arc::new(OnceCell::new_with(Some(layout::Layout::Distributed))),
        )
    }

    /// Lets streaming replicas of this database, given by their URLs, serve what is only shown
    /// ([`Store::replica_reads`]). One that is more than a second behind, or doesn't answer, is left out until it is well
    /// again; without any, the primary serves.
    ///
    /// Call it inside a tokio runtime: each replica is watched by a task.
    ///
    /// # Errors
    /// If one of the URLs isn't one, or lists several hosts: each replica has a URL of its own.
    pub fn with_replicas(mut self, urls: &[impl AsRef<str>]) -> Result<Self, StoreError> {
        self.replicas = Some(Replicas::watch(self.writer.target(), urls)?);
        Ok(self)
    }

    /// Whether the server can only be read: it is a standby, or set so. A shop on it can be looked at, and every write fails.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.writer.target().pool.is_read_only()
    }

    /// Creates the tables, or brings them up to date. Safe when many servers start at once: one does the work, the others wait.
    /// If nothing is to be done it only reads, so that a user without the right to create tables can start a server.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if a newer version of this crate wrote the database. If the database can't be reached, or doesn't let this user create tables.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let pool = self.writer.target().pool.clone();
        let work = async move {
            migrate::migrate(&pool).await?;
            rekey::rekey(&pool).await?;
            reindex::reindex(&pool).await
        };
        task(work).await.map_err(StoreError::bug)?
    }

    /// Spreads the tables over the nodes of a distributed PostgreSQL, by the calls of the chapter above; those that are placed
    /// already stay. How many were placed.
    ///
    /// # Errors
    /// [`DistributeError::NoCitus`] on a plain PostgreSQL; if a call fails.
    pub async fn distribute(&self) -> Result<u64, DistributeError> {
        let pool = self.writer.target().pool.clone();
        task(async move { distribute::distribute(&pool).await }).await.map_err(StoreError::bug)?
    }

    /// Applies a change-set within the host's own transaction, in a savepoint: a conflict leaves the transaction as it was
    /// before. What was applied becomes true when the host commits.
    ///
    /// # Errors
    /// As [`Store::commit`], but never [`CommitError::Unknown`]; clashes with other transactions aren't retried but
    /// [`CommitError::Unavailable`], as only the host can start its transaction anew.
    pub async fn apply(transaction: &mut Transaction<'_, Postgres>, set: &ChangeSet) -> Result<Applied, CommitError> {
        commit::apply(transaction, &write_plan::write_plan(set).into_plan()).await
    }

    /// Ends the connections that aren't in use, for tests and orderly ends. The store must not be used any more.
    pub async fn close(&self) {
        self.writer.target().pool.close().await;
    }

    /// A pool of connections to the primary, for what the host wants to ask itself: the host's own, or one that isn't connected
    /// until it is used. Its connections have a `statement_timeout` a little shorter than [`PoolSettings::call_timeout`].
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        self.writer.target().pool.driver()
    }
}

/// Runs a write in a task of its own: a caller that goes away in the middle must not leave a transaction open (sqlx 0.9
/// forgets to roll back a BEGIN that was cancelled).
async fn task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, tokio::task::JoinError> {
    tokio::spawn(work).await
}

#[async_trait]
impl Store for PgStore {
    async fn commit(&self, set: &ChangeSet) -> Result<Applied, CommitError> {
        self.writer.write(write_plan::write_plan(set)).await
    }

    async fn lease(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LeasedTask>, StoreError> {
        let (primary, worker) = (self.primary.reader.clone(), worker.to_owned());
        task(async move { outbox::lease(&primary, worker, now, until, limit).await }).await.map_err(StoreError::bug)?
    }

    fn reads(&self) -> &dyn Reads {
        &self.primary
    }

    fn replica_reads(&self) -> &dyn Reads {
        self.replicas.as_ref().and_then(|replicas| replicas.pick()).unwrap_or(&self.primary)
    }
}

/// The code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
