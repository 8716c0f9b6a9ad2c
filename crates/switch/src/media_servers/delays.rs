//! How far media servers are from peers, as the servers themselves measured it.
//!
//! A peer is where its signalling comes from; its media may come from a neighbour. A server that
//! has not served two peers yet is not known to be near or far: now and then one call between
//! them tries it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use clock::Time;
use model::MediaServerId;

/// Networks remembered; the one heard of longest ago makes room.
const NETWORKS_MAX: usize = 16_384;
/// How long a server is not tried again between two networks after it was used between them.
const TRIED_FOR: Duration = Duration::from_secs(600);
/// Pairs of networks whose last use of a server is remembered.
const PAIRS_MAX: usize = 16_384;

/// Round trips from servers to networks of peers: /24 of IPv4, /48 of IPv6.
#[derive(Debug, Default)]
pub(super) struct Delays {
    known: BTreeMap<(u128, MediaServerId), Delay>,
    /// When a server was last used between two networks.
    used: BTreeMap<(Pair, MediaServerId), Time>,
    clock: u64,
}

/// Two networks, in order.
type Pair = [u128; 2];

#[derive(Debug)]
struct Delay {
    rtt_us: u32,
    heard: u64,
}

impl Delays {
    /// A round trip was measured; the last few count.
    pub(super) fn learn(&mut self, server: MediaServerId, peer: IpAddr, rtt_us: u32) {
        self.clock += 1;
        let heard = self.clock;
        let key = (network(peer), server);
        let fresh = Delay { rtt_us, heard };
        let delay = self.known.entry(key).or_insert(fresh);
        let mean = (u64::from(delay.rtt_us) * 3 + u64::from(rtt_us)) / 4;
        *delay = Delay {
            rtt_us: mean as u32,
            heard,
        };
        if self.known.len() > NETWORKS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, delay)| delay.heard);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.known.remove(&oldest);
            }
        }
    }

    /// A session between two peers begins on a server.
    pub(super) fn handle_use(
        &mut self,
        now: Time,
        server: MediaServerId,
        peers: [Option<IpAddr>; 2],
    ) {
        let Some(pair) = pair(peers) else { return };
        if self.used.len() >= PAIRS_MAX {
            // Those that would be tried again anyway; if there are none, nobody is tried.
            self.used.retain(|_, used| now.since(*used) < TRIED_FOR);
        }
        if self.used.len() < PAIRS_MAX {
            self.used.insert((pair, server), now);
        }
    }

    /// Whether a call between two peers may go by a server to find out how far it is.
    pub(super) fn may_be_tried(
        &self,
        now: Time,
        server: MediaServerId,
        peers: [Option<IpAddr>; 2],
    ) -> bool {
        let Some(pair) = pair(peers) else {
            return false;
        };
        let used = self.used.get(&(pair, server));
        let lately = used.is_some_and(|used| now.since(*used) < TRIED_FOR);
        let is_known = self.added_us(server, peers).is_some();
        !is_known && !lately && self.used.len() < PAIRS_MAX
    }

    /// What a server adds to the way between two peers; `None` if either way is not known.
    pub(super) fn added_us(
        &self,
        server: MediaServerId,
        peers: [Option<IpAddr>; 2],
    ) -> Option<u32> {
        let [a, b] = peers.map(|peer| {
            let delay = self.known.get(&(network(peer?), server))?;
            Some(delay.rtt_us)
        });
        Some(a?.saturating_add(b?))
    }
}

fn pair(peers: [Option<IpAddr>; 2]) -> Option<Pair> {
    let mut pair = [network(peers[0]?), network(peers[1]?)];
    pair.sort_unstable();
    Some(pair)
}

fn network(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u128::from(u32::from(ip) & 0xFFFF_FF00),
        IpAddr::V6(ip) => {
            u128::from(ip)
                & !u128::from(Ipv6Addr::from([
                    0, 0, 0, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF,
                ]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_must_be_known_and_neighbours_share_them() {
        let (near, far) = (MediaServerId::from_bits(1), MediaServerId::from_bits(2));
        let [caller, callee] = ["192.0.2.7", "2001:db8:1::9"].map(|a| a.parse().unwrap());
        let mut delays = Delays::default();
        delays.learn(near, caller, 4_000);
        assert_eq!(delays.added_us(near, [Some(caller), Some(callee)]), None);
        delays.learn(near, callee, 80_000);
        delays.learn(far, callee, 1_000);
        let neighbours = ["192.0.2.200", "2001:db8:1:5::1"].map(|a| Some(a.parse().unwrap()));
        assert_eq!(delays.added_us(near, neighbours), Some(84_000));
        assert_eq!(delays.added_us(far, neighbours), None);
        assert_eq!(delays.added_us(near, [Some(caller), None]), None);
        delays.learn(near, caller, 8_000);
        assert_eq!(delays.added_us(near, neighbours), Some(85_000));
    }

    #[test]
    fn a_server_is_tried_between_two_networks_once_in_a_while_until_it_is_known() {
        let server = MediaServerId::from_bits(1);
        let peers = ["192.0.2.7", "198.51.100.1"].map(|a| Some(a.parse().unwrap()));
        let [caller, callee] = peers;
        let mut delays = Delays::default();
        let mut now = Time::from_secs(1_000);
        assert!(delays.may_be_tried(now, server, peers));
        assert!(!delays.may_be_tried(now, server, [caller, None]));
        delays.handle_use(now, server, peers);
        assert!(!delays.may_be_tried(now, server, peers));
        assert!(!delays.may_be_tried(now, server, [callee, caller]));
        now += TRIED_FOR;
        assert!(delays.may_be_tried(now, server, peers));
        delays.learn(server, caller.unwrap(), 1_000);
        delays.learn(server, callee.unwrap(), 1_000);
        assert!(!delays.may_be_tried(now, server, peers));
    }
}
