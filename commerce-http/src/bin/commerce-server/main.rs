//! `commerce-server`: a shop's whole API from one program and one database. See `--help`.

mod admin;
// Its docs are the help texts, read in terminals.
#[allow(clippy::doc_markdown)]
mod cli;
mod config;
mod copy;
mod listener;
mod seed;
mod serve;
mod shop;

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

use clap::Parser;
use commerce_core::{Commerce, context::Actor};
use commerce_http::CommerceApi;

use crate::{
    cli::{AdminCommand, Cli, Command, Distributed, Settings},
    config::{Config, ConfigError, Gateways},
};

/// Gives memory back: the system's allocator keeps what password hashing took, once for every thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What stops the program, as a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.settings, cli.command.unwrap_or(Command::Serve { demo: false })).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            if error.is::<ConfigError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Each command reads the settings that it uses: what is wrong with others doesn't stop it.
async fn run(settings: &Settings, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve { demo } => {
            let config = Config::read(settings)?;
            serve::log(&config)?;
            serve::serve(&config, demo).await?;
        }
        Command::Migrate { distributed: None } => {
            shop::open_store(&config::database(settings)?, &[]).await?;
            println!("The database is up to date");
        }
        Command::Migrate { distributed: Some(Distributed::Citus) } => {
            match shop::distribute(&config::database(settings)?).await? {
                0 => println!("All tables were on the nodes already"),
                placed => println!("{placed} tables were placed on the nodes: start the servers"),
            }
        }
        Command::Copy { from, to } => copy::run(&from, &to).await?,
        Command::Admin { command: AdminCommand::Create { email, password, first_name, last_name } } => {
            let shop = shop::open(&Config::read(settings)?).await?;
            admin::create(&shop.commerce, email, password, first_name, last_name).await?;
        }
        Command::Seed => seed::fill(&shop::open(&Config::read(settings)?).await?.commerce).await?,
        Command::Openapi { yaml } => print_spec(settings, yaml).await?,
        Command::Verify => return verify(settings).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// The document doesn't depend on what is in the database, so a throw-away one will do.
async fn print_spec(settings: &Settings, yaml: bool) -> Result<(), Failure> {
    let commerce = commerce_core::Commerce::builder()
        .store(commerce_sqlite::SqliteStore::open("sqlite::memory:").await?)
        .currency(config::currency(settings)?)
        .build()?;
    let mut api = CommerceApi::new(commerce);
    if Gateways::read(settings)?.offer_test_gateway() {
        api = api.test_gateway(commerce_core::payment::TestGateway::new());
    }
    let spec = api.spec("");
    let text = if yaml { serde_yaml::to_string(&spec)? } else { serde_json::to_string_pretty(&spec)? + "\n" };
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough: `… openapi | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints every counter that disagrees with its ledger, and every payment that disagrees with its gateway.
async fn verify(settings: &Settings) -> Result<ExitCode, Failure> {
    let (currency, gateways) = (config::currency(settings)?, Gateways::read(settings)?);
    let store = shop::open_store(&config::database(settings)?, &[]).await?;
    let drifts = store.reads().verify().await?;
    let builder = Commerce::builder().shared_store(store).currency(currency).secret(shop::random(32)?);
    let (builder, _) = shop::with_gateways(builder, &gateways)?;
    let payments = builder.build()?.payments().reconcile(&Actor::System).await?;
    for drift in &drifts {
        println!(
            "{} of {}: counted {}, but the ledger adds up to {}",
            drift.counter, drift.id, drift.counted, drift.ledger
        );
    }
    for drift in &payments.drifts {
        println!("{drift}");
    }
    if drifts.is_empty() && payments.drifts.is_empty() {
        println!("All counters agree with their ledgers");
        println!("{} payments agree with their gateways ({} can't be compared)", payments.compared, payments.skipped);
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
