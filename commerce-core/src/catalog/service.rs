//! Reading single products and the category tree.

use super::{
    Catalog, CatalogError, Category, CategoryNode, CategoryTree, ProductDetail, ProductKey, ProductStatus, ProductView,
    slug::is_slug,
};
use crate::{
    context::Permission,
    error::CommonError,
    id::{CategoryId, ProductId},
    store::{Claim, Reads},
};

impl Catalog {
    /// An active product, by id, slug or former slug: who asked by the last is led on to the slug that the answer has.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if there is none or it isn't active; [`CommonError::Store`].
    pub async fn product(&self, id_or_slug: &str) -> Result<ProductDetail, CatalogError> {
        let reads = self.reads();
        let view = active_product(reads, id_or_slug).await?;
        let tree = reads.load_categories().await?;
        Ok(ProductDetail::new(view, &tree))
    }

    /// The category tree, with how many active products are in each category or below it.
    ///
    /// # Errors
    /// [`CommonError::Store`].
    pub async fn categories(&self) -> Result<Vec<CategoryNode>, CatalogError> {
        let reads = self.reads();
        let tree = reads.load_categories().await?;
        let counts = reads.count_products().await?;
        Ok(tree.build(&counts))
    }

    /// A category with everything below it, by id, slug or former slug.
    ///
    /// # Errors
    /// [`CommonError::NotFound`]; [`CommonError::Store`].
    pub async fn category(&self, id_or_slug: &str) -> Result<CategoryNode, CatalogError> {
        let reads = self.reads();
        let tree = reads.load_categories().await?;
        let id = find_category(reads, &tree, id_or_slug).await?.ok_or(CommonError::NotFound("category"))?.id;
        let counts = reads.count_products().await?;
        Ok(tree.node(id, &counts).ok_or(CommonError::NotFound("category"))?)
    }

    /// A product of any status but deleted.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Store`].
    pub async fn admin_product(&self, id: ProductId) -> Result<ProductDetail, CatalogError> {
        self.scope.actor().require(Permission::EditCatalog)?;
        let reads = self.engine().reads();
        let view = reads.view_product(&ProductKey::Id(id)).await?;
        let view = view.filter(|view| view.product.status != ProductStatus::Deleted);
        let tree = reads.load_categories().await?;
        Ok(ProductDetail::new(view.ok_or(CommonError::NotFound("product"))?, &tree))
    }
}

/// An active product as shown, by id, slug or former slug.
pub(crate) async fn active_product(reads: &dyn Reads, id_or_slug: &str) -> Result<ProductView, CommonError> {
    let key = ProductKey::parse(id_or_slug).ok_or(CommonError::NotFound("product"))?;
    let view = reads.view_product(&key).await?;
    // A deleted product has given its slug back.
    let mut view = view.filter(|view| view.product.status != ProductStatus::Deleted);
    if let (None, ProductKey::Slug(slug)) = (&view, &key)
        && let Some(owner) = reads.load_claim(&Claim::former_product_slug(slug)).await?
    {
        view = reads.view_product(&ProductKey::Id(ProductId(owner))).await?;
    }
    let view = view.filter(|view| view.product.status == ProductStatus::Active);
    view.ok_or(CommonError::NotFound("product"))
}

/// A category by id, slug or former slug.
pub(super) async fn find_category<'a>(
    reads: &dyn Reads,
    tree: &'a CategoryTree,
    id_or_slug: &str,
) -> Result<Option<&'a Category>, CommonError> {
    if let Some(category) = tree.find(id_or_slug) {
        return Ok(Some(category));
    }
    if !is_slug(id_or_slug) {
        return Ok(None);
    }
    let owner = reads.load_claim(&Claim::former_category_slug(id_or_slug)).await?;
    Ok(owner.and_then(|owner| tree.get(CategoryId(owner))))
}
