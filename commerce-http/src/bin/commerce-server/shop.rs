//! The shop that the configuration describes.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};

use commerce_core::{
    Commerce, CommerceBuilder,
    notification::{FileMailer, SmtpMailer},
    payment::{ManualGateway, TestGateway, stripe::StripeGateway},
    store::Portable,
};
use commerce_sqlite::{SqliteSettings, SqliteStore};

use crate::{
    Failure,
    config::{self, Config, Database, DatabaseLimits, Gateways, Mail},
};

/// A shop, and its test gateway if it offers one.
pub struct Shop {
    pub commerce: Commerce,
    pub test_gateway: Option<TestGateway>,
}

/// Opens the database, bringing it up to date; what is only shown may come from its replicas.
pub async fn open_store(
    database: &Database,
    limits: Option<DatabaseLimits>,
    replicas: &[String],
) -> Result<Arc<dyn Portable>, Failure> {
    match database {
        Database::Sqlite { url, .. } => {
            let mut settings = SqliteSettings::default();
            if let Some(limits) = limits {
                settings = settings.busy_timeout(limits.call).acquire_timeout(limits.acquire);
                settings.readers = limits.connections.unwrap_or(settings.readers);
            }
            let store = SqliteStore::open_with(url, &settings)
                .await
                .map_err(|error| format!("the database {url} can't be opened: {error}"))?;
            Ok(Arc::new(store))
        }
        Database::Postgres(url) => open_postgres(url, limits, replicas).await,
    }
}

/// Opens a database that is there and up to date, to look at what is in it. Neither creates nor changes anything.
pub async fn open_to_read(database: &Database) -> Result<Arc<dyn Portable>, Failure> {
    match database {
        Database::Sqlite { file: Some(file), .. } if !file.exists() => {
            Err(format!("there is no database {}", file.display()).into())
        }
        Database::Sqlite { url, .. } => {
            let store = SqliteStore::open_read_only(url).await;
            Ok(Arc::new(store.map_err(|error| format!("the database {url} can't be read: {error}"))?))
        }
        Database::Postgres(url) => read_postgres(url).await,
    }
}

#[cfg(feature = "postgres")]
async fn read_postgres(url: &str) -> Result<Arc<dyn Portable>, Failure> {
    let store = commerce_postgres::PgStore::connect_existing(url).await;
    Ok(Arc::new(store.map_err(|error| format!("PostgreSQL can't be used: {error}"))?))
}

#[cfg(not(feature = "postgres"))]
async fn read_postgres(url: &str) -> Result<Arc<dyn Portable>, Failure> {
    open_postgres(url, None, &[]).await
}

#[cfg(feature = "postgres")]
async fn open_postgres(
    url: &str,
    limits: Option<DatabaseLimits>,
    replicas: &[String],
) -> Result<Arc<dyn Portable>, Failure> {
    let failed = |error| format!("PostgreSQL can't be used: {error}");
    let mut settings = commerce_postgres::PoolSettings::default();
    if let Some(limits) = limits {
        settings = settings.call_timeout(limits.call).connect_timeout(limits.connect).acquire_timeout(limits.acquire);
        settings.connections = limits.connections.unwrap_or(settings.connections);
    }
    let store = commerce_postgres::PgStore::connect_with(url, settings).await.map_err(failed)?;
    // Who only copies from it may.
    if limits.is_some() && store.is_read_only() {
        return Err("PostgreSQL can't be used: it can only be read, and a shop must write".into());
    }
    store.migrate().await.map_err(failed)?;
    Ok(Arc::new(if replicas.is_empty() { store } else { store.with_replicas(replicas).map_err(failed)? }))
}

#[cfg(not(feature = "postgres"))]
async fn open_postgres(
    _url: &str,
    _limits: Option<DatabaseLimits>,
    _replicas: &[String],
) -> Result<Arc<dyn Portable>, Failure> {
    std::future::ready(Err("this server was built without PostgreSQL".into())).await
}

/// Adds the gateways that the configuration names; the test gateway, if it is one of them, is answered too.
pub fn with_gateways(
    builder: CommerceBuilder,
    gateways: &Gateways,
) -> Result<(CommerceBuilder, Option<TestGateway>), Failure> {
    let test_gateway = gateways.offer_test_gateway().then(TestGateway::new);
    let mut offline = ManualGateway::new();
    if let Some(instructions) = &gateways.offline_instructions {
        offline = offline.instructions(instructions);
    }
    let mut builder = builder.gateway(offline);
    if let Some(gateway) = &test_gateway {
        builder = builder.gateway(gateway.clone());
    }
    if let Some(stripe) = &gateways.stripe {
        builder = builder.gateway(StripeGateway::new(stripe.clone())?);
    }
    Ok((builder, test_gateway))
}

/// Brings a PostgreSQL up to date and spreads its tables over the nodes of Citus.
#[cfg(feature = "postgres")]
pub async fn distribute(database: &Database) -> Result<u64, Failure> {
    let Database::Postgres(url) = database else { return Err(NOT_DISTRIBUTED.into()) };
    let store = commerce_postgres::PgStore::connect(url).await?;
    store.migrate().await?;
    Ok(store.distribute().await?)
}

/// Brings a PostgreSQL up to date and spreads its tables over the nodes of Citus.
#[cfg(not(feature = "postgres"))]
pub async fn distribute(_database: &Database) -> Result<u64, Failure> {
    std::future::ready(Err(NOT_DISTRIBUTED.into())).await
}

const NOT_DISTRIBUTED: &str =
    "only a shop on PostgreSQL can be distributed: set COMMERCE_DATABASE_URL to its coordinator";

/// Puts the shop together.
pub async fn open(config: &Config) -> Result<Shop, Failure> {
    let store = open_store(&config.database, Some(config.limits), &config.replicas).await?;
    let secret = match (&config.jwt_secret, &config.database) {
        (Some(secret), _) => secret.clone().into_bytes(),
        (None, Database::Sqlite { file: Some(file), .. }) => secret_beside(file)?,
        (None, _) => random(32)?,
    };
    let (builder, test_gateway) = with_gateways(Commerce::builder(), &config.gateways)?;
    let mut builder = builder
        .shared_store(store)
        .secret(secret)
        .currency(config.currency)
        .tax(config.tax.clone())
        .shipping(config.shipping.clone())
        .settings(|settings| {
            settings.public_url.clone_from(&config.public_url);
            settings.mail_from.clone_from(&config.mail_from);
            if let Some(name) = &config.shop_name {
                settings.shop_name.clone_from(name);
            }
            settings.prices_include_tax = config.prices_include_tax;
            settings.access_ttl = config.access_ttl;
            if !config.rate_limit {
                settings.sign_in_attempts = None;
                settings.mailed_links = None;
            }
            settings.capture_at_checkout = config.capture_at_checkout;
            settings.unpaid_ttl = config.gateways.unpaid_ttl;
        });
    builder = match &config.mail {
        Mail::Log => builder,
        Mail::Folder(folder) => {
            fs::create_dir_all(folder)
                .map_err(|error| format!("COMMERCE_MAIL_DIR {} can't be made: {error}", folder.display()))?;
            builder.mailer(FileMailer::new(folder))
        }
        Mail::Server(url) => builder.mailer(SmtpMailer::new(url)?),
    };
    Ok(Shop { commerce: builder.build()?, test_gateway })
}

/// Random bytes.
pub fn random(count: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|error| format!("this machine has no randomness to give: {error}"))?;
    Ok(bytes)
}

/// The secret in the file beside the database; made up if there is none. Nobody but the owner may read it.
fn secret_beside(database: &Path) -> Result<Vec<u8>, Failure> {
    let path = &config::secret_beside(database);
    let failed =
        |what: &str, error: &std::io::Error| format!("the secret file {} can't be {what}: {error}", path.display());
    // Whole or not at all: two servers that start at once must not read half of it.
    let draft = path.with_extension(format!("secret.{}", std::process::id()));
    if !path.exists() {
        let secret = hex::encode(random(32)?);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .map_err(|error| failed("made", &error))?;
        file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed("written", &error))?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft).map_err(|error| failed("made", &error))?;
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("made", &error).into()),
        }
    }
    let secret = fs::read(path).map_err(|error| failed("read", &error))?;
    if secret.len() < 32 {
        return Err(format!("the secret file {} is too short: at least 32 bytes", path.display()).into());
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_secret_stays_and_is_the_owners() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("shop.db");
        let secret = secret_beside(&database).unwrap();
        assert_eq!(secret.len(), 64);
        assert_eq!(secret_beside(&database).unwrap(), secret);
        let mode = fs::metadata(folder.path().join("shop.db.secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
