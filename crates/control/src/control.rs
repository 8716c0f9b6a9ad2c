//! What all requests share: the ports, and what is counted and remembered between requests.

mod caller;
mod configuration;
mod servers;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clock::Time;
use model::{ServerId, Snapshot};
use store::{CdrStore, HistoryStore, Records, StoreError};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

pub(crate) use self::caller::{Caller, Who};

use crate::duties::Duties;
use crate::events::Ring;
use crate::exports::Exports;
use crate::history::History;
use crate::idempotency::Replies;
use crate::known::Known;
use crate::lockout::Lockouts;
use crate::nodes::{Asking, EventsTaken, Fleet, Joining};
use crate::oidc::Oidc;
use crate::tasks::Tasks;
use crate::throttle::Throttle;
use crate::{
    AlertPort, Alerts, CertificatePort, Platform, Problem, Site, SiteKind, Vault, alerts,
    certificates, problem,
};

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
    known: Known,
    lockouts: Lockouts,
    oidc: Oidc,
    /// One for each password that may be hashed at a time.
    hashing: Semaphore,
    /// One for each file of traces that may be made at a time.
    exports: Semaphore,
    /// For who decides past calls anew.
    replays: Arc<Semaphore>,
    vault: Vault,
    site: Option<Arc<dyn Site>>,
    /// Once they are watched.
    alerts: OnceLock<Alerts>,
    /// The revision the node has; locked while a newer one is on its way.
    applied: Mutex<u64>,
    /// The newest configuration there is; of revision 0 before it was read.
    newest: watch::Sender<Arc<Snapshot>>,
    fleet: Fleet,
    asking: Asking,
    events_taken: EventsTaken,
    tasks: Tasks,
    /// Where control keeps files.
    exports_shelf: OnceLock<Exports>,
    /// What this control does alone.
    duties: Duties,
    /// Set where machines can join.
    joining: OnceLock<Joining>,
    /// The server that this node is, where it is one of the list.
    own_server: OnceLock<ServerId>,
    /// What this server and those that report to it have done.
    history: OnceLock<History>,
    /// Where the control of the platform is that this node has joined.
    platform_of: OnceLock<String>,
    /// What gets certificates, where something does.
    certificates: OnceLock<Arc<dyn CertificatePort>>,
    /// A certificate may be due.
    certificates_due: Arc<Notify>,
    stopping: watch::Sender<bool>,
}

impl Control {
    /// An API over these ports, and nothing beside it.
    #[must_use]
    pub fn new(
        records: Arc<dyn Records>,
        cdrs: Arc<dyn CdrStore>,
        platform: Arc<dyn Platform>,
        vault: Vault,
    ) -> Self {
        Self::build(records, cdrs, platform, (vault, None))
    }

    /// An API over these ports, with a site beside it.
    #[must_use]
    pub fn with_site(
        records: Arc<dyn Records>,
        cdrs: Arc<dyn CdrStore>,
        platform: Arc<dyn Platform>,
        vault: Vault,
        site: Arc<dyn Site>,
    ) -> Self {
        Self::build(records, cdrs, platform, (vault, Some(site)))
    }

    fn build(
        records: Arc<dyn Records>,
        cdrs: Arc<dyn CdrStore>,
        platform: Arc<dyn Platform>,
        (vault, site): (Vault, Option<Arc<dyn Site>>),
    ) -> Self {
        Self(Arc::new(Inner {
            records,
            cdrs,
            platform,
            ring: Ring::new(now()),
            replies: Replies::default(),
            requests: Throttle::new(REQUESTS_BURST, REQUESTS_PER_S),
            failures: Throttle::new(FAILURES_BURST, FAILURES_PER_S),
            known: Known::default(),
            lockouts: Lockouts::default(),
            oidc: Oidc::default(),
            hashing: Semaphore::new(HASHING_MAX),
            exports: Semaphore::new(EXPORTS_MAX),
            replays: Arc::new(Semaphore::new(1)),
            vault,
            site,
            alerts: OnceLock::new(),
            applied: Mutex::new(0),
            newest: watch::Sender::new(Arc::default()),
            fleet: Fleet::default(),
            asking: Asking::default(),
            events_taken: EventsTaken::default(),
            tasks: Tasks::default(),
            exports_shelf: OnceLock::new(),
            duties: Duties::default(),
            joining: OnceLock::new(),
            own_server: OnceLock::new(),
            history: OnceLock::new(),
            platform_of: OnceLock::new(),
            certificates: OnceLock::new(),
            certificates_due: Arc::default(),
            stopping: watch::Sender::new(false),
        }))
    }

    /// Calls operators when something goes wrong, until the platform ends.
    pub async fn watch(self, port: Arc<dyn AlertPort>) {
        let alerts = self.0.alerts.get_or_init(|| Alerts::new(port)).clone();
        alerts::watch(self, alerts).await;
    }

    /// Gets and renews certificates by ACME, until the platform ends.
    pub async fn keep_certificates(self, port: Arc<dyn CertificatePort>) {
        let port = self.0.certificates.get_or_init(|| port).clone();
        certificates::keep(self, port).await;
    }

    /// What gets certificates, where something does.
    pub(crate) fn certificate_port(&self) -> Option<&dyn CertificatePort> {
        self.0.certificates.get().map(|port| &**port)
    }

    /// Told when a certificate may be due.
    pub(crate) fn certificates_due(&self) -> Arc<Notify> {
        self.0.certificates_due.clone()
    }

    pub(crate) fn alerts(&self) -> Option<&Alerts> {
        self.0.alerts.get()
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

    /// Asks something that blocks, off the runtime's threads.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        off_runtime(ask).await
    }

    /// A turn to make a file of traces; `None`: others have them.
    pub(crate) fn exports(&self) -> Option<SemaphorePermit<'_>> {
        self.0.exports.try_acquire().ok()
    }

    /// The turn to decide past calls anew; `None`: somebody else has it.
    pub(crate) fn replay_turn(&self) -> Option<OwnedSemaphorePermit> {
        self.0.replays.clone().try_acquire_owned().ok()
    }

    /// History is in this store from now on, and this node is that server in it.
    pub fn has_history(&self, store: Arc<dyn HistoryStore>, own: ServerId) {
        let _ = self.0.history.set(History::new(store, own));
    }

    /// History, once it is known where it is.
    pub(crate) fn history(&self) -> Option<History> {
        self.0.history.get().cloned()
    }

    /// What was begun.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// Exports of CDRs, where they are kept.
    pub(crate) fn exports_shelf(&self) -> &OnceLock<Exports> {
        &self.0.exports_shelf
    }

    /// What this control does alone.
    pub(crate) fn duties(&self) -> &Duties {
        &self.0.duties
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

    /// People and tokens that were good before.
    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }

    /// Names that were tried in vain.
    pub(crate) fn lockouts(&self) -> &Lockouts {
        &self.0.lockouts
    }

    /// The provider by which people sign in.
    pub(crate) fn oidc(&self) -> &Oidc {
        &self.0.oidc
    }

    /// What seals secrets.
    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Does the work of a password hash, a few at a time: it is meant to cost memory and time.
    pub(crate) async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = |_| Problem::too_many("too many people sign in at this moment", 1);
        let turn = tokio::time::timeout(HASHING_WAIT, self.0.hashing.acquire());
        let _turn = turn.await.map_err(busy)?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Problem::new(&problem::INTERNAL, error.to_string()))
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
/// Passwords hashed at a time: each takes 19 MiB and a core for some hundredths of a second.
const HASHING_MAX: usize = 2;
/// Files of traces made at a time: each takes some 250 MB at most.
const EXPORTS_MAX: usize = 2;
/// How long one waits for its turn.
const HASHING_WAIT: Duration = Duration::from_secs(5);
