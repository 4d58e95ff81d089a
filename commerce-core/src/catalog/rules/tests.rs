use proptest::prelude::*;

use super::*;
use crate::id::{ProductId, VariantId};

fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn mug() -> NewProduct {
    NewProduct {
        title: " Mug ".to_owned(),
        variants: vec![NewVariant::new("MUG-1", euros(990)), NewVariant::new("MUG-2", euros(0))],
        ..NewProduct::default()
    }
}

fn check(draft: &NewProduct) -> Result<NewProduct, Invalid> {
    product(draft, Currency::EUR, &CategoryTree::default())
}

fn broken(change: impl FnOnce(&mut NewProduct)) -> Vec<(String, &'static str)> {
    let mut draft = mug();
    change(&mut draft);
    let errors = check(&draft).expect_err("a broken rule").errors;
    errors.into_iter().map(|error| (error.pointer, error.code)).collect()
}

#[test]
fn a_good_draft_is_trimmed() {
    let draft = check(&mug()).unwrap();
    assert_eq!(draft.title, "Mug");
    assert_eq!(draft.variants.len(), 2);
}

#[test]
fn each_rule_names_the_field_that_breaks_it() {
    let one = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    assert_eq!(broken(|d| d.title = " ".into()), one("/title", "required"));
    assert_eq!(broken(|d| d.title = "x".repeat(201)), one("/title", "too_long"));
    assert_eq!(broken(|d| d.title = "a\0b".into()), one("/title", "invalid_character"));
    assert_eq!(broken(|d| d.slug = Some("A mug".into())), one("/slug", "invalid_slug"));
    assert_eq!(broken(|d| d.slug = Some("a".repeat(201))), one("/slug", "too_long"));
    assert_eq!(broken(|d| d.description = "x".repeat(20_001)), one("/description", "too_long"));
    assert_eq!(broken(|d| d.description = "\u{1}".into()), one("/description", "invalid_character"));
    assert_eq!(broken(|d| d.status = ProductStatus::Deleted), one("/status", "invalid_status"));
    let unknown = CategoryId(uuid::Uuid::nil());
    assert_eq!(broken(|d| d.category_ids = vec![unknown]), one("/category_ids/0", "unknown_category"));
    let long = [("a/b~c".to_owned(), "x".repeat(1001))];
    assert_eq!(broken(|d| d.attributes = long.into()), one("/attributes/a~1b~0c", "too_long"));
    let many = (0..51).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(broken(|d| d.attributes = many), one("/attributes", "too_many"));
    for url in ["", "mug.png", "javascript:alert(1)", "ftp://x/y"] {
        let images = vec![Image { url: url.to_owned(), alt: None }];
        assert_eq!(broken(|d| d.images = images), one("/images/0/url", "invalid_url"), "{url}");
    }
    assert_eq!(broken(|d| d.variants.clear()), one("/variants", "required"));
    assert_eq!(broken(|d| d.variants[1].sku = " MUG-1".into()), one("/variants/1/sku", "duplicate"));
    assert_eq!(broken(|d| d.variants[0].sku = "x".repeat(65)), one("/variants/0/sku", "too_long"));
    assert_eq!(broken(|d| d.variants[1].stock = Some(-1)), one("/variants/1/stock", "out_of_range"));
    assert_eq!(broken(|d| d.variants[1].stock = Some(i64::MAX)), one("/variants/1/stock", "out_of_range"));
    assert_eq!(broken(|d| d.variants[0].price.minor = -1), one("/variants/0/price", "out_of_range"));
    assert_eq!(broken(|d| d.variants[0].price.minor = i64::MAX), one("/variants/0/price", "out_of_range"));
    let dollars = Money::new(1, Currency::USD);
    assert_eq!(broken(|d| d.variants[0].price = dollars), one("/variants/0/price", "currency_mismatch"));
    let many = (0..101).map(|n| NewVariant::new(n.to_string(), euros(1))).collect();
    assert_eq!(broken(|d| d.variants = many), one("/variants", "too_many"));
}

#[test]
fn a_variant_alone_is_pointed_at_from_the_top() {
    let errors = variant(&NewVariant::new("", euros(-5)), Currency::EUR).unwrap_err().errors;
    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/sku", "/price"]);
}

#[test]
fn positions_are_bounded_without_overflow() {
    for position in [i64::MIN, i64::MAX] {
        let draft = NewCategory { name: "x".into(), position: Some(position), ..NewCategory::default() };
        assert_eq!(category(&draft).unwrap_err().errors[0].pointer, "/position");
    }
}

fn a_product() -> Product {
    let now = crate::clock::Timestamp::default();
    let id = ProductId(uuid::Uuid::nil());
    Product {
        id,
        slug: "mug".into(),
        title: "Mug".into(),
        description: String::new(),
        status: ProductStatus::Active,
        category_ids: Vec::new(),
        attributes: [("colour".to_owned(), "blue".to_owned())].into(),
        images: Vec::new(),
        variants: Vec::new(),
        created_at: now,
        updated_at: now,
        version: 3,
    }
}

#[test]
fn attributes_merge_and_null_removes() {
    let patch = ProductPatch::new().attribute("colour", None).attribute("size", "L".to_owned());
    let after = patched_product(&a_product(), &patch, &CategoryTree::default()).unwrap();
    assert_eq!(after.attributes, [("size".to_owned(), "L".to_owned())].into());

    let patch = ProductPatch::new().without_attributes();
    assert!(patched_product(&after, &patch, &CategoryTree::default()).unwrap().attributes.is_empty());
    let after =
        patched_product(&after, &patch.attribute("weight", "1 kg".to_owned()), &CategoryTree::default()).unwrap();
    assert_eq!(after.attributes, [("weight".to_owned(), "1 kg".to_owned())].into());
}

#[test]
fn an_empty_patch_changes_nothing_even_if_the_tree_did() {
    let mut product = a_product();
    product.category_ids = vec![CategoryId(uuid::Uuid::nil())];
    let after = patched_product(&product, &ProductPatch::default(), &CategoryTree::default()).unwrap();
    assert_eq!(after, product);
    let variant = Variant {
        id: VariantId(uuid::Uuid::nil()),
        position: 0,
        sku: "A".into(),
        title: String::new(),
        options: BTreeMap::new(),
        price: euros(1),
        retired: false,
    };
    assert_eq!(patched_variant(&variant, &VariantPatch::default(), Currency::EUR).unwrap(), variant);
}

proptest! {
    #[test]
    fn whatever_is_accepted_keeps_the_rules(
        title in any::<String>(), slug in prop::option::of(any::<String>()), sku in any::<String>(),
        minor in any::<i64>(), stock in prop::option::of(any::<i64>()),
    ) {
        let variants = vec![NewVariant { stock, ..NewVariant::new(sku, euros(minor)) }];
        if let Ok(draft) = check(&NewProduct { title, slug, variants, ..NewProduct::default() }) {
            prop_assert!((1..=200).contains(&draft.title.chars().count()));
            prop_assert_eq!(draft.title.trim(), &draft.title);
            prop_assert!(draft.slug.is_none_or(|slug| is_slug(&slug)));
            prop_assert!((0..=MAX_PRICE).contains(&draft.variants[0].price.minor));
            prop_assert!(draft.variants[0].stock.is_none_or(|stock| (0..=MAX_STOCK).contains(&stock)));
        }
    }

    #[test]
    fn pointers_lead_to_the_field(name in any::<String>()) {
        let document = serde_json::json!({ "attributes": { name.as_str(): 1 } });
        let pointer = format!("/attributes/{}", escaped(&name));
        prop_assert_eq!(document.pointer(&pointer), Some(&serde_json::json!(1)));
    }
}

#[test]
fn stock_is_that_of_the_variant_before_it_or_of_the_first() {
    let price = euros(1);
    let stock = |product: NewProduct| product.variants.iter().map(|variant| variant.stock).collect::<Vec<_>>();
    assert_eq!(stock(NewProduct::active("x").variant("A", price).variant("B", price).stock(2)), [None, Some(2)]);
    assert_eq!(stock(NewProduct::active("x").stock(1).variant("A", price).variant("B", price)), [Some(1), None]);
}
