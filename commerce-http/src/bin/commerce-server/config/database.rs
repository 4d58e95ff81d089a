//! Where everything is kept.

use std::path::{Path, PathBuf};

use super::{ConfigError, items, wrong};

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file, or memory.
    Sqlite { url: String, file: Option<PathBuf> },
    /// A server, by its URL.
    Postgres(String),
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Where the secret of a shop in this file is kept, unless a setting gives it.
pub fn secret_beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".secret");
    name.into()
}

impl Database {
    /// Reads the URL that this variable or flag holds.
    pub fn read(variable: &'static str, url: &str) -> Result<Self, ConfigError> {
        let refused = |why: &str| wrong(variable, why);
        if is_postgres(url) {
            check(variable, url)?;
            return Ok(Self::Postgres(url.to_owned()));
        }
        let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        let rest = rest.ok_or_else(|| refused("must begin with sqlite:// or postgres://"))?;
        let path = rest.split('?').next().unwrap_or_default();
        if path.is_empty() {
            return Err(refused("names no file: write sqlite://commerce.db"));
        }
        let file = (path != ":memory:").then(|| PathBuf::from(path));
        Ok(Self::Sqlite { url: url.to_owned(), file })
    }

    /// Reads the list of its replicas.
    pub fn replicas(&self, text: &str) -> Result<Vec<String>, ConfigError> {
        const VARIABLE: &str = "COMMERCE_DATABASE_REPLICAS";
        let replicas: Vec<String> = items(text).map(str::to_owned).collect();
        for url in &replicas {
            if !is_postgres(url) {
                let why = "must list PostgreSQL servers, each by a URL of its own: \
                           postgres://replica-1/shop,postgres://replica-2/shop";
                return Err(wrong(VARIABLE, why));
            }
            check_replica(VARIABLE, url)?;
        }
        if !replicas.is_empty() && matches!(self, Self::Sqlite { .. }) {
            return Err(wrong(VARIABLE, "needs PostgreSQL in COMMERCE_DATABASE_URL: a SQLite file has no replicas"));
        }
        Ok(replicas)
    }
}

/// Whether every part of a URL can be honoured; complaints don't repeat what the URL says, which may be a password.
#[cfg(feature = "postgres")]
fn check(variable: &'static str, url: &str) -> Result<(), ConfigError> {
    commerce_postgres::check_url(url).map_err(|why| wrong(variable, format!("has a URL that {why}")))
}

/// The same of a replica's URL.
#[cfg(feature = "postgres")]
fn check_replica(variable: &'static str, url: &str) -> Result<(), ConfigError> {
    commerce_postgres::check_replica_url(url).map_err(|why| wrong(variable, format!("has a URL that {why}")))
}

#[cfg(not(feature = "postgres"))]
fn check_replica(variable: &'static str, url: &str) -> Result<(), ConfigError> {
    check(variable, url)
}

#[cfg(not(feature = "postgres"))]
fn check(variable: &'static str, _url: &str) -> Result<(), ConfigError> {
    Err(wrong(variable, "names PostgreSQL, but this server was built without the feature 'postgres'"))
}
