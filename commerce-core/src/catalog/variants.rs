//! What staff may change of a product's variants.

use serde::{Deserialize, Serialize};

use super::{
    Catalog, CatalogError, Product, ProductDetail, ProductStatus, VariantDraft, VariantPatch, check_version, refusal,
    rules,
};
use crate::{
    context::{Done, Permission, RequestContext},
    engine::Planned,
    error::{CommonError, Invalid},
    id::{ProductId, VariantId},
    store::{Claim, Version},
};

/// A product with the variant that was just added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddedVariant {
    /// The product.
    pub detail: ProductDetail,
    /// Which of its variants is new.
    pub variant_id: VariantId,
}

impl Catalog {
    /// Adds a variant to a product, after the others.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`]; [`CatalogError::SkuTaken`];
    /// [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub async fn add_variant(
        &self,
        call: &RequestContext,
        product: ProductId,
        draft: VariantDraft,
    ) -> Result<Done<AddedVariant>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = catalog.engine.queues.turn(product).await;
            let plan = || catalog.plan_add_variant(&call, product, &draft);
            catalog.engine.transact(&call, plan, |conflicts| refusal(conflicts, true)).await
        };
        self.engine.run(write).await
    }

    /// Plans [`add_variant`](Self::add_variant), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself, but for what only the commit can tell: a taken SKU.
    pub async fn plan_add_variant(
        &self,
        call: &RequestContext,
        product: ProductId,
        draft: &VariantDraft,
    ) -> Result<Planned<AddedVariant>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let before = self.load_kept(product).await?;
        let draft = rules::variant(draft, self.engine.settings.currency)?;
        rules::check_choice(&before, None, &draft.sku, &draft.options)?;
        if before.sold().count() >= rules::MAX_VARIANTS {
            return Err(Invalid::field("", "too_many", "this product has as many variants as it may have").into());
        }
        let mut set = self.engine.set(&call.actor);
        let mut after = before.clone();
        let position = before.variants.iter().map(|variant| variant.position + 1).max().unwrap_or(0);
        let stock = draft.stock.unwrap_or(0);
        let variant = self.open_variant(&mut set, product, position, draft);
        let variant_id = variant.id;
        after.variants.push(variant);
        self.save(&mut set, &before, &mut after);
        let Planned { changes, output: detail } = self.planned(set, after, &[(variant_id, stock)]).await?;
        Ok(Planned { changes, output: AddedVariant { detail, variant_id } })
    }

    /// Changes a variant. A new SKU frees the old one.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`]; [`CommonError::VersionMismatch`] if its
    /// product isn't at the version `expected`; [`CatalogError::SkuTaken`]; [`CommonError::Store`].
    pub async fn update_variant(
        &self,
        call: &RequestContext,
        id: VariantId,
        patch: VariantPatch,
        expected: Option<Version>,
    ) -> Result<ProductDetail, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let product = catalog.load_kept_of(id).await?.id;
            let _turn = catalog.engine.queues.turn(product).await;
            let plan = || catalog.plan_update_variant(&call, id, &patch, expected);
            catalog.engine.transact(&call, plan, |conflicts| refusal(conflicts, true)).await
        };
        Ok(self.engine.run(write).await?.value)
    }

    /// Plans [`update_variant`](Self::update_variant), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself, but for what only the commit can tell: a taken SKU.
    pub async fn plan_update_variant(
        &self,
        call: &RequestContext,
        id: VariantId,
        patch: &VariantPatch,
        expected: Option<Version>,
    ) -> Result<Planned<ProductDetail>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let before = self.load_kept_of(id).await?;
        let mut after = before.clone();
        let mut set = self.engine.set(&call.actor);
        for variant in after.variants.iter_mut().filter(|variant| variant.id == id) {
            let patched = rules::patched_variant(variant, patch, self.engine.settings.currency)?;
            rules::check_choice(&before, Some(id), &patched.sku, &patched.options)?;
            if Claim::sku(&patched.sku) != Claim::sku(&variant.sku) {
                set.free(Claim::sku(&variant.sku), id).hold(Claim::sku(&patched.sku), id);
            }
            *variant = patched;
        }
        check_version(expected, before.version)?;
        self.save(&mut set, &before, &mut after);
        self.planned(set, after, &[]).await
    }

    /// Takes a variant off sale for good. Its ledger is kept; its SKU is free again.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::VersionMismatch`] if its product isn't at the
    /// version `expected`; [`CatalogError::LastVariant`]; [`CommonError::Store`].
    pub async fn delete_variant(
        &self,
        call: &RequestContext,
        id: VariantId,
        expected: Option<Version>,
    ) -> Result<(), CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let product = catalog.load_kept_of(id).await?.id;
            let _turn = catalog.engine.queues.turn(product).await;
            let plan = || catalog.plan_delete_variant(&call, id, expected);
            catalog.engine.transact(&call, plan, |_| None).await
        };
        self.engine.run(write).await?;
        Ok(())
    }

    /// Plans [`delete_variant`](Self::delete_variant), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself.
    pub async fn plan_delete_variant(
        &self,
        call: &RequestContext,
        id: VariantId,
        expected: Option<Version>,
    ) -> Result<Planned<()>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let before = self.load_kept_of(id).await?;
        check_version(expected, before.version)?;
        if before.sold().count() == 1 {
            return Err(CatalogError::LastVariant);
        }
        let mut set = self.engine.set(&call.actor);
        let mut after = before.clone();
        for variant in after.variants.iter_mut().filter(|variant| variant.id == id) {
            variant.retired = true;
            set.free(Claim::sku(&variant.sku), id);
        }
        self.save(&mut set, &before, &mut after);
        Ok(Planned { changes: set, output: () })
    }

    /// The product of a variant, if neither is gone.
    async fn load_kept_of(&self, variant: VariantId) -> Result<Product, CommonError> {
        let product = self.engine.reads().load_product_of(variant).await?;
        let kept = |product: &Product| {
            product.status != ProductStatus::Deleted && product.sold().any(|sold| sold.id == variant)
        };
        product.filter(kept).ok_or(CommonError::NotFound("variant"))
    }
}
