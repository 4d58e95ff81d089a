//! A shop with very many products.

use std::collections::BTreeMap;

use commerce_core::{
    Commerce, Currency, Money,
    call::ActorRef,
    catalog::{Product, ProductStatus, Variant},
    clock::{Clock, SystemClock},
    id::{IdGenerator, ProductId, UuidV7, VariantId},
    inventory::NewStock,
    payment::ManualGateway,
    store::{ChangeSet, Claim, Store},
};
use commerce_sqlite::SqliteStore;

use crate::BoxError;

/// How many products one commit writes.
const CHUNK: usize = 500;

/// The shop, and what it sells.
pub async fn open(url: &str, products: usize) -> Result<(Commerce, Vec<VariantId>), BoxError> {
    let store = SqliteStore::open(url).await?;
    let mut variants = Vec::with_capacity(products);
    for chunk in 0..products / CHUNK {
        let mut set = ChangeSet::new(&UuidV7, SystemClock.now(), ActorRef::System);
        for n in chunk * CHUNK..(chunk + 1) * CHUNK {
            variants.push(add_product(&mut set, n));
        }
        store.commit(&set).await?;
    }
    Ok((Commerce::builder().store(store).gateway(ManualGateway::new()).build()?, variants))
}

fn add_product(set: &mut ChangeSet, n: usize) -> VariantId {
    let cents = 500 + i64::try_from(n * 7919 % 9500).unwrap_or_default();
    let variant = Variant {
        id: VariantId(UuidV7.uuid()),
        position: 0,
        sku: format!("SKU-{n}"),
        title: String::new(),
        options: BTreeMap::from([("size".to_owned(), "M".to_owned())]),
        price: Money::new(cents, Currency::EUR),
        retired: false,
    };
    let mut product = Product {
        id: ProductId(UuidV7.uuid()),
        slug: format!("enamel-mug-{n}"),
        title: format!("Enamel mug {n}"),
        description: "Holds 300 ml, survives a fall, and keeps tea warm for a while.".to_owned(),
        status: ProductStatus::Active,
        category_ids: vec![],
        attributes: BTreeMap::from([("material".to_owned(), "steel".to_owned())]),
        images: vec![],
        variants: vec![variant.clone()],
        created_at: set.at(),
        updated_at: set.at(),
        version: 0,
    };
    set.insert(&mut product).hold(Claim::product_slug(&product.slug), product.id);
    set.hold(Claim::sku(&variant.sku), variant.id);
    let stock = NewStock { variant_id: variant.id, product_id: product.id, low_stock_threshold: 0 };
    set.open_stock(stock, 1_000_000);
    variant.id
}
