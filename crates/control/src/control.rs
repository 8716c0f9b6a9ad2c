//! What all requests share: the ports, and what is counted and remembered between requests.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clock::Time;
use model::{AccountId, ApiToken, Person, Role, ServerId, Snapshot, ZoneId};
use store::{Actor, CdrStore, HistoryStore, Records, StoreError};
use tokio::sync::{Mutex, Notify, Semaphore, SemaphorePermit, watch};

use crate::events::Ring;
use crate::history::History;
use crate::idempotency::Replies;
use crate::known::Known;
use crate::lockout::Lockouts;
use crate::nodes::{Asking, EventsTaken, Fleet, Joining};
use crate::oidc::Oidc;
use crate::reach::Reach;
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
            vault,
            site,
            alerts: OnceLock::new(),
            applied: Mutex::new(0),
            newest: watch::Sender::new(Arc::default()),
            fleet: Fleet::default(),
            asking: Asking::default(),
            events_taken: EventsTaken::default(),
            tasks: Tasks::default(),
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
        let snapshot = self.publish(snapshot);
        let own = self.0.own_server.get();
        let plan = own.map_or_else(|| (*snapshot).clone(), |own| snapshot.planned_for(*own));
        match self.platform().apply(plan).await {
            Ok(()) => *applied = newest,
            Err(error) => {
                tracing::warn!(%error, revision = newest, "the node did not take the configuration")
            }
        }
    }

    /// Hands the node the store's configuration once more, be it new to it or not.
    pub async fn apply_anew(&self, revision: u64) {
        *self.0.applied.lock().await = 0;
        self.apply(revision).await;
    }

    /// Lets all who follow have a configuration, unless they have a newer one.
    fn publish(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        let exists = |server| snapshot.servers.iter().any(|s| s.id == server);
        self.fleet().retain(exists);
        self.events_taken().retain(exists);
        let before = Arc::clone(&self.0.newest.borrow());
        let gone = crate::nodes::media_servers_gone(&before, &snapshot);
        if !gone.is_empty() && self.platform_of().is_none() {
            let control = self.clone();
            tokio::spawn(async move { control.dismiss(gone).await });
        }
        self.0.newest.send_if_modified(|newest| {
            let newer = snapshot.revision > newest.revision;
            if newer {
                *newest = Arc::clone(&snapshot);
            }
            newer
        });
        snapshot
    }

    /// The newest configuration, and each newer one as it comes to be. Errors: the store is away and
    /// was never read.
    pub(crate) async fn newest_snapshot(&self) -> Result<watch::Receiver<Arc<Snapshot>>, Problem> {
        let newest = self.0.newest.subscribe();
        if newest.borrow().revision == 0 {
            let snapshot = self.records(|records| records.snapshot()).await?;
            self.publish(snapshot);
        }
        Ok(newest)
    }

    /// What was heard of the nodes.
    pub(crate) fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    /// Questions to the nodes.
    pub(crate) fn asking(&self) -> &Asking {
        &self.0.asking
    }

    /// How far the events of the nodes have come.
    pub(crate) fn events_taken(&self) -> &EventsTaken {
        &self.0.events_taken
    }

    /// What machines join with, where they can.
    pub(crate) fn joining(&self) -> Option<Joining> {
        self.0.joining.get().cloned()
    }

    /// Machines can join from now on.
    pub(crate) fn join_nodes_with(&self, joining: Joining) {
        // A second time there is nothing new.
        let _ = self.0.joining.set(joining);
    }

    /// This node is a server of the list: what is said of that one holds for it.
    pub fn is_server(&self, own: ServerId) {
        let _ = self.0.own_server.set(own);
    }

    /// This node has joined the platform whose control is at `host:port`.
    pub fn belongs_to(&self, control: &str) {
        let _ = self.0.platform_of.set(control.to_owned());
    }

    /// Where the control is of the platform that this node has joined, if it has.
    pub(crate) fn platform_of(&self) -> Option<&str> {
        self.0.platform_of.get().map(String::as_str)
    }

    /// A turn to make a file of traces; `None`: others have them.
    pub(crate) fn exports(&self) -> Option<SemaphorePermit<'_>> {
        self.0.exports.try_acquire().ok()
    }

    /// The server that this node is, if it is one of the list.
    pub(crate) fn own_server(&self) -> Option<ServerId> {
        self.0.own_server.get().copied()
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

    /// How this node is, where it is a server of the list; whom it is to measure its distance to.
    pub async fn report_own(&self, report: crate::Report) -> Vec<crate::Neighbour> {
        let Some(own) = self.0.own_server.get() else {
            return Vec::new();
        };
        self.fleet().hear(*own, report, now().as_micros());
        self.neighbours(*own).await
    }

    /// Whom a node is to measure its distance to; nobody, where it is not known who there is.
    pub(crate) async fn neighbours(&self, asker: ServerId) -> Vec<crate::Neighbour> {
        let Ok(newest) = self.newest_snapshot().await else {
            return Vec::new();
        };
        let snapshot = newest.borrow().clone();
        self.fleet().neighbours(asker, &snapshot)
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

/// Who asks, as authentication found out.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who they are.
    pub(crate) who: Who,
    /// What they may do.
    pub(crate) role: Role,
    /// Nothing but this account is theirs to see.
    pub(crate) account: Option<AccountId>,
    /// Nothing but this is theirs to see, as far as things are in zones.
    pub(crate) reach: Arc<Reach>,
    /// Where they are.
    pub(crate) source: IpAddr,
}

/// A token, or somebody who has signed in.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// A token.
    Token(ApiToken),
    /// Somebody with a name and a password.
    Person(Box<Person>),
}

impl Caller {
    pub(crate) fn new(who: Who, source: IpAddr) -> Self {
        let (role, account) = match &who {
            Who::Token(token) => (token.role, token.account),
            Who::Person(person) => (person.role, person.account),
        };
        Self {
            who,
            role,
            account,
            reach: Arc::default(),
            source,
        }
    }

    /// The same with what is within their zones, which has to be looked up.
    pub(crate) fn with_reach(self, reach: Reach) -> Self {
        Self {
            reach: Arc::new(reach),
            ..self
        }
    }

    /// The zones they are confined to; none means all.
    pub(crate) fn zones(&self) -> &[ZoneId] {
        match &self.who {
            Who::Token(token) => &token.zones,
            Who::Person(person) => &person.zones,
        }
    }

    /// Whether they see a part of the platform alone.
    pub(crate) fn is_confined(&self) -> bool {
        self.account.is_some() || !self.zones().is_empty()
    }

    /// What others call them.
    pub(crate) fn name(&self) -> &str {
        match &self.who {
            Who::Token(token) => &token.name,
            Who::Person(person) => &person.name,
        }
    }

    /// Tells them from all others.
    pub(crate) fn id(&self) -> String {
        match &self.who {
            Who::Token(token) => token.id.to_string(),
            Who::Person(person) => person.id.to_string(),
        }
    }

    /// What of their role they may use; none means all.
    pub(crate) fn scopes(&self) -> &[String] {
        match &self.who {
            Who::Token(token) => &token.scopes,
            Who::Person(_) => &[],
        }
    }

    /// Whether they may see what is of this account.
    pub(crate) fn sees(&self, account: Option<AccountId>) -> bool {
        self.account.is_none() || self.account == account
    }

    /// The account that a list is of, where `wanted` was asked for.
    pub(crate) fn only_own(&self, wanted: Option<AccountId>) -> Result<Option<AccountId>, Problem> {
        match (self.account, wanted) {
            (Some(own), Some(wanted)) if own != wanted => {
                let detail = format!("you are confined to the account {own}");
                Err(Problem::new(&problem::FORBIDDEN, detail))
            }
            (own, wanted) => Ok(own.or(wanted)),
        }
    }

    /// The person they are.
    pub(crate) fn person(&self) -> Result<&Person, Problem> {
        match &self.who {
            Who::Person(person) => Ok(person),
            Who::Token(_) => Err(Problem::new(
                &problem::FORBIDDEN,
                "a token has no password: sign in with a name and a password",
            )),
        }
    }

    /// Who they are to the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let kind = match self.who {
            Who::Token(_) => "token",
            Who::Person(_) => "person",
        };
        let (id, name) = (self.id(), self.name());
        Actor {
            name: format!("{kind} {id} ({name}) from {}", self.source),
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
/// Passwords hashed at a time: each takes 19 MiB and a core for some hundredths of a second.
const HASHING_MAX: usize = 2;
/// Files of traces made at a time: each takes some 250 MB at most.
const EXPORTS_MAX: usize = 2;
/// How long one waits for its turn.
const HASHING_WAIT: Duration = Duration::from_secs(5);
