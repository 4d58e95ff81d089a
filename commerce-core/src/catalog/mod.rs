//! The catalogue: products with variants, the category tree, listing and search.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    account::aggregate,
    clock::Timestamp,
    id::{CategoryId, ProductId, VariantId},
    money::Money,
    page::{Listed, Slice},
    store::{Aggregate, Change, Child, Root, Save, StoreError, Version},
};

/// Who sees a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// Staff only, not yet for sale.
    Draft,
    /// Everybody.
    Active,
    /// Staff only, no longer for sale.
    Archived,
    /// Nobody; its slug and SKUs are free again.
    Deleted,
}

impl ProductStatus {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
            Self::Deleted => "deleted",
        }
    }
}

/// An image by URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it is.
    pub url: String,
    /// What it shows, for those who don't see it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alt: Option<String>,
}

/// A product: what is shown. What is sold are its variants; a product without choices has exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// Its name in URLs; unique by [`crate::store::Claim::product_slug`].
    pub slug: String,
    /// Its name.
    pub title: String,
    /// What it is.
    pub description: String,
    /// Who sees it.
    pub status: ProductStatus,
    /// The categories it is in; not their ancestors.
    pub category_ids: Vec<CategoryId>,
    /// Free attributes, by name.
    pub attributes: BTreeMap<String, String>,
    /// Images; the first is the main one.
    pub images: Vec<Image>,
    /// What can be bought, retired variants included.
    pub variants: Vec<Variant>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub updated_at: Timestamp,
    /// Counts writes.
    pub version: Version,
}

/// What is sold. Price and SKU are here; stock is kept apart, as it moves without an edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its id.
    pub id: VariantId,
    /// Where it stands among its siblings, from 0.
    pub position: i64,
    /// Stock keeping unit; unique by [`crate::store::Claim::sku`] while not retired.
    pub sku: String,
    /// Its own name, if it has one: "Large, red".
    pub title: String,
    /// The choices that lead to it: `{"size": "L"}`.
    pub options: BTreeMap<String, String>,
    /// Today's price.
    pub price: Money,
    /// No longer sold; kept because its stock ledger is.
    pub retired: bool,
}

impl Child for Variant {
    type Key = VariantId;
    fn key(&self) -> VariantId {
        self.id
    }
}

impl Product {
    /// The variants that are sold.
    pub fn sold(&self) -> impl Iterator<Item = &Variant> {
        self.variants.iter().filter(|variant| !variant.retired)
    }

    /// The lowest price of the variants that are sold, in minor units; what the list is sorted by. 0 if there are none.
    #[must_use]
    pub fn min_price(&self) -> i64 {
        self.sold().map(|variant| variant.price.minor).min().unwrap_or(0)
    }

    /// The highest price of the variants that are sold, in minor units. 0 if there are none.
    #[must_use]
    pub fn max_price(&self) -> i64 {
        self.sold().map(|variant| variant.price.minor).max().unwrap_or(0)
    }

    /// What the list is sorted by for `title`: lower case, compared byte by byte on every backend.
    #[must_use]
    pub fn title_key(&self) -> String {
        self.title.to_lowercase()
    }
}

aggregate!(Product, Product, Product);

/// A node of the category tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Its id.
    pub id: CategoryId,
    /// Its name in URLs; unique by [`crate::store::Claim::category_slug`].
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The node above.
    pub parent_id: Option<CategoryId>,
    /// Where it stands among its siblings.
    pub position: i64,
}

impl Child for Category {
    type Key = CategoryId;
    fn key(&self) -> CategoryId {
        self.id
    }
}

/// The whole tree: one aggregate, so that two concurrent moves can't make a cycle. Version 0 while nothing was ever written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryTree {
    /// All nodes, in no particular order.
    pub nodes: Vec<Category>,
    /// Counts writes.
    pub version: Version,
}

impl Aggregate for CategoryTree {
    fn root(&self) -> Root {
        Root::Categories
    }
    fn version(&self) -> Version {
        self.version
    }
    fn set_version(&mut self, version: Version) {
        self.version = version;
    }
    fn change(save: Save<Self>) -> Change {
        Change::Categories(save)
    }
}

/// How a list of products is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductSort {
    /// Newest first: key `Int(created_at)`, falling.
    #[default]
    Newest,
    /// Cheapest first, by the lowest price of the variants: key `Int(min_price)`, rising.
    PriceAscending,
    /// Dearest first, by the lowest price of the variants: key `Int(min_price)`, falling.
    PriceDescending,
    /// By [`Product::title_key`]: key `Text`, rising.
    Title,
    /// Best average first: key `Real(average)`, falling; unrated products count as 0.
    Rating,
    /// Best match first: key `Int(score)`, falling; see [`SearchTerms`].
    Relevance,
}

/// Filters and sort of a list of products, ready for a store: slugs resolved, words split.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProductFilter {
    /// Only these statuses; never empty.
    pub statuses: Vec<ProductStatus>,
    /// Words that must all match.
    pub search: Option<SearchTerms>,
    /// In any of these categories (a category and its descendants); `Some(vec![])` matches nothing.
    pub categories: Option<Vec<CategoryId>>,
    /// Some variant costs at least this, in minor units.
    pub min_price: Option<i64>,
    /// Some variant costs at most this, in minor units. With both bounds, one variant must lie between them.
    pub max_price: Option<i64>,
    /// Some variant is available (`true`), or none is (`false`).
    pub in_stock: Option<bool>,
    /// The average rating is at least this.
    pub min_rating: Option<f64>,
    /// The order.
    pub sort: ProductSort,
}

/// Search words as both backends understand them: lower-cased, accents folded, split at everything that isn't a letter or
/// digit (see [`SearchTerms::parse`]).
///
/// A product matches if **every** word is the beginning of a word of its title, SKUs, option values, attribute values or
/// description. Its score is 3 if every word matches in the title, 2 if every word matches in title, SKUs, options or
/// attributes, 1 otherwise; ties are broken newest (greatest id) first. The score doesn't depend on other products, so pages
/// stay stable while the catalogue grows, and all backends agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchTerms(Vec<String>);

impl SearchTerms {
    /// Splits a customer's words; `None` if there are none. At most eight words count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<String> = words(text).take(8).collect();
        (!words.is_empty()).then_some(Self(words))
    }

    /// The words: non-empty, letters and digits only.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

/// What a product is found by: words separated by single blanks, in the form of [`SearchTerms`]. Written with the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchDocument {
    /// From the title.
    pub title: String,
    /// From SKUs, variant titles, option values and attribute values.
    pub keywords: String,
    /// From the description.
    pub body: String,
}

impl Product {
    /// The words this product is found by.
    #[must_use]
    pub fn search_document(&self) -> SearchDocument {
        let keywords = self
            .sold()
            .flat_map(|variant| [&variant.sku, &variant.title].into_iter().chain(variant.options.values()))
            .chain(self.attributes.values());
        SearchDocument {
            title: words(&self.title).collect::<Vec<_>>().join(" "),
            keywords: keywords.flat_map(|text| words(text)).collect::<Vec<_>>().join(" "),
            body: words(&self.description).collect::<Vec<_>>().join(" "),
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    // `slug` transliterates to ASCII ("Tête-à-tête" → "tete-a-tete"), so both engines index plain lower-case ASCII.
    slug::slugify(text).split('-').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// How to find one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductKey {
    /// By id.
    Id(ProductId),
    /// By slug.
    Slug(String),
}

/// A product as it is shown: with stock, rating and the names of its categories, read in one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductView {
    /// The product; its variants without the retired ones, by position.
    pub product: Product,
    /// Available units (`on_hand − reserved`) of each of `product.variants`, in the same order.
    pub available: Vec<i64>,
    /// The sum of its published reviews' stars.
    pub rating_sum: i64,
    /// How many published reviews it has.
    pub rating_count: i64,
}

impl ProductView {
    /// The average of the published reviews, 0 if there are none; what the list is sorted by.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Stars don't reach 2^52.
    pub fn rating_average(&self) -> f64 {
        if self.rating_count == 0 { 0.0 } else { self.rating_sum as f64 / self.rating_count as f64 }
    }
}

/// A variant as carts and checkout need it: everything about it that is shown or decides, in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The variant.
    pub variant: Variant,
    /// Its product.
    pub product_id: ProductId,
    /// Its product's slug.
    pub slug: String,
    /// Its product's title.
    pub product_title: String,
    /// Its product's status.
    pub status: ProductStatus,
    /// Its product's main image.
    pub image: Option<Image>,
    /// `on_hand − reserved`.
    pub available: i64,
}

impl Offer {
    /// Whether it can be bought at all: active product, variant not retired.
    #[must_use]
    pub fn is_sold(&self) -> bool {
        self.status == ProductStatus::Active && !self.variant.retired
    }

    /// Product and variant title in one: "Mug – Large, red".
    #[must_use]
    pub fn title(&self) -> String {
        if self.variant.title.is_empty() || self.variant.title == self.product_title {
            self.product_title.clone()
        } else {
            format!("{} – {}", self.product_title, self.variant.title)
        }
    }
}

/// Reads of the catalogue.
#[async_trait]
pub trait CatalogStore: Send + Sync {
    /// A product with all its variants (retired ones too, by position), whatever its status.
    async fn load_product(&self, id: ProductId) -> Result<Option<Product>, StoreError>;

    /// The product that a variant belongs to.
    async fn load_product_of(&self, variant: VariantId) -> Result<Option<Product>, StoreError>;

    /// A product as shown, whatever its status. One statement.
    async fn view_product(&self, key: &ProductKey) -> Result<Option<ProductView>, StoreError>;

    /// Products as shown; their descriptions may be left empty. At most two statements, whatever the page size.
    async fn list_products(&self, filter: &ProductFilter, slice: &Slice) -> Result<Listed<ProductView>, StoreError>;

    /// What carts and checkout need of these variants, in any order; unknown ids are left out. One statement.
    async fn load_offers(&self, variants: &[VariantId]) -> Result<Vec<Offer>, StoreError>;

    /// The category tree.
    async fn load_categories(&self) -> Result<CategoryTree, StoreError>;

    /// How many active products are in each category or its descendants; categories without any are left out.
    async fn count_products(&self) -> Result<BTreeMap<CategoryId, u64>, StoreError>;
}

/// Products and categories.
#[derive(Clone)]
pub struct Catalog {
    engine: std::sync::Arc<crate::engine::Engine>,
}

impl Catalog {
    pub(crate) fn new(engine: std::sync::Arc<crate::engine::Engine>) -> Self {
        Self { engine }
    }
}
