//! A distributed PostgreSQL for tests: a coordinator and two workers of Citus.

use sqlx::{Connection as _, PgConnection, query_as};

use super::{
    Cluster, TestDatabase, TestingError, binaries,
    database::{TEMPLATE, execute},
    new_folder,
};
use crate::PgStore;

const WORKERS: usize = 2;

/// A coordinator and two workers of its own, which find each other by Unix sockets.
#[derive(Debug)]
pub struct Citus {
    // The coordinator first.
    nodes: Vec<Cluster>,
}

impl Citus {
    /// Starts them.
    ///
    /// # Errors
    /// If there are no binaries of PostgreSQL, or no Citus beside them, or they fail.
    pub async fn start() -> Result<Self, TestingError> {
        let binaries = binaries()?;
        let libraries = ["../lib/citus.so", "../lib/postgresql/citus.so"];
        if !libraries.iter().any(|library| binaries.join(library).exists()) {
            return Err(TestingError::NoCitus(binaries));
        }
        let mut nodes = Vec::with_capacity(1 + WORKERS);
        for _ in 0..=WORKERS {
            let folder = new_folder(&[]);
            let own = folder.display().to_string();
            let settings = [
                ("shared_preload_libraries", "citus"),
                ("max_prepared_transactions", "300"),
                // Each database has a daemon of its own.
                ("max_worker_processes", "64"),
                ("citus.local_hostname", &own),
                // Without it, Citus makes a certificate, and wants it used.
                ("citus.node_conninfo", "sslmode=prefer"),
                ("citus.shard_count", "4"),
            ];
            nodes.push(Cluster::start_in(folder.clone(), &settings).await?);
        }
        let citus = Self { nodes };
        citus.make_template().await?;
        Ok(citus)
    }

    /// Makes a migrated, empty database that is spread over the nodes.
    ///
    /// # Errors
    /// If a node doesn't answer.
    pub async fn database(&self) -> Result<TestDatabase, TestingError> {
        TestDatabase::copy(&self.nodes).await
    }

    /// The workers.
    pub fn workers(&mut self) -> &mut [Cluster] {
        &mut self.nodes[1..]
    }

    /// What Citus knows of a database is in its tables: who copies them on every node has the same again.
    async fn make_template(&self) -> Result<(), TestingError> {
        for node in &self.nodes {
            let mut connection = PgConnection::connect(&node.url("postgres")).await?;
            execute(&mut connection, format!("CREATE DATABASE {TEMPLATE}")).await?;
            connection.close().await?;
            let mut connection = PgConnection::connect(&node.url(TEMPLATE)).await?;
            execute(&mut connection, "CREATE EXTENSION citus".to_owned()).await?;
            connection.close().await?;
        }
        let store = PgStore::connect(&self.nodes[0].url(TEMPLATE)).await?;
        for (n, node) in self.nodes.iter().enumerate() {
            let call =
                if n == 0 { "citus_set_coordinator_host($1, 5432)::text" } else { "citus_add_node($1, 5432)::text" };
            let sql = sqlx::AssertSqlSafe(format!("SELECT {call}"));
            let _: (String,) = query_as(sql).bind(node.folder().display().to_string()).fetch_one(store.pool()).await?;
        }
        store.migrate().await?;
        store.distribute().await?;
        store.close().await;
        for node in &self.nodes {
            let mut connection = PgConnection::connect(&node.url("postgres")).await?;
            // The daemon too has to leave: a template with connections can't be copied.
            let close = format!(
                "ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false; \
                 SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{TEMPLATE}'"
            );
            execute(&mut connection, close).await?;
            connection.close().await?;
        }
        Ok(())
    }
}
