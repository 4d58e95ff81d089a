//! Reads the configuration: a wrong value is named in one sentence, with the reason.

mod database;
mod gateways;
mod pricing;
mod timeouts;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use commerce_core::{
    Currency,
    account::normalise_email,
    notification::SmtpMailer,
    pricing::{FlatShipping, FlatTax},
};

pub use self::{
    database::{Database, secret_beside},
    gateways::Gateways,
    timeouts::{DatabaseLimits, Timeouts},
};
use crate::cli::Settings;

/// A value that can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {why}")]
pub struct ConfigError {
    variable: &'static str,
    why: String,
}

pub fn wrong(variable: &'static str, why: impl Into<String>) -> ConfigError {
    ConfigError { variable, why: why.into() }
}

/// Where mails go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mail {
    /// Into the log.
    Log,
    /// Into a folder.
    Folder(PathBuf),
    /// To a mail server, whose address was tried.
    Server(String),
}

/// What serving needs, checked. Commands that need less read only that.
#[derive(Debug)]
pub struct Config {
    pub database: Database,
    pub replicas: Vec<String>,
    pub limits: DatabaseLimits,
    pub listen: SocketAddr,
    pub public_url: String,
    pub jwt_secret: Option<String>,
    pub access_ttl: Duration,
    pub timeouts: Timeouts,
    pub admin_email: Option<String>,
    pub admin_password: Option<String>,
    pub currency: Currency,
    pub prices_include_tax: bool,
    pub tax: FlatTax,
    pub shipping: FlatShipping,
    pub mail: Mail,
    pub mail_from: Option<String>,
    pub shop_name: Option<String>,
    pub gateways: Gateways,
    pub capture_at_checkout: bool,
    pub rate_limit: bool,
    pub cors_origins: Vec<String>,
}

impl Config {
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let listen = settings.listen.parse().map_err(|_| {
            wrong(
                "COMMERCE_LISTEN",
                format!("must be an address and a port such as 127.0.0.1:8080, not '{}'", settings.listen),
            )
        })?;
        let currency = currency(settings)?;
        let database = database(settings)?;
        let mail = mail(non_empty(settings.mail_dir.as_deref()), non_empty(settings.smtp_url.as_deref()))?;
        let flag = |variable, value: &str| boolean(variable, value, "true", "false");
        Ok(Self {
            listen,
            replicas: database.replicas(settings.database_replicas.as_deref().unwrap_or_default())?,
            jwt_secret: jwt_secret(non_empty(settings.jwt_secret.as_deref()), &database)?,
            public_url: public_url(non_empty(settings.public_url.as_deref()), listen)?,
            access_ttl: timeouts::access_ttl(&settings.access_ttl)?,
            timeouts: Timeouts::read(settings)?,
            limits: DatabaseLimits::read(settings)?,
            prices_include_tax: flag("COMMERCE_PRICES_INCLUDE_TAX", &settings.prices_include_tax)?,
            tax: pricing::tax_rates(settings.tax_rates.as_deref().unwrap_or_default())?,
            shipping: pricing::shipping_methods(settings.shipping_methods.as_deref().unwrap_or_default(), currency)?,
            rate_limit: boolean("COMMERCE_RATE_LIMIT", &settings.rate_limit, "on", "off")?,
            cors_origins: cors_origins(settings.cors_origins.as_deref().unwrap_or_default())?,
            admin_email: non_empty(settings.admin_email.as_deref()).map(str::to_owned),
            admin_password: non_empty(settings.admin_password.as_deref()).map(str::to_owned),
            mail_from: mail_from(non_empty(settings.mail_from.as_deref()), &mail)?,
            shop_name: shop_name(non_empty(settings.shop_name.as_deref()))?,
            mail,
            gateways: Gateways::read(settings)?,
            capture_at_checkout: flag("COMMERCE_CAPTURE_AT_CHECKOUT", &settings.capture_at_checkout)?,
            database,
            currency,
        })
    }
}

/// Whether lines are logged as JSON, and not as text.
pub fn logs_json(settings: &Settings) -> Result<bool, ConfigError> {
    boolean("COMMERCE_LOG_FORMAT", &settings.log_format, "json", "text")
}

/// Where the shop is.
pub fn database(settings: &Settings) -> Result<Database, ConfigError> {
    Database::read("COMMERCE_DATABASE_URL", &settings.database_url)
}

/// What it takes money in.
pub fn currency(settings: &Settings) -> Result<Currency, ConfigError> {
    let wrong = |error: commerce_core::MoneyError| wrong("COMMERCE_CURRENCY", format!("is wrong: {error}"));
    settings.currency.parse().map_err(wrong)
}

/// An environment variable that is set to nothing counts as unset.
fn non_empty(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.trim().is_empty())
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn boolean(variable: &'static str, value: &str, yes: &str, no: &str) -> Result<bool, ConfigError> {
    match value.trim() {
        value if value == yes => Ok(true),
        value if value == no => Ok(false),
        other => Err(wrong(variable, format!("must be {yes} or {no}, not '{other}'"))),
    }
}

fn jwt_secret(secret: Option<&str>, database: &Database) -> Result<Option<String>, ConfigError> {
    match (secret, database) {
        (Some(secret), _) if secret.len() < 32 => Err(wrong("COMMERCE_JWT_SECRET", "must have at least 32 bytes")),
        (None, Database::Postgres(_)) => {
            Err(wrong("COMMERCE_JWT_SECRET", "must be set with PostgreSQL, the same for every server of the shop"))
        }
        (secret, _) => Ok(secret.map(str::to_owned)),
    }
}

fn mail(folder: Option<&str>, server: Option<&str>) -> Result<Mail, ConfigError> {
    match (folder, server) {
        (Some(_), Some(_)) => {
            Err(wrong("COMMERCE_MAIL_DIR", "and COMMERCE_SMTP_URL are both set: mails go to one of them"))
        }
        (Some(folder), None) => Ok(Mail::Folder(folder.into())),
        (None, Some(url)) => match SmtpMailer::new(url) {
            Ok(_) => Ok(Mail::Server(url.to_owned())),
            Err(error) => Err(wrong("COMMERCE_SMTP_URL", format!("is wrong: {error}"))),
        },
        (None, None) => Ok(Mail::Log),
    }
}

/// Mails that leave the machine must come from an address that can be answered and is the shop's own.
fn mail_from(address: Option<&str>, mail: &Mail) -> Result<Option<String>, ConfigError> {
    match (address, mail) {
        (Some(address), _) => match normalise_email(address) {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(wrong(
                "COMMERCE_MAIL_FROM",
                format!("must be an e-mail address such as orders@shop.example, not '{address}'"),
            )),
        },
        (None, Mail::Server(_)) => Err(wrong(
            "COMMERCE_MAIL_FROM",
            "must be set with COMMERCE_SMTP_URL: it is the address that mails come from",
        )),
        (None, _) => Ok(None),
    }
}

fn shop_name(name: Option<&str>) -> Result<Option<String>, ConfigError> {
    match name.map(str::trim) {
        Some(name) if name.contains(char::is_control) => {
            Err(wrong("COMMERCE_SHOP_NAME", "must be one line without control characters"))
        }
        name => Ok(name.map(str::to_owned)),
    }
}

fn public_url(value: Option<&str>, listen: SocketAddr) -> Result<String, ConfigError> {
    let Some(url) = value else { return Ok(format!("http://{listen}")) };
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() => Ok(url.trim_end_matches('/').to_owned()),
        _ => Err(wrong(
            "COMMERCE_PUBLIC_URL",
            format!("must begin with http:// or https:// and name a host, not '{url}'"),
        )),
    }
}

fn cors_origins(text: &str) -> Result<Vec<String>, ConfigError> {
    let origin = |origin: &str| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() && !host.contains('/') => Ok(origin.to_owned()),
            _ => Err(wrong(
                "COMMERCE_CORS_ORIGINS",
                format!("has '{origin}' where an origin such as https://shop.example should be"),
            )),
        }
    };
    items(text).map(origin).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn read(args: &[&str]) -> Result<Config, String> {
        let cli = Cli::try_parse_from([&["commerce-server"], args].concat()).unwrap();
        logs_json(&cli.settings).map_err(|error| error.to_string())?;
        Config::read(&cli.settings).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_good() {
        let config = read(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.public_url, "http://127.0.0.1:8080");
        assert_eq!(config.access_ttl, Duration::from_mins(10));
        assert!(config.prices_include_tax && config.rate_limit && config.gateways.offer_test_gateway());
        let Database::Sqlite { file, .. } = config.database else { panic!("not SQLite") };
        assert_eq!(file, Some("commerce.db".into()));
    }

    #[test]
    fn lists_are_read() {
        let config = read(&[
            "--tax-rates=DE=19,FR=20",
            "--shipping-methods=standard:4.90:free_above=50,express:9.90",
            "--cors-origins=https://shop.example, http://localhost:3000",
            "--test-gateway=off",
        ])
        .unwrap();
        assert_eq!(config.cors_origins, ["https://shop.example", "http://localhost:3000"]);
        assert!(!config.gateways.offer_test_gateway());
    }

    #[test]
    fn mails_have_a_sender() {
        let config =
            read(&["--smtp-url=smtps://mail.example", "--mail-from=Orders@shop.example", "--shop-name= Ada's books "])
                .unwrap();
        assert_eq!(config.mail_from.as_deref(), Some("orders@shop.example"));
        assert_eq!(config.shop_name.as_deref(), Some("Ada's books"));
        let config = read(&["--mail-dir=/tmp", "--shop-name="]).unwrap();
        assert_eq!((config.mail_from, config.shop_name), (None, None), "nothing leaves the machine");
    }

    #[test]
    fn replicas_are_postgresqls() {
        let of = |replicas: &str| {
            read(&[
                "--database-url=postgres://primary/shop",
                "--jwt-secret=0123456789abcdef0123456789abcdef",
                &format!("--database-replicas={replicas}"),
            ])
        };
        let replicas = of("postgres://a/shop, postgresql://b/shop").unwrap().replicas;
        assert_eq!(replicas, ["postgres://a/shop", "postgresql://b/shop"]);
        for bad in [
            "sqlite://shop.db",
            "postgres://a/shop,b/shop",
            "postgres://a,b/shop",
            "postgres:///shop?host=a%2Cb",
            "postgres://a:port/shop",
            "postgres://a?sslmode=maybe",
        ] {
            let error = of(bad).unwrap_err();
            assert!(error.starts_with("COMMERCE_DATABASE_REPLICAS") && !error.contains('\n'), "{bad}: {error}");
            assert!(!bad.contains("a,b") && !bad.contains("a%2Cb") || error.contains("a URL of its own"), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_the_reason() {
        for (argument, variable) in [
            ("--listen=8080", "COMMERCE_LISTEN"),
            ("--currency=EURO", "COMMERCE_CURRENCY"),
            ("--database-url=mysql://x", "COMMERCE_DATABASE_URL"),
            ("--database-url=sqlite://", "COMMERCE_DATABASE_URL"),
            ("--database-url=postgres://host:port/shop", "COMMERCE_DATABASE_URL"),
            ("--database-url=postgres://host/shop", "COMMERCE_JWT_SECRET"),
            ("--database-replicas=postgres://replica/shop", "COMMERCE_DATABASE_REPLICAS"),
            ("--jwt-secret=short", "COMMERCE_JWT_SECRET"),
            ("--access-ttl=1h", "COMMERCE_ACCESS_TTL"),
            ("--access-ttl=0", "COMMERCE_ACCESS_TTL"),
            ("--database-connections=1", "COMMERCE_DATABASE_CONNECTIONS"),
            ("--database-timeout=0", "COMMERCE_DATABASE_TIMEOUT"),
            ("--database-connect-timeout=99ms", "COMMERCE_DATABASE_CONNECT_TIMEOUT"),
            ("--database-acquire-timeout=61m", "COMMERCE_DATABASE_ACQUIRE_TIMEOUT"),
            ("--worker-timeout=999ms", "COMMERCE_WORKER_TIMEOUT"),
            ("--request-timeout=0", "COMMERCE_REQUEST_TIMEOUT"),
            ("--header-timeout=soon", "COMMERCE_HEADER_TIMEOUT"),
            ("--body-timeout=-1s", "COMMERCE_BODY_TIMEOUT"),
            ("--idle-timeout=1.5s", "COMMERCE_IDLE_TIMEOUT"),
            ("--shutdown-timeout=2h", "COMMERCE_SHUTDOWN_TIMEOUT"),
            ("--drain-delay=99999999999999999999s", "COMMERCE_DRAIN_DELAY"),
            ("--prices-include-tax=yes", "COMMERCE_PRICES_INCLUDE_TAX"),
            ("--tax-rates=DE:19", "COMMERCE_TAX_RATES"),
            ("--tax-rates=DE=190", "COMMERCE_TAX_RATES"),
            ("--shipping-methods=standard", "COMMERCE_SHIPPING_METHODS"),
            ("--shipping-methods=standard:4.900", "COMMERCE_SHIPPING_METHODS"),
            ("--public-url=shop.example", "COMMERCE_PUBLIC_URL"),
            ("--cors-origins=shop.example", "COMMERCE_CORS_ORIGINS"),
            ("--rate-limit=no", "COMMERCE_RATE_LIMIT"),
            ("--test-gateway=yes", "COMMERCE_TEST_GATEWAY"),
            ("--log-format=xml", "COMMERCE_LOG_FORMAT"),
            ("--smtp-url=mail.example", "COMMERCE_SMTP_URL"),
            ("--smtp-url=smtps://mail.example", "COMMERCE_MAIL_FROM"),
            ("--mail-from=shop", "COMMERCE_MAIL_FROM"),
            ("--mail-from=Shop <orders@shop.example>", "COMMERCE_MAIL_FROM"),
            ("--shop-name=a\u{7}b", "COMMERCE_SHOP_NAME"),
            ("--stripe-secret-key=pk_test_1", "STRIPE_SECRET_KEY"),
            ("--capture-at-checkout=no", "COMMERCE_CAPTURE_AT_CHECKOUT"),
            ("--unpaid-ttl=soon", "COMMERCE_UNPAID_TTL"),
            ("--unpaid-ttl=0d", "COMMERCE_UNPAID_TTL"),
        ] {
            let error = read(&[argument]).unwrap_err();
            assert!(error.starts_with(variable) && !error.contains('\n'), "{argument}: {error}");
        }
    }
}
