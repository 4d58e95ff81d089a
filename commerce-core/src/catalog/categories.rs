//! Writes of the category tree.
//!
//! The tree is one aggregate: every write of a category is judged against the whole tree as it was read, so that two moves
//! at a time can't make a cycle. Writes queue within a process and retry across processes. Each category has the tree's
//! version.

use super::{
    Catalog, CatalogError, Category, CategoryNode, CategoryPatch, CategoryTree, NewCategory, Slugs,
    category::Misplaced, may_edit, refusal, rules, slug::slug_from,
};
use crate::{
    engine::Planned,
    error::{CommonError, Invalid},
    event::DomainEvent,
    id::CategoryId,
    store::{Aggregate, AggregateId, ChangeSet, Claim},
    write::{OneCommit, Write, WriteContext},
};

impl Catalog {
    /// Creates a category. Without a slug, one is made from the name; without a position, it stands last.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Invalid`] (an unknown parent is `unknown_category` at `/parent_id`, one too far
    /// down `too_deep`); [`CommonError::VersionMismatch`]; [`CatalogError::SlugTaken`]; [`CommonError::Idempotency`];
    /// [`CommonError::Store`].
    pub fn create_category(&self, category: NewCategory) -> Write<CategoryNode, CatalogError> {
        let plan = OneCommit::new("catalog.create_category", self.clone(), category, |catalog, write, category| {
            Box::pin(catalog.plan_create_category(write, category))
        });
        let plan = plan.allowed_to(may_edit).in_turn(AggregateId::Categories.id());
        self.scope.write(plan.refused_by(|category, conflicts| refusal(conflicts, category.slug.is_some(), [])))
    }

    async fn plan_create_category(
        &self,
        write: &WriteContext,
        category: &NewCategory,
    ) -> Result<Planned<CategoryNode>, CatalogError> {
        let draft = rules::category(category)?;
        let before = self.engine().reads().load_categories().await?;
        let id = CategoryId(self.engine().uuid());
        check_place(&before, id, draft.parent_id)?;
        write.check_version(before.version)?;
        let mut set = self.engine().set(write.actor());
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
    /// [`CommonError::VersionMismatch`]; [`CatalogError::SlugTaken`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn update_category(&self, id: CategoryId, patch: CategoryPatch) -> Write<CategoryNode, CatalogError> {
        let input = (id, patch);
        let plan = OneCommit::new("catalog.update_category", self.clone(), input, |catalog, write, (id, patch)| {
            Box::pin(catalog.plan_update_category(write, *id, patch))
        });
        let plan = plan.allowed_to(may_edit).in_turn(AggregateId::Categories.id());
        self.scope.write(plan.refused_by(|_, conflicts| refusal(conflicts, true, [])))
    }

    async fn plan_update_category(
        &self,
        write: &WriteContext,
        id: CategoryId,
        patch: &CategoryPatch,
    ) -> Result<Planned<CategoryNode>, CatalogError> {
        let before = self.engine().reads().load_categories().await?;
        let category = before.get(id).ok_or(CommonError::NotFound("category"))?;
        let patched = rules::patched_category(category, patch)?;
        if patched.parent_id != category.parent_id {
            check_place(&before, id, patched.parent_id)?;
        }
        write.check_version(before.version)?;
        let mut set = self.engine().set(write.actor());
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
    /// [`CommonError::Access`]; [`CommonError::NotFound`]; [`CommonError::VersionMismatch`]; [`CatalogError::CategoryInUse`];
    /// [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn delete_category(&self, id: CategoryId) -> Write<(), CatalogError> {
        let plan = OneCommit::new("catalog.delete_category", self.clone(), id, |catalog, write, id| {
            Box::pin(catalog.plan_delete_category(write, *id))
        });
        self.scope.write(plan.allowed_to(may_edit).in_turn(AggregateId::Categories.id()))
    }

    async fn plan_delete_category(&self, write: &WriteContext, id: CategoryId) -> Result<Planned<()>, CatalogError> {
        let before = self.engine().reads().load_categories().await?;
        let category = before.get(id).ok_or(CommonError::NotFound("category"))?;
        write.check_version(before.version)?;
        if before.has_children(id) {
            return Err(CatalogError::CategoryInUse);
        }
        let mut set = self.engine().set(write.actor());
        set.free(Claim::category_slug(&category.slug), id);
        let mut after = before.clone();
        after.nodes.retain(|node| node.id != id);
        self.save_tree(&mut set, &before, &mut after);
        Ok(Planned { changes: set, output: () })
    }

    fn save_tree(&self, set: &mut ChangeSet, before: &CategoryTree, after: &mut CategoryTree) {
        set.update(before, after);
        set.event(self.engine().ids(), after.root(), after.version, DomainEvent::CategoriesChanged);
    }

    async fn planned_node(
        &self,
        changes: ChangeSet,
        after: &CategoryTree,
        id: CategoryId,
    ) -> Result<Planned<CategoryNode>, CatalogError> {
        // What a category counts doesn't depend on where it stands, only on what is below it, which no edit changes.
        let counts = self.engine().reads().count_products().await?;
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
