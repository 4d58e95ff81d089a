//! The published contract of storage backends and payment gateways, as tests.
//!
//! A backend or gateway that passes can be trusted with a shop. Give [`store_conformance_tests!`](crate::store_conformance_tests)
//! or [`gateway_conformance_tests!`](crate::gateway_conformance_tests) a function that makes a fixture, in an integration test of
//! your crate; each case becomes a test. Cases are plain functions in [`cases`], to be called from any other harness too.
//!
//! Store cases speak to `dyn Store` directly, in hand-made change-sets: they test storage, not rules. Rows refer to aggregates
//! that aren't there where that makes no difference, because there are no foreign keys between aggregates.
#![allow(clippy::missing_panics_doc, reason = "a case panics if the contract is broken: that is what it is for")]
#![allow(
    clippy::assigning_clones,
    clippy::similar_names,
    reason = "plain assignments and short names read best in cases"
)]

mod account;
mod broken;
mod cart;
mod catalog;
mod commit;
mod concurrency;
mod fixture;
mod gateway;
mod guards;
mod inventory;
mod listing;
pub mod load;
mod order;
mod outbox;
mod pagination;
mod review;
mod sample;
mod search;
mod shop;

#[allow(missing_docs, reason = "the doc of a case is the case's")]
pub mod cases;

pub use self::{
    broken::BrokenStore,
    concurrency::oversell,
    fixture::{GatewayFixture, StoreFixture},
};
