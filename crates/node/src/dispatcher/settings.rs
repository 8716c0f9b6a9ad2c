//! What a dispatcher is told in a file, by flags and at run time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use balancer::{Admission, Algorithm, Passive, Policy, Probing, TargetSpec};
use dispatcher::{Config, HashOn, Redirects, Target};
use model::{DispatchAlgorithm, DispatchTarget};
use net::Located;
use serde::{Deserialize, Serialize};
use sip::Transport;

use super::DispatcherOptions;
use super::names::{self, Place};
use crate::data::Data;

/// A target as files and the API write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRecord {
    /// Its name, unique.
    pub name: String,
    /// Where it is: `udp:10.0.0.1:5060`; or all that a name stands for, `udp:switch.example.com:5060`
    /// or, by SRV, `udp:example.com`.
    pub address: String,
    /// Its share among those of its priority, 1 to 1,000.
    #[serde(default = "one")]
    pub weight: u16,
    /// Those of the lowest number come first, the others when they are full or down.
    #[serde(default)]
    pub priority: u16,
    /// Calls at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_max: Option<u32>,
    /// New calls per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cps_max: Option<u32>,
    /// Whether it takes no new calls.
    #[serde(default)]
    pub draining: bool,
    /// The name its certificate must have, for TLS.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tls_name: String,
}

const fn one() -> u16 {
    1
}

/// The file. What it leaves out has the value it has in `docs/dispatcher.md`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    algorithm: Option<String>,
    hash_on: Option<String>,
    redirects: Option<String>,
    answer_timeout_ms: Option<u64>,
    slow_start_s: Option<u64>,
    cps_max: Option<u32>,
    route_name: Option<String>,
    #[serde(default)]
    probing: ProbingSettings,
    #[serde(default)]
    passive: PassiveSettings,
    #[serde(default)]
    targets: Vec<TargetRecord>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbingSettings {
    interval_ms: Option<u64>,
    timeout_ms: Option<u64>,
    down_after: Option<u32>,
    up_after: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PassiveSettings {
    silences: Option<u32>,
    errors_permille: Option<u32>,
    answers_min: Option<u32>,
    rest_s: Option<u64>,
    latency_max_ms: Option<u64>,
}

/// The file, with the flags over it.
pub(super) fn read(options: &DispatcherOptions) -> Result<Settings> {
    let mut settings = match &options.config {
        None => Settings::default(),
        Some(path) => {
            let shown = path.display();
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {shown}"))?;
            toml::from_str(&text).with_context(|| format!("{shown} is not understood"))?
        }
    };
    settings.targets.extend(options.targets.iter().cloned());
    if options.algorithm.is_some() {
        settings.algorithm.clone_from(&options.algorithm);
    }
    if options.redirects.is_some() {
        settings.redirects.clone_from(&options.redirects);
    }
    Ok(settings)
}

/// The targets: as they were changed at run time, else those of the file.
pub(super) fn records(settings: &Settings, data: &Data) -> Vec<TargetRecord> {
    let kept: Option<Vec<TargetRecord>> = data.read(KEPT);
    kept.unwrap_or_else(|| settings.targets.clone())
}

impl Settings {
    /// The targets of the file and the flags.
    pub(super) fn own_records(&self) -> Vec<TargetRecord> {
        self.targets.clone()
    }

    pub(super) fn config(&self, own_names: &[String], key: [u8; 32], seed: u64) -> Result<Config> {
        let hash_on = match self.hash_on.as_deref().unwrap_or("call-id") {
            "call-id" => HashOn::CallId,
            "from" => HashOn::From,
            "to" => HashOn::To,
            "request-uri" => HashOn::RequestUri,
            "auth-user" => HashOn::AuthUser,
            other => anyhow::bail!(
                "hash_on is call-id, from, to, request-uri or auth-user, not \"{other}\""
            ),
        };
        let redirects = match self.redirects.as_deref().unwrap_or("follow") {
            "follow" => Redirects::Follow,
            "pass" => Redirects::Pass,
            other => anyhow::bail!("redirects is follow or pass, not \"{other}\""),
        };
        let route_name = self.route_name.as_deref();
        ensure!(
            route_name.is_none_or(names::is_host),
            "route_name is a host name without a port: \"{}\"",
            route_name.unwrap_or_default()
        );
        Ok(Config {
            product: concat!("Tandem/", env!("CARGO_PKG_VERSION")).into(),
            cluster_key: key,
            seed,
            policy: self.policy()?,
            hash_on,
            redirects,
            names: own_names.iter().map(|name| name.as_str().into()).collect(),
            route_name: route_name.map(Into::into),
            answer_timeout: ms(self.answer_timeout_ms, 2_000),
            cps_max: self.cps_max.unwrap_or(0),
        })
    }

    /// Chooses by this, in place of what the file and the flags say.
    pub(super) fn choose_by(&mut self, algorithm: DispatchAlgorithm) {
        self.algorithm = Some(algorithm.name().to_owned());
    }

    /// How a target is chosen.
    pub(super) fn algorithm(&self) -> Result<DispatchAlgorithm> {
        use DispatchAlgorithm as A;
        let all = [
            A::RoundRobin,
            A::Weighted,
            A::LeastCalls,
            A::TwoChoices,
            A::Hash,
        ];
        let Some(name) = self.algorithm.as_deref() else {
            return Ok(A::default());
        };
        let mut known = all.into_iter();
        known.find(|one| one.name() == name).with_context(|| {
            format!(
                "algorithm is round-robin, weighted, least-calls, two-choices or hash, not \"{name}\""
            )
        })
    }

    fn policy(&self) -> Result<Policy> {
        let algorithm = match self.algorithm()? {
            DispatchAlgorithm::RoundRobin => Algorithm::RoundRobin,
            DispatchAlgorithm::Weighted => Algorithm::Weighted,
            DispatchAlgorithm::LeastCalls => Algorithm::LeastCalls,
            DispatchAlgorithm::TwoChoices => Algorithm::TwoChoices,
            DispatchAlgorithm::Hash => Algorithm::Hash,
        };
        let (probing, passive) = (&self.probing, &self.passive);
        let policy = Policy {
            algorithm,
            probing: Probing {
                interval: ms(probing.interval_ms, 5_000),
                timeout: ms(probing.timeout_ms, 2_000),
                down_after: probing.down_after.unwrap_or(3),
                up_after: probing.up_after.unwrap_or(2),
            },
            passive: Passive {
                silences: passive.silences.unwrap_or(2),
                errors_permille: passive.errors_permille.unwrap_or(500),
                answers_min: passive.answers_min.unwrap_or(20),
                rest: Duration::from_secs(passive.rest_s.unwrap_or(30)),
                latency_max: ms(passive.latency_max_ms, 0),
            },
            slow_start: Duration::from_secs(self.slow_start_s.unwrap_or(30)),
        };
        let counts = [
            policy.probing.down_after,
            policy.probing.up_after,
            policy.passive.silences,
        ];
        ensure!(
            counts.iter().all(|count| *count > 0),
            "down_after, up_after and silences are at least 1"
        );
        Ok(policy)
    }
}

impl From<&DispatchTarget> for TargetRecord {
    fn from(target: &DispatchTarget) -> Self {
        Self {
            name: target.name.clone(),
            address: target.address.clone(),
            weight: target.weight,
            priority: target.priority,
            calls_max: target.calls_max,
            cps_max: target.cps_max,
            draining: target.draining,
            tls_name: target.tls_name.clone(),
        }
    }
}

impl From<&TargetRecord> for DispatchTarget {
    fn from(record: &TargetRecord) -> Self {
        Self {
            name: record.name.clone(),
            address: record.address.clone(),
            weight: record.weight,
            priority: record.priority,
            calls_max: record.calls_max,
            cps_max: record.cps_max,
            draining: record.draining,
            tls_name: record.tls_name.clone(),
        }
    }
}

/// The targets of a record, by what is known of where it is.
pub(super) fn targets_of(
    record: &TargetRecord,
    place: &Place,
    located: &[Located],
) -> Result<Vec<Target>> {
    let name = record.name.as_str();
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure!(
        !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(is_word),
        "a name has 1 to {NAME_MAX} letters, digits, dots, dashes and underscores: \"{name}\""
    );
    let (transport, host) = match place {
        Place::At(listen) => (listen.transport, String::new()),
        Place::Named {
            transport, host, ..
        } => (*transport, host.clone()),
    };
    ensure!(
        matches!(transport, Transport::Udp | Transport::Tcp | Transport::Tls),
        "targets are reached over udp, tcp or tls: {}",
        record.address
    );
    let tls_name = match (transport, record.tls_name.as_str()) {
        (Transport::Tls, "") => match place {
            Place::At(listen) => listen.address.ip().to_string(),
            Place::Named { host, .. } => host.clone(),
        },
        (Transport::Tls, name) => name.to_owned(),
        _ => String::new(),
    };
    let heaviest = located.iter().map(|l| l.weight).max().unwrap_or(1);
    let target = |at: &Located| Target {
        spec: TargetSpec {
            name: match located {
                [_] => name.into(),
                _ => format!("{name}@{}", at.remote).into(),
            },
            weight: match located {
                [_] => record.weight,
                _ => share(record.weight, at.weight, heaviest),
            },
            priority: record.priority.saturating_add(at.priority),
            calls_max: record.calls_max,
            cps_max: record.cps_max,
            admission: if record.draining {
                Admission::Draining
            } else {
                Admission::Open
            },
        },
        transport,
        remote: at.remote,
        host: host.as_str().into(),
        name: tls_name.as_str().into(),
    };
    Ok(located.iter().map(target).collect())
}

/// The weight of one address among several of a record. SRV weights go up to 65,535, ours to
/// 1,000; one of 0 gets the least.
fn share(record: u16, weight: u16, heaviest: u16) -> u16 {
    let most = u32::from(WEIGHT_MAX);
    let (record, weight) = (u32::from(record), u32::from(weight));
    let heaviest = u32::from(heaviest).max(1);
    let share = if heaviest * record > most {
        weight * most / heaviest
    } else {
        weight * record
    };
    share.clamp(1, most) as u16
}

/// The record of a target.
pub(super) fn record(target: &Target) -> TargetRecord {
    let Target {
        spec,
        transport,
        remote,
        name,
        ..
    } = target;
    TargetRecord {
        name: spec.name.to_string(),
        address: format!("{}:{remote}", transport.param_name()),
        weight: spec.weight,
        priority: spec.priority,
        calls_max: spec.calls_max,
        cps_max: spec.cps_max,
        draining: spec.admission == Admission::Draining,
        tls_name: name.to_string(),
    }
}

fn ms(value: Option<u64>, default: u64) -> Duration {
    Duration::from_millis(value.unwrap_or(default))
}

/// The file of the targets that were changed at run time.
pub(super) const KEPT: &str = "targets.json";
const NAME_MAX: usize = 64;
/// The balancer's.
const WEIGHT_MAX: u16 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatcher::names::Desired;

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let text = "algorithm = \"hash\"\nhash_on = \"to\"\n[probing]\ninterval_ms = 1000\n\
                    [[targets]]\nname = \"a\"\naddress = \"udp:10.0.0.1:5060\"\ncalls_max = 7\n";
        let settings: Settings = toml::from_str(text).unwrap();
        let config = settings.config(&[], [0; 32], 1).unwrap();
        assert_eq!(config.policy.algorithm, Algorithm::Hash);
        assert_eq!(config.hash_on, HashOn::To);
        assert_eq!(config.policy.probing.interval, Duration::from_secs(1));
        assert_eq!(config.policy.probing.timeout, Duration::from_secs(2));
        let targets = Desired::new(settings.own_records()).targets().unwrap();
        assert_eq!(targets[0].spec.calls_max, Some(7));
        let again = Desired::new(vec![record(&targets[0])]).targets().unwrap();
        assert_eq!(again, targets);
    }

    #[test]
    fn what_is_misspelt_is_refused_and_not_passed_over() {
        assert!(toml::from_str::<Settings>("algoritm = \"hash\"").is_err());
        let settings: Settings = toml::from_str("algorithm = \"best\"").unwrap();
        let error = settings.config(&[], [0; 32], 1).unwrap_err().to_string();
        assert!(error.contains("two-choices"), "{error}");
        for (name, address) in [
            ("", "udp:10.0.0.1:5060"),
            ("a b", "udp:10.0.0.1:5060"),
            ("a", "10.0.0.1:5060"),
            ("a", "ws:10.0.0.1:80"),
            ("a", "udp:switch..example.com:5060"),
        ] {
            let text = format!("name = \"{name}\"\naddress = \"{address}\"");
            let record: TargetRecord = toml::from_str(&text).unwrap();
            assert!(Desired::new(vec![record]).targets().is_err(), "{text}");
        }
    }
}
