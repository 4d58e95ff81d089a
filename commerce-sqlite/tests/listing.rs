//! Lists and search against a model that filters and sorts everything in memory.

mod common;

use std::cmp::Ordering;

use commerce_core::{
    catalog::{CatalogQueries as _, Product, ProductFilter, ProductSort, ProductStatus, ProductView, SearchTerms},
    clock::Timestamp,
    id::{CategoryId, ProductId},
    inventory::NewStock,
    page::{PageSpec, SortKey},
    store::{RatingDelta, StockDelta, Store as _},
};
use common::Shop;

const WORDS: [&str; 12] =
    ["mug", "mugs", "cup", "tea", "teapot", "red", "Crème", "blue", "steel", "glass", "large", "x1"];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn words(&mut self, most: usize) -> String {
        let count = self.roll(most + 1);
        (0..count).map(|_| WORDS[self.roll(WORDS.len())]).collect::<Vec<_>>().join(" ")
    }
}

async fn catalogue(shop: &Shop, dice: &mut Dice, categories: &[CategoryId]) -> Vec<ProductView> {
    let mut ids: Vec<ProductId> = (0..150).map(|_| shop.id()).collect();
    for n in (1..ids.len()).rev() {
        ids.swap(n, dice.roll(n + 1));
    }
    let mut all = Vec::new();
    for id in ids {
        let prices: Vec<i64> = (0..=dice.roll(3)).map(|_| 100 * i64::try_from(dice.roll(10)).unwrap()).collect();
        let mut product = shop.product(&dice.words(3), &prices);
        product.id = id;
        product.description = dice.words(4);
        product.status =
            [ProductStatus::Active, ProductStatus::Active, ProductStatus::Draft, ProductStatus::Deleted][dice.roll(4)];
        product.created_at = Timestamp::from_micros(i64::try_from(dice.roll(20)).unwrap());
        product.category_ids = categories.iter().filter(|_| dice.roll(3) == 0).copied().collect();
        product.variants[0].retired = dice.roll(5) == 0;
        product.attributes = [("a".to_owned(), dice.words(1))].into();
        let mut set = shop.set();
        set.insert(&mut product);
        let stock: Vec<i64> = product.variants.iter().map(|_| i64::try_from(dice.roll(3)).unwrap()).collect();
        for (variant, on_hand) in product.variants.iter().zip(&stock) {
            set.open_stock(NewStock { variant_id: variant.id, product_id: id, low_stock_threshold: 0 }, *on_hand);
        }
        let rating = RatingDelta { sum: i64::try_from(dice.roll(5)).unwrap() + 3, count: 3 };
        let rated = dice.roll(2) == 0;
        shop.store.commit(&set).await.unwrap();
        let mut set = shop.set();
        if rated {
            set.rate(id, rating);
        }
        // Some are sold out by a later move, some come back.
        let mut stock = stock;
        for (variant, units) in product.variants.iter().zip(&mut stock) {
            let delta = if *units > 0 && dice.roll(3) == 0 { -*units } else { i64::from(dice.roll(6) == 0) };
            *units += delta;
            set.move_stock(variant.id, StockDelta { on_hand: delta, ..StockDelta::default() }, None);
        }
        shop.store.commit(&set).await.unwrap();
        let (variants, available) =
            product.variants.iter().cloned().zip(stock).filter(|(variant, _)| !variant.retired).unzip();
        let product = Product { variants, ..product };
        let (rating_sum, rating_count) = if rated { (rating.sum, rating.count) } else { (0, 0) };
        all.push(ProductView { product, available, rating_sum, rating_count });
    }
    all
}

fn score(view: &ProductView, terms: &SearchTerms) -> i64 {
    terms.score_of(&view.product.search_document())
}

fn matches(view: &ProductView, filter: &ProductFilter) -> bool {
    let product = &view.product;
    let priced =
        |price: i64| filter.min_price.is_none_or(|min| price >= min) && filter.max_price.is_none_or(|max| price <= max);
    filter.statuses.contains(&product.status)
        && filter.search.as_ref().is_none_or(|terms| score(view, terms) > 0)
        && filter.categories.as_ref().is_none_or(|ids| ids.iter().any(|id| product.category_ids.contains(id)))
        && (filter.min_price.is_none() && filter.max_price.is_none()
            || product.variants.iter().any(|v| priced(v.price.minor)))
        && filter.in_stock.is_none_or(|wanted| view.available.iter().any(|units| *units > 0) == wanted)
        && filter.min_rating.is_none_or(|min| view.rating_average() >= min)
}

fn key(view: &ProductView, filter: &ProductFilter) -> SortKey {
    match filter.sort {
        ProductSort::Newest => SortKey::Int(-view.product.created_at.as_micros()),
        ProductSort::PriceAscending => SortKey::Int(view.product.min_price()),
        ProductSort::PriceDescending => SortKey::Int(-view.product.min_price()),
        ProductSort::Title => SortKey::Text(view.product.title_sort_key()),
        ProductSort::Rating => SortKey::Real(-view.rating_average()),
        ProductSort::Relevance => SortKey::Int(-score(view, filter.search.as_ref().unwrap())),
    }
}

fn compare(a: &ProductView, b: &ProductView, filter: &ProductFilter) -> Ordering {
    let keys = match (key(a, filter), key(b, filter)) {
        (SortKey::Int(a), SortKey::Int(b)) => a.cmp(&b),
        (SortKey::Real(a), SortKey::Real(b)) => a.total_cmp(&b),
        (SortKey::Text(a), SortKey::Text(b)) => a.cmp(&b),
        _ => unreachable!(),
    };
    let rising = matches!(filter.sort, ProductSort::PriceAscending | ProductSort::Title);
    let ids = a.product.id.cmp(&b.product.id);
    keys.then(if rising { ids } else { ids.reverse() })
}

#[tokio::test]
async fn lists_agree_with_the_model() {
    let shop = Shop::new().await;
    let mut dice = Dice(42);
    let categories: Vec<CategoryId> = (0..5).map(|_| shop.id()).collect();
    let all = catalogue(&shop, &mut dice, &categories).await;
    let mut compared = 0;
    for round in 0..400 {
        let search = (dice.roll(2) == 0).then(|| dice.words(2)).and_then(|text| {
            let cut = text.len().saturating_sub(dice.roll(3));
            SearchTerms::parse(text.get(..cut).unwrap_or(&text))
        });
        let sorts = [
            ProductSort::Newest,
            ProductSort::PriceAscending,
            ProductSort::PriceDescending,
            ProductSort::Title,
            ProductSort::Rating,
            ProductSort::Relevance,
        ];
        let bound = |dice: &mut Dice| (dice.roll(4) == 0).then(|| 100 * i64::try_from(dice.roll(10)).unwrap());
        let many: Vec<CategoryId> = (0..70).map(|_| shop.id()).chain(categories[..2].iter().copied()).collect();
        let filter = ProductFilter {
            statuses: [
                vec![ProductStatus::Active],
                vec![ProductStatus::Active, ProductStatus::Draft],
                vec![ProductStatus::Draft, ProductStatus::Active, ProductStatus::Archived],
            ][dice.roll(3)]
            .clone(),
            categories: match dice.roll(6) {
                0 => Some(vec![categories[0]]),
                1 => Some(categories[..3].to_vec()),
                2 => Some(many),
                3 if round % 10 == 0 => Some(vec![]),
                _ => None,
            },
            min_price: bound(&mut dice),
            max_price: bound(&mut dice),
            in_stock: [None, None, Some(true), Some(false)][dice.roll(4)],
            min_rating: (dice.roll(5) == 0).then_some(1.5),
            sort: sorts[dice.roll(if search.is_some() { 6 } else { 5 })],
            search,
        };
        let mut expected: Vec<_> = all.iter().filter(|view| matches(view, &filter)).collect();
        expected.sort_by(|a, b| compare(a, b, &filter));
        let mut spec = PageSpec { count: true, ..PageSpec::first(u32::try_from(1 + dice.roll(30)).unwrap()) };
        let mut got = Vec::new();
        loop {
            let page = shop.store.list_products(&filter, &spec).await.unwrap();
            assert_eq!(page.total, Some(expected.len() as u64), "{filter:?}");
            got.extend(page.items);
            spec.after = page.next;
            if spec.after.is_none() {
                break;
            }
        }
        for view in &mut got {
            let whole = all.iter().find(|one| one.product.id == view.product.id).unwrap();
            view.product.description.clone_from(&whole.product.description);
        }
        assert_eq!(got.len(), expected.len(), "round {round}: {filter:?}");
        for (n, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert_eq!(got.product.id, expected.product.id, "round {round}, row {n}: {filter:?}");
            assert_eq!((got.rating_sum, &got.available), (expected.rating_sum, &expected.available));
            assert_eq!(got.product.variants, expected.product.variants);
        }
        compared += got.len();
    }
    assert!(compared > 1000, "{compared}");
}
