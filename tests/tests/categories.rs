//! The category tree.

mod shop;

use commerce_core::{
    catalog::{
        CatalogError, CategoryDraft, CategoryNode, CategoryPatch, MAX_CATEGORY_DEPTH, ProductDraft, ProductPatch,
        ProductQuery, ProductStatus,
    },
    context::{Actor, RequestContext},
    error::CommonError,
    event::DomainEvent,
    id::{CategoryId, IdGenerator, UuidV7},
    store::AggregateId,
};
use shop::{Shop, broken, draft, everything, once, open};

fn named(name: &str, parent_id: Option<CategoryId>) -> CategoryDraft {
    CategoryDraft { name: name.to_owned(), parent_id, ..CategoryDraft::default() }
}

fn below(parent: Option<CategoryId>) -> CategoryPatch {
    CategoryPatch { parent_id: Some(parent), ..CategoryPatch::default() }
}

impl Shop {
    async fn category(&self, name: &str, parent: Option<CategoryId>) -> CategoryId {
        let created = self.catalog().create_category(&RequestContext::system(), named(name, parent)).await;
        created.unwrap().value.category.id
    }

    async fn tree(&self) -> Vec<CategoryNode> {
        self.catalog().categories(&Actor::guest()).await.unwrap()
    }

    async fn moved(&self, id: CategoryId, parent: Option<CategoryId>) -> Result<CategoryNode, CatalogError> {
        self.catalog().update_category(&RequestContext::system(), id, below(parent), None).await
    }
}

fn outline(nodes: &[CategoryNode]) -> String {
    let one = |node: &CategoryNode| match node.children.as_slice() {
        [] => format!("{}:{}", node.category.slug, node.product_count),
        children => format!("{}:{}({})", node.category.slug, node.product_count, outline(children)),
    };
    nodes.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[allow(clippy::needless_pass_by_value)] // What is called with is made for it.
fn is_not_found<T: std::fmt::Debug>(result: Result<T, CatalogError>) {
    assert!(matches!(result, Err(CatalogError::Common(CommonError::NotFound("category")))), "{result:?}");
}

#[tokio::test]
async fn the_tree_counts_active_products_once_at_each_level() {
    let shop = open().await;
    assert_eq!(outline(&shop.tree().await), "");
    let clothes = shop.category("Clothes", None).await;
    let shirts = shop.category("Shirts", Some(clothes)).await;
    let shoes = shop.category("Shoes", Some(clothes)).await;
    shop.category("Books", None).await;
    let put = async |n: usize, status, category_ids: Vec<CategoryId>| {
        let draft = ProductDraft { status, category_ids, ..draft(&format!("p{n}"), &format!("P-{n}"), 100, 1) };
        shop.catalog().create_product(&RequestContext::system(), draft).await.unwrap();
    };
    put(1, ProductStatus::Active, vec![shirts]).await;
    put(2, ProductStatus::Active, vec![shirts, shoes]).await;
    put(3, ProductStatus::Active, vec![clothes]).await;
    put(4, ProductStatus::Draft, vec![shirts]).await;
    assert_eq!(outline(&shop.tree().await), "clothes:3(shirts:2 shoes:1) books:0");

    let id = clothes.to_string();
    for key in ["clothes", &id] {
        let node = shop.catalog().category(&Actor::guest(), key).await.unwrap();
        assert_eq!(outline(&[node]), "clothes:3(shirts:2 shoes:1)");
    }
    is_not_found(shop.catalog().category(&Actor::guest(), "hats").await);
    is_not_found(shop.catalog().category(&Actor::guest(), &UuidV7.uuid().to_string()).await);

    let count = async |category: &str| {
        let query = ProductQuery { category: Some(category.to_owned()), ..ProductQuery::default() };
        shop.catalog().products(&Actor::guest(), query, &everything()).await.unwrap().total.unwrap()
    };
    assert_eq!((count("clothes").await, count("shirts").await, count("books").await), (3, 2, 0));
    assert_eq!((count(&id).await, count("hats").await), (3, 0));
}

#[tokio::test]
async fn categories_are_renamed_moved_and_ordered() {
    let shop = open().await;
    let (a, b) = (shop.category("A", None).await, shop.category("B", None).await);
    let c = shop.category("C", Some(a)).await;
    let node = shop.moved(c, Some(b)).await.unwrap();
    assert_eq!((node.category.parent_id, node.version), (Some(b), 4));
    assert_eq!(outline(&shop.tree().await), "a:0 b:0(c:0)");
    shop.moved(c, None).await.unwrap();
    let first = CategoryPatch { position: Some(-1), ..CategoryPatch::default() };
    shop.catalog().update_category(&RequestContext::system(), b, first, None).await.unwrap();
    assert_eq!(outline(&shop.tree().await), "b:0 a:0 c:0");
    let renamed = CategoryPatch { name: Some("Zed".into()), slug: Some("zed".into()), ..CategoryPatch::default() };
    let node = shop.catalog().update_category(&RequestContext::system(), a, renamed, Some(6)).await.unwrap();
    assert_eq!((node.category.name.as_str(), node.category.slug.as_str()), ("Zed", "zed"));
    assert_eq!(shop.catalog().category(&Actor::guest(), "a").await.unwrap().category.slug, "zed", "by its former slug");
    let events = shop.store().reads().list_events(AggregateId::Categories).await.unwrap();
    assert_eq!(events.iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(events.iter().all(|event| event.event == DomainEvent::CategoriesChanged));
}

#[tokio::test]
async fn slugs_of_categories_are_unique_and_freed() {
    let shop = open().await;
    let system = RequestContext::system();
    let first = shop.category("Shirts", None).await;
    let second = shop.category("Shirts", None).await;
    assert_eq!(outline(&shop.tree().await), "shirts:0 shirts-2:0");
    let given = CategoryDraft { slug: Some("shirts".into()), ..named("More", None) };
    let error = shop.catalog().create_category(&system, given.clone()).await.unwrap_err();
    assert!(matches!(&error, CatalogError::SlugTaken(slug) if slug == "shirts"), "{error:?}");
    let taking = CategoryPatch { slug: Some("shirts".into()), ..CategoryPatch::default() };
    let error = shop.catalog().update_category(&system, second, taking.clone(), None).await.unwrap_err();
    assert!(matches!(&error, CatalogError::SlugTaken(slug) if slug == "shirts"), "{error:?}");
    shop.catalog().delete_category(&system, first, Some(2)).await.unwrap();
    shop.catalog().update_category(&system, second, taking, None).await.unwrap();
    assert_eq!(outline(&shop.tree().await), "shirts:0");
    // A product may have the slug of a category.
    shop.product("Shirts", "S", 1, 1).await;
}

#[tokio::test]
async fn a_category_in_use_stays_and_a_deleted_one_leaves_its_products() {
    let shop = open().await;
    let system = RequestContext::system();
    let parent = shop.category("Parent", None).await;
    let child = shop.category("Child", Some(parent)).await;
    let draft = ProductDraft { category_ids: vec![child], ..draft("Mug", "MUG", 100, 1) };
    let product = shop.catalog().create_product(&system, draft).await.unwrap().value;
    assert_eq!(product.categories.len(), 1);
    let error = shop.catalog().delete_category(&system, parent, None).await.unwrap_err();
    assert!(matches!(error, CatalogError::CategoryInUse), "{error:?}");
    shop.catalog().delete_category(&system, child, None).await.unwrap();
    assert!(shop.catalog().product(&Actor::guest(), "mug").await.unwrap().categories.is_empty());
    // It can still be edited, though it names a category that is gone.
    let id = product.view.product.id;
    shop.catalog().update_product(&system, id, ProductPatch::default(), None).await.unwrap();
    shop.catalog().delete_category(&system, parent, None).await.unwrap();
    is_not_found(shop.catalog().delete_category(&system, parent, None).await);
    is_not_found(shop.moved(parent, None).await);
}

#[tokio::test]
async fn impossible_places_are_refused() {
    let shop = open().await;
    let system = RequestContext::system();
    let a = shop.category("A", None).await;
    let b = shop.category("B", Some(a)).await;
    for parent in [a, b] {
        let error = shop.moved(a, Some(parent)).await.unwrap_err();
        assert!(matches!(error, CatalogError::CategoryCycle), "{error:?}");
    }
    let unknown = Some(CategoryId(UuidV7.uuid()));
    let field = |error| match error {
        CatalogError::Common(error) => broken(&error)[0].1.to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(field(shop.moved(a, unknown).await.unwrap_err()), "unknown_category");
    let error = shop.catalog().create_category(&system, named("C", unknown)).await.unwrap_err();
    assert_eq!(field(error), "unknown_category");
    let error = shop.catalog().create_category(&system, named(" ", None)).await.unwrap_err();
    assert_eq!(field(error), "required");
    let mut bottom = b;
    for n in 2..MAX_CATEGORY_DEPTH {
        bottom = shop.category(&format!("level {n}"), Some(bottom)).await;
    }
    let error = shop.catalog().create_category(&system, named("Too deep", Some(bottom))).await.unwrap_err();
    assert_eq!(field(error), "too_deep");
    let error = shop.catalog().update_category(&system, a, CategoryPatch::default(), Some(1)).await.unwrap_err();
    let now = i64::try_from(MAX_CATEGORY_DEPTH).unwrap();
    assert!(matches!(error, CatalogError::Common(CommonError::VersionMismatch(v)) if v == now), "{error:?}");
}

#[tokio::test]
async fn the_deepest_category_is_replayed() {
    let shop = open().await;
    let mut parent = None;
    for n in 0..MAX_CATEGORY_DEPTH {
        let call = RequestContext::system().once(once(&format!("level {n}"), ""));
        let first = shop.catalog().create_category(&call, named("Level", parent)).await.unwrap();
        let again = shop.catalog().create_category(&call, named("Level", parent)).await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.value, first.value);
        parent = Some(first.value.category.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_at_once_never_make_a_cycle() {
    let shop = open().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(shop.category(&format!("c{n}"), None).await);
    }
    // Everybody moves below the next: any five of the six moves are fine, all six would be a ring.
    let moves: Vec<_> = (0..6)
        .map(|n| {
            let (catalog, id, parent) = (shop.catalog(), ids[n], ids[(n + 1) % 6]);
            tokio::spawn(async move {
                catalog.update_category(&RequestContext::system(), id, below(Some(parent)), None).await
            })
        })
        .collect();
    let mut refused = 0;
    for one in moves {
        match one.await.unwrap() {
            Ok(_) => {}
            Err(CatalogError::CategoryCycle) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 1);
    let mut depth = 0;
    let mut level = shop.tree().await;
    while let [node] = level.as_slice() {
        depth += 1;
        level = node.children.clone();
    }
    assert_eq!((depth, level.len()), (6, 0), "one chain from the top");
}
