//! How far media servers are from peers, as the servers themselves measured it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use model::MediaServerId;

/// Networks remembered; the one heard of longest ago makes room.
const NETWORKS_MAX: usize = 16_384;

/// Round trips from servers to networks of peers: /24 of IPv4, /48 of IPv6.
#[derive(Debug, Default)]
pub(super) struct Delays {
    known: BTreeMap<(u128, MediaServerId), Delay>,
    clock: u64,
}

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
}
