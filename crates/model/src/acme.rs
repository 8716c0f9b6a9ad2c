//! The authority that issues our certificates by ACME (RFC 8555).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alerts::is_mailbox;
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
}

impl Default for AcmeSettings {
    fn default() -> Self {
        Self {
            directory: None,
            terms_agreed: false,
            contact: None,
            http_port: 80,
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
        checks.done()
    }
}

const URL_MAX: usize = 2_000;

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
}
