//! A large catalogue, and what is read of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::LoadError;
use crate::{
    catalog::{Product, ProductFilter, ProductKey, ProductSort, ProductStatus, SearchTerms, Variant},
    clock::Timestamp,
    context::ActorRef,
    id::{IdGenerator as _, ProductId, UuidV7, VariantId},
    inventory::NewStock,
    money::{Currency, Money},
    page::{Cursor, PageSpec},
    store::{ChangeSet, Claim, Reads, Store},
};

const ROUNDS: usize = 101;

/// The median time of each read, on a catalogue that [`fill`] made.
///
/// # Errors
/// The store's.
pub async fn read_figures(store: &dyn Store, products: &[Product]) -> Result<Vec<(&'static str, Duration)>, LoadError> {
    let store = store.reads();
    let active = || ProductFilter { statuses: vec![ProductStatus::Active], ..ProductFilter::default() };
    let sorted = |sort| ProductFilter { sort, ..active() };
    let search = |text| ProductFilter { search: SearchTerms::parse(text), sort: ProductSort::Relevance, ..active() };
    let lists = [
        ("list_newest", active()),
        ("list_price", sorted(ProductSort::PriceAscending)),
        ("list_title", sorted(ProductSort::Title)),
        (
            "list_price_range_in_stock",
            ProductFilter {
                min_price: Some(20_00),
                max_price: Some(40_00),
                in_stock: Some(true),
                ..sorted(ProductSort::PriceDescending)
            },
        ),
        ("search_common_word", search("mug")),
        ("search_two_words", search("enamel mug")),
        ("search_prefix", search("ena")),
        ("search_one_of_a_kind", search("number77")),
    ];
    let mut figures = Vec::new();
    for (name, filter) in lists {
        figures.push((
            name,
            median_time(async || store.list_products(&filter, &PageSpec::first(20)).await.map(drop)).await?,
        ));
    }
    let deep = deep(store, &active(), products.len()).await?;
    figures
        .push(("list_deep_page", median_time(async || store.list_products(&active(), &deep).await.map(drop)).await?));
    let key = ProductKey::Id(products[products.len() / 2].id);
    figures.push(("detail", median_time(async || store.view_product(&key).await.map(drop)).await?));
    Ok(figures)
}

/// A slice that begins in the middle of the list.
async fn deep(store: &dyn Reads, filter: &ProductFilter, products: usize) -> Result<PageSpec, LoadError> {
    let mut spec = PageSpec::first(100);
    for _ in 0..products / 200 {
        spec.after = store.list_products(filter, &spec).await?.next;
    }
    let after: Option<Cursor> = spec.after;
    Ok(PageSpec { after, ..PageSpec::first(20) })
}

async fn median_time<E>(read: impl AsyncFn() -> Result<(), E>) -> Result<Duration, E> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        read().await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}

/// Puts so many products on sale, a variant each and none or many of it in stock.
///
/// # Errors
/// The store's.
pub async fn fill(store: &dyn Store, products: u32) -> Result<Vec<Product>, LoadError> {
    const KINDS: [&str; 5] = ["mug", "bowl", "plate", "lamp", "chair"];
    const STUFF: [&str; 7] = ["enamel", "oak", "glass", "linen", "steel", "clay", "cork"];
    let ids = UuidV7;
    let mut made = Vec::new();
    for chunk in 0..products / 500 {
        let at = Timestamp::from_micros(1_795_000_000_000_000 + i64::from(chunk) * 1_000_000);
        let mut set = ChangeSet::new(&ids, at, ActorRef::System);
        for n in chunk * 500..(chunk + 1) * 500 {
            let kind = KINDS[n as usize % KINDS.len()];
            let stuff = STUFF[(n as usize / 3) % STUFF.len()];
            let variant = Variant {
                id: VariantId(ids.uuid()),
                position: 0,
                sku: format!("SKU-{n}"),
                title: String::new(),
                options: BTreeMap::new(),
                price: Money::new(5_00 + i64::from(n * 7919 % 9500), Currency::EUR),
                retired: false,
            };
            let mut product = Product {
                id: ProductId(ids.uuid()),
                slug: format!("{stuff}-{kind}-{n}"),
                title: format!("{stuff} {kind} number{n}"),
                description: format!("A {kind} of {stuff}, made to last, for every day and for guests."),
                status: ProductStatus::Active,
                category_ids: vec![],
                attributes: BTreeMap::from([("material".to_owned(), stuff.to_owned())]),
                images: vec![],
                variants: vec![variant.clone()],
                created_at: at,
                updated_at: at,
                version: 0,
            };
            set.insert(&mut product).hold(Claim::product_slug(&product.slug), product.id);
            set.hold(Claim::sku(&variant.sku), variant.id);
            let stock = NewStock { variant_id: variant.id, product_id: product.id, low_stock_threshold: 0 };
            set.open_stock(stock, i64::from(n % 10) * 100_000);
            made.push(product);
        }
        store.commit(&set).await?;
    }
    Ok(made)
}
