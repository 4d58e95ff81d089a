//! PostgreSQL, whose files may grow no further.
//!
//! A small file system can't be had without privileges, so the end of the disk is a limit on the size of files (`RLIMIT_FSIZE`)
//! of the server and all its processes, who take it for what it simulates: a write that is cut short is reported as SQLSTATE
//! 53100, "disk full". It differs from a full disk in that files which stay below the limit may still be written, and new ones
//! made: which files can't grow is chosen by the limit. That allows to tell the two ways in which a server runs full: its tables
//! can't grow while its log still can; its log can't be written, which stops it, and keeps it from coming back.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use commerce_postgres::testing::binaries;
use commerce_tests::http::{Home, Server};
use sqlx::{Connection as _, PgConnection, query, query_as};
use tokio::task::JoinSet;

use crate::{all_is_there, attempts, fill_up, go_on, limit_files};

const BLOCK: u64 = 8_192;
/// What a file of the log has here: less than a table that the shop fills soon.
const LOG_FILE: u64 = 1 << 20;

/// A PostgreSQL under a service manager: a shell that starts it again whenever it ends, until our end of a pipe closes.
struct Disk {
    manager: Child,
    folder: PathBuf,
}

const MANAGER: &str = "trap '' XFSZ; folder=$1; shift; \
    (while [ ! -e \"$folder/end\" ]; do \"$@\" >>\"$folder/log\" 2>&1; sleep 0.3; done) & \
    cat >/dev/null; touch \"$folder/end\"; kill -QUIT $(head -n 1 \"$folder/data/postmaster.pid\"); wait; rm -rf \"$folder\"";

/// The command, run as user `postgres` if we are root, as PostgreSQL refuses to be.
fn as_owner(program: PathBuf) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn run(command: &mut Command) {
    let output = command.current_dir("/").output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Disk {
    async fn new() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let binaries = binaries().unwrap_or_else(|error| panic!("{error}"));
        let folder = std::env::temp_dir().join(format!(
            "commerce-disk-{}-{}",
            std::process::id(),
            STARTED.fetch_add(1, Ordering::Relaxed)
        ));
        // A process with the same id may have been here before.
        let _ = fs::remove_dir_all(&folder);
        run(as_owner("mkdir".into()).arg(&folder));
        run(as_owner(binaries.join("initdb"))
            .args([
                "--no-sync",
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--wal-segsize=1",
                "-D",
            ])
            .arg(folder.join("data")));
        let mut postgres = Command::new(binaries.join("postgres"));
        postgres.arg("-D").arg(folder.join("data")).arg("-k").arg(&folder);
        // The log of a server that crashes is in the system's hands by then: waiting for the disk would show nothing more.
        for setting in ["listen_addresses=", "fsync=off", "autovacuum=off", "max_connections=100"] {
            postgres.arg("-c").arg(setting);
        }
        let mut manager = as_owner("sh".into());
        manager.args(["-c", MANAGER, "manager"]).arg(&folder).arg(postgres.get_program()).args(postgres.get_args());
        manager.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let disk = Self { manager: manager.spawn().expect("sh runs"), folder };
        disk.answers().await;
        disk
    }

    fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.display())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until it has logged these words.
    async fn logged(&self, words: &str) {
        let started = Instant::now();
        while !self.log().contains(words) {
            assert!(started.elapsed() < Duration::from_mins(1), "never logged {words:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the server takes connections.
    async fn answers(&self) {
        let started = Instant::now();
        while PgConnection::connect(&self.url()).await.is_err() {
            assert!(started.elapsed() < Duration::from_mins(1), "PostgreSQL doesn't start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How large a file of the server's may become, of the processes that there are and of those that come.
    fn limit(&self, size: &str) {
        let mut processes = vec![self.manager.id()];
        // Parents first: a child that is started in between inherits the limit.
        while let Some(process) = processes.pop() {
            limit_files(as_owner("prlimit".into()), process, size);
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
            processes.extend(children.unwrap_or_default().split_whitespace().filter_map(|it| it.parse::<u32>().ok()));
        }
    }

    /// Has the table of idempotency keys grow larger than all other files, the log's included; its size.
    async fn fill_keys(&self) -> u64 {
        let mut database = PgConnection::connect(&self.url()).await.expect("a connection");
        let keys = "INSERT INTO commerce_key (key, fingerprint, output, at) SELECT decode(md5(n::text) || md5(n::text), 'hex'), decode(repeat('00', 32), 'hex'), \
                    to_jsonb(repeat('x', 1000)), (extract(epoch FROM now()) * 1000000)::bigint FROM generate_series(1, $1) n";
        query(keys)
            .bind(i32::try_from(LOG_FILE / 1_000).expect("a small number"))
            .execute(&mut database)
            .await
            .expect("keys");
        let sizes = "SELECT relname::text, pg_relation_size(oid) FROM pg_class ORDER BY 2 DESC LIMIT 1";
        let (table, size): (String, i64) = query_as(sizes).fetch_one(&mut database).await.expect("sizes");
        let size = u64::try_from(size).expect("a size");
        assert!(table == "commerce_key" && size >= LOG_FILE, "{table} has {size}");
        size
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.manager.stdin.take());
        let _ = self.manager.wait();
    }
}

async fn start(home: &Arc<Home>) -> Server {
    let home = home.clone();
    tokio::task::spawn_blocking(move || Server::start_in(home, &[], &[])).await.expect("the server starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_cannot_grow_are_said_lose_nothing_and_grow_again() {
    let disk = Disk::new().await;
    let home = Home::at(disk.url());
    let mut server = start(&home).await;
    let (mut attempts, variant) = attempts(&server, 40).await;
    let admin = server.admin().await;
    let largest = disk.fill_keys().await;
    // Two blocks more, and half of one: what is cut short is told as a full disk.
    disk.limit(&(largest + 2 * BLOCK + BLOCK / 2).to_string());

    server.ready().await;
    let acknowledged = fill_up(&mut attempts, 10).await;
    server.not_ready("writes").await;
    assert!(disk.log().contains("could not extend file"), "{}", disk.log());
    admin.get("/v1/admin/orders").await.done(200);
    server.anyone().get("/v1/products").await.done(200);

    disk.limit("unlimited");
    go_on(&server, &mut attempts).await;
    server.ready().await;
    all_is_there(&server, &attempts, &variant).await;
    server.kill();
    server = start(&home).await;
    all_is_there(&server, &attempts, &variant).await;
    println!("{acknowledged} orders before the table was full, {} in the end", attempts.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_stops_the_database_and_loses_nothing() {
    let disk = Disk::new().await;
    let home = Home::at(disk.url());
    let server = start(&home).await;
    let (attempts, variant) = attempts(&server, 80).await;

    // Four buyers at a time, and in the middle of it the log meets the end of the disk.
    let (mut lanes, bought) = ([vec![], vec![], vec![], vec![]], Arc::new(AtomicU32::new(0)));
    for (n, attempt) in attempts.into_iter().enumerate() {
        lanes[n % 4].push(attempt);
    }
    let mut buyers = JoinSet::new();
    for mut lane in lanes {
        let bought = bought.clone();
        buyers.spawn(async move {
            let mut refused = Vec::new();
            for attempt in &mut lane {
                let answer = attempt.ask().await;
                match attempt.order {
                    Some(_) => drop(bought.fetch_add(1, Ordering::Relaxed)),
                    None => refused.push(answer.status),
                }
            }
            (lane, refused)
        });
    }
    while bought.load(Ordering::Relaxed) < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    disk.limit(&(LOG_FILE / 2).to_string());
    let (mut attempts, mut refused) = (Vec::new(), Vec::new());
    for (lane, statuses) in buyers.join_all().await {
        attempts.extend(lane);
        refused.extend(statuses);
    }
    assert!(disk.log().contains("PANIC"), "{}", disk.log());
    assert!(!refused.is_empty() && refused.iter().all(|status| *status == 503), "{refused:?}");

    // It comes back only to find that it still can't write. Whoever asks is told to come again.
    disk.logged("shutting down due to startup process failure").await;
    let told = server.anyone().get("/v1/products?page=new").await;
    told.refused(503, "unavailable");
    assert!(!told.header("retry-after").is_empty());
    server.not_ready("database").await;

    disk.limit("unlimited");
    disk.answers().await;
    go_on(&server, &mut attempts).await;
    server.ready().await;
    all_is_there(&server, &attempts, &variant).await;
    println!("{} of {} orders were refused at first", refused.len(), attempts.len());
}
