//! The catalogue: what everybody sees, and how staff edit it.

mod admin;
pub mod dto;
pub mod edit;

use std::sync::Arc;

use commerce_core::catalog::CatalogError;
use poem_openapi::{OpenApi, param::Path, types::Example};

pub use self::admin::AdminCatalogApi;
use self::dto::{Category, Product, ProductSort};
use crate::{
    caller::{Caller, Public},
    param::{Paging, Query, path_text},
    payload::{Found, Reply},
    problem::{ApiError, Code},
    spec::Tag,
    stack::AppState,
    types::{All, Page, read_amount, sample},
};

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        let detail = error.to_string();
        match error {
            CatalogError::Common(error) => error.into(),
            CatalogError::SlugTaken(_) => Self::new(Code::SlugTaken, detail),
            CatalogError::SkuTaken(_) => Self::new(Code::SkuTaken, detail),
            CatalogError::CategoryInUse => Self::new(Code::CategoryInUse, detail),
            CatalogError::CategoryCycle => {
                commerce_core::error::Invalid::field("/parent_id", "category_cycle", detail).into()
            }
            CatalogError::LastVariant => Self::new(Code::LastVariant, detail),
        }
    }
}

/// Public reads of the catalogue.
pub struct CatalogApi(pub Arc<AppState>);

#[OpenApi(prefix_path = "/v1", tag = "Tag::Catalogue")]
impl CatalogApi {
    /// Products
    ///
    /// Active products. Without `sort`: newest first, or best match first with `q`. Descriptions are left out.
    #[oai(path = "/products", method = "get", operation_id = "list_products")]
    #[allow(clippy::too_many_arguments)] // One for each parameter of the query.
    async fn list(
        &self,
        caller: Caller<Public>,
        /// Words that must all match, each by its beginning, with or without hyphens and accents; small typos are forgiven where
        /// nothing matches. A title or SKU as a whole comes first, then whole words, then beginnings.
        #[oai(example = "sample::search")]
        q: Query<String>,
        /// Slug or id; its descendants count too.
        #[oai(example = "sample::slug")]
        category: Query<String>,
        /// Some variant costs at least this: `10.00`.
        #[oai(example = "sample::low_price")]
        min_price: Query<String>,
        /// Some variant costs at most this.
        #[oai(example = "sample::high_price")]
        max_price: Query<String>,
        /// Only what is in stock, or only what isn't.
        #[oai(example = "sample::yes")]
        in_stock: Query<bool>,
        /// The average rating is at least this.
        #[oai(example = "sample::stars", validator(minimum(value = "0"), maximum(value = "5")))]
        min_rating: Query<f64>,
        /// How the list is sorted.
        #[oai(example = "ProductSort::example")]
        sort: Query<ProductSort>,
        paging: Paging,
    ) -> Result<Reply<Page<Product>>, ApiError> {
        let currency = self.0.commerce.settings().currency;
        let products = caller.shop().catalog().products();
        let products = products
            .words(q.0)
            .category(category.0)
            .min_price(read_amount(min_price.0.as_deref(), "min_price", currency)?)
            .max_price(read_amount(max_price.0.as_deref(), "max_price", currency)?)
            .in_stock(in_stock.0)
            .min_rating(min_rating.0)
            .sort(sort.0.map(Into::into));
        let page = products.page(&paging.0).await?;
        Ok(Reply::new(Page::of(page.map(|detail| Product::listed(detail, currency)))))
    }

    /// A product
    ///
    /// By id or slug. A slug that it had before answers 308 with its present address, until another product is given that slug.
    #[oai(path = "/products/:id_or_slug", method = "get", operation_id = "get_product")]
    async fn get(&self, caller: Caller<Public>, id_or_slug: Path<String>) -> Result<Found<Product>, ApiError> {
        let id_or_slug = path_text("id_or_slug", &id_or_slug)?;
        let detail = caller.shop().catalog().product(id_or_slug).await?;
        let (version, slug) = (detail.version, detail.slug.clone());
        let reply = Reply::new(Product::of(detail, self.0.commerce.settings().currency)).version(version);
        Ok(Found::of(reply, "/v1/products", id_or_slug, &slug))
    }

    /// The category tree
    ///
    /// All categories, each with those below it and the number of products that are on sale.
    #[oai(path = "/categories", method = "get", operation_id = "list_categories")]
    async fn categories(&self, caller: Caller<Public>) -> Result<Reply<All<Category>>, ApiError> {
        Ok(Reply::new(All::of(caller.shop().catalog().categories().await?)))
    }

    /// A category
    ///
    /// By id or slug, with what is below it. A slug that it had before answers 308 with its present address.
    #[oai(path = "/categories/:id_or_slug", method = "get", operation_id = "get_category")]
    async fn category(&self, caller: Caller<Public>, id_or_slug: Path<String>) -> Result<Found<Category>, ApiError> {
        let id_or_slug = path_text("id_or_slug", &id_or_slug)?;
        let node = caller.shop().catalog().category(id_or_slug).await?;
        let slug = node.slug.clone();
        Ok(Found::of(Reply::new(node), "/v1/categories", id_or_slug, &slug))
    }
}
