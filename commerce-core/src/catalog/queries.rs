//! What is read of the catalogue.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{CategoryTree, Product, ProductFilter, ProductKey, ProductView, PurchasableVariant};
use crate::{
    error::StoreError,
    id::{CategoryId, ProductId, VariantId},
    page::{PageSpec, Rows},
};

/// Reads of the catalogue.
#[async_trait]
pub trait CatalogQueries: Send + Sync {
    /// A product with all its variants (retired ones too, by position), whatever its status.
    async fn load_product(&self, id: ProductId) -> Result<Option<Product>, StoreError>;

    /// The product that a variant belongs to.
    async fn load_product_of(&self, variant: VariantId) -> Result<Option<Product>, StoreError>;

    /// A product as shown, whatever its status. One statement.
    async fn view_product(&self, key: &ProductKey) -> Result<Option<ProductView>, StoreError>;

    /// Products as shown; their descriptions may be left empty. At most two statements, whatever the page size.
    async fn list_products(&self, filter: &ProductFilter, spec: &PageSpec) -> Result<Rows<ProductView>, StoreError>;

    /// What may be meant by each of these search words: nothing if it begins a known word, which is one of any product ever
    /// written; or else all known words without digits that begin with the same letter and are at most
    /// [`SearchTerms::TYPOS`](super::SearchTerms::TYPOS) letters shorter or longer, in any order. One statement.
    async fn load_similar_words(&self, words: &[String]) -> Result<Vec<Vec<String>>, StoreError>;

    /// What carts and checkout need of these variants, in any order; unknown ids are left out. One statement.
    async fn load_purchasable(&self, variants: &[VariantId]) -> Result<Vec<PurchasableVariant>, StoreError>;

    /// The category tree.
    async fn load_categories(&self) -> Result<CategoryTree, StoreError>;

    /// How many active products are in each category or its descendants; categories without any are left out.
    async fn count_products(&self) -> Result<BTreeMap<CategoryId, u64>, StoreError>;
}
