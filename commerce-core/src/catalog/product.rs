//! Products and their variants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::collation;
use crate::{
    aggregate::{Child, Version},
    clock::Timestamp,
    id::{CategoryId, ProductId, VariantId},
    money::Money,
};

/// Who sees a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// Staff only, not yet for sale.
    #[default]
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
    /// The product's id.
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
    /// The variant's id.
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

    /// The title in lower case: what staff search in.
    #[must_use]
    pub fn title_key(&self) -> String {
        self.title.to_lowercase()
    }

    /// What the list is sorted by for `title`: a key of the Unicode Collation Algorithm (CLDR's root collation) in hexadecimal
    /// digits, compared byte by byte on every backend.
    #[must_use]
    pub fn title_sort_key(&self) -> String {
        collation::sort_key(&self.title)
    }
}
