//! A shop in one SQLite file: every storage trait of [`commerce_core`] on SQLite.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use commerce_core::{context::ActorRef, cart::*, clock::*, id::*, store::*};
//! use commerce_sqlite::SqliteStore;
//!
//! let store = SqliteStore::open("sqlite::memory:").await?;
//! let (ids, now) = (UuidV7, SystemClock.now());
//! let owner = CartOwner::User(UserId(ids.uuid()));
//! let mut cart = Cart {
//!     id: CartId(ids.uuid()),
//!     owner: owner.clone(),
//!     status: CartStatus::Open,
//!     lines: vec![],
//!     created_at: now,
//!     updated_at: now,
//!     version: 0,
//! };
//! let mut set = ChangeSet::new(&ids, now, ActorRef::System);
//! set.hold(Claim::open_cart(&owner), cart.id).insert(&mut cart);
//! store.commit(&set).await?;
//! assert_eq!(store.load_open_cart(&owner).await?, Some(cart));
//! # Ok(()) }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | `start` | opening a shop, in all ways |
//! | `store` | [`SqliteStore`]: [`write`](SqliteStore::write), the reading helpers |
//! | `open` | connection settings |
//! | `migrate` | [`migrate`](migrate()): the schema, and how to change it |
//! | `identity` | whether the database's files are still those that were opened |
//! | `backup` | [`backup`](backup()), [`restore`]: a whole database as one file |
//! | `writer` | the one writer: groups what waits under one `COMMIT` |
//! | `write_plan`, `batch` | a change-set becomes one string of statements; [`apply`] |
//! | `table`, `head` | where an aggregate's head is kept, and how it is written |
//! | `guards` | which guard failed |
//! | `account` `catalog` `inventory` `cart` `order` `payment` `review` `outbox` | each domain's rows, written and read |
//! | `row`, `codec` | each entity's columns, described once; JSON |
//! | `list`, `sql`, `child_rows` | keyset pages, statements with binds, rows below a head |
//!
//! # How it writes
//!
//! SQLite has one writer at a time, so there is one: a task with the only writing connection. It takes all that waits, opens
//! one transaction, runs each change-set in a savepoint of its own and ends with one `COMMIT`: one fsync for all. A set is one
//! string of statements, since handing a statement to the driver's thread costs as much as running it; which guards held is seen
//! by the rows each statement touched. Only if one didn't is the savepoint rolled back and the reason looked up.
//!
//! # One file
//!
//! While a database is open, its newest writes are in a second file beside it (`shop.db-wal`). [`Store::close`], or
//! `Commerce::close`, which calls it, waits for all writes and leaves one file, which can be copied and moved. A process that was
//! killed leaves both, and both must stay together: the next to open the database puts them together.
//!
//! A file that is deleted or replaced while it is open is noticed before the next write is acknowledged: all writes are refused
//! as unavailable then.
//!
//! [`Store::close`]: commerce_core::store::Store::close
//!
//! # In your own transaction
//!
//! Your tables may live in the same file. [`SqliteStore::write`] runs your closure on the writing connection, and [`apply`]
//! applies a change-set inside it, so that both become true together or not at all.

mod account;
mod backup;
mod batch;
mod cart;
mod catalog;
mod child_rows;
mod codec;
mod error;
mod guards;
mod head;
mod identity;
mod inventory;
mod list;
mod migrate;
mod open;
mod order;
mod outbox;
mod payment;
mod reindex;
mod rekey;
mod review;
mod row;
mod sql;
mod start;
mod store;
mod table;
mod table_dump;
mod write_plan;
mod writer;

pub use self::{
    backup::{BackupError, BackupProgress, backup, restore},
    migrate::migrate,
    open::SqliteSettings,
    store::SqliteStore,
    write_plan::apply,
    writer::WriteError,
};

/// The code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
