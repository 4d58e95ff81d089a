//! The command line and the environment.

// Doc comments here are what `--help` prints, not Markdown.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A shop's server: accounts, catalogue, carts, checkout, orders, payments, inventory, reviews over HTTP.
#[derive(Debug, Parser)]
#[command(name = "commerce-server", version, about)]
pub struct Cli {
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do; `serve` if nothing is said.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the database up to date and serve the API (the default)
    Serve {
        /// Fill an empty shop with the demo catalogue first
        #[arg(long)]
        demo: bool,
    },
    /// Bring the database up to date
    Migrate {
        /// Then spread its tables over the nodes of a distributed PostgreSQL: citus
        #[arg(long, value_name = "EXTENSION")]
        distributed: Option<Distributed>,
    },
    /// Copy a whole shop into an empty database; no server may run on either. Interrupted, the same command goes on
    Copy {
        /// Where the shop is: sqlite://<file> or postgres://…
        #[arg(long)]
        from: String,
        /// Where it is to be
        #[arg(long)]
        to: String,
    },
    /// Copy a SQLite database, which may be in use, into one file that isn't there yet
    Backup {
        /// Where the copy goes
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a backup back as the SQLite database, which must not be there
    Restore {
        /// The file that `backup` wrote
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Manage admins
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Fill an empty shop with the demo catalogue
    Seed,
    /// Print the OpenAPI document
    Openapi {
        /// As YAML instead of JSON
        #[arg(long)]
        yaml: bool,
    },
    /// Recompute stock and rating counters from their ledgers, look for what is referred to and missing, and compare every payment
    /// with the books of its gateway; exits with 1 if any disagree. Changes nothing
    Verify,
}

/// What spreads a PostgreSQL over nodes.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Distributed {
    /// The extension Citus
    Citus,
}

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Create an admin; without --password one is made up and printed
    Create {
        #[arg(long)]
        email: String,
        #[arg(long)]
        password: Option<String>,
        #[arg(long, default_value = "Shop")]
        first_name: String,
        #[arg(long, default_value = "Admin")]
        last_name: String,
    },
}

/// Everything that can be configured. Texts here: [`crate::config`] reads them, and says in one sentence what is wrong.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Settings {
    /// Where everything is kept: sqlite://<file>, created if absent, or postgres://… (with the feature `postgres`)
    #[arg(
        long,
        env = "COMMERCE_DATABASE_URL",
        global = true,
        default_value = "sqlite://commerce.db",
        hide_env_values = true
    )]
    pub database_url: String,
    /// PostgreSQL's streaming replicas, which serve what is only shown: postgres://…,postgres://… [default: none]
    #[arg(long, env = "COMMERCE_DATABASE_REPLICAS", global = true, hide_env_values = true)]
    pub database_replicas: Option<String>,
    /// How many connections to the database there are at most; on SQLite, how many read, at least 2 [default: 20, on SQLite 4]
    #[arg(long, env = "COMMERCE_DATABASE_CONNECTIONS", global = true)]
    pub database_connections: Option<String>,
    /// How long a call to the database may take; on SQLite, how long to wait for another process that has locked it
    #[arg(long, env = "COMMERCE_DATABASE_TIMEOUT", global = true, default_value = "5s")]
    pub database_timeout: String,
    /// How long PostgreSQL may take to let somebody in; `connect_timeout` in its URL goes before
    #[arg(long, env = "COMMERCE_DATABASE_CONNECT_TIMEOUT", global = true, default_value = "2s")]
    pub database_connect_timeout: String,
    /// How long a call may wait for a connection to the database while all are in use
    #[arg(long, env = "COMMERCE_DATABASE_ACQUIRE_TIMEOUT", global = true, default_value = "5s")]
    pub database_acquire_timeout: String,
    /// The address to listen on
    #[arg(long, env = "COMMERCE_LISTEN", global = true, default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Where the shop's pages are, for links in mails [default: http://<listen>]
    #[arg(long, env = "COMMERCE_PUBLIC_URL", global = true)]
    pub public_url: Option<String>,
    /// What signs tokens, at least 32 bytes [default with SQLite: made up and kept in a file beside the database]
    #[arg(long, env = "COMMERCE_JWT_SECRET", global = true, hide_env_values = true)]
    pub jwt_secret: Option<String>,
    /// How long an access token is good for, at most 10m
    #[arg(long, env = "COMMERCE_ACCESS_TTL", global = true, default_value = "10m")]
    pub access_ttl: String,
    /// The first admin, created if there is none [default: admin@example.com]
    #[arg(long, env = "COMMERCE_ADMIN_EMAIL", global = true)]
    pub admin_email: Option<String>,
    /// The first admin's password [default: made up and printed once]
    #[arg(long, env = "COMMERCE_ADMIN_PASSWORD", global = true, hide_env_values = true)]
    pub admin_password: Option<String>,
    /// The shop's one currency, ISO 4217
    #[arg(long, env = "COMMERCE_CURRENCY", global = true, default_value = "EUR")]
    pub currency: String,
    /// Whether prices are gross: true or false
    #[arg(long, env = "COMMERCE_PRICES_INCLUDE_TAX", global = true, default_value = "true")]
    pub prices_include_tax: String,
    /// Tax in percent by country: DE=19,FR=20 [default: none]
    #[arg(long, env = "COMMERCE_TAX_RATES", global = true)]
    pub tax_rates: Option<String>,
    /// Shipping methods: standard:4.90:free_above=50,express:9.90 [default: one, free]
    #[arg(long, env = "COMMERCE_SHIPPING_METHODS", global = true)]
    pub shipping_methods: Option<String>,
    /// A folder for mails, one .eml each [default: they are logged]
    #[arg(long, env = "COMMERCE_MAIL_DIR", global = true)]
    pub mail_dir: Option<String>,
    /// A mail server: smtps://user:password@host or smtp://user:password@host [default: mails are logged]
    #[arg(long, env = "COMMERCE_SMTP_URL", global = true, hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// The address that mails come from; needed with a mail server [default: shop@localhost]
    #[arg(long, env = "COMMERCE_MAIL_FROM", global = true)]
    pub mail_from: Option<String>,
    /// The shop's name, as mails give it [default: Shop]
    #[arg(long, env = "COMMERCE_SHOP_NAME", global = true)]
    pub shop_name: Option<String>,
    /// Stripe's secret key, sk_…; without one, Stripe isn't offered
    #[arg(long, env = "STRIPE_SECRET_KEY", global = true, hide_env_values = true)]
    pub stripe_secret_key: Option<String>,
    /// What Stripe signs webhooks with, whsec_…; two, with a comma, while one is being replaced
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", global = true, hide_env_values = true)]
    pub stripe_webhook_secret: Option<String>,
    /// Where Stripe's API is: an origin [default: https://api.stripe.com]
    #[arg(long, env = "STRIPE_API_BASE", global = true)]
    pub stripe_api_base: Option<String>,
    /// Whether payments are taken at checkout, or only promised and captured by staff: true or false
    #[arg(long, env = "COMMERCE_CAPTURE_AT_CHECKOUT", global = true, default_value = "true")]
    pub capture_at_checkout: String,
    /// How long an offline payment is awaited before its order is given up: 14d, 48h, 30m [default: for ever]
    #[arg(long, env = "COMMERCE_UNPAID_TTL", global = true)]
    pub unpaid_ttl: Option<String>,
    /// How to pay offline, for customers to read: the bank account, say [default: none]
    #[arg(long, env = "COMMERCE_OFFLINE_INSTRUCTIONS", global = true)]
    pub offline_instructions: Option<String>,
    /// Whether the test gateway is offered: on or off [default: on if no other gateway is configured]
    #[arg(long, env = "COMMERCE_TEST_GATEWAY", global = true)]
    pub test_gateway: Option<String>,
    /// Whether logins and the like are limited by address and account: on or off
    #[arg(long, env = "COMMERCE_RATE_LIMIT", global = true, default_value = "on")]
    pub rate_limit: String,
    /// The origins whose pages may call the API: https://shop.example,https://admin.example [default: none]
    #[arg(long, env = "COMMERCE_CORS_ORIGINS", global = true)]
    pub cors_origins: Option<String>,
    /// How long answering a request may take; writes that were begun are ended all the same
    #[arg(long, env = "COMMERCE_REQUEST_TIMEOUT", global = true, default_value = "30s")]
    pub request_timeout: String,
    /// How long a client may take to send a request's head
    #[arg(long, env = "COMMERCE_HEADER_TIMEOUT", global = true, default_value = "10s")]
    pub header_timeout: String,
    /// How long a client may take to send a request's body
    #[arg(long, env = "COMMERCE_BODY_TIMEOUT", global = true, default_value = "20s")]
    pub body_timeout: String,
    /// How long a connection is kept on which nothing is asked
    #[arg(long, env = "COMMERCE_IDLE_TIMEOUT", global = true, default_value = "60s")]
    pub idle_timeout: String,
    /// How long a round of background work may take before it is given up and the next one begins; the server isn't ready if
    /// none was finished for a fifth longer than that
    #[arg(long, env = "COMMERCE_WORKER_TIMEOUT", global = true, default_value = "50s")]
    pub worker_timeout: String,
    /// How long what was begun may take once the server is told to stop; what is left is cut off
    #[arg(long, env = "COMMERCE_SHUTDOWN_TIMEOUT", global = true, default_value = "25s")]
    pub shutdown_timeout: String,
    /// How long a server that is told to stop goes on accepting connections, for load balancers to notice
    #[arg(long, env = "COMMERCE_DRAIN_DELAY", global = true, default_value = "0s")]
    pub drain_delay: String,
    /// What is logged: error, warn, info, debug, or targets with levels
    #[arg(long, env = "COMMERCE_LOG", global = true, default_value = "info")]
    pub log: String,
    /// How it is logged: text or json
    #[arg(long, env = "COMMERCE_LOG_FORMAT", global = true, default_value = "text")]
    pub log_format: String,
}
