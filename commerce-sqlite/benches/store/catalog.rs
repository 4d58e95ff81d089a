//! Reading a catalogue of 100,000 products against one of 1,000.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use commerce_core::{
    Currency, Money,
    call::ActorRef,
    catalog::{
        CatalogStore as _, Product, ProductFilter, ProductKey, ProductSort, ProductStatus, SearchTerms, Variant,
    },
    clock::Timestamp,
    id::{IdGenerator as _, ProductId, UuidV7, VariantId},
    inventory::NewStock,
    page::{Position, Slice},
    store::{ChangeSet, Claim, Store as _},
};
use commerce_sqlite::SqliteStore;

type BoxError = Box<dyn std::error::Error>;

const SMALL: u32 = 1_000;
const LARGE: u32 = 100_000;
const ROUNDS: usize = 101;

pub(crate) async fn run() -> Result<(), BoxError> {
    let small = figures(SMALL).await?;
    let large = figures(LARGE).await?;
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        println!("bench {name} ratio={ratio:.2} value={:.2}ms", large.as_secs_f64() * 1000.0);
    }
    Ok(())
}

/// The median time of each read.
async fn figures(products: u32) -> Result<Vec<(&'static str, Duration)>, BoxError> {
    let dir = tempfile::tempdir()?;
    let store = SqliteStore::open(&format!("sqlite://{}", dir.path().join("shop.db").display())).await?;
    let ids = fill(&store, products).await?;
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
        figures.push((name, median(async || store.list_products(&filter, &Slice::first(20)).await.map(drop)).await?));
    }
    let deep = deep(&store, &active(), products).await?;
    figures.push(("list_deep_page", median(async || store.list_products(&active(), &deep).await.map(drop)).await?));
    let key = ProductKey::Id(ids[ids.len() / 2]);
    figures.push(("detail", median(async || store.view_product(&key).await.map(drop)).await?));
    Ok(figures)
}

/// A slice that begins in the middle of the list.
async fn deep(store: &SqliteStore, filter: &ProductFilter, products: u32) -> Result<Slice, BoxError> {
    let mut slice = Slice::first(100);
    for _ in 0..products / 200 {
        slice.after = store.list_products(filter, &slice).await?.next;
    }
    let after: Option<Position> = slice.after;
    Ok(Slice { after, ..Slice::first(20) })
}

async fn median<E>(read: impl AsyncFn() -> Result<(), E>) -> Result<Duration, E> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        read().await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}

async fn fill(store: &SqliteStore, products: u32) -> Result<Vec<ProductId>, BoxError> {
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
            set.open_stock(stock, i64::from(n % 10));
            made.push(product.id);
        }
        store.commit(&set).await?;
    }
    Ok(made)
}
