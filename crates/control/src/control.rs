//! What all requests share: the ports, and what is counted and remembered between requests.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clock::Time;
use model::{ApiToken, Snapshot};
use store::{Actor, CdrStore, Records, StoreError};
use tokio::sync::{Mutex, watch};

use crate::events::Ring;
use crate::idempotency::Replies;
use crate::known_tokens::KnownTokens;
use crate::session::Sessions;
use crate::throttle::Throttle;
use crate::{Platform, Problem, Site, SiteKind, problem};

/// The management API of one node: give it to [`serve`](crate::serve) or
/// [`router`](crate::router). Clones share everything.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    records: Arc<dyn Records>,
    cdrs: Arc<dyn CdrStore>,
    platform: Arc<dyn Platform>,
    ring: Ring,
    replies: Replies,
    requests: Throttle,
    failures: Throttle,
    known_tokens: KnownTokens,
    sessions: Sessions,
    site: Option<Arc<dyn Site>>,
    /// The revision the node has; locked while a newer one is on its way.
    applied: Mutex<u64>,
    stopping: watch::Sender<bool>,
}

impl Control {
    /// An API over these ports, and nothing beside it.
    #[must_use]
    pub fn new(
        records: Arc<dyn Records>,
        cdrs: Arc<dyn CdrStore>,
        platform: Arc<dyn Platform>,
    ) -> Self {
        Self::build(records, cdrs, platform, None)
    }

    /// An API over these ports, with a site beside it.
    #[must_use]
    pub fn with_site(
        records: Arc<dyn Records>,
        cdrs: Arc<dyn CdrStore>,
        platform: Arc<dyn Platform>,
        site: Arc<dyn Site>,
    ) -> Self {
        Self::build(records, cdrs, platform, Some(site))
    }

    fn build(
        records: Arc<dyn Records>,
        cdrs: Arc<dyn CdrStore>,
        platform: Arc<dyn Platform>,
        site: Option<Arc<dyn Site>>,
    ) -> Self {
        Self(Arc::new(Inner {
            records,
            cdrs,
            platform,
            ring: Ring::new(now()),
            replies: Replies::default(),
            requests: Throttle::new(REQUESTS_BURST, REQUESTS_PER_S),
            failures: Throttle::new(FAILURES_BURST, FAILURES_PER_S),
            known_tokens: KnownTokens::default(),
            sessions: Sessions::default(),
            site,
            applied: Mutex::new(0),
            stopping: watch::Sender::new(false),
        }))
    }

    /// Asks the records, off the runtime's threads.
    pub(crate) async fn records<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Records) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let records = Arc::clone(&self.0.records);
        off_runtime(move || ask(&*records)).await
    }

    /// Asks the CDRs, off the runtime's threads.
    pub(crate) async fn cdrs<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn CdrStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let cdrs = Arc::clone(&self.0.cdrs);
        off_runtime(move || ask(&*cdrs)).await
    }

    /// Changes records, and returns when the node works with them. `change` returns the new
    /// revision with its result. A client that goes away in between stops nothing.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&dyn Records) -> Result<(u64, T), StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let control = self.clone();
        let task = tokio::spawn(async move {
            let (revision, result) = control.records(change).await?;
            control.apply(revision).await;
            Ok(result)
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a change did not end");
            Err(Problem::new(&problem::INTERNAL, "the change was lost"))
        })
    }

    /// Makes the node's configuration that of the store, at least as of `revision`. Changes
    /// made while an earlier one is on its way are handed over together.
    ///
    /// A node that does not answer is no reason to refuse the change, which is stored already:
    /// it reads the store when it starts, and gets all of it with the next change.
    pub(crate) async fn apply(&self, revision: u64) {
        let mut applied = self.0.applied.lock().await;
        if *applied >= revision {
            return;
        }
        let snapshot: Snapshot = match self.records(|records| records.snapshot()).await {
            Ok(snapshot) => snapshot,
            Err(problem) => {
                tracing::error!(?problem, "the new configuration cannot be read");
                return;
            }
        };
        let newest = snapshot.revision;
        match self.platform().apply(snapshot).await {
            Ok(()) => *applied = newest,
            Err(error) => {
                tracing::warn!(%error, revision = newest, "the node did not take the configuration")
            }
        }
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        &*self.0.platform
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.0.ring
    }

    pub(crate) fn replies(&self) -> &Replies {
        &self.0.replies
    }

    /// Counts requests by source.
    pub(crate) fn requests(&self) -> &Throttle {
        &self.0.requests
    }

    /// Counts refused tokens by source.
    pub(crate) fn failures(&self) -> &Throttle {
        &self.0.failures
    }

    /// Tokens that were good before.
    pub(crate) fn known_tokens(&self) -> &KnownTokens {
        &self.0.known_tokens
    }

    /// Browsers that are signed in.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What is served beside the API.
    pub(crate) fn site(&self) -> Option<&dyn Site> {
        self.0.site.as_deref()
    }

    /// What stands at `/`.
    pub(crate) fn site_kind(&self) -> SiteKind {
        self.site().map_or(SiteKind::Absent, Site::kind)
    }

    /// Ends what would go on for ever: event streams.
    pub(crate) fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Becomes true when the API stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }
}

/// Who asks, as authentication found out.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What they showed.
    pub(crate) token: ApiToken,
    /// Where they are.
    pub(crate) source: IpAddr,
}

impl Caller {
    /// Who they are to the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let ApiToken { id, name, .. } = &self.token;
        Actor {
            name: format!("token {id} ({name}) from {}", self.source),
            at: now(),
        }
    }
}

/// The time of the machine.
pub(crate) fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Time::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

async fn off_runtime<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(ask).await {
        Ok(answer) => answer.map_err(Problem::from),
        Err(error) => {
            tracing::error!(%error, "a question to the store did not end");
            Err(Problem::new(
                &problem::INTERNAL,
                "the store's answer was lost",
            ))
        }
    }
}

/// Requests of one source at once and per second; more get 429. Far above what people and
/// panels need, below what would keep the machine from its calls.
const REQUESTS_BURST: u32 = 4_000;
const REQUESTS_PER_S: f64 = 2_000.0;
/// Wrong tokens of one source at once and per second; after that all its requests with a token
/// get 429.
const FAILURES_BURST: u32 = 10;
const FAILURES_PER_S: f64 = 0.2;
