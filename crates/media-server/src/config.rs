//! What a media server is started with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use ipnet::IpNet;
use media::{EngineConfig, SeenReport};
use ng::Happening;

/// How a [`crate::MediaServer`] is set up. [`Config::new`] gives everything but the addresses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where requests come as datagrams.
    pub udp: Vec<SocketAddr>,
    /// Where they come in streams.
    pub tcp: Vec<SocketAddr>,
    /// Where they come over HTTP and WebSocket; `/health` and `/metrics` are here, too.
    pub http: Vec<SocketAddr>,
    /// Who may ask. Whoever else does is dropped and counted.
    pub allowed: Vec<IpNet>,
    /// Where the server is.
    pub zone: String,
    /// Other names and addresses it is known by.
    pub aliases: Vec<String>,
    /// Sessions it takes at most; 0: as many as its ports carry.
    pub sessions_max: usize,
    /// How long a deleted call lives on, if the request does not say.
    pub delete_delay: Duration,
    /// How long a call may be without any packet and any request before it is forgotten.
    pub idle: Duration,
    /// Who is told of the RTCP of calls, if anybody. What finds no room is dropped.
    pub rtcp: Option<Sender<SeenRtcp>>,
    /// What becomes of recordings after their end, of which switches are told.
    pub uploads: Option<Receiver<Happening>>,
    /// Ports, addresses and workers of media.
    pub engine: EngineConfig,
    /// What stands behind the server's own metrics.
    pub more_metrics: MoreMetrics,
}

/// Lines of metrics of whoever runs the server, made when somebody asks.
#[derive(Clone, Default)]
pub struct MoreMetrics(Option<Arc<dyn Fn() -> String + Send + Sync>>);

impl MoreMetrics {
    /// Made by this function, which must not wait for anything.
    #[must_use]
    pub fn new(lines: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(lines)))
    }

    pub(crate) fn lines(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |lines| lines())
    }
}

impl fmt::Debug for MoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.0.is_some() { "some" } else { "none" };
        f.debug_tuple("MoreMetrics").field(&known).finish()
    }
}

impl Config {
    /// Requests from this machine alone, no listener yet.
    #[must_use]
    pub fn new(engine: EngineConfig) -> Self {
        Self {
            udp: Vec::new(),
            tcp: Vec::new(),
            http: Vec::new(),
            allowed: loopback(),
            zone: String::new(),
            aliases: Vec::new(),
            sessions_max: 0,
            delete_delay: Duration::ZERO,
            idle: Duration::from_secs(3_600),
            rtcp: None,
            uploads: None,
            engine,
            more_metrics: MoreMetrics::default(),
        }
    }
}

/// RTCP of a call.
#[derive(Clone, Debug)]
pub struct SeenRtcp {
    /// What was seen.
    pub report: SeenReport,
    /// What the call is called by whoever asked for it: its SIP Call-ID.
    pub correlation: Box<str>,
}

/// This machine.
#[must_use]
pub fn loopback() -> Vec<IpNet> {
    let v4 = ipnet::Ipv4Net::new(Ipv4Addr::LOCALHOST, 8).ok();
    let v6 = IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST));
    v4.map(|net| IpNet::from(net.trunc()))
        .into_iter()
        .chain([v6])
        .collect()
}
