//! Backups: a whole database as one file, made while it is in use, and put back.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    str::FromStr as _,
    time::Duration,
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, query, query_scalar, sqlite::SqliteConnectOptions};

use crate::identity::with_suffix;

/// What SQLite puts beside a database. A backup next to another database's would be opened together with it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// How often a backup that is being written is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How much is copied at once.
const CHUNK: usize = 1 << 20;

/// How far a backup or its return has come, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupProgress {
    /// So much is written.
    pub done: u64,
    /// So much there will be, or a little less.
    pub total: u64,
}

/// Why there is no backup, or none that can be put back. Nothing is left half-written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The URL names no file.
    #[error("'{0}' names no file that could be backed up")]
    NoFile(String),
    /// There is nothing to read.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// There is something where the result should be.
    #[error("{} exists already; it is left as it is", .0.display())]
    Exists(PathBuf),
    /// There is something beside the place of the result that would become part of it.
    #[error("{} is left over from another database, and would become part of this one: move it away first", .0.display())]
    Leftover(PathBuf),
    /// The file to be put back isn't all there is of its database.
    #[error("{} isn't a backup: its newest writes are in {}", .0.display(), .1.display())]
    Incomplete(PathBuf, PathBuf),
    /// A file of something else.
    #[error("{} isn't the database of a shop", .0.display())]
    NotAShop(PathBuf),
    /// SQLite finds faults in it.
    #[error("{} is damaged: {}", .0.display(), .1)]
    Damaged(PathBuf, String),
    /// A file can't be read or written.
    #[error("{} can't be {}: {}", .0.display(), .1, .2)]
    File(PathBuf, &'static str, #[source] io::Error),
    /// The database can't be read.
    #[error("the database can't be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// Writes a copy of a shop's database, by its URL, to a file that isn't there yet. Others may read and write the database
/// meanwhile: the copy is what had been committed at one moment. Only its owner may read the file, which is complete and durable
/// when this returns; its size in bytes.
///
/// # Errors
/// See [`BackupError`].
pub async fn backup(url: &str, to: &Path, mut progress: impl FnMut(BackupProgress)) -> Result<u64, BackupError> {
    let options = file_options(url)?;
    let from = options.get_filename().to_owned();
    if !from.exists() {
        return Err(BackupError::Missing(from));
    }
    require_free(to)?;
    let mut conn = connect(options).await?;
    require_shop(&mut conn, &from).await?;
    let total = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let total: i64 = query_scalar(total).fetch_one(&mut conn).await?;
    let total = u64::try_from(total).unwrap_or(0);

    let draft = Draft::beside(to)?;
    {
        let path = draft.0.to_string_lossy().into_owned();
        let mut copying = std::pin::pin!(query("VACUUM INTO ?").bind(path).execute(&mut conn));
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                copied = copying.as_mut() => {
                    copied?;
                    break;
                }
                _ = look.tick() => progress(BackupProgress { done: draft.size().min(total), total }),
            }
        }
    }
    conn.close().await?;
    let size = draft.size();
    draft.check().await?;
    draft.publish(to).await?;
    progress(BackupProgress { done: size, total: size });
    Ok(size)
}

/// Puts a backup back as the database of this URL, which must not be there yet, and neither may what SQLite keeps beside it.
///
/// # Errors
/// See [`BackupError`].
pub async fn restore(from: &Path, url: &str, progress: impl FnMut(BackupProgress)) -> Result<(), BackupError> {
    let to = file_options(url)?.get_filename().to_owned();
    require_free(&to)?;
    if !from.is_file() {
        return Err(BackupError::Missing(from.to_owned()));
    }
    let log = with_suffix(from, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(BackupError::Incomplete(from.to_owned(), log));
    }
    let draft = Draft::beside(&to)?;
    draft.fill(from, progress)?;
    draft.check().await.map_err(|error| match error {
        BackupError::Damaged(_, why) => BackupError::Damaged(from.to_owned(), why),
        BackupError::NotAShop(_) => BackupError::NotAShop(from.to_owned()),
        error => error,
    })?;
    draft.publish(&to).await
}

/// Connection settings of a database in a file that is there.
fn file_options(url: &str) -> Result<SqliteConnectOptions, BackupError> {
    if crate::open::is_memory(url) {
        return Err(BackupError::NoFile(url.to_owned()));
    }
    Ok(SqliteConnectOptions::from_str(url)?.create_if_missing(false).disable_statement_logging())
}

/// Writing, so that what SQLite puts beside the database goes away again; or else reading, where nothing can be written.
async fn connect(options: SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let options = options.busy_timeout(Duration::from_secs(5));
    match options.clone().read_only(false).connect().await {
        Ok(conn) => Ok(conn),
        Err(_) => options.read_only(true).connect().await,
    }
}

fn require_free(path: &Path) -> Result<(), BackupError> {
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    if is_there(path) {
        return Err(BackupError::Exists(path.to_owned()));
    }
    match BESIDE.iter().map(|suffix| with_suffix(path, suffix)).find(|beside| is_there(beside)) {
        Some(beside) => Err(BackupError::Leftover(beside)),
        None => Ok(()),
    }
}

async fn require_shop(conn: &mut SqliteConnection, path: &Path) -> Result<(), BackupError> {
    let tables =
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('commerce_order', 'commerce_product', 'commerce_user')";
    let tables: Result<i64, _> = query_scalar(tables).fetch_one(conn).await;
    match tables {
        Ok(3) => Ok(()),
        Ok(_) => Err(BackupError::NotAShop(path.to_owned())),
        Err(error) if crate::error::is_damage(&error) => Err(BackupError::NotAShop(path.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// A file on its way to where it belongs. It is removed unless it gets there.
struct Draft(PathBuf);

impl Draft {
    fn beside(place: &Path) -> Result<Self, BackupError> {
        let path = with_suffix(place, &format!(".{}.part", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| BackupError::File(path.clone(), "made", error))?;
        Ok(Self(path))
    }

    fn size(&self) -> u64 {
        fs::metadata(&self.0).map_or(0, |file| file.len())
    }

    fn failed(&self, what: &'static str) -> impl Fn(io::Error) -> BackupError {
        let path = self.0.clone();
        move |error| BackupError::File(path.clone(), what, error)
    }

    fn fill(&self, from: &Path, mut progress: impl FnMut(BackupProgress)) -> Result<(), BackupError> {
        let unreadable = |error| BackupError::File(from.to_owned(), "read", error);
        let mut source = fs::File::open(from).map_err(unreadable)?;
        let total = source.metadata().map_err(unreadable)?.len();
        let mut target = fs::OpenOptions::new().write(true).open(&self.0).map_err(self.failed("written"))?;
        let (mut chunk, mut done) = (vec![0; CHUNK], 0);
        loop {
            let read = source.read(&mut chunk).map_err(unreadable)?;
            if read == 0 {
                return Ok(());
            }
            target.write_all(&chunk[..read]).map_err(self.failed("written"))?;
            done += read as u64;
            progress(BackupProgress { done, total });
        }
    }

    /// Whether SQLite finds it whole, and it is a shop's.
    async fn check(&self) -> Result<(), BackupError> {
        let damaged = |why: String| BackupError::Damaged(self.0.clone(), why);
        let options = SqliteConnectOptions::new().filename(&self.0).create_if_missing(false);
        let mut conn =
            options.disable_statement_logging().connect().await.map_err(|error| damaged(error.to_string()))?;
        require_shop(&mut conn, &self.0).await?;
        let found: Result<Vec<String>, _> = query_scalar("PRAGMA quick_check(3)").fetch_all(&mut conn).await;
        conn.close().await?;
        match found {
            Ok(found) if found == ["ok"] => Ok(()),
            Ok(found) => Err(damaged(found.join("; "))),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    /// Makes it durable, and then lets it be seen: under a name that nothing has.
    async fn publish(self, place: &Path) -> Result<(), BackupError> {
        let place = place.to_owned();
        let publish = move || {
            fs::File::open(&self.0).and_then(|file| file.sync_all()).map_err(self.failed("written"))?;
            let failed = |error: io::Error| match error.kind() {
                io::ErrorKind::AlreadyExists => BackupError::Exists(place.clone()),
                _ => BackupError::File(place.clone(), "made", error),
            };
            fs::hard_link(&self.0, &place).map_err(failed)?;
            let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
        };
        let published = tokio::task::spawn_blocking(publish).await;
        published.unwrap_or_else(|gone| Err(BackupError::Database(sqlx::Error::Io(io::Error::other(gone)))))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for beside in BESIDE {
            let _ = fs::remove_file(with_suffix(&self.0, beside));
        }
        let _ = fs::remove_file(&self.0);
    }
}
