//! [`Catalog`], and what all its writes have in common.

use uuid::Uuid;

use super::{CatalogError, slug};
use crate::{
    context::{AccessError, Actor, Permission},
    engine::{Conflicts, Engine},
    store::{ChangeSet, Claim, ClaimKind, Conflict, Reads, StoreError},
    write::Scope,
};

/// Products and categories.
///
/// Everybody sees active products; everything else needs [`Permission::EditCatalog`](crate::context::Permission::EditCatalog).
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// let price = Money::parse("19.90", Currency::EUR)?;
/// let staff = shop.as_system();
/// let mug = staff.catalog().create(NewProduct::active("Enamel mug").variant("MUG", price).stock(10)).await?;
/// staff.catalog().update(mug.id, ProductPatch::new().description("Survives a fall.".to_owned())).if_version(1).await?;
///
/// let guest = shop.as_guest();
/// let found = guest.catalog().search("enamle mug").in_stock(true).first().await?.ok_or("nothing found")?;
/// assert_eq!((found.slug.as_str(), found.variants[0].available), ("enamel-mug", 10));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Catalog {
    pub(super) scope: Scope,
}

impl Catalog {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.scope.engine
    }

    /// Reads for showing something to the caller.
    pub(super) fn reads(&self) -> &dyn Reads {
        self.engine().reads_for(self.scope.actor())
    }

    /// A slug that is free now and leads to nothing: `base`, `base-2` … or, if many share the title, `base` and something
    /// random. Whether it is still free is for the commit to say.
    pub(super) async fn free_slug(&self, base: &str, slugs: Slugs) -> Result<String, StoreError> {
        let reads = self.engine().reads();
        for n in 1..=9 {
            let slug = if n == 1 { base.to_owned() } else { format!("{base}-{n}") };
            if reads.load_claim(&(slugs.present)(&slug)).await?.is_none()
                && reads.load_claim(&(slugs.former)(&slug)).await?.is_none()
            {
                return Ok(slug);
            }
        }
        Ok(format!("{base}-{}", slug::suffix(self.engine().uuid())))
    }

    /// Gives a new product or category the slug that staff chose. Another that had it before loses it.
    pub(super) async fn take_slug(
        &self,
        set: &mut ChangeSet,
        slugs: Slugs,
        owner: Uuid,
        slug: &str,
    ) -> Result<(), StoreError> {
        set.hold((slugs.present)(slug), owner);
        let former = (slugs.former)(slug);
        if let Some(before) = self.engine().reads().load_claim(&former).await? {
            set.free(former, before);
        }
        Ok(())
    }

    /// Gives a product or category another slug; the old one goes on leading to it.
    pub(super) async fn move_slug(
        &self,
        set: &mut ChangeSet,
        slugs: Slugs,
        owner: Uuid,
        (from, to): (&str, &str),
    ) -> Result<(), StoreError> {
        if from == to {
            return Ok(());
        }
        set.free((slugs.present)(from), owner);
        self.take_slug(set, slugs, owner, to).await?;
        let former = (slugs.former)(from);
        match self.engine().reads().load_claim(&former).await? {
            None => {
                set.hold(former, owner);
            }
            Some(holder) if holder == owner => {}
            // Another gave the slug up while this one took it. It is neither's any more.
            Some(holder) => {
                set.free(former, holder);
            }
        }
        Ok(())
    }
}

/// The claims on the slugs of one kind of thing.
#[derive(Clone, Copy)]
pub(super) struct Slugs {
    pub present: fn(&str) -> Claim,
    pub former: fn(&str) -> Claim,
}

impl Slugs {
    pub const PRODUCTS: Self = Self { present: Claim::product_slug, former: Claim::former_product_slug };
    pub const CATEGORIES: Self = Self { present: Claim::category_slug, former: Claim::former_category_slug };
}

/// What a lost claim means to the caller, who gave these SKUs; `None` if another try may fare better, as with a slug that was
/// made up.
pub(super) fn refusal<'a>(
    conflicts: &Conflicts,
    slug_given: bool,
    skus: impl IntoIterator<Item = &'a str>,
) -> Option<CatalogError> {
    let mut skus = skus.into_iter();
    conflicts.0.iter().find_map(|conflict| match conflict {
        Conflict::Taken(claim @ Claim { kind: ClaimKind::Sku, key }) => {
            // The claim is of how the SKU looks; the caller knows it as it was given.
            let given =
                skus.find(|sku| Claim::sku(sku) == *claim).map_or_else(|| key.clone(), |sku| sku.trim().to_owned());
            Some(CatalogError::SkuTaken(given))
        }
        Conflict::Taken(Claim { kind: ClaimKind::ProductSlug | ClaimKind::CategorySlug, key }) if slug_given => {
            Some(CatalogError::SlugTaken(key.clone()))
        }
        _ => None,
    })
}

/// Refuses everybody but staff who edit the catalogue.
pub(super) fn may_edit(actor: &Actor) -> Result<(), AccessError> {
    actor.require(Permission::EditCatalog)
}
