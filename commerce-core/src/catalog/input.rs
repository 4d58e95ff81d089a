//! What staff say about products and categories.

use std::collections::BTreeMap;

use super::{Image, ProductStatus};
use crate::{id::CategoryId, money::Money};

/// A product to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductDraft {
    /// Its name, 1 to 200 characters.
    pub title: String,
    /// Its name in URLs; made from the title if absent.
    pub slug: Option<String>,
    /// What it is, at most 20 000 characters.
    pub description: String,
    /// Who sees it.
    pub status: ProductStatus,
    /// The categories it is in.
    pub category_ids: Vec<CategoryId>,
    /// Free attributes, at most 50.
    pub attributes: BTreeMap<String, String>,
    /// Images, at most 50; the first is the main one.
    pub images: Vec<Image>,
    /// What can be bought, 1 to 100.
    pub variants: Vec<VariantDraft>,
}

/// A variant to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantDraft {
    /// Stock keeping unit, 1 to 64 characters, unique in the shop.
    pub sku: String,
    /// Its own name, if it has one, at most 200 characters.
    pub title: Option<String>,
    /// The choices that lead to it, at most 20.
    pub options: BTreeMap<String, String>,
    /// Its price, in the shop's currency, not negative.
    pub price: Money,
    /// The first count; 0 if absent.
    pub stock: Option<i64>,
    /// Stock is low at so many available units or fewer; the shop's setting if absent.
    pub low_stock_threshold: Option<i64>,
}

impl VariantDraft {
    /// A variant with no title, options or stock.
    pub fn new(sku: impl Into<String>, price: Money) -> Self {
        Self { sku: sku.into(), title: None, options: BTreeMap::new(), price, stock: None, low_stock_threshold: None }
    }
}

/// Changes to a product; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductPatch {
    /// Its name. The slug doesn't follow it.
    pub title: Option<String>,
    /// Its name in URLs; the old one leads to the new one until it is given to another.
    pub slug: Option<String>,
    /// What it is; empty clears it.
    pub description: Option<String>,
    /// Who sees it.
    pub status: Option<ProductStatus>,
    /// All categories it shall be in.
    pub category_ids: Option<Vec<CategoryId>>,
    /// Attributes to set, and with `None` to remove; the others stay (RFC 7396 merges objects). `Some(None)` removes all.
    pub attributes: Option<Option<BTreeMap<String, Option<String>>>>,
    /// All images it shall have.
    pub images: Option<Vec<Image>>,
}

/// Changes to a variant; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariantPatch {
    /// Stock keeping unit; the old one is free again.
    pub sku: Option<String>,
    /// Its own name; empty clears it.
    pub title: Option<String>,
    /// Choices to set, and with `None` to remove; the others stay (RFC 7396 merges objects). `Some(None)` removes all.
    pub options: Option<Option<BTreeMap<String, Option<String>>>>,
    /// Its price from now on. Orders keep theirs.
    pub price: Option<Money>,
}

/// A category to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CategoryDraft {
    /// Its name, 1 to 200 characters.
    pub name: String,
    /// Its name in URLs; made from the name if absent.
    pub slug: Option<String>,
    /// The category above; the top of the tree if absent.
    pub parent_id: Option<CategoryId>,
    /// Where it stands among its siblings; last if absent.
    pub position: Option<i64>,
}

/// Changes to a category; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CategoryPatch {
    /// Its name. The slug doesn't follow it.
    pub name: Option<String>,
    /// Its name in URLs; the old one leads to the new one until it is given to another.
    pub slug: Option<String>,
    /// The category above; `Some(None)` moves it to the top.
    pub parent_id: Option<Option<CategoryId>>,
    /// Where it stands among its siblings.
    pub position: Option<i64>,
}
