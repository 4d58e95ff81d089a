//! `commerce-server`: a shop's whole API from one program and one database. See `--help`.

mod admin;
mod backup;
// Its docs are the help texts, read in terminals.
#[allow(clippy::doc_markdown)]
mod cli;
mod config;
mod connections;
mod copy;
mod gauges;
mod listener;
mod manager;
mod output;
mod progress;
mod seed;
mod serve;
mod shop;
mod signals;

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use commerce_core::{
    Commerce, Currency,
    store::{Portable, missing_references},
};
use commerce_http::CommerceApi;

use crate::{
    cli::{AdminCommand, Cli, Command, Distributed, Settings},
    config::{Config, ConfigError, Gateways},
    output::Format,
    signals::Signals,
};

/// Gives memory back: the system's allocator keeps what password hashing took, once for every thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What stops the program, as a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let format = Format::of(&cli.settings);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            format.error(&format!("no threads can be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code =
        runtime.block_on(run_until_stopped(&cli.settings, cli.command.unwrap_or(Command::Serve { demo: false })));
    // Threads that hang, looking a host name up for example, don't keep the program from ending.
    runtime.shutdown_background();
    code.unwrap_or_else(|error| {
        format.error(&error.to_string());
        if error.is::<ConfigError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
    })
}

/// Help and version are what was asked for; all else is an error.
fn not_understood(error: &clap::Error) -> ExitCode {
    match Format::of_environment() {
        Format::Json if error.use_stderr() => {
            Format::Json.error(error.to_string().trim());
            ExitCode::from(2)
        }
        _ => error.exit(),
    }
}

/// A server finishes what was begun when it is told to stop; any other command ends at once.
async fn run_until_stopped(settings: &Settings, command: Command) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    if let Command::Serve { demo } = command {
        let logging = output::log(settings);
        let config = Config::read(settings)?;
        logging?;
        return serve::serve(&config, demo, Format::of(settings), &mut signals).await;
    }
    tokio::select! {
        code = run(settings, command) => code,
        stop = signals.next() => Ok(ExitCode::from(stop.exit_code())),
    }
}

/// Each command reads the settings that it uses: what is wrong with others doesn't stop it.
async fn run(settings: &Settings, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve { .. } => {}
        Command::Migrate { distributed: None } => {
            shop::open_store(&config::database(settings)?, None, &[]).await?;
            println!("The database is up to date");
        }
        Command::Migrate { distributed: Some(Distributed::Citus) } => {
            match shop::distribute(&config::database(settings)?).await? {
                0 => println!("All tables were on the nodes already"),
                placed => println!("{placed} tables were placed on the nodes: start the servers"),
            }
        }
        Command::Backup { to } => backup::backup(settings, &to).await?,
        Command::Restore { from } => backup::restore(settings, &from).await?,
        Command::Copy { from, to } => copy::run(&from, &to).await?,
        Command::Admin { command: AdminCommand::Create { email, password, first_name, last_name } } => {
            let shop = shop::open(&Config::read(settings)?).await?;
            admin::create(&shop.commerce, email, password, first_name, last_name, Format::Text).await?;
        }
        Command::Seed => seed::fill(&shop::open(&Config::read(settings)?).await?.commerce, Format::Text).await?,
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
    let text = if yaml { serde_saphyr::to_string(&spec)? } else { serde_json::to_string_pretty(&spec)? + "\n" };
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough: `… openapi | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints every counter that disagrees with its ledger, everything that is referred to and isn't there, and every payment that disagrees with its gateway.
async fn verify(settings: &Settings) -> Result<ExitCode, Failure> {
    let (currency, gateways) = (config::currency(settings)?, Gateways::read(settings)?);
    let store = shop::open_to_read(&config::database(settings)?).await?;
    let outcome = compare(store.clone(), currency, &gateways).await;
    store.close().await?;
    outcome
}

async fn compare(store: Arc<dyn Portable>, currency: Currency, gateways: &Gateways) -> Result<ExitCode, Failure> {
    let drifts = store.reads().verify().await?;
    let missing = missing_references(&*store).await?;
    let builder = Commerce::builder().shared_store(store).currency(currency).secret(shop::random(32)?);
    let (builder, _) = shop::with_gateways(builder, gateways)?;
    let payments = builder.build()?.as_system().payments().reconcile().await?;
    for drift in &drifts {
        println!(
            "{} of {}: counted {}, but the ledger adds up to {}",
            drift.counter, drift.id, drift.counted, drift.ledger
        );
    }
    for reference in &missing {
        println!("{reference}");
    }
    for drift in &payments.drifts {
        println!("{drift}");
    }
    if drifts.is_empty() && missing.is_empty() && payments.drifts.is_empty() {
        println!("All counters agree with their ledgers, and all is there that is referred to");
        println!("{} payments agree with their gateways ({} can't be compared)", payments.compared, payments.skipped);
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
