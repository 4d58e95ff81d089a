//! Which units of an order a call is about.

use crate::order::LineQuantity;

/// Which units of an order a call is about: all that it can be about, or these. An empty list is refused; it never means
/// everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ItemSelection {
    /// All that the call can be about.
    #[default]
    All,
    /// These units, at least one.
    Only(Vec<LineQuantity>),
}

impl From<Vec<LineQuantity>> for ItemSelection {
    fn from(items: Vec<LineQuantity>) -> Self {
        Self::Only(items)
    }
}

impl<const N: usize> From<[LineQuantity; N]> for ItemSelection {
    fn from(items: [LineQuantity; N]) -> Self {
        Self::Only(items.into())
    }
}

/// No list means all; an empty one is a list.
impl From<Option<Vec<LineQuantity>>> for ItemSelection {
    fn from(items: Option<Vec<LineQuantity>>) -> Self {
        items.map_or(Self::All, Self::Only)
    }
}
