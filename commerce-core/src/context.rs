//! Who calls, from where, and how often at most: [`Actor`], [`RequestContext`].

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{SessionId, UserId},
    token::{CartToken, OrderToken},
};

pub use crate::{
    error::{AccessError, IdempotencyError},
    role::{Permission, Role},
};

/// A user known by an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// The session the access token belongs to.
    pub session: SessionId,
}

/// Who asks. Every service call that needs a right takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody who isn't signed in, with what they hold in their hands.
    Guest {
        /// Opens the guest's cart.
        cart: Option<CartToken>,
        /// Opens one order.
        order: Option<OrderToken>,
    },
    /// A signed-in customer or member of staff.
    User(Identity),
    /// The shop itself: the worker, the command line, an embedder's own code.
    System,
}

impl Actor {
    /// A guest with empty hands.
    #[must_use]
    pub const fn guest() -> Self {
        Self::Guest { cart: None, order: None }
    }

    /// The signed-in user's id.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::User(identity) => Some(identity.user),
            Self::Guest { .. } | Self::System => None,
        }
    }

    /// The signed-in user.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`] for guests and the system.
    pub fn identity(&self) -> Result<Identity, AccessError> {
        match self {
            Self::User(identity) => Ok(*identity),
            Self::Guest { .. } | Self::System => Err(AccessError::Unauthenticated),
        }
    }

    /// Whether the actor has a right.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        match self {
            Self::Guest { .. } => false,
            Self::User(identity) => identity.role.allows(permission),
            Self::System => true,
        }
    }

    /// Demands a right.
    ///
    /// # Errors
    /// [`AccessError::Unauthenticated`] for guests, [`AccessError::Forbidden`] for users whose role lacks it.
    pub fn require(&self, permission: Permission) -> Result<(), AccessError> {
        match self {
            _ if self.may(permission) => Ok(()),
            Self::Guest { .. } => Err(AccessError::Unauthenticated),
            Self::User(_) | Self::System => Err(AccessError::Forbidden(permission)),
        }
    }

    /// How this actor is written down in ledgers and events.
    #[must_use]
    pub fn reference(&self) -> ActorRef {
        match self {
            Self::Guest { .. } => ActorRef::Guest,
            Self::User(identity) => ActorRef::User(identity.user),
            Self::System => ActorRef::System,
        }
    }
}

/// An actor as ledgers and events remember it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum ActorRef {
    /// Somebody who wasn't signed in.
    Guest,
    /// A user.
    User(UserId),
    /// The shop itself.
    System,
}

/// Where a call came from; kept with sessions and used for rate limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub ip: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// The request's id, for logs.
    pub request_id: Option<String>,
    /// When the request arrived; the clock's time at the start of the call if absent.
    pub arrived: Option<Timestamp>,
}

/// A client's wish that a call has its effect once, however often it is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Idempotency {
    /// SHA-256 over caller, operation and the client's key: the same key of another caller is another key.
    pub key: [u8; 32],
    /// SHA-256 of the request: the same key with another request is refused.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// A key `key` of the caller `scope` (say, user and operation) for a request with this content.
    #[must_use]
    pub fn new(scope: &str, key: &str, request: &[u8]) -> Self {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        hash.update((scope.len() as u64).to_be_bytes());
        hash.update(scope);
        hash.update(key);
        Self { key: hash.finalize().into(), fingerprint: Sha256::digest(request).into() }
    }
}

/// The context of a mutating call.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who calls.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// How often at most.
    pub idempotency: Option<Idempotency>,
}

impl RequestContext {
    /// A call by an actor, from nowhere in particular, without an idempotency key.
    #[must_use]
    pub fn by(actor: Actor) -> Self {
        Self { actor, origin: Origin::default(), idempotency: None }
    }

    /// A call by a guest with empty hands.
    #[must_use]
    pub fn guest() -> Self {
        Self::by(Actor::guest())
    }

    /// A call by the shop itself: allowed everything.
    #[must_use]
    pub fn system() -> Self {
        Self::by(Actor::System)
    }

    /// The same call, at most once.
    #[must_use]
    pub fn once(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = Some(idempotency);
        self
    }
}
