//! The HTTP API of the commerce engine: mount it in any poem app, or run the binary `commerce-server`.
//!
//! ```no_run
//! # async fn run(commerce: commerce_core::Commerce) -> std::io::Result<()> {
//! use commerce_http::CommerceApi;
//! use poem::{Route, Server, listener::TcpListener};
//!
//! let app = Route::new().nest("/shop", CommerceApi::new(commerce).build());
//! Server::new(TcpListener::bind("127.0.0.1:8080")).run(app).await
//! # }
//! ```
//!
//! The API documents itself at `/docs`, `/openapi.json` and `/openapi.yaml` below wherever it is mounted; links follow.
//! `/health/live`, `/health/ready` and (if a renderer is given) `/metrics` are there for whoever runs it.
//!
//! | module | holds |
//! |---|---|
//! | `account`, `auth`, `catalog`, `cart`, `checkout`, `order`, `payment`, `inventory`, `review` | the operations of each domain, what they take and answer, and how their errors are told |
//! | `payload`, `parse`, `problem`, `errors` | bodies both ways; problem documents |
//! | `caller`, `header`, `conditional`, `param`, `types` | who calls; `ETag`s and idempotency keys; parameters; money, instants, pages |
//! | `stack` | what every request passes: cache, limits, compression, headers, metrics |
//! | `health` | whether the shop is alive and able, and its metrics |
//! | `spec` | the groups of operations |
//! | `tower` | the API as a tower service, for hosts that are not built on poem (feature `tower`) |
//! | `document` | the OpenAPI document and Swagger UI: it knows all others, and none but `service` knows it |
//!
//! Operations only translate: every rule and every check of rights is core's. To add one: its body types with examples
//! in the domain's `dto`, a method in the domain's API object, and its problems in `document::problems`.

// The modules are private: what they call `pub` is for the crate.
#![allow(unreachable_pub)]

mod account;
mod auth;
mod caller;
mod canonical;
mod cart;
mod catalog;
mod checkout;
mod coding;
mod conditional;
mod document;
mod errors;
mod header;
mod health;
mod inventory;
mod order;
mod param;
mod parse;
mod payload;
mod payment;
mod problem;
mod review;
mod service;
mod spec;
mod stack;
#[cfg(feature = "tower")]
mod tower;
mod types;

pub use service::CommerceApi;
#[cfg(feature = "tower")]
pub use tower::CommerceService;

/// The code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
