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
