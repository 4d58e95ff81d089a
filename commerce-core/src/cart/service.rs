//! [`Carts`]: view, add, change, remove, clear, merge.

use std::fmt;

use uuid::Uuid;

use super::{
    Cart, CartError, CartOwner, CartStatus, CartView,
    merge::Target,
    rules::{Edit, check_available, check_quantity},
    shared::{load_offers, new_cart, offers, save},
};
use crate::{
    context::{AccessError, Actor},
    engine::{Engine, Planned},
    error::CommonError,
    id::VariantId,
    store::StoreError,
    token::CartToken,
    write::{OneCommit, Plan, Scope, Write, WriteContext},
};

/// The cart of a customer or guest.
///
/// Writes accept `if_version` of the cart: 0 while there is none.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = NewProduct::active("Enamel mug").variant("MUG", Money::parse("19.90", Currency::EUR)?).stock(10);
/// # let mug = shop.as_system().catalog().create(mug).await?.default_variant();
/// let cart = shop.as_guest().carts().add(mug, 2).await?;
/// assert_eq!(cart.total().to_string(), "39.80");
///
/// // The guest comes back with the token of their cart.
/// let guest = shop.acting_as(Actor::Guest { cart: cart.cart_token, order: None });
/// assert_eq!(guest.carts().view().await?.item_count, 2);
/// let cart = guest.carts().set_quantity(mug, 1).if_version(cart.version).await?;
/// assert_eq!(cart.total().to_string(), "19.90");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Carts {
    scope: Scope,
}

/// A cart to be changed, and whose it is. A guest without a valid token gets a new one.
struct CartAccess {
    owner: CartOwner,
    token: Option<CartToken>,
    cart: Option<Cart>,
}

impl Carts {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// Whether this shop issued a guest's token. The cart it opens may be gone, or not be there yet.
    #[must_use]
    pub fn issued(&self, token: &CartToken) -> bool {
        self.engine().signer.cart_owner(token).is_some()
    }

    /// The caller's cart, at today's prices.
    ///
    /// # Errors
    /// [`CommonError::Store`].
    pub async fn view(&self) -> Result<CartView, CartError> {
        let (engine, actor) = (self.engine(), self.scope.actor());
        let Some(cart) = open_cart(engine, actor).await? else {
            return Ok(CartView::of(engine, None, &[], None).await?);
        };
        let offers = load_offers(engine, &cart, None).await?;
        let token = owner_of(engine, actor).and_then(|(_, token)| token);
        Ok(CartView::of(engine, Some(&cart), &offers, token).await?)
    }

    /// Adds units of a variant to those that are in the cart already. A guest without a cart gets one, with its token.
    ///
    /// # Errors
    /// [`CommonError::Invalid`] at `/quantity` unless it is 1 to 9,999, and at `/variant_id` if the cart is full;
    /// [`CommonError::NotFound`] if the variant isn't sold; [`CartError::OutOfStock`] if fewer are available than the cart
    /// would hold; [`CommonError::VersionMismatch`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn add(&self, variant: VariantId, quantity: i64) -> Write<CartView, CartError> {
        self.write("carts.add", (variant, quantity), |carts, write, (variant, quantity)| {
            Box::pin(async move {
                let quantity = check_quantity(*quantity, 1)?;
                carts.plan_edit(write, Edit::Add(*variant, quantity)).await
            })
        })
    }

    /// Sets how many of a variant are in the cart; 0 removes it.
    ///
    /// # Errors
    /// [`CommonError::Invalid`] at `/quantity` unless it is 0 to 9,999; [`CommonError::NotFound`] if the variant isn't in the
    /// cart; [`CartError::OutOfStock`] if fewer are available; [`CommonError::VersionMismatch`];
    /// [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn set_quantity(&self, variant: VariantId, quantity: i64) -> Write<CartView, CartError> {
        self.write("carts.set_quantity", (variant, quantity), |carts, write, (variant, quantity)| {
            Box::pin(async move {
                let quantity = check_quantity(*quantity, 0)?;
                carts.plan_edit(write, Edit::Set(*variant, quantity)).await
            })
        })
    }

    /// Removes a variant.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if it isn't in the cart; [`CommonError::VersionMismatch`]; [`CommonError::Idempotency`];
    /// [`CommonError::Store`].
    pub fn remove(&self, variant: VariantId) -> Write<CartView, CartError> {
        self.write("carts.remove", variant, |carts, write, variant| {
            Box::pin(carts.plan_edit(write, Edit::Set(*variant, 0)))
        })
    }

    /// Removes everything.
    ///
    /// # Errors
    /// [`CommonError::VersionMismatch`]; [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn clear(&self) -> Write<CartView, CartError> {
        self.write("carts.clear", (), |carts, write, ()| Box::pin(carts.plan_edit(write, Edit::Clear)))
    }

    /// Puts a guest's cart into the signed-in customer's: quantities add up, capped at what is available. The guest's token
    /// is dead afterwards. A token that is dead already, or isn't one of this shop's, changes nothing.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`] without a signed-in customer; [`CommonError::VersionMismatch`];
    /// [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn merge(&self, token: &CartToken) -> Write<CartView, CartError> {
        let guest = self.engine().signer.cart_owner(token);
        let plan = OneCommit::new("carts.merge", self.clone(), guest, |carts, write, guest| {
            Box::pin(carts.plan_merge(write, guest.as_ref()))
        });
        self.scope.write(self.in_turn(plan).allowed_to(|actor| actor.identity().map(drop)))
    }

    async fn plan_merge(
        &self,
        write: &WriteContext,
        guest: Option<&CartOwner>,
    ) -> Result<Planned<CartView>, CartError> {
        let engine = self.engine();
        let mut changes = engine.set(write.actor());
        let into = Target::of(engine, CartOwner::User(write.actor().identity()?.user)).await?;
        write.check_version(into.version())?;
        let from = match guest {
            Some(guest) => engine.reads().load_open_cart(guest).await?.filter(|cart| cart.status == CartStatus::Open),
            None => None,
        };
        let lines = into.cart.iter().chain(&from).flat_map(|cart| &cart.lines);
        let offers = offers(engine, lines.map(|line| line.variant_id).collect()).await?;
        let cart = match from {
            Some(from) => into.take(engine, &mut changes, &from, &offers),
            None => into.cart,
        };
        let output = CartView::of(engine, cart.as_ref(), &offers, None).await?;
        Ok(Planned { changes, output })
    }

    async fn plan_edit(&self, write: &WriteContext, edit: Edit) -> Result<Planned<CartView>, CartError> {
        let engine = self.engine();
        let mut changes = engine.set(write.actor());
        let CartAccess { owner, token, cart: existing } = self.resolve_cart(write.actor()).await?;
        write.check_version(existing.as_ref().map_or(0, |cart| cart.version))?;
        if existing.is_none() && matches!(edit, Edit::Clear) {
            return Ok(Planned { changes, output: CartView::of(engine, None, &[], None).await? });
        }
        let mut cart = existing.clone().unwrap_or_else(|| new_cart(engine, owner, changes.at()));
        let checked = edit.apply(&mut cart.lines)?;
        let offers = load_offers(engine, &cart, checked).await?;
        if let Some(variant) = checked {
            check_available(&cart, &offers, variant)?;
        }
        cart.updated_at = changes.at();
        save(&mut changes, existing.as_ref(), &mut cart);
        let output = CartView::of(engine, Some(&cart), &offers, token).await?;
        Ok(Planned { changes, output })
    }

    /// The actor's open cart. Guests who hold no token of this shop's, or whose token died with a merge, become new guests.
    async fn resolve_cart(&self, actor: &Actor) -> Result<CartAccess, CommonError> {
        let engine = self.engine();
        if let Some((owner, token)) = owner_of(engine, actor) {
            let cart = engine.reads().load_open_cart(&owner).await?;
            if cart.as_ref().is_none_or(|cart| cart.status == CartStatus::Open) {
                return Ok(CartAccess { owner, token, cart });
            }
        }
        let token = engine.signer.issue_cart_token();
        let owner = engine.signer.cart_owner(&token);
        let owner = owner.ok_or_else(|| StoreError::bug("a token just issued isn't valid"))?;
        Ok(CartAccess { owner, token: Some(token), cart: None })
    }

    fn write<I: fmt::Debug + Send + Sync + 'static>(
        &self,
        name: &'static str,
        input: I,
        plan: Plan<Self, I, CartView, CartError>,
    ) -> Write<CartView, CartError> {
        let plan = self.in_turn(OneCommit::new(name, self.clone(), input, plan));
        self.scope.write(plan.allowed_to(|actor| match actor {
            Actor::User(_) | Actor::Guest { .. } => Ok(()),
            Actor::System => Err(AccessError::Unauthenticated),
        }))
    }

    /// Writes of one cart take turns.
    fn in_turn<I>(&self, plan: OneCommit<Self, I, CartView, CartError>) -> OneCommit<Self, I, CartView, CartError> {
        match owner_of(self.engine(), self.scope.actor()) {
            Some((CartOwner::User(id), _)) => plan.in_turn(id),
            Some((CartOwner::Guest(hash), _)) => {
                plan.in_turn(Uuid::parse_str(hash.get(..32).unwrap_or_default()).unwrap_or(Uuid::nil()))
            }
            None => plan,
        }
    }

    fn engine(&self) -> &Engine {
        &self.scope.engine
    }
}

/// Whose cart an actor opens, and a guest's token; `None` for guests who hold none of this shop's, and for the system.
fn owner_of(engine: &Engine, actor: &Actor) -> Option<(CartOwner, Option<CartToken>)> {
    match actor {
        Actor::User(identity) => Some((CartOwner::User(identity.user), None)),
        Actor::Guest { cart, .. } => {
            let token = cart.as_ref()?;
            Some((engine.signer.cart_owner(token)?, Some(token.clone())))
        }
        Actor::System => None,
    }
}

/// The actor's open cart, if there is one.
pub(crate) async fn open_cart(engine: &Engine, actor: &Actor) -> Result<Option<Cart>, CommonError> {
    let Some((owner, _)) = owner_of(engine, actor) else { return Ok(None) };
    let cart = engine.reads().load_open_cart(&owner).await?;
    Ok(cart.filter(|cart| cart.status == CartStatus::Open))
}
