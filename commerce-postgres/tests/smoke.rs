//! A few round trips, to see that the store stands at all; the contract is in `conformance.rs`.

use commerce_core::{
    Currency, Money,
    call::ActorRef,
    catalog::{Product, ProductFilter, ProductKey, ProductStatus, Variant},
    clock::Timestamp,
    id::{IdGenerator as _, ProductId, UuidV7, VariantId},
    inventory::NewStock,
    page::Slice,
    store::{Applied, ChangeSet, Claim, CommitError, Conflict, StockDelta, Store as _},
};
use commerce_postgres::testing::TestDatabase;

fn product() -> Product {
    let at = Timestamp::from_micros(1_795_000_000_000_001);
    Product {
        id: ProductId(UuidV7.uuid()),
        slug: "mug".to_owned(),
        title: "Enamel mug".to_owned(),
        description: "Holds coffee".to_owned(),
        status: ProductStatus::Active,
        category_ids: Vec::new(),
        attributes: [("colour".to_owned(), "blue".to_owned())].into(),
        images: Vec::new(),
        variants: vec![Variant {
            id: VariantId(UuidV7.uuid()),
            position: 0,
            sku: "MUG-1".to_owned(),
            title: String::new(),
            options: Default::default(),
            price: Money::new(1990, Currency::EUR),
            retired: false,
        }],
        created_at: at,
        updated_at: at,
        version: 0,
    }
}

#[tokio::test]
async fn a_product_and_its_stock() {
    let database = TestDatabase::new().await.unwrap_or_else(|error| panic!("{error}"));
    let store = database.store().await.unwrap();
    let reads = store.reads();
    let mut product = product();
    let variant = product.variants[0].id;
    let mut set = ChangeSet::new(&UuidV7, product.created_at, ActorRef::System);
    set.insert(&mut product).hold(Claim::product_slug("mug"), product.id);
    set.open_stock(NewStock { variant_id: variant, product_id: product.id, low_stock_threshold: 2 }, 5);
    assert_eq!(store.commit(&set).await.unwrap(), Applied::Now);
    assert_eq!(store.commit(&set).await.unwrap(), Applied::Before);
    assert_eq!(reads.load_product(product.id).await.unwrap(), Some(product.clone()));
    let view = reads.view_product(&ProductKey::Slug("mug".to_owned())).await.unwrap().unwrap();
    assert_eq!((view.available, &view.product), (vec![5], &product));
    let active = ProductFilter { statuses: vec![ProductStatus::Active], ..ProductFilter::default() };
    assert_eq!(reads.list_products(&active, &Slice::first(10)).await.unwrap().items.len(), 1);

    let mut set = ChangeSet::new(&UuidV7, product.created_at, ActorRef::System);
    set.move_stock(variant, StockDelta { on_hand: 0, reserved: 6, expect_on_hand: None }, None);
    let Err(CommitError::Conflict(conflicts)) = store.commit(&set).await else { panic!("six of five") };
    assert_eq!(conflicts, [Conflict::Short { variant, available: 5 }]);
    assert!(reads.verify().await.unwrap().is_empty());
}
