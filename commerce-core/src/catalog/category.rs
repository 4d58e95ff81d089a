//! The category tree and its rules.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    aggregate::{Child, Version},
    id::CategoryId,
};

/// A node of the category tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// The category's id.
    pub id: CategoryId,
    /// Its name in URLs; unique by [`crate::store::Claim::category_slug`].
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The node above.
    pub parent_id: Option<CategoryId>,
    /// Where it stands among its siblings.
    pub position: i64,
}

impl Child for Category {
    type Key = CategoryId;
    fn key(&self) -> CategoryId {
        self.id
    }
}

/// The whole tree: one aggregate, so that two concurrent moves can't make a cycle. Version 0 while nothing was ever written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryTree {
    /// All nodes, in no particular order.
    pub nodes: Vec<Category>,
    /// Counts writes.
    pub version: Version,
}

/// How deep the tree may be: menus and breadcrumbs end long before, and recursion over it stays harmless.
pub const MAX_CATEGORY_DEPTH: usize = 16;

/// A category as it is shown: with what is in it and below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CategoryNode {
    /// The category's id.
    pub id: CategoryId,
    /// Its name in URLs.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The category above; `None` at the top of the tree.
    pub parent_id: Option<CategoryId>,
    /// Where it stands among its siblings.
    pub position: i64,
    /// How many active products are in it or its descendants.
    pub product_count: u64,
    /// The nodes below, by position, then name.
    pub children: Vec<CategoryNode>,
    /// The version of the tree, which is the version of each of its categories.
    pub version: Version,
}

/// Why a category can't be put under another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// There is no such parent.
    UnknownParent,
    /// The parent is the category itself or below it.
    Cycle,
    /// The branch would be deeper than [`MAX_CATEGORY_DEPTH`].
    TooDeep,
}

impl CategoryTree {
    /// A category.
    #[must_use]
    pub fn get(&self, id: CategoryId) -> Option<&Category> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// A category by id or slug.
    #[must_use]
    pub fn find(&self, id_or_slug: &str) -> Option<&Category> {
        match id_or_slug.parse() {
            Ok(id) => self.get(id),
            Err(_) => self.nodes.iter().find(|node| node.slug == id_or_slug),
        }
    }

    /// A category and all its descendants; empty if there is no such category.
    #[must_use]
    pub fn subtree(&self, id: CategoryId) -> BTreeSet<CategoryId> {
        let by_parent = self.by_parent();
        let mut found = BTreeSet::new();
        let mut todo: Vec<CategoryId> = self.get(id).map(|node| node.id).into_iter().collect();
        while let Some(id) = todo.pop() {
            if found.insert(id) {
                todo.extend(by_parent.get(&Some(id)).into_iter().flatten().map(|child| child.id));
            }
        }
        found
    }

    /// Whether a category has any below it.
    #[must_use]
    pub fn has_children(&self, id: CategoryId) -> bool {
        self.nodes.iter().any(|node| node.parent_id == Some(id))
    }

    /// The top of the tree, with everything below.
    #[must_use]
    pub fn build(&self, counts: &BTreeMap<CategoryId, u64>) -> Vec<CategoryNode> {
        self.build_below(None, &self.by_parent(), counts)
    }

    /// One category with everything below.
    #[must_use]
    pub fn node(&self, id: CategoryId, counts: &BTreeMap<CategoryId, u64>) -> Option<CategoryNode> {
        let by_parent = self.by_parent();
        self.get(id).map(|category| self.build_node(category, &by_parent, counts))
    }

    /// Whether a category, which may be new, can stand under `parent`.
    pub(super) fn check_place(&self, id: CategoryId, parent: Option<CategoryId>) -> Result<(), Misplaced> {
        let Some(parent) = parent else { return Ok(()) };
        if parent != id && self.get(parent).is_none() {
            return Err(Misplaced::UnknownParent);
        }
        if parent == id || self.subtree(id).contains(&parent) {
            return Err(Misplaced::Cycle);
        }
        if self.depth(parent) + self.height(id) > MAX_CATEGORY_DEPTH {
            return Err(Misplaced::TooDeep);
        }
        Ok(())
    }

    /// The position after the last of `parent`'s children.
    pub(super) fn next_position(&self, parent: Option<CategoryId>) -> i64 {
        let siblings = self.nodes.iter().filter(|node| node.parent_id == parent);
        siblings.map(|node| node.position.saturating_add(1)).max().unwrap_or(0)
    }

    /// How many levels there are from the top down to a category, itself included.
    fn depth(&self, id: CategoryId) -> usize {
        let parents = std::iter::successors(self.get(id), |node| node.parent_id.and_then(|parent| self.get(parent)));
        parents.take(self.nodes.len()).count()
    }

    /// How many levels there are from a category down, itself included; 1 for a new one.
    fn height(&self, id: CategoryId) -> usize {
        let above = self.depth(id);
        self.subtree(id).into_iter().map(|below| self.depth(below) + 1 - above).max().unwrap_or(1)
    }

    fn by_parent(&self) -> BTreeMap<Option<CategoryId>, Vec<&Category>> {
        let mut by_parent = BTreeMap::<_, Vec<&Category>>::new();
        for node in &self.nodes {
            by_parent.entry(node.parent_id).or_default().push(node);
        }
        for siblings in by_parent.values_mut() {
            siblings.sort_by(|a, b| (a.position, &a.name, a.id).cmp(&(b.position, &b.name, b.id)));
        }
        by_parent
    }

    fn build_below(
        &self,
        parent: Option<CategoryId>,
        by_parent: &BTreeMap<Option<CategoryId>, Vec<&Category>>,
        counts: &BTreeMap<CategoryId, u64>,
    ) -> Vec<CategoryNode> {
        let siblings = by_parent.get(&parent).into_iter().flatten();
        siblings.map(|category| self.build_node(category, by_parent, counts)).collect()
    }

    fn build_node(
        &self,
        category: &Category,
        by_parent: &BTreeMap<Option<CategoryId>, Vec<&Category>>,
        counts: &BTreeMap<CategoryId, u64>,
    ) -> CategoryNode {
        CategoryNode {
            id: category.id,
            slug: category.slug.clone(),
            name: category.name.clone(),
            parent_id: category.parent_id,
            position: category.position,
            product_count: counts.get(&category.id).copied().unwrap_or(0),
            children: self.build_below(Some(category.id), by_parent, counts),
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn id(n: usize) -> CategoryId {
        CategoryId(Uuid::from_u128(n as u128 + 1))
    }

    fn category(n: usize, parent: Option<usize>) -> Category {
        let name = format!("c{n}");
        Category { id: id(n), slug: name.clone(), name, parent_id: parent.map(id), position: 0 }
    }

    fn tree(parents: &[Option<usize>]) -> CategoryTree {
        let nodes = parents.iter().enumerate().map(|(n, parent)| category(n, *parent)).collect();
        CategoryTree { nodes, version: 1 }
    }

    fn count(nodes: &[CategoryNode]) -> usize {
        nodes.iter().map(|node| 1 + count(&node.children)).sum()
    }

    #[test]
    fn a_category_is_found_by_id_and_slug_with_its_descendants() {
        let tree = tree(&[None, Some(0), Some(1), None]);
        assert_eq!(tree.find("c1"), tree.find(&id(1).to_string()));
        assert_eq!(tree.find("c9"), None);
        assert_eq!(tree.subtree(id(0)), [id(0), id(1), id(2)].into());
        assert_eq!(tree.subtree(id(9)), BTreeSet::new());
        assert!(tree.has_children(id(1)) && !tree.has_children(id(2)));
    }

    #[test]
    fn siblings_stand_by_position_then_name() {
        let mut tree = tree(&[None, None, None]);
        tree.nodes[0].position = 1;
        tree.nodes[1].name = "z".to_owned();
        let counts = [(id(0), 7)].into();
        let order: Vec<_> = tree.build(&counts).into_iter().map(|node| (node.id, node.product_count)).collect();
        assert_eq!(order, [(id(2), 0), (id(1), 0), (id(0), 7)]);
        assert_eq!(tree.next_position(None), 2);
        assert_eq!(tree.next_position(Some(id(0))), 0);
    }

    #[test]
    fn a_branch_is_at_most_so_deep() {
        let chain: Vec<_> = (0..MAX_CATEGORY_DEPTH).map(|n| n.checked_sub(1)).collect();
        let mut tree = tree(&chain);
        let bottom = id(MAX_CATEGORY_DEPTH - 1);
        assert_eq!(tree.check_place(id(99), Some(bottom)), Err(Misplaced::TooDeep));
        assert_eq!(tree.check_place(id(99), Some(id(MAX_CATEGORY_DEPTH - 2))), Ok(()));
        tree.nodes.extend([category(50, None), category(51, Some(50))]);
        assert_eq!(tree.check_place(id(50), Some(id(MAX_CATEGORY_DEPTH - 2))), Err(Misplaced::TooDeep));
        assert_eq!(tree.check_place(id(0), Some(id(99))), Err(Misplaced::UnknownParent));
    }

    proptest! {
        #[test]
        fn accepted_moves_never_lose_a_node(moves in prop::collection::vec((0..8usize, prop::option::of(0..8usize)), 0..40)) {
            let mut tree = tree(&[None; 8]);
            for (node, parent) in moves {
                let parent = parent.map(id);
                let below = parent.is_some_and(|parent| tree.subtree(id(node)).contains(&parent));
                match tree.check_place(id(node), parent) {
                    Ok(()) => {
                        prop_assert!(!below);
                        tree.nodes[node].parent_id = parent;
                    }
                    Err(error) => {
                        prop_assert_eq!(error, Misplaced::Cycle);
                        prop_assert!(below);
                    }
                }
                // A node in a cycle can't be reached from the top.
                prop_assert_eq!(count(&tree.build(&BTreeMap::new())), 8);
            }
        }

        #[test]
        fn a_subtree_is_what_its_node_shows(parents in prop::collection::vec(any::<prop::sample::Index>(), 1..12)) {
            let parents: Vec<_> = parents.iter().enumerate().map(|(n, at)| (n > 0).then(|| at.index(n.max(1)))).collect();
            let tree = tree(&parents);
            for n in 0..parents.len() {
                let node = tree.node(id(n), &BTreeMap::new()).unwrap();
                prop_assert_eq!(count(&[node]), tree.subtree(id(n)).len());
            }
        }
    }
}
