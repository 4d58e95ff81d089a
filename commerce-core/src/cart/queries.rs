//! What is read of carts.

use async_trait::async_trait;

use super::{Cart, CartOwner};
use crate::{error::StoreError, id::CartId};

/// Reads of carts.
#[async_trait]
pub trait CartQueries: Send + Sync {
    /// A cart with its lines, by position.
    async fn load_cart(&self, id: CartId) -> Result<Option<Cart>, StoreError>;

    /// The cart that holds an owner's [`crate::store::Claim::open_cart`], with its lines. One statement.
    async fn load_open_cart(&self, owner: &CartOwner) -> Result<Option<Cart>, StoreError>;
}
