//! The journeys over HTTP, on PostgreSQL.

mod http;

const BACKEND: commerce_tests::http::Backend = commerce_tests::http::Backend::Postgres;
