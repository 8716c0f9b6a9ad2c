//! When operators are called, and how.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::object::object;
use crate::validate::Checks;
use crate::{FieldError, Validate};

/// When operators are called, and how. A rule of 0 is off. What proves us to a mail server, and what
/// signs for the webhook, are in `alert-keys.json` of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AlertSettings {
    /// A gateway or media server is down for so long, in seconds.
    pub down_s: u32,
    /// More of the server's channels are in use, or more of what the servers of a zone or cluster
    /// together allow, in percent.
    pub headroom_percent: u16,
    /// A certificate is valid for fewer days.
    pub certificate_days: u16,
    /// Fewer of a carrier's calls of the last 15 minutes were answered, in percent; with 20 calls or
    /// more.
    pub carrier_asr_percent: u16,
    /// More of the packets of the calls that ended within 15 minutes were lost, in percent.
    pub media_loss_percent: u16,
    /// Where mails go.
    #[serde(deserialize_with = "object")]
    pub email: AlertEmail,
    /// Where JSON is posted, signed; `None`: nowhere.
    pub webhook: Option<String>,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            down_s: 30,
            headroom_percent: 50,
            certificate_days: 14,
            carrier_asr_percent: 0,
            media_loss_percent: 5,
            email: AlertEmail::default(),
            webhook: None,
        }
    }
}

impl Validate for AlertSettings {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.range("down_s", self.down_s.into(), 0..=86_400);
        for (field, percent) in [
            ("headroom_percent", self.headroom_percent),
            ("carrier_asr_percent", self.carrier_asr_percent),
            ("media_loss_percent", self.media_loss_percent),
        ] {
            checks.range(field, percent.into(), 0..=100);
        }
        checks.range("certificate_days", self.certificate_days.into(), 0..=365);
        checks.nested("email", &self.email);
        if let Some(url) = &self.webhook {
            let is_url = url.starts_with("http://") || url.starts_with("https://");
            let is_plain = url.len() <= URL_MAX && url.bytes().all(|b| b.is_ascii_graphic());
            checks.require(
                is_url && is_plain,
                "webhook",
                "http://… or https://… is accepted, of up to 2,000 characters",
            );
        }
        checks.done()
    }
}

/// Where mails go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AlertEmail {
    /// The mail server, as `host:port`; `None`: no mail.
    pub server: Option<String>,
    /// How the way to it is protected.
    pub security: MailSecurity,
    /// Who writes.
    pub from: String,
    /// Who is written to.
    pub to: Vec<String>,
}

impl Validate for AlertEmail {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        if let Some(server) = &self.server {
            checks.host_and_port("server", server);
            checks.require(
                is_mailbox(&self.from),
                "from",
                "name@example.com is accepted",
            );
            checks.require(!self.to.is_empty(), "to", "at least one is needed");
        }
        checks.require(
            self.to.len() <= RECIPIENTS_MAX && self.to.iter().all(|to| is_mailbox(to)),
            "to",
            "up to 20 of name@example.com are accepted",
        );
        checks.done()
    }
}

/// How the way to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// By STARTTLS, which the server must offer.
    #[default]
    Starttls,
    /// By TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

/// A bare address, of which no part can be taken for more than that.
pub(crate) fn is_mailbox(text: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._%+-".contains(&b))
    };
    let parts = text.rsplit_once('@');
    text.len() <= MAILBOX_MAX && parts.is_some_and(|(name, host)| is_plain(name) && is_plain(host))
}

const URL_MAX: usize = 2_000;
const RECIPIENTS_MAX: usize = 20;
const MAILBOX_MAX: usize = 254;
