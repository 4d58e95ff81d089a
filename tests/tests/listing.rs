//! Lists of products: every filter, every sort, search, pages.

mod shop;

use commerce_core::{
    catalog::{CatalogError, NewProduct, NewVariant, ProductSearch, ProductSort, ProductStatus},
    context::Role,
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
        let variant = |(sku, cents, stock): &(&str, i64, i64)| {
            NewVariant::new(*sku, euros(*cents)).stock(*stock).option("Farbe", format!("{sku} blau"))
        };
        let product = NewProduct::active(title).status(status).description(description).attribute("origin", "Öland");
        let product = variants.iter().map(variant).fold(product, NewProduct::with_variant);
        shop.as_system().catalog().create(product).await.unwrap();
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
    fn products(&self) -> ProductSearch {
        self.as_guest().catalog().products()
    }

    fn words(&self, words: &str) -> ProductSearch {
        self.as_guest().catalog().search(words)
    }

    fn sorted(&self, sort: ProductSort) -> ProductSearch {
        self.products().sort(sort)
    }
}

async fn slugs(search: ProductSearch) -> Vec<String> {
    let page = search.page(&everything()).await.unwrap();
    assert_eq!(page.total, Some(page.items.len() as u64));
    page.items.into_iter().map(|product| product.slug).collect()
}

#[tokio::test]
async fn lists_come_in_every_order() {
    let shop = stocked().await;
    let newest = ["teapot", "apple-tea", "glass-mug", "enamel-mug"];
    assert_eq!(slugs(shop.products()).await, newest);
    assert_eq!(slugs(shop.sorted(ProductSort::Newest)).await, newest);
    assert_eq!(slugs(shop.sorted(ProductSort::Relevance)).await, newest, "nothing is relevant without words");
    let cheapest = ["apple-tea", "enamel-mug", "glass-mug", "teapot"];
    assert_eq!(slugs(shop.sorted(ProductSort::PriceAscending)).await, cheapest);
    let dearest = ["teapot", "glass-mug", "enamel-mug", "apple-tea"];
    assert_eq!(slugs(shop.sorted(ProductSort::PriceDescending)).await, dearest);
    let titles = ["apple-tea", "enamel-mug", "glass-mug", "teapot"];
    assert_eq!(slugs(shop.sorted(ProductSort::Title)).await, titles, "ä stands beside a");
    let best = ["teapot", "enamel-mug", "apple-tea", "glass-mug"];
    assert_eq!(slugs(shop.sorted(ProductSort::Rating)).await, best);
}

#[tokio::test]
async fn filters_narrow_alone_and_together() {
    let shop = stocked().await;
    let price =
        |min: Option<i64>, max: Option<i64>| shop.products().min_price(min.map(euros)).max_price(max.map(euros));
    assert_eq!(slugs(price(Some(1990), None)).await, ["teapot", "glass-mug"]);
    assert_eq!(slugs(price(None, Some(990))).await, ["apple-tea", "enamel-mug"]);
    assert_eq!(slugs(price(Some(1400), Some(1500))).await, ["enamel-mug"]);
    assert!(slugs(price(Some(1000), Some(1400))).await.is_empty(), "no one variant lies between");
    assert!(slugs(price(Some(10), Some(5))).await.is_empty());
    let stock = |in_stock: bool| shop.products().in_stock(in_stock);
    assert_eq!(slugs(stock(true)).await, ["teapot", "apple-tea", "enamel-mug"]);
    assert_eq!(slugs(stock(false)).await, ["glass-mug"]);
    let rated = |stars: f64| shop.products().min_rating(stars);
    assert_eq!(slugs(rated(4.0)).await, ["teapot", "enamel-mug"]);
    assert_eq!(slugs(rated(4.5)).await, ["teapot"]);
    let all = shop.words("mug").in_stock(true).min_rating(2.0).sort(ProductSort::PriceAscending);
    assert_eq!(slugs(all).await, ["apple-tea", "enamel-mug"]);
}

#[tokio::test]
async fn words_find_products_best_match_first() {
    let shop = stocked().await;
    assert_eq!(
        slugs(shop.words("mug")).await,
        ["glass-mug", "enamel-mug", "apple-tea"],
        "titles, newest first, then texts"
    );
    assert_eq!(slugs(shop.words("MÜG enam")).await, ["enamel-mug"], "all words, by their beginnings, accents aside");
    assert_eq!(slugs(shop.words("apple")).await, ["apple-tea"]);
    assert_eq!(slugs(shop.words("gl-1")).await, ["glass-mug"], "by SKU");
    assert_eq!(slugs(shop.words("oland blau")).await.len(), 4, "by attribute and option");
    assert!(slugs(shop.words("ug")).await.is_empty(), "not from the middle of a word");
    assert!(slugs(shop.words("secret")).await.is_empty());
    assert!(slugs(shop.words("?!*")).await.is_empty(), "no word, no match");
    assert!(slugs(shop.words("\" OR 1=1 --")).await.is_empty());
    assert_eq!(slugs(shop.words("  ")).await.len(), 4, "nothing asked");
    let cheapest = shop.words("mug").sort(ProductSort::PriceAscending);
    assert_eq!(slugs(cheapest).await, ["apple-tea", "enamel-mug", "glass-mug"]);
}

#[tokio::test]
async fn pages_are_stable_and_cursors_belong_to_their_query() {
    let shop = stocked().await;
    let orders = [
        shop.products(),
        shop.sorted(ProductSort::PriceAscending),
        shop.sorted(ProductSort::PriceDescending),
        shop.sorted(ProductSort::Title),
        shop.sorted(ProductSort::Rating),
        shop.words("mug"),
        shop.products().in_stock(true),
    ];
    let one = |cursor: Option<String>| PageRequest { limit: 1, cursor, count: false };
    for (n, query) in orders.into_iter().enumerate() {
        let whole = slugs(query.clone()).await;
        let mut pages = Vec::new();
        let mut cursor = None;
        loop {
            let page = query.page(&one(cursor)).await.unwrap();
            assert_eq!((page.items.len(), page.total), (1, None));
            pages.extend(page.items.into_iter().map(|detail| detail.slug));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, whole, "order {n}");
    }

    let first = shop.products().page(&one(None)).await.unwrap();
    shop.product("Brand new", "BN", 100, 1).await;
    let second = shop.products().page(&one(first.next_cursor.clone())).await;
    assert_eq!(second.unwrap().items[0].slug, "apple-tea", "what came before doesn't shift what comes after");
    for (query, cursor) in [
        (shop.sorted(ProductSort::Title), first.next_cursor),
        (shop.words("tea"), Some("nonsense".to_owned())),
        (shop.products().category("none".to_owned()), Some("AAAA".to_owned())),
    ] {
        let error = query.page(&one(cursor)).await.unwrap_err();
        assert!(matches!(error, CatalogError::Common(CommonError::Cursor(_))), "{error:?}");
    }
}

#[tokio::test]
async fn filters_that_make_no_sense_are_named() {
    let shop = open().await;
    let dollars = Some(Money::new(1, Currency::USD));
    for (query, field) in [
        (shop.products().min_price(dollars), ("/min_price", "currency_mismatch")),
        (shop.products().max_price(dollars), ("/max_price", "currency_mismatch")),
        (shop.products().min_rating(f64::NAN), ("/min_rating", "out_of_range")),
        (shop.products().min_rating(5.1), ("/min_rating", "out_of_range")),
    ] {
        match query.page(&everything()).await.unwrap_err() {
            CatalogError::Common(error) => assert_eq!(broken(&error), [field]),
            other => panic!("{other:?}"),
        }
    }
}
