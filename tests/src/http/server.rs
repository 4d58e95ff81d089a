//! The binary, started on a port and a folder of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, mpsc},
    time::{Duration, Instant},
};

use commerce_postgres::testing::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;

use super::{Client, Response};

/// The first admin of every server started here.
pub const ADMIN_EMAIL: &str = "admin@example.com";

/// Where a server keeps its shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// In a file.
    Sqlite,
    /// In a database of a throw-away PostgreSQL cluster.
    Postgres,
}

/// What stays when a server ends: its database, and a folder for its mails. Several servers can share it.
pub struct Home {
    folder: TempDir,
    url: String,
    // Goes away with this.
    database: Option<TestDatabase>,
}

impl Home {
    /// An empty one.
    pub async fn new(backend: Backend) -> Arc<Self> {
        let folder = TempDir::new().expect("a folder");
        let database = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(TestDatabase::new().await.unwrap_or_else(|error| panic!("{error}"))),
        };
        let url = match &database {
            None => format!("sqlite://{}", folder.path().join("shop.db").display()),
            Some(database) => database.url().to_owned(),
        };
        Arc::new(Self { folder, url, database })
    }

    /// One whose database is somebody else's.
    pub fn at(url: String) -> Arc<Self> {
        Arc::new(Self { folder: TempDir::new().expect("a folder"), url, database: None })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the database is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the database is spread over many nodes.
    pub fn is_distributed(&self) -> bool {
        self.database.as_ref().is_some_and(TestDatabase::is_distributed)
    }

    /// The server's program, set up to use this.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.path()).env_clear();
        command.env("COMMERCE_DATABASE_URL", &self.url);
        command.env("COMMERCE_JWT_SECRET", "the same for every server of the shop");
        command.env("COMMERCE_MAIL_DIR", self.path().join("mail"));
        command.env("COMMERCE_LISTEN", "127.0.0.1:0");
        command.env("COMMERCE_ADMIN_EMAIL", ADMIN_EMAIL);
        command.env("COMMERCE_ADMIN_PASSWORD", super::PASSWORD);
        command.env("COMMERCE_RATE_LIMIT", "off");
        command
    }
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    /// Where it answers: `http://127.0.0.1:<port>`.
    pub base: String,
    /// Its database and mails.
    pub home: Arc<Home>,
    settings: Vec<(String, String)>,
    log: Arc<Mutex<String>>,
}

/// The server's program, built first: `cargo test` doesn't build other packages' binaries.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let this = std::env::current_exe().expect("the test's own path");
        let target = this.ancestors().nth(2).expect("target/<profile>/deps/<test>");
        // The same selection of packages as `cargo test --workspace`: another one would build dependencies anew.
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        build.args(["build", "--workspace", "--bin", "commerce-server", "--quiet"]);
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        assert!(build.status().expect("cargo runs").success(), "commerce-server doesn't build");
        target.join("commerce-server")
    })
}

/// The address in the line that says that a server is ready, as text or as JSON.
fn ready_at(line: &str) -> Option<String> {
    if let Some((_, address)) = line.split_once("ready address=") {
        return address.split(' ').next().map(ToOwned::to_owned);
    }
    let line: Value = serde_json::from_str(line).ok()?;
    if line["message"] == "ready" { line["address"].as_str().map(ToOwned::to_owned) } else { None }
}

impl Server {
    /// A server on a new database.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[], &[]).await
    }

    /// A server on a new database, with settings and arguments.
    pub async fn start_with(backend: Backend, settings: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::start_in(Home::new(backend).await, settings, arguments)
    }

    /// A server on a database that may hold a shop already, and have other servers.
    #[must_use]
    pub fn start_in(home: Arc<Home>, settings: &[(&str, &str)], arguments: &[&str]) -> Self {
        let command = home.command();
        Self::start_by(home, command, settings, arguments)
    }

    /// A server started by a command that ends in [`Home::command`]'s.
    #[must_use]
    pub fn start_by(home: Arc<Home>, mut command: Command, settings: &[(&str, &str)], arguments: &[&str]) -> Self {
        command.arg("serve").args(arguments).envs(settings.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the server starts");
        let (log, ready) = (Arc::default(), mpsc::channel());
        let lines = BufReader::new(child.stderr.take().expect("its log"));
        std::thread::spawn({
            let log: Arc<Mutex<String>> = Arc::clone(&log);
            move || {
                for line in lines.lines().map_while(Result::ok) {
                    if let Some(address) = ready_at(&line) {
                        let _ = ready.0.send(format!("http://{address}"));
                    }
                    let mut log = log.lock().expect("the log");
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { child, base: String::new(), home, settings, log };
        let Ok(base) = ready.1.recv_timeout(Duration::from_mins(1)) else {
            panic!("the server isn't ready: {}", server.log())
        };
        server.base = base;
        server
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Somebody who isn't signed in.
    #[must_use]
    pub fn anyone(&self) -> Client {
        Client::new(&self.base)
    }

    /// Its address without the scheme.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name and doesn't wait.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(done.expect("kill runs").success());
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                return status;
            }
            assert!(Instant::now() < end, "the server doesn't end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What `commerce-server verify` says, if counters and ledgers, or payments and gateways, don't agree.
    ///
    /// # Errors
    /// Where they don't.
    pub fn verify(&self) -> Result<(), String> {
        let mut command = self.home.command();
        command.arg("verify").envs(self.settings.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("verify runs");
        let said = [output.stdout, output.stderr].concat();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) }
    }

    /// Asserts that [`Self::verify`] has nothing to say.
    #[track_caller]
    pub fn assert_verified(&self) {
        assert_eq!(self.verify(), Ok(()));
    }

    /// Waits until it has logged these words.
    pub async fn logged(&self, words: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "never logged {words:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `/health/ready` says that it is able to work.
    pub async fn ready(&self) {
        self.readiness(|answer| answer.status == 200).await;
    }

    /// Waits until `/health/ready` says that it isn't, as this check fails.
    pub async fn not_ready(&self, check: &str) {
        self.readiness(|answer| answer.status == 503 && answer.refused(503, "not_ready")["checks"][check] == "failed")
            .await;
    }

    async fn readiness(&self, fits: impl Fn(&Response) -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.anyone().get("/health/ready").await;
            if fits(&answer) {
                return;
            }
            assert!(Instant::now() < end, "{}: {}", answer.text(), self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The newest mail to an address with these words in it. Waits for it, as the worker sends it.
    pub async fn mail(&self, to: &str, words: &str) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let found = self.mails().into_iter().rev().find(|mail| mail.contains(to) && mail.contains(words));
            if let Some(mail) = found {
                return mail;
            }
            assert!(Instant::now() < end, "no mail to {to} with {words:?}: {:?}", self.mails());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All mails, oldest first, their quoted-printable lines joined.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.home.path().join("mail")) else { return Vec::new() };
        let mut mails: Vec<_> = folder
            .filter_map(Result::ok)
            .filter(|file| file.path().extension().is_some_and(|extension| extension == "eml"))
            .filter_map(|file| {
                let written = file.metadata().ok()?.modified().ok()?;
                Some((written, std::fs::read_to_string(file.path()).ok()?))
            })
            .collect();
        mails.sort();
        mails.into_iter().map(|(_, mail)| mail.replace("=\r\n", "").replace("=3D", "=")).collect()
    }

    /// The token of the link in the newest such mail.
    pub async fn mailed_token(&self, to: &str, link: &str) -> String {
        let mail = self.mail(to, &format!("{link}?token=")).await;
        let (_, token) = mail.rsplit_once("?token=").expect("a link");
        token.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
