//! The shop's change-set and the host's own rows in one transaction: a customer is registered if, and only if, the host's
//! loyalty card is written too. Run it with `cargo run -p host-transaction`.

use commerce_core::{account::UserQuery, prelude::*, store::CommitError};
use commerce_sqlite::{SqliteStore, WriteError};

/// What can stop the host's transaction: its own rows, or the shop's guards.
#[derive(Debug)]
enum Stopped {
    Host(sqlx::Error),
    Shop(CommitError),
}

impl From<sqlx::Error> for Stopped {
    fn from(error: sqlx::Error) -> Self {
        Self::Host(error)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = SqliteStore::open("sqlite::memory:").await?;
    let shop = Commerce::builder().store(store.clone()).build()?;
    store
        .write(|tx| {
            Box::pin(sqlx::Executor::execute(
                tx,
                "CREATE TABLE loyalty_card (number TEXT PRIMARY KEY, user BLOB NOT NULL)",
            ))
        })
        .await
        .map_err(|error: WriteError<sqlx::Error>| error)?;

    println!("Ada, card 1: {:?}", join(&shop, &store, "ada@example.com", "1").await);
    println!("Bob, card 1: {:?}", join(&shop, &store, "bob@example.com", "1").await);
    println!("Ada, card 2: {:?}", join(&shop, &store, "ada@example.com", "2").await);
    let users = shop.as_system().accounts().users(UserQuery::default(), &PageRequest::default()).await?;
    println!("customers: {:?}", users.items.iter().map(|user| &user.email).collect::<Vec<_>>());
    Ok(())
}

/// Registers a customer and gives them a card: both or neither.
async fn join(shop: &Commerce, store: &SqliteStore, email: &str, card: &'static str) -> Result<(), String> {
    let registration = Registration::new(email, "difference engine no 2", "Ada", "Lovelace");
    let prepared =
        shop.as_guest().accounts().register(registration).prepare().await.map_err(|error| error.to_string())?;
    let (changes, user) = (prepared.changes, prepared.output.id);
    let written = store.write(move |tx| {
        Box::pin(async move {
            let insert = sqlx::query("INSERT INTO loyalty_card (number, user) VALUES (?, ?)").bind(card).bind(user.0);
            insert.execute(&mut *tx).await?;
            commerce_sqlite::apply(tx, &changes).await.map_err(Stopped::Shop)?;
            Ok::<(), Stopped>(())
        })
    });
    written.await.map_err(|error| match error {
        WriteError::Host(Stopped::Host(error)) => format!("the card wasn't written: {error}"),
        WriteError::Host(Stopped::Shop(error)) => format!("the customer wasn't registered: {error}"),
        WriteError::Commit(error) => error.to_string(),
    })
}
