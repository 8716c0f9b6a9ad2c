//! Where a dispatcher sends calls, as control has it: its targets and how it chooses among them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{FieldError, Validate};

/// The targets of a dispatcher, in place of those of its own file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispatching {
    /// How one is chosen.
    #[serde(default)]
    pub algorithm: DispatchAlgorithm,
    /// All of them.
    #[serde(default)]
    pub targets: Vec<DispatchTarget>,
}

/// How a dispatcher chooses among its targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DispatchAlgorithm {
    /// One after the other.
    #[default]
    RoundRobin,
    /// One after the other, in proportion to their weights.
    Weighted,
    /// The one with the fewest calls for its weight.
    LeastCalls,
    /// The less loaded of two drawn at random.
    TwoChoices,
    /// Equal keys go to one target.
    Hash,
}

impl DispatchAlgorithm {
    /// What it is called in records, files and flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Weighted => "weighted",
            Self::LeastCalls => "least-calls",
            Self::TwoChoices => "two-choices",
            Self::Hash => "hash",
        }
    }
}

/// Where a dispatcher may send calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DispatchTarget {
    /// Its name; no two targets of a dispatcher have the same.
    pub name: String,
    /// Where it is: `udp:10.0.0.1:5060`; or all that a name stands for, `udp:switch.example.com:5060`
    /// or, by SRV, `udp:example.com`. Over TCP and TLS alike.
    pub address: String,
    /// Its share among those of its priority.
    #[serde(default = "one")]
    pub weight: u16,
    /// Those of the lowest number come first, the others when they are full or down.
    #[serde(default)]
    pub priority: u16,
    /// Calls at a time; `None`: any number.
    #[serde(default)]
    pub calls_max: Option<u32>,
    /// New calls per second; `None`: any number.
    #[serde(default)]
    pub cps_max: Option<u32>,
    /// It takes no new calls; those it has go on to their end.
    #[serde(default)]
    pub draining: bool,
    /// The name its certificate must have, for TLS; empty: that of its address.
    #[serde(default)]
    pub tls_name: String,
}

impl Validate for Dispatching {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.require(
            self.targets.len() <= TARGETS_MAX,
            "targets",
            "up to 256 targets are accepted",
        );
        let mut names = BTreeSet::new();
        for target in &self.targets {
            checks.nested("targets", target);
            checks.require(
                names.insert(&target.name),
                "targets.name",
                "no two targets have the same name",
            );
        }
        checks.done()
    }
}

impl Validate for DispatchTarget {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        checks.require(
            (1..=NAME_LEN_MAX).contains(&self.name.len()) && self.name.chars().all(is_word),
            "name",
            "1 to 64 letters, digits, dots, dashes and underscores are accepted",
        );
        match self.host_port() {
            Some(host_port) => {
                checks.host_port("address", host_port);
                checks.require(
                    !is_bare_ip(host_port),
                    "address",
                    "an IP address is accepted with its port",
                );
            }
            None => checks.refuse(
                "address",
                "udp:, tcp: or tls: is accepted, followed by host:port, or by a host alone",
            ),
        }
        checks.range("weight", self.weight.into(), 1..=WEIGHT_MAX);
        if !self.tls_name.is_empty() {
            checks.host("tls_name", &self.tls_name);
        }
        checks.done()
    }
}

impl DispatchTarget {
    /// `host[:port]` of its address; `None` if that names no transport we know.
    fn host_port(&self) -> Option<&str> {
        let (transport, host_port) = self.address.split_once(':')?;
        TRANSPORTS.contains(&transport).then_some(host_port)
    }
}

fn is_bare_ip(text: &str) -> bool {
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inside.unwrap_or(text).parse::<IpAddr>().is_ok()
}

const fn one() -> u16 {
    1
}

/// How targets are reached.
const TRANSPORTS: [&str; 3] = ["udp", "tcp", "tls"];
/// Targets of one dispatcher.
const TARGETS_MAX: usize = 256;
const NAME_LEN_MAX: usize = 64;
const WEIGHT_MAX: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, address: &str) -> DispatchTarget {
        let json = format!(r#"{{"name":"{name}","address":"{address}"}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_target_is_reached_over_a_transport_at_a_host() {
        for address in [
            "udp:10.0.0.1:5060",
            "tls:[2001:db8::1]:5061",
            "tcp:example.com",
        ] {
            let complaints = target("a", address).validate();
            assert!(complaints.is_empty(), "{address}: {complaints:?}");
        }
        for (name, address, field) in [
            ("a", "10.0.0.1:5060", "address"),
            ("a", "ws:10.0.0.1:80", "address"),
            ("a", "udp:", "address"),
            ("a", "udp:10.0.0.1", "address"),
            ("a", "tcp:[2001:db8::1]", "address"),
            ("a b", "udp:10.0.0.1:5060", "name"),
            ("", "udp:10.0.0.1:5060", "name"),
        ] {
            let complaints = target(name, address).validate();
            assert_eq!(complaints.len(), 1, "{name} {address}: {complaints:?}");
            assert_eq!(complaints[0].field, field);
        }
    }

    #[test]
    fn two_targets_of_one_name_are_no_set() {
        let one = target("a", "udp:10.0.0.1:5060");
        let set = Dispatching {
            targets: vec![one.clone(), one],
            ..Dispatching::default()
        };
        let complaints = set.validate();
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        let heavy = DispatchTarget {
            weight: 0,
            ..target("a", "udp:10.0.0.1:5060")
        };
        assert_eq!(heavy.validate()[0].field, "weight");
    }
}
