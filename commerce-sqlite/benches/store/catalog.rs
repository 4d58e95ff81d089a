//! Reading a catalogue of 100,000 products against one of 1,000.

use std::time::Duration;

use commerce_core::conformance::load::{LoadError, fill, read_figures};
use commerce_sqlite::SqliteStore;

const SMALL: u32 = 1_000;
const LARGE: u32 = 100_000;

pub(crate) async fn run() -> Result<(), LoadError> {
    let small = figures(SMALL).await?;
    let large = figures(LARGE).await?;
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        println!("bench {name} ratio={ratio:.2} value={:.2}ms", large.as_secs_f64() * 1000.0);
    }
    Ok(())
}

async fn figures(products: u32) -> Result<Vec<(&'static str, Duration)>, LoadError> {
    let dir = tempfile::tempdir()?;
    let store = SqliteStore::open(&format!("sqlite://{}", dir.path().join("shop.db").display())).await?;
    let products = fill(&store, products).await?;
    read_figures(&store, &products).await
}
