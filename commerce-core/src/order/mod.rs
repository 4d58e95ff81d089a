//! Orders: three orthogonal states, lines, fulfilments and returns; transitions are tables.

mod cancel;
mod edit;
mod effects;
mod error;
mod fulfil;
mod model;
mod number;
mod owed;
mod quantity;
mod queries;
mod record;
mod returns;
mod rules;
mod selection;
mod service;
mod state;
mod tracking;
mod withdraw;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use self::{
    cancel::Cancellation,
    error::OrderError,
    fulfil::{Fulfilled, FulfilmentUpdate, NewFulfilment},
    model::{Fulfilment, Order, OrderLine, Return},
    number::normalise_number,
    quantity::LineQuantity,
    queries::{OrderChild, OrderPayment, OrderQueries, OrderQuery, OrderReturn},
    returns::{NewReturn, RequestedReturn, ReturnDecision, ReturnRefund},
    rules::OrderAction,
    selection::ItemSelection,
    service::{FoundOrder, Orders, ReturnQuery},
    state::{FulfilmentState, FulfilmentStatus, OrderStatus, ReturnStatus},
    tracking::{TimelineEntry, Tracking},
};
pub(crate) use self::{
    edit::{Admission, EditWrite, Edited, Executor, child_of},
    effects::Effects,
    rules::{NewParcel, merge_items},
    withdraw::Withdrawn,
};
