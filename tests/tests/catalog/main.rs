//! Products and variants, from creation to deletion, as staff and customers meet them.

mod edits;
#[path = "../shop/mod.rs"]
mod shop;

use commerce_core::{
    catalog::{
        AdminProductQuery, CatalogError, CategoryDraft, CategoryPatch, Image, ProductDraft, ProductPatch, ProductQuery,
        ProductStatus, VariantDraft, VariantPatch,
    },
    context::{AccessError, Actor, IdempotencyError, RequestContext, Role},
    error::CommonError,
    event::DomainEvent,
    id::{CategoryId, IdGenerator, UuidV7},
    money::{Currency, Money},
    page::PageRequest,
    store::{AggregateId, MovementKind},
};
use shop::{broken, draft, euros, everything, once, open, someone};

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
    let shirts = CategoryDraft { name: "Shirts".into(), ..CategoryDraft::default() };
    let shirts = shop.catalog().create_category(&staff, shirts).await.unwrap().value.category;
    let variant = |size: &str, cents, stock| VariantDraft {
        title: Some(size.to_owned()),
        options: [("size".to_owned(), size.to_owned())].into(),
        stock,
        low_stock_threshold: Some(3),
        ..VariantDraft::new(format!("SHIRT-{size}"), euros(cents))
    };
    let draft = ProductDraft {
        title: " Blå skjorte ".into(),
        description: "Soft.\nWashable.".into(),
        status: ProductStatus::Active,
        category_ids: vec![shirts.id, shirts.id],
        attributes: [("material".to_owned(), "linen".to_owned())].into(),
        images: vec![Image { url: "https://img.example/shirt.jpg".into(), alt: Some("A shirt".into()) }],
        variants: vec![variant("L", 2990, Some(7)), variant("S", 1990, None)],
        ..ProductDraft::default()
    };
    let created = shop.catalog().create_product(&staff, draft).await.unwrap();
    assert!(!created.replayed);
    let detail = created.value;
    let product = &detail.view.product;
    assert_eq!((product.title.as_str(), product.slug.as_str()), ("Blå skjorte", "bla-skjorte"));
    assert_eq!((product.min_price(), product.max_price(), product.version), (1990, 2990, 1));
    assert_eq!(detail.view.available, [7, 0]);
    assert_eq!((detail.view.rating_average(), detail.categories.as_slice()), (0.0, &[shirts][..]));

    let id = product.id.to_string();
    for key in ["bla-skjorte", &id] {
        assert_eq!(shop.catalog().product(&Actor::guest(), key).await.unwrap(), detail);
    }
    assert_eq!(shop.catalog().admin_product(&staff.actor, product.id).await.unwrap(), detail);
    let listed = shop.catalog().products(&Actor::guest(), ProductQuery::default(), &everything()).await.unwrap();
    assert_eq!((listed.items.len(), listed.total, listed.next_cursor), (1, Some(1), None));
    assert_eq!(listed.items[0].view.product.variants, product.variants);

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
        let draft = ProductDraft { status, ..draft(&format!("p{n}"), &format!("P-{n}"), 100, 1) };
        let id = shop.catalog().create_product(&staff, draft).await.unwrap().value.view.product.id;
        is_not_found(shop.catalog().product(&Actor::guest(), &id.to_string()).await);
        is_not_found(shop.catalog().product(&staff.actor, &format!("p{n}")).await);
        assert_eq!(shop.catalog().admin_product(&staff.actor, id).await.unwrap().view.product.status, status);
        let query = AdminProductQuery { status: Some(status), q: None };
        let listed = shop.catalog().admin_products(&staff.actor, query, &everything()).await.unwrap().items;
        assert_eq!(listed.iter().map(|detail| detail.view.product.id).collect::<Vec<_>>(), [id]);
    }
    let public = shop.catalog().products(&staff.actor, ProductQuery::default(), &everything()).await.unwrap();
    assert_eq!(public.total, Some(0));
    let all = shop.catalog().admin_products(&staff.actor, AdminProductQuery::default(), &everything()).await.unwrap();
    assert_eq!(all.total, Some(2));
    let deleted = AdminProductQuery { status: Some(ProductStatus::Deleted), q: None };
    assert!(shop.catalog().admin_products(&staff.actor, deleted, &everything()).await.unwrap().items.is_empty());
    let sought = AdminProductQuery { q: Some("p1".into()), ..AdminProductQuery::default() };
    assert_eq!(shop.catalog().admin_products(&staff.actor, sought, &everything()).await.unwrap().total, Some(1));
    let nothing = AdminProductQuery { q: Some("%".into()), ..AdminProductQuery::default() };
    assert_eq!(shop.catalog().admin_products(&staff.actor, nothing, &everything()).await.unwrap().total, Some(0));
}

#[tokio::test]
async fn made_slugs_step_aside_and_given_ones_insist() {
    let shop = open().await;
    let system = RequestContext::system();
    let mut slugs = Vec::new();
    for n in 0..11 {
        slugs.push(shop.product("Mug", &format!("MUG-{n}"), 100, 1).await.view.product.slug);
    }
    assert_eq!(slugs[..3], ["mug", "mug-2", "mug-3"]);
    assert!(slugs[9].starts_with("mug-") && slugs[9].len() == 12, "{}", slugs[9]);
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), 11);

    let insisting = ProductDraft { slug: Some("mug".into()), ..draft("Cup", "CUP", 100, 1) };
    let error = shop.catalog().create_product(&system, insisting.clone()).await.unwrap_err();
    assert!(matches!(&error, CatalogError::SlugTaken(slug) if slug == "mug"), "{error:?}");
    let claim = commerce_core::store::Claim::sku("CUP");
    assert_eq!(shop.store().reads().load_claim(&claim).await.unwrap(), None, "nothing of it was written");

    // After a new slug, the old one leads to the product until another is given it.
    let mug = shop.catalog().product(&Actor::guest(), "mug").await.unwrap().view.product;
    let rename = |slug: &str| ProductPatch { slug: Some(slug.to_owned()), ..ProductPatch::default() };
    let error = shop.catalog().update_product(&system, mug.id, rename("mug-2"), None).await.unwrap_err();
    assert!(matches!(&error, CatalogError::SlugTaken(slug) if slug == "mug-2"), "{error:?}");
    shop.catalog().update_product(&system, mug.id, rename("beaker"), None).await.unwrap();
    assert_eq!(shop.catalog().product(&Actor::guest(), "mug").await.unwrap().view.product.slug, "beaker");
    let cup = shop.catalog().create_product(&system, insisting).await.unwrap().value.view.product;
    assert_eq!(shop.catalog().product(&Actor::guest(), "mug").await.unwrap().view.product.id, cup.id);
    assert_eq!(shop.catalog().product(&Actor::guest(), "beaker").await.unwrap().view.product.id, mug.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_products_of_one_title_at_once_all_get_a_slug() {
    let shop = open().await;
    let creations = (0..20).map(|n| {
        let catalog = shop.catalog();
        tokio::spawn(async move {
            catalog.create_product(&RequestContext::system(), draft("Mug", &format!("M-{n}"), 1, 1)).await
        })
    });
    let mut slugs = std::collections::BTreeSet::new();
    for creation in creations.collect::<Vec<_>>() {
        slugs.insert(creation.await.unwrap().unwrap().value.view.product.slug);
    }
    assert_eq!(slugs.len(), 20);
}

#[tokio::test]
async fn a_sku_belongs_to_one_variant_until_it_is_gone() {
    let shop = open().await;
    let system = RequestContext::system();
    let product = shop.product("Mug", "MUG", 100, 1).await.view.product;
    let taken = |result: Result<(), CatalogError>| {
        assert!(matches!(&result, Err(CatalogError::SkuTaken(sku)) if sku == "MUG"), "{result:?}");
    };
    taken(shop.catalog().create_product(&system, draft("Cup", "MUG", 100, 1)).await.map(drop));
    taken(shop.catalog().add_variant(&system, product.id, VariantDraft::new("MUG", euros(1))).await.map(drop));
    let other = shop.product("Cup", "CUP", 100, 1).await.view.product.variants[0].id;
    let patch = |sku: &str| VariantPatch { sku: Some(sku.to_owned()), ..VariantPatch::default() };
    taken(shop.catalog().update_variant(&system, other, patch("MUG"), None).await.map(drop));

    shop.catalog().update_variant(&system, product.variants[0].id, patch("MUG-1"), None).await.unwrap();
    let renamed = shop.catalog().update_variant(&system, other, patch("MUG"), None).await.unwrap();
    assert_eq!(renamed.view.product.variants[0].sku, "MUG");
}

#[tokio::test]
async fn broken_rules_are_named_and_nothing_is_written() {
    let shop = open().await;
    let system = RequestContext::system();
    let draft = |change: fn(&mut ProductDraft)| {
        let mut draft = draft("Mug", "MUG", 100, 1);
        change(&mut draft);
        draft
    };
    let cases: [(ProductDraft, (&str, &str)); 6] = [
        (draft(|d| d.title = " ".into()), ("/title", "required")),
        (draft(|d| d.variants.clear()), ("/variants", "required")),
        (draft(|d| d.variants.push(d.variants[0].clone())), ("/variants/1/sku", "duplicate")),
        (draft(|d| d.variants[0].price = Money::new(1, Currency::USD)), ("/variants/0/price", "currency_mismatch")),
        (draft(|d| d.variants[0].stock = Some(-1)), ("/variants/0/stock", "out_of_range")),
        (draft(|d| d.category_ids = vec![CategoryId(UuidV7.uuid())]), ("/category_ids/0", "unknown_category")),
    ];
    for (draft, field) in cases {
        let error = common(shop.catalog().create_product(&system, draft).await.unwrap_err());
        assert_eq!(broken(&error), [field]);
    }
    let all = shop.catalog().admin_products(&Actor::System, AdminProductQuery::default(), &everything()).await.unwrap();
    assert_eq!(all.total, Some(0));

    let product = shop.product("Mug", "MUG", 100, 1).await.view.product;
    let patch = ProductPatch { status: Some(ProductStatus::Deleted), ..ProductPatch::default() };
    // What is wrong with the input comes before what is wrong with the version.
    let error = common(shop.catalog().update_product(&system, product.id, patch, Some(9)).await.unwrap_err());
    assert_eq!(broken(&error), [("/status", "invalid_status")]);
    let patch = VariantPatch { price: Some(euros(-1)), ..VariantPatch::default() };
    let variant = product.variants[0].id;
    let error = common(shop.catalog().update_variant(&system, variant, patch, Some(9)).await.unwrap_err());
    assert_eq!(broken(&error), [("/price", "out_of_range")]);
    let draft = VariantDraft::new("", euros(1));
    let error = common(shop.catalog().add_variant(&system, product.id, draft).await.unwrap_err());
    assert_eq!(broken(&error), [("/sku", "required")]);
}

#[tokio::test]
async fn deleting_frees_names_unless_orders_refer_to_the_product() {
    let shop = open().await;
    let system = RequestContext::system();
    let unsold = shop.product("Mug", "MUG", 100, 1).await.view.product;
    shop.catalog().delete_product(&system, unsold.id, Some(1)).await.unwrap();
    is_not_found(shop.catalog().product(&Actor::guest(), "mug").await);
    is_not_found(shop.catalog().product(&Actor::guest(), &unsold.id.to_string()).await);
    is_not_found(shop.catalog().admin_product(&Actor::System, unsold.id).await);
    is_not_found(shop.catalog().delete_product(&system, unsold.id, None).await);
    is_not_found(shop.catalog().update_variant(&system, unsold.variants[0].id, VariantPatch::default(), None).await);
    let all = shop.catalog().admin_products(&Actor::System, AdminProductQuery::default(), &everything()).await.unwrap();
    assert_eq!(all.total, Some(0));

    let sold = shop.product("Mug", "MUG", 100, 1).await.view.product;
    assert_eq!(sold.slug, "mug", "slug and SKU were free");
    let ada = shop.user("ada@example.com", "Ada", "Lovelace", Role::Customer).await;
    shop.buy(&ada, sold.variants[0].id).await;
    shop.catalog().delete_product(&system, sold.id, None).await.unwrap();
    is_not_found(shop.catalog().product(&Actor::guest(), "mug").await);
    let kept = shop.catalog().admin_product(&Actor::System, sold.id).await.unwrap().view.product;
    assert_eq!((kept.status, kept.slug.as_str()), (ProductStatus::Archived, "mug"));
    let error = shop.catalog().create_product(&system, draft("Cup", "MUG", 100, 1)).await.unwrap_err();
    assert!(matches!(error, CatalogError::SkuTaken(_)), "{error:?}");
}

#[tokio::test]
async fn the_same_key_creates_once() {
    let shop = open().await;
    let staff = someone(Role::Manager);
    let keyed = |request: &str| staff.clone().once(once("create", request));
    let first = shop.catalog().create_product(&keyed("mug"), draft("Mug", "MUG", 100, 1)).await.unwrap();
    let again = shop.catalog().create_product(&keyed("mug"), draft("Mug", "MUG", 100, 1)).await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.value, again.value);
    let error = common(shop.catalog().create_product(&keyed("cup"), draft("Cup", "CUP", 1, 1)).await.unwrap_err());
    assert!(matches!(error, CommonError::Idempotency(IdempotencyError::Reused)), "{error:?}");

    // Refusals aren't kept.
    let retried = || staff.clone().once(once("retried", "x"));
    shop.catalog().create_product(&retried(), draft("", "CUP", 1, 1)).await.unwrap_err();
    assert!(!shop.catalog().create_product(&retried(), draft("Cup", "CUP", 1, 1)).await.unwrap().replayed);
    let (catalog, id) = (shop.catalog(), first.value.view.product.id);
    let variant = || catalog.add_variant(&staff, id, VariantDraft::new("V", euros(1)));
    variant().await.unwrap();
    assert!(matches!(variant().await.unwrap_err(), CatalogError::SkuTaken(_)));
}

#[tokio::test]
async fn a_plan_changes_nothing_until_it_is_committed() {
    let shop = open().await;
    let system = RequestContext::system();
    let plan = shop.catalog().plan_create_product(&system, &draft("Mug", "MUG", 100, 1)).await.unwrap();
    is_not_found(shop.catalog().product(&Actor::guest(), "mug").await);
    shop.store().commit(&plan.changes).await.unwrap();
    assert_eq!(shop.catalog().product(&Actor::guest(), "mug").await.unwrap(), plan.output);
}

#[tokio::test]
async fn only_those_who_may_edit_the_catalogue_do() {
    let shop = open().await;
    let product = shop.product("Mug", "MUG", 100, 1).await.view.product;
    let (id, variant) = (product.id, product.variants[0].id);
    for call in [RequestContext::guest(), someone(Role::Customer), someone(Role::Support)] {
        let catalog = shop.catalog();
        let category = CategoryId(UuidV7.uuid());
        // All of it would be refused for other reasons, too: rights come first.
        let refusals = [
            catalog.create_product(&call, ProductDraft::default()).await.err(),
            catalog.update_product(&call, id, ProductPatch::default(), Some(99)).await.err(),
            catalog.delete_product(&call, id, Some(99)).await.err(),
            catalog.add_variant(&call, id, VariantDraft::new("", euros(1))).await.err(),
            catalog.update_variant(&call, variant, VariantPatch::default(), Some(99)).await.err(),
            catalog.delete_variant(&call, variant, Some(99)).await.err(),
            catalog.create_category(&call, CategoryDraft::default()).await.err(),
            catalog.update_category(&call, category, CategoryPatch::default(), None).await.err(),
            catalog.delete_category(&call, category, None).await.err(),
            catalog.admin_product(&call.actor, id).await.err(),
            catalog.admin_products(&call.actor, AdminProductQuery::default(), &bad_cursor()).await.err(),
            catalog.plan_create_product(&call, &ProductDraft::default()).await.err(),
            catalog.plan_update_product(&call, id, &ProductPatch::default(), None).await.err(),
            catalog.plan_delete_product(&call, id, None).await.err(),
            catalog.plan_add_variant(&call, id, &VariantDraft::new("X", euros(1))).await.err(),
            catalog.plan_update_variant(&call, variant, &VariantPatch::default(), None).await.err(),
            catalog.plan_delete_variant(&call, variant, None).await.err(),
            catalog.plan_create_category(&call, &CategoryDraft::default()).await.err(),
            catalog.plan_update_category(&call, category, &CategoryPatch::default(), None).await.err(),
            catalog.plan_delete_category(&call, category, None).await.err(),
        ];
        for refusal in refusals {
            let CommonError::Access(access) = common(refusal.expect("a refusal")) else { panic!("not about rights") };
            let guest = call.actor.user().is_none();
            assert!(guest == (access == AccessError::Unauthenticated), "{access:?}");
        }
    }
    let untouched = shop.catalog().admin_product(&Actor::System, id).await.unwrap().view.product;
    assert_eq!(untouched, product);
}

fn bad_cursor() -> PageRequest {
    PageRequest { cursor: Some("nonsense".into()), ..PageRequest::default() }
}
