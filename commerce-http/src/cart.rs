//! The cart of a customer or guest.

pub mod dto;

use commerce_core::{
    cart::{self as core, CartError},
    id::VariantId,
};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use serde::Serialize;
use uuid::Uuid;

use self::dto::{Cart, CartItemPatch, NewCartItem};
use crate::{
    caller::{Caller, CartTokenHeader, Shopper, SignedIn},
    conditional::{IdempotencyKey, IfMatch},
    payload::{Input, Reply},
    problem::{ApiError, Code, Members, missing_first},
    spec::Tag,
    stack::CART_TOKEN,
    types::sample,
};

impl From<CartError> for ApiError {
    fn from(error: CartError) -> Self {
        let detail = error.to_string();
        match error {
            CartError::Common(error) => error.into(),
            CartError::OutOfStock { variant_id, available } => Self::out_of_stock(detail, variant_id, available),
        }
    }
}

impl ApiError {
    /// Fewer units are there than wanted.
    pub fn out_of_stock(detail: String, variant_id: VariantId, available: i64) -> Self {
        Self::with(detail, &OutOfStock { variant_id: variant_id.0, available })
    }
}

/// Fewer units are there than were wanted.
#[derive(Object, Serialize)]
#[oai(example)]
pub struct OutOfStock {
    /// The variant that is out of stock.
    pub variant_id: Uuid,
    /// How many units can be bought now.
    pub available: i64,
}

impl Members for OutOfStock {
    const CODE: Code = Code::OutOfStock;
}

impl Example for OutOfStock {
    fn example() -> Self {
        Self { variant_id: sample::VARIANT, available: 2 }
    }
}

/// A cart, with its token for guests in header and body.
fn cart(view: core::CartView) -> Reply<Cart> {
    let (version, token) = (view.version, view.cart_token.clone());
    let reply = Reply::new(view).version(version);
    match token {
        Some(token) => reply.header(CART_TOKEN, &token.0),
        None => reply,
    }
}

/// Operations on the caller's cart.
pub struct CartApi;

async fn holds(caller: &Caller<Shopper>, variant: VariantId) -> Result<(), ApiError> {
    let view = caller.shop().carts().view().await?;
    let found = view.items.iter().any(|item| item.variant_id == variant);
    found.then_some(()).ok_or_else(|| ApiError::not_found("cart item"))
}

#[OpenApi(prefix_path = "/v1/cart", tag = "Tag::Cart")]
impl CartApi {
    /// Your cart
    ///
    /// An empty one if you have none yet. Prices are today's until checkout.
    #[oai(path = "/", method = "get", operation_id = "get_cart")]
    async fn get(&self, caller: Caller<Shopper>) -> Result<Reply<Cart>, ApiError> {
        Ok(cart(caller.shop().carts().view().await?))
    }

    /// Put something into the cart
    ///
    /// Adds up. A guest gets a cart token with the first item.
    #[oai(path = "/items", method = "post", operation_id = "add_cart_item")]
    async fn add(
        &self,
        caller: Caller<Shopper>,
        idempotency_key: IdempotencyKey,
        if_match: IfMatch,
        body: Input<NewCartItem>,
    ) -> Result<Reply<Cart>, ApiError> {
        let NewCartItem { variant_id, quantity } = body.parse()?;
        let carts = caller.shop_once(&idempotency_key, &body).carts();
        let outcome = carts.add(variant_id.into(), quantity).if_version(if_match.0).outcome().await?;
        Ok(cart(outcome.value).replayed(outcome.replayed))
    }

    /// Change a quantity
    ///
    /// 0 removes the item.
    #[oai(path = "/items/:variant_id", method = "patch", operation_id = "set_cart_item")]
    async fn set(
        &self,
        caller: Caller<Shopper>,
        variant_id: Path<Uuid>,
        if_match: IfMatch,
        body: Input<CartItemPatch>,
    ) -> Result<Reply<Cart>, ApiError> {
        let id = variant_id.0.into();
        let quantity = body.parse_for(holds(&caller, id)).await?.quantity;
        let set = caller.shop().carts().set_quantity(id, quantity).if_version(if_match.0).await;
        Ok(cart(missing_first(set, holds(&caller, id)).await?))
    }

    /// Remove an item
    ///
    /// Answers the cart without it.
    #[oai(path = "/items/:variant_id", method = "delete", operation_id = "remove_cart_item")]
    async fn remove(
        &self,
        caller: Caller<Shopper>,
        variant_id: Path<Uuid>,
        if_match: IfMatch,
    ) -> Result<Reply<Cart>, ApiError> {
        Ok(cart(caller.shop().carts().remove(variant_id.0.into()).if_version(if_match.0).await?))
    }

    /// Empty the cart
    ///
    /// Answers the empty cart.
    #[oai(path = "/", method = "delete", operation_id = "clear_cart")]
    async fn clear(&self, caller: Caller<Shopper>, if_match: IfMatch) -> Result<Reply<Cart>, ApiError> {
        Ok(cart(caller.shop().carts().clear().if_version(if_match.0).await?))
    }

    /// Merge a guest's cart into yours
    ///
    /// Quantities add up, capped at what is available; the guest's token dies. Logging in with the header does it too.
    #[oai(path = "/merge", method = "post", operation_id = "merge_cart")]
    async fn merge(
        &self,
        caller: Caller<SignedIn>,
        /// The guest's cart.
        x_cart_token: CartTokenHeader,
    ) -> Result<Reply<Cart>, ApiError> {
        let token = x_cart_token.0.ok_or_else(|| {
            ApiError::from(commerce_core::error::Invalid::field("", "required", "send the guest's X-Cart-Token"))
        })?;
        Ok(cart(caller.shop().carts().merge(&token).await?))
    }
}
