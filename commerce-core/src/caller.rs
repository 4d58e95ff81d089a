//! [`Caller`]: the shop as one actor uses it.

use std::sync::Arc;

use crate::{
    account::{AccountError, Accounts, Credentials},
    cart::Carts,
    catalog::Catalog,
    checkout::Checkouts,
    commerce::Commerce,
    context::{Actor, RequestContext},
    inventory::Inventory,
    order::Orders,
    payment::Payments,
    review::Reviews,
    token::AccessToken,
    write::Scope,
};

/// The shop as one actor uses it: every service, bound to who asks. Cheap to clone.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// let staff = shop.as_system();
/// let stock = staff.inventory().stock(Default::default(), &PageRequest::default()).await?;
/// assert!(stock.items.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Caller(Scope);

impl Caller {
    pub(crate) fn new(shop: &Commerce, call: RequestContext) -> Self {
        Self(Scope { engine: Arc::clone(shop.engine()), call: Arc::new(call) })
    }

    /// Who asks.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        self.0.actor()
    }

    /// Users, sessions, addresses.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        Accounts::new(self.0.clone())
    }

    /// Products and categories.
    #[must_use]
    pub fn catalog(&self) -> Catalog {
        Catalog::new(self.0.clone())
    }

    /// The cart.
    #[must_use]
    pub fn carts(&self) -> Carts {
        Carts::new(self.0.clone())
    }

    /// Stock and alerts.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        Inventory::new(self.0.clone())
    }

    /// Quotes and placing orders.
    #[must_use]
    pub fn checkout(&self) -> Checkouts {
        Checkouts::new(self.0.clone())
    }

    /// Orders after they were placed.
    #[must_use]
    pub fn orders(&self) -> Orders {
        Orders::new(self.0.clone())
    }

    /// Payments and refunds.
    #[must_use]
    pub fn payments(&self) -> Payments {
        Payments::new(self.0.clone())
    }

    /// Reviews.
    #[must_use]
    pub fn reviews(&self) -> Reviews {
        Reviews::new(self.0.clone())
    }
}

impl Commerce {
    /// The shop as used by an actor, from wherever the call says it comes.
    #[must_use]
    pub fn acting_as(&self, call: impl Into<RequestContext>) -> Caller {
        Caller::new(self, call.into())
    }

    /// The shop as it uses itself, with every right: for the host's own code.
    #[must_use]
    pub fn as_system(&self) -> Caller {
        self.acting_as(Actor::System)
    }

    /// The shop as somebody uses it who is not signed in and holds no cart yet.
    #[must_use]
    pub fn as_guest(&self) -> Caller {
        self.acting_as(Actor::guest())
    }

    /// Opens a session, and gives the shop as its user uses it.
    ///
    /// # Errors
    /// [`AccountError::InvalidCredentials`] unless the password is that of the account.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<Caller, AccountError> {
        let login = self.as_guest().accounts().login(Credentials::new(email, password)).await?;
        self.authenticate(&login.tokens.access_token).await
    }

    /// The shop as the bearer of an access token uses it. The session must be alive, and the role is the user's present one; both
    /// may be known from up to two seconds ago, but never from before an end that this process made.
    ///
    /// # Errors
    /// [`AccountError::InvalidToken`] if the token is not valid, or its session has ended.
    pub async fn authenticate(&self, token: &AccessToken) -> Result<Caller, AccountError> {
        let identity = Accounts::new(Scope::system(Arc::clone(self.engine()))).authenticate(token).await?;
        Ok(self.acting_as(Actor::User(identity)))
    }
}

impl From<Actor> for RequestContext {
    fn from(actor: Actor) -> Self {
        Self::by(actor)
    }
}

impl From<&Actor> for RequestContext {
    fn from(actor: &Actor) -> Self {
        Self::by(actor.clone())
    }
}

impl From<&Self> for RequestContext {
    fn from(call: &Self) -> Self {
        call.clone()
    }
}
