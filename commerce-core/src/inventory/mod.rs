//! Inventory: what is on hand, reserved and available of each variant, and the ledger of movements.
//!
//! `available = on_hand − reserved`. Units are reserved when an order is placed and leave `on_hand` when it is confirmed.

mod error;
mod queries;
mod service;
mod stock;

pub use self::{
    error::InventoryError,
    queries::InventoryQueries,
    service::Inventory,
    stock::{MAX_STOCK, MovementKind, MovementRecord, NewStock, StockCount, StockItem, StockQuery},
};
