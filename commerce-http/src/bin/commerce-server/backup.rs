//! A shop's database as one file, and back. PostgreSQL has tools of its own for that.

use std::path::Path;

use commerce_sqlite::BackupProgress;

use crate::{
    Failure,
    cli::Settings,
    config::{self, Database},
    progress::Progress,
};

const OF_POSTGRESQL: &str =
    "the shop is on PostgreSQL: use its own tools, such as pg_dump and pg_restore, or pg_basebackup";

fn sqlite(settings: &Settings) -> Result<String, Failure> {
    match config::database(settings)? {
        Database::Sqlite { url, .. } => Ok(url),
        Database::Postgres(_) => Err(OF_POSTGRESQL.into()),
    }
}

/// Copies the database, which may be in use, into a file that isn't there yet.
pub async fn backup(settings: &Settings, to: &Path) -> Result<(), Failure> {
    let url = sqlite(settings)?;
    let progress = Progress::bytes("backing up");
    let show = |at: BackupProgress| progress.show(at.done, at.total);
    let size = commerce_sqlite::backup(&url, to, show).await?;
    progress.finish();
    println!("The backup {} is complete: {size} bytes", to.display());
    if let Database::Sqlite { file: Some(file), .. } = config::database(settings)? {
        let secret = config::secret_beside(&file);
        if secret.exists() {
            println!("It doesn't hold the secret that signs tokens, {}: keep a copy of that, too", secret.display());
        }
    }
    Ok(())
}

/// Puts a backup back where no database is.
pub async fn restore(settings: &Settings, from: &Path) -> Result<(), Failure> {
    let url = sqlite(settings)?;
    let progress = Progress::bytes("restoring");
    commerce_sqlite::restore(from, &url, |at| progress.show(at.done, at.total)).await?;
    progress.finish();
    println!("The backup {} is the shop's database now; commerce-server verify checks it", from.display());
    Ok(())
}
