//! What users may do: [`Role`] and its [permissions](Permission).

use serde::{Deserialize, Serialize};

/// What a user of the shop may do. One role each; see [`Role::allows`] for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys.
    Customer,
    /// Helps customers: sees orders, moderates reviews.
    Support,
    /// Runs the shop: catalogue, stock, orders, refunds.
    Manager,
    /// May do everything, users included.
    Admin,
}

/// A right that a service asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See drafts and edit products, variants and categories.
    EditCatalog,
    /// See and change stock.
    EditStock,
    /// See everybody's orders, payments and returns.
    ViewOrders,
    /// Fulfil, cancel and capture; decide on returns.
    ManageOrders,
    /// Give money back.
    Refund,
    /// Hide and show reviews.
    ModerateReviews,
    /// See and acknowledge alerts.
    ViewAlerts,
    /// See other users.
    ViewUsers,
    /// Change other users' roles, or lock them out.
    EditUsers,
}

impl Role {
    /// Whether this role has a right.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        use Permission::{ModerateReviews, ViewAlerts, ViewOrders, ViewUsers};
        match self {
            Self::Customer => false,
            Self::Support => matches!(permission, ViewOrders | ModerateReviews | ViewAlerts | ViewUsers),
            Self::Manager => permission != Permission::EditUsers,
            Self::Admin => true,
        }
    }

    /// The role's name in the API and in storage.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Support => "support",
            Self::Manager => "manager",
            Self::Admin => "admin",
        }
    }
}
