//! What the storage boundary costs over raw SQL, and what a large catalogue costs over a small one.
//!
//! `cargo bench -p commerce-sqlite` prints one line a figure: `bench NAME ratio=… value=…`.
//!
//! - `checkout_commit_N`: checkouts a second with N buyers, through `Store::commit`; the ratio is to the same rows written by
//!   raw sqlx, unguarded, by a writer that groups in the same way; medians of five turns each.
//! - `checkout_grouping`: 32 buyers against one buyer.
//! - `list_…`, `search_…`, `detail`: the median on 100,000 products in milliseconds; the ratio is to that on 1,000.

mod catalog;
mod checkout;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), commerce_core::conformance::load::LoadError> {
    checkout::run().await?;
    catalog::run().await
}
