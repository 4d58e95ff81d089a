//! Throw-away databases for tests, on PostgreSQL binaries that the machine has. Feature `testing`.
//!
//! ```no_run
//! # async fn test() {
//! let database = commerce_postgres::testing::TestDatabase::new().await.expect("a test database");
//! let store = database.store().await.expect("a store");
//! # }
//! ```
//!
//! All tests of a process share one cluster, which goes away with the process, however it ends; each has a database of its
//! own, copied from a migrated template. `COMMERCE_TEST_POSTGRES_URL` (of a user who may create databases) uses a running
//! server instead, and `COMMERCE_TEST_POSTGRES_BIN` says where `initdb` and `postgres` are. `COMMERCE_TEST_DISTRIBUTED=citus`
//! spreads each database over a coordinator and two workers of Citus, started in the cluster's place.

mod citus;
mod database;
mod freeze;
mod pgbouncer;

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio, id as process_id},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use commerce_core::store::StoreError;
use sqlx::{Connection as _, PgConnection};

use crate::DistributeError;

pub use self::{citus::Citus, database::TestDatabase, pgbouncer::PgBouncer};

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no database to test on.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// No PostgreSQL on this machine.
    #[error(
        "no PostgreSQL binaries found: install them (Debian: apt-get install postgresql), or set \
         COMMERCE_TEST_POSTGRES_BIN to their folder, or COMMERCE_TEST_POSTGRES_URL to a running server"
    )]
    NoBinaries,
    /// PostgreSQL without Citus.
    #[error(
        "the PostgreSQL in {} has no Citus: install the extension for it (packages: docs.citusdata.com; sources: \
         github.com/citusdata/citus), or set COMMERCE_TEST_POSTGRES_BIN to the programs of one that has it", _0.display()
    )]
    NoCitus(PathBuf),
    /// A setting that isn't known.
    #[error("COMMERCE_TEST_DISTRIBUTED={0:?} is not known: it may be citus, or absent")]
    Distributed(String),
    /// A program failed.
    #[error("{program} failed: {detail}")]
    Program {
        /// The program that was to run.
        program: String,
        /// What it said.
        detail: String,
    },
    /// A file couldn't be handled.
    #[error("{}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The server didn't answer, or refused.
    #[error("the test server: {0}")]
    Server(#[from] sqlx::Error),
    /// The schema couldn't be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tables couldn't be spread.
    #[error(transparent)]
    Spread(#[from] DistributeError),
}

/// A server of its own. It is stopped, and its files are removed, when this is dropped or the process ends.
#[derive(Debug)]
pub struct Cluster {
    // Reads orders from its standard input, and ends the server when that closes.
    keeper: Child,
    folder: PathBuf,
    port: String,
}

impl Cluster {
    /// Starts a server on a Unix socket, with these settings on top of those that make tests fast (`fsync=off` among them).
    /// With `fsync=on` its files are on a disk.
    ///
    /// # Errors
    /// If there are no binaries, or they fail.
    pub async fn start(settings: &[(&str, &str)]) -> Result<Self, TestingError> {
        Self::start_in(new_folder(settings), settings).await
    }

    async fn start_in(folder: PathBuf, settings: &[(&str, &str)]) -> Result<Self, TestingError> {
        let binaries = binaries()?;
        let cached = cached(&binaries)?;
        run(as_owner("cp").arg("-a").arg(&cached).arg(&folder))?;
        Self::serve(&binaries, folder, settings).await
    }

    /// Starts a streaming replica of this server.
    ///
    /// # Errors
    /// If the binaries fail.
    pub async fn replica(&self) -> Result<Self, TestingError> {
        let (binaries, folder) = (binaries()?, new_folder(&[]));
        run(as_owner(binaries.join("pg_basebackup"))
            .args(["--username=postgres", "--checkpoint=fast", "--no-sync", "--write-recovery-conf"])
            .arg("--host")
            .arg(&self.folder)
            .arg("--pgdata")
            .arg(&folder))?;
        // The primary's, which lies among its data and was copied with it.
        let lock = folder.join(".s.PGSQL.5432.lock");
        fs::remove_file(&lock).map_err(|error| file(&lock, error))?;
        Self::serve(&binaries, folder, &[]).await
    }

    async fn serve(binaries: &Path, folder: PathBuf, settings: &[(&str, &str)]) -> Result<Self, TestingError> {
        let keeper = keep(binaries, &folder, settings).map_err(|error| file(&folder, error))?;
        let port = settings.iter().find(|(name, _)| *name == "port").map_or("5432", |(_, port)| port);
        let cluster = Self { keeper, folder, port: port.to_owned() };
        cluster.answers().await?;
        Ok(cluster)
    }

    /// The URL of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost:{}/{database}?host={}", self.port, self.folder.display())
    }

    /// Ends the server at once, as if its machine had lost power.
    ///
    /// # Errors
    /// If it doesn't end.
    pub async fn crash(&mut self) -> Result<(), TestingError> {
        self.order("crash")?;
        let started = Instant::now();
        while PgConnection::connect(&self.url("postgres")).await.is_ok() {
            if started.elapsed() > START_TIMEOUT {
                return Err(file(&self.folder, io::ErrorKind::TimedOut.into()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts the server again after a [`Self::crash`].
    ///
    /// # Errors
    /// If it doesn't start.
    pub async fn restart(&mut self) -> Result<(), TestingError> {
        self.order("start")?;
        self.answers().await
    }

    fn order(&mut self, order: &str) -> Result<(), TestingError> {
        let orders = self.keeper.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe.into());
        orders.and_then(|orders| writeln!(orders, "{order}")).map_err(|error| file(&self.folder, error))
    }

    /// Where its data is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    async fn answers(&self) -> Result<(), TestingError> {
        let started = Instant::now();
        loop {
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) if started.elapsed() > START_TIMEOUT => {
                    let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                    return Err(TestingError::Program {
                        program: "postgres".to_owned(),
                        detail: format!("{error}\n{log}"),
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // One that is stopped wouldn't hear that it must end.
        let _ = self.thaw();
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Where clusters live: in memory where there is plenty, as the disk is what they would wait for.
fn base() -> PathBuf {
    const PLENTY_KIB: u64 = 2 << 20;
    let free = Command::new("df").args(["-Pk", "/dev/shm"]).output().ok().and_then(|df| {
        String::from_utf8_lossy(&df.stdout).lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    if free.is_some_and(|free| free >= PLENTY_KIB) { PathBuf::from("/dev/shm") } else { env::temp_dir() }
}

/// Where the next cluster of this process lives.
fn new_folder(settings: &[(&str, &str)]) -> PathBuf {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let n = STARTED.fetch_add(1, Ordering::Relaxed);
    let base = if settings.contains(&("fsync", "on")) { env::temp_dir() } else { base() };
    let folder = base.join(format!("commerce-pg-{}-{n}", process_id()));
    // A process with the same id may have been here before.
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn file(path: &Path, error: io::Error) -> TestingError {
    TestingError::File { path: path.to_owned(), error }
}

/// The folder of PostgreSQL's programs.
///
/// # Errors
/// If there is none.
pub fn binaries() -> Result<PathBuf, TestingError> {
    let named = env::var_os("COMMERCE_TEST_POSTGRES_BIN").map(PathBuf::from).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let mut debian: Vec<PathBuf> = debian.collect();
    debian.sort();
    let found = named.chain(env::split_paths(&path)).chain(debian.into_iter().rev());
    // Where links lead: beside the real program are all the others.
    let mut real = found.into_iter().filter_map(|folder| fs::canonicalize(folder.join("initdb")).ok());
    real.find_map(|program| Some(program.parent()?.to_owned())).ok_or(TestingError::NoBinaries)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The command, run as user `postgres` if we are root, as the server refuses to be.
fn as_owner(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn run(command: &mut Command) -> Result<(), TestingError> {
    let program = format!("{command:?}");
    let failed = |detail: String| TestingError::Program { program: program.clone(), detail };
    let output = command.current_dir("/").stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// An empty cluster of this version of PostgreSQL, made once on this machine.
fn cached(binaries: &Path) -> Result<PathBuf, TestingError> {
    let version =
        Command::new(binaries.join("postgres")).arg("--version").output().map_err(|error| file(binaries, error))?;
    let version: String = String::from_utf8_lossy(&version.stdout)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let owner = if is_root() { "root" } else { "user" };
    made_once(binaries, &env::temp_dir().join(format!("commerce-pg-cache-{owner}")), version.trim_matches('-'))
}

/// The cluster of this name in a folder. Threads and processes that come at once wait for the one that makes it.
fn made_once(binaries: &Path, cache: &Path, name: &str) -> Result<PathBuf, TestingError> {
    fs::create_dir_all(cache).map_err(|error| file(cache, error))?;
    if is_root() {
        // The server's user writes here too; the sticky bit keeps others from replacing what is here.
        fs::set_permissions(cache, fs::Permissions::from_mode(0o1777)).map_err(|error| file(cache, error))?;
    }
    let made = cache.join(name);
    if made.join("PG_VERSION").is_file() {
        return Ok(made);
    }
    let path = cache.join(format!("{name}.lock"));
    let lock = fs::File::create(&path).map_err(|error| file(&path, error))?;
    // The lock belongs to the open file: it holds back other threads too, and ends with the process, however that ends.
    lock.lock().map_err(|error| file(&path, error))?;
    if made.join("PG_VERSION").is_file() {
        return Ok(made);
    }
    // Whoever held the lock before may have been killed at work.
    let unfinished = cache.join(format!("{name}.new"));
    let _ = fs::remove_dir_all(&unfinished);
    run(as_owner(binaries.join("initdb"))
        .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
        .arg(&unfinished))?;
    fs::rename(&unfinished, &made).map_err(|error| file(&made, error))?;
    Ok(made)
}

/// Starts the server under a shell that stops it, and removes its files, when our end of a pipe closes: on drop, on a normal
/// end, and on SIGKILL alike.
fn keep(binaries: &Path, folder: &Path, settings: &[(&str, &str)]) -> io::Result<Child> {
    const KEEPER: &str = "folder=$1; shift; \
        start() { \"$@\" >>\"$folder/log\" 2>&1 & server=$!; }; \
        stop() { kill -QUIT $server; wait $server; }; \
        start \"$@\"; \
        while read -r order; do case $order in crash) stop;; start) start \"$@\";; esac; done; \
        stop; rm -rf \"$folder\"";
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "keeper"]).arg(folder);
    let mut server = as_owner(binaries.join("postgres"));
    server.arg("-D").arg(folder).arg("-k").arg(folder);
    for (name, value) in [
        ("listen_addresses", ""),
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("max_connections", "300"),
        ("shared_buffers", "128MB"),
        ("log_min_messages", "fatal"),
        ("log_min_error_statement", "fatal"),
    ]
    .iter()
    .chain(settings)
    {
        server.arg("-c").arg(format!("{name}={value}"));
    }
    command.arg(server.get_program()).args(server.get_args());
    // A process group of its own: Ctrl-C is for the tests, and the keeper follows them.
    command.process_group(0).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

#[cfg(test)]
mod tests;
