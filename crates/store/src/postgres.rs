//! The SQL adapter for several machines: PostgreSQL 15 or later, one database shared by all nodes.
//!
//! A bounded pool of connections, opened when they are wanted and looked at before each use, so
//! that a restart of the server costs the calls that were under way and no more. Those end with
//! [`StoreError::Unavailable`]; nothing is repeated here, because only the caller knows whether it
//! may be. A change locks the row with the platform's revision first: changes happen one after
//! the other, whichever node makes them, as they do in SQLite.
//!
//! The port is called from threads that may block, the client is asynchronous: each adapter has a
//! small runtime that does the network's work, and a caller waits on its own thread.

mod audit;
mod cdrs;
mod history;
mod leases;
mod load;
mod many;
mod migrate;
mod names;
mod records;
mod tickets;
mod tls;
mod tokens;

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Transaction,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, IsolationLevel, NoTls, Row};

use crate::StoreError;

/// Records and CDRs in a PostgreSQL database; fills [`Records`](crate::Records) and
/// [`CdrStore`](crate::CdrStore).
#[derive(Debug)]
pub struct Postgres {
    pool: Pool,
    /// `host:port/database`, for people.
    place: String,
    /// Whether the schema is known to be up to date.
    prepared: AtomicBool,
    /// CDRs of the first step of a search that no index leads.
    step_rows: i64,
    /// Present until dropped.
    runtime: Option<Runtime>,
}

/// How many hosts a URL of a database names; 0 if it names none.
#[must_use]
pub fn database_hosts(url: &str) -> usize {
    tls::parse(url).map_or(0, |(config, _)| config.get_hosts().len())
}

impl Postgres {
    /// Connects to a database, such as `postgres://user:password@host:5432/database`,
    /// with `?sslmode=verify-full` over TLS, and brings
    /// its schema up to date. Errors: `Misconfigured`, `NewerSchema`, `Unavailable`.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self::at(url)?;
        store.run(PATIENCE, async |_| Ok(()))?;
        Ok(store)
    }

    /// Which database it is, `host:port/name`: without user and password, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The same without asking for the server yet: the first call that reaches it brings the
    /// schema up to date. Errors: `Misconfigured`.
    pub fn at(url: &str) -> Result<Self, StoreError> {
        let (mut config, tls) = tls::parse(url)?;
        if config.get_application_name().is_none() {
            config.application_name("tandem");
        }
        config.connect_timeout(CONNECT_TIMEOUT);
        config.tcp_user_timeout(PATIENCE);
        config.keepalives_idle(PATIENCE);
        let place = place(&config);
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Verified,
        };
        let manager = match tls {
            Some(tls) => Manager::from_config(config, tls, manager),
            None => Manager::from_config(config, NoTls, manager),
        };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS_MAX)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(RECYCLE_TIMEOUT))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Misconfigured(error.to_string()))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()?;
        Ok(Self {
            pool,
            place,
            prepared: AtomicBool::new(false),
            step_rows: cdrs::STEP_ROWS,
            runtime: Some(runtime),
        })
    }

    /// Runs a change: all of it or nothing, and one at a time.
    fn change<T>(
        &self,
        change: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write(CHANGE_PATIENCE, async |tx| {
            rows(tx, "SELECT revision FROM platform FOR UPDATE", &[]).await?;
            change(tx).await
        })
    }

    /// Runs a change that no other can contradict: all of it or nothing.
    fn write<T>(
        &self,
        patience: Duration,
        write: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.run(patience, async |client| {
            let transaction = client.transaction().await?;
            let result = write(&transaction).await?;
            transaction.commit().await?;
            Ok(result)
        })
    }

    /// Runs queries that see one moment.
    fn query<T>(
        &self,
        query: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.run(PATIENCE, async |client| {
            let transaction = client
                .build_transaction()
                .isolation_level(IsolationLevel::RepeatableRead)
                .read_only(true)
                .start()
                .await?;
            query(&transaction).await
        })
    }

    /// Runs something with a connection, on this thread. A connection that has not answered in
    /// time is closed: nobody knows what it is doing.
    fn run<T>(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&mut Object) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _context = self.runtime.as_ref().map(Runtime::enter);
        futures_executor::block_on(async {
            let mut client = self.pool.get().await?;
            let work = async {
                if !self.prepared.load(Ordering::Acquire) {
                    suits(&client).await?;
                    migrate::run(&mut client).await?;
                    self.prepared.store(true, Ordering::Release);
                }
                work(&mut client).await
            };
            let worked = timeout(patience, work).await;
            worked.unwrap_or_else(|_| {
                drop(Object::take(client));
                let s = patience.as_secs();
                Err(StoreError::Unavailable(format!("no answer in {s} s")))
            })
        })
    }
}

impl Drop for Postgres {
    /// Whoever drops it may not block.
    fn drop(&mut self) {
        self.pool.close();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Refuses a server that is too old, or a database that cannot hold every name.
async fn suits(client: &Object) -> Result<(), StoreError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::bigint,
                    current_setting('server_version'), current_setting('server_encoding')",
            &[],
        )
        .await?;
    let (number, version, encoding): (i64, String, String) = (row.get(0), row.get(1), row.get(2));
    if number < VERSION_MIN * 10_000 {
        return Err(StoreError::Misconfigured(format!(
            "PostgreSQL {VERSION_MIN} or later is needed, this is {version}"
        )));
    }
    if encoding != "UTF8" {
        return Err(StoreError::Misconfigured(format!(
            "the database has the encoding {encoding}, UTF8 is needed"
        )));
    }
    Ok(())
}

/// All rows of a query, which is prepared once for each connection.
async fn rows(
    tx: &Transaction<'_>,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.query(&statement, values).await?)
}

/// The only row of a query, if there is one.
async fn row(
    tx: &Transaction<'_>,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>, StoreError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.query_opt(&statement, values).await?)
}

/// How many rows a statement has changed.
async fn execute(
    tx: &Transaction<'_>,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<u64, StoreError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.execute(&statement, values).await?)
}

fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".into(),
    };
    let port = config.get_ports().first().copied().unwrap_or(PORT);
    let database = config.get_dbname().or(config.get_user());
    format!("{host}:{port}/{}", database.unwrap_or_default())
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            // Class XX is "internal error", 22, 23 and 42 are ours: what we asked, or hold, is wrong.
            Some(code)
                if ["XX", "22", "23", "42"]
                    .iter()
                    .any(|c| code.code().starts_with(c)) =>
            {
                Self::Corrupt(explain(&error))
            }
            _ => Self::Unavailable(explain(&error)),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => Self::Unavailable("no connection in time".into()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// An error with its causes: the client's own text leaves out what the server said.
fn explain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The oldest version that is tested.
const VERSION_MIN: i64 = 15;
/// The port of a server if none is said.
const PORT: u16 = 5_432;
/// Connections of one node; who wants one more waits. API, shipper and watcher have one each
/// with one to spare; a server takes 100 if not told otherwise.
const CONNECTIONS_MAX: usize = 4;
/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that was idle may take to show that it is alive.
const RECYCLE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a query may take, how long one waits for a connection, and how long a server may leave
/// what it was sent unconfirmed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a change may take: thousands of users at once take a few seconds.
const CHANGE_PATIENCE: Duration = Duration::from_secs(60);
/// How long taking over a whole installation may take, without its CDRs.
const LOAD_PATIENCE: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests;
