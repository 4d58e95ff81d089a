//! The category tree.

mod shop;

use commerce_core::{
    catalog::{
        CatalogError, CategoryNode, CategoryPatch, MAX_CATEGORY_DEPTH, NewCategory, NewProduct, ProductPatch,
        ProductStatus,
    },
    context::RequestContext,
    error::CommonError,
    event::DomainEvent,
    id::{CategoryId, IdGenerator, UuidV7},
    store::AggregateId,
};
use shop::{Shop, broken, draft, everything, once, open};

fn named(name: &str, parent: Option<CategoryId>) -> NewCategory {
    NewCategory::new(name).parent(parent)
}

fn below(parent: Option<CategoryId>) -> CategoryPatch {
    CategoryPatch::new().parent(parent)
}

impl Shop {
    async fn category(&self, name: &str, parent: Option<CategoryId>) -> CategoryId {
        let created = self.as_system().catalog().create_category(named(name, parent)).await;
        created.unwrap().id
    }

    async fn tree(&self) -> Vec<CategoryNode> {
        self.as_guest().catalog().categories().await.unwrap()
    }

    async fn moved(&self, id: CategoryId, parent: Option<CategoryId>) -> Result<CategoryNode, CatalogError> {
        self.as_system().catalog().update_category(id, below(parent)).await
    }
}

fn outline(nodes: &[CategoryNode]) -> String {
    let one = |node: &CategoryNode| match node.children.as_slice() {
        [] => format!("{}:{}", node.slug, node.product_count),
        children => format!("{}:{}({})", node.slug, node.product_count, outline(children)),
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
        let product = draft(&format!("p{n}"), &format!("P-{n}"), 100, 1).status(status);
        let product = category_ids.into_iter().fold(product, NewProduct::category);
        shop.as_system().catalog().create(product).await.unwrap();
    };
    put(1, ProductStatus::Active, vec![shirts]).await;
    put(2, ProductStatus::Active, vec![shirts, shoes]).await;
    put(3, ProductStatus::Active, vec![clothes]).await;
    put(4, ProductStatus::Draft, vec![shirts]).await;
    assert_eq!(outline(&shop.tree().await), "clothes:3(shirts:2 shoes:1) books:0");

    let id = clothes.to_string();
    for key in ["clothes", &id] {
        let node = shop.as_guest().catalog().category(key).await.unwrap();
        assert_eq!(outline(&[node]), "clothes:3(shirts:2 shoes:1)");
    }
    is_not_found(shop.as_guest().catalog().category("hats").await);
    is_not_found(shop.as_guest().catalog().category(&UuidV7.uuid().to_string()).await);

    let count = async |category: &str| {
        let products = shop.as_guest().catalog().products().category(category.to_owned());
        products.page(&everything()).await.unwrap().total.unwrap()
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
    assert_eq!((node.parent_id, node.version), (Some(b), 4));
    assert_eq!(outline(&shop.tree().await), "a:0 b:0(c:0)");
    shop.moved(c, None).await.unwrap();
    let first = CategoryPatch::new().position(-1);
    shop.as_system().catalog().update_category(b, first).await.unwrap();
    assert_eq!(outline(&shop.tree().await), "b:0 a:0 c:0");
    let renamed = CategoryPatch::new().name("Zed".to_owned()).slug("zed".to_owned());
    let node = shop.as_system().catalog().update_category(a, renamed).if_version(6).await.unwrap();
    assert_eq!((node.name.as_str(), node.slug.as_str()), ("Zed", "zed"));
    assert_eq!(shop.as_guest().catalog().category("a").await.unwrap().slug, "zed", "by its former slug");
    let events = shop.store().reads().list_events(AggregateId::Categories).await.unwrap();
    assert_eq!(events.iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(events.iter().all(|event| event.event == DomainEvent::CategoriesChanged));
}

#[tokio::test]
async fn slugs_of_categories_are_unique_and_freed() {
    let shop = open().await;
    let first = shop.category("Shirts", None).await;
    let second = shop.category("Shirts", None).await;
    assert_eq!(outline(&shop.tree().await), "shirts:0 shirts-2:0");
    let given = named("More", None).slug("shirts".to_owned());
    let error = shop.as_system().catalog().create_category(given.clone()).await.unwrap_err();
    assert!(matches!(&error, CatalogError::SlugTaken(slug) if slug == "shirts"), "{error:?}");
    let taking = CategoryPatch::new().slug("shirts".to_owned());
    let error = shop.as_system().catalog().update_category(second, taking.clone()).await.unwrap_err();
    assert!(matches!(&error, CatalogError::SlugTaken(slug) if slug == "shirts"), "{error:?}");
    shop.as_system().catalog().delete_category(first).if_version(2).await.unwrap();
    shop.as_system().catalog().update_category(second, taking).await.unwrap();
    assert_eq!(outline(&shop.tree().await), "shirts:0");
    // A product may have the slug of a category.
    shop.product("Shirts", "S", 1, 1).await;
}

#[tokio::test]
async fn a_category_in_use_stays_and_a_deleted_one_leaves_its_products() {
    let shop = open().await;
    let parent = shop.category("Parent", None).await;
    let child = shop.category("Child", Some(parent)).await;
    let draft = draft("Mug", "MUG", 100, 1).category(child);
    let product = shop.as_system().catalog().create(draft).await.unwrap();
    assert_eq!(product.categories.len(), 1);
    let error = shop.as_system().catalog().delete_category(parent).await.unwrap_err();
    assert!(matches!(error, CatalogError::CategoryInUse), "{error:?}");
    shop.as_system().catalog().delete_category(child).await.unwrap();
    assert!(shop.as_guest().catalog().product("mug").await.unwrap().categories.is_empty());
    // It can still be edited, though it names a category that is gone.
    let id = product.id;
    shop.as_system().catalog().update(id, ProductPatch::default()).await.unwrap();
    shop.as_system().catalog().delete_category(parent).await.unwrap();
    is_not_found(shop.as_system().catalog().delete_category(parent).await);
    is_not_found(shop.moved(parent, None).await);
}

#[tokio::test]
async fn impossible_places_are_refused() {
    let shop = open().await;
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
    let error = shop.as_system().catalog().create_category(named("C", unknown)).await.unwrap_err();
    assert_eq!(field(error), "unknown_category");
    let error = shop.as_system().catalog().create_category(named(" ", None)).await.unwrap_err();
    assert_eq!(field(error), "required");
    let mut bottom = b;
    for n in 2..MAX_CATEGORY_DEPTH {
        bottom = shop.category(&format!("level {n}"), Some(bottom)).await;
    }
    let error = shop.as_system().catalog().create_category(named("Too deep", Some(bottom))).await.unwrap_err();
    assert_eq!(field(error), "too_deep");
    let error =
        shop.as_system().catalog().update_category(a, CategoryPatch::default()).if_version(1).await.unwrap_err();
    let now = i64::try_from(MAX_CATEGORY_DEPTH).unwrap();
    assert!(matches!(error, CatalogError::Common(CommonError::VersionMismatch(v)) if v == now), "{error:?}");
}

#[tokio::test]
async fn the_deepest_category_is_replayed() {
    let shop = open().await;
    let mut parent = None;
    for n in 0..MAX_CATEGORY_DEPTH {
        let call = RequestContext::system().once(once(&format!("level {n}"), ""));
        let create = || shop.acting_as(&call).catalog().create_category(named("Level", parent)).outcome();
        let (first, again) = (create().await.unwrap(), create().await.unwrap());
        assert!(again.replayed);
        assert_eq!(again.value, first.value);
        parent = Some(first.value.id);
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
            let (catalog, id, parent) = (shop.as_system().catalog(), ids[n], ids[(n + 1) % 6]);
            tokio::spawn(async move { catalog.update_category(id, below(Some(parent))).await })
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
