//! What the adapters for Redis 7 or Valkey have in common: where the server is, and a connection
//! to it that is made anew after each failure.

mod place;

pub use place::sentinels;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::redis::{Connection, ErrorKind, RedisError, Script};

use self::place::Place;
use crate::StoreError;

/// The way to a server: one, or the master that Sentinels name.
pub(crate) struct Link {
    place: Place,
    /// `None` after a failure.
    connected: Option<Connected>,
}

/// A connection, and what is known of the server at its other end.
struct Connected {
    connection: Connection,
    /// Which run of it this is.
    run: String,
    clock: ServerClock,
}

/// What a server's clock said in microseconds, when it was last asked.
#[derive(Clone, Copy)]
struct ServerClock {
    asked: Instant,
    told_us: u64,
}

impl ServerClock {
    /// What it says at this moment at most: it was read some time after the question.
    fn at(self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.asked);
        self.told_us.saturating_add(since.as_micros() as u64)
    }
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
        let mut connected = self.take()?;
        let done = work(&mut connected.connection, &connected.run)?;
        self.connected = Some(connected);
        Ok(done)
    }

    /// The same for what counts no longer than somebody waits for it. `work` is told as well until when
    /// that is by the server's clock, in microseconds, if it is `patience_us` from now on, and says beside
    /// its result what that clock said, if it was told. Errors: `Unavailable`.
    pub(crate) fn with_until<T>(
        &mut self,
        patience_us: i64,
        work: impl FnOnce(&mut Connection, &str, u64) -> Result<(T, Option<u64>), RedisError>,
    ) -> Result<T, StoreError> {
        let mut connected = self.take()?;
        let asked = Instant::now();
        let until_us = connected.clock.at(asked).saturating_add_signed(patience_us);
        let (done, told) = work(&mut connected.connection, &connected.run, until_us)?;
        if let Some(told_us) = told {
            connected.clock = ServerClock { asked, told_us };
        }
        self.connected = Some(connected);
        Ok(done)
    }

    /// The connection, which is put back when it has done its work: after a failure it is not what it was.
    fn take(&mut self) -> Result<Connected, StoreError> {
        match self.connected.take() {
            Some(connected) => Ok(connected),
            None => self.connect(),
        }
    }

    fn connect(&self) -> Result<Connected, StoreError> {
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
        let asked = Instant::now();
        let (s, us): (u64, u64) = ::redis::cmd("TIME").query(&mut connection)?;
        let told_us = s.saturating_mul(1_000_000).saturating_add(us);
        Ok(Connected {
            connection,
            run,
            clock: ServerClock { asked, told_us },
        })
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
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How long it is remembered who may not come back: longer than anything sleeps that wakes again.
pub(crate) const BURIED_S: u64 = 30 * 86_400;

#[cfg(test)]
mod tests;
