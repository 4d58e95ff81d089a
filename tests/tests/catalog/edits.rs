//! Changes of products and variants.

use commerce_core::{
    catalog::{AddedVariant, CatalogError, ProductDraft, ProductPatch, VariantDraft, VariantPatch},
    context::{Actor, RequestContext},
    error::CommonError,
    id::{IdGenerator, ProductId, UuidV7, VariantId},
};

use crate::{
    common, is_not_found,
    shop::{draft, euros, everything, open},
};

#[tokio::test]
async fn edits_change_what_they_name_and_heed_the_version() {
    let shop = open().await;
    let system = RequestContext::system();
    let draft = ProductDraft {
        attributes: [("colour".to_owned(), "blue".to_owned()), ("weight".to_owned(), "300 g".to_owned())].into(),
        description: "Old".into(),
        ..draft("Mug", "MUG", 100, 4)
    };
    let before = shop.catalog().create_product(&system, draft).await.unwrap().value.view.product;
    shop.later();
    let patch = ProductPatch {
        title: Some("Big mug".into()),
        description: Some(String::new()),
        attributes: Some(Some([("colour".to_owned(), None), ("size".to_owned(), Some("L".to_owned()))].into())),
        ..ProductPatch::default()
    };
    let detail = shop.catalog().update_product(&system, before.id, patch.clone(), Some(1)).await.unwrap();
    let after = &detail.view.product;
    assert_eq!((after.title.as_str(), after.description.as_str(), after.slug.as_str()), ("Big mug", "", "mug"));
    assert_eq!(after.attributes.keys().collect::<Vec<_>>(), ["size", "weight"]);
    assert_eq!((after.version, after.created_at), (2, before.created_at));
    assert!(after.updated_at > before.updated_at);
    assert_eq!(detail.view.available, [4]);
    assert_eq!(shop.catalog().product(&Actor::guest(), "mug").await.unwrap(), detail);

    let stale = |error| assert!(matches!(common(error), CommonError::VersionMismatch(2)));
    stale(shop.catalog().update_product(&system, before.id, patch.clone(), Some(1)).await.unwrap_err());
    stale(shop.catalog().delete_product(&system, before.id, Some(1)).await.unwrap_err());
    let variant = before.variants[0].id;
    stale(shop.catalog().update_variant(&system, variant, VariantPatch::default(), Some(1)).await.unwrap_err());
    stale(shop.catalog().delete_variant(&system, variant, Some(1)).await.unwrap_err());
    is_not_found(shop.catalog().update_product(&system, ProductId(UuidV7.uuid()), patch, Some(1)).await);
}

#[tokio::test]
async fn variants_come_and_go_but_one_stays() {
    let shop = open().await;
    let system = RequestContext::system();
    let product = shop.product("Shirt", "S", 1000, 1).await.view.product;
    let small = product.variants[0].id;
    let large = VariantDraft { stock: Some(5), ..VariantDraft::new("L", euros(2000)) };
    let AddedVariant { detail, variant_id: large } =
        shop.catalog().add_variant(&system, product.id, large).await.unwrap().value;
    assert_eq!(detail.view.available, [1, 5]);
    assert_eq!(detail.view.product.variants[1].id, large);
    assert_eq!((detail.view.product.min_price(), detail.view.product.max_price()), (1000, 2000));

    let patch = VariantPatch {
        title: Some("Large".into()),
        options: Some(Some([("size".to_owned(), Some("L".to_owned()))].into())),
        price: Some(euros(2500)),
        ..VariantPatch::default()
    };
    let detail = shop.catalog().update_variant(&system, large, patch, Some(2)).await.unwrap();
    let changed = &detail.view.product.variants[1];
    assert_eq!((changed.title.as_str(), changed.price, changed.sku.as_str()), ("Large", euros(2500), "L"));
    assert_eq!(changed.options["size"], "L");
    assert_eq!(shop.catalog().product(&Actor::guest(), "shirt").await.unwrap(), detail);

    shop.catalog().delete_variant(&system, small, Some(3)).await.unwrap();
    is_not_found(shop.catalog().delete_variant(&system, small, None).await);
    is_not_found(shop.catalog().update_variant(&system, small, VariantPatch::default(), None).await);
    let error = shop.catalog().delete_variant(&system, large, None).await.unwrap_err();
    assert!(matches!(error, CatalogError::LastVariant), "{error:?}");
    let left = shop.catalog().product(&Actor::guest(), "shirt").await.unwrap().view;
    assert_eq!((left.product.variants.len(), left.available, left.product.min_price()), (1, vec![5], 2500));
    let ledger = shop.as_system().inventory().movements(small, &everything()).await.unwrap();
    assert_eq!(ledger.total, Some(1), "the ledger is kept");

    // The SKU is free again, and positions aren't used twice.
    let again = VariantDraft::new("S", euros(900));
    let detail = shop.catalog().add_variant(&system, product.id, again).await.unwrap().value.detail;
    assert_eq!(detail.view.product.variants.iter().map(|v| v.position).collect::<Vec<_>>(), [1, 2]);
    is_not_found(shop.catalog().add_variant(&system, ProductId(UuidV7.uuid()), VariantDraft::new("X", euros(1))).await);
    is_not_found(shop.catalog().update_variant(&system, VariantId(UuidV7.uuid()), VariantPatch::default(), None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_one_product_at_once_are_all_kept() {
    let shop = open().await;
    let product = shop.product("Shirt", "S", 1000, 1).await.view.product;
    let edits: Vec<_> = (0..20)
        .map(|n| {
            let (catalog, id) = (shop.catalog(), product.id);
            tokio::spawn(async move {
                let attributes = Some(Some([(format!("a{n}"), Some("x".to_owned()))].into()));
                let patch = ProductPatch { attributes, ..ProductPatch::default() };
                catalog.update_product(&RequestContext::system(), id, patch, None).await
            })
        })
        .collect();
    for edit in edits {
        edit.await.unwrap().unwrap();
    }
    let after = shop.catalog().admin_product(&Actor::System, product.id).await.unwrap().view.product;
    assert_eq!((after.attributes.len(), after.version), (20, 21));
}
