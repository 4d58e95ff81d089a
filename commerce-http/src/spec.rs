//! The groups of operations.

use poem_openapi::Tags;

/// Groups of operations, in the order of a customer's journey, then staff's.
#[derive(Clone, Copy, Tags)]
pub enum Tag {
    /// Register, sign in and out, confirm, reset.
    Auth,
    /// Your profile, devices and addresses.
    Account,
    /// What the shop sells.
    Catalogue,
    /// What customers think of it.
    Reviews,
    /// What you are about to buy. Guests get an `X-Cart-Token` with their first item.
    Cart,
    /// Quote, pay, order.
    Checkout,
    /// What you have bought. Guests get an `X-Order-Token` with their order.
    Orders,
    /// What payment gateways call.
    Payments,
    /// Products, variants, categories. For managers and admins.
    #[oai(rename = "Admin: catalogue")]
    AdminCatalogue,
    /// Stock, its ledger, alerts. For managers and admins.
    #[oai(rename = "Admin: inventory")]
    AdminInventory,
    /// Orders, parcels, payments, refunds, returns. Support sees, managers and admins act.
    #[oai(rename = "Admin: orders")]
    AdminOrders,
    /// Moderation.
    #[oai(rename = "Admin: reviews")]
    AdminReviews,
    /// Users and their roles. Support and managers see, admins change.
    #[oai(rename = "Admin: users")]
    AdminUsers,
}

/// The tags in their order.
pub const ORDER: [Tag; 13] = [
    Tag::Auth,
    Tag::Account,
    Tag::Catalogue,
    Tag::Reviews,
    Tag::Cart,
    Tag::Checkout,
    Tag::Orders,
    Tag::Payments,
    Tag::AdminCatalogue,
    Tag::AdminInventory,
    Tag::AdminOrders,
    Tag::AdminReviews,
    Tag::AdminUsers,
];
