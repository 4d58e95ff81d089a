//! What the cross-crate tests share: a shop to try things on ([`shop`]), and a simulated world ([`sim`]).
#![allow(clippy::missing_panics_doc, clippy::missing_errors_doc, reason = "a fixture panics if the test is wrong")]

pub mod ledger;
pub mod shop;
pub mod sim;
