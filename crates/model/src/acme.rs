//! The authority that issues our certificates by ACME (RFC 8555).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alerts::is_mailbox;
use crate::object::object;
use crate::validate::Checks;
use crate::{FieldError, Validate};

/// The authority that issues our certificates, and how it looks at us. The key of our account there is
/// in `acme-accounts.json` of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AcmeSettings {
    /// The directory of the authority, an `https` URL; `None`: nothing is asked for.
    pub directory: Option<String>,
    /// Whether its terms of service were read and are agreed to.
    pub terms_agreed: bool,
    /// Where it writes to us about our certificates, an address of mail; `None`: nowhere.
    pub contact: Option<String>,
    /// The port that answers its challenges (RFC 8555 §8.3), open only while there is one. An authority
    /// of the public comes to port 80 of each name.
    pub http_port: u16,
    /// The name server that takes the records of challenges by DNS (RFC 8555 §8.4).
    #[serde(deserialize_with = "object")]
    pub dns: AcmeDns,
}

/// A name server that takes dynamic updates (RFC 2136) signed with a shared key (RFC 8945).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AcmeDns {
    /// The primary server of the zone, as `host:port`, over TCP; `None`: there is none.
    pub server: Option<String>,
    /// The zone that is changed; `None`: the server is asked which of its zones a name is in.
    pub zone: Option<String>,
    /// What the server calls the key; empty: there is none.
    pub key_name: String,
    /// How the key signs.
    pub key_algorithm: TsigAlgorithm,
    /// The key, sealed under the platform's cluster key; empty while there is none.
    pub secret: String,
    /// After the server has a record, the authority is asked so much later, in seconds: for servers that
    /// have the zone from it and are slow to fetch it.
    pub settle_s: u16,
}

/// How a key signs what a name server is sent (RFC 8945 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

/// How an authority finds out whose a name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum AcmeChallenge {
    /// It comes to port 80 of the name (RFC 8555 §8.3).
    #[default]
    #[serde(rename = "http-01")]
    Http01,
    /// It looks for a record below the name (RFC 8555 §8.4); the one way for wildcards.
    #[serde(rename = "dns-01")]
    Dns01,
}

impl Default for AcmeSettings {
    fn default() -> Self {
        Self {
            directory: None,
            terms_agreed: false,
            contact: None,
            http_port: 80,
            dns: AcmeDns::default(),
        }
    }
}

impl Validate for AcmeSettings {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        if let Some(directory) = &self.directory {
            let host = directory.strip_prefix("https://");
            let is_url = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
            let is_plain =
                directory.len() <= URL_MAX && directory.bytes().all(|b| b.is_ascii_graphic());
            checks.require(
                is_url && is_plain,
                "directory",
                "https://… is accepted, of up to 2,000 characters",
            );
        }
        if let Some(contact) = &self.contact {
            checks.require(
                is_mailbox(contact),
                "contact",
                "name@example.com is accepted",
            );
        }
        checks.range("http_port", self.http_port.into(), 1..=65_535);
        checks.nested("dns", &self.dns);
        checks.done()
    }
}

impl Validate for AcmeDns {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        if let Some(server) = &self.server {
            checks.host_and_port("server", server);
        }
        if let Some(zone) = &self.zone {
            checks.certificate_name("zone", zone);
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let is_name = self.key_name.len() <= KEY_NAME_MAX
            && self.key_name.bytes().all(plain)
            && !self.key_name.contains("..")
            && !self.key_name.starts_with('.')
            && self
                .key_name
                .split('.')
                .all(|label| label.len() <= LABEL_MAX);
        checks.require(
            is_name,
            "key_name",
            "a domain name is accepted, as the server's configuration has it",
        );
        checks.range("settle_s", self.settle_s.into(), 0..=600);
        checks.done()
    }
}

const URL_MAX: usize = 2_000;
/// Characters of a domain name, and of a label of it (RFC 1035 §2.3.4).
const KEY_NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_only_asked_over_tls() {
        let of = |directory: &str| AcmeSettings {
            directory: Some(directory.to_owned()),
            ..AcmeSettings::default()
        };
        assert_eq!(of("https://acme.example/directory").validate(), Vec::new());
        for refused in [
            "http://acme.example/",
            "https://",
            "https:///x",
            "https://a b",
        ] {
            assert_eq!(of(refused).validate()[0].field, "directory", "{refused}");
        }
    }

    #[test]
    fn a_key_for_a_name_server_has_the_name_of_one() {
        let of = |key_name: &str| AcmeDns {
            key_name: key_name.to_owned(),
            ..AcmeDns::default()
        };
        for accepted in ["", "tandem", "acme_key.example.com."] {
            assert_eq!(of(accepted).validate(), Vec::new(), "{accepted}");
        }
        for refused in ["a b", "a..b", ".a", &"a".repeat(64)] {
            assert_eq!(of(refused).validate()[0].field, "key_name", "{refused}");
        }
        let nested = AcmeSettings {
            dns: AcmeDns {
                server: Some("ns.example.com".into()),
                ..AcmeDns::default()
            },
            ..AcmeSettings::default()
        };
        assert_eq!(nested.validate()[0].field, "dns.server");
    }
}
