//! Writes of products.

use super::{
    Catalog, CatalogError, NewProduct, NewVariant, Product, ProductDetail, ProductKey, ProductPatch, ProductStatus,
    Slugs, Variant, may_edit, refusal, rules, slug::slug_from,
};
use crate::{
    engine::Planned,
    error::CommonError,
    event::DomainEvent,
    id::{ProductId, VariantId},
    inventory::NewStock,
    store::{Aggregate, ChangeSet, Claim},
    write::{OneCommit, Write, WriteContext},
};

impl Catalog {
    /// Creates a product with its variants and their first stock. Without a slug, one is made from the title.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Invalid`] with pointers into the product (`/variants/1/sku`);
    /// [`CatalogError::SlugTaken`]; [`CatalogError::SkuTaken`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn create(&self, product: NewProduct) -> Write<ProductDetail, CatalogError> {
        let plan = OneCommit::new("catalog.create", self.clone(), product, |catalog, write, product| {
            Box::pin(catalog.plan_create(write, product))
        });
        self.scope.write(plan.allowed_to(may_edit).refused_by(|product, conflicts| {
            refusal(conflicts, product.slug.is_some(), product.variants.iter().map(|variant| &*variant.sku))
        }))
    }

    async fn plan_create(
        &self,
        write: &WriteContext,
        product: &NewProduct,
    ) -> Result<Planned<ProductDetail>, CatalogError> {
        let tree = self.engine().reads().load_categories().await?;
        let draft = rules::product(product, self.engine().settings.currency, &tree)?;
        let mut set = self.engine().set(write.actor());
        let id = ProductId(self.engine().uuid());
        let slug = match draft.slug {
            Some(slug) => {
                self.take_slug(&mut set, Slugs::PRODUCTS, id.0, &slug).await?;
                slug
            }
            None => {
                let slug = self.free_slug(&slug_from(&draft.title, "product"), Slugs::PRODUCTS).await?;
                set.hold(Claim::product_slug(&slug), id);
                slug
            }
        };
        let mut opened = Vec::new();
        let mut variants = Vec::new();
        for (position, variant) in (0..).zip(draft.variants) {
            opened.push(variant.stock.unwrap_or(0));
            variants.push(self.open_variant(&mut set, id, position, variant));
        }
        let opened: Vec<_> = variants.iter().map(|variant| variant.id).zip(opened).collect();
        let mut product = Product {
            id,
            slug,
            title: draft.title,
            description: draft.description,
            status: draft.status,
            category_ids: draft.category_ids,
            attributes: draft.attributes,
            images: draft.images,
            variants,
            created_at: set.at(),
            updated_at: set.at(),
            version: 0,
        };
        set.insert(&mut product);
        set.event(self.engine().ids(), product.root(), product.version, DomainEvent::ProductCreated { product: id });
        Ok(Planned { changes: set, output: ProductDetail::after_edit(product, None, &opened, &tree) })
    }

    /// Changes a product. After a new slug, the old one leads to the product until another is given it.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`]; [`CommonError::VersionMismatch`];
    /// [`CatalogError::SlugTaken`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn update(&self, id: ProductId, patch: ProductPatch) -> Write<ProductDetail, CatalogError> {
        let plan = OneCommit::new("catalog.update", self.clone(), (id, patch), |catalog, write, (id, patch)| {
            Box::pin(catalog.plan_update(write, *id, patch))
        });
        let plan = plan.allowed_to(may_edit).in_turn(id);
        self.scope.write(plan.refused_by(|_, conflicts| refusal(conflicts, true, [])))
    }

    async fn plan_update(
        &self,
        write: &WriteContext,
        id: ProductId,
        patch: &ProductPatch,
    ) -> Result<Planned<ProductDetail>, CatalogError> {
        let before = self.load_kept(id).await?;
        let tree = self.engine().reads().load_categories().await?;
        let mut after = rules::patched_product(&before, patch, &tree)?;
        write.check_version(before.version)?;
        let mut set = self.engine().set(write.actor());
        self.move_slug(&mut set, Slugs::PRODUCTS, id.0, (&before.slug, &after.slug)).await?;
        self.save(&mut set, &before, &mut after);
        self.planned(set, after, &[]).await
    }

    /// Deletes a product, or archives it if orders refer to it. A deleted product's slug and SKUs are free again.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::VersionMismatch`]; [`CommonError::Idempotency`];
    /// [`CommonError::Store`].
    pub fn delete(&self, id: ProductId) -> Write<(), CatalogError> {
        let plan = OneCommit::new("catalog.delete", self.clone(), id, |catalog, write, id| {
            Box::pin(catalog.plan_delete(write, *id))
        });
        self.scope.write(plan.allowed_to(may_edit).in_turn(id))
    }

    async fn plan_delete(&self, write: &WriteContext, id: ProductId) -> Result<Planned<()>, CatalogError> {
        let before = self.load_kept(id).await?;
        write.check_version(before.version)?;
        let mut set = self.engine().set(write.actor());
        let mut after = before.clone();
        if self.engine().reads().has_orders(id).await? {
            after.status = ProductStatus::Archived;
            self.save(&mut set, &before, &mut after);
        } else {
            after.status = ProductStatus::Deleted;
            after.updated_at = set.at();
            set.free(Claim::product_slug(&before.slug), id);
            for variant in before.sold() {
                set.free(Claim::sku(&variant.sku), variant.id);
            }
            set.update(&before, &mut after);
            set.event(self.engine().ids(), after.root(), after.version, DomainEvent::ProductDeleted { product: id });
        }
        Ok(Planned { changes: set, output: () })
    }

    /// A product that isn't deleted.
    pub(super) async fn load_kept(&self, id: ProductId) -> Result<Product, CommonError> {
        let product = self.engine().reads().load_product(id).await?;
        product.filter(|product| product.status != ProductStatus::Deleted).ok_or(CommonError::NotFound("product"))
    }

    /// Composes a new variant: its SKU, its stock, its first count.
    pub(super) fn open_variant(
        &self,
        set: &mut ChangeSet,
        product_id: ProductId,
        position: i64,
        draft: NewVariant,
    ) -> Variant {
        let id = VariantId(self.engine().uuid());
        let low_stock_threshold = draft.low_stock_threshold.unwrap_or(self.engine().settings.low_stock_threshold);
        set.hold(Claim::sku(&draft.sku), id);
        set.open_stock(NewStock { variant_id: id, product_id, low_stock_threshold }, draft.stock.unwrap_or(0));
        Variant {
            id,
            position,
            sku: draft.sku,
            title: draft.title.unwrap_or_default(),
            options: draft.options,
            price: draft.price,
            retired: false,
        }
    }

    /// Saves an edited product.
    pub(super) fn save(&self, set: &mut ChangeSet, before: &Product, after: &mut Product) {
        after.updated_at = set.at();
        set.update(before, after);
        let event = DomainEvent::ProductUpdated { product: after.id };
        set.event(self.engine().ids(), after.root(), after.version, event);
    }

    /// The plan of an edit, with the product as it will be shown.
    pub(super) async fn planned(
        &self,
        changes: ChangeSet,
        after: Product,
        opened: &[(VariantId, i64)],
    ) -> Result<Planned<ProductDetail>, CatalogError> {
        let seen = self.engine().reads().view_product(&ProductKey::Id(after.id)).await?;
        let tree = self.engine().reads().load_categories().await?;
        Ok(Planned { changes, output: ProductDetail::after_edit(after, seen.as_ref(), opened, &tree) })
    }
}
