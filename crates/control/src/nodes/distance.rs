//! Which nodes each node measures its distance to.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};

use model::ServerId;
use serde::{Deserialize, Serialize};

use super::fleet::Report;

/// How far one node is from another, by its own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distance {
    /// The other.
    pub server: ServerId,
    /// By SIP: OPTIONS and its answer.
    pub sip: RoundTrips,
    /// By ICMP; `None`: it cannot send any.
    pub icmp: Option<RoundTrips>,
}

/// The last round trips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrips {
    /// So many were asked for.
    pub asked: u32,
    /// So many of them had no answer.
    pub lost: u32,
    /// In microseconds; `None`: none has ever had an answer.
    pub median_us: Option<u32>,
    /// In microseconds.
    pub worst_us: Option<u32>,
    /// The newest answer came so long ago.
    pub age_ms: Option<u64>,
}

/// A node to measure the distance to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Which.
    pub server: ServerId,
    /// Its SIP over UDP.
    pub address: SocketAddr,
}

/// Where a node can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its SIP over UDP.
    pub(crate) address: SocketAddr,
    /// Its machine's own name.
    pub(crate) host: String,
}

impl Place {
    /// Of a node that says this of itself, over a line from that address. `None`: it has no SIP over
    /// UDP, or nobody knows at which address.
    pub(crate) fn of(report: &Report, line: Option<IpAddr>) -> Option<Self> {
        let udp = report.listeners.iter().filter(|l| l.transport == UDP);
        let known: Vec<SocketAddr> = udp
            .filter_map(|listener| listener.advertised.parse().ok())
            .filter_map(|address: SocketAddr| {
                if address.ip().is_unspecified() {
                    Some(SocketAddr::new(line?, address.port()))
                } else {
                    Some(address)
                }
            })
            .collect();
        let mut all = known.iter();
        let address = all
            .find(|address| !address.ip().is_loopback())
            .or(known.first())?;
        Some(Self {
            address: *address,
            host: report.host.clone(),
        })
    }

    /// Whether who is there is found from here: each machine has a loopback of its own.
    fn is_seen_from(&self, asker: &Self) -> bool {
        !self.address.ip().is_loopback() || self.host == asker.host
    }
}

/// Whom a node asks, of all that can be asked, each with its zone: some of each zone, others than its
/// neighbours ask, so that each pair of zones is measured by several.
pub(crate) fn neighbours(asker: ServerId, all: &[(ServerId, &str, Place)]) -> Vec<Neighbour> {
    let Some((.., own)) = all.iter().find(|(server, ..)| *server == asker) else {
        return Vec::new();
    };
    let mut others: Vec<_> = all
        .iter()
        .filter(|(server, _, place)| *server != asker && place.is_seen_from(own))
        .map(|(server, zone, place)| (turn(asker, *server), *server, *zone, place))
        .collect();
    others.sort_unstable_by_key(|(turn, server, ..)| (*turn, *server));
    let mut of_zone: BTreeMap<&str, usize> = BTreeMap::new();
    others.retain(|(_, _, zone, _)| {
        let asked = of_zone.entry(*zone).or_default();
        *asked += 1;
        *asked <= ASKED_PER_ZONE
    });
    let first = others.into_iter().take(ASKED_MAX);
    first
        .map(|(_, server, _, place)| Neighbour {
            server,
            address: place.address,
        })
        .collect()
}

/// The place of a node in the order of another: the same at all times, and another for each.
fn turn(asker: ServerId, server: ServerId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (asker, server).hash(&mut hasher);
    hasher.finish()
}

/// As reports call it.
const UDP: &str = "udp";
/// Nodes of each zone that one node asks.
const ASKED_PER_ZONE: usize = 4;
/// Nodes that one node asks; the rest is asked by others.
const ASKED_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SocketReport;

    fn place(address: &str, host: &str) -> Place {
        Place {
            address: address.parse().unwrap(),
            host: host.into(),
        }
    }

    fn asked(asker: u64, all: &[(ServerId, &str, Place)]) -> Vec<ServerId> {
        let asked = neighbours(ServerId::from_parts(asker, 0), all);
        asked.into_iter().map(|one| one.server).collect()
    }

    #[test]
    fn a_few_of_each_zone_are_asked_and_other_ones_by_each() {
        let zones: Vec<String> = (0..20).map(|n| format!("zone {n}")).collect();
        let all: Vec<_> = (0..200_u64)
            .map(|n| {
                let place = place(&format!("192.0.2.{n}:5060"), &n.to_string());
                let zone = zones[n as usize % zones.len()].as_str();
                (ServerId::from_parts(n, 0), zone, place)
            })
            .collect();
        let one = asked(0, &all);
        assert_eq!(one.len(), ASKED_MAX);
        assert!(!one.contains(&ServerId::from_parts(0, 0)), "itself");
        assert_eq!(one, asked(0, &all), "the same each time");
        // Each zone is asked by each other one.
        for from in &zones {
            let askers = (0..200).filter(|n| zones[*n as usize % zones.len()] == *from);
            let of: std::collections::BTreeSet<&str> = askers
                .flat_map(|n| asked(n, &all))
                .filter_map(|server| all.iter().find(|(id, ..)| *id == server))
                .map(|(_, zone, _)| *zone)
                .collect();
            assert_eq!(of.len(), zones.len(), "{from}");
        }
    }

    #[test]
    fn a_loopback_is_asked_on_its_own_machine_alone() {
        let id = |n| ServerId::from_parts(n, 0);
        let all = [
            (id(1), "a", place("127.0.0.1:5060", "one")),
            (id(2), "a", place("127.0.0.1:5070", "one")),
            (id(3), "b", place("192.0.2.3:5060", "two")),
        ];
        let sorted = |asker| {
            let mut servers = asked(asker, &all);
            servers.sort_unstable();
            servers
        };
        assert_eq!(sorted(1), [id(2), id(3)]);
        assert_eq!(sorted(3), []);
        assert_eq!(sorted(9), [], "one that said nothing of itself");
    }

    #[test]
    fn a_node_that_listens_everywhere_is_where_its_line_comes_from() {
        let socket = |transport: &str, advertised: &str| SocketReport {
            transport: transport.into(),
            advertised: advertised.into(),
            ..SocketReport::default()
        };
        let report = Report {
            listeners: vec![
                socket("tcp", "192.0.2.9:5060"),
                socket("udp", "127.0.0.1:5060"),
                socket("udp", "0.0.0.0:5066"),
            ],
            ..Report::default()
        };
        let at = |line: Option<&str>| {
            let place = Place::of(&report, line.map(|ip| ip.parse().unwrap()));
            place.map(|place| place.address.to_string())
        };
        assert_eq!(at(Some("192.0.2.1")).unwrap(), "192.0.2.1:5066");
        assert_eq!(at(None).unwrap(), "127.0.0.1:5060");
        assert_eq!(Place::of(&Report::default(), None), None);
    }
}
