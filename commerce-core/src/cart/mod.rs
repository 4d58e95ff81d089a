//! Carts of customers and guests.

mod error;
mod model;
mod queries;
mod rules;
mod service;
mod view;

pub use self::{
    error::CartError,
    model::{Cart, CartLine, CartOwner, CartStatus},
    queries::CartQueries,
    service::Carts,
    view::{CartItem, CartView},
};
