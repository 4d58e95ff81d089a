//! Copies a whole shop from one database into another.

use std::sync::Arc;

use commerce_core::{
    clock::SystemClock,
    id::UuidV7,
    store::{
        Portable,
        copy::{BATCH, CopyProgress, copy},
    },
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{Failure, config::Database, shop};

/// Copies, or goes on with a copy that was interrupted.
pub async fn run(from: &str, to: &str) -> Result<(), Failure> {
    let (source, target) = (open("--from", from, true).await?, open("--to", to, false).await?);
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec} {msg}")?);
    let show = |at: CopyProgress| {
        bar.set_length(at.total);
        bar.set_position(at.done);
        bar.set_message(at.table.trim_start_matches("commerce_"));
    };
    let done = copy(&*source, &*target, &SystemClock, &UuidV7, BATCH, show).await?;
    bar.finish_and_clear();
    println!("The whole shop is there, {done} rows and aggregates; commerce-server verify checks both sides");
    Ok(())
}

async fn open(flag: &'static str, url: &str, must_exist: bool) -> Result<Arc<dyn Portable>, Failure> {
    let database = Database::read(flag, url)?;
    if let Database::Sqlite { file: Some(file), .. } = &database
        && must_exist
        && !file.exists()
    {
        return Err(format!("{flag} is wrong: there is no file {}", file.display()).into());
    }
    shop::open_store(&database, None, &[]).await
}
