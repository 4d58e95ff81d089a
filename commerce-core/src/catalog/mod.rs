//! The catalogue: products with variants, the category tree, listing and search.
//!
//! | file | holds |
//! |---|---|
//! | `product`, `category` | the entities; the rules of the tree |
//! | `view`, `query`, `search`, `collation`, `slug` | how products are shown, asked for, found, sorted and named |
//! | `input`, `rules` | what staff may say about them |
//! | `shared` | the handle [`Catalog`], and what all writes have in common |
//! | `listing`, `service` | what is read |
//! | `products`, `variants`, `categories` | what staff write |

mod categories;
mod category;
mod collation;
mod error;
mod input;
mod listing;
mod product;
mod products;
mod queries;
mod query;
mod rules;
mod search;
mod service;
mod shared;
mod slug;
mod variants;
mod view;

pub(crate) use self::service::active_product;
use self::shared::{Slugs, may_edit, refusal};
pub use self::{
    category::{Category, CategoryNode, CategoryTree, MAX_CATEGORY_DEPTH},
    error::CatalogError,
    input::{CategoryPatch, NewCategory, NewProduct, NewVariant, ProductPatch, VariantPatch},
    listing::{AdminProductSearch, ProductSearch},
    product::{Image, Product, ProductStatus, Variant},
    queries::CatalogQueries,
    query::{ProductFilter, ProductKey, ProductSort},
    search::{INDEX_VERSION, SearchDocument, SearchField, SearchTerm, SearchTerms},
    shared::Catalog,
    slug::is_slug,
    view::{ProductDetail, ProductView, PurchasableVariant, VariantDetail},
};
