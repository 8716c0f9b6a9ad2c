//! Certificates by ACME: which are due, what became of each attempt, and when the next is made.
//!
//! One that is not there yet is ordered at once, one that is there when a third of its time is left.
//! What fails is tried again after five minutes, then after twice as long each time, up to half a day.
//! Where several controls share a store, a ticket says who is at it.

use std::sync::Arc;
use std::time::Duration;

use model::{
    AcmeChallenge, AcmeDns, AcmeSettings, Certificate, CertificateId, CertificateKind,
    CertificateRenewal, CertificateSource,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Actor, Page, StoreError, Ticket};
use utoipa::ToSchema;

use super::{inspect, owner};
use crate::control::now;
use crate::duties::Duty;
use crate::{Control, PlatformError, Problem, Reply};

/// What the node does for certificates.
pub trait CertificatePort: Send + Sync + 'static {
    /// Whether names lead to this node; nothing is asked of an authority.
    fn check(&self, domains: Vec<String>, acme: AcmeSettings) -> Reply<'_, Vec<DomainCheck>>;

    /// A certificate, or all that is known of why there is none.
    fn obtain(&self, wanted: Wanted) -> Reply<'_, Result<Issued, String>>;
}

/// What an authority is asked for.
pub struct Wanted {
    /// The names.
    pub domains: Vec<String>,
    /// Which authority, and what it needs of us.
    pub acme: AcmeSettings,
    /// How it is shown that the names are ours.
    pub proof: Proof,
}

/// How an authority is shown that names are ours.
pub enum Proof {
    /// By an answer at port 80 of each.
    Http,
    /// By records that a name server takes, with the key that it shares with us, opened.
    Dns(Vec<u8>),
}

/// A chain of an authority, and the key that it was asked for with, both in PEM.
pub struct Issued {
    /// The chain, its own certificate first.
    pub chain: String,
    /// The private key.
    pub key: String,
}

/// Whether a name leads here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DomainCheck {
    /// The name.
    pub domain: String,
    /// What it leads to.
    pub addresses: Vec<String>,
    /// Whether an authority may be asked.
    pub standing: DomainStanding,
    /// Why, and what to do.
    pub reason: String,
}

/// Whether an authority may be asked for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DomainStanding {
    /// It leads here.
    Good,
    /// It leads to an address that is forwarded here, which cannot be tried out from here.
    Doubtful,
    /// It does not lead here, or nobody would answer: no authority is asked.
    Wrong,
}

/// Gets and renews certificates until the platform ends.
pub(crate) async fn keep(control: Control, port: Arc<dyn CertificatePort>) {
    let due = control.certificates_due();
    loop {
        // While the store is away, nothing can be noted.
        let (ids, next_us) = all_due(&control).await.unwrap_or_default();
        let found_some = !ids.is_empty();
        for id in ids.into_iter().take_while(|_| control.has_duty(Duty::Acme)) {
            attend(&control, &*port, id).await;
        }
        let until = Duration::from_micros(next_us.saturating_sub(now().as_micros()));
        let pause = if found_some {
            SOON
        } else {
            until.clamp(SOON, ROUND)
        };
        tokio::select! {
            () = due.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Those that an attempt is due for, and when the next is of the others.
async fn all_due(control: &Control) -> Result<(Vec<CertificateId>, u64), Problem> {
    if control.platform_of().is_some() || !control.has_duty(Duty::Acme) {
        // They come from control, or from another one.
        return Ok((Vec::new(), u64::MAX));
    }
    let now_us = now().as_micros();
    let due = move |records: &dyn store::Records| {
        let (mut due, mut next_us) = (Vec::new(), u64::MAX);
        let mut after: Option<String> = None;
        loop {
            let page = Page {
                after: after.as_deref(),
                limit: PAGE,
            };
            let batch = records.list::<Certificate>(&page)?;
            for one in batch
                .iter()
                .map(|one| &one.record)
                .filter(|one| one.is_acme())
            {
                match &one.renewal {
                    Some(last) if now_us < last.next_us => next_us = next_us.min(last.next_us),
                    _ => due.push(one.id),
                }
            }
            if batch.len() < PAGE {
                return Ok((due, next_us));
            }
            after = batch.last().map(|one| one.record.id.to_string());
        }
    };
    control.records(due).await
}

fn is_due(one: &Certificate, now_us: u64) -> bool {
    let waits = one
        .renewal
        .as_ref()
        .is_some_and(|last| now_us < last.next_us);
    one.is_acme() && !waits
}

async fn attend(control: &Control, port: &dyn CertificatePort, id: CertificateId) {
    let ticket = Ticket {
        space: TICKETS.to_owned(),
        key: id.to_string(),
        ends_us: now().as_micros() + ATTEMPT_MAX_US,
        body: String::new(),
    };
    let taken = control.records(move |records| records.add_ticket(&ticket, now()));
    if !taken.await.unwrap_or(false) {
        return;
    }
    if let Err(problem) = attempt(control, port, id).await {
        tracing::error!(certificate = %id, ?problem, "an attempt was not noted");
    }
    let removed = control.records(move |records| records.remove_ticket(TICKETS, &id.to_string()));
    if let Err(problem) = removed.await {
        tracing::warn!(certificate = %id, ?problem, "the next attempt has to wait");
    }
}

async fn attempt(
    control: &Control,
    port: &dyn CertificatePort,
    id: CertificateId,
) -> Result<(), Problem> {
    let read = move |records: &dyn store::Records| {
        let one = records.read::<Certificate>(id)?.record;
        Ok((one, records.settings()?.record.acme))
    };
    let (one, acme) = control.records(read).await?;
    let CertificateSource::Acme { domains, challenge } = one.source.clone() else {
        return Ok(());
    };
    // Somebody else may have been at it meanwhile.
    if !is_due(&one, now().as_micros()) {
        return Ok(());
    }
    let issued = obtain(control, port, (&domains, challenge), acme).await;
    let issued = issued.and_then(|issued| {
        let at_us = now().as_micros();
        let facts = inspect(&issued.chain, &issued.key, CertificateKind::Server, at_us);
        let facts = facts.map_err(|error| format!("what was issued cannot be used: {error}"))?;
        let sealed = control.vault().seal(&owner(id), issued.key.as_bytes());
        let sealed = sealed.map_err(|error| error.to_string())?;
        Ok((issued.chain, sealed, facts))
    });
    match &issued {
        Ok((_, _, facts)) => {
            let until_us = facts.not_after_us;
            tracing::info!(certificate = one.name, until_us, "a certificate was issued");
        }
        Err(error) => {
            tracing::error!(
                certificate = one.name,
                error,
                "a certificate was not issued"
            );
        }
    }
    let note = move |one: &mut Certificate| {
        let at_us = now().as_micros();
        let failures = one.renewal.as_ref().map_or(0, |last| last.failures);
        let (error, failures, next_us) = match &issued {
            Ok((chain, sealed, facts)) => {
                one.chain.clone_from(chain);
                one.secret.clone_from(sealed);
                one.facts = Some(facts.clone());
                (None, 0, facts.renew_at_us())
            }
            Err(error) => {
                let next_us = at_us + pause_us(failures);
                (Some(shortened(error)), failures + 1, next_us)
            }
        };
        one.renewal = Some(CertificateRenewal {
            at_us,
            error,
            failures,
            next_us,
        });
    };
    store(control, id, one.source, note).await
}

/// Looks at the names first: an authority would find out the same, and counts failures.
async fn obtain(
    control: &Control,
    port: &dyn CertificatePort,
    (domains, challenge): (&[String], AcmeChallenge),
    acme: AcmeSettings,
) -> Result<Issued, String> {
    if acme.directory.is_none() || !acme.terms_agreed {
        return Err(NO_AUTHORITY.to_owned());
    }
    let said = |error: PlatformError| error.to_string();
    if challenge == AcmeChallenge::Dns01 {
        let key = dns_key(control, &acme.dns)?;
        let wanted = Wanted {
            domains: domains.to_vec(),
            acme,
            proof: Proof::Dns(key),
        };
        return port.obtain(wanted).await.map_err(said)?;
    }
    let looked = port.check(domains.to_vec(), acme.clone()).await;
    let looked = looked.map_err(said)?;
    let wrong = looked
        .iter()
        .filter(|one| one.standing == DomainStanding::Wrong);
    let reasons: Vec<&str> = wrong.map(|one| one.reason.as_str()).collect();
    if !reasons.is_empty() {
        return Err(format!("no authority was asked: {}", reasons.join("; ")));
    }
    let wanted = Wanted {
        domains: domains.to_vec(),
        acme,
        proof: Proof::Http,
    };
    port.obtain(wanted).await.map_err(said)?
}

/// The key that a name server shares with us.
fn dns_key(control: &Control, dns: &AcmeDns) -> Result<Vec<u8>, String> {
    if dns.server.is_none() || dns.key_name.is_empty() || dns.secret.is_empty() {
        return Err(NO_NAME_SERVER.to_owned());
    }
    let opened = control.vault().open(DNS_KEY_OWNER, &dns.secret);
    opened.map_err(|error| {
        format!(
            "no authority was asked: the key for the name server: {error}; set acme.dns.key_secret again"
        )
    })
}

/// Notes what became of an attempt, unless the names are others by now.
async fn store(
    control: &Control,
    id: CertificateId,
    source: CertificateSource,
    note: impl Fn(&mut Certificate) + Send + 'static,
) -> Result<(), Problem> {
    let change = move |records: &dyn store::Records| {
        let actor = Actor {
            name: "acme".to_owned(),
            at: now(),
        };
        let mut tries = 0;
        loop {
            let mut stored = records.read::<Certificate>(id)?;
            if stored.record.source != source {
                return Ok((stored.revision, ()));
            }
            note(&mut stored.record);
            tries += 1;
            match records.update(&actor, stored.record, stored.revision) {
                Err(StoreError::Conflict { .. }) if tries < TRIES_MAX => {}
                stored => return Ok((stored?.revision, ())),
            }
        }
    };
    control.change(change).await?;
    let data = json!({ "id": id.to_string() });
    let ring = control.ring();
    ring.announce("certificates", "certificate.changed", data);
    Ok(())
}

/// How long nothing is tried after so many failures before.
fn pause_us(failures: u32) -> u64 {
    let doubled = AGAIN_FIRST_US.saturating_mul(1_u64 << failures.min(16));
    doubled.min(AGAIN_MAX_US)
}

fn shortened(error: &str) -> String {
    error.chars().take(ERROR_MAX).collect()
}

const NO_AUTHORITY: &str = "no authority is set: name one in acme.directory, read its terms of service \
     and say acme.terms_agreed=true (tandem settings set)";
const NO_NAME_SERVER: &str = "no authority was asked: no name server takes the records of challenges: name it in \
     acme.dns.server (host:port), and its key in acme.dns.key_name and acme.dns.key_secret (tandem settings set)";
/// To whom the key for the name server belongs that is sealed in the settings.
pub(crate) const DNS_KEY_OWNER: &str = "acme.dns";
/// Between two looks at what is due, at least and at most.
const SOON: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(30);
/// Before what failed is tried again: at first, and at most.
const AGAIN_FIRST_US: u64 = 300 * 1_000_000;
const AGAIN_MAX_US: u64 = 12 * 3_600 * 1_000_000;
/// How long one attempt may take before another node makes the next.
const ATTEMPT_MAX_US: u64 = 900 * 1_000_000;
/// Who is at which certificate.
const TICKETS: &str = "acme";
/// Certificates read at a time.
const PAGE: usize = 100;
/// How often a note is tried that others change in between.
const TRIES_MAX: u32 = 5;
/// Characters of why an attempt failed: far more than an authority says.
const ERROR_MAX: usize = 8_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_later_each_time() {
        let minutes: Vec<u64> = (0..9)
            .map(|failures| pause_us(failures) / 60_000_000)
            .collect();
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 320, 640, 720]);
        assert_eq!(pause_us(u32::MAX), AGAIN_MAX_US);
    }

    #[test]
    fn one_is_due_at_once_and_then_not_before_its_time() {
        let id = CertificateId::from_parts(1, 1);
        let source = json!({ "kind": "acme", "domains": ["sip.example.com"] });
        let one = json!({ "id": id, "name": "sip", "source": source });
        let mut one: Certificate = serde_json::from_value(one).unwrap();
        assert!(is_due(&one, 1));
        one.renewal = Some(CertificateRenewal {
            at_us: 1,
            error: None,
            failures: 0,
            next_us: 100,
        });
        assert!(!is_due(&one, 99) && is_due(&one, 100));
        one.source = CertificateSource::Upload;
        assert!(!is_due(&one, 100));
    }
}
