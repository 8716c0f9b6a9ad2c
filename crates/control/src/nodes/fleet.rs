//! What was last heard of each node, and how orders reach it. Nothing of it is kept: after a restart
//! of control each node is unknown until it is heard of.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use link::proto::Order;
use model::{ServerId, ServerRole, Snapshot};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::distance::{self, Distance, Neighbour, Place};
use super::roles::{DispatcherReport, MediaReport};

/// How a node is, by its own word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The process began; microseconds since the Unix epoch.
    pub started_us: u64,
    /// The program's version.
    pub version: String,
    /// The machine's own name.
    pub host: String,
    /// The revision of the configuration in force.
    pub revision: u64,
    /// It takes no new calls.
    pub draining: bool,
    /// Calls in progress, set-up included.
    pub channels: u32,
    /// The most of them in the last five minutes.
    pub channels_peak: u32,
    /// Calls in progress allowed; `None` without limit.
    pub channels_limit: Option<u32>,
    /// New calls in the last second.
    pub cps: u32,
    /// The most of them in the last five minutes.
    pub cps_peak: u32,
    /// New calls per second allowed; `None` without limit.
    pub cps_limit: Option<u32>,
    /// Registered contacts that it holds.
    pub registrations: u32,
    /// Processor time of the process, in per cent of one core; `None` if not known.
    pub cpu_percent: Option<f64>,
    /// Memory of the process.
    pub memory_bytes: Option<u64>,
    /// Memory of the machine.
    pub machine_memory_bytes: Option<u64>,
    /// Cores of the machine.
    pub cores: Option<u32>,
    /// Its sockets for SIP.
    pub listeners: Vec<SocketReport>,
    /// Round trip of a report to control.
    pub rtt_us: Option<u32>,
    /// The certificate that phones are shown expires; microseconds since the Unix epoch.
    pub tls_expires_us: Option<u64>,
    /// What it may use now of the calls in progress that its cluster allows; `None`: it has no
    /// cluster, or that no limit.
    pub cluster_channels_share: Option<u32>,
    /// What it may use now of the new calls per second that its cluster allows.
    pub cluster_cps_share: Option<u32>,
    /// The program that its next start takes, if it is another than the one that runs.
    #[serde(default)]
    pub update: Option<ProgramUpdate>,
    /// Of a dispatcher: its targets.
    pub dispatcher: Option<DispatcherReport>,
    /// Of a media server: what it relays.
    pub media: Option<MediaReport>,
    /// How far the nodes are that it was told to ask.
    #[serde(skip)]
    pub distances: Vec<Distance>,
    /// Why it cannot send ICMP.
    #[serde(skip)]
    pub icmp_refused: Option<String>,
}

impl Report {
    /// Less what a node in this role has no word in: how other roles are, who is registered, and how far
    /// other nodes are.
    pub(super) fn of_role(self, role: ServerRole) -> Self {
        let dispatcher = self.dispatcher.filter(|_| role == ServerRole::Dispatcher);
        let media = self.media.filter(|_| role == ServerRole::Media);
        let own = Self {
            dispatcher,
            media,
            ..self
        };
        match role {
            ServerRole::Switch => own,
            ServerRole::Dispatcher | ServerRole::Media => Self {
                registrations: 0,
                cluster_channels_share: None,
                cluster_cps_share: None,
                distances: Vec::new(),
                icmp_refused: None,
                ..own
            },
        }
    }
}

/// A program on the disk of a server that waits for a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgramUpdate {
    /// Its version.
    pub version: String,
    /// What tells it from others of the same version.
    pub build: String,
    /// The same of the program that runs.
    pub running_build: String,
}

/// A socket for SIP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SocketReport {
    /// What is spoken on it.
    pub transport: String,
    /// The local `address:port`.
    pub address: String,
    /// What peers are told, if another.
    pub advertised: String,
}

/// What is known of a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Its last report, and when that came.
    pub(crate) report: Option<(Report, u64)>,
    /// Where its line comes from, while it has one.
    pub(crate) line: Option<SocketAddr>,
    /// Since when it has, or had, a line.
    pub(crate) line_since_us: u64,
    /// Why it was refused last, and when.
    pub(crate) refused: Option<(String, u64)>,
}

/// A distance that a node has measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// The node that has asked.
    pub(crate) from: ServerId,
    /// When it said so; microseconds since the Unix epoch.
    pub(crate) at_us: u64,
    /// To which, and how far.
    pub(crate) distance: Distance,
    /// Why it cannot send ICMP.
    pub(crate) icmp_refused: Option<String>,
}

/// All nodes.
#[derive(Default)]
pub(crate) struct Fleet(Mutex<BTreeMap<ServerId, Member>>);

#[derive(Default)]
struct Member {
    heard: Heard,
    /// Where others can ask it.
    place: Option<Place>,
    /// The orders of its newest line.
    orders: Option<(u64, mpsc::Sender<Order>)>,
    /// When it was last given another certificate, since control has begun.
    renewed_us: Option<u64>,
}

impl Fleet {
    /// A node follows: orders go to the receiver, until another line of it comes.
    pub(crate) fn join(
        &self,
        server: ServerId,
        address: SocketAddr,
        at_us: u64,
    ) -> mpsc::Receiver<Order> {
        let (sender, orders) = mpsc::channel(ORDERS_MAX);
        let mut members = self.members();
        let member = members.entry(server).or_default();
        member.orders = Some((at_us, sender));
        member.heard.line = Some(address);
        member.heard.line_since_us = at_us;
        member.heard.refused = None;
        orders
    }

    /// The line that began then is over.
    pub(crate) fn leave(&self, server: ServerId, began_us: u64) {
        let mut members = self.members();
        let Some(member) = members.get_mut(&server) else {
            return;
        };
        if member
            .orders
            .as_ref()
            .is_some_and(|(at, _)| *at == began_us)
        {
            member.orders = None;
            member.heard.line = None;
        }
    }

    /// A node says how it is; what it said before that, and when.
    pub(crate) fn hear(
        &self,
        server: ServerId,
        report: Report,
        at_us: u64,
    ) -> Option<(Report, u64)> {
        let mut members = self.members();
        let member = members.entry(server).or_default();
        member.place = Place::of(&report, member.heard.line.map(|line| line.ip()));
        member.heard.report.replace((report, at_us))
    }

    /// Whom a node is to measure its distance to.
    pub(crate) fn neighbours(&self, asker: ServerId, snapshot: &Snapshot) -> Vec<Neighbour> {
        let members = self.members();
        let servers = snapshot.servers.iter();
        let places: Vec<_> = servers
            .filter(|server| server.revoked_us.is_none() && server.role == ServerRole::Switch)
            .filter_map(|server| {
                let place = members.get(&server.id)?.place.clone()?;
                Some((server.id, &*server.zone, place))
            })
            .collect();
        drop(members);
        distance::neighbours(asker, &places)
    }

    /// All distances that nodes have measured.
    pub(crate) fn distances(&self) -> Vec<Measured> {
        let members = self.members();
        let mut all = Vec::new();
        for (from, member) in members.iter() {
            let Some((report, at_us)) = &member.heard.report else {
                continue;
            };
            all.extend(report.distances.iter().map(|distance| Measured {
                from: *from,
                at_us: *at_us,
                distance: distance.clone(),
                icmp_refused: report.icmp_refused.clone(),
            }));
        }
        all
    }

    /// A node was refused.
    pub(crate) fn refuse(&self, server: ServerId, why: &str, at_us: u64) {
        let mut members = self.members();
        let member = members.entry(server).or_default();
        member.heard.refused = Some((why.to_owned(), at_us));
        member.heard.line = None;
    }

    /// Whether a node may have another certificate. By a clock that is a month ahead it would be time
    /// again at once, and each is a change of the records that all nodes are told of.
    pub(crate) fn may_renew(&self, server: ServerId, at_us: u64) -> bool {
        let renewed_us = self.members().get(&server).and_then(|m| m.renewed_us);
        renewed_us.is_none_or(|renewed| at_us.saturating_sub(renewed) >= RENEWED_LEAST_US)
    }

    /// A node has another certificate.
    pub(crate) fn renewed(&self, server: ServerId, at_us: u64) {
        self.members().entry(server).or_default().renewed_us = Some(at_us);
    }

    /// What is known of a node.
    pub(crate) fn heard(&self, server: ServerId) -> Heard {
        let members = self.members();
        let member = members.get(&server);
        member
            .map(|member| member.heard.clone())
            .unwrap_or_default()
    }

    /// Gives a node an order; false if it has no line, or has not taken those before.
    pub(crate) fn order(&self, server: ServerId, order: Order) -> bool {
        let sender = {
            let members = self.members();
            let orders = members.get(&server).and_then(|m| m.orders.as_ref());
            orders.map(|(_, sender)| sender.clone())
        };
        sender.is_some_and(|sender| sender.try_send(order).is_ok())
    }

    /// Servers that are gone need not be known any more.
    pub(crate) fn retain(&self, exists: impl Fn(ServerId) -> bool) {
        self.members().retain(|server, _| exists(*server));
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<ServerId, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The least time between two certificates of a node.
const RENEWED_LEAST_US: u64 = 3_600 * 1_000_000;
/// Orders that wait for a node.
const ORDERS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_a_word_in_its_own_role_and_no_other() {
        let all = Report {
            registrations: 7,
            cluster_cps_share: Some(3),
            icmp_refused: Some("no right to".into()),
            dispatcher: Some(DispatcherReport::default()),
            media: Some(MediaReport::default()),
            ..Report::default()
        };
        let switch = all.clone().of_role(ServerRole::Switch);
        assert_eq!(
            (switch.registrations, switch.cluster_cps_share),
            (7, Some(3))
        );
        assert_eq!((switch.dispatcher, switch.media), (None, None));
        let edge = all.clone().of_role(ServerRole::Dispatcher);
        assert!(edge.dispatcher.is_some() && edge.media.is_none());
        assert_eq!((edge.registrations, edge.cluster_cps_share), (0, None));
        assert_eq!(edge.icmp_refused, None);
        let media = all.of_role(ServerRole::Media);
        assert!(media.media.is_some() && media.dispatcher.is_none());
    }

    #[test]
    fn a_node_gets_one_certificate_an_hour() {
        let (fleet, server) = (Fleet::default(), ServerId::from_bits(1));
        assert!(fleet.may_renew(server, 5), "the first");
        fleet.renewed(server, 5);
        assert!(!fleet.may_renew(server, 4 + RENEWED_LEAST_US));
        assert!(fleet.may_renew(server, 5 + RENEWED_LEAST_US));
        assert!(fleet.may_renew(ServerId::from_bits(2), 6), "another's");
    }
}
