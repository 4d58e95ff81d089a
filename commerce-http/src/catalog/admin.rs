//! Staff's side of the catalogue.

use std::sync::Arc;

use commerce_core::{
    Currency,
    catalog::{self as core, CatalogError},
    id::{CategoryId, ProductId, VariantId},
    inventory::InventoryError,
};
use poem_openapi::{OpenApi, param::Path, types::Example};
use uuid::Uuid;

use super::{
    dto::{Category, NewCategory, Product, ProductStatus, Variant},
    edit::{CategoryPatch, NewProduct, NewVariant, ProductPatch, VariantPatch},
};
use crate::{
    caller::{Caller, staff::EditCatalog},
    conditional::{IdempotencyKey, IfMatch},
    param::{Paging, Query},
    payload::{Created, Empty, Input, Reply},
    problem::ApiError,
    spec::Tag,
    stack::AppState,
    types::{Page, sample},
};

/// Operations on products, variants and categories.
pub struct AdminCatalogApi(pub Arc<AppState>);

impl AdminCatalogApi {
    fn currency(&self) -> Currency {
        self.0.commerce.settings().currency
    }

    fn product<const STATUS: u16>(&self, detail: core::ProductDetail) -> Reply<Product, STATUS> {
        let version = detail.version;
        Reply::new(Product::of(detail, self.currency())).version(version)
    }
}

async fn existing_product(caller: &Caller<EditCatalog>, id: ProductId) -> Result<(), CatalogError> {
    caller.shop().catalog().admin_product(id).await.map(drop)
}

async fn existing_variant(caller: &Caller<EditCatalog>, id: VariantId) -> Result<(), InventoryError> {
    caller.shop().inventory().stock_item(id).await.map(drop)
}

async fn existing_category(caller: &Caller<EditCatalog>, id: CategoryId) -> Result<(), CatalogError> {
    caller.shop().catalog().category(&id.to_string()).await.map(drop)
}

fn variant<const STATUS: u16>(variant: core::VariantDetail) -> Reply<Variant, STATUS> {
    let version = variant.version;
    Reply::new(variant).version(version)
}

fn category<const STATUS: u16>(node: core::CategoryNode) -> Reply<Category, STATUS> {
    let version = node.version;
    Reply::new(node).version(version)
}

#[OpenApi(prefix_path = "/v1/admin", tag = "Tag::AdminCatalogue")]
impl AdminCatalogApi {
    /// All products
    ///
    /// Drafts and archived ones too, newest first.
    #[oai(path = "/products", method = "get", operation_id = "admin_list_products")]
    async fn list(
        &self,
        caller: Caller<EditCatalog>,
        /// Only this status.
        #[oai(example = "ProductStatus::example")]
        status: Query<ProductStatus>,
        /// Words that must all match.
        #[oai(example = "sample::search")]
        q: Query<String>,
        paging: Paging,
    ) -> Result<Reply<Page<Product>>, ApiError> {
        let products = caller.shop().catalog().admin_products().status(status.0.map(Into::into)).words(q.0);
        let page = products.page(&paging.0).await?;
        Ok(Reply::new(Page::of(page.map(|detail| Product::listed(detail, self.currency())))))
    }

    /// Create a product
    ///
    /// With its variants and their first stock. A draft is seen by staff only.
    #[oai(path = "/products", method = "post", operation_id = "admin_create_product")]
    async fn create(
        &self,
        caller: Caller<EditCatalog>,
        idempotency_key: IdempotencyKey,
        body: Input<NewProduct>,
    ) -> Result<Created<Product>, ApiError> {
        let product = body.parse()?.read(self.currency())?;
        let catalog = caller.shop_once(&idempotency_key, &body).catalog();
        let outcome = catalog.create(product).outcome().await?;
        let location = format!("/v1/admin/products/{}", outcome.value.id);
        Ok(self.product(outcome.value).replayed(outcome.replayed).location(&location))
    }

    /// A product, whatever its status
    ///
    /// Drafts and archived ones too.
    #[oai(path = "/products/:id", method = "get", operation_id = "admin_get_product")]
    async fn get(&self, caller: Caller<EditCatalog>, id: Path<Uuid>) -> Result<Reply<Product>, ApiError> {
        Ok(self.product(caller.shop().catalog().admin_product(id.0.into()).await?))
    }

    /// Change a product
    ///
    /// What is absent stays; `null` takes away what may be absent.
    #[oai(path = "/products/:id", method = "patch", operation_id = "admin_update_product")]
    async fn update(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Input<ProductPatch>,
    ) -> Result<Reply<Product>, ApiError> {
        let id = id.0.into();
        let patch = body.parse_for(existing_product(&caller, id)).await?.into();
        Ok(self.product(caller.shop().catalog().update(id, patch).if_version(if_match.0).await?))
    }

    /// Delete a product
    ///
    /// Archives it if orders refer to it.
    #[oai(path = "/products/:id", method = "delete", operation_id = "admin_delete_product")]
    async fn delete(&self, caller: Caller<EditCatalog>, id: Path<Uuid>, if_match: IfMatch) -> Result<Empty, ApiError> {
        caller.shop().catalog().delete(id.0.into()).if_version(if_match.0).await?;
        Ok(Empty)
    }

    /// Add a variant
    ///
    /// With its first stock.
    #[oai(path = "/products/:id/variants", method = "post", operation_id = "admin_add_variant")]
    async fn add_variant(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        idempotency_key: IdempotencyKey,
        body: Input<NewVariant>,
    ) -> Result<Created<Variant>, ApiError> {
        let id = id.0.into();
        let new = body.read_for(|body| body.read(self.currency(), ""), existing_product(&caller, id)).await?;
        let catalog = caller.shop_once(&idempotency_key, &body).catalog();
        let outcome = catalog.add_variant(id, new).outcome().await?;
        let location = format!("/v1/admin/variants/{}", outcome.value.id);
        Ok(variant(outcome.value).replayed(outcome.replayed).location(&location))
    }

    /// Change a variant
    ///
    /// `If-Match` compares its product's version.
    #[oai(path = "/variants/:id", method = "patch", operation_id = "admin_update_variant")]
    async fn update_variant(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Input<VariantPatch>,
    ) -> Result<Reply<Variant>, ApiError> {
        let id = id.0.into();
        let patch = body.read_for(|body| body.read(self.currency()), existing_variant(&caller, id)).await?;
        Ok(variant(caller.shop().catalog().update_variant(id, patch).if_version(if_match.0).await?))
    }

    /// Delete a variant
    ///
    /// Orders keep what was bought.
    #[oai(path = "/variants/:id", method = "delete", operation_id = "admin_delete_variant")]
    async fn delete_variant(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Result<Empty, ApiError> {
        caller.shop().catalog().delete_variant(id.0.into()).if_version(if_match.0).await?;
        Ok(Empty)
    }

    /// Create a category
    ///
    /// At the top, or below another one.
    #[oai(path = "/categories", method = "post", operation_id = "admin_create_category")]
    async fn create_category(
        &self,
        caller: Caller<EditCatalog>,
        idempotency_key: IdempotencyKey,
        body: Input<NewCategory>,
    ) -> Result<Created<Category>, ApiError> {
        let catalog = caller.shop_once(&idempotency_key, &body).catalog();
        let outcome = catalog.create_category(body.parse()?.into()).outcome().await?;
        let location = format!("/v1/categories/{}", outcome.value.id);
        Ok(category(outcome.value).replayed(outcome.replayed).location(&location))
    }

    /// Change a category
    ///
    /// `If-Match` compares the version of the whole tree.
    #[oai(path = "/categories/:id", method = "patch", operation_id = "admin_update_category")]
    async fn update_category(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Input<CategoryPatch>,
    ) -> Result<Reply<Category>, ApiError> {
        let id = id.0.into();
        let patch = body.parse_for(existing_category(&caller, id)).await?.into();
        Ok(category(caller.shop().catalog().update_category(id, patch).if_version(if_match.0).await?))
    }

    /// Delete a category
    ///
    /// Its products stay.
    #[oai(path = "/categories/:id", method = "delete", operation_id = "admin_delete_category")]
    async fn delete_category(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Result<Empty, ApiError> {
        caller.shop().catalog().delete_category(id.0.into()).if_version(if_match.0).await?;
        Ok(Empty)
    }
}
