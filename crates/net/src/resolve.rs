//! From a URI to addresses: RFC 3263 §4, with RFC 2782 for SRV and RFC 3403 for NAPTR.
//!
//! `plan` says what to ask and in which order, `srv` puts SRV records in order; both are pure.
//! `lookup` asks hickory, which caches.
//!
//! Deviation from RFC 3263 §4.1: where several NAPTR records could serve, the targets of all of
//! them are given one after the other rather than those of the first only, so that a peer whose
//! preferred transport is down is reached by the next.

mod lookup;
mod plan;
mod srv;

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::Targets;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub(crate) use self::lookup::Dns;
use self::plan::Plan;
use self::srv::Draw;
use crate::counters::DropReason;
use crate::drive::ResolveQuery;
use crate::stream::{Context, StreamEvent};

/// How names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverConfig {
    /// The name servers; empty: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// How long one question to a name server may take; it is asked twice.
    pub query_timeout: Duration,
    /// How long a whole resolution may take, whatever it needs to ask.
    pub timeout: Duration,
    /// Resolutions under way; one more fails with [`ResolveError::Busy`].
    pub outstanding_max: usize,
    /// Seeds the draw among SRV records of equal priority.
    pub seed: u64,
}

impl Default for ResolverConfig {
    /// The system's name servers, and a seed of its own.
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            query_timeout: QUERY_TIMEOUT,
            timeout: RESOLVE_TIMEOUT,
            outstanding_max: OUTSTANDING_MAX,
            seed: RandomState::new().hash_one(0),
        }
    }
}

/// An address of a service that is to be shared among all of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where.
    pub remote: SocketAddr,
    /// The lowest first (RFC 2782); 0 for all where there is no SRV record.
    pub priority: u16,
    /// Its share among those of its priority; 1 for all where there is no SRV record.
    pub weight: u16,
}

/// Why a host gave no targets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The host is neither an address nor a possible domain name.
    #[error("not a host name")]
    Malformed,
    /// The scheme is `sips`, and the transport asked for has no encrypted form.
    #[error("no encrypted form of this transport")]
    NotSecure,
    /// The name does not exist or has no usable records.
    #[error("no such host")]
    NotFound,
    /// The name servers answered with an error, or there are none.
    #[error("the name servers failed")]
    ServerFailed,
    /// The name servers did not answer in time.
    #[error("the name servers did not answer in time")]
    TimedOut,
    /// Too many resolutions are under way.
    #[error("too many resolutions under way")]
    Busy,
}

/// Answers the shard's questions.
#[derive(Debug)]
pub(crate) struct Resolver {
    /// `None` if the system's name servers could not be read and none were given.
    dns: Option<Dns>,
    timeout: Duration,
    outstanding: Arc<Semaphore>,
    draw: Draw,
    context: Arc<Context>,
    runtime: Handle,
}

impl Resolver {
    pub(crate) fn new(config: &ResolverConfig, context: Arc<Context>, runtime: Handle) -> Self {
        let dns = Dns::new(config)
            .inspect_err(|error| tracing::warn!(%error, "no name servers; addresses still work"))
            .ok();
        Self {
            dns,
            timeout: config.timeout,
            outstanding: Arc::new(Semaphore::new(config.outstanding_max)),
            draw: Draw::new(config.seed),
            context,
            runtime,
        }
    }

    /// The name servers, for those who can wait for them.
    pub(crate) fn dns(&self) -> Option<Dns> {
        self.dns.clone()
    }

    /// The answer if it needs no waiting; else it comes as an event.
    pub(crate) fn resolve(
        &mut self,
        id: u64,
        query: &ResolveQuery,
    ) -> Option<Result<Targets, ResolveError>> {
        let plan = match Plan::of(query) {
            Ok(Plan::Known(target)) => return Some(Ok(Targets::from_iter([target]))),
            Ok(plan) => plan,
            Err(error) => return Some(Err(error)),
        };
        let Some(dns) = self.dns.clone() else {
            return Some(Err(ResolveError::ServerFailed));
        };
        let Ok(permit) = self.outstanding.clone().try_acquire_owned() else {
            let counters = &self.context.counters;
            counters.count_dropped(DropReason::ResolverBusy, 1);
            return Some(Err(ResolveError::Busy));
        };
        let (patience, context) = (self.timeout, self.context.clone());
        let mut draw = self.draw.split();
        self.runtime.spawn(async move {
            let targets = timeout(patience, dns.follow(plan, &mut draw))
                .await
                .unwrap_or(Err(ResolveError::TimedOut));
            drop(permit);
            context.tell(StreamEvent::Resolved { id, targets }).await;
        });
        None
    }
}

/// Default of [`ResolverConfig::query_timeout`].
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// Default of [`ResolverConfig::timeout`]: well before the caller loses patience.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(6);
/// Default of [`ResolverConfig::outstanding_max`].
const OUTSTANDING_MAX: usize = 1_024;
/// Targets given for one host; what comes after them is left out.
const TARGETS_MAX: usize = 16;
