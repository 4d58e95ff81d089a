//! Work for benchmarks of stores, the same for all: carts ready to check out, and a large catalogue with what is read of it.

mod catalog;
mod checkout;
mod figures;

pub use self::{
    catalog::{fill, read_figures},
    checkout::{Checkout, checkouts, commits_per_second},
    figures::{LoadError, median},
};
