//! Lists of products: every filter, every sort, search, pages.

mod shop;

use commerce_core::{
    catalog::{CatalogError, ProductDraft, ProductQuery, ProductSort, ProductStatus, VariantDraft},
    context::{Actor, RequestContext, Role},
    error::CommonError,
    money::{Currency, Money},
    page::PageRequest,
    review::NewReview,
};
use shop::{Shop, broken, euros, everything, open};

/// Four active products and a draft:
///
/// | title | prices | stock | stars |
/// |---|---|---|---|
/// | Enamel mug | 9.90, 14.90 | 0, 3 | 4 |
/// | Glass mug | 19.90 | 0 | – |
/// | Äpple tea | 5.00 | 10 | 2 |
/// | Teapot | 49.90 | 1 | 5 |
async fn stocked() -> Shop {
    let shop = open().await;
    let product = async |title: &str, description: &str, variants: &[(&str, i64, i64)], status| {
        let variant = |(sku, cents, stock): &(&str, i64, i64)| VariantDraft {
            stock: Some(*stock),
            options: [("Farbe".to_owned(), format!("{sku} blau"))].into(),
            ..VariantDraft::new(*sku, euros(*cents))
        };
        let draft = ProductDraft {
            title: title.to_owned(),
            description: description.to_owned(),
            status,
            attributes: [("origin".to_owned(), "Öland".to_owned())].into(),
            variants: variants.iter().map(variant).collect(),
            ..ProductDraft::default()
        };
        shop.catalog().create_product(&RequestContext::system(), draft).await.unwrap();
        shop.later();
    };
    let active = ProductStatus::Active;
    product("Enamel mug", "Survives a fall.", &[("EN-1", 990, 0), ("EN-2", 1490, 3)], active).await;
    product("Glass mug", "For tea.", &[("GL-1", 1990, 0)], active).await;
    product("Äpple tea", "Fruity, for any mug.", &[("AP-1", 500, 10)], active).await;
    product("Teapot", "Holds a litre.", &[("TP-1", 4990, 1)], active).await;
    product("Secret mug", "Not yet.", &[("SE-1", 1, 1)], ProductStatus::Draft).await;
    let ada = shop.user("ada@example.com", "Ada", "Lovelace", Role::Customer).await;
    for (slug, rating) in [("enamel-mug", 4), ("apple-tea", 2), ("teapot", 5)] {
        let draft = NewReview::new(rating, "So", "So.");
        shop.acting_as(&ada).reviews().create(slug, draft).await.unwrap();
    }
    shop
}

impl Shop {
    async fn slugs(&self, query: ProductQuery) -> Vec<String> {
        let page = self.catalog().products(&Actor::guest(), query, &everything()).await.unwrap();
        assert_eq!(page.total, Some(page.items.len() as u64));
        page.items.into_iter().map(|detail| detail.view.product.slug).collect()
    }
}

fn q(text: &str) -> ProductQuery {
    ProductQuery { q: Some(text.to_owned()), ..ProductQuery::default() }
}

fn sorted(sort: ProductSort) -> ProductQuery {
    ProductQuery { sort: Some(sort), ..ProductQuery::default() }
}

#[tokio::test]
async fn lists_come_in_every_order() {
    let shop = stocked().await;
    let newest = ["teapot", "apple-tea", "glass-mug", "enamel-mug"];
    assert_eq!(shop.slugs(ProductQuery::default()).await, newest);
    assert_eq!(shop.slugs(sorted(ProductSort::Newest)).await, newest);
    assert_eq!(shop.slugs(sorted(ProductSort::Relevance)).await, newest, "nothing is relevant without words");
    let cheapest = ["apple-tea", "enamel-mug", "glass-mug", "teapot"];
    assert_eq!(shop.slugs(sorted(ProductSort::PriceAscending)).await, cheapest);
    let dearest = ["teapot", "glass-mug", "enamel-mug", "apple-tea"];
    assert_eq!(shop.slugs(sorted(ProductSort::PriceDescending)).await, dearest);
    let titles = ["apple-tea", "enamel-mug", "glass-mug", "teapot"];
    assert_eq!(shop.slugs(sorted(ProductSort::Title)).await, titles, "ä stands beside a");
    let best = ["teapot", "enamel-mug", "apple-tea", "glass-mug"];
    assert_eq!(shop.slugs(sorted(ProductSort::Rating)).await, best);
}

#[tokio::test]
async fn filters_narrow_alone_and_together() {
    let shop = stocked().await;
    let price = |min: Option<i64>, max: Option<i64>| ProductQuery {
        min_price: min.map(euros),
        max_price: max.map(euros),
        ..ProductQuery::default()
    };
    assert_eq!(shop.slugs(price(Some(1990), None)).await, ["teapot", "glass-mug"]);
    assert_eq!(shop.slugs(price(None, Some(990))).await, ["apple-tea", "enamel-mug"]);
    assert_eq!(shop.slugs(price(Some(1400), Some(1500))).await, ["enamel-mug"]);
    assert!(shop.slugs(price(Some(1000), Some(1400))).await.is_empty(), "no one variant lies between");
    assert!(shop.slugs(price(Some(10), Some(5))).await.is_empty());
    let stock = |in_stock| ProductQuery { in_stock: Some(in_stock), ..ProductQuery::default() };
    assert_eq!(shop.slugs(stock(true)).await, ["teapot", "apple-tea", "enamel-mug"]);
    assert_eq!(shop.slugs(stock(false)).await, ["glass-mug"]);
    let rated = |stars| ProductQuery { min_rating: Some(stars), ..ProductQuery::default() };
    assert_eq!(shop.slugs(rated(4.0)).await, ["teapot", "enamel-mug"]);
    assert_eq!(shop.slugs(rated(4.5)).await, ["teapot"]);
    let all = ProductQuery {
        in_stock: Some(true),
        min_rating: Some(2.0),
        sort: Some(ProductSort::PriceAscending),
        ..q("mug")
    };
    assert_eq!(shop.slugs(all).await, ["apple-tea", "enamel-mug"]);
}

#[tokio::test]
async fn words_find_products_best_match_first() {
    let shop = stocked().await;
    assert_eq!(
        shop.slugs(q("mug")).await,
        ["glass-mug", "enamel-mug", "apple-tea"],
        "titles, newest first, then texts"
    );
    assert_eq!(shop.slugs(q("MÜG enam")).await, ["enamel-mug"], "all words, by their beginnings, accents aside");
    assert_eq!(shop.slugs(q("apple")).await, ["apple-tea"]);
    assert_eq!(shop.slugs(q("gl-1")).await, ["glass-mug"], "by SKU");
    assert_eq!(shop.slugs(q("oland blau")).await.len(), 4, "by attribute and option");
    assert!(shop.slugs(q("ug")).await.is_empty(), "not from the middle of a word");
    assert!(shop.slugs(q("secret")).await.is_empty());
    assert!(shop.slugs(q("?!*")).await.is_empty(), "no word, no match");
    assert!(shop.slugs(q("\" OR 1=1 --")).await.is_empty());
    assert_eq!(shop.slugs(q("  ")).await.len(), 4, "nothing asked");
    let cheapest = ProductQuery { sort: Some(ProductSort::PriceAscending), ..q("mug") };
    assert_eq!(shop.slugs(cheapest).await, ["apple-tea", "enamel-mug", "glass-mug"]);
}

#[tokio::test]
async fn pages_are_stable_and_cursors_belong_to_their_query() {
    let shop = stocked().await;
    let orders = [
        ProductQuery::default(),
        sorted(ProductSort::PriceAscending),
        sorted(ProductSort::PriceDescending),
        sorted(ProductSort::Title),
        sorted(ProductSort::Rating),
        q("mug"),
        ProductQuery { in_stock: Some(true), ..ProductQuery::default() },
    ];
    let one = |cursor: Option<String>| PageRequest { limit: 1, cursor, count: false };
    for query in orders {
        let whole = shop.slugs(query.clone()).await;
        let mut pages = Vec::new();
        let mut cursor = None;
        loop {
            let page = shop.catalog().products(&Actor::guest(), query.clone(), &one(cursor)).await.unwrap();
            assert_eq!((page.items.len(), page.total), (1, None));
            pages.extend(page.items.into_iter().map(|detail| detail.view.product.slug));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, whole, "{query:?}");
    }

    let first = shop.catalog().products(&Actor::guest(), ProductQuery::default(), &one(None)).await.unwrap();
    shop.product("Brand new", "BN", 100, 1).await;
    let second =
        shop.catalog().products(&Actor::guest(), ProductQuery::default(), &one(first.next_cursor.clone())).await;
    assert_eq!(
        second.unwrap().items[0].view.product.slug,
        "apple-tea",
        "what came before doesn't shift what comes after"
    );
    for (query, cursor) in [
        (sorted(ProductSort::Title), first.next_cursor),
        (q("tea"), Some("nonsense".to_owned())),
        (ProductQuery { category: Some("none".into()), ..ProductQuery::default() }, Some("AAAA".to_owned())),
    ] {
        let error = shop.catalog().products(&Actor::guest(), query, &one(cursor)).await.unwrap_err();
        assert!(matches!(error, CatalogError::Common(CommonError::Cursor(_))), "{error:?}");
    }
}

#[tokio::test]
async fn filters_that_make_no_sense_are_named() {
    let shop = open().await;
    let dollars = Some(Money::new(1, Currency::USD));
    for (query, field) in [
        (ProductQuery { min_price: dollars, ..ProductQuery::default() }, ("/min_price", "currency_mismatch")),
        (ProductQuery { max_price: dollars, ..ProductQuery::default() }, ("/max_price", "currency_mismatch")),
        (ProductQuery { min_rating: Some(f64::NAN), ..ProductQuery::default() }, ("/min_rating", "out_of_range")),
        (ProductQuery { min_rating: Some(5.1), ..ProductQuery::default() }, ("/min_rating", "out_of_range")),
    ] {
        match shop.catalog().products(&Actor::guest(), query, &everything()).await.unwrap_err() {
            CatalogError::Common(error) => assert_eq!(broken(&error), [field]),
            other => panic!("{other:?}"),
        }
    }
}
