//! What new products, variants and categories, and patches of them, must be like. Pure: plain data in, trimmed data or all broken rules out.
//!
//! Pointers are JSON pointers into the request, as the API's bodies are shaped like these inputs.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::{
    Category, CategoryPatch, CategoryTree, Image, NewCategory, NewProduct, NewVariant, Product, ProductPatch,
    ProductStatus, Variant, VariantPatch,
    input::Move,
    slug::{MAX_SLUG, is_slug},
};
use crate::{
    error::Invalid,
    id::{CategoryId, VariantId},
    inventory::MAX_STOCK,
    money::{Currency, Money},
    text::{Lines, code, forbidden, look, shows_nothing, trim},
};

const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 20_000;
const MAX_SKU: usize = 64;
const MAX_URL: usize = 2048;
const MAX_ALT: usize = 500;
const MAX_NAME: usize = 100;
const MAX_VALUE: usize = 1000;
const MAX_ATTRIBUTES: usize = 50;
const MAX_OPTIONS: usize = 20;
const MAX_IMAGES: usize = 50;
const MAX_CATEGORIES: usize = 50;
const MAX_POSITION: i64 = 1_000_000;
/// How many variants of a product can be sold at a time.
pub(super) const MAX_VARIANTS: usize = 100;
/// Ten thousand million of a currency with cents: sums over the largest orders still fit 64 bits.
const MAX_PRICE: i64 = 1_000_000_000_000;

/// A draft, trimmed, if it keeps all rules.
pub(super) fn product(raw: &NewProduct, currency: Currency, tree: &CategoryTree) -> Result<NewProduct, Invalid> {
    let draft = NewProduct {
        title: trimmed(&raw.title),
        slug: raw.slug.as_deref().map(trimmed),
        description: trimmed(&raw.description),
        status: raw.status,
        category_ids: without_doubles(&raw.category_ids),
        attributes: raw.attributes.clone(),
        images: raw.images.iter().map(trimmed_image).collect(),
        variants: raw.variants.iter().map(trimmed_variant).collect(),
        first_stock: None,
    };
    let mut invalid = Invalid::default();
    check_line(&mut invalid, "/title", &draft.title, 1, MAX_TITLE);
    check_slug(&mut invalid, draft.slug.as_deref());
    check_description(&mut invalid, &draft.description);
    check_status(&mut invalid, draft.status);
    check_categories(&mut invalid, &raw.category_ids, tree);
    check_attributes(&mut invalid, &draft.attributes);
    check_images(&mut invalid, &draft.images);
    invalid.check(!draft.variants.is_empty(), "/variants", "required", "a product needs at least one variant");
    check_count(&mut invalid, "/variants", draft.variants.len(), MAX_VARIANTS);
    let (mut skus, mut choices) = (BTreeSet::new(), BTreeSet::new());
    for (n, variant) in draft.variants.iter().enumerate() {
        let at = format!("/variants/{n}");
        check_variant_draft(&mut invalid, &at, variant, currency);
        let first = skus.insert(look(&variant.sku));
        invalid.check(first, &format!("{at}/sku"), "duplicate", "another variant of this product has the same SKU");
        if !variant.options.is_empty() && !choices.insert(choice(&variant.options)) {
            invalid.add(format!("{at}/options"), "duplicate", SAME_OPTIONS);
        }
    }
    invalid.into_result()?;
    Ok(draft)
}

/// A product with a patch applied, if the patched fields keep all rules.
pub(super) fn patched_product(
    product: &Product,
    patch: &ProductPatch,
    tree: &CategoryTree,
) -> Result<Product, Invalid> {
    let mut after = product.clone();
    let mut invalid = Invalid::default();
    if let Some(title) = &patch.title {
        after.title = trimmed(title);
        check_line(&mut invalid, "/title", &after.title, 1, MAX_TITLE);
    }
    if let Some(slug) = &patch.slug {
        after.slug = trimmed(slug);
        check_slug(&mut invalid, Some(&after.slug));
    }
    if let Some(description) = &patch.description {
        after.description = trimmed(description);
        check_description(&mut invalid, &after.description);
    }
    if let Some(status) = patch.status {
        after.status = status;
        check_status(&mut invalid, status);
    }
    if let Some(categories) = &patch.category_ids {
        after.category_ids = without_doubles(categories);
        check_categories(&mut invalid, categories, tree);
    }
    if !patch.attributes.is_empty() {
        patch.attributes.apply(&mut after.attributes);
        check_attributes(&mut invalid, &after.attributes);
    }
    if let Some(images) = &patch.images {
        after.images = images.iter().map(trimmed_image).collect();
        check_images(&mut invalid, &after.images);
    }
    invalid.into_result()?;
    Ok(after)
}

/// A draft of a variant on its own, trimmed, if it keeps all rules.
pub(super) fn variant(draft: &NewVariant, currency: Currency) -> Result<NewVariant, Invalid> {
    let draft = trimmed_variant(draft);
    let mut invalid = Invalid::default();
    check_variant_draft(&mut invalid, "", &draft, currency);
    invalid.into_result()?;
    Ok(draft)
}

const SAME_OPTIONS: &str =
    "another variant of this product has the same options: customers couldn't choose between them";

/// What customers choose by: options as they [look]. Two variants of a product that lead to the
/// same choice can't be told apart; those without any options aren't compared.
fn choice(options: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    options.iter().map(|(name, value)| (look(name), look(value))).collect()
}

/// Checks that no other variant of the product that is sold has the same options. What an edit leaves as it is isn't judged,
/// nor is a variant with the SKU of another: it hears that the SKU is taken.
pub(super) fn check_choice(
    product: &Product,
    id: Option<VariantId>,
    sku: &str,
    options: &BTreeMap<String, String>,
) -> Result<(), Invalid> {
    let wanted = choice(options);
    let before = product.variants.iter().find(|variant| Some(variant.id) == id);
    let unchanged = before.is_some_and(|before| choice(&before.options) == wanted);
    let mut others = product.sold().filter(|variant| Some(variant.id) != id && variant.sku != sku);
    if options.is_empty() || unchanged || !others.any(|variant| choice(&variant.options) == wanted) {
        return Ok(());
    }
    Err(Invalid::field("/options", "duplicate", SAME_OPTIONS))
}

/// A variant with a patch applied, if the patched fields keep all rules.
pub(super) fn patched_variant(variant: &Variant, patch: &VariantPatch, currency: Currency) -> Result<Variant, Invalid> {
    let mut after = variant.clone();
    let mut invalid = Invalid::default();
    if let Some(sku) = &patch.sku {
        after.sku = trimmed_sku(sku);
        check_line(&mut invalid, "/sku", &after.sku, 1, MAX_SKU);
    }
    if let Some(title) = &patch.title {
        after.title = trimmed(title);
        check_line(&mut invalid, "/title", &after.title, 0, MAX_TITLE);
    }
    if !patch.options.is_empty() {
        patch.options.apply(&mut after.options);
        check_options(&mut invalid, "/options", &after.options);
    }
    if let Some(price) = patch.price {
        after.price = price;
        check_price(&mut invalid, "/price", price, currency);
    }
    invalid.into_result()?;
    Ok(after)
}

/// A draft of a category, trimmed, if it keeps all rules but those of the tree.
pub(super) fn category(draft: &NewCategory) -> Result<NewCategory, Invalid> {
    let draft = NewCategory { name: trimmed(&draft.name), slug: draft.slug.as_deref().map(trimmed), ..draft.clone() };
    let mut invalid = Invalid::default();
    check_line(&mut invalid, "/name", &draft.name, 1, MAX_TITLE);
    check_slug(&mut invalid, draft.slug.as_deref());
    check_position(&mut invalid, draft.position);
    invalid.into_result()?;
    Ok(draft)
}

/// A category with a patch applied, if the patched fields keep all rules but those of the tree.
pub(super) fn patched_category(category: &Category, patch: &CategoryPatch) -> Result<Category, Invalid> {
    let mut after = category.clone();
    let mut invalid = Invalid::default();
    if let Some(name) = &patch.name {
        after.name = trimmed(name);
        check_line(&mut invalid, "/name", &after.name, 1, MAX_TITLE);
    }
    if let Some(slug) = &patch.slug {
        after.slug = trimmed(slug);
        check_slug(&mut invalid, Some(&after.slug));
    }
    check_position(&mut invalid, patch.position);
    after.position = patch.position.unwrap_or(after.position);
    if let Move::Below(parent) = patch.parent {
        after.parent_id = parent;
    }
    invalid.into_result()?;
    Ok(after)
}

/// What a filter's price must be: in the shop's currency.
pub(super) fn filter_price(pointer: &str, price: Option<Money>, currency: Currency) -> Result<Option<i64>, Invalid> {
    let mut invalid = Invalid::default();
    if let Some(price) = price {
        check_currency(&mut invalid, pointer, price, currency);
    }
    invalid.into_result()?;
    Ok(price.map(|price| price.minor))
}

fn check_variant_draft(invalid: &mut Invalid, at: &str, variant: &NewVariant, currency: Currency) {
    check_line(invalid, &format!("{at}/sku"), &variant.sku, 1, MAX_SKU);
    check_line(invalid, &format!("{at}/title"), variant.title.as_deref().unwrap_or(""), 0, MAX_TITLE);
    check_options(invalid, &format!("{at}/options"), &variant.options);
    check_price(invalid, &format!("{at}/price"), variant.price, currency);
    check_units(invalid, &format!("{at}/stock"), variant.stock);
    check_units(invalid, &format!("{at}/low_stock_threshold"), variant.low_stock_threshold);
}

fn check_line(invalid: &mut Invalid, pointer: &str, text: &str, min: usize, max: usize) {
    invalid.check_code(text, pointer, min, max);
}

fn check_description(invalid: &mut Invalid, text: &str) {
    invalid.check_lines(text, "/description", 0, MAX_DESCRIPTION);
}

fn check_slug(invalid: &mut Invalid, slug: Option<&str>) {
    let Some(slug) = slug else { return };
    if !invalid.check_characters(slug, "/slug", Lines::One) {
        return;
    }
    if slug.len() > MAX_SLUG {
        invalid.add("/slug", "too_long", format!("must not be longer than {MAX_SLUG} characters"));
    } else if !is_slug(slug) {
        let detail = "must be lower-case letters and digits joined by single hyphens, and not look like an id";
        invalid.add("/slug", "invalid_slug", detail);
    }
}

fn check_status(invalid: &mut Invalid, status: ProductStatus) {
    let kept = status != ProductStatus::Deleted;
    invalid.check(kept, "/status", "invalid_status", "must be draft, active or archived");
}

fn check_categories(invalid: &mut Invalid, ids: &[CategoryId], tree: &CategoryTree) {
    check_count(invalid, "/category_ids", ids.len(), MAX_CATEGORIES);
    for (n, id) in ids.iter().enumerate() {
        let known = tree.get(*id).is_some();
        invalid.check(known, &format!("/category_ids/{n}"), "unknown_category", "there is no such category");
    }
}

fn check_attributes(invalid: &mut Invalid, attributes: &BTreeMap<String, String>) {
    check_count(invalid, "/attributes", attributes.len(), MAX_ATTRIBUTES);
    check_names(invalid, "/attributes", attributes);
    for (name, value) in attributes {
        let at = format!("/attributes/{}", escaped(name));
        check_line(invalid, &at, name, 1, MAX_NAME);
        check_line(invalid, &at, value, 0, MAX_VALUE);
    }
}

fn check_options(invalid: &mut Invalid, at: &str, options: &BTreeMap<String, String>) {
    check_count(invalid, at, options.len(), MAX_OPTIONS);
    check_names(invalid, at, options);
    for (name, value) in options {
        let at = format!("{at}/{}", escaped(name));
        check_line(invalid, &at, name, 1, MAX_NAME);
        check_line(invalid, &at, value, 1, MAX_TITLE);
    }
}

/// Two names that look the same are one name, given twice.
fn check_names(invalid: &mut Invalid, at: &str, named: &BTreeMap<String, String>) {
    let mut looks = BTreeSet::new();
    for name in named.keys() {
        let first = looks.insert(look(name));
        let pointer = format!("{at}/{}", escaped(name));
        invalid.check(first, &pointer, "duplicate", "another name here looks the same");
    }
}

fn check_images(invalid: &mut Invalid, images: &[Image]) {
    check_count(invalid, "/images", images.len(), MAX_IMAGES);
    for (n, image) in images.iter().enumerate() {
        let at = format!("/images/{n}/url");
        let parsed = Url::parse(&image.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if invalid.check_characters(&image.url, &at, Lines::One) {
            invalid.check(parsed.is_some(), &at, "invalid_url", "must be an http or https URL");
            invalid.check_reference(&image.url, &at, 0, MAX_URL);
        }
        check_line(invalid, &format!("/images/{n}/alt"), image.alt.as_deref().unwrap_or(""), 0, MAX_ALT);
    }
}

fn check_price(invalid: &mut Invalid, pointer: &str, price: Money, currency: Currency) {
    check_currency(invalid, pointer, price, currency);
    let in_range = (0..=MAX_PRICE).contains(&price.minor);
    invalid.check(in_range, pointer, "out_of_range", "must not be negative, nor that large");
}

fn check_currency(invalid: &mut Invalid, pointer: &str, price: Money, currency: Currency) {
    if price.currency != currency {
        invalid.add(
            pointer,
            "currency_mismatch",
            format!("this shop's currency is {currency}, not {}", price.currency),
        );
    }
}

fn check_units(invalid: &mut Invalid, pointer: &str, units: Option<i64>) {
    if units.is_some_and(|units| !(0..=MAX_STOCK).contains(&units)) {
        invalid.add(pointer, "out_of_range", format!("must be between 0 and {MAX_STOCK}"));
    }
}

fn check_position(invalid: &mut Invalid, position: Option<i64>) {
    if position.is_some_and(|position| !(-MAX_POSITION..=MAX_POSITION).contains(&position)) {
        invalid.add("/position", "out_of_range", format!("must be between -{MAX_POSITION} and {MAX_POSITION}"));
    }
}

fn check_count(invalid: &mut Invalid, pointer: &str, count: usize, max: usize) {
    if count > max {
        invalid.add(pointer, "too_many", format!("must not be more than {max}"));
    }
}

/// As it is kept: empty if it shows nothing. What holds line breaks or control characters is left as it is, to be refused.
fn trimmed(text: &str) -> String {
    if shows_nothing(text) && forbidden(text, Lines::One).is_none() { String::new() } else { trim(text).to_owned() }
}

/// A SKU without characters that don't show.
fn trimmed_sku(sku: &str) -> String {
    if forbidden(sku, Lines::One).is_some() { sku.to_owned() } else { code(sku) }
}

fn trimmed_image(image: &Image) -> Image {
    let alt = image.alt.as_deref().map(trimmed).filter(|alt| !alt.is_empty());
    Image { url: trimmed(&image.url), alt }
}

fn trimmed_variant(variant: &NewVariant) -> NewVariant {
    NewVariant { sku: trimmed_sku(&variant.sku), title: variant.title.as_deref().map(trimmed), ..variant.clone() }
}

fn without_doubles(ids: &[CategoryId]) -> Vec<CategoryId> {
    let mut seen = BTreeSet::new();
    ids.iter().copied().filter(|id| seen.insert(*id)).collect()
}

/// A name as a token of a JSON pointer (RFC 6901 §3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
