//! Changes of products and variants.

use commerce_core::{
    Write,
    catalog::{CatalogError, CategoryPatch, NewCategory, NewVariant, ProductPatch, VariantPatch},
    error::CommonError,
    id::{IdGenerator, ProductId, UuidV7, VariantId},
};

use crate::{
    common, is_not_found,
    shop::{Shop, draft, euros, everything, hearing, open},
};

#[tokio::test]
async fn edits_change_what_they_name_and_heed_the_version() {
    let shop = open().await;
    let draft = draft("Mug", "MUG", 100, 4).description("Old");
    let draft = draft.attribute("colour", "blue").attribute("weight", "300 g");
    let before = shop.as_system().catalog().create(draft).await.unwrap();
    shop.later();
    let patch = ProductPatch::new().title("Big mug".to_owned()).description(String::new());
    let patch = patch.attribute("colour", None).attribute("size", "L".to_owned());
    let after = shop.as_system().catalog().update(before.id, patch.clone()).if_version(1).await.unwrap();
    assert_eq!((after.title.as_str(), after.description.as_str(), after.slug.as_str()), ("Big mug", "", "mug"));
    assert_eq!(after.attributes.keys().collect::<Vec<_>>(), ["size", "weight"]);
    assert_eq!((after.version, after.created_at), (2, before.created_at));
    assert!(after.updated_at > before.updated_at);
    assert_eq!(after.variants[0].available, 4);
    assert_eq!(shop.as_guest().catalog().product("mug").await.unwrap(), after);

    let stale = |error| assert!(matches!(common(error), CommonError::VersionMismatch(2)));
    stale(shop.as_system().catalog().update(before.id, patch.clone()).if_version(1).await.unwrap_err());
    stale(shop.as_system().catalog().delete(before.id).if_version(1).await.unwrap_err());
    let variant = before.variants[0].id;
    stale(shop.as_system().catalog().update_variant(variant, VariantPatch::default()).if_version(1).await.unwrap_err());
    stale(shop.as_system().catalog().delete_variant(variant).if_version(1).await.unwrap_err());
    is_not_found(shop.as_system().catalog().update(ProductId(UuidV7.uuid()), patch).if_version(1).await);
}

#[tokio::test]
async fn variants_come_and_go_but_one_stays() {
    let shop = open().await;
    let product = shop.product("Shirt", "S", 1000, 1).await;
    let small = product.variants[0].id;
    let large = NewVariant::new("L", euros(2000)).stock(5);
    let added = shop.as_system().catalog().add_variant(product.id, large).await.unwrap();
    assert_eq!((added.product_id, added.position, added.available, added.version), (product.id, 1, 5, 2));
    let large = added.id;
    let detail = shop.as_guest().catalog().product("shirt").await.unwrap();
    assert_eq!(detail.variants.iter().map(|variant| variant.available).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(detail.variant(large), Some(&added));
    assert_eq!((detail.min_price(), detail.max_price()), (Some(euros(1000)), Some(euros(2000))));
    assert_eq!(detail.default_variant(), small);

    let patch = VariantPatch::new().title("Large".to_owned()).option("size", "L".to_owned()).price(euros(2500));
    let changed = shop.as_system().catalog().update_variant(large, patch).if_version(2).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.price, changed.sku.as_str()), ("Large", euros(2500), "L"));
    assert_eq!(changed.options["size"], "L");
    assert_eq!(shop.as_guest().catalog().product("shirt").await.unwrap().variants[1], changed);

    shop.as_system().catalog().delete_variant(small).if_version(3).await.unwrap();
    is_not_found(shop.as_system().catalog().delete_variant(small).await);
    is_not_found(shop.as_system().catalog().update_variant(small, VariantPatch::default()).await);
    let error = shop.as_system().catalog().delete_variant(large).await.unwrap_err();
    assert!(matches!(error, CatalogError::LastVariant), "{error:?}");
    let left = shop.as_guest().catalog().product("shirt").await.unwrap();
    assert_eq!((left.variants.len(), left.variants[0].available, left.min_price()), (1, 5, Some(euros(2500))));
    let ledger = shop.as_system().inventory().movements(small, &everything()).await.unwrap();
    assert_eq!(ledger.total, Some(1), "the ledger is kept");

    // The SKU is free again, and positions aren't used twice.
    let again = shop.as_system().catalog().add_variant(product.id, NewVariant::new("S", euros(900))).await.unwrap();
    let detail = shop.as_guest().catalog().product("shirt").await.unwrap();
    assert_eq!((again.available, detail.default_variant()), (0, large), "what is available goes before");
    assert_eq!(detail.variants.iter().map(|v| v.position).collect::<Vec<_>>(), [1, 2]);
    is_not_found(
        shop.as_system().catalog().add_variant(ProductId(UuidV7.uuid()), NewVariant::new("X", euros(1))).await,
    );
    is_not_found(shop.as_system().catalog().update_variant(VariantId(UuidV7.uuid()), VariantPatch::default()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_one_product_at_once_are_all_kept() {
    let shop = open().await;
    let product = shop.product("Shirt", "S", 1000, 1).await;
    let edits: Vec<_> = (0..20)
        .map(|n| {
            let (catalog, id) = (shop.as_system().catalog(), product.id);
            tokio::spawn(async move {
                catalog.update(id, ProductPatch::new().attribute(format!("a{n}"), "x".to_owned())).await
            })
        })
        .collect();
    for edit in edits {
        edit.await.unwrap().unwrap();
    }
    let after = shop.as_system().catalog().admin_product(product.id).await.unwrap();
    assert_eq!((after.attributes.len(), after.version), (20, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_variants_of_one_product_at_once_are_all_kept() {
    let shop = open().await;
    let product = shop.product("Shirt", "S-0", 1000, 1).await;
    for n in 1..10 {
        let variant = NewVariant::new(format!("S-{n}"), euros(1000));
        shop.as_system().catalog().add_variant(product.id, variant).await.unwrap();
    }
    let before = shop.as_system().catalog().admin_product(product.id).await.unwrap();
    let edits: Vec<_> = (0i64..)
        .zip(&before.variants)
        .map(|(n, variant)| {
            tokio::spawn(
                shop.as_system()
                    .catalog()
                    .update_variant(variant.id, VariantPatch::new().price(euros(n)))
                    .into_future(),
            )
        })
        .collect();
    for edit in edits {
        edit.await.unwrap().unwrap();
    }
    let after = shop.as_system().catalog().admin_product(product.id).await.unwrap();
    assert_eq!(
        after.variants.iter().map(|variant| variant.price.minor).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    assert_eq!(after.version, before.version + 10);
}

#[tokio::test]
async fn every_write_of_the_catalogue_can_be_prepared_with_its_key_and_the_tasks_of_the_event_sink() {
    let shop = hearing().await;
    let catalog = shop.as_system().catalog();
    let category = catalog.create_category(NewCategory::new("Mugs")).await.unwrap();
    let empty = catalog.create_category(NewCategory::new("Empty")).await.unwrap();
    let product = shop.product("Mug", "MUG", 100, 1).await;
    let variant = product.default_variant();
    let large = catalog.add_variant(product.id, NewVariant::new("MUG-L", euros(200))).await.unwrap();

    async fn committed<T: Send + std::fmt::Debug + PartialEq + 'static>(
        shop: &Shop,
        write: impl Fn() -> Write<T, CatalogError>,
    ) {
        let prepared = write().idempotent("prepared").prepare().await.unwrap();
        assert!(!prepared.replayed);
        assert_eq!(prepared.changes.keys().len(), 1, "the key");
        assert_eq!((prepared.changes.events().len(), prepared.changes.tasks().len()), (1, 1), "what tells the sink");
        shop.store().commit(&prepared.changes).await.unwrap();
        let again = write().idempotent("prepared").outcome().await.unwrap();
        assert_eq!((again.replayed, again.value), (true, prepared.output));
    }
    committed(&shop, || catalog.create(draft("Cup", "CUP", 100, 1))).await;
    committed(&shop, || catalog.update(product.id, ProductPatch::new().title("Big mug".to_owned()))).await;
    committed(&shop, || catalog.add_variant(product.id, NewVariant::new("MUG-S", euros(50)))).await;
    committed(&shop, || catalog.update_variant(variant, VariantPatch::new().price(euros(150)))).await;
    committed(&shop, || catalog.delete_variant(large.id)).await;
    committed(&shop, || catalog.create_category(NewCategory::new("Cups"))).await;
    committed(&shop, || catalog.update_category(category.id, CategoryPatch::new().position(7))).await;
    committed(&shop, || catalog.delete_category(empty.id)).await;
    committed(&shop, || catalog.delete(product.id)).await;
    assert_eq!(shop.store().reads().verify().await.unwrap(), []);
}
