//! What the adapters for Redis 7 or Valkey have in common: where the server is, and a connection
//! to it that is made anew after each failure.

mod place;

pub use place::sentinels;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::{Connection, ErrorKind, RedisError, Script};

use self::place::Place;
use crate::StoreError;

/// The way to a server: one, or the master that Sentinels name.
pub(crate) struct Link {
    place: Place,
    /// The connection, and which run of the server is at its other end. `None` after a failure.
    connected: Option<(Connection, String)>,
}

impl Link {
    /// Connects when it is first used. `url` is `redis://user:password@host:port/database`, or
    /// `redis+sentinel://user:password@host:port,host:port/NAME/database` for the master of that
    /// name that one of the Sentinels knows. Errors: `Misconfigured`.
    pub(crate) fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self {
            place: Place::parse(url)?,
            connected: None,
        })
    }

    /// Runs something with the connection and the name of the server's run; after a failure the
    /// next call connects anew. Errors: `Unavailable`.
    pub(crate) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection, &str) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let (mut connection, run) = match self.connected.take() {
            Some(connected) => connected,
            None => self.connect()?,
        };
        let done = work(&mut connection, &run)?;
        self.connected = Some((connection, run));
        Ok(done)
    }

    fn connect(&self) -> Result<(Connection, String), StoreError> {
        let mut connection = self.place.connect(PATIENCE)?;
        let info: String = ::redis::cmd("INFO").query(&mut connection)?;
        if !info.lines().any(|line| line == "role:master") {
            return Err(StoreError::Unavailable("it is a replica".into()));
        }
        if info.lines().any(|line| line == "cluster_enabled:1") {
            let text = "it is one of a Redis Cluster, which is not supported: name a single server, or \
                        a master under Sentinels (redis+sentinel://)";
            return Err(StoreError::Misconfigured(text.into()));
        }
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        let run = run.ok_or_else(|| StoreError::Corrupt("a server without a run id".into()))?;
        let run = run.trim().to_owned();
        Ok((connection, run))
    }
}

/// Since when a node that is taken out has done nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// What it permitted last does not count any more.
    ForLong,
    /// It may have permitted something a moment ago: what it held is held a while longer.
    JustNow,
}

/// Takes a node out of the cluster, for good, if its last beat is still this one; whatever it is for
/// `None`. False if it is not, or the node has gone already.
pub(crate) fn bury(
    connection: &mut Connection,
    prefix: &str,
    (node, beat): (&str, Option<u64>),
    gone: Gone,
) -> Result<bool, RedisError> {
    let script = Script::new(include_str!("bury.lua"));
    let mut call = script.prepare_invoke();
    call.key(format!("{prefix}members"));
    call.key(format!("{prefix}buried"));
    call.key(format!("{prefix}dying"));
    call.arg(node);
    call.arg(beat.map(|beat| beat.to_string()).unwrap_or_default());
    call.arg(BURIED_S).arg(u8::from(gone == Gone::JustNow));
    let removed: u64 = call.invoke(connection)?;
    Ok(removed > 0)
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::InvalidClientConfig => Self::Misconfigured(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// The number of the first word of a process under a name: a name that was used before goes on above its
/// last one.
pub(crate) fn first_number() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// Before all keys, if not told otherwise.
pub(crate) const PREFIX: &str = "tandem:";
/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it is remembered who may not come back: longer than anything sleeps that wakes again.
pub(crate) const BURIED_S: u64 = 30 * 86_400;

#[cfg(test)]
mod tests;
