//! Work for benchmarks of stores, the same for all: carts ready to check out, and a large catalogue with what is read of it.

mod catalog;
mod checkout;

pub use self::{
    catalog::{fill, read_figures},
    checkout::{Checkout, checkouts, commits_per_second},
};

/// What went wrong while measuring.
pub type LoadError = Box<dyn std::error::Error + Send + Sync>;

/// The middle one of some figures, or zero of none.
#[must_use]
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
