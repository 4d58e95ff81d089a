//! [`Claim`]: the names and places of which there is one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    cart::CartOwner,
    id::{ProductId, UserId},
};

/// Something of which there may be only one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// What kind of thing.
    pub kind: ClaimKind,
    /// The unique text within its kind.
    pub key: String,
}

/// The kinds of things of which there may be only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// A user's e-mail address, in lower case, its domain in ASCII.
    Email,
    /// A product's slug.
    ProductSlug,
    /// A category's slug.
    CategorySlug,
    /// A slug that a product had before, and that still leads to it.
    FormerProductSlug,
    /// A slug that a category had before, and that still leads to it.
    FormerCategorySlug,
    /// A variant's SKU, as it looks.
    Sku,
    /// An order's number.
    OrderNumber,
    /// The one open cart of a customer or guest.
    OpenCart,
    /// A customer's one review of a product.
    Review,
    /// A payment as its gateway names it.
    GatewayRef,
}

impl ClaimKind {
    /// The kind's name in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::ProductSlug => "product_slug",
            Self::CategorySlug => "category_slug",
            Self::FormerProductSlug => "former_product_slug",
            Self::FormerCategorySlug => "former_category_slug",
            Self::Sku => "sku",
            Self::OrderNumber => "order_number",
            Self::OpenCart => "open_cart",
            Self::Review => "review",
            Self::GatewayRef => "gateway_ref",
        }
    }
}

impl Claim {
    fn new(kind: ClaimKind, key: impl Into<String>) -> Self {
        Self { kind, key: key.into() }
    }

    /// A user's e-mail address, as [`crate::account::normalise_email`] writes it.
    #[must_use]
    pub fn email(email: &str) -> Self {
        Self::new(ClaimKind::Email, email)
    }

    /// A product's slug.
    #[must_use]
    pub fn product_slug(slug: &str) -> Self {
        Self::new(ClaimKind::ProductSlug, slug)
    }

    /// A category's slug.
    #[must_use]
    pub fn category_slug(slug: &str) -> Self {
        Self::new(ClaimKind::CategorySlug, slug)
    }

    /// A slug that a product had before. It stays with the product until it is given to another, and isn't checked against
    /// [`product_slug`](Self::product_slug): whoever has a slug now comes first.
    #[must_use]
    pub fn former_product_slug(slug: &str) -> Self {
        Self::new(ClaimKind::FormerProductSlug, slug)
    }

    /// A slug that a category had before, as [`former_product_slug`](Self::former_product_slug).
    #[must_use]
    pub fn former_category_slug(slug: &str) -> Self {
        Self::new(ClaimKind::FormerCategorySlug, slug)
    }

    /// A variant's SKU, by its [look](crate::text::look): SKUs that look the same are the same, in all backends.
    #[must_use]
    pub fn sku(sku: &str) -> Self {
        Self::new(ClaimKind::Sku, crate::text::look(sku))
    }

    /// An order's number.
    #[must_use]
    pub fn order_number(number: &str) -> Self {
        Self::new(ClaimKind::OrderNumber, number)
    }

    /// The one open cart of an owner.
    #[must_use]
    pub fn open_cart(owner: &CartOwner) -> Self {
        Self::new(ClaimKind::OpenCart, owner.key())
    }

    /// The one review of a product by a customer.
    #[must_use]
    pub fn review(product: ProductId, customer: UserId) -> Self {
        Self::new(ClaimKind::Review, format!("{product}/{customer}"))
    }

    /// A payment as its gateway names it.
    #[must_use]
    pub fn gateway_ref(gateway: &str, reference: &str) -> Self {
        Self::new(ClaimKind::GatewayRef, format!("{gateway}/{reference}"))
    }
}

/// What to do with a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOp {
    /// Take it for this owner; a conflict if anybody holds it.
    Acquire(Uuid),
    /// Give it back, if this owner holds it.
    Release(Uuid),
}
