//! Identifiers: one newtype per entity over a UUIDv7 (RFC 9562), so that ids sort by creation time and can't be mixed up.

use std::{fmt, str::FromStr, sync::Mutex};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Uuid {
                id.0
            }
        }
    )+};
}

ids! {
    /// A registered person: customer or staff.
    UserId,
    /// One login of a user on one device.
    SessionId,
    /// A saved postal address.
    AddressId,
    /// A single-use token sent by e-mail.
    MailTokenId,
    /// A product.
    ProductId,
    /// What is sold: one variant of a product, with its own SKU, price and stock.
    VariantId,
    /// A node of the category tree.
    CategoryId,
    /// A shopping cart.
    CartId,
    /// An order.
    OrderId,
    /// One attempt to pay an order; also the gateway's idempotency key.
    PaymentId,
    /// Money going back to a customer; also the gateway's idempotency key.
    RefundId,
    /// A parcel.
    FulfilmentId,
    /// Goods coming back from a customer.
    ReturnId,
    /// A product review.
    ReviewId,
    /// Something staff should look at.
    AlertId,
    /// A change-set; `commit` is idempotent by it.
    CommitId,
    /// A due piece of background work.
    TaskId,
    /// A domain event.
    EventId,
}

/// Where ids come from. Injected, so that a simulation can replay them.
pub trait IdGenerator: Send + Sync + 'static {
    /// A fresh id, greater than those given before by the same generator as far as the clock allows.
    fn uuid(&self) -> Uuid;
}

/// UUIDv7 from the system's clock and random source.
#[derive(Debug, Default, Clone, Copy)]
pub struct UuidV7;

impl IdGenerator for UuidV7 {
    #[allow(clippy::disallowed_methods)]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Replayable ids for tests and simulations: a counter, spread by a seed.
#[derive(Debug)]
pub struct SeededIds {
    seed: u16,
    next: Mutex<u64>,
}

impl SeededIds {
    /// Ids that are the same in every run with the same `seed`.
    #[must_use]
    pub fn new(seed: u16) -> Self {
        Self { seed, next: Mutex::new(1) }
    }
}

impl IdGenerator for SeededIds {
    fn uuid(&self) -> Uuid {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let n = *next;
        *next += 1;
        // The counter takes the place of UUIDv7's 48-bit time, so that ids keep their order.
        let mut bytes = [0u8; 16];
        bytes[..6].copy_from_slice(&n.to_be_bytes()[2..]);
        bytes[6] = 0x70;
        bytes[8] = 0x80;
        bytes[14..].copy_from_slice(&self.seed.to_be_bytes());
        Uuid::from_bytes(bytes)
    }
}
