//! Targets by host name: what name servers say of them, asked again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dispatcher::Target;
use net::{Located, Net};
use sip::Transport;
use tokio::task::JoinSet;

use super::Listen;
use super::settings::{self, TargetRecord};

/// What a record's address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    At(Listen),
    /// A host, all of whose addresses share; without a port, those of its SRV records.
    Named {
        transport: Transport,
        host: String,
        port: Option<u16>,
    },
}

/// The records as they were set, and the last that is known of the names in them.
#[derive(Debug, Default)]
pub(super) struct Desired {
    pub(super) records: Vec<TargetRecord>,
    located: BTreeMap<String, Vec<Located>>,
    /// What the dispatcher was told last.
    pub(super) applied: Vec<Target>,
}

impl Desired {
    pub(super) const fn new(records: Vec<TargetRecord>) -> Self {
        Self {
            records,
            located: BTreeMap::new(),
            applied: Vec::new(),
        }
    }

    /// The same with other records.
    pub(super) fn with(&self, records: Vec<TargetRecord>) -> Self {
        Self {
            records,
            located: self.located.clone(),
            applied: self.applied.clone(),
        }
    }

    /// All targets that are known by now.
    pub(super) fn targets(&self) -> Result<Vec<Target>> {
        let mut targets = Vec::new();
        for record in &self.records {
            let place = place(&record.address)?;
            let located = match &place {
                Place::At(listen) => &[Located {
                    remote: listen.address,
                    priority: 0,
                    weight: 1,
                }],
                Place::Named { .. } => self
                    .located
                    .get(&record.address)
                    .map(Vec::as_slice)
                    .unwrap_or_default(),
            };
            targets.extend(settings::targets_of(record, &place, located)?);
        }
        Ok(targets)
    }

    /// Whether any name is not known yet.
    pub(super) fn is_incomplete(&self) -> bool {
        let is_unknown = |record: &TargetRecord| {
            let is_named = matches!(place(&record.address), Ok(Place::Named { .. }));
            is_named && !self.located.contains_key(&record.address)
        };
        self.records.iter().any(is_unknown)
    }

    /// The names in the records: all, or those that are not known yet.
    pub(super) fn names(&self, which: Which) -> Vec<Name> {
        let named = |record: &TargetRecord| match place(&record.address) {
            Ok(Place::Named {
                transport,
                host,
                port,
            }) => Some(Name {
                target: record.name.clone(),
                address: record.address.clone(),
                transport,
                host,
                port,
            }),
            _ => None,
        };
        let names = self.records.iter().filter_map(named);
        let is_wanted =
            |name: &Name| which == Which::All || !self.located.contains_key(&name.address);
        names.filter(is_wanted).collect()
    }

    /// Notes what a name stands for. What cannot be had stays as it was.
    pub(super) fn take(&mut self, name: &Name, found: Found, listen: &[Listen]) {
        let target = &name.target;
        match found {
            Ok(found) => {
                let found = within_reach(found, name.transport, listen);
                let count = found.len();
                let before = self.located.insert(name.address.clone(), found.clone());
                if before.as_ref() != Some(&found) {
                    tracing::info!(%target, count, "the target was located");
                }
            }
            Err(error) => {
                let host = &name.host;
                tracing::warn!(%target, %host, %error, "the target cannot be located");
            }
        }
    }
}

/// Which names are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Unknown,
}

/// A host name that a record has.
#[derive(Clone, Debug)]
pub(super) struct Name {
    target: String,
    address: String,
    transport: Transport,
    host: String,
    port: Option<u16>,
}

/// What name servers say of it.
type Found = Result<Vec<Located>, net::ResolveError>;

/// Asks for names, all at once: one that nobody answers for does not hold up the others. Answers
/// come as they are there.
pub(super) fn ask(net: &Net, names: Vec<Name>) -> JoinSet<(Name, Found)> {
    let mut asked = JoinSet::new();
    for name in names {
        let net = net.clone();
        asked.spawn(async move {
            let found = net.locate(&name.host, name.port, name.transport).await;
            (name, found)
        });
    }
    asked
}

/// Without the addresses that no listener of ours speaks to, for a machine with one of each family
/// would be two targets, one of them down for ever. If there are no others, they are shown as they are.
fn within_reach(found: Vec<Located>, transport: Transport, listen: &[Listen]) -> Vec<Located> {
    let is_reached = |at: &Located| {
        listen
            .iter()
            .any(|own| own.transport == transport && own.address.is_ipv4() == at.remote.is_ipv4())
    };
    let reached: Vec<_> = found.iter().filter(|at| is_reached(at)).copied().collect();
    if reached.is_empty() { found } else { reached }
}

/// What an address says: `udp:10.0.0.1:5060`, `udp:switch.example.com:5060`, `udp:example.com`.
pub(super) fn place(text: &str) -> Result<Place> {
    if let Ok(listen) = text.parse::<Listen>() {
        return Ok(Place::At(listen));
    }
    let wanted = || {
        format!("TRANSPORT:ADDRESS:PORT, TRANSPORT:HOST:PORT or TRANSPORT:HOST is wanted: {text}")
    };
    let (transport, rest) = text.split_once(':').with_context(wanted)?;
    let transport = Transport::from_name(transport.as_bytes()).with_context(wanted)?;
    let (host, port) = sip::uri::host_port(rest.as_bytes())
        .ok()
        .with_context(wanted)?;
    let host = String::from_utf8_lossy(host).into_owned();
    ensure!(is_host(&host), wanted());
    Ok(Place::Named {
        transport,
        host,
        port,
    })
}

/// Whether a text is a host name, and no address.
pub(super) fn is_host(text: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.len() <= LABEL_MAX;
    matches!(sip::uri::host_port(text.as_bytes()), Ok((_, None)))
        && sip::uri::parse_ip(text.as_bytes()).is_none()
        && text.len() <= HOST_MAX
        && text.split('.').all(is_label)
}

/// How often names are asked for.
pub(super) const LOCATE_EVERY: Duration = Duration::from_secs(30);
/// How soon again while one is not known at all.
pub(super) const LOCATE_SOON: Duration = Duration::from_secs(2);
/// RFC 1035 §2.3.4.
const HOST_MAX: usize = 253;
const LABEL_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(address: &str, weight: u16) -> TargetRecord {
        let text =
            format!("name = \"a\"\naddress = \"{address}\"\nweight = {weight}\npriority = 2");
        toml::from_str(&text).unwrap()
    }

    fn desired(address: &str, weight: u16, located: &[(&str, u16, u16)]) -> Desired {
        let located = located.iter().map(|(remote, priority, weight)| Located {
            remote: remote.parse().unwrap(),
            priority: *priority,
            weight: *weight,
        });
        let mut desired = Desired::new(vec![record(address, weight)]);
        let located: Vec<_> = located.collect();
        if !located.is_empty() {
            desired.located.insert(address.to_owned(), located);
        }
        desired
    }

    #[test]
    fn a_name_stands_for_all_its_addresses_with_their_places_and_weights() {
        let srv = [("10.0.0.1:5060", 1, 60_000), ("10.0.0.2:5070", 3, 0)];
        let desired = desired("udp:example.com", 2, &srv);
        let targets = desired.targets().unwrap();
        let seen = targets.iter().map(|target| {
            let spec = &target.spec;
            (
                &*spec.name,
                target.remote.port(),
                spec.priority,
                spec.weight,
            )
        });
        let seen: Vec<_> = seen.collect();
        let wanted = [
            ("a@10.0.0.1:5060", 5_060, 3, 1_000),
            ("a@10.0.0.2:5070", 5_070, 5, 1),
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_name_with_one_address_is_as_that_address() {
        let named = desired("tls:sw.example.com:5061", 2, &[("10.0.0.1:5061", 0, 1)]);
        let targets = named.targets().unwrap();
        assert_eq!((&*targets[0].spec.name, targets[0].spec.weight), ("a", 2));
        assert_eq!(
            &*targets[0].name, "sw.example.com",
            "its certificate is for it"
        );
        assert!(!named.is_incomplete());
    }

    #[test]
    fn addresses_that_no_listener_speaks_to_are_left_out() {
        let at = |text: &str| Located {
            remote: text.parse().unwrap(),
            priority: 0,
            weight: 1,
        };
        let both = [at("10.0.0.1:5060"), at("[2001:db8::1]:5060")];
        let reached = |listen: &str| {
            let listen: Listen = listen.parse().unwrap();
            let found = within_reach(both.to_vec(), Transport::Udp, &[listen]);
            found.iter().map(|at| at.remote).collect::<Vec<_>>()
        };
        assert_eq!(reached("udp:0.0.0.0:5060"), [both[0].remote]);
        assert_eq!(reached("udp:[::]:5060"), [both[1].remote]);
        assert_eq!(reached("tcp:0.0.0.0:5060").len(), 2, "shown as they are");
    }

    #[test]
    fn only_names_that_are_not_known_are_asked_for_when_a_target_changes() {
        let known = desired("udp:sw.example.com:5060", 1, &[("10.0.0.1:5060", 0, 1)]);
        assert!(known.names(Which::Unknown).is_empty());
        assert_eq!(known.names(Which::All).len(), 1);
        let unknown = desired("udp:sw.example.com:5060", 1, &[]);
        assert_eq!(unknown.names(Which::Unknown).len(), 1);
    }

    #[test]
    fn what_is_not_located_yet_is_no_target() {
        let unknown = desired("udp:sw.example.com:5060", 1, &[]);
        assert!(unknown.targets().unwrap().is_empty());
        assert!(unknown.is_incomplete());
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for wrong in [
            "udp",
            "udp:",
            "x:a:1",
            "udp:a b",
            "udp:a..b",
            "udp:10.0.0.1",
            "udp:a:0",
        ] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
