//! Reads the configuration: a wrong value is named in one sentence, with the reason.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use commerce_core::{
    Currency, Money,
    notification::SmtpMailer,
    payment::stripe::{StripeConfig, StripeConfigError},
    pricing::{FlatMethod, FlatShipping, FlatTax},
};
use rust_decimal::Decimal;

use crate::cli::Settings;

/// A value that can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {why}")]
pub struct ConfigError {
    variable: &'static str,
    why: String,
}

fn wrong(variable: &'static str, why: impl Into<String>) -> ConfigError {
    ConfigError { variable, why: why.into() }
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file, or memory.
    Sqlite { url: String, file: Option<PathBuf> },
    /// A server, and its replicas.
    Postgres { url: String, replicas: Vec<String> },
}

/// How lines are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
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

/// The configuration, checked.
#[derive(Debug)]
pub struct Config {
    pub database: Database,
    pub listen: SocketAddr,
    pub public_url: String,
    pub jwt_secret: Option<String>,
    pub access_ttl: Duration,
    pub admin_email: Option<String>,
    pub admin_password: Option<String>,
    pub currency: Currency,
    pub prices_include_tax: bool,
    pub tax: FlatTax,
    pub shipping: FlatShipping,
    pub mail: Mail,
    pub stripe: Option<StripeConfig>,
    pub capture_at_checkout: bool,
    /// On, off, or as is sensible.
    pub test_gateway: Option<bool>,
    pub rate_limit: bool,
    pub cors_origins: Vec<String>,
    pub log: String,
    pub log_format: LogFormat,
}

impl Config {
    pub fn read(settings: Settings) -> Result<Self, ConfigError> {
        let listen = settings.listen.parse().map_err(|_| {
            wrong(
                "COMMERCE_LISTEN",
                format!("must be an address and a port such as 127.0.0.1:8080, not '{}'", settings.listen),
            )
        })?;
        let currency: Currency = settings
            .currency
            .parse()
            .map_err(|error: commerce_core::MoneyError| wrong("COMMERCE_CURRENCY", format!("is wrong: {error}")))?;
        let replicas = settings.database_replicas.as_deref().unwrap_or_default();
        let database = with_replicas(database(&settings.database_url)?, replicas)?;
        let jwt_secret = non_empty(settings.jwt_secret);
        if jwt_secret.as_ref().is_some_and(|secret| secret.len() < 32) {
            return Err(wrong("COMMERCE_JWT_SECRET", "must have at least 32 bytes"));
        }
        if jwt_secret.is_none() && matches!(database, Database::Postgres { .. }) {
            return Err(wrong(
                "COMMERCE_JWT_SECRET",
                "must be set with PostgreSQL, the same for every server of the shop",
            ));
        }
        Ok(Self {
            listen,
            public_url: public_url(settings.public_url, listen)?,
            access_ttl: access_ttl(&settings.access_ttl)?,
            prices_include_tax: boolean("COMMERCE_PRICES_INCLUDE_TAX", &settings.prices_include_tax, "true", "false")?,
            tax: tax_rates(settings.tax_rates.as_deref().unwrap_or_default())?,
            shipping: shipping_methods(settings.shipping_methods.as_deref().unwrap_or_default(), currency)?,
            test_gateway: non_empty(settings.test_gateway)
                .map(|value| boolean("COMMERCE_TEST_GATEWAY", &value, "on", "off"))
                .transpose()?,
            rate_limit: boolean("COMMERCE_RATE_LIMIT", &settings.rate_limit, "on", "off")?,
            cors_origins: cors_origins(settings.cors_origins.as_deref().unwrap_or_default())?,
            log_format: match settings.log_format.as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                other => return Err(wrong("COMMERCE_LOG_FORMAT", format!("must be text or json, not '{other}'"))),
            },
            admin_email: non_empty(settings.admin_email),
            admin_password: non_empty(settings.admin_password),
            mail: mail(non_empty(settings.mail_dir), non_empty(settings.smtp_url))?,
            stripe: stripe(
                non_empty(settings.stripe_secret_key).as_deref(),
                non_empty(settings.stripe_webhook_secret).as_deref(),
                non_empty(settings.stripe_api_base).as_deref(),
            )?,
            capture_at_checkout: boolean(
                "COMMERCE_CAPTURE_AT_CHECKOUT",
                &settings.capture_at_checkout,
                "true",
                "false",
            )?,
            log: settings.log,
            database,
            jwt_secret,
            currency,
        })
    }
}

impl Config {
    /// Whether orders can be paid without money: if that was asked for, or there is no real gateway.
    pub fn offers_test_gateway(&self) -> bool {
        self.test_gateway.unwrap_or(self.stripe.is_none())
    }
}

/// An environment variable that is set to nothing counts as unset.
fn non_empty(value: Option<String>) -> Option<String> {
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

/// Reads where a database is.
pub fn database(url: &str) -> Result<Database, ConfigError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        if !cfg!(feature = "postgres") {
            return Err(wrong(
                "COMMERCE_DATABASE_URL",
                "names PostgreSQL, but this server was built without the feature 'postgres'",
            ));
        }
        return Ok(Database::Postgres { url: url.to_owned(), replicas: Vec::new() });
    }
    let Some(rest) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) else {
        return Err(wrong("COMMERCE_DATABASE_URL", "must begin with sqlite:// or postgres://"));
    };
    let path = rest.split('?').next().unwrap_or_default();
    let file = (path != ":memory:" && !path.is_empty()).then(|| PathBuf::from(path));
    if path.is_empty() {
        return Err(wrong("COMMERCE_DATABASE_URL", "names no file: write sqlite://commerce.db"));
    }
    Ok(Database::Sqlite { url: url.to_owned(), file })
}

fn with_replicas(database: Database, text: &str) -> Result<Database, ConfigError> {
    let refused = |why: &str| Err(wrong("COMMERCE_DATABASE_REPLICAS", why));
    let replicas: Vec<String> = items(text).map(str::to_owned).collect();
    match database {
        _ if replicas.iter().any(|url| !url.starts_with("postgres://") && !url.starts_with("postgresql://")) => {
            refused("must list PostgreSQL servers: postgres://replica-1/shop,postgres://replica-2/shop")
        }
        Database::Sqlite { .. } if !replicas.is_empty() => {
            refused("needs PostgreSQL in COMMERCE_DATABASE_URL: a SQLite file has no replicas")
        }
        Database::Postgres { url, .. } => Ok(Database::Postgres { url, replicas }),
        sqlite @ Database::Sqlite { .. } => Ok(sqlite),
    }
}

fn mail(folder: Option<String>, server: Option<String>) -> Result<Mail, ConfigError> {
    match (folder, server) {
        (Some(_), Some(_)) => {
            Err(wrong("COMMERCE_MAIL_DIR", "and COMMERCE_SMTP_URL are both set: mails go to one of them"))
        }
        (Some(folder), None) => Ok(Mail::Folder(folder.into())),
        (None, Some(url)) => match SmtpMailer::new(&url) {
            Ok(_) => Ok(Mail::Server(url)),
            Err(error) => Err(wrong("COMMERCE_SMTP_URL", format!("is wrong: {error}"))),
        },
        (None, None) => Ok(Mail::Log),
    }
}

fn stripe(
    key: Option<&str>,
    webhook_secrets: Option<&str>,
    api_base: Option<&str>,
) -> Result<Option<StripeConfig>, ConfigError> {
    let wrong = |variable| move |error: StripeConfigError| wrong(variable, format!("is wrong: {error}"));
    let Some(key) = key else { return Ok(None) };
    let mut stripe = StripeConfig::new(key).map_err(wrong("STRIPE_SECRET_KEY"))?;
    for secret in items(webhook_secrets.unwrap_or_default()) {
        stripe = stripe.webhook_secret(secret).map_err(wrong("STRIPE_WEBHOOK_SECRET"))?;
    }
    if let Some(base) = api_base {
        stripe = stripe.api_base(base).map_err(wrong("STRIPE_API_BASE"))?;
    }
    Ok(Some(stripe))
}

fn public_url(value: Option<String>, listen: SocketAddr) -> Result<String, ConfigError> {
    let Some(url) = non_empty(value) else { return Ok(format!("http://{listen}")) };
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() => Ok(url.trim_end_matches('/').to_owned()),
        _ => Err(wrong(
            "COMMERCE_PUBLIC_URL",
            format!("must begin with http:// or https:// and name a host, not '{url}'"),
        )),
    }
}

fn access_ttl(text: &str) -> Result<Duration, ConfigError> {
    let (number, unit) = match text.trim() {
        text if text.ends_with('m') => (text.trim_end_matches('m'), 60),
        text => (text.trim_end_matches('s'), 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds @ 1..=600) => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong("COMMERCE_ACCESS_TTL", format!("must be from 1s to 10m, not '{text}'"))),
    }
}

fn tax_rates(text: &str) -> Result<FlatTax, ConfigError> {
    items(text).try_fold(FlatTax::none(), |tax, item| {
        let rate = item.split_once('=').and_then(|(country, percent)| {
            let percent: Decimal = percent.trim().parse().ok()?;
            let is_country = country.len() == 2 && country.bytes().all(|b| b.is_ascii_alphabetic());
            (is_country && percent >= Decimal::ZERO && percent <= Decimal::ONE_HUNDRED).then_some((country, percent))
        });
        let (country, percent) = rate.ok_or_else(|| {
            wrong(
                "COMMERCE_TAX_RATES",
                format!("has '{item}' where a country and a percentage such as DE=19 should be"),
            )
        })?;
        Ok(tax.rate(country, percent))
    })
}

fn amount(text: &str, currency: Currency) -> Option<Money> {
    let digits = currency.digits() as usize;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padded = if digits == 0 { text.to_owned() } else { format!("{whole}.{fraction:0<digits$}") };
    Money::parse(&padded, currency).ok().filter(|money| money.minor >= 0)
}

fn shipping_methods(text: &str, currency: Currency) -> Result<FlatShipping, ConfigError> {
    let methods: Vec<FlatMethod> = items(text)
        .map(|item| {
            shipping_method(item, currency).ok_or_else(|| {
                let why = format!(
                    "has '{item}' where a method such as standard:4.90 or standard:4.90:free_above=50 should be"
                );
                wrong("COMMERCE_SHIPPING_METHODS", why)
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(if methods.is_empty() { FlatShipping::free() } else { FlatShipping::new(methods) })
}

fn shipping_method(item: &str, currency: Currency) -> Option<FlatMethod> {
    let mut parts = item.split(':');
    let code = parts.next().filter(|code| !code.is_empty())?;
    let price = amount(parts.next()?, currency)?;
    let free_above = match parts.next() {
        None => None,
        Some(option) => Some(amount(option.strip_prefix("free_above=")?, currency)?),
    };
    if parts.next().is_some() {
        return None;
    }
    let mut title = code.replace('_', " ");
    title[..1].make_ascii_uppercase();
    Some(FlatMethod { code: code.to_owned(), title, price: (!price.is_zero()).then_some(price), free_above })
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
        Config::read(cli.settings).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_good() {
        let config = read(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.public_url, "http://127.0.0.1:8080");
        assert_eq!(config.access_ttl, Duration::from_mins(10));
        assert!(config.prices_include_tax && config.rate_limit && config.test_gateway.is_none());
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
        assert_eq!(config.test_gateway, Some(false));
        let standard = shipping_method("standard:4.90:free_above=50", Currency::EUR).unwrap();
        assert_eq!((standard.title.as_str(), standard.price.unwrap().minor), ("Standard", 490));
        assert_eq!(standard.free_above.unwrap().minor, 5000);
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
        let Database::Postgres { replicas, .. } = of("postgres://a/shop, postgresql://b/shop").unwrap().database else {
            panic!("not PostgreSQL")
        };
        assert_eq!(replicas, ["postgres://a/shop", "postgresql://b/shop"]);
        assert!(of("sqlite://shop.db").unwrap_err().starts_with("COMMERCE_DATABASE_REPLICAS"));
    }

    #[test]
    fn a_wrong_value_is_named_with_the_reason() {
        for (argument, variable) in [
            ("--listen=8080", "COMMERCE_LISTEN"),
            ("--currency=EURO", "COMMERCE_CURRENCY"),
            ("--database-url=mysql://x", "COMMERCE_DATABASE_URL"),
            ("--database-url=sqlite://", "COMMERCE_DATABASE_URL"),
            ("--database-replicas=postgres://replica/shop", "COMMERCE_DATABASE_REPLICAS"),
            ("--jwt-secret=short", "COMMERCE_JWT_SECRET"),
            ("--access-ttl=1h", "COMMERCE_ACCESS_TTL"),
            ("--access-ttl=0", "COMMERCE_ACCESS_TTL"),
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
            ("--stripe-secret-key=pk_test_1", "STRIPE_SECRET_KEY"),
            ("--capture-at-checkout=no", "COMMERCE_CAPTURE_AT_CHECKOUT"),
        ] {
            let error = read(&[argument]).unwrap_err();
            assert!(error.starts_with(variable) && !error.contains('\n'), "{argument}: {error}");
        }
    }
}
