//! What staff may change of the category tree.
//!
//! The tree is one aggregate: every write of a category is judged against the whole tree as it was read, so that two moves
//! at a time can't make a cycle. Writes queue within a process and retry across processes.

use super::{
    Catalog, CatalogError, Category, CategoryDraft, CategoryNode, CategoryPatch, CategoryTree, Slugs,
    category::Misplaced, check_version, refusal, rules, slug::slug_from,
};
use crate::{
    context::{Done, Permission, RequestContext},
    engine::Planned,
    error::{CommonError, Invalid},
    event::DomainEvent,
    id::CategoryId,
    store::{Aggregate, AggregateId, ChangeSet, Claim, Version},
};

impl Catalog {
    /// Creates a category. Without a slug, one is made from the name; without a position, it stands last.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Invalid`] (an unknown parent is `unknown_category` at `/parent_id`, one too far
    /// down `too_deep`); [`CatalogError::SlugTaken`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub async fn create_category(
        &self,
        call: &RequestContext,
        draft: CategoryDraft,
    ) -> Result<Done<CategoryNode>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = catalog.engine.queues.turn(AggregateId::Categories.id()).await;
            let plan = || catalog.plan_create_category(&call, &draft);
            catalog.engine.transact(&call, plan, |conflicts| refusal(conflicts, draft.slug.is_some())).await
        };
        self.engine.run(write).await
    }

    /// Plans [`create_category`](Self::create_category), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself, but for what only the commit can tell: a taken slug.
    pub async fn plan_create_category(
        &self,
        call: &RequestContext,
        draft: &CategoryDraft,
    ) -> Result<Planned<CategoryNode>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let draft = rules::category(draft)?;
        let before = self.engine.reads().load_categories().await?;
        let id = CategoryId(self.engine.uuid());
        check_place(&before, id, draft.parent_id)?;
        let mut set = self.engine.set(&call.actor);
        let slug = match draft.slug {
            Some(slug) => {
                self.take_slug(&mut set, Slugs::CATEGORIES, id.0, &slug).await?;
                slug
            }
            None => {
                let slug = self.free_slug(&slug_from(&draft.name, "category"), Slugs::CATEGORIES).await?;
                set.hold(Claim::category_slug(&slug), id);
                slug
            }
        };
        let position = draft.position.unwrap_or_else(|| before.next_position(draft.parent_id));
        let mut after = before.clone();
        after.nodes.push(Category { id, slug, name: draft.name, parent_id: draft.parent_id, position });
        self.save_tree(&mut set, &before, &mut after);
        self.planned_node(set, &after, id).await
    }

    /// Renames or moves a category, with everything below it. After a new slug, the old one leads to the category until
    /// another is given it.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::Invalid`]; [`CatalogError::CategoryCycle`];
    /// [`CommonError::VersionMismatch`] if the tree isn't at the version `expected`; [`CatalogError::SlugTaken`];
    /// [`CommonError::Store`].
    pub async fn update_category(
        &self,
        call: &RequestContext,
        id: CategoryId,
        patch: CategoryPatch,
        expected: Option<Version>,
    ) -> Result<CategoryNode, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = catalog.engine.queues.turn(AggregateId::Categories.id()).await;
            let plan = || catalog.plan_update_category(&call, id, &patch, expected);
            catalog.engine.transact(&call, plan, |conflicts| refusal(conflicts, true)).await
        };
        Ok(self.engine.run(write).await?.value)
    }

    /// Plans [`update_category`](Self::update_category), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself, but for what only the commit can tell: a taken slug.
    pub async fn plan_update_category(
        &self,
        call: &RequestContext,
        id: CategoryId,
        patch: &CategoryPatch,
        expected: Option<Version>,
    ) -> Result<Planned<CategoryNode>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let before = self.engine.reads().load_categories().await?;
        let category = before.get(id).ok_or(CommonError::NotFound("category"))?;
        let patched = rules::patched_category(category, patch)?;
        if patched.parent_id != category.parent_id {
            check_place(&before, id, patched.parent_id)?;
        }
        check_version(expected, before.version)?;
        let mut set = self.engine.set(&call.actor);
        self.move_slug(&mut set, Slugs::CATEGORIES, id.0, (&category.slug, &patched.slug)).await?;
        let mut after = before.clone();
        for node in after.nodes.iter_mut().filter(|node| node.id == id) {
            *node = patched.clone();
        }
        self.save_tree(&mut set, &before, &mut after);
        self.planned_node(set, &after, id).await
    }

    /// Deletes a category that has none below it. Its products lose it: they are shown without it from now on.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::VersionMismatch`] if the tree isn't at the version
    /// `expected`; [`CatalogError::CategoryInUse`]; [`CommonError::Store`].
    pub async fn delete_category(
        &self,
        call: &RequestContext,
        id: CategoryId,
        expected: Option<Version>,
    ) -> Result<(), CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let (catalog, call) = (self.clone(), call.clone());
        let write = async move {
            let _turn = catalog.engine.queues.turn(AggregateId::Categories.id()).await;
            let plan = || catalog.plan_delete_category(&call, id, expected);
            catalog.engine.transact(&call, plan, |_| None).await
        };
        self.engine.run(write).await?;
        Ok(())
    }

    /// Plans [`delete_category`](Self::delete_category), to be committed in a transaction of the caller's.
    ///
    /// # Errors
    /// As the call itself.
    pub async fn plan_delete_category(
        &self,
        call: &RequestContext,
        id: CategoryId,
        expected: Option<Version>,
    ) -> Result<Planned<()>, CatalogError> {
        call.actor.require(Permission::EditCatalog)?;
        let before = self.engine.reads().load_categories().await?;
        let category = before.get(id).ok_or(CommonError::NotFound("category"))?;
        check_version(expected, before.version)?;
        if before.has_children(id) {
            return Err(CatalogError::CategoryInUse);
        }
        let mut set = self.engine.set(&call.actor);
        set.free(Claim::category_slug(&category.slug), id);
        let mut after = before.clone();
        after.nodes.retain(|node| node.id != id);
        self.save_tree(&mut set, &before, &mut after);
        Ok(Planned { changes: set, output: () })
    }

    fn save_tree(&self, set: &mut ChangeSet, before: &CategoryTree, after: &mut CategoryTree) {
        set.update(before, after);
        set.event(self.engine.ids(), after.root(), after.version, DomainEvent::CategoriesChanged);
    }

    async fn planned_node(
        &self,
        changes: ChangeSet,
        after: &CategoryTree,
        id: CategoryId,
    ) -> Result<Planned<CategoryNode>, CatalogError> {
        // What a category counts doesn't depend on where it stands, only on what is below it, which no edit changes.
        let counts = self.engine.reads().count_products().await?;
        let output = after.node(id, &counts).ok_or(CommonError::NotFound("category"))?;
        Ok(Planned { changes, output })
    }
}

fn check_place(tree: &CategoryTree, id: CategoryId, parent: Option<CategoryId>) -> Result<(), CatalogError> {
    tree.check_place(id, parent).map_err(|misplaced| match misplaced {
        Misplaced::Cycle => CatalogError::CategoryCycle,
        Misplaced::UnknownParent => {
            Invalid::field("/parent_id", "unknown_category", "there is no such category").into()
        }
        Misplaced::TooDeep => Invalid::field("/parent_id", "too_deep", "the tree would become too deep").into(),
    })
}
