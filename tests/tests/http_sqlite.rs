//! The journeys over HTTP, on SQLite.

mod http;

const BACKEND: commerce_tests::http::Backend = commerce_tests::http::Backend::Sqlite;
