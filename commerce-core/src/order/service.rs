//! [`Orders`]: what happens to an order after it was placed. What changes one is in `cancel`, `fulfil` and `returns`.

use super::{Order, OrderChild, OrderError, OrderQuery, OrderReturn, ReturnStatus, Tracking, normalise_number};
use crate::{
    account::{normalise_international_email, reachable},
    context::{Actor, Permission},
    error::CommonError,
    id::OrderId,
    page::{Page, PageRequest},
    payment::processor::PaymentProcessor,
    store::{AggregateId, Claim},
    text::check_filter,
    token::OrderToken,
    write::Scope,
};

/// Orders after they were placed.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = NewProduct::active("Enamel mug").variant("MUG", Money::parse("19.90", Currency::EUR)?).stock(10);
/// # let mug = shop.as_system().catalog().create(mug).await?.default_variant();
/// # shop.as_guest().accounts().register(Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace")).await?;
/// # let ada = shop.sign_in("ada@example.com", "difference engine no 2").await?;
/// # let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
/// # ada.carts().add(mug, 2).await?;
/// # let order = ada.checkout().place(Checkout::ship_to(address).pay_with("test")).await?;
/// let staff = shop.as_system();
/// let packed = staff.orders().fulfil(order.id, NewFulfilment::all("Royal Mail", "RM1")).await?;
/// staff.orders().update_fulfilment(packed.fulfilment.id, FulfilmentStatus::Shipped).await?;
///
/// let tracking = ada.orders().tracking(order.id).await?;
/// assert_eq!(tracking.timeline.last().unwrap().detail, "A parcel was shipped with Royal Mail, tracking number RM1.");
/// assert!(ada.orders().cancel(order.id, Cancellation::all()).await.is_err()); // too late
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Orders {
    pub(crate) scope: Scope,
}

/// Filters of the list of returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReturnQuery {
    status: Option<ReturnStatus>,
}

impl ReturnQuery {
    /// All returns.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only returns with this status; `None` for all.
    #[must_use]
    pub fn status(mut self, status: impl Into<Option<ReturnStatus>>) -> Self {
        self.status = status.into();
        self
    }
}

/// An order that a guest has found again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundOrder {
    /// The order.
    pub order: Order,
    /// A fresh token that opens it.
    pub order_token: OrderToken,
}

impl Orders {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    pub(crate) fn processor(&self) -> PaymentProcessor {
        PaymentProcessor { engine: self.scope.engine.clone() }
    }

    /// The caller's own orders, newest first; attempts that the gateway declined are left out.
    ///
    /// # Errors
    /// [`crate::context::AccessError::Unauthenticated`] without a signed-in user.
    pub async fn mine(&self, page: &PageRequest) -> Result<Page<Order>, OrderError> {
        let customer = Some(self.scope.actor().identity()?.user);
        let query = OrderQuery { customer, hide_declined: true, ..OrderQuery::default() };
        let spec = page.spec(&query)?;
        Ok(self.scope.engine.reads().list_orders(&query, &spec).await?.page(&query))
    }

    /// Everybody's orders, newest first.
    ///
    /// # Errors
    /// Needs [`Permission::ViewOrders`].
    pub async fn list(&self, mut query: OrderQuery, page: &PageRequest) -> Result<Page<Order>, OrderError> {
        self.scope.actor().require(Permission::ViewOrders)?;
        check_filter(&[("/email", query.email.as_deref()), ("/number", query.number.as_deref())])?;
        query.number = query.number.as_deref().map(normalise_number);
        let spec = page.spec(&query)?;
        Ok(self.scope.engine.reads().list_orders(&query, &spec).await?.page(&query))
    }

    /// An order: for its customer, for whoever holds its token, for staff.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if it isn't there or isn't theirs.
    pub async fn get(&self, id: OrderId) -> Result<Order, OrderError> {
        let order = self.processor().load(id).await?;
        if self.may_see(self.scope.actor(), &order) { Ok(order) } else { Err(CommonError::NotFound("order").into()) }
    }

    /// An order to act on as its customer does: for those whom [`Self::get`] shows it, but of staff only for who may manage
    /// orders.
    ///
    /// # Errors
    /// As [`Self::get`]; [`crate::context::AccessError::Forbidden`] for staff who may only look.
    pub async fn get_to_act_on(&self, id: OrderId) -> Result<Order, OrderError> {
        let (order, actor) = (self.get(id).await?, self.scope.actor());
        if matches!(actor, Actor::User(identity) if order.customer_id != Some(identity.user)) {
            actor.require(Permission::ManageOrders)?;
        }
        Ok(order)
    }

    /// The order that a token opens, if this shop issued it and it is good now.
    #[must_use]
    pub fn opened_by(&self, token: &OrderToken) -> Option<OrderId> {
        self.scope.engine.signer.order_of(token, self.scope.engine.now())
    }

    fn may_see(&self, actor: &Actor, order: &Order) -> bool {
        match actor {
            Actor::User(identity) => {
                order.customer_id == Some(identity.user) || identity.role.allows(Permission::ViewOrders)
            }
            Actor::Guest { order: Some(token), .. } => {
                // An order that joined an account is opened by that alone: whoever else had its token has no more to do with it.
                order.customer_id.is_none() && self.opened_by(token) == Some(order.id)
            }
            Actor::Guest { order: None, .. } => false,
            Actor::System => true,
        }
    }

    /// Who acts on an order: for a caller who is signed in and holds a token that opens it, the guest who placed it, unless the
    /// caller may manage orders.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn holder(&self, token: OrderToken, id: OrderId) -> Result<Actor, OrderError> {
        let actor = self.scope.actor().clone();
        if self.opened_by(&token) != Some(id) || actor.may(Permission::ManageOrders) {
            return Ok(actor);
        }
        let guest = Actor::Guest { cart: None, order: Some(token) };
        let order = self.scope.engine.reads().load_order(id).await?;
        Ok(if order.is_some_and(|order| self.may_see(&guest, &order)) { guest } else { actor })
    }

    /// Where an order is and what has happened to it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn tracking(&self, id: OrderId) -> Result<Tracking, OrderError> {
        let order = self.get(id).await?;
        let events = self.scope.engine.reads().list_events(AggregateId::Order(id)).await?;
        Ok(Tracking::of(&order, &events))
    }

    /// Finds a guest's order again by its number, however it is [written](normalise_number), and e-mail address, with a fresh
    /// token for it.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if the two don't belong together, or the order belongs to an account: whoever signs in to that
    /// finds it there.
    pub async fn lookup(&self, number: &str, email: &str) -> Result<FoundOrder, OrderError> {
        let not_found = || CommonError::NotFound("order");
        check_filter(&[("/number", Some(number)), ("/email", Some(email))])?;
        let number = normalise_number(number);
        let email = normalise_international_email(email).map_err(|_| not_found())?;
        let id = self.scope.engine.reads().load_claim(&Claim::order_number(&number)).await?.ok_or_else(not_found)?;
        let order = self.processor().load(id.into()).await?;
        if reachable(&order.email) != email || order.customer_id.is_some() {
            return Err(not_found().into());
        }
        let order_token = self.scope.engine.signer.issue_order_token(order.id, self.scope.engine.now());
        Ok(FoundOrder { order, order_token })
    }

    /// Everybody's returns, newest first.
    ///
    /// # Errors
    /// Needs [`Permission::ViewOrders`].
    pub async fn returns(&self, query: ReturnQuery, page: &PageRequest) -> Result<Page<OrderReturn>, OrderError> {
        let ReturnQuery { status } = query;
        self.scope.actor().require(Permission::ViewOrders)?;
        let spec = page.spec(&("returns", status))?;
        Ok(self.scope.engine.reads().list_returns(status, &spec).await?.page(&("returns", status)))
    }

    pub(crate) async fn order_of(&self, child: OrderChild, what: &'static str) -> Result<OrderId, OrderError> {
        self.scope.engine.reads().load_order_of(child).await?.ok_or_else(|| CommonError::NotFound(what).into())
    }
}
