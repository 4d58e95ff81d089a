//! Putting the lines of one cart into another: when a guest signs in, and when an order gives its cart back.

use super::{
    Cart, CartOwner, CartStatus,
    rules::merged,
    shared::{load_offers, new_cart, save},
};
use crate::{
    catalog::PurchasableVariant,
    context::Actor,
    engine::{Engine, Planned},
    error::CommonError,
    id::CartId,
    store::{ChangeSet, Version},
};

/// Where lines go: an owner, and their open cart if they have one.
pub(super) struct Target {
    owner: CartOwner,
    pub cart: Option<Cart>,
}

impl Target {
    /// The open cart of an owner. For a guest whose cart was merged into a customer's, it is the customer's.
    pub async fn of(engine: &Engine, owner: CartOwner) -> Result<Self, CommonError> {
        let cart = engine.reads().load_open_cart(&owner).await?;
        match cart {
            Some(moved) if moved.status == CartStatus::Merged => {
                let cart = engine.reads().load_open_cart(&moved.owner).await?;
                Ok(Self { owner: moved.owner, cart })
            }
            cart => Ok(Self { owner, cart }),
        }
    }

    /// 0 while there is no cart.
    pub fn version(&self) -> Version {
        self.cart.as_ref().map_or(0, |cart| cart.version)
    }

    /// Composes the merging of a cart into this one, and returns the cart as it is afterwards. The merged cart keeps its
    /// guest's claim, which is how the token is known to be dead, and belongs to the new owner, which is how what comes back
    /// to the guest later finds its way.
    pub fn take(
        self,
        engine: &Engine,
        changes: &mut ChangeSet,
        from: &Cart,
        offers: &[PurchasableVariant],
    ) -> Option<Cart> {
        let Self { owner, cart: existing } = self;
        let mut emptied =
            Cart { status: CartStatus::Merged, owner: owner.clone(), updated_at: changes.at(), ..from.clone() };
        changes.update(from, &mut emptied);
        let before = existing.clone().unwrap_or_else(|| new_cart(engine, owner, changes.at()));
        let lines = merged(&before.lines, &from.lines, offers);
        if lines == before.lines {
            return existing;
        }
        let mut after = Cart { lines, updated_at: changes.at(), ..before };
        save(changes, existing.as_ref(), &mut after);
        Some(after)
    }
}

/// Plans to put the lines of an ordered cart back into its owner's open one. Nothing happens if it isn't ordered any more.
pub(crate) async fn plan_return(engine: &Engine, from: CartId, owner: CartOwner) -> Result<Planned<()>, CommonError> {
    let mut changes = engine.set(&Actor::System);
    let from = engine.reads().load_cart(from).await?.filter(|cart| cart.status == CartStatus::Ordered);
    if let Some(from) = from {
        let target = Target::of(engine, owner).await?;
        let offers = load_offers(engine, &from, None).await?;
        target.take(engine, &mut changes, &from, &offers);
    }
    Ok(Planned { changes, output: () })
}
