//! Search, as documented at [`SearchTerms`].

use super::{
    StoreFixture,
    listing::{active, slugs},
    sample::pairs,
    shop::Shop,
};
use crate::{
    Commerce,
    catalog::{Product, ProductFilter, ProductSort, ProductStatus, SearchTerms},
    page::{PageRequest, PageSpec},
    payment::TestGateway,
};

fn query(text: &str) -> ProductFilter {
    let search = SearchTerms::parse(text);
    assert!(search.is_some(), "'{text}' has words");
    ProductFilter { search, sort: ProductSort::Relevance, ..active() }
}

async fn found(shop: &Shop, text: &str) -> Vec<String> {
    slugs(shop, &query(text)).await
}

async fn titled(shop: &Shop, slug: &str, title: &str) -> Product {
    shop.shelve(Product { title: title.to_owned(), ..shop.product(slug, &[100]) }).await
}

/// A word matches the beginning of a word, not its middle.
pub async fn words_match_by_their_beginning(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    titled(&shop, "ball", "Ball").await;
    titled(&shop, "balloon", "Red balloon").await;
    titled(&shop, "football", "Football").await;
    assert_eq!(found(&shop, "ball").await, ["ball", "balloon"]);
    assert_eq!(found(&shop, "BALLO").await, ["balloon"]);
    assert_eq!(found(&shop, "f").await, ["football"]);
    assert!(found(&shop, "balls").await.is_empty());
}

/// Every word must match, each in whatever field, in any order.
pub async fn all_words_must_match(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut mug =
        Product { title: "Blue mug".to_owned(), description: "Holds coffee.".to_owned(), ..shop.product("a", &[100]) };
    mug.attributes = pairs(&[("material", "Stoneware")]);
    mug.variants[0].options = pairs(&[("size", "Large")]);
    mug.variants[0].sku = "XK-42".to_owned();
    shop.shelve(mug).await;
    titled(&shop, "b", "Blue plate").await;
    assert_eq!(found(&shop, "blue").await, ["b", "a"]);
    for text in ["mug blue", "blue coffee", "stone large mug", "xk-42", "42 holds blue lar stone", "mug mug"] {
        assert_eq!(found(&shop, text).await, ["a"], "{text}");
    }
    for text in ["blue plate coffee", "mug plate", "material", "size", "green"] {
        assert!(found(&shop, text).await.is_empty(), "{text}");
    }
}

/// What was asked for as a whole comes first, then title before keywords before description; newest (greatest id) first among
/// equals, whatever the time of creation says.
pub async fn the_best_match_comes_first(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let title_old = titled(&shop, "title-old", "Steel pot").await;
    let described =
        |slug: &str| Product { description: "A steel pot for soup.".to_owned(), ..shop.product(slug, &[100]) };
    shop.shelve(described("body-old")).await;
    let keyed = |slug: &str| Product {
        title: "Pot".to_owned(),
        attributes: pairs(&[("material", "steel")]),
        ..shop.product(slug, &[100])
    };
    shop.shelve(keyed("keyword-old")).await;
    shop.shelve(Product {
        created_at: title_old.created_at - super::shop::minutes(9),
        title: "pot, steel".to_owned(),
        ..shop.product("title-new", &[100])
    })
    .await;
    shop.shelve(keyed("keyword-new")).await;
    shop.shelve(described("body-new")).await;
    let mixed =
        Product { title: "Pot".to_owned(), description: "Steel.".to_owned(), ..shop.product("body-mixed", &[100]) };
    shop.shelve(mixed).await;
    let ranked = ["title-old", "title-new", "keyword-new", "keyword-old", "body-mixed", "body-new", "body-old"];
    assert_eq!(found(&shop, "steel pot").await, ranked);
}

/// A title or SKU as a whole beats whole words, which beat beginnings, however new those are; on all pages.
pub async fn whole_words_beat_beginnings(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    titled(&shop, "lamp", "Lamp").await;
    titled(&shop, "desk", "Desk lamp").await;
    shop.shelve(Product { description: "Needs a lamp.".to_owned(), ..shop.product("socket", &[100]) }).await;
    for n in 0..25 {
        titled(&shop, &format!("shade-{n}"), "Lampshade").await;
    }
    let listed = found(&shop, "lamp").await;
    assert_eq!(listed[..4], ["lamp", "desk", "socket", "shade-24"]);
    assert_eq!(listed.len(), 28);
    let (mut paged, mut spec) = (Vec::new(), PageSpec::first(2));
    loop {
        let page = shop.reads().list_products(&query("lamp"), &spec).await.expect("products can be listed");
        paged.extend(page.items.into_iter().map(|view| view.product.slug));
        spec.after = page.next;
        if spec.after.is_none() {
            break;
        }
    }
    assert_eq!(paged, listed);

    let mut exact = shop.product("exact", &[100, 200]);
    exact.variants[1].sku = "ABC".to_owned();
    shop.shelve(exact).await;
    let mut longer = shop.product("longer", &[100]);
    longer.variants[0].sku = "ABC-1".to_owned();
    shop.shelve(longer).await;
    titled(&shop, "named", "abc of cooking").await;
    assert_eq!(found(&shop, "ABC").await, ["exact", "named", "longer"]);
    for text in ["abc-1", "ABC1", "abc 1"] {
        assert_eq!(found(&shop, text).await, ["longer"], "{text}");
    }
}

/// Every search finds what [`SearchTerms::score_of`] says, in its order: with and without marks, in each spelling, in scripts without
/// blanks.
pub async fn searches_agree_with_the_model(fixture: &dyn StoreFixture) {
    const TITLES: [&str; 22] = [
        "T-Shirt",
        "Tshirt, long",
        "Red t shirt",
        "Wi-Fi router",
        "USB-Wi-Fi-Stick",
        "O'Brien's tea",
        "OBrien",
        "C++ in a week",
        "C# in a week",
        "C for all",
        "Größe M",
        "Groesse L",
        "Grosse Kanne",
        "Smørrebrød board",
        "日本の本棚",
        "本",
        "Bench",
        "東京タワー",
        "コーヒー・カップ",
        "한국어 사전",
        "ราคา",
        "чашка",
    ];
    const ASKED: [&str; 36] = [
        "t-shirt",
        "tshirt",
        "T SHIRT",
        "shirt",
        "t",
        "wifi",
        "wi-fi",
        "wi",
        "o'brien",
        "OBRIEN",
        "o’briens",
        "c++",
        "c#",
        "c",
        "C week",
        "größe",
        "grosse",
        "groesse",
        "gros",
        "smorrebrod",
        "smoerre",
        "本",
        "日本",
        "本棚",
        "bench",
        "ben",
        "東京",
        "京都",
        "コーヒーカップ",
        "カップ",
        "한국",
        "ราคา",
        "chashka",
        "sku-3",
        "sku3",
        "usb wifi",
    ];
    let shop = Shop::new(fixture.store());
    let mut shelved = Vec::new();
    for (n, title) in TITLES.into_iter().enumerate() {
        let mut product = shop.product(&format!("p{n}"), &[100]);
        (product.title, product.variants[0].sku) = (title.to_owned(), format!("SKU-{n}"));
        product.description = TITLES[(n * 7 + 3) % TITLES.len()].to_owned();
        shelved.push(shop.shelve(product).await);
    }
    for text in ASKED {
        let terms = SearchTerms::parse(text).expect("it has words");
        let scored = shelved.iter().map(|product| (terms.score_of(&product.search_document()), product));
        let mut expected: Vec<_> = scored.filter(|(score, _)| *score > 0).collect();
        expected.sort_by_key(|(score, product)| std::cmp::Reverse((*score, product.id)));
        let expected: Vec<_> = expected.into_iter().map(|(_, product)| product.slug.clone()).collect();
        assert_eq!(found(&shop, text).await, expected, "{text}");
    }
}

/// The score doesn't depend on how often a word occurs or how long a text is.
pub async fn scores_are_plain(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    titled(&shop, "often", "Mug mug mug mug").await;
    titled(&shop, "long", &format!("Mug {}", "and so on ".repeat(50))).await;
    titled(&shop, "plain", "Mug").await;
    assert_eq!(found(&shop, "mug").await, ["plain", "long", "often"]);
}

/// Letters with accents, ligatures and capitals match their plain forms, both ways.
pub async fn letters_are_folded(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    titled(&shop, "tete", "Tête-à-tête ŒUVRE").await;
    titled(&shop, "gross", "Größe XL").await;
    titled(&shop, "city", "東京 tee").await;
    for (text, slug) in [
        ("tete", "tete"),
        ("TÊTE", "tete"),
        ("œuvre", "tete"),
        ("oeuv", "tete"),
        ("größe", "gross"),
        ("GROSSE", "gross"),
        ("grosse xl", "gross"),
        ("東京", "city"),
    ] {
        assert_eq!(found(&shop, text).await, [slug], "{text}");
    }
}

/// The words of query languages are words like any other.
pub async fn words_are_no_syntax(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    titled(&shop, "syntax", "AND OR NOT NEAR title null").await;
    titled(&shop, "other", "Something else").await;
    for text in
        ["and", "or", "not", "near", "not near", "AND OR", "title:near", "near*", "\"not\"", "(or)", "null", "'or'"]
    {
        assert_eq!(found(&shop, text).await, ["syntax"], "{text}");
    }
    assert!(found(&shop, "something NOT").await.is_empty());
    assert!(found(&shop, "something OR null").await.is_empty());
}

/// Search goes by the product as it is now, without retired variants, and heeds the other filters and sorts.
pub async fn search_follows_changes(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut mug =
        Product { title: "Mug".to_owned(), description: "old words".to_owned(), ..shop.product("mug", &[300, 400]) };
    mug.variants[1].sku = "SPECIAL-1".to_owned();
    let mug = shop.shelve(mug).await;
    let cheap = titled(&shop, "cheap", "Mug, small").await;
    assert_eq!(found(&shop, "special").await, ["mug"]);
    let mug = shop
        .update(&mug, |mug| {
            (mug.title, mug.description) = ("Beaker".to_owned(), "new mug words".to_owned());
            mug.variants[1].retired = true;
        })
        .await;
    for text in ["special", "old"] {
        assert!(found(&shop, text).await.is_empty(), "{text}");
    }
    assert_eq!(found(&shop, "beak").await, ["mug"]);
    assert_eq!(found(&shop, "mug").await, ["cheap", "mug"]);
    let dear = ProductFilter { sort: ProductSort::PriceDescending, ..query("mug") };
    assert_eq!(slugs(&shop, &dear).await, ["mug", "cheap"]);
    assert_eq!(slugs(&shop, &ProductFilter { max_price: Some(100), ..query("mug") }).await, ["cheap"]);
    shop.update(&cheap, |cheap| cheap.status = ProductStatus::Archived).await;
    assert_eq!(found(&shop, "mug").await, ["mug"]);
    let archived = ProductFilter { statuses: vec![ProductStatus::Archived], ..query("mug") };
    assert_eq!(slugs(&shop, &archived).await, ["cheap"]);
    assert_eq!(mug.version, 2);
}

/// A word that begins no known word is read as the closest one that does; the pages of such a search follow each other.
pub async fn typos_are_forgiven(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    titled(&shop, "mug", "Enamel mug").await;
    titled(&shop, "kettle", "Enamel kettle, stoneware lid").await;
    titled(&shop, "enigma", "Enigma 2000").await;
    let similar = async |words: &[&str]| {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mut similar = shop.reads().load_similar_words(&words).await.expect("words can be looked up");
        for words in &mut similar {
            words.sort();
        }
        similar
    };
    assert_eq!(
        similar(&["enamle", "mug", "en", "xyz", "e1", "2001"]).await,
        [vec!["enamel".to_owned(), "enigma".to_owned()], vec![], vec![], vec![], vec![], vec![],]
    );

    let commerce = Commerce::builder().shared_store(fixture.store()).gateway(TestGateway::new()).build();
    let commerce = commerce.expect("a shop of a store and a gateway");
    let found = async |q: &str| {
        let search = commerce.as_guest().catalog().search(q);
        let (mut slugs, mut page) = (Vec::new(), PageRequest::first(1));
        loop {
            let listed = search.page(&page).await.expect("products can be searched");
            slugs.extend(listed.items.into_iter().map(|found| found.slug));
            match listed.next_cursor {
                Some(cursor) => page = PageRequest { cursor: Some(cursor), ..PageRequest::first(1) },
                None => return slugs,
            }
        }
    };
    assert_eq!(found("enamle mug").await, ["mug"]);
    assert_eq!(found("ENMAEL").await, ["kettle", "mug"]);
    assert_eq!(found("stonwear enam").await, ["kettle"]);
    assert!(found("xnamel").await.is_empty());
    assert!(found("enamel mug kettle").await.is_empty());
}
