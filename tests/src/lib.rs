//! What the tests of the whole have in common.
#![allow(clippy::missing_panics_doc, reason = "helpers of tests panic if the test can't go on")]

pub mod fake_stripe;
pub mod http;
pub mod localstripe;
