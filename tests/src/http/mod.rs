//! The real server over real sockets: starting and ending it, talking to it, and the few things every journey begins with.

mod client;
pub mod contract;
mod server;
mod shop;
mod stripe;

pub use self::{
    client::{Client, Response},
    server::{Backend, Home, Server},
    shop::{ADDRESS_CITY, PASSWORD, address, at, card, id},
    stripe::{StripeProcess, WEBHOOK_SECRET, stripe_card, stripe_settings},
};
