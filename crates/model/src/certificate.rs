//! Certificates that the platform keeps: what those who connect to us are shown, and what we show
//! to those we connect to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::object::object;
use crate::validate::Checks;
use crate::{AcmeChallenge, CertificateId, FieldError, ServerId, Validate};

/// A certificate chain with its private key, which is sealed and never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// Which it is.
    pub id: CertificateId,
    /// What people call it; no two certificates have the same name.
    pub name: String,
    /// To whom it is shown.
    #[serde(default)]
    pub kind: CertificateKind,
    /// Where it comes from.
    #[serde(default, deserialize_with = "object")]
    pub source: CertificateSource,
    /// Whether it is shown at all.
    #[serde(default)]
    pub applied: bool,
    /// The servers that show it; all of them, if none is named.
    #[serde(default)]
    pub servers: Vec<ServerId>,
    /// The chain in PEM, its own certificate first; empty until an authority has issued it.
    #[serde(default)]
    pub chain: String,
    /// The private key, sealed under the platform's cluster key; empty while there is none.
    #[serde(default)]
    pub secret: String,
    /// What the chain says; `None` until there is one.
    #[serde(default)]
    #[schema(read_only)]
    pub facts: Option<CertificateFacts>,
    /// The last attempt to have it issued or renewed; `None`: there was none.
    #[serde(default)]
    #[schema(read_only)]
    pub renewal: Option<CertificateRenewal>,
}

/// To whom a certificate is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateKind {
    /// To those who connect to us: SIP over TLS and WSS, and the API over TLS.
    #[default]
    Server,
    /// To the gateways and other servers that we connect to and that ask for one.
    Client,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum CertificateSource {
    /// Somebody uploads it, with its key.
    #[default]
    Upload,
    /// An authority issues and renews it by ACME (RFC 8555).
    Acme {
        /// The host names it is for.
        domains: Vec<String>,
        /// How the authority finds out that they are ours.
        #[serde(default)]
        challenge: AcmeChallenge,
    },
}

/// What a certificate chain says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateFacts {
    /// The names it is for: host names, addresses, SIP URIs.
    pub names: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The SHA-256 of it, in hexadecimal digits: what tells it from all others.
    pub fingerprint: String,
    /// It is valid from then on; microseconds since the Unix epoch.
    pub not_before_us: u64,
    /// It is valid until then; microseconds since the Unix epoch.
    pub not_after_us: u64,
}

/// An attempt to have a certificate issued or renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateRenewal {
    /// It ended then; microseconds since the Unix epoch.
    pub at_us: u64,
    /// All that is known of why it failed; `None`: it did not.
    #[serde(default)]
    pub error: Option<String>,
    /// How many have failed in a row.
    #[serde(default)]
    pub failures: u32,
    /// The next is not made before then; microseconds since the Unix epoch.
    pub next_us: u64,
}

impl Certificate {
    /// One that an authority is to issue for these names, before it has.
    #[must_use]
    pub fn ordered(name: &str, domains: Vec<String>, challenge: AcmeChallenge) -> Self {
        Self {
            id: CertificateId::from_bits(0),
            name: name.to_owned(),
            kind: CertificateKind::Server,
            source: CertificateSource::Acme { domains, challenge },
            applied: false,
            servers: Vec::new(),
            chain: String::new(),
            secret: String::new(),
            facts: None,
            renewal: None,
        }
    }

    /// Whether an authority issues it by ACME.
    #[must_use]
    pub const fn is_acme(&self) -> bool {
        matches!(self.source, CertificateSource::Acme { .. })
    }

    /// Whether the node of a server shows it; `None` is a node that is no server of the list.
    #[must_use]
    pub fn is_shown_by(&self, server: Option<ServerId>) -> bool {
        let named = |server| self.servers.contains(&server);
        self.applied && (self.servers.is_empty() || server.is_some_and(named))
    }
}

impl CertificateFacts {
    /// When it should be renewed: when a third of its time is left.
    #[must_use]
    pub const fn renew_at_us(&self) -> u64 {
        let valid_us = self.not_after_us.saturating_sub(self.not_before_us);
        self.not_after_us.saturating_sub(valid_us / 3)
    }
}

impl Validate for Certificate {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.require(
            self.servers.len() <= SERVERS_MAX,
            "servers",
            "up to 256 servers are accepted; name none for all",
        );
        if let CertificateSource::Acme { domains, challenge } = &self.source {
            checks.require(
                self.kind == CertificateKind::Server,
                "kind",
                "an authority that speaks ACME issues certificates of servers: choose server, or upload it",
            );
            checks.require(
                (1..=DOMAINS_MAX).contains(&domains.len()),
                "source.domains",
                "1 to 100 host names are accepted",
            );
            let differ: std::collections::BTreeSet<_> = domains.iter().collect();
            checks.require(
                differ.len() == domains.len(),
                "source.domains",
                "each host name is accepted once",
            );
            for domain in domains {
                match (domain.strip_prefix("*."), challenge) {
                    (Some(_), AcmeChallenge::Http01) => {
                        checks.refuse("source.domains", WILDCARD_BY_HTTP);
                    }
                    (Some(parent), AcmeChallenge::Dns01) => {
                        checks.certificate_name("source.domains", parent);
                    }
                    (None, _) => checks.certificate_name("source.domains", domain),
                }
            }
        }
        checks.done()
    }
}

const WILDCARD_BY_HTTP: &str = "no authority proves a wildcard by http-01: choose the challenge dns-01 \
     (tandem certificate request --challenge dns-01), or name the hosts";
/// Servers that one certificate names.
const SERVERS_MAX: usize = 256;
/// Names in one certificate; the usual authorities take no more.
const DOMAINS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Certificate {
        let id = CertificateId::from_parts(1, 1);
        serde_json::from_value(serde_json::json!({ "id": id, "name": "sip" })).unwrap()
    }

    #[test]
    fn a_certificate_is_shown_where_it_is_applied() {
        let (here, there) = (ServerId::from_parts(1, 1), ServerId::from_parts(2, 2));
        let mut one = certificate();
        assert!(!one.is_shown_by(None));
        one.applied = true;
        assert!(one.is_shown_by(None) && one.is_shown_by(Some(here)));
        one.servers = vec![here];
        assert!(one.is_shown_by(Some(here)));
        assert!(!one.is_shown_by(Some(there)) && !one.is_shown_by(None));
    }

    #[test]
    fn it_is_renewed_when_a_third_of_its_time_is_left() {
        let facts = CertificateFacts {
            names: Vec::new(),
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            fingerprint: String::new(),
            not_before_us: 100,
            not_after_us: 190,
        };
        assert_eq!(facts.renew_at_us(), 160);
    }

    #[test]
    fn acme_is_for_host_names_of_servers() {
        let mut one = certificate();
        one.source = CertificateSource::Acme {
            domains: vec!["sip.example.com".into()],
            challenge: AcmeChallenge::Http01,
        };
        assert_eq!(one.validate(), Vec::new());
        one.kind = CertificateKind::Client;
        assert_eq!(one.validate()[0].field, "kind");
        one.kind = CertificateKind::Server;
        for refused in ["*.example.com", "SIP.example.com", ""] {
            one.source = CertificateSource::Acme {
                domains: vec![refused.into()],
                challenge: AcmeChallenge::Http01,
            };
            assert_eq!(one.validate()[0].field, "source.domains", "{refused}");
        }
    }

    #[test]
    fn wildcards_are_for_challenges_by_dns() {
        let mut one = certificate();
        let of = |domain: &str, challenge| CertificateSource::Acme {
            domains: vec![domain.into()],
            challenge,
        };
        one.source = of("*.example.com", AcmeChallenge::Dns01);
        assert_eq!(one.validate(), Vec::new());
        one.source = of("*.example.com", AcmeChallenge::Http01);
        assert!(one.validate()[0].message.contains("dns-01"));
        for refused in [
            "*",
            "*.",
            "*.*.example.com",
            "sip.*.example.com",
            "*sip.example.com",
        ] {
            one.source = of(refused, AcmeChallenge::Dns01);
            assert_eq!(one.validate()[0].field, "source.domains", "{refused}");
        }
    }

    #[test]
    fn what_was_ordered_before_there_was_a_choice_is_proven_by_http() {
        let source = serde_json::json!({ "kind": "acme", "domains": ["sip.example.com"] });
        let source: CertificateSource = serde_json::from_value(source).unwrap();
        let CertificateSource::Acme { challenge, .. } = source else {
            panic!("it is of another kind");
        };
        assert_eq!(challenge, AcmeChallenge::Http01);
    }
}
