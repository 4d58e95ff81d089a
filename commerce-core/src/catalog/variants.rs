//! Writes of a product's variants. A variant has its product's version.

use uuid::Uuid;

use super::{
    Catalog, CatalogError, NewVariant, Product, ProductStatus, VariantDetail, VariantPatch, may_edit, refusal, rules,
};
use crate::{
    engine::Planned,
    error::{CommonError, Invalid},
    id::{ProductId, VariantId},
    store::{ChangeSet, Claim},
    write::{OneCommit, Write, WriteContext},
};

impl Catalog {
    /// Adds a variant to a product, after the others.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`]; [`CommonError::VersionMismatch`];
    /// [`CatalogError::SkuTaken`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn add_variant(&self, product: ProductId, variant: NewVariant) -> Write<VariantDetail, CatalogError> {
        let input = (product, variant);
        let plan = OneCommit::new("catalog.add_variant", self.clone(), input, |catalog, write, (product, variant)| {
            Box::pin(catalog.plan_add_variant(write, *product, variant))
        });
        let plan = plan.allowed_to(may_edit).in_turn(product);
        self.scope.write(plan.refused_by(|(_, variant), conflicts| refusal(conflicts, true, [&*variant.sku])))
    }

    async fn plan_add_variant(
        &self,
        write: &WriteContext,
        product: ProductId,
        variant: &NewVariant,
    ) -> Result<Planned<VariantDetail>, CatalogError> {
        let before = self.load_kept(product).await?;
        let draft = rules::variant(variant, self.engine().settings.currency)?;
        rules::check_choice(&before, None, &draft.sku, &draft.options)?;
        if before.sold().count() >= rules::MAX_VARIANTS {
            return Err(Invalid::field("", "too_many", "this product has as many variants as it may have").into());
        }
        write.check_version(before.version)?;
        let mut set = self.engine().set(write.actor());
        let mut after = before.clone();
        let position = before.variants.iter().map(|variant| variant.position + 1).max().unwrap_or(0);
        let stock = draft.stock.unwrap_or(0);
        let variant = self.open_variant(&mut set, product, position, draft);
        let variant_id = variant.id;
        after.variants.push(variant);
        self.save(&mut set, &before, &mut after);
        self.planned_variant(set, after, variant_id, &[(variant_id, stock)]).await
    }

    /// Changes a variant. A new SKU frees the old one.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`]; [`CommonError::VersionMismatch`];
    /// [`CatalogError::SkuTaken`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn update_variant(&self, id: VariantId, patch: VariantPatch) -> Write<VariantDetail, CatalogError> {
        let input = (id, patch);
        let plan = OneCommit::new("catalog.update_variant", self.clone(), input, |catalog, write, (id, patch)| {
            Box::pin(catalog.plan_update_variant(write, *id, patch))
        });
        let plan = plan.allowed_to(may_edit).in_turn_of(|catalog, (id, _)| Box::pin(catalog.product_of(*id)));
        self.scope.write(plan.refused_by(|(_, patch), conflicts| refusal(conflicts, true, patch.sku.as_deref())))
    }

    async fn plan_update_variant(
        &self,
        write: &WriteContext,
        id: VariantId,
        patch: &VariantPatch,
    ) -> Result<Planned<VariantDetail>, CatalogError> {
        let before = self.load_kept_of(id).await?;
        let mut after = before.clone();
        let mut set = self.engine().set(write.actor());
        for variant in after.variants.iter_mut().filter(|variant| variant.id == id) {
            let patched = rules::patched_variant(variant, patch, self.engine().settings.currency)?;
            rules::check_choice(&before, Some(id), &patched.sku, &patched.options)?;
            if Claim::sku(&patched.sku) != Claim::sku(&variant.sku) {
                set.free(Claim::sku(&variant.sku), id).hold(Claim::sku(&patched.sku), id);
            }
            *variant = patched;
        }
        write.check_version(before.version)?;
        self.save(&mut set, &before, &mut after);
        self.planned_variant(set, after, id, &[]).await
    }

    /// Takes a variant off sale for good. Its ledger is kept; its SKU is free again.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::VersionMismatch`]; [`CatalogError::LastVariant`];
    /// [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn delete_variant(&self, id: VariantId) -> Write<(), CatalogError> {
        let plan = OneCommit::new("catalog.delete_variant", self.clone(), id, |catalog, write, id| {
            Box::pin(catalog.plan_delete_variant(write, *id))
        });
        self.scope.write(plan.allowed_to(may_edit).in_turn_of(|catalog, id| Box::pin(catalog.product_of(*id))))
    }

    async fn plan_delete_variant(&self, write: &WriteContext, id: VariantId) -> Result<Planned<()>, CatalogError> {
        let before = self.load_kept_of(id).await?;
        write.check_version(before.version)?;
        if before.sold().count() == 1 {
            return Err(CatalogError::LastVariant);
        }
        let mut set = self.engine().set(write.actor());
        let mut after = before.clone();
        for variant in after.variants.iter_mut().filter(|variant| variant.id == id) {
            variant.retired = true;
            set.free(Claim::sku(&variant.sku), id);
        }
        self.save(&mut set, &before, &mut after);
        Ok(Planned { changes: set, output: () })
    }

    async fn planned_variant(
        &self,
        set: ChangeSet,
        after: Product,
        id: VariantId,
        opened: &[(VariantId, i64)],
    ) -> Result<Planned<VariantDetail>, CatalogError> {
        let Planned { changes, output } = self.planned(set, after, opened).await?;
        let variant = output.variants.into_iter().find(|variant| variant.id == id);
        Ok(Planned { changes, output: variant.ok_or(CommonError::NotFound("variant"))? })
    }

    /// What writes of a variant take turns by: its product. Whether it is there at all is for the plan to say.
    async fn product_of(&self, variant: VariantId) -> Option<Uuid> {
        Some(self.load_kept_of(variant).await.ok()?.id.0)
    }

    /// The product of a variant, if neither is gone.
    async fn load_kept_of(&self, variant: VariantId) -> Result<Product, CommonError> {
        let product = self.engine().reads().load_product_of(variant).await?;
        let kept = |product: &Product| {
            product.status != ProductStatus::Deleted && product.sold().any(|sold| sold.id == variant)
        };
        product.filter(kept).ok_or(CommonError::NotFound("variant"))
    }
}
