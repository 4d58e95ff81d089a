//! Products as they are shown and offered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Category, CategoryTree, Image, Product, ProductStatus, Variant};
use crate::{
    aggregate::Version,
    clock::Timestamp,
    id::{ProductId, VariantId},
    money::Money,
};

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
    pub fn rating_average(&self) -> f64 {
        average(self.rating_sum, self.rating_count)
    }

    /// How many units of a variant can be sold, if it is one of this view's.
    #[must_use]
    pub fn available_of(&self, variant: VariantId) -> Option<i64> {
        let at = self.product.variants.iter().position(|candidate| candidate.id == variant)?;
        self.available.get(at).copied()
    }
}

/// A product as services return it: with the stock of its variants, its rating, and its categories resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProductDetail {
    /// The product's id.
    pub id: ProductId,
    /// Its name in URLs.
    pub slug: String,
    /// Its name.
    pub title: String,
    /// What it is.
    pub description: String,
    /// Who sees it.
    pub status: ProductStatus,
    /// The categories it is in, not their ancestors. Those that were deleted since are left out.
    pub categories: Vec<Category>,
    /// Free attributes, by name.
    pub attributes: BTreeMap<String, String>,
    /// Images; the first is the main one.
    pub images: Vec<Image>,
    /// What can be bought, by position. A product without choices has exactly one.
    pub variants: Vec<VariantDetail>,
    /// The sum of its published reviews' stars.
    pub rating_sum: i64,
    /// How many published reviews it has.
    pub rating_count: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub updated_at: Timestamp,
    /// Counts writes of the product and its variants, but not the movements of stock.
    pub version: Version,
}

/// A variant as services return it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VariantDetail {
    /// The variant's id.
    pub id: VariantId,
    /// The product it belongs to.
    pub product_id: ProductId,
    /// Where it stands among its siblings; positions may have gaps.
    pub position: i64,
    /// Stock keeping unit.
    pub sku: String,
    /// Its own name, if it has one: "Large, red".
    pub title: String,
    /// The choices that lead to it: `{"size": "L"}`.
    pub options: BTreeMap<String, String>,
    /// Today's price.
    pub price: Money,
    /// How many units can be bought: `on_hand − reserved`.
    pub available: i64,
    /// The version of its product, which is the version of each of its variants.
    pub version: Version,
}

impl ProductDetail {
    pub(super) fn new(view: ProductView, tree: &CategoryTree) -> Self {
        let ProductView { product, available, rating_sum, rating_count } = view;
        let (product_id, version) = (product.id, product.version);
        let variant = |(variant, available): (Variant, i64)| VariantDetail {
            id: variant.id,
            product_id,
            position: variant.position,
            sku: variant.sku,
            title: variant.title,
            options: variant.options,
            price: variant.price,
            available,
            version,
        };
        Self {
            id: product.id,
            slug: product.slug,
            title: product.title,
            description: product.description,
            status: product.status,
            categories: product.category_ids.iter().filter_map(|id| tree.get(*id).cloned()).collect(),
            attributes: product.attributes,
            images: product.images,
            variants: product.variants.into_iter().zip(available).map(variant).collect(),
            rating_sum,
            rating_count,
            created_at: product.created_at,
            updated_at: product.updated_at,
            version: product.version,
        }
    }

    /// What an edit returns: the product as it was just written, with stock and rating as last `seen`, and the first count
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

    /// One of its variants.
    #[must_use]
    pub fn variant(&self, id: VariantId) -> Option<&VariantDetail> {
        self.variants.iter().find(|variant| variant.id == id)
    }

    /// The variant for those who don't choose: the first that is available, or else the first. There always is one, as a
    /// product keeps at least one variant.
    #[must_use]
    pub fn default_variant(&self) -> VariantId {
        let available = self.variants.iter().find(|variant| variant.available > 0);
        available.or(self.variants.first()).map_or(VariantId(Uuid::nil()), |variant| variant.id)
    }

    /// The lowest price of its variants.
    #[must_use]
    pub fn min_price(&self) -> Option<Money> {
        self.variants.iter().map(|variant| variant.price).min_by_key(|price| price.minor)
    }

    /// The highest price of its variants.
    #[must_use]
    pub fn max_price(&self) -> Option<Money> {
        self.variants.iter().map(|variant| variant.price).max_by_key(|price| price.minor)
    }

    /// The average of the published reviews, 0 if there are none.
    #[must_use]
    pub fn rating_average(&self) -> f64 {
        average(self.rating_sum, self.rating_count)
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

#[allow(clippy::cast_precision_loss)] // Stars don't reach 2^52.
fn average(sum: i64, count: i64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}
