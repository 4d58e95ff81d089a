//! Connection URLs as libpq has them: several hosts, what the session must be able to do, and no parameter that is overlooked.

use std::{str::FromStr as _, time::Duration};

use sqlx::postgres::PgConnectOptions;
use url::form_urlencoded;

/// The driver's own.
const DRIVER: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "dbname",
    "user",
    "password",
    "options",
];
/// What libpq knows and a deadline on every call does in its place.
const KEEPALIVES: &[&str] =
    &["keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"];
/// Statements that a connection keeps prepared, unless the URL says another number.
const STATEMENTS: usize = 256;

/// Why a URL can't be used. It never repeats what may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It isn't one of PostgreSQL's.
    #[error("must begin with postgres:// or postgresql://")]
    Scheme,
    /// Lists of hosts and of ports that don't fit.
    #[error("names {hosts} hosts and {ports} ports: give one port for all of them, or each its own")]
    Ports {
        /// How many hosts there are.
        hosts: usize,
        /// How many ports there are.
        ports: usize,
    },
    /// A list of servers where one is wanted.
    #[error("lists several hosts, though a replica is one server: give each replica a URL of its own")]
    SeveralHosts,
    /// Nobody knows the parameter.
    #[error("has the unknown parameter '{0}'")]
    Unknown(String),
    /// libpq knows the parameter, and this program does without it.
    #[error("has the parameter '{name}', which isn't supported: {instead}")]
    Unsupported {
        /// The parameter's name.
        name: String,
        /// What serves in its place.
        instead: &'static str,
    },
    /// A parameter's value is wrong.
    #[error("has a '{name}' that must be {expected}")]
    Value {
        /// The parameter's name.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The driver refuses it.
    #[error("can't be used: {0}")]
    Driver(String),
}

/// Which servers of a list may be connected to: libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SessionTarget {
    #[default]
    Any,
    /// One that takes writes.
    ReadWrite,
    /// One whose sessions are read-only.
    ReadOnly,
    /// One that isn't in recovery.
    Primary,
    /// One that is in recovery.
    Standby,
    /// One that is in recovery, or else any.
    PreferStandby,
}

impl SessionTarget {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => return None,
        })
    }

    /// Whether a server will do.
    pub(crate) const fn accepts(self, in_recovery: bool, read_only: bool) -> bool {
        match self {
            Self::Any => true,
            Self::ReadWrite => !read_only,
            Self::ReadOnly => read_only,
            Self::Primary => !in_recovery,
            Self::Standby | Self::PreferStandby => in_recovery,
        }
    }
}

/// What a URL says.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// How to connect to each of the servers.
    pub servers: Vec<PgConnectOptions>,
    pub target: SessionTarget,
    pub connect_timeout: Option<Duration>,
    /// How many statements a connection keeps prepared. With none, not a single statement has a name.
    pub statements: usize,
}

/// Takes a URL apart and looks whether each part can be honoured.
///
/// # Errors
/// [`UrlError`], which is the rest of a sentence that begins with what the URL is for.
pub fn check_url(url: &str) -> Result<(), UrlError> {
    Address::parse(url).map(drop)
}

/// The same of a replica's URL, which names one server: what a replica is known to hold is known of that one only.
///
/// # Errors
/// As [`check_url`].
pub fn check_replica_url(url: &str) -> Result<(), UrlError> {
    Address::parse_one(url).map(drop)
}

impl Address {
    /// A URL that names one server.
    pub(crate) fn parse_one(url: &str) -> Result<Self, UrlError> {
        let address = Self::parse(url)?;
        if address.servers.len() == 1 { Ok(address) } else { Err(UrlError::SeveralHosts) }
    }

    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or(UrlError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let mut named: Vec<(String, Option<String>)> = hosts.split(',').map(host_and_port).collect();

        let mut address = Self {
            servers: Vec::new(),
            target: SessionTarget::default(),
            connect_timeout: None,
            statements: STATEMENTS,
        };
        let mut passed = form_urlencoded::Serializer::new(String::new());
        let (mut in_query, mut ports) = (None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "host" | "hostaddr" => in_query = Some(value.into_owned()),
                "port" => ports = Some(value.into_owned()),
                "application_name" => drop(passed.append_pair(&key, &value)),
                "statement-cache-capacity" => {
                    address.statements =
                        value.parse().map_err(|_| wrong("statement-cache-capacity", "a number of statements"))?;
                }
                "target_session_attrs" => {
                    let expected = "any, read-write, read-only, primary, standby or prefer-standby";
                    let target = SessionTarget::parse(&value);
                    address.target = target.ok_or_else(|| wrong("target_session_attrs", expected))?;
                }
                "connect_timeout" => {
                    let seconds: u64 = value.parse().map_err(|_| wrong("connect_timeout", "a number of seconds"))?;
                    // libpq: zero is no limit, which here means the usual one.
                    address.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
                }
                "gssencmode" | "channel_binding" | "load_balance_hosts" if value == "disable" || value == "prefer" => {}
                "gssencmode" => return Err(unsupported(&key, "encrypt with sslmode")),
                "channel_binding" => return Err(unsupported(&key, "check the server with sslmode=verify-full")),
                "load_balance_hosts" => return Err(unsupported(&key, "list the replicas as replicas")),
                name if KEEPALIVES.contains(&name) => {
                    return Err(unsupported(name, "every call has a deadline of its own"));
                }
                name if DRIVER.contains(&name) || (name.starts_with("options[") && name.ends_with(']')) => {
                    passed.append_pair(name, &value);
                }
                name => return Err(UrlError::Unknown(name.chars().take(64).collect())),
            }
        }
        if let Some(hosts) = in_query {
            let port = named.first().and_then(|(_, port)| port.clone());
            named = hosts.split(',').map(|host| (host.to_owned(), port.clone())).collect();
        }
        if let Some(ports) = ports {
            let ports: Vec<&str> = ports.split(',').collect();
            if ports.len() > 1 && ports.len() != named.len() {
                return Err(UrlError::Ports { hosts: named.len(), ports: ports.len() });
            }
            for (n, (_, port)) in named.iter_mut().enumerate() {
                *port = Some(ports[n.min(ports.len() - 1)].to_owned());
            }
        }
        let passed = passed.finish();
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        for (host, port) in named {
            let server = one_server(&user, &host, port.as_deref(), database, &passed)?;
            // An empty cache alone doesn't keep the driver from naming statements; see `ConnectionPool::names_statements`.
            // Digits of floats are all there from version 12 on, and poolers refuse the parameter.
            let server = server.statement_cache_capacity(address.statements).extra_float_digits(None);
            address.servers.push(server);
        }
        Ok(address)
    }
}

fn wrong(name: &'static str, expected: &'static str) -> UrlError {
    UrlError::Value { name, expected }
}

fn unsupported(name: &str, instead: &'static str) -> UrlError {
    UrlError::Unsupported { name: name.to_owned(), instead }
}

/// `host`, `host:port`, `[::1]`, `[::1]:port`.
fn host_and_port(text: &str) -> (String, Option<String>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host.to_owned(), Some(port.to_owned())),
        _ => (text.to_owned(), None),
    }
}

fn one_server(
    user: &str,
    host: &str,
    port: Option<&str>,
    database: &str,
    query: &str,
) -> Result<PgConnectOptions, UrlError> {
    let port = port.filter(|port| !port.is_empty()).map(|port| format!(":{port}")).unwrap_or_default();
    // A folder, or no host at all, can't stand where a URL has its host; nor can a port without one.
    let (authority, socket) = if host.starts_with('/') || host.is_empty() {
        let socket: String = form_urlencoded::Serializer::new(String::new()).append_pair("host", host).finish();
        (format!("localhost{port}"), if host.is_empty() { String::new() } else { format!("&{socket}") })
    } else {
        (format!("{host}{port}"), String::new())
    };
    // The environment may name the host that the URL leaves out.
    let authority = if host.is_empty() && user.is_empty() && port.is_empty() { String::new() } else { authority };
    let url = format!("postgres://{user}{authority}/{database}?{query}{socket}");
    PgConnectOptions::from_str(&url).map_err(|error| match error {
        sqlx::Error::Configuration(why) => UrlError::Driver(why.to_string()),
        other => UrlError::Driver(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Vec<(String, u16)> {
        let address = Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        address.servers.iter().map(|server| (server.get_host().to_owned(), server.get_port())).collect()
    }

    #[test]
    fn hosts_are_listed_as_libpq_lists_them() {
        let two = [("a".to_owned(), 5432), ("b".to_owned(), 5433)];
        for url in [
            "postgres://ada:secret@a:5432,b:5433/shop?target_session_attrs=read-write",
            "postgresql://ada@a:5432,b:5433/shop",
            "postgres://ada@/shop?host=a,b&port=5432,5433",
            "postgres:///shop?host=a,b&port=5432,5433&user=ada",
        ] {
            assert_eq!(hosts(url), two, "{url}");
        }
        assert_eq!(hosts("postgres://a,b/shop?port=6000"), [("a".to_owned(), 6000), ("b".to_owned(), 6000)]);
        assert_eq!(hosts("postgres://[::1]:5433,[::2]/shop").len(), 2);
        let address = Address::parse("postgres://ada:p%40ss@a,b/shop?connect_timeout=3&application_name=till");
        let address = address.expect("a URL");
        assert_eq!(address.connect_timeout, Some(Duration::from_secs(3)));
        assert!(address.servers.iter().all(|server| {
            server.get_username() == "ada"
                && server.get_database() == Some("shop")
                && server.get_application_name() == Some("till")
        }));
    }

    #[test]
    fn a_replica_is_one_server() {
        assert_eq!(check_replica_url("postgres://ada@a/shop"), Ok(()));
        for several in ["postgres://ada@a,b/shop", "postgres:///shop?host=a,b", "postgres://a:5432,a:5433/shop"] {
            assert_eq!(check_url(several), Ok(()), "{several}");
            assert_eq!(check_replica_url(several), Err(UrlError::SeveralHosts), "{several}");
        }
    }

    #[test]
    fn sockets_are_folders() {
        let address = Address::parse("postgres://postgres@localhost:5444/db?host=/run/pg").expect("a URL");
        let server = &address.servers[0];
        assert_eq!(server.get_socket().map(|folder| folder.display().to_string()), Some("/run/pg".to_owned()));
        assert_eq!((server.get_port(), server.get_database()), (5444, Some("db")));
    }

    #[test]
    fn parameters_are_honoured_or_refused_by_name() {
        let address =
            Address::parse("postgres://a/db?options=-c%20geqo%3Doff&statement-cache-capacity=0").expect("a URL");
        assert_eq!((address.servers[0].get_options(), address.statements), (Some("-c geqo=off"), 0));
        let address = Address::parse("postgres://a/db?target_session_attrs=primary&sslmode=require").expect("a URL");
        assert_eq!(address.target, SessionTarget::Primary);
        for (query, named) in [
            ("tagret_session_attrs=read-write", "tagret_session_attrs"),
            ("target_session_attrs=writable", "target_session_attrs"),
            ("connect_timeout=soon", "connect_timeout"),
            ("keepalives=1", "keepalives"),
            ("tcp_user_timeout=5000", "tcp_user_timeout"),
            ("channel_binding=require", "channel_binding"),
            ("statement-cache-capacity=-1", "statement-cache-capacity"),
            ("pool_size=5", "pool_size"),
        ] {
            let error = check_url(&format!("postgres://ada:secret@a/db?{query}")).expect_err(query).to_string();
            assert!(error.contains(&format!("'{named}'")) && !error.contains("secret"), "{error}");
        }
        for bad in
            ["mysql://a/db", "postgres://a:port/db", "postgres://a/db?sslmode=maybe", "postgres://a,b/db?port=1,2,3"]
        {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_session_must_be_able_to_do() {
        use SessionTarget as Target;
        let (primary, standby, read_only_primary) = ((false, false), (true, true), (false, true));
        for (target, takes) in [
            (Target::Any, [true, true, true]),
            (Target::ReadWrite, [true, false, false]),
            (Target::ReadOnly, [false, true, true]),
            (Target::Primary, [true, false, true]),
            (Target::Standby, [false, true, false]),
        ] {
            let servers = [primary, standby, read_only_primary];
            assert_eq!(servers.map(|(recovery, read_only)| target.accepts(recovery, read_only)), takes, "{target:?}");
        }
    }
}
