//! What the catalogue refuses.

use crate::error::{CommonError, common_errors};

/// What the catalogue can answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// The slug that was asked for names another product or category.
    #[error("the slug '{0}' is taken: choose another, or leave it out and one is made")]
    SlugTaken(String),
    /// The SKU belongs to another variant of the shop.
    #[error("the SKU '{0}' belongs to another variant")]
    SkuTaken(String),
    /// Categories stand below this one.
    #[error("other categories are below this one: move or delete them first")]
    CategoryInUse,
    /// A category can't stand below itself.
    #[error("a category can't be moved below itself")]
    CategoryCycle,
    /// A product keeps at least one variant.
    #[error("this is the product's last variant: delete the product instead")]
    LastVariant,
}

common_errors!(CatalogError);
