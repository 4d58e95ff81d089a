//! What the cross-crate tests share: a shop to try things on ([`shop`]), a simulated world ([`sim`]), the real server over
//! HTTP ([`http`]), what a database holds ([`dump`]), Stripe, scripted ([`fake_stripe`]) and as a process ([`localstripe`]).
#![allow(clippy::missing_panics_doc, clippy::missing_errors_doc, reason = "a fixture panics if the test is wrong")]
#![allow(clippy::must_use_candidate, reason = "fixtures answer what tests may not ask")]
#![allow(clippy::cast_possible_wrap, reason = "tests count to small numbers")]

pub mod dump;
pub mod fake_stripe;
pub mod http;
pub mod ledger;
pub mod localstripe;
pub mod shop;
pub mod sim;
