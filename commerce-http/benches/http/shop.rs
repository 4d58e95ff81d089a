//! A shop with very many products.

use commerce_core::{Commerce, conformance::load::fill, id::VariantId, payment::ManualGateway};
use commerce_sqlite::SqliteStore;

use crate::BoxError;

/// The shop, and what it has in stock.
pub async fn open(url: &str, products: u32) -> Result<(Commerce, Vec<VariantId>), BoxError> {
    let store = SqliteStore::open(url).await?;
    let products = fill(&store, products).await?;
    // Every tenth is sold out.
    let in_stock = products.iter().enumerate().filter(|(n, _)| n % 10 != 0);
    let variants = in_stock.map(|(_, product)| product.variants[0].id).collect();
    Ok((Commerce::builder().store(store).gateway(ManualGateway::new()).build()?, variants))
}
