//! Products, variants, categories and offers.

use std::collections::BTreeMap;

use super::{
    StoreFixture,
    sample::{EXTREME_TIMES, image, pairs},
    shop::{ODD, Outcome, Shop, eur, refused, same},
};
use crate::{
    catalog::{Category, CategoryTree, Product, ProductKey, ProductStatus, ProductView, PurchasableVariant, Variant},
    id::{CategoryId, ProductId},
    money::{Currency, Money},
    store::{AggregateId, ChangeSet, Claim, Conflict, RatingDelta},
};

async fn load(shop: &Shop, id: ProductId) -> Option<Product> {
    shop.reads().load_product(id).await.expect("a product can be read")
}

async fn view(shop: &Shop, key: ProductKey) -> Option<ProductView> {
    shop.reads().view_product(&key).await.expect("a product can be viewed")
}

async fn tree(shop: &Shop) -> CategoryTree {
    let mut tree = shop.reads().load_categories().await.expect("categories can be read");
    tree.nodes.sort_by_key(|node| node.id);
    tree
}

/// Writes the category tree as it is to become.
pub(super) async fn save_tree(shop: &Shop, nodes: Vec<Category>) -> CategoryTree {
    let before = tree(shop).await;
    let mut after = CategoryTree { nodes, version: 0 };
    let mut set = shop.set();
    set.update(&before, &mut after);
    shop.commit(&set).await;
    after.nodes.sort_by_key(|node| node.id);
    after
}

fn full_product(shop: &Shop) -> Product {
    let variants = [("K-1", eur(0)), ("K-2", Money::new(i64::MAX, Currency::JPY)), ("K-3", eur(1990))];
    let variants = variants.into_iter().zip(0..).map(|((sku, price), position)| Variant {
        title: ODD.to_owned(),
        options: pairs(&[("size", "L"), ("färbe", ODD)]),
        retired: position == 1,
        price,
        ..shop.variant(sku, position, 0)
    });
    Product {
        title: ODD.to_owned(),
        description: ODD.repeat(100),
        status: ProductStatus::Draft,
        category_ids: vec![shop.id(), shop.id()],
        attributes: pairs(&[("material", "steel"), ("", ""), (ODD, ODD)]),
        images: vec![image("https://img.example/2.png", Some(ODD)), image("https://img.example/1.png", None)],
        variants: variants.collect(),
        created_at: EXTREME_TIMES[1],
        updated_at: EXTREME_TIMES[2],
        ..shop.product("full", &[])
    }
}

/// A product loads as it was committed, with all its variants, whatever its status: every field set, and every list empty.
pub async fn products_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let full = shop.insert(full_product(&shop)).await;
    same(&load(&shop, full.id).await, &Some(full.clone()));
    same(&shop.reads().load_product_of(full.variants[1].id).await.expect("a product can be read"), &Some(full));
    for status in [ProductStatus::Draft, ProductStatus::Active, ProductStatus::Archived, ProductStatus::Deleted] {
        let bare = shop.insert(Product { status, ..shop.product(status.as_str(), &[]) }).await;
        same(&load(&shop, bare.id).await, &Some(bare));
    }
    same(&load(&shop, shop.id()).await, &None);
    same(&shop.reads().load_product_of(shop.id()).await.expect("a product can be read"), &None);
}

/// Every field of a product can be changed; variants are added, changed, moved and removed with it.
pub async fn products_can_be_changed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let other = shop.insert(Product { slug: "other".to_owned(), ..full_product(&shop) }).await;
    let product = shop.insert(full_product(&shop)).await;
    let at = shop.now();
    let added = shop.variant("K-4", 0, 400);
    let changed = shop
        .update(&product, |product| {
            (product.slug, product.title, product.description) =
                ("new".to_owned(), "New".to_owned(), "Words".to_owned());
            (product.status, product.updated_at, product.created_at) = (ProductStatus::Active, at, at);
            product.category_ids = vec![shop.id()];
            product.attributes = pairs(&[("colour", "blue")]);
            product.images.remove(0);
            product.variants.remove(0);
            product.variants.swap(0, 1);
            product.variants.insert(0, added);
            for (variant, position) in product.variants.iter_mut().zip(0..) {
                variant.position = position;
            }
            let last = &mut product.variants[2];
            (last.sku, last.title, last.retired) = ("K-9".to_owned(), String::new(), false);
            (last.options, last.price) = (BTreeMap::new(), eur(1));
        })
        .await;
    same(&load(&shop, product.id).await, &Some(changed.clone()));
    same(&shop.reads().load_product_of(product.variants[0].id).await.expect("a product can be read"), &None);
    let emptied = shop
        .update(&changed, |product| {
            (product.attributes, product.images, product.category_ids) = (BTreeMap::new(), Vec::new(), Vec::new());
            product.variants.clear();
        })
        .await;
    same(&load(&shop, product.id).await, &Some(emptied));
    same(&load(&shop, other.id).await, &Some(other));
}

/// A product is viewed by id or slug, whatever its status, without retired variants, with stock and rating.
pub async fn products_are_viewed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for status in [ProductStatus::Draft, ProductStatus::Active, ProductStatus::Archived] {
        let mut product = shop.product(status.as_str(), &[100, 200, 300]);
        (product.status, product.description) = (status, ODD.to_owned());
        product.images = vec![image("https://img.example/1.png", None)];
        product.category_ids = vec![shop.id()];
        product.variants[1].retired = true;
        let product = shop.save_product(product, &[5, 6, 7]).await;
        assert_eq!(shop.move_stock(product.variants[2].id, 0, 3).await, Outcome::Now);
        let mut set = shop.set();
        set.rate(product.id, RatingDelta { sum: 9, count: 2 });
        shop.commit(&set).await;

        let mut shown = product.clone();
        shown.variants.remove(1);
        let expected = ProductView { product: shown, available: vec![5, 4], rating_sum: 9, rating_count: 2 };
        assert_eq!(view(&shop, ProductKey::Id(product.id)).await.as_ref(), Some(&expected));
        assert_eq!(view(&shop, ProductKey::Slug(product.slug)).await.as_ref(), Some(&expected));
    }
    assert_eq!(view(&shop, ProductKey::Id(shop.id())).await, None);
    assert_eq!(view(&shop, ProductKey::Slug("nothing".to_owned())).await, None);
}

/// A deleted product's slug and SKUs can be used again, and then lead to the new product.
pub async fn slugs_and_skus_are_used_again(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (old, variant) = shop.stocked("mug", 3).await;
    let mut taken = shop.set();
    super::shop::add_product(&mut taken, &mut shop.product("mug", &[200]), &[1]);
    let conflicts = [Conflict::Taken(Claim::product_slug("mug")), Conflict::Taken(Claim::sku("MUG-0"))];
    assert_eq!(shop.outcome(&taken).await, refused(conflicts));

    let mut deleted = Product { status: ProductStatus::Deleted, ..old.clone() };
    let mut set = shop.set();
    set.update(&old, &mut deleted).free(Claim::product_slug("mug"), old.id).free(Claim::sku("MUG-0"), variant);
    shop.commit(&set).await;
    let (new, new_variant) = shop.stocked("mug", 4).await;
    let shown = view(&shop, ProductKey::Slug("mug".to_owned())).await.expect("the new product is there");
    assert_eq!((shown.product.id, shown.available), (new.id, vec![4]));
    same(&load(&shop, old.id).await, &Some(deleted));
    assert_eq!(shop.holder(&Claim::sku("MUG-0")).await, Some(new_variant.0));
    assert_eq!(shop.stock(variant).await.on_hand, 3, "the ledger of what was deleted is kept");
}

/// Offers carry what carts and checkout need, of variants of any status; unknown ids are left out.
pub async fn offers_are_loaded(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut mug = shop.product("mug", &[1000, 1500]);
    mug.images = vec![image("https://img.example/1.png", Some("a mug")), image("https://img.example/2.png", None)];
    mug.title = ODD.to_owned();
    mug.variants[1].retired = true;
    mug.variants[1].options = pairs(&[("size", "L")]);
    let mug = shop.save_product(mug, &[10, 0]).await;
    let gone = Product { status: ProductStatus::Archived, ..shop.product("gone", &[700]) };
    let gone = shop.save_product(gone, &[1]).await;
    assert_eq!(shop.move_stock(mug.variants[0].id, 0, 4).await, Outcome::Now);
    let offer = |product: &Product, n: usize, available| PurchasableVariant {
        variant: product.variants[n].clone(),
        product_id: product.id,
        slug: product.slug.clone(),
        product_title: product.title.clone(),
        status: product.status,
        image: product.images.first().cloned(),
        available,
    };
    let mut expected = vec![offer(&mug, 0, 6), offer(&mug, 1, 0), offer(&gone, 0, 1)];
    let mut wanted: Vec<_> = expected.iter().map(|offer| offer.variant.id).collect();
    wanted.insert(1, shop.id());
    let mut offers = shop.reads().load_purchasable(&wanted).await.expect("offers can be read");
    offers.sort_by_key(|offer| offer.variant.id);
    expected.sort_by_key(|offer| offer.variant.id);
    assert_eq!(offers, expected);
    assert!(shop.reads().load_purchasable(&[]).await.expect("no offers can be read").is_empty());
    let twice = shop.reads().load_purchasable(&[wanted[0], wanted[0]]).await.expect("offers can be read");
    assert!(twice.iter().all(|offer| offer.variant.id == wanted[0]), "asking twice finds nothing else");
}

/// The category tree starts empty at version 0 and loads as it was committed: nodes added, changed, moved, removed.
pub async fn categories_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    assert_eq!(tree(&shop).await, CategoryTree::default());
    let root = Category { name: ODD.to_owned(), position: i64::MAX, ..shop.category("root", None) };
    let leaf = shop.category("leaf", Some(root.id));
    let other = shop.category("other", None);
    let first = save_tree(&shop, vec![root.clone(), leaf.clone(), other.clone()]).await;
    assert_eq!(first.version, 1);
    same(&tree(&shop).await, &first);
    let leaf =
        Category { slug: "leaf-2".to_owned(), name: "Leaf".to_owned(), parent_id: Some(other.id), position: 3, ..leaf };
    let second = save_tree(&shop, vec![other, leaf]).await;
    assert_eq!(second.version, 2);
    same(&tree(&shop).await, &second);
    save_tree(&shop, Vec::new()).await;
    same(&tree(&shop).await, &CategoryTree { nodes: Vec::new(), version: 3 });
}

/// The first write of the tree is guarded too: of two that read the empty tree one is refused.
pub async fn the_first_category_is_guarded(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let empty = tree(&shop).await;
    let add = |slug: &str| -> ChangeSet {
        let mut after = CategoryTree { nodes: vec![shop.category(slug, None)], version: 0 };
        let mut set = shop.set();
        set.update(&empty, &mut after);
        set
    };
    shop.commit(&add("one")).await;
    assert_eq!(shop.outcome(&add("two")).await, refused([Conflict::Stale(AggregateId::Categories)]));
    assert_eq!(tree(&shop).await.nodes[0].slug, "one");
}

/// Active products are counted in their categories and all above, once each; empty categories are left out.
pub async fn products_are_counted_by_category(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let root = shop.category("root", None);
    let left = shop.category("left", Some(root.id));
    let deep = shop.category("deep", Some(left.id));
    let right = shop.category("right", Some(root.id));
    let (lone, empty) = (shop.category("lone", None), shop.category("empty", None));
    let ids: [CategoryId; 5] = [root.id, left.id, deep.id, right.id, lone.id];
    save_tree(&shop, vec![root, left, deep, right, lone, empty]).await;
    let [root, left, deep, right, lone] = ids;
    for (slug, status, categories) in [
        ("a", ProductStatus::Active, vec![deep, right]),
        ("b", ProductStatus::Active, vec![left, deep]),
        ("c", ProductStatus::Active, vec![lone]),
        ("d", ProductStatus::Active, vec![]),
        ("e", ProductStatus::Draft, vec![right]),
        ("f", ProductStatus::Deleted, vec![lone]),
    ] {
        shop.save_product(Product { status, category_ids: categories, ..shop.product(slug, &[]) }, &[]).await;
    }
    let counts = shop.reads().count_products().await.expect("products can be counted");
    assert_eq!(counts, BTreeMap::from([(root, 2), (left, 2), (deep, 2), (right, 1), (lone, 1)]));
}
