//! Products as they are shown and offered.

use serde::{Deserialize, Serialize};

use super::{Category, CategoryTree, Image, Product, ProductStatus, Variant};
use crate::id::{ProductId, VariantId};

/// A product as it is shown: with stock, rating and the names of its categories, read in one snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

    /// How many units of a variant can be sold, if it is one of this view's.
    #[must_use]
    pub fn available_of(&self, variant: VariantId) -> Option<i64> {
        let at = self.product.variants.iter().position(|candidate| candidate.id == variant)?;
        self.available.get(at).copied()
    }
}

/// A product as services answer it: as it is shown, with its categories resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductDetail {
    /// The product, its stock and its rating.
    pub view: ProductView,
    /// The categories that `view.product.category_ids` names, in that order; those that were deleted since are left out.
    pub categories: Vec<Category>,
}

impl ProductDetail {
    /// Resolves the categories of a view.
    #[must_use]
    pub fn new(view: ProductView, tree: &CategoryTree) -> Self {
        let categories = view.product.category_ids.iter().filter_map(|id| tree.get(*id).cloned()).collect();
        Self { view, categories }
    }

    /// What an edit answers: the product as it was just written, with stock and rating as last `seen`, and the first count
    /// of variants that the edit opened.
    pub(super) fn after_edit(
        mut product: Product,
        seen: Option<&ProductView>,
        opened: &[(VariantId, i64)],
        tree: &CategoryTree,
    ) -> Self {
        product.variants.retain(|variant| !variant.retired);
        product.variants.sort_by_key(|variant| variant.position);
        let stock_of = |id: VariantId| {
            let seen = seen.and_then(|view| view.available_of(id));
            seen.or_else(|| opened.iter().find(|(opened, _)| *opened == id).map(|(_, units)| *units)).unwrap_or(0)
        };
        let available = product.variants.iter().map(|variant| stock_of(variant.id)).collect();
        let (rating_sum, rating_count) = seen.map_or((0, 0), |view| (view.rating_sum, view.rating_count));
        Self::new(ProductView { product, available, rating_sum, rating_count }, tree)
    }
}

/// A variant as carts and checkout need it: everything about it that is shown or decides, in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchasableVariant {
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

impl PurchasableVariant {
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
