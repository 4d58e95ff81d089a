//! Opaque tokens that clients hold. All are signed with the shop's secret, so that a forged one never reaches the database.

use std::fmt;

macro_rules! bearer {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(pub String);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}

bearer! {
    /// Opens a guest's cart (`X-Cart-Token`).
    CartToken,
    /// Opens one order (`X-Order-Token`).
    OrderToken,
}

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signs what clients hold, with keys derived from the shop's secret: one key a purpose, so that no token can pass for another.
pub(crate) struct Signer {
    root: Hmac<Sha256>,
}

impl Signer {
    pub fn new(secret: &[u8]) -> Self {
        // HMAC takes keys of any length (RFC 2104 §2).
        #[allow(clippy::expect_used)]
        let root = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { root }
    }

    /// A 256-bit signature of `data` for one purpose.
    pub fn sign(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut mac = self.root.clone();
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(data);
        mac.finalize().into_bytes().into()
    }

    /// Whether `signature` (its first bytes, at least 16) is that of `data`, in constant time.
    pub fn verify(&self, purpose: &str, data: &[u8], signature: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        let length = signature.len();
        (16..=32).contains(&length) && bool::from(self.sign(purpose, data)[..length].ct_eq(signature))
    }
}
