//! Staff's side of the catalogue.

use std::sync::Arc;

use commerce_core::{
    Currency,
    catalog::{self as core, CatalogError},
    id::{CategoryId, ProductId, VariantId},
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
    fn catalog(&self) -> core::Catalog {
        self.0.commerce.catalog()
    }

    fn currency(&self) -> Currency {
        self.0.commerce.settings().currency
    }

    fn product<const STATUS: u16>(&self, detail: core::ProductDetail) -> Reply<Product, STATUS> {
        let version = detail.view.product.version;
        Reply::new(Product::of(detail, self.currency())).version(version)
    }

    async fn existing_product(&self, caller: &Caller<EditCatalog>, id: ProductId) -> Result<(), CatalogError> {
        self.catalog().admin_product(&caller.actor, id).await.map(drop)
    }

    async fn existing_variant(&self, caller: &Caller<EditCatalog>, id: VariantId) -> Result<(), ApiError> {
        Ok(caller.shop().inventory().stock_item(id).await.map(drop)?)
    }

    async fn existing_category(&self, caller: &Caller<EditCatalog>, id: CategoryId) -> Result<(), CatalogError> {
        self.catalog().category(&caller.actor, &id.to_string()).await.map(drop)
    }
}

/// One variant of a product, at the product's version.
fn variant<const STATUS: u16>(detail: core::ProductDetail, id: VariantId) -> Result<Reply<Variant, STATUS>, ApiError> {
    let core::ProductView { product, available, .. } = detail.view;
    let version = product.version;
    let found = product.variants.into_iter().zip(available).find(|(variant, _)| variant.id == id);
    let (variant, available) = found.ok_or_else(|| ApiError::not_found("variant"))?;
    Ok(Reply::new(Variant::of(variant, available)).version(version))
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
        let query = core::AdminProductQuery { status: status.0.map(Into::into), q: q.0 };
        let page = self.catalog().admin_products(&caller.actor, query, &paging.0).await?;
        Ok(Reply::new(Page::of(page.map(|detail| Product::listed(detail, self.currency())))))
    }

    /// Create a product
    #[oai(path = "/products", method = "post", operation_id = "admin_create_product")]
    async fn create(
        &self,
        caller: Caller<EditCatalog>,
        idempotency_key: IdempotencyKey,
        body: Input<NewProduct>,
    ) -> Result<Created<Product>, ApiError> {
        let draft = body.parse()?.read(self.currency())?;
        let done = self.catalog().create_product(&caller.once(&idempotency_key, &body), draft).await?;
        let location = format!("/v1/admin/products/{}", done.value.view.product.id);
        Ok(self.product(done.value).replayed(done.replayed).location(&location))
    }

    /// A product, whatever its status
    #[oai(path = "/products/:id", method = "get", operation_id = "admin_get_product")]
    async fn get(&self, caller: Caller<EditCatalog>, id: Path<Uuid>) -> Result<Reply<Product>, ApiError> {
        Ok(self.product(self.catalog().admin_product(&caller.actor, id.0.into()).await?))
    }

    /// Change a product
    #[oai(path = "/products/:id", method = "patch", operation_id = "admin_update_product")]
    async fn update(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        if_match: IfMatch,
        body: Input<ProductPatch>,
    ) -> Result<Reply<Product>, ApiError> {
        let id = id.0.into();
        let patch = body.parse_for(self.existing_product(&caller, id)).await?.into();
        Ok(self.product(self.catalog().update_product(&caller.call(), id, patch, if_match.0).await?))
    }

    /// Delete a product
    ///
    /// Archives it if orders refer to it.
    #[oai(path = "/products/:id", method = "delete", operation_id = "admin_delete_product")]
    async fn delete(&self, caller: Caller<EditCatalog>, id: Path<Uuid>, if_match: IfMatch) -> Result<Empty, ApiError> {
        self.catalog().delete_product(&caller.call(), id.0.into(), if_match.0).await?;
        Ok(Empty)
    }

    /// Add a variant
    #[oai(path = "/products/:id/variants", method = "post", operation_id = "admin_add_variant")]
    async fn add_variant(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        idempotency_key: IdempotencyKey,
        body: Input<NewVariant>,
    ) -> Result<Created<Variant>, ApiError> {
        let id = id.0.into();
        let draft = body.read_for(|body| body.read(self.currency(), ""), self.existing_product(&caller, id)).await?;
        let done = self.catalog().add_variant(&caller.once(&idempotency_key, &body), id, draft).await?;
        let added = done.value.variant_id;
        Ok(variant(done.value.detail, added)?.replayed(done.replayed).location(&format!("/v1/admin/variants/{added}")))
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
        let patch = body.read_for(|body| body.read(self.currency()), self.existing_variant(&caller, id)).await?;
        variant(self.catalog().update_variant(&caller.call(), id, patch, if_match.0).await?, id)
    }

    /// Delete a variant
    #[oai(path = "/variants/:id", method = "delete", operation_id = "admin_delete_variant")]
    async fn delete_variant(
        &self,
        caller: Caller<EditCatalog>,
        id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Result<Empty, ApiError> {
        self.catalog().delete_variant(&caller.call(), id.0.into(), if_match.0).await?;
        Ok(Empty)
    }

    /// Create a category
    #[oai(path = "/categories", method = "post", operation_id = "admin_create_category")]
    async fn create_category(
        &self,
        caller: Caller<EditCatalog>,
        idempotency_key: IdempotencyKey,
        body: Input<NewCategory>,
    ) -> Result<Created<Category>, ApiError> {
        let call = caller.once(&idempotency_key, &body);
        let done = self.catalog().create_category(&call, body.parse()?.into()).await?;
        let location = format!("/v1/categories/{}", done.value.category.id);
        Ok(category(done.value).replayed(done.replayed).location(&location))
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
        let patch = body.parse_for(self.existing_category(&caller, id)).await?.into();
        Ok(category(self.catalog().update_category(&caller.call(), id, patch, if_match.0).await?))
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
        self.catalog().delete_category(&caller.call(), id.0.into(), if_match.0).await?;
        Ok(Empty)
    }
}
