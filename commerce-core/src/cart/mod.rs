//! Carts of customers and guests.

mod error;
mod merge;
mod model;
mod queries;
mod rules;
mod service;
mod shared;
mod view;

pub use self::{
    error::CartError,
    model::{Cart, CartLine, CartOwner, CartStatus},
    queries::CartQueries,
    service::Carts,
    view::{CartItem, CartView},
};
pub(crate) use self::{merge::plan_return, service::open_cart, shared::load_offers};
