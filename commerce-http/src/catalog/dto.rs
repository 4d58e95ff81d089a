//! Products and categories on the wire.

use std::collections::BTreeMap;

use commerce_core::{Currency, catalog as core, error::Invalid, id::CategoryId};
use poem_openapi::{Enum, Object, types::Example};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    param::QueryValue,
    types::{Money, Time, eur, sample},
};

/// Who sees a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    Draft,
    Active,
    Archived,
}

impl From<ProductStatus> for core::ProductStatus {
    fn from(status: ProductStatus) -> Self {
        match status {
            ProductStatus::Draft => Self::Draft,
            ProductStatus::Active => Self::Active,
            ProductStatus::Archived => Self::Archived,
        }
    }
}

impl From<core::ProductStatus> for ProductStatus {
    fn from(status: core::ProductStatus) -> Self {
        match status {
            core::ProductStatus::Draft => Self::Draft,
            core::ProductStatus::Active => Self::Active,
            // Deleted products aren't found; should one ever be shown, it is out of sale.
            core::ProductStatus::Archived | core::ProductStatus::Deleted => Self::Archived,
        }
    }
}

/// How a list of products is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize)]
pub enum ProductSort {
    /// Newest first; the default.
    #[oai(rename = "-created_at")]
    #[serde(rename = "-created_at")]
    Newest,
    #[oai(rename = "price")]
    #[serde(rename = "price")]
    Price,
    #[oai(rename = "-price")]
    #[serde(rename = "-price")]
    PriceDescending,
    #[oai(rename = "title")]
    #[serde(rename = "title")]
    Title,
    /// Best rated first.
    #[oai(rename = "-rating")]
    #[serde(rename = "-rating")]
    Rating,
    /// Best match first; the default with `q`.
    #[oai(rename = "relevance")]
    #[serde(rename = "relevance")]
    Relevance,
}

impl QueryValue for ProductSort {}
impl QueryValue for ProductStatus {}

impl Example for ProductSort {
    fn example() -> Self {
        Self::PriceDescending
    }
}

impl Example for ProductStatus {
    fn example() -> Self {
        Self::Active
    }
}

impl From<ProductSort> for core::ProductSort {
    fn from(sort: ProductSort) -> Self {
        match sort {
            ProductSort::Newest => Self::Newest,
            ProductSort::Price => Self::PriceAscending,
            ProductSort::PriceDescending => Self::PriceDescending,
            ProductSort::Title => Self::Title,
            ProductSort::Rating => Self::Rating,
            ProductSort::Relevance => Self::Relevance,
        }
    }
}

/// An image by URL.
#[derive(Clone, Debug, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Image {
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub url: String,
    /// What it shows, for those who don't see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(nullable, validator(max_length = 500))]
    pub alt: Option<String>,
}

impl From<core::Image> for Image {
    fn from(image: core::Image) -> Self {
        Self { url: image.url, alt: image.alt }
    }
}

impl From<Image> for core::Image {
    fn from(image: Image) -> Self {
        Self { url: image.url, alt: image.alt }
    }
}

impl Example for Image {
    fn example() -> Self {
        Self { url: "https://img.example.com/mug.jpg".to_owned(), alt: Some("A blue mug".to_owned()) }
    }
}

/// The category a product is in.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct CategoryRef {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
}

/// The lowest and the highest price of a product's variants.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct PriceRange {
    pub min: Money,
    pub max: Money,
}

/// What customers think of a product.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Rating {
    /// The average of 1 to 5 stars; 0 without reviews.
    pub average: f64,
    pub count: i64,
}

/// What can be bought.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Variant {
    pub id: Uuid,
    pub sku: String,
    pub title: String,
    /// The choices that lead to it.
    pub options: BTreeMap<String, String>,
    pub price: Money,
    /// How many can be bought now.
    pub available: i64,
    pub in_stock: bool,
}

impl From<core::VariantDetail> for Variant {
    fn from(variant: core::VariantDetail) -> Self {
        Self {
            id: variant.id.0,
            sku: variant.sku,
            title: variant.title,
            options: variant.options,
            price: variant.price.into(),
            available: variant.available,
            in_stock: variant.available > 0,
        }
    }
}

impl Example for Variant {
    fn example() -> Self {
        Self {
            id: sample::VARIANT,
            sku: "MUG-BLUE-L".to_owned(),
            title: "Large, blue".to_owned(),
            options: text_map(&[("size", "L"), ("colour", "blue")]),
            price: eur("19.90"),
            available: 42,
            in_stock: true,
        }
    }
}

fn text_map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A product.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Product {
    pub id: Uuid,
    pub slug: String,
    pub title: String,
    /// Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub description: Option<String>,
    pub status: ProductStatus,
    pub categories: Vec<CategoryRef>,
    pub attributes: BTreeMap<String, String>,
    /// The first is the main one.
    pub images: Vec<Image>,
    pub price_range: PriceRange,
    pub rating: Rating,
    /// A product without choices has exactly one.
    pub variants: Vec<Variant>,
    pub created_at: Time,
    pub updated_at: Time,
}

impl Product {
    /// A product in the shop's currency.
    pub fn of(detail: core::ProductDetail, currency: Currency) -> Self {
        let money = |price: Option<commerce_core::Money>| price.unwrap_or_else(|| currency.zero()).into();
        Self {
            id: detail.id.0,
            price_range: PriceRange { min: money(detail.min_price()), max: money(detail.max_price()) },
            rating: Rating { average: detail.rating_average(), count: detail.rating_count },
            slug: detail.slug,
            title: detail.title,
            description: Some(detail.description),
            status: detail.status.into(),
            categories: detail.categories.into_iter().map(Into::into).collect(),
            attributes: detail.attributes,
            images: detail.images.into_iter().map(Into::into).collect(),
            variants: detail.variants.into_iter().map(Into::into).collect(),
            created_at: detail.created_at.into(),
            updated_at: detail.updated_at.into(),
        }
    }

    /// A product as an item of a list, which carries no description.
    pub fn listed(detail: core::ProductDetail, currency: Currency) -> Self {
        Self { description: None, ..Self::of(detail, currency) }
    }
}

impl From<core::Category> for CategoryRef {
    fn from(category: core::Category) -> Self {
        Self { id: category.id.0, slug: category.slug, name: category.name }
    }
}

impl Example for CategoryRef {
    fn example() -> Self {
        Self { id: sample::CATEGORY, slug: "kitchen".to_owned(), name: "Kitchen".to_owned() }
    }
}

impl Example for PriceRange {
    fn example() -> Self {
        Self { min: eur("17.90"), max: eur("19.90") }
    }
}

impl Example for Rating {
    fn example() -> Self {
        Self { average: 4.5, count: 12 }
    }
}

impl Example for Product {
    fn example() -> Self {
        Self {
            id: sample::PRODUCT,
            slug: "enamel-mug".to_owned(),
            title: "Enamel mug".to_owned(),
            description: Some("Holds 300 ml, survives a fall.".to_owned()),
            status: ProductStatus::Active,
            categories: vec![CategoryRef::example()],
            attributes: text_map(&[("material", "steel")]),
            images: vec![Image::example()],
            price_range: PriceRange::example(),
            rating: Rating::example(),
            variants: vec![Variant::example()],
            created_at: sample::time(),
            updated_at: sample::time(),
        }
    }
}

/// A node of the category tree.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Category {
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    #[oai(nullable)]
    pub parent_id: Option<Uuid>,
    /// Where it stands among its siblings.
    pub position: i64,
    /// Active products in it and below it.
    pub product_count: u64,
    pub children: Vec<Category>,
}

impl From<core::CategoryNode> for Category {
    fn from(node: core::CategoryNode) -> Self {
        Self {
            id: node.id.0,
            slug: node.slug,
            name: node.name,
            parent_id: node.parent_id.map(|id| id.0),
            position: node.position,
            product_count: node.product_count,
            children: node.children.into_iter().map(Into::into).collect(),
        }
    }
}

impl Example for Category {
    fn example() -> Self {
        let mugs = Self {
            id: sample::OTHER,
            slug: "mugs".to_owned(),
            name: "Mugs".to_owned(),
            parent_id: Some(sample::CATEGORY),
            position: 0,
            product_count: 7,
            children: vec![],
        };
        Self {
            id: sample::CATEGORY,
            slug: "kitchen".to_owned(),
            name: "Kitchen".to_owned(),
            parent_id: None,
            position: 0,
            product_count: 21,
            children: vec![mugs],
        }
    }
}

/// A new category.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NewCategory {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// Made from the name if absent.
    #[serde(default)]
    #[oai(nullable, validator(min_length = 1, max_length = 200))]
    pub slug: Option<String>,
    /// The category above.
    #[serde(default)]
    #[oai(nullable)]
    pub parent_id: Option<Uuid>,
    /// Last if absent.
    #[serde(default)]
    #[oai(nullable, validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    pub position: Option<i64>,
}

impl From<NewCategory> for core::NewCategory {
    fn from(body: NewCategory) -> Self {
        let NewCategory { name, slug, parent_id, position } = body;
        Self::new(name).slug(slug).parent(parent_id.map(CategoryId)).position(position)
    }
}

impl Example for NewCategory {
    fn example() -> Self {
        Self {
            name: "Mugs".to_owned(),
            slug: Some("mugs".to_owned()),
            parent_id: Some(sample::CATEGORY),
            position: Some(0),
        }
    }
}

/// Reads a list of amounts and the like, noting where each stands.
pub fn read_all<T, U>(
    items: Vec<T>,
    pointer: &str,
    mut read: impl FnMut(T, &str) -> Result<U, Invalid>,
) -> Result<Vec<U>, Invalid> {
    items.into_iter().enumerate().map(|(n, item)| read(item, &format!("{pointer}/{n}"))).collect()
}
