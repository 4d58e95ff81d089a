//! Products and variants, from creation to deletion, as staff and customers meet them.

mod edits;
#[path = "../shop/mod.rs"]
mod shop;

use commerce_core::{
    catalog::{
        CatalogError, CategoryPatch, Image, NewCategory, NewProduct, NewVariant, ProductPatch, ProductStatus,
        VariantPatch,
    },
    context::{AccessError, IdempotencyError, RequestContext, Role},
    error::CommonError,
    event::DomainEvent,
    id::{CategoryId, IdGenerator, UuidV7},
    money::{Currency, Money},
    page::PageRequest,
    store::{AggregateId, MovementKind},
};
use shop::{broken, draft, euros, everything, open, someone};

fn common(error: CatalogError) -> CommonError {
    match error {
        CatalogError::Common(error) => error,
        other => panic!("a rule of the catalogue: {other:?}"),
    }
}

#[allow(clippy::needless_pass_by_value)] // What is called with is made for it.
fn is_not_found<T: std::fmt::Debug>(result: Result<T, CatalogError>) {
    assert!(matches!(result, Err(CatalogError::Common(CommonError::NotFound(_)))), "{result:?}");
}

#[tokio::test]
async fn a_product_is_created_whole_and_reads_back_as_answered() {
    let shop = open().await;
    let staff = someone(Role::Manager);
    let catalog = shop.acting_as(&staff).catalog();
    let shirts = catalog.create_category(NewCategory::new("Shirts")).await.unwrap();
    let variant = |size: &str, cents| {
        let variant = NewVariant::new(format!("SHIRT-{size}"), euros(cents)).title(size.to_owned());
        variant.option("size", size).low_stock_threshold(3)
    };
    let draft = NewProduct::active(" Blå skjorte ")
        .description("Soft.\nWashable.")
        .category(shirts.id)
        .category(shirts.id)
        .attribute("material", "linen")
        .image(Image { url: "https://img.example/shirt.jpg".into(), alt: Some("A shirt".into()) })
        .with_variant(variant("L", 2990).stock(7))
        .with_variant(variant("S", 1990));
    let product = catalog.create(draft).await.unwrap();
    assert_eq!((product.title.as_str(), product.slug.as_str()), ("Blå skjorte", "bla-skjorte"));
    assert_eq!((product.min_price(), product.max_price()), (Some(euros(1990)), Some(euros(2990))));
    assert_eq!(product.variants.iter().map(|variant| variant.available).collect::<Vec<_>>(), [7, 0]);
    assert!(product.variants.iter().all(|variant| (variant.product_id, variant.version) == (product.id, 1)));
    assert_eq!((product.version, product.rating_count, product.rating_average()), (1, 0, 0.0));
    assert_eq!(product.categories.iter().map(|category| category.id).collect::<Vec<_>>(), [shirts.id]);

    let id = product.id.to_string();
    for key in ["bla-skjorte", &id] {
        assert_eq!(shop.as_guest().catalog().product(key).await.unwrap(), product);
    }
    assert_eq!(catalog.admin_product(product.id).await.unwrap(), product);
    let listed = shop.as_guest().catalog().products().page(&everything()).await.unwrap();
    assert_eq!((listed.items.len(), listed.total, listed.next_cursor), (1, Some(1), None));
    assert_eq!(listed.items[0].variants, product.variants);

    let ledger =
        shop.acting_as(&staff.actor).inventory().movements(product.variants[0].id, &everything()).await.unwrap().items;
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].kind, ledger[0].delta, ledger[0].on_hand_after), (MovementKind::Initial, 7, 7));
    assert_eq!(ledger[0].actor, staff.actor.reference());
    let stock = shop.acting_as(&staff.actor).inventory().stock_item(product.variants[1].id).await.unwrap();
    assert_eq!((stock.on_hand, stock.low_stock_threshold, stock.sku.as_str()), (0, 3, "SHIRT-S"));
    let events = shop.store().reads().list_events(AggregateId::Product(product.id)).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, DomainEvent::ProductCreated { product: product.id });
    assert_eq!(shop.store().reads().verify().await.unwrap(), []);
}

#[tokio::test]
async fn drafts_and_archived_products_are_for_staff_only() {
    let shop = open().await;
    let staff = someone(Role::Manager);
    for (n, status) in [ProductStatus::Draft, ProductStatus::Archived].into_iter().enumerate() {
        let draft = draft(&format!("p{n}"), &format!("P-{n}"), 100, 1).status(status);
        let id = shop.acting_as(&staff).catalog().create(draft).await.unwrap().id;
        is_not_found(shop.as_guest().catalog().product(&id.to_string()).await);
        is_not_found(shop.acting_as(&staff).catalog().product(&format!("p{n}")).await);
        assert_eq!(shop.acting_as(&staff).catalog().admin_product(id).await.unwrap().status, status);
        let listed = shop.acting_as(&staff).catalog().admin_products().status(status);
        let listed = listed.page(&everything()).await.unwrap().items;
        assert_eq!(listed.iter().map(|detail| detail.id).collect::<Vec<_>>(), [id]);
    }
    let public = shop.acting_as(&staff).catalog().products().page(&everything()).await.unwrap();
    assert_eq!(public.total, Some(0));
    let all = shop.acting_as(&staff).catalog().admin_products();
    assert_eq!(all.page(&everything()).await.unwrap().total, Some(2));
    let deleted = all.clone().status(ProductStatus::Deleted);
    assert!(deleted.page(&everything()).await.unwrap().items.is_empty());
    let words = |words: &str| all.clone().words(words.to_owned());
    assert_eq!(words("p1").page(&everything()).await.unwrap().total, Some(1));
    assert_eq!(words("%").page(&everything()).await.unwrap().total, Some(0));
}

#[tokio::test]
async fn made_slugs_step_aside_and_given_ones_insist() {
    let shop = open().await;
    let mut slugs = Vec::new();
    for n in 0..11 {
        slugs.push(shop.product("Mug", &format!("MUG-{n}"), 100, 1).await.slug);
    }
    assert_eq!(slugs[..3], ["mug", "mug-2", "mug-3"]);
    assert!(slugs[9].starts_with("mug-") && slugs[9].len() == 12, "{}", slugs[9]);
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), 11);

    let insisting = draft("Cup", "CUP", 100, 1).slug("mug".to_owned());
    let error = shop.as_system().catalog().create(insisting.clone()).await.unwrap_err();
    assert!(matches!(&error, CatalogError::SlugTaken(slug) if slug == "mug"), "{error:?}");
    let claim = commerce_core::store::Claim::sku("CUP");
    assert_eq!(shop.store().reads().load_claim(&claim).await.unwrap(), None, "nothing of it was written");

    // After a new slug, the old one leads to the product until another is given it.
    let mug = shop.as_guest().catalog().product("mug").await.unwrap();
    let rename = |slug: &str| ProductPatch::new().slug(slug.to_owned());
    let error = shop.as_system().catalog().update(mug.id, rename("mug-2")).await.unwrap_err();
    assert!(matches!(&error, CatalogError::SlugTaken(slug) if slug == "mug-2"), "{error:?}");
    shop.as_system().catalog().update(mug.id, rename("beaker")).await.unwrap();
    assert_eq!(shop.as_guest().catalog().product("mug").await.unwrap().slug, "beaker");
    let cup = shop.as_system().catalog().create(insisting).await.unwrap();
    assert_eq!(shop.as_guest().catalog().product("mug").await.unwrap().id, cup.id);
    assert_eq!(shop.as_guest().catalog().product("beaker").await.unwrap().id, mug.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_products_of_one_title_at_once_all_get_a_slug() {
    let shop = open().await;
    let creations = (0..20)
        .map(|n| tokio::spawn(shop.as_system().catalog().create(draft("Mug", &format!("M-{n}"), 1, 1)).into_future()));
    let mut slugs = std::collections::BTreeSet::new();
    for creation in creations.collect::<Vec<_>>() {
        slugs.insert(creation.await.unwrap().unwrap().slug);
    }
    assert_eq!(slugs.len(), 20);
}

#[tokio::test]
async fn a_sku_belongs_to_one_variant_until_it_is_gone() {
    let shop = open().await;
    let product = shop.product("Mug", "MUG", 100, 1).await;
    let taken = |result: Result<(), CatalogError>| {
        assert!(matches!(&result, Err(CatalogError::SkuTaken(sku)) if sku == "MUG"), "{result:?}");
    };
    taken(shop.as_system().catalog().create(draft("Cup", "MUG", 100, 1)).await.map(drop));
    taken(shop.as_system().catalog().add_variant(product.id, NewVariant::new("MUG", euros(1))).await.map(drop));
    let other = shop.product("Cup", "CUP", 100, 1).await.variants[0].id;
    let patch = |sku: &str| VariantPatch::new().sku(sku.to_owned());
    taken(shop.as_system().catalog().update_variant(other, patch("MUG")).await.map(drop));

    shop.as_system().catalog().update_variant(product.variants[0].id, patch("MUG-1")).await.unwrap();
    let renamed = shop.as_system().catalog().update_variant(other, patch("MUG")).await.unwrap();
    assert_eq!(renamed.sku, "MUG");
}

#[tokio::test]
async fn broken_rules_are_named_and_nothing_is_written() {
    let shop = open().await;
    let mug = || draft("Mug", "MUG", 100, 1);
    let dollar = Money::new(1, Currency::USD);
    let cases: [(NewProduct, (&str, &str)); 6] = [
        (draft(" ", "MUG", 100, 1), ("/title", "required")),
        (NewProduct::active("Mug"), ("/variants", "required")),
        (mug().variant("MUG", euros(100)), ("/variants/1/sku", "duplicate")),
        (NewProduct::active("Mug").variant("MUG", dollar), ("/variants/0/price", "currency_mismatch")),
        (mug().stock(-1), ("/variants/0/stock", "out_of_range")),
        (mug().category(CategoryId(UuidV7.uuid())), ("/category_ids/0", "unknown_category")),
    ];
    for (draft, field) in cases {
        let error = common(shop.as_system().catalog().create(draft).await.unwrap_err());
        assert_eq!(broken(&error), [field]);
    }
    let all = shop.as_system().catalog().admin_products().page(&everything()).await.unwrap();
    assert_eq!(all.total, Some(0));

    let product = shop.product("Mug", "MUG", 100, 1).await;
    let patch = ProductPatch::new().status(ProductStatus::Deleted);
    // What is wrong with the input comes before what is wrong with the version.
    let error = common(shop.as_system().catalog().update(product.id, patch).if_version(9).await.unwrap_err());
    assert_eq!(broken(&error), [("/status", "invalid_status")]);
    let patch = VariantPatch::new().price(euros(-1));
    let variant = product.variants[0].id;
    let error = common(shop.as_system().catalog().update_variant(variant, patch).if_version(9).await.unwrap_err());
    assert_eq!(broken(&error), [("/price", "out_of_range")]);
    let draft = NewVariant::new("", euros(1));
    let error = common(shop.as_system().catalog().add_variant(product.id, draft).await.unwrap_err());
    assert_eq!(broken(&error), [("/sku", "required")]);
}

#[tokio::test]
async fn deleting_frees_names_unless_orders_refer_to_the_product() {
    let shop = open().await;
    let unsold = shop.product("Mug", "MUG", 100, 1).await;
    shop.as_system().catalog().delete(unsold.id).if_version(1).await.unwrap();
    is_not_found(shop.as_guest().catalog().product("mug").await);
    is_not_found(shop.as_guest().catalog().product(&unsold.id.to_string()).await);
    is_not_found(shop.as_system().catalog().admin_product(unsold.id).await);
    is_not_found(shop.as_system().catalog().delete(unsold.id).await);
    is_not_found(shop.as_system().catalog().update_variant(unsold.variants[0].id, VariantPatch::new()).await);
    let all = shop.as_system().catalog().admin_products().page(&everything()).await.unwrap();
    assert_eq!(all.total, Some(0));

    let sold = shop.product("Mug", "MUG", 100, 1).await;
    assert_eq!(sold.slug, "mug", "slug and SKU were free");
    let ada = shop.user("ada@example.com", "Ada", "Lovelace", Role::Customer).await;
    shop.buy(&ada, sold.variants[0].id).await;
    shop.as_system().catalog().delete(sold.id).await.unwrap();
    is_not_found(shop.as_guest().catalog().product("mug").await);
    let kept = shop.as_system().catalog().admin_product(sold.id).await.unwrap();
    assert_eq!((kept.status, kept.slug.as_str()), (ProductStatus::Archived, "mug"));
    let error = shop.as_system().catalog().create(draft("Cup", "MUG", 100, 1)).await.unwrap_err();
    assert!(matches!(error, CatalogError::SkuTaken(_)), "{error:?}");
}

#[tokio::test]
async fn the_same_key_creates_once() {
    let shop = open().await;
    let staff = someone(Role::Manager);
    let catalog = shop.acting_as(&staff).catalog();
    let create = |product: NewProduct, key: &str| catalog.create(product).idempotent(key).outcome();
    let first = create(draft("Mug", "MUG", 100, 1), "create").await.unwrap();
    let again = create(draft("Mug", "MUG", 100, 1), "create").await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.value, again.value);
    let error = common(create(draft("Cup", "CUP", 1, 1), "create").await.unwrap_err());
    assert!(matches!(error, CommonError::Idempotency(IdempotencyError::Reused)), "{error:?}");

    // Refusals aren't kept.
    create(draft("", "CUP", 1, 1), "retried").await.unwrap_err();
    assert!(!create(draft("Cup", "CUP", 1, 1), "retried").await.unwrap().replayed);
    let id = first.value.id;
    let variant = || catalog.add_variant(id, NewVariant::new("V", euros(1)));
    variant().await.unwrap();
    assert!(matches!(variant().await.unwrap_err(), CatalogError::SkuTaken(_)));
}

#[tokio::test]
async fn a_plan_changes_nothing_until_it_is_committed() {
    let shop = open().await;
    let plan = shop.as_system().catalog().create(draft("Mug", "MUG", 100, 1)).prepare().await.unwrap();
    is_not_found(shop.as_guest().catalog().product("mug").await);
    shop.store().commit(&plan.changes).await.unwrap();
    assert_eq!(shop.as_guest().catalog().product("mug").await.unwrap(), plan.output);
}

#[tokio::test]
async fn only_those_who_may_edit_the_catalogue_do() {
    let shop = open().await;
    let product = shop.product("Mug", "MUG", 100, 1).await;
    let (id, variant) = (product.id, product.variants[0].id);
    for call in [RequestContext::guest(), someone(Role::Customer), someone(Role::Support)] {
        let catalog = shop.acting_as(&call).catalog();
        let category = CategoryId(UuidV7.uuid());
        let bad = NewVariant::new("", euros(1));
        // All of it would be refused for other reasons, too: rights come first.
        let refusals = [
            catalog.create(NewProduct::default()).await.err(),
            catalog.update(id, ProductPatch::new()).if_version(99).await.err(),
            catalog.delete(id).if_version(99).await.err(),
            catalog.add_variant(id, bad.clone()).await.err(),
            catalog.update_variant(variant, VariantPatch::new()).if_version(99).await.err(),
            catalog.delete_variant(variant).if_version(99).await.err(),
            catalog.create_category(NewCategory::default()).await.err(),
            catalog.update_category(category, CategoryPatch::new()).await.err(),
            catalog.delete_category(category).await.err(),
            catalog.admin_product(id).await.err(),
            catalog.admin_products().page(&bad_cursor()).await.err(),
            catalog.create(NewProduct::default()).prepare().await.err(),
            catalog.update(id, ProductPatch::new()).prepare().await.err(),
            catalog.delete(id).prepare().await.err(),
            catalog.add_variant(id, bad).prepare().await.err(),
            catalog.update_variant(variant, VariantPatch::new()).prepare().await.err(),
            catalog.delete_variant(variant).prepare().await.err(),
            catalog.create_category(NewCategory::default()).prepare().await.err(),
            catalog.update_category(category, CategoryPatch::new()).prepare().await.err(),
            catalog.delete_category(category).prepare().await.err(),
        ];
        for refusal in refusals {
            let CommonError::Access(access) = common(refusal.expect("a refusal")) else { panic!("not about rights") };
            let guest = call.actor.user().is_none();
            assert!(guest == (access == AccessError::Unauthenticated), "{access:?}");
        }
    }
    let untouched = shop.as_system().catalog().admin_product(id).await.unwrap();
    assert_eq!(untouched, product);
}

fn bad_cursor() -> PageRequest {
    PageRequest { cursor: Some("nonsense".into()), ..PageRequest::default() }
}
