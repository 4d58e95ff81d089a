//! A few round trips, to see that the store stands at all; the contract is in `conformance.rs`.

mod support;

use commerce_core::{
    catalog::{ProductFilter, ProductKey, ProductStatus},
    page::PageSpec,
    store::{Applied, CommitError, Conflict, StockDelta, Store as _},
};
use support::{database, set, stocked};

#[tokio::test]
async fn a_product_and_its_stock() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let reads = store.reads();
    let (opening, product) = stocked("mug", 5);
    let variant = product.variants[0].id;
    assert_eq!(store.commit(&opening).await.unwrap(), Applied::Now);
    assert_eq!(store.commit(&opening).await.unwrap(), Applied::Before);
    assert_eq!(reads.load_product(product.id).await.unwrap(), Some(product.clone()));
    let view = reads.view_product(&ProductKey::Slug("mug".to_owned())).await.unwrap().unwrap();
    assert_eq!((view.available, &view.product), (vec![5], &product));
    let active = ProductFilter { statuses: vec![ProductStatus::Active], ..ProductFilter::default() };
    assert_eq!(reads.list_products(&active, &PageSpec::first(10)).await.unwrap().items.len(), 1);

    let mut taking = set();
    taking.move_stock(variant, StockDelta { on_hand: 0, reserved: 6, expect_on_hand: None }, None);
    let Err(CommitError::Conflict(conflicts)) = store.commit(&taking).await else { panic!("six of five") };
    assert_eq!(conflicts, [Conflict::Short { variant, available: 5 }]);
    assert!(reads.verify().await.unwrap().is_empty());
}
