//! `PgBouncer` in front of a server, lending its connections for one transaction each.

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{TestingError, as_owner, file, new_folder};

const LIMIT: Duration = Duration::from_secs(30);

/// A running `PgBouncer`, which ends with this.
#[derive(Debug)]
pub struct PgBouncer {
    process: Child,
    folder: PathBuf,
    port: u16,
    version: (u32, u32),
}

impl PgBouncer {
    /// Starts one before the server behind a URL with `host=<folder of its socket>`, in transaction mode with these settings.
    ///
    /// # Errors
    /// If `PgBouncer` isn't installed (Debian: `apt-get install pgbouncer`), or doesn't start.
    pub async fn before(url: &str, settings: &[(&str, &str)]) -> Result<Self, TestingError> {
        let failed = |detail: String| TestingError::Program { program: "pgbouncer".to_owned(), detail };
        let socket = url.split_once("?host=").map(|(_, folder)| folder);
        let socket = socket.ok_or_else(|| failed(format!("{url} has no folder with a socket")))?;
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let program = program.iter().map(Path::new).find(|path| path.is_file());
        let program = program.ok_or_else(|| failed("not installed; Debian: apt-get install pgbouncer".to_owned()))?;
        let said = Command::new(program).arg("--version").output().map_err(|error| file(program, error))?;
        let version = version(&String::from_utf8_lossy(&said.stdout));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| file(program, error))?.port();
        let folder = new_folder(&[]);
        fs::create_dir_all(&folder).map_err(|error| file(&folder, error))?;
        let mut text = format!(
            "[databases]\n* = host={socket} port=5432\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 5\nmax_client_conn = 500\n"
        );
        // Without a name for everybody, auth_type = any connects as nobody.
        text = text.replace("port=5432\n", "port=5432 user=postgres\n");
        for (name, value) in settings {
            let _ = writeln!(text, "{name} = {value}");
        }
        let config = folder.join("pgbouncer.ini");
        fs::write(&config, text).map_err(|error| file(&config, error))?;
        let log = fs::File::create(folder.join("log")).map_err(|error| file(&folder, error))?;
        let process = as_owner(program)
            .arg(&config)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| file(program, error))?;
        let bouncer = Self { process, folder, port, version };
        let started = Instant::now();
        let options: PgConnectOptions = bouncer.url("postgres").parse()?;
        let options = options.extra_float_digits(None);
        while let Err(error) = PgConnection::connect_with(&options).await {
            if started.elapsed() > LIMIT {
                let log = fs::read_to_string(bouncer.folder.join("log")).unwrap_or_default();
                return Err(failed(format!("{error}\n{log}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(bouncer)
    }

    /// The URL of a database through it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Whether this version can keep the prepared statements of its clients apart (`max_prepared_statements`).
    #[must_use]
    pub fn knows_prepared_statements(&self) -> bool {
        self.version >= (1, 21)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Of `PgBouncer 1.18.0` and more lines.
fn version(text: &str) -> (u32, u32) {
    let numbers = text.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = numbers.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
