//! How many ports there are.

use std::time::Instant;

use super::Engine;
use crate::config::AddressFamily;

impl Engine {
    /// Ports in use, free and resting, over all families that have an interface.
    #[must_use]
    pub fn ports(&self) -> PortUsage {
        let now = Instant::now();
        let mut usage = PortUsage::default();
        for family in [AddressFamily::V4, AddressFamily::V6] {
            if self.config.interface(family).is_some() {
                let ports = &self.ports[family as usize];
                usage.used += 2 * ports.used();
                usage.free += 2 * ports.free(now);
                usage.quarantined += 2 * ports.resting(now);
            }
        }
        usage
    }
}

/// How many ports there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortUsage {
    /// Bound by sessions.
    pub used: usize,
    /// Free to be bound now.
    pub free: usize,
    /// Resting after use.
    pub quarantined: usize,
}
