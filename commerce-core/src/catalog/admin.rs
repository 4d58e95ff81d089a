//! What staff may ask and change of products.

use super::{
    AdminProductQuery, Catalog, CatalogError, Product, ProductDetail, ProductDraft, ProductFilter, ProductKey,
    ProductPatch, ProductStatus, Slugs, Variant, VariantDraft, check_version, refusal, rules,
    service::{search, sort},
    slug::slug_from,
};
use crate::{
    context::{Actor, Done, Permission, RequestContext},
    engine::Planned,
    error::CommonError,
    event::DomainEvent,
    id::{ProductId, VariantId},
    inventory::NewStock,
    page::{Page, PageRequest},
    store::{Aggregate, ChangeSet, Claim, Version},
    text::check_filter,
};

impl Catalog {
    /// Products of any status but deleted.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn admin_products(
        &self,
        actor: &Actor,
        query: AdminProductQuery,
        page: &PageRequest,
    ) -> Result<Page<ProductDetail>, CatalogError> {
        actor.require(Permission::EditCatalog)?;
        check_filter(&[("/q", query.q.as_deref())])?;
        let kept = [ProductStatus::Draft, ProductStatus::Active, ProductStatus::Archived];
        let statuses = kept.into_iter().filter(|status| query.status.is_none_or(|wanted| wanted == *status)).collect();
        let (search, nothing) = search(query.q.as_deref());
        let sort = sort(None, search.is_some());
        let categories = nothing.then(Vec::new);
        let filter = ProductFilter { statuses, search, categories, sort, ..ProductFilter::default() };
        let reads = self.engine.reads_for(actor);
        let tree = reads.load_categories().await?;
        self.list(reads, &filter, &tree, &query, page).await
    }

    /// A product of any status but deleted.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Store`].
    pub async fn admin_product(&self, actor: &Actor, id: ProductId) -> Result<ProductDetail, CatalogError> {
        actor.require(Permission::EditCatalog)?;
        let view = self.engine.reads().view_product(&ProductKey::Id(id)).await?;
        let view = view.filter(|view| view.product.status != ProductStatus::Deleted);
        let tree = self.engine.reads().load_categories().await?;
        Ok(ProductDetail::new(view.ok_or(CommonError::NotFound("product"))?, &tree))
    }

    /// Creates a product with its variants and their first stock. Without a slug, one is made from the title.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Invalid`] with pointers into the draft (`/variants/1/sku`); [`CatalogError::SlugTaken`];
    /// [`CatalogError::SkuTaken`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub async fn create_product(
        &self,
        call: &RequestContext,
        draft: ProductDraft,
    ) -> Result<Done<ProductDetail>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let plan = || catalog.plan_create_product(&call, &draft);
            catalog.engine.transact(&call, plan, |conflicts| refusal(conflicts, draft.slug.is_some())).await
        };
        self.engine.run(write).await
    }

    /// Plans [`create_product`](Self::create_product), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself, but for what only the commit can tell: taken slugs and SKUs.
    pub async fn plan_create_product(
        &self,
        call: &RequestContext,
        draft: &ProductDraft,
    ) -> Result<Planned<ProductDetail>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let tree = self.engine.reads().load_categories().await?;
        let draft = rules::product(draft, self.engine.settings.currency, &tree)?;
        let mut set = self.engine.set(&call.actor);
        let id = ProductId(self.engine.uuid());
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
        set.event(self.engine.ids(), product.root(), product.version, DomainEvent::ProductCreated { product: id });
        Ok(Planned { changes: set, output: ProductDetail::after_edit(product, None, &opened, &tree) })
    }

    /// Changes a product. After a new slug, the old one leads to the product until another is given it.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`]; [`CommonError::VersionMismatch`] if the
    /// product isn't at the version `expected`; [`CatalogError::SlugTaken`]; [`CommonError::Store`].
    pub async fn update_product(
        &self,
        call: &RequestContext,
        id: ProductId,
        patch: ProductPatch,
        expected: Option<Version>,
    ) -> Result<ProductDetail, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = catalog.engine.queues.turn(id).await;
            let plan = || catalog.plan_update_product(&call, id, &patch, expected);
            catalog.engine.transact(&call, plan, |conflicts| refusal(conflicts, true)).await
        };
        Ok(self.engine.run(write).await?.value)
    }

    /// Plans [`update_product`](Self::update_product), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself, but for what only the commit can tell.
    pub async fn plan_update_product(
        &self,
        call: &RequestContext,
        id: ProductId,
        patch: &ProductPatch,
        expected: Option<Version>,
    ) -> Result<Planned<ProductDetail>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let before = self.load_kept(id).await?;
        let tree = self.engine.reads().load_categories().await?;
        let mut after = rules::patched_product(&before, patch, &tree)?;
        check_version(expected, before.version)?;
        let mut set = self.engine.set(&call.actor);
        self.move_slug(&mut set, Slugs::PRODUCTS, id.0, (&before.slug, &after.slug)).await?;
        self.save(&mut set, &before, &mut after);
        self.planned(set, after, &[]).await
    }

    /// Deletes a product, or archives it if orders refer to it. A deleted product's slug and SKUs are free again.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::VersionMismatch`]; [`CommonError::Store`].
    pub async fn delete_product(
        &self,
        call: &RequestContext,
        id: ProductId,
        expected: Option<Version>,
    ) -> Result<(), CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = catalog.engine.queues.turn(id).await;
            let plan = || catalog.plan_delete_product(&call, id, expected);
            catalog.engine.transact(&call, plan, |_| None).await
        };
        self.engine.run(write).await?;
        Ok(())
    }

    /// Plans [`delete_product`](Self::delete_product), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself.
    pub async fn plan_delete_product(
        &self,
        call: &RequestContext,
        id: ProductId,
        expected: Option<Version>,
    ) -> Result<Planned<()>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let before = self.load_kept(id).await?;
        check_version(expected, before.version)?;
        let mut set = self.engine.set(&call.actor);
        let mut after = before.clone();
        if self.engine.reads().has_orders(id).await? {
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
            set.event(self.engine.ids(), after.root(), after.version, DomainEvent::ProductDeleted { product: id });
        }
        Ok(Planned { changes: set, output: () })
    }

    /// A product that isn't deleted.
    pub(super) async fn load_kept(&self, id: ProductId) -> Result<Product, CommonError> {
        let product = self.engine.reads().load_product(id).await?;
        product.filter(|product| product.status != ProductStatus::Deleted).ok_or(CommonError::NotFound("product"))
    }

    /// Composes a new variant: its SKU, its stock, its first count.
    pub(super) fn open_variant(
        &self,
        set: &mut ChangeSet,
        product_id: ProductId,
        position: i64,
        draft: VariantDraft,
    ) -> Variant {
        let id = VariantId(self.engine.uuid());
        let low_stock_threshold = draft.low_stock_threshold.unwrap_or(self.engine.settings.low_stock_threshold);
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
        set.event(self.engine.ids(), after.root(), after.version, event);
    }

    /// The plan of an edit, with the product as it will be shown.
    pub(super) async fn planned(
        &self,
        changes: ChangeSet,
        after: Product,
        opened: &[(VariantId, i64)],
    ) -> Result<Planned<ProductDetail>, CatalogError> {
        let seen = self.engine.reads().view_product(&ProductKey::Id(after.id)).await?;
        let tree = self.engine.reads().load_categories().await?;
        Ok(Planned { changes, output: ProductDetail::after_edit(after, seen.as_ref(), opened, &tree) })
    }
}
