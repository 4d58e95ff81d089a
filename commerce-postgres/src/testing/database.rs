//! A database per test: a copy of a template.

use std::{
    env, io,
    process::id as process_id,
    sync::atomic::{AtomicU32, Ordering},
};

use commerce_core::store::StoreError;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql};
use tokio::sync::{Mutex, OnceCell};

use super::{Citus, Cluster, TestingError};
use crate::PgStore;

pub(super) const TEMPLATE: &str = "commerce_template";

/// A migrated, empty database of its own for a test. Removed when dropped.
#[derive(Debug)]
pub struct TestDatabase {
    // Of each node that holds a part of it.
    admins: Vec<String>,
    name: String,
    url: String,
}

impl TestDatabase {
    /// Makes one, on a server shared by the tests of this process.
    ///
    /// # Errors
    /// If there is no server and none can be started.
    pub async fn new() -> Result<Self, TestingError> {
        match env::var("COMMERCE_TEST_DISTRIBUTED").ok().as_deref() {
            None => {}
            Some("citus") => return Self::distributed().await,
            Some(other) => return Err(TestingError::Distributed(other.to_owned())),
        }
        let Ok(admin) = env::var("COMMERCE_TEST_POSTGRES_URL") else {
            return Self::copy(std::slice::from_ref(shared().await?)).await;
        };
        let name = new_name();
        let database = Self { url: renamed(&admin, &name), admins: vec![admin], name };
        create(&database.admins[0], &database.name, "").await?;
        database.store().await?.migrate().await?;
        Ok(database)
    }

    /// Makes one that is spread over the nodes of a Citus shared by the tests of this process.
    ///
    /// # Errors
    /// If none can be started.
    pub async fn distributed() -> Result<Self, TestingError> {
        // Never dropped: the keepers notice the end of the process.
        static SHARED: OnceCell<Citus> = OnceCell::const_new();
        SHARED.get_or_try_init(Citus::start).await?.database().await
    }

    /// Copies the templates of these nodes, the first of which is the one to talk to.
    pub(super) async fn copy(nodes: &[Cluster]) -> Result<Self, TestingError> {
        // A template must have no connections while it is copied.
        static COPYING: Mutex<()> = Mutex::const_new(());
        let name = new_name();
        let admins = nodes.iter().map(|node| node.url("postgres")).collect();
        let database = Self { admins, url: nodes[0].url(&name), name };
        let guard = COPYING.lock().await;
        for admin in &database.admins {
            create(admin, &database.name, TEMPLATE).await?;
        }
        drop(guard);
        Ok(database)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is spread over many nodes.
    #[must_use]
    pub const fn is_distributed(&self) -> bool {
        self.admins.len() > 1
    }

    /// A store on it.
    ///
    /// # Errors
    /// If the server has gone.
    pub async fn store(&self) -> Result<PgStore, StoreError> {
        PgStore::connect(&self.url).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (admins, drop_it) = (self.admins.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // Dropping happens within the test's runtime, which can't be waited on. If the process ends first, so does the server.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                for admin in &admins {
                    if let Ok(mut connection) = PgConnection::connect(admin).await {
                        let _ = execute(&mut connection, drop_it.clone()).await;
                    }
                }
            });
            io::Result::Ok(())
        });
    }
}

fn new_name() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("commerce_test_{}_{}", process_id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Makes a database, as a copy of a template if there is one.
async fn create(admin: &str, name: &str, template: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(admin).await?;
    execute(&mut connection, format!("DROP DATABASE IF EXISTS {name}")).await?;
    // Copying files is five times as fast as logging each of their pages; before version 15 there is no other way.
    let strategy = if connection.server_version_num().unwrap_or(0) < 150_000 { "" } else { " STRATEGY file_copy" };
    let copied = if template.is_empty() { String::new() } else { format!(" TEMPLATE {template}{strategy}") };
    execute(&mut connection, format!("CREATE DATABASE {name}{copied}")).await?;
    connection.close().await
}

pub(super) async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    connection.execute(raw_sql(AssertSqlSafe(sql))).await.map(drop)
}

async fn shared() -> Result<&'static Cluster, TestingError> {
    // Never dropped: the keeper notices the end of the process.
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    let start = async || {
        let cluster = Cluster::start(&[]).await?;
        create(&cluster.url("postgres"), TEMPLATE, "").await?;
        let store = PgStore::connect(&cluster.url(TEMPLATE)).await?;
        store.migrate().await?;
        store.close().await;
        Ok(cluster)
    };
    CLUSTER.get_or_try_init(start).await
}

fn renamed(url: &str, database: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let after_scheme = base.find("://").map_or(0, |at| at + 3);
    let server = base[after_scheme..].find('/').map_or(base, |slash| &base[..after_scheme + slash]);
    format!("{server}/{database}{query}")
}
