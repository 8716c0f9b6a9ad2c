//! Who may ask.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ipnet::IpNet;

/// The list of sources that are heard. Shared by all listeners.
#[derive(Debug)]
pub(crate) struct Gate {
    allowed: Vec<IpNet>,
    refused: AtomicU64,
}

impl Gate {
    pub(crate) fn new(allowed: Vec<IpNet>) -> Self {
        Self {
            allowed,
            refused: AtomicU64::new(0),
        }
    }

    /// Whether a source is heard; one that is not is counted.
    pub(crate) fn admits(&self, source: IpAddr) -> bool {
        // A socket of both families shows IPv4 sources in IPv6.
        let source = source.to_canonical();
        let admitted = self.allowed.iter().any(|net| net.contains(&source));
        if !admitted {
            self.refused.fetch_add(1, Relaxed);
        }
        admitted
    }

    /// Messages and connections that were dropped.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_counted() {
        let gate = Gate::new(crate::loopback());
        for admitted in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(
                gate.admits(admitted.parse().expect("an address")),
                "{admitted}"
            );
        }
        for refused in ["192.0.2.1", "::2", "::ffff:10.0.0.1"] {
            assert!(
                !gate.admits(refused.parse().expect("an address")),
                "{refused}"
            );
        }
        assert_eq!(gate.refused(), 3);
    }
}
