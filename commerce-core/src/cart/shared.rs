//! What all writes of carts share: what is offered, and how a cart is saved.

use super::{Cart, CartLine, CartOwner, CartStatus};
use crate::{
    catalog::PurchasableVariant,
    clock::Timestamp,
    engine::Engine,
    error::CommonError,
    id::{CartId, VariantId},
    store::{ChangeSet, Claim},
};

/// What is to be known of a cart's variants, and of one more. One statement.
pub(crate) async fn load_offers(
    engine: &Engine,
    cart: &Cart,
    also: Option<VariantId>,
) -> Result<Vec<PurchasableVariant>, CommonError> {
    offers(engine, cart.lines.iter().map(|line| line.variant_id).chain(also).collect()).await
}

/// What is to be known of these variants. One statement.
pub(super) async fn offers(
    engine: &Engine,
    mut variants: Vec<VariantId>,
) -> Result<Vec<PurchasableVariant>, CommonError> {
    let mut seen = std::collections::BTreeSet::new();
    variants.retain(|variant| seen.insert(*variant));
    if variants.is_empty() {
        return Ok(Vec::new());
    }
    Ok(engine.reads().load_purchasable(&variants).await?)
}

/// An open cart with nothing in it.
pub(super) fn new_cart(engine: &Engine, owner: CartOwner, now: Timestamp) -> Cart {
    Cart {
        id: CartId(engine.uuid()),
        owner,
        status: CartStatus::Open,
        lines: Vec::<CartLine>::new(),
        created_at: now,
        updated_at: now,
        version: 0,
    }
}

/// Saves a cart, which claims its owner's open place if it is new.
pub(super) fn save(changes: &mut ChangeSet, existing: Option<&Cart>, cart: &mut Cart) {
    match existing {
        Some(before) => {
            changes.update(before, cart);
        }
        None => {
            changes.insert(cart);
            changes.hold(Claim::open_cart(&cart.owner), cart.id);
        }
    }
}
