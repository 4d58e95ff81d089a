//! How products are asked for: sorts, filters, keys.

use serde::{Deserialize, Serialize};

use super::{ProductStatus, SearchTerms, slug::is_slug};
use crate::id::{CategoryId, ProductId};

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
    /// By [`Product::title_sort_key`](super::Product::title_sort_key): key `Text`, rising.
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

/// How to find one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductKey {
    /// By id.
    Id(ProductId),
    /// By slug.
    Slug(String),
}

impl ProductKey {
    /// Reads an id or a slug; `None` for what can be neither.
    #[must_use]
    pub fn parse(id_or_slug: &str) -> Option<Self> {
        match id_or_slug.parse() {
            Ok(id) => Some(Self::Id(id)),
            Err(_) => is_slug(id_or_slug).then(|| Self::Slug(id_or_slug.to_owned())),
        }
    }
}
