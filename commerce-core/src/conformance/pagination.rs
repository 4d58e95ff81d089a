//! Pages: walked while rows are inserted before and after, every row comes once, in order.

use std::{cmp::Reverse, collections::BTreeSet, fmt::Debug};

use super::{
    StoreFixture,
    listing::active,
    sample::{guest, scattered},
    shop::{Outcome, Shop, minutes},
};
use crate::{
    account::{User, UserQuery},
    alert::{Alert, AlertKind, AlertQuery},
    catalog::{Product, ProductFilter, ProductSort, ProductView, SearchTerms},
    event::{Notice, Task},
    inventory::StockQuery,
    order::{Order, OrderQuery},
    page::{PageRequest, PageSpec, Rows},
    review::{Review, ReviewQuery},
    store::{RatingDelta, StoreError},
};

/// Rows of the list that is walked.
const ROWS: usize = 23;

type Page<T> = Result<Rows<T>, StoreError>;

/// Walks a list by pages of `limit`, inserting between pages, and gives the rows' names in the order they came.
async fn walk<T, K>(
    limit: u32,
    page: &impl AsyncFn(PageSpec) -> Page<T>,
    name: &impl Fn(&T) -> K,
    between: &impl AsyncFn(usize),
) -> Vec<K> {
    let mut names = Vec::new();
    let mut request = PageRequest::first(limit);
    for n in 0..500 {
        // Through the cursor, so that a sort key that doesn't survive it is found too.
        let spec = request.spec(&"conformance").expect("the cursor is the list's own");
        let listed = page(spec).await.expect("a page can be read");
        assert!(listed.items.len() <= limit as usize, "no more than asked for");
        assert!(listed.next.is_none() || listed.items.len() == limit as usize, "only the last page isn't full");
        names.extend(listed.items.iter().map(name));
        request.cursor = listed.page(&"conformance").next_cursor;
        if request.cursor.is_none() {
            return names;
        }
        between(n).await;
    }
    panic!("the list has no end");
}

/// Walks a list of [`ROWS`] rows, which is sorted by `key`, in pages of several sizes. `insert` adds a row that sorts anywhere.
async fn is_stable<T, K: Ord + Clone + Debug, S: PartialOrd>(
    page: impl AsyncFn(PageSpec) -> Page<T>,
    name: impl Fn(&T) -> K,
    key: impl Fn(&T) -> S,
    insert: impl AsyncFn(usize),
) {
    let whole = page(PageSpec { count: true, ..PageSpec::first(100) }).await.expect("a page can be read");
    assert!(whole.items.is_sorted_by_key(key), "the list is sorted, and by id among equals");
    assert_eq!((whole.items.len(), whole.total, whole.next.is_some()), (ROWS, Some(ROWS as u64), false));
    let expected: Vec<K> = whole.items.iter().map(&name).collect();
    for limit in [1, 5, 7, 23, 100] {
        assert_eq!(walk(limit, &page, &name, &async |_| ()).await, expected, "in pages of {limit}");
    }
    let first = page(PageSpec::first(5)).await.expect("a page can be read");
    let second = PageSpec { limit: 5, after: first.next, count: true };
    let second = page(second).await.expect("a page can be read");
    assert_eq!(second.total, Some(ROWS as u64), "the total is of the whole list on every page");

    let seen = walk(2, &page, &name, &insert).await;
    let distinct: BTreeSet<&K> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "a row came twice: {seen:?}");
    let known: BTreeSet<&K> = expected.iter().collect();
    let kept: Vec<K> = seen.iter().filter(|name| known.contains(name)).cloned().collect();
    assert_eq!(kept, expected, "rows that were there all the time come once each, in order");
}

async fn shelve(shop: &Shop, n: usize) {
    let i = i64::try_from(n).expect("a small number");
    let price = 100 * (i % 4);
    let start = crate::clock::Timestamp::from_micros(1_700_000_000_000_001);
    let mut product = Product { id: scattered(n), ..shop.product(&format!("p{n}"), &[price]) };
    product.title = ["Mug", "mug", "Blue mug", "Ümug mug", "cup"][n % 5].to_owned();
    product.description = "A mug.".to_owned();
    product.created_at = start + minutes((n * 7 % 5) as u64);
    let product = shop.save_product(product, &[1]).await;
    if !n.is_multiple_of(5) {
        // Elevenths whose decimal digits are easily read back as a neighbouring number.
        let sum = [13, 20, 26, 29, 37, 40][n % 6];
        let mut set = shop.set();
        set.rate(product.id, RatingDelta { sum, count: 11 });
        shop.commit(&set).await;
    }
}

async fn products_by<S: PartialOrd>(
    fixture: &dyn StoreFixture,
    filter: ProductFilter,
    key: impl Fn(&ProductView) -> S,
) {
    let shop = Shop::new(fixture.store());
    for n in 0..ROWS {
        shelve(&shop, n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_products(&filter, &spec).await;
    is_stable(page, |view| view.product.id, key, async |n| shelve(&shop, ROWS + n).await).await;
}

/// Products, newest first.
pub async fn products_newest_first(fixture: &dyn StoreFixture) {
    products_by(fixture, ProductFilter { sort: ProductSort::Newest, ..active() }, |view| {
        Reverse((view.product.created_at, view.product.id))
    })
    .await;
}

/// Products, cheapest first.
pub async fn products_cheapest_first(fixture: &dyn StoreFixture) {
    products_by(fixture, ProductFilter { sort: ProductSort::PriceAscending, ..active() }, |view| {
        (view.product.min_price(), view.product.id)
    })
    .await;
}

/// Products, dearest first.
pub async fn products_dearest_first(fixture: &dyn StoreFixture) {
    products_by(fixture, ProductFilter { sort: ProductSort::PriceDescending, ..active() }, |view| {
        Reverse((view.product.min_price(), view.product.id))
    })
    .await;
}

/// Products, by title.
pub async fn products_by_title(fixture: &dyn StoreFixture) {
    products_by(fixture, ProductFilter { sort: ProductSort::Title, ..active() }, |view| {
        (view.product.title_sort_key(), view.product.id)
    })
    .await;
}

/// Products, best rated first: averages with endless fractions survive the cursor.
pub async fn products_best_rated_first(fixture: &dyn StoreFixture) {
    products_by(fixture, ProductFilter { sort: ProductSort::Rating, ..active() }, |view| {
        (-view.rating_average(), Reverse(view.product.id))
    })
    .await;
}

/// Products, best match first.
pub async fn products_best_match_first(fixture: &dyn StoreFixture) {
    let filter = ProductFilter { search: SearchTerms::parse("mug"), sort: ProductSort::Relevance, ..active() };
    let terms = SearchTerms::parse("mug").expect("a word");
    products_by(fixture, filter, |view| Reverse((terms.score_of(&view.product.search_document()), view.product.id)))
        .await;
}

/// Found products in another order than by match.
pub async fn found_products_cheapest_first(fixture: &dyn StoreFixture) {
    let filter = ProductFilter { search: SearchTerms::parse("mug"), sort: ProductSort::PriceAscending, ..active() };
    products_by(fixture, filter, |view| (view.product.min_price(), view.product.id)).await;
}

/// Users, several of the same microsecond.
pub async fn users(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let start = shop.now();
    let add = async |n: usize| {
        let created_at = start + minutes((n * 5 % 4) as u64);
        shop.insert(User { id: scattered(n), created_at, ..shop.user(&format!("{n}@example.com")) }).await;
    };
    for n in 0..ROWS {
        add(n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_users(&UserQuery::default(), &spec).await;
    is_stable(page, |user| user.id, |user| Reverse((user.created_at, user.id)), async |n| add(ROWS + n).await).await;
}

async fn add_order(shop: &Shop, n: usize) {
    let at = crate::clock::Timestamp::from_micros(1_700_000_000_000_001) + minutes((n * 5 % 4) as u64);
    let product = shop.product("mug", &[100]);
    let mut order = Order { id: scattered(n), placed_at: at, ..shop.order(&format!("O-{n}"), &product, 1) };
    (order.payments[0].id, order.payments[0].created_at) = (scattered(n), at);
    order.returns = vec![shop.r#return(Vec::new())];
    (order.returns[0].id, order.returns[0].created_at) = (scattered(n), at);
    shop.insert(order).await;
}

/// Orders, several of the same microsecond.
pub async fn orders(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for n in 0..ROWS {
        add_order(&shop, n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_orders(&OrderQuery::default(), &spec).await;
    is_stable(
        page,
        |order| order.id,
        |order| Reverse((order.placed_at, order.id)),
        async |n| add_order(&shop, ROWS + n).await,
    )
    .await;
}

/// Payments, several of the same microsecond.
pub async fn payments(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for n in 0..ROWS {
        add_order(&shop, n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_payments(None, &spec).await;
    is_stable(
        page,
        |row| row.payment.id,
        |row| Reverse((row.payment.created_at, row.payment.id)),
        async |n| add_order(&shop, ROWS + n).await,
    )
    .await;
}

/// Returns, several of the same microsecond.
pub async fn returns(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for n in 0..ROWS {
        add_order(&shop, n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_returns(None, &spec).await;
    is_stable(
        page,
        |row| row.r#return.id,
        |row| Reverse((row.r#return.created_at, row.r#return.id)),
        async |n| add_order(&shop, ROWS + n).await,
    )
    .await;
}

/// Stock, by SKU.
pub async fn stock(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let add = async |n: usize| {
        let mut product = shop.product(&format!("p{n}"), &[100]);
        product.variants[0].sku = format!("{}-{n}", ["B", "a", "Ä", "b_"][n * 3 % 4]);
        shop.save_product(product, &[1]).await;
    };
    for n in 0..ROWS {
        add(n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_stock(&StockQuery::default(), &spec).await;
    is_stable(page, |item| item.variant_id, |item| item.sku.clone(), async |n| add(ROWS + n).await).await;
}

/// A variant's movements, some of them of the same microsecond.
pub async fn movements(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 1).await;
    let start = shop.now();
    let add = async |n: usize| {
        let mut set = shop.set_at(start + minutes(n as u64 / 3));
        let one = crate::store::StockDelta { on_hand: 1, ..Default::default() };
        set.move_stock(variant, one, Some((crate::store::MovementKind::Adjustment, None, None)));
        assert_eq!(shop.outcome(&set).await, Outcome::Now);
    };
    for n in 1..ROWS {
        add(n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_movements(variant, &spec).await;
    is_stable(page, |line| line.on_hand_after, |line| Reverse(line.at), async |n| add(ROWS + n).await).await;
}

/// Alerts, several of the same microsecond.
pub async fn alerts(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let start = shop.now();
    let add = async |n: usize| {
        shop.insert(Alert {
            id: scattered(n),
            raised_at: start + minutes((n * 5 % 4) as u64),
            ..shop.alert(AlertKind::LowStock)
        })
        .await;
    };
    for n in 0..ROWS {
        add(n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_alerts(&AlertQuery::default(), &spec).await;
    is_stable(page, |alert| alert.id, |alert| Reverse((alert.raised_at, alert.id)), async |n| add(ROWS + n).await)
        .await;
}

/// Reviews of a product, several of the same microsecond.
pub async fn reviews(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (start, product) = (shop.now(), shop.id());
    let add = async |n: usize| {
        let created_at = start + minutes((n * 5 % 4) as u64);
        shop.insert(Review { id: scattered(n), created_at, ..shop.review(product, shop.id(), 3) }).await;
        shop.insert(Review { created_at, ..shop.review(shop.id(), shop.id(), 3) }).await;
    };
    for n in 0..ROWS {
        add(n).await;
    }
    let query = ReviewQuery { product: Some(product), ..ReviewQuery::default() };
    let page = async |spec: PageSpec| shop.reads().list_reviews(&query, &spec).await;
    is_stable(
        page,
        |review| review.id,
        |review| Reverse((review.created_at, review.id)),
        async |n| add(ROWS + n).await,
    )
    .await;
}

/// Dead tasks, several due at the same microsecond.
pub async fn dead_tasks(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let start = shop.now();
    let add = async |n: usize| {
        let mut set = shop.set();
        let id = set.task(
            &shop.ids,
            start + minutes(n as u64 / 3),
            Task::Send { message: Notice::PasswordChanged { user: shop.id() } },
        );
        shop.commit(&set).await;
        let mut set = shop.set();
        set.failed(id, None, "no");
        shop.commit(&set).await;
    };
    for n in 0..ROWS {
        add(n).await;
    }
    let page = async |spec: PageSpec| shop.reads().list_dead_tasks(&spec).await;
    is_stable(page, |task| task.id, |task| Reverse(task.due), async |n| add(ROWS + n).await).await;
}

/// Pages far down a long list are as complete as the first.
pub async fn deep_pages(fixture: &dyn StoreFixture) {
    const MANY: i64 = 400;
    let shop = Shop::new(fixture.store());
    let mut names = Vec::new();
    for chunk in 0..4 {
        let mut set = shop.set();
        for n in 0..MANY / 4 {
            let mut product: Product = shop.product(&format!("p{chunk}-{n}"), &[n % 10]);
            super::shop::add_product(&mut set, &mut product, &[0]);
            names.push((product.min_price(), product.id));
        }
        shop.commit(&set).await;
    }
    names.sort_unstable();
    let filter = ProductFilter { sort: ProductSort::PriceAscending, ..active() };
    let page = async |spec: PageSpec| shop.reads().list_products(&filter, &spec).await;
    let seen = walk(17, &page, &|view| (view.product.min_price(), view.product.id), &async |_| ()).await;
    assert_eq!(seen, names);
}

/// Filters hold on every page.
pub async fn filters_hold_on_every_page(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for n in 0..40 {
        let mut cart_order = shop.order(&format!("O-{n}"), &shop.product("mug", &[100]), 1);
        cart_order.declined = n % 3 == 0;
        cart_order.email = format!("{}@example.com", n % 2);
        shop.insert(cart_order).await;
    }
    shop.save_cart(shop.cart(guest(1), &[])).await;
    let query = OrderQuery { hide_declined: true, email: Some("1@example.com".to_owned()), ..OrderQuery::default() };
    let page = async |spec: PageSpec| shop.reads().list_orders(&query, &spec).await;
    let seen = walk(4, &page, &|order: &Order| order.number.clone(), &async |_| ()).await;
    let expected: Vec<_> = (0..40).rev().filter(|n| n % 3 != 0 && n % 2 == 1).map(|n| format!("O-{n}")).collect();
    assert_eq!(seen, expected);
}
