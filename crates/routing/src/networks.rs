//! Longest-prefix match over networks.

use std::net::IpAddr;

use ahash::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;

/// Maps networks to values. A look-up costs one hash probe for each distinct prefix length of
/// the address family: a handful in practice, whatever the number of networks.
#[derive(Clone, Debug)]
pub struct Networks<T> {
    v4: Vec<Length<T>>,
    v6: Vec<Length<T>>,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self {
            v4: Vec::new(),
            v6: Vec::new(),
        }
    }
}

impl<T> Networks<T> {
    /// Builds from networks in any order; host bits are ignored. Of equal networks the first
    /// counts.
    #[must_use]
    pub fn build(networks: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let mut built = Self::default();
        for (network, value) in networks {
            let lengths = match network {
                IpNet::V4(_) => &mut built.v4,
                IpNet::V6(_) => &mut built.v6,
            };
            let bits = network.prefix_len();
            // Longest first.
            let at = lengths.partition_point(|length| length.bits > bits);
            if lengths.get(at).is_none_or(|length| length.bits != bits) {
                let state = RandomState::with_seeds(5, 6, 7, 8);
                let networks = HashMap::with_hasher(state);
                lengths.insert(at, Length { bits, networks });
            }
            let network = network.trunc();
            lengths[at].networks.entry(network).or_insert(value);
        }
        built
    }

    /// The narrowest network that holds an address. An IPv4 address mapped into IPv6 counts as
    /// IPv4: sockets of both families report it so.
    #[must_use]
    pub fn longest(&self, address: IpAddr) -> Option<(IpNet, &T)> {
        let address = address.to_canonical();
        let lengths = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        lengths.iter().find_map(|length| {
            let network = IpNet::new(address, length.bits).ok()?.trunc();
            let value = length.networks.get(&network)?;
            Some((network, value))
        })
    }
}

/// The networks of one prefix length.
#[derive(Clone, Debug)]
struct Length<T> {
    bits: u8,
    networks: HashMap<IpNet, T, RandomState>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network() -> impl Strategy<Value = IpNet> {
        let v4 = (0_u32..64, 24_u8..=32).prop_map(|(host, bits)| {
            IpNet::new(IpAddr::V4((0x0a00_0000 + host).into()), bits).expect("at most 32 bits")
        });
        let v6 = (0_u128..64, 120_u8..=128).prop_map(|(host, bits)| {
            IpNet::new(IpAddr::V6(host.into()), bits).expect("at most 128 bits")
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn finds_what_a_linear_scan_finds(
            list in proptest::collection::vec(network(), 0..40),
            asked in network(),
        ) {
            let networks = Networks::build(list.iter().map(|n| (*n, n.trunc())));
            let address = asked.addr();
            let holding = list.iter().filter(|network| network.contains(&address));
            let expected = holding.map(IpNet::trunc).max_by_key(IpNet::prefix_len);
            prop_assert_eq!(networks.longest(address).map(|(_, value)| *value), expected);
        }
    }

    #[test]
    fn of_equal_networks_the_first_counts() {
        let net = |s: &str| s.parse::<IpNet>().unwrap();
        let networks = Networks::build([(net("10.0.0.1/8"), 1), (net("10.0.0.0/8"), 2)]);
        let mapped = "::ffff:10.9.9.9".parse().unwrap();
        assert_eq!(networks.longest(mapped), Some((net("10.0.0.0/8"), &1)));
        assert_eq!(networks.longest("11.0.0.1".parse().unwrap()), None);
    }
}
