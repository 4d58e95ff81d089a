//! [`Carts`]: view, add, change, remove, clear, merge.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Cart, CartError, CartLine, CartOwner, CartStatus, CartView,
    rules::{MAX_LINES, MAX_QUANTITY, add_to, check_available, check_quantity},
};
use crate::{
    catalog::PurchasableVariant,
    context::{Actor, Done, RequestContext},
    engine::{Engine, Planned},
    error::{CommonError, Invalid},
    id::{CartId, UserId, VariantId},
    store::{ChangeSet, Claim, Version},
    token::CartToken,
};

/// Carts of customers and guests.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = VariantDraft { stock: Some(10), ..VariantDraft::new("MUG", Money::parse("19.90", Currency::EUR)?) };
/// # let draft = ProductDraft { title: "Enamel mug".into(), status: ProductStatus::Active, variants: vec![mug], ..ProductDraft::default() };
/// # let mug = shop.catalog().create_product(&RequestContext::system(), draft).await?.value.view.product.variants[0].id;
/// use commerce_core::token::CartToken;
///
/// let cart = shop.carts().add_item(&RequestContext::guest(), mug, 2, None).await?.value;
/// assert_eq!(cart.totals.grand_total.to_string(), "39.80");
///
/// // The guest comes back with the token of their cart.
/// let guest = Actor::Guest { cart: cart.cart_token.map(CartToken), order: None };
/// assert_eq!(shop.carts().view(&guest).await?.item_count, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Carts {
    engine: Arc<Engine>,
}

/// Whose cart a call is about. A guest without a valid token gets a new one with their first item.
#[derive(Clone)]
struct CartAccess {
    owner: CartOwner,
    token: Option<CartToken>,
    is_new: bool,
}

impl CartAccess {
    /// What calls on this owner's cart queue by.
    fn queue(&self) -> Uuid {
        match &self.owner {
            CartOwner::User(id) => id.0,
            CartOwner::Guest(hash) => Uuid::parse_str(hash.get(..32).unwrap_or_default()).unwrap_or(Uuid::nil()),
        }
    }
}

impl Carts {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Whether this shop issued a guest's token. The cart it opens may be gone, or not be there yet.
    #[must_use]
    pub fn issued(&self, token: &CartToken) -> bool {
        self.engine.signer.cart_owner(token).is_some()
    }

    /// The actor's cart, at today's prices.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn view(&self, actor: &Actor) -> Result<CartView, CartError> {
        let Some((cart, token)) = self.open_cart(actor).await? else {
            return Ok(CartView::of(&self.engine, None, &[], None).await?);
        };
        let offers = self.offers(&cart, None).await?;
        Ok(CartView::of(&self.engine, Some(&cart), &offers, token).await?)
    }

    /// The actor's open cart, if there is one, and the token that opens it.
    pub(crate) async fn open_cart(&self, actor: &Actor) -> Result<Option<(Cart, Option<String>)>, CommonError> {
        let (owner, token) = match actor {
            Actor::User(identity) => (CartOwner::User(identity.user), None),
            Actor::Guest { cart: Some(token), .. } => match self.engine.signer.cart_owner(token) {
                Some(owner) => (owner, Some(token.0.clone())),
                None => return Ok(None),
            },
            Actor::Guest { cart: None, .. } | Actor::System => return Ok(None),
        };
        let cart = self.engine.reads().load_open_cart(&owner).await?;
        Ok(cart.filter(|cart| cart.status == CartStatus::Open).map(|cart| (cart, token)))
    }

    /// Adds units of a variant; what is there already adds up.
    ///
    /// # Errors
    /// [`CartError::OutOfStock`] if fewer are available than the cart would hold.
    pub async fn add_item(
        &self,
        call: &RequestContext,
        variant: VariantId,
        quantity: i64,
        expected: Option<Version>,
    ) -> Result<Done<CartView>, CartError> {
        let quantity = check_quantity(quantity, 1)?;
        self.edit(call, expected, move |lines| add_to(lines, variant, quantity)).await
    }

    /// What [`Self::add_item`] would commit, for a transaction of the host's own.
    ///
    /// # Errors
    /// As [`Self::add_item`].
    pub async fn plan_add_item(
        &self,
        call: &RequestContext,
        variant: VariantId,
        quantity: i64,
        expected: Option<Version>,
    ) -> Result<Planned<CartView>, CartError> {
        let quantity = check_quantity(quantity, 1)?;
        let access = self.cart_access(&call.actor)?;
        self.plan_edit(call, &access, expected, &|lines: &mut Vec<CartLine>| add_to(lines, variant, quantity)).await
    }

    /// Sets how many of a variant are in the cart; 0 removes it.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if it isn't in the cart; [`CartError::OutOfStock`] if fewer are available.
    pub async fn set_quantity(
        &self,
        call: &RequestContext,
        variant: VariantId,
        quantity: i64,
        expected: Option<Version>,
    ) -> Result<CartView, CartError> {
        let quantity = check_quantity(quantity, 0)?;
        let edit = self.edit(call, expected, move |lines| {
            let line = lines.iter_mut().find(|line| line.variant_id == variant);
            let line = line.ok_or(CommonError::NotFound("cart item"))?;
            line.quantity = quantity;
            lines.retain(|line| line.quantity > 0);
            Ok((quantity > 0).then_some(variant))
        });
        edit.await.map(|done| done.value)
    }

    /// Removes a variant.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if it isn't in the cart.
    pub async fn remove_item(
        &self,
        call: &RequestContext,
        variant: VariantId,
        expected: Option<Version>,
    ) -> Result<CartView, CartError> {
        self.set_quantity(call, variant, 0, expected).await
    }

    /// Removes everything.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn clear(&self, call: &RequestContext, expected: Option<Version>) -> Result<CartView, CartError> {
        if self.open_cart(&call.actor).await?.is_none() && expected.is_none_or(|version| version == 0) {
            return self.view(&call.actor).await;
        }
        let edit = self.edit(call, expected, |lines| {
            lines.clear();
            Ok(None)
        });
        edit.await.map(|done| done.value)
    }

    /// Puts a guest's cart into the signed-in customer's: quantities add up, capped at what is available. The guest's token
    /// is dead afterwards.
    ///
    /// # Errors
    /// [`crate::context::AccessError::Unauthenticated`] without a signed-in customer.
    pub async fn merge(&self, call: &RequestContext, token: &CartToken) -> Result<CartView, CartError> {
        let user = call.actor.identity()?.user;
        self.merge_into(call, user, token).await?;
        self.view(&call.actor).await
    }

    /// See [`Self::merge`]; also when signing in with a guest's cart in hand.
    pub(crate) async fn merge_into(
        &self,
        call: &RequestContext,
        user: UserId,
        token: &CartToken,
    ) -> Result<(), CartError> {
        let Some(guest) = self.engine.signer.cart_owner(token) else { return Ok(()) };
        let Some(from) = self.engine.reads().load_open_cart(&guest).await? else { return Ok(()) };
        let (this, call) = (self.clone(), RequestContext { idempotency: None, ..call.clone() });
        self.engine
            .run(async move {
                let _turn = this.engine.queues.turn(user).await;
                let plan = || this.plan_merge(&call, from.id, CartStatus::Open, CartOwner::User(user));
                this.engine.transact(&call, plan, |_| None).await.map(drop)
            })
            .await
    }

    /// Composes the merging of a cart, which must have this status, into its new owner's open one. The merged cart keeps
    /// its guest's claim, which is how the token is known to be dead, and belongs to the new owner, which is how what comes
    /// back to the guest later finds its way.
    pub(crate) async fn plan_merge(
        &self,
        call: &RequestContext,
        from: CartId,
        status: CartStatus,
        owner: CartOwner,
    ) -> Result<Planned<()>, CartError> {
        let mut changes = self.engine.set(&call.actor);
        let from = self.engine.reads().load_cart(from).await?;
        let Some(before) = from.filter(|cart| cart.status == status) else {
            return Ok(Planned { changes, output: () });
        };
        let mut existing = self.engine.reads().load_open_cart(&owner).await?;
        let mut owner = owner;
        if let Some(moved) = existing.take_if(|cart| cart.status == CartStatus::Merged) {
            owner = moved.owner;
            existing = self.engine.reads().load_open_cart(&owner).await?;
        }
        let mut merged =
            Cart { status: CartStatus::Merged, owner: owner.clone(), updated_at: changes.at(), ..before.clone() };
        changes.update(&before, &mut merged);
        let offers = self.offers(&before, None).await?;
        let target = existing.clone().unwrap_or_else(|| self.new_cart(owner, changes.at()));
        let mut after = target.clone();
        for line in &before.lines {
            let available =
                offers.iter().find(|o| o.variant.id == line.variant_id && o.is_sold()).map_or(0, |o| o.available);
            let at = after.lines.iter().position(|ours| ours.variant_id == line.variant_id);
            let ours = at.map_or(0, |at| after.lines[at].quantity);
            let cap = u32::try_from(available.clamp(0, MAX_QUANTITY)).unwrap_or(0).max(ours);
            let quantity = ours.saturating_add(line.quantity).min(cap);
            match at {
                Some(at) => after.lines[at].quantity = quantity,
                None if quantity > 0 && after.lines.len() < MAX_LINES => {
                    let position = after.lines.last().map_or(0, |last| last.position + 1);
                    after.lines.push(CartLine { position, variant_id: line.variant_id, quantity });
                }
                None => {}
            }
        }
        if after != target {
            after.updated_at = changes.at();
            Self::save(&mut changes, existing.as_ref(), &mut after);
        }
        Ok(Planned { changes, output: () })
    }

    /// Changes the lines of the actor's cart by a rule, which names the variant whose availability must be checked.
    async fn edit(
        &self,
        call: &RequestContext,
        expected: Option<Version>,
        rule: impl Fn(&mut Vec<CartLine>) -> Result<Option<VariantId>, CartError> + Send + Sync + 'static,
    ) -> Result<Done<CartView>, CartError> {
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let access = this.cart_access(&call.actor)?;
                let _turn = this.engine.queues.turn(access.queue()).await;
                let plan = || this.plan_edit(&call, &access, expected, &rule);
                this.engine.transact(&call, plan, |_| None).await
            })
            .await
    }

    async fn plan_edit(
        &self,
        call: &RequestContext,
        access: &CartAccess,
        expected: Option<Version>,
        rule: &(impl Fn(&mut Vec<CartLine>) -> Result<Option<VariantId>, CartError> + Sync),
    ) -> Result<Planned<CartView>, CartError> {
        let mut changes = self.engine.set(&call.actor);
        let (access, existing) = self.resolve_cart(access).await?;
        let mut cart = existing.clone().unwrap_or_else(|| self.new_cart(access.owner.clone(), changes.at()));
        if let Some(version) = expected.filter(|version| *version != cart.version) {
            tracing::debug!(version, present = cart.version, "If-Match failed");
            return Err(CommonError::VersionMismatch(cart.version).into());
        }
        let checked = rule(&mut cart.lines)?;
        if cart.lines.len() > MAX_LINES {
            let detail = format!("a cart holds at most {MAX_LINES} different items");
            return Err(Invalid::field("/variant_id", "cart_full", detail).into());
        }
        let offers = self.offers(&cart, checked).await?;
        if let Some(variant) = checked {
            check_available(&cart, &offers, variant)?;
        }
        cart.updated_at = changes.at();
        Self::save(&mut changes, existing.as_ref(), &mut cart);
        let token = access.token.as_ref().map(|token| token.0.clone());
        let output = CartView::of(&self.engine, Some(&cart), &offers, token).await?;
        Ok(Planned { changes, output })
    }

    fn cart_access(&self, actor: &Actor) -> Result<CartAccess, CommonError> {
        match actor {
            Actor::User(identity) => {
                Ok(CartAccess { owner: CartOwner::User(identity.user), token: None, is_new: false })
            }
            Actor::Guest { cart: Some(token), .. } => match self.engine.signer.cart_owner(token) {
                Some(owner) => Ok(CartAccess { owner, token: Some(token.clone()), is_new: false }),
                None => self.new_guest(),
            },
            Actor::Guest { cart: None, .. } => self.new_guest(),
            Actor::System => Err(crate::context::AccessError::Unauthenticated.into()),
        }
    }

    /// The holder's open cart. Where a guest's token died with a merge, they become a new guest.
    async fn resolve_cart(&self, access: &CartAccess) -> Result<(CartAccess, Option<Cart>), CommonError> {
        let existing = if access.is_new { None } else { self.engine.reads().load_open_cart(&access.owner).await? };
        match existing {
            Some(cart) if cart.status != CartStatus::Open => Ok((self.new_guest()?, None)),
            existing => Ok((access.clone(), existing)),
        }
    }

    fn new_guest(&self) -> Result<CartAccess, CommonError> {
        let token = self.engine.signer.issue_cart_token();
        let owner = self.engine.signer.cart_owner(&token);
        let owner = owner.ok_or_else(|| crate::store::StoreError::bug("a token just issued isn't valid"))?;
        Ok(CartAccess { owner, token: Some(token), is_new: true })
    }

    fn new_cart(&self, owner: CartOwner, now: crate::clock::Timestamp) -> Cart {
        Cart {
            id: CartId(self.engine.uuid()),
            owner,
            status: CartStatus::Open,
            lines: Vec::new(),
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }

    fn save(changes: &mut ChangeSet, existing: Option<&Cart>, cart: &mut Cart) {
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

    /// What is to be known of a cart's variants, and of one more. One statement.
    pub(crate) async fn offers(
        &self,
        cart: &Cart,
        also: Option<VariantId>,
    ) -> Result<Vec<PurchasableVariant>, CommonError> {
        let mut variants: Vec<VariantId> = cart.lines.iter().map(|line| line.variant_id).collect();
        variants.extend(also.filter(|variant| !variants.contains(variant)));
        if variants.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.engine.reads().load_purchasable(&variants).await?)
    }
}
