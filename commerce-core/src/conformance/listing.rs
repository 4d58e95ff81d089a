//! Lists of products: every filter and every sort.

use super::{
    StoreFixture,
    sample::scattered,
    shop::{Outcome, Shop},
};
use crate::{
    catalog::{Product, ProductFilter, ProductSort, ProductStatus, ProductView},
    id::{CategoryId, ProductId},
    page::PageSpec,
    store::RatingDelta,
};

/// Active products without further conditions.
pub(super) fn active() -> ProductFilter {
    ProductFilter { statuses: vec![ProductStatus::Active], ..ProductFilter::default() }
}

pub(super) async fn views(shop: &Shop, filter: &ProductFilter) -> Vec<ProductView> {
    let spec = PageSpec { count: true, ..PageSpec::first(100) };
    let listed = shop.reads().list_products(filter, &spec).await.expect("products can be listed");
    assert_eq!(listed.total, Some(listed.items.len() as u64), "the total counts what the filter lets through");
    listed.items
}

pub(super) async fn slugs(shop: &Shop, filter: &ProductFilter) -> Vec<String> {
    views(shop, filter).await.into_iter().map(|view| view.product.slug).collect()
}

async fn rate(shop: &Shop, product: ProductId, sum: i64, count: i64) {
    let mut set = shop.set();
    set.rate(product, RatingDelta { sum, count });
    shop.commit(&set).await;
}

/// A listed product is the one that is viewed, but perhaps for its description; retired variants are left out.
pub async fn listed_products_are_complete(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut product = shop.product("mug", &[300, 200, 100]);
    product.variants[1].retired = true;
    let product = shop.save_product(product, &[1, 2, 3]).await;
    rate(&shop, product.id, 9, 2).await;
    let (bare, _) = shop.stocked("bare", 0).await;
    let mut shown = product.clone();
    shown.variants.remove(1);
    let expected = [
        ProductView { product: bare, available: vec![0], rating_sum: 0, rating_count: 0 },
        ProductView { product: shown, available: vec![1, 3], rating_sum: 9, rating_count: 2 },
    ];
    assert_eq!(views(&shop, &active()).await, expected);
}

/// Only products with one of the statuses are listed.
pub async fn products_are_filtered_by_status(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for status in [ProductStatus::Draft, ProductStatus::Active, ProductStatus::Archived, ProductStatus::Deleted] {
        shop.shelve(Product { status, ..shop.product(status.as_str(), &[100]) }).await;
    }
    assert_eq!(slugs(&shop, &active()).await, ["active"]);
    let staff = ProductFilter { statuses: vec![ProductStatus::Archived, ProductStatus::Draft], ..active() };
    assert_eq!(slugs(&shop, &staff).await, ["archived", "draft"]);
}

/// Products in any of the categories are listed, once each; an empty list of categories matches nothing.
pub async fn products_are_filtered_by_category(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let [one, two, three]: [CategoryId; 3] = std::array::from_fn(|_| shop.id());
    for (slug, category_ids) in [("a", vec![one]), ("b", vec![one, two]), ("c", vec![three]), ("d", vec![])] {
        shop.shelve(Product { category_ids, ..shop.product(slug, &[100]) }).await;
    }
    let within = |ids: &[CategoryId]| ProductFilter { categories: Some(ids.to_vec()), ..active() };
    assert_eq!(slugs(&shop, &within(&[one])).await, ["b", "a"]);
    assert_eq!(slugs(&shop, &within(&[one, two])).await, ["b", "a"]);
    assert_eq!(slugs(&shop, &within(&[three, two])).await, ["c", "b"]);
    assert!(slugs(&shop, &within(&[])).await.is_empty());
    assert!(slugs(&shop, &within(&[shop.id()])).await.is_empty());
}

/// A price bound is met by some variant that is sold; two bounds are met by one and the same variant.
pub async fn products_are_filtered_by_price(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut retired = shop.product("retired", &[500, 9000]);
    retired.variants[0].retired = true;
    shop.shelve(retired).await;
    shop.shelve(shop.product("cheap", &[100])).await;
    shop.shelve(shop.product("wide", &[100, 900])).await;
    shop.shelve(shop.product("middle", &[500])).await;
    shop.shelve(shop.product("none", &[])).await;
    let between = |min_price, max_price| ProductFilter { min_price, max_price, ..active() };
    for (min, max, found) in [
        (Some(500), None, vec!["middle", "wide", "retired"]),
        (Some(901), None, vec!["retired"]),
        (None, Some(100), vec!["wide", "cheap"]),
        (None, Some(99), vec![]),
        (Some(500), Some(500), vec!["middle"]),
        (Some(101), Some(899), vec!["middle"]),
        (Some(100), Some(900), vec!["middle", "wide", "cheap"]),
        (Some(i64::MAX), None, vec![]),
    ] {
        assert_eq!(slugs(&shop, &between(min, max)).await, found, "between {min:?} and {max:?}");
    }
}

/// `in_stock` asks whether some variant that is sold is available: reserved units aren't.
pub async fn products_are_filtered_by_stock(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut retired = shop.product("retired", &[100, 100]);
    retired.variants[1].retired = true;
    shop.save_product(retired, &[0, 5]).await;
    shop.save_product(shop.product("some", &[100, 100]), &[0, 1]).await;
    let (_, reserved) = shop.stocked("reserved", 2).await;
    shop.stocked("empty", 0).await;
    let in_stock = |yes| ProductFilter { in_stock: Some(yes), ..active() };
    assert_eq!(slugs(&shop, &in_stock(true)).await, ["reserved", "some"]);
    assert_eq!(slugs(&shop, &in_stock(false)).await, ["empty", "retired"]);
    assert_eq!(shop.move_stock(reserved, 0, 2).await, Outcome::Now);
    assert_eq!(slugs(&shop, &in_stock(true)).await, ["some"]);
    assert_eq!(slugs(&shop, &in_stock(false)).await, ["empty", "reserved", "retired"]);
}

/// `min_rating` compares the exact average.
pub async fn products_are_filtered_by_rating(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for (slug, sum, count) in [("four", 8, 2), ("almost", 11, 3), ("five", 5, 1), ("unrated", 0, 0)] {
        let product = shop.shelve(shop.product(slug, &[100])).await;
        if count > 0 {
            rate(&shop, product.id, sum, count).await;
        }
    }
    let at_least = |min| ProductFilter { min_rating: Some(min), ..active() };
    assert_eq!(slugs(&shop, &at_least(4.0)).await, ["five", "four"]);
    assert_eq!(slugs(&shop, &at_least(11.0 / 3.0)).await, ["five", "almost", "four"]);
    assert_eq!(slugs(&shop, &at_least(4.5)).await, ["five"]);
    assert_eq!(slugs(&shop, &at_least(0.5)).await, ["five", "almost", "four"]);
}

/// All filters must let a product through.
pub async fn product_filters_narrow_each_other(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let category: CategoryId = shop.id();
    let within = |product| Product { category_ids: vec![category], ..product };
    shop.save_product(within(shop.product("right", &[500])), &[5]).await;
    shop.save_product(within(shop.product("dear", &[900])), &[5]).await;
    shop.save_product(within(shop.product("empty", &[500])), &[0]).await;
    shop.save_product(shop.product("elsewhere", &[500]), &[5]).await;
    shop.save_product(within(Product { status: ProductStatus::Draft, ..shop.product("draft", &[500]) }), &[5]).await;
    let all =
        ProductFilter { categories: Some(vec![category]), max_price: Some(500), in_stock: Some(true), ..active() };
    assert_eq!(slugs(&shop, &all).await, ["right"]);
    assert!(slugs(&shop, &ProductFilter { min_rating: Some(1.0), ..all }).await.is_empty());
}

/// The sorts by time, price, title and rating, with ties broken by id in the direction of the sort.
pub async fn products_are_sorted(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let start = shop.now();
    let rows = [
        ("pear", 300, 0, 0),
        ("Apple", 100, 9, 2),
        ("äpple", 100, 5, 1),
        ("apple", 900, 4, 1),
        ("Zebra", 0, 5, 1),
        ("apples", 300, 11, 3),
        ("_", i64::MAX, 1, 1),
    ];
    for ((title, price, sum, count), n) in rows.into_iter().zip(0..) {
        let prices = [price, price.saturating_add(5)];
        let mut product = Product { id: scattered(n), ..shop.product(&format!("p{n}"), &prices) };
        product.title = title.to_owned();
        if n % 3 == 0 {
            product.created_at = start;
        }
        let product = shop.shelve(product).await;
        if count > 0 {
            rate(&shop, product.id, sum, count).await;
        }
    }
    for sort in [
        ProductSort::Newest,
        ProductSort::PriceAscending,
        ProductSort::PriceDescending,
        ProductSort::Title,
        ProductSort::Rating,
    ] {
        let listed = views(&shop, &ProductFilter { sort, ..active() }).await;
        assert_eq!(listed.len(), rows.len());
        let mut sorted = listed.clone();
        sorted.sort_by(|a, b| {
            let by_id = a.product.id.cmp(&b.product.id);
            match sort {
                ProductSort::Newest => a.product.created_at.cmp(&b.product.created_at).then(by_id).reverse(),
                ProductSort::PriceAscending => a.product.min_price().cmp(&b.product.min_price()).then(by_id),
                ProductSort::PriceDescending => a.product.min_price().cmp(&b.product.min_price()).then(by_id).reverse(),
                ProductSort::Title => a.product.title_sort_key().cmp(&b.product.title_sort_key()).then(by_id),
                ProductSort::Rating | ProductSort::Relevance => {
                    a.rating_average().total_cmp(&b.rating_average()).then(by_id).reverse()
                }
            }
        });
        let titles = |views: &[ProductView]| views.iter().map(|view| view.product.title.clone()).collect::<Vec<_>>();
        assert_eq!(titles(&listed), titles(&sorted), "sorted by {sort:?}");
        if sort == ProductSort::Title {
            assert_eq!(titles(&listed), ["_", "apple", "Apple", "äpple", "apples", "pear", "Zebra"]);
        }
    }
}

/// What a list is sorted by follows the product: retiring the cheapest variant or a new title moves it.
pub async fn sort_keys_follow_changes(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let a = shop.shelve(Product { title: "Anchor".to_owned(), ..shop.product("a", &[100, 900]) }).await;
    shop.shelve(Product { title: "Bell".to_owned(), ..shop.product("b", &[500]) }).await;
    let by_price = ProductFilter { sort: ProductSort::PriceAscending, ..active() };
    let by_title = ProductFilter { sort: ProductSort::Title, ..active() };
    assert_eq!(slugs(&shop, &by_price).await, ["a", "b"]);
    assert_eq!(slugs(&shop, &by_title).await, ["a", "b"]);
    shop.update(&a, |product| {
        product.variants[0].retired = true;
        product.title = "clapper".to_owned();
    })
    .await;
    assert_eq!(slugs(&shop, &by_price).await, ["b", "a"]);
    assert_eq!(slugs(&shop, &by_title).await, ["b", "a"]);
}
