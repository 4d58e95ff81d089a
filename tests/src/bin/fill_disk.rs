//! Commits numbered sets until there is no more room for its file, and prints the number of each that was acknowledged. Ends
//! well only if the last one was in doubt. Usage: `fill_disk <database-url>`.

use commerce_core::store::{Applied, CommitError, Store as _};
use commerce_sqlite::SqliteStore;
use commerce_tests::shop::numbered;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).expect("the database's URL");
    let store = SqliteStore::open(&url).await.expect("the database opens");
    for n in 0..1000 {
        match store.commit(&numbered(n)).await {
            Ok(Applied::Now) => println!("{n}"),
            Err(CommitError::Unknown(_)) => return,
            other => panic!("{n}: {other:?}"),
        }
    }
    panic!("there was room for everything");
}
