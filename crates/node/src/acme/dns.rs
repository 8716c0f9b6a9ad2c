//! Challenges by DNS (RFC 8555 §8.4): TXT records that a name server takes, and loses again afterwards.
//!
//! A name whose `_acme-challenge` is an alias (CNAME) is answered where that leads: so the zone of a
//! platform may stay closed to us, and a small one be open.

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_proto::op::update_message::{append, delete_by_rdata};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::TokioResolver;
use model::AcmeDns;
use tokio::time::sleep;

use super::name_server::NameServer;

/// The records of one order.
pub(super) struct DnsRecords {
    server: NameServer,
    settle: Duration,
    /// Where the record of each host name belongs.
    places: BTreeMap<String, Place>,
    /// What is to be taken away again.
    added: Vec<(Place, Record)>,
}

/// A name for records, and the zone that it is in.
#[derive(Clone)]
struct Place {
    name: Name,
    zone: Name,
}

impl DnsRecords {
    /// Finds out where the records of these host names belong; nothing is changed yet. The error says
    /// what to do.
    pub(super) async fn open(
        settings: &AcmeDns,
        key: Vec<u8>,
        domains: &[String],
    ) -> Result<Self, String> {
        let server = NameServer::new(settings, key)?;
        let zone = settings.zone.as_deref().map(absolute).transpose()?;
        let mut places = BTreeMap::new();
        for domain in domains {
            let domain = domain.strip_prefix("*.").unwrap_or(domain);
            let said = |error| format!("{domain}: {error}");
            let name = absolute(&format!("{LABEL}.{domain}"))?;
            let name = follow(&server, name).await.map_err(said)?;
            let zone = match &zone {
                Some(zone) => zone.clone(),
                None => zone_of(&server, &name).await.map_err(said)?,
            };
            if !zone.zone_of(&name) {
                return Err(format!(
                    "{domain}: {name} is not in the zone {zone} of acme.dns.zone: name another one, or none \
                     to have the server asked"
                ));
            }
            places.insert(domain.to_owned(), Place { name, zone });
        }
        Ok(Self {
            server,
            settle: Duration::from_secs(settings.settle_s.into()),
            places,
            added: Vec::new(),
        })
    }

    /// Adds the record for a host name, and waits until the server has it.
    pub(super) async fn add(&mut self, domain: &str, value: &str) -> Result<(), String> {
        let place = self.places.get(domain).cloned();
        let place =
            place.ok_or_else(|| format!("{domain}: the authority asks for another name"))?;
        let text = RData::TXT(TXT::new(vec![value.to_owned()]));
        let record = Record::from_rdata(place.name.clone(), TTL_S, text);
        // Before it is there: an answer may be lost.
        self.added.push((place.clone(), record.clone()));
        let update = append(record.into(), place.zone.clone(), false, false);
        let changed = self.server.change(update, &place.name).await;
        changed.map_err(|error| format!("{domain}: {error}"))?;
        for _ in 0..LOOKS_MAX {
            if self.has(&place.name, value).await? {
                return Ok(());
            }
            sleep(BETWEEN_LOOKS).await;
        }
        Err(format!(
            "{domain}: {} took the TXT record of {} and does not show it: its log says why",
            self.server.place(),
            place.name
        ))
    }

    /// Waits for other servers, which fetch the zone from this one.
    pub(super) async fn settle(&self) {
        sleep(self.settle).await;
    }

    /// Takes all records away.
    pub(super) async fn close(self) {
        for (Place { name, zone }, record) in self.added {
            let update = delete_by_rdata(record.into(), zone, false);
            if let Err(error) = self.server.change(update, &name).await {
                tracing::warn!(%name, error, "the record of a challenge stays");
            }
        }
    }

    async fn has(&self, name: &Name, value: &str) -> Result<bool, String> {
        let answer = self.server.ask(name, RecordType::TXT).await?;
        let is_it = |record: &Record| match &record.data {
            RData::TXT(text) => text.txt_data.concat() == value.as_bytes(),
            _ => false,
        };
        Ok(answer.answers.iter().any(is_it))
    }
}

/// Where a name leads by aliases (RFC 1034 §3.6.2): by those of the server, and where it has not the
/// zone, by those that everybody finds.
async fn follow(server: &NameServer, mut name: Name) -> Result<Name, String> {
    for _ in 0..ALIASES_MAX {
        let answer = server.ask(&name, RecordType::CNAME).await?;
        let found = match answer.authoritative {
            true => alias(&answer.answers),
            false => public_alias(&name).await?,
        };
        match found {
            Some(next) => name = next,
            None => return Ok(name),
        }
    }
    Err(format!(
        "{LABEL} leads through more than {ALIASES_MAX} aliases (CNAME): are they a circle?"
    ))
}

async fn public_alias(name: &Name) -> Result<Option<Name>, String> {
    let said = |error: &dyn std::fmt::Display| {
        format!("the alias (CNAME) of {name} cannot be asked for: {error}")
    };
    let resolver = TokioResolver::builder_tokio().map_err(|error| said(&error))?;
    let resolver = resolver.build().map_err(|error| said(&error))?;
    match resolver.lookup(name.clone(), RecordType::CNAME).await {
        Ok(found) => Ok(alias(found.answers())),
        // There is none, or the zone is for nobody but the server.
        Err(error) => {
            tracing::debug!(%name, %error, "no alias");
            Ok(None)
        }
    }
}

fn alias(records: &[Record]) -> Option<Name> {
    records.iter().find_map(|record| match &record.data {
        RData::CNAME(target) => Some(target.0.clone()),
        _ => None,
    })
}

/// The zone of the server that a name is in: its SOA comes with the answer, whether the name is there
/// or not (RFC 2308 §3).
async fn zone_of(server: &NameServer, name: &Name) -> Result<Name, String> {
    let answer = server.ask(name, RecordType::SOA).await?;
    soa(&answer).ok_or_else(|| {
        format!(
            "{} has no zone that {name} is in: name the primary server of its zone in acme.dns.server, or \
             have {name} lead by an alias (CNAME) into a zone that this one has",
            server.place()
        )
    })
}

fn soa(answer: &Message) -> Option<Name> {
    let usable = matches!(
        answer.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    );
    let mut records = answer.answers.iter().chain(&answer.authorities);
    let found = records.find(|record| record.record_type() == RecordType::SOA);
    found
        .filter(|_| usable && answer.authoritative)
        .map(|record| record.name.clone())
}

fn absolute(name: &str) -> Result<Name, String> {
    let mut parsed = Name::from_ascii(name).map_err(|error| format!("{name}: {error}"))?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

/// What stands before a host name (RFC 8555 §8.4).
const LABEL: &str = "_acme-challenge";
/// How long others may keep the record, in seconds: it is gone soon.
const TTL_S: u32 = 30;
/// How often a server is asked whether it has what it took, and the time in between.
const LOOKS_MAX: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// Aliases that are followed.
const ALIASES_MAX: u32 = 8;
