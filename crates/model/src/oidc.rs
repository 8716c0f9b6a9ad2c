//! Signing in by a provider of identities (OpenID Connect).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{AccountId, FieldError, Role, Validate, ZoneId};

/// The provider by which people sign in, and what its words about them mean here. What proves us to it is
/// in `oidc-keys.json` of the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct OidcSettings {
    /// What people call it: `Sign in with …`.
    pub name: String,
    /// Its issuer, an `https` URL exactly as it writes it; `None`: nobody signs in by one.
    pub issuer: Option<String>,
    /// What it calls us.
    pub client_id: String,
    /// Where browsers find the panel: `https://panel.example.com`. The provider sends them back to
    /// `/v1/session/oidc/callback` there, and has to know that address.
    pub panel_url: String,
    /// What it is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that is a person's name here.
    pub name_claim: String,
    /// What becomes of somebody whom the provider knows and the platform does not.
    pub newcomers: Newcomers,
    /// What people may do, by their claims: the first that fits counts, each time they sign in, and whom
    /// none fits is refused. Without any they may do what is said on their page.
    pub rules: Vec<OidcRule>,
}

impl Default for OidcSettings {
    fn default() -> Self {
        Self {
            name: "the company's account".into(),
            issuer: None,
            client_id: String::new(),
            panel_url: String::new(),
            scopes: vec!["profile".into(), "email".into()],
            name_claim: "preferred_username".into(),
            newcomers: Newcomers::default(),
            rules: Vec::new(),
        }
    }
}

/// What becomes of somebody whom the provider knows and the platform does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Newcomers {
    /// They are refused: somebody makes them first, as one who signs in by the provider.
    #[default]
    Refuse,
    /// They are made when they sign in first, if a rule fits.
    Make,
}

/// What people with a claim may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OidcRule {
    /// The claim, such as `groups`; parts of an object by dots, as `realm_access.roles`.
    pub claim: String,
    /// What it is, or has among others; `*`: whatever it is, if it is there.
    pub value: String,
    /// Their role.
    pub role: Role,
    /// The account they are confined to; `None`: all.
    #[serde(default)]
    pub account: Option<AccountId>,
    /// The zones they are confined to; none means all.
    #[serde(default)]
    pub zones: Vec<ZoneId>,
}

impl Validate for OidcSettings {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        if let Some(issuer) = &self.issuer {
            checks.require(
                is_safe_url(issuer) && !issuer.contains(['?', '#']),
                "issuer",
                "https://… without ? and # is accepted; http://… of this machine alone",
            );
            checks.require(
                is_word(&self.client_id),
                "client_id",
                "what the provider calls us is needed: 1 to 255 characters without blanks",
            );
            let (_, path) = host_and_path(&self.panel_url);
            checks.require(
                is_url(&self.panel_url) && path.is_empty(),
                "panel_url",
                "where browsers find the panel is needed, as https://panel.example.com",
            );
        }
        checks.require(
            self.scopes.len() <= SCOPES_MAX && self.scopes.iter().all(|scope| is_word(scope)),
            "scopes",
            "up to 20 words are accepted",
        );
        checks.require(
            is_word(&self.name_claim),
            "name_claim",
            "1 to 255 characters without blanks are accepted",
        );
        checks.require(
            self.newcomers == Newcomers::Refuse || !self.rules.is_empty(),
            "newcomers",
            "a rule is needed that says what newcomers may do",
        );
        checks.require(
            self.rules.len() <= RULES_MAX,
            "rules",
            "up to 100 are accepted",
        );
        for (place, rule) in self.rules.iter().enumerate() {
            checks.nested(&format!("rules.{place}"), rule);
        }
        checks.done()
    }
}

impl Validate for OidcRule {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.require(
            is_word(&self.claim),
            "claim",
            "1 to 255 characters without blanks are accepted",
        );
        checks.require(
            (1..=WORD_MAX).contains(&self.value.len()) && !self.value.contains(char::is_control),
            "value",
            "1 to 255 characters are accepted",
        );
        checks.require(
            self.zones.len() <= ZONES_MAX,
            "zones",
            "up to 64 are accepted",
        );
        checks.done()
    }
}

/// Whether a provider may be asked there: over TLS, or in clear on this machine.
#[must_use]
pub fn is_safe_url(url: &str) -> bool {
    let (host, _) = host_and_path(url);
    let name = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    is_url(url)
        && (url.starts_with("https://") || ["localhost", "127.0.0.1", "::1"].contains(&name))
}

fn is_url(url: &str) -> bool {
    let (host, _) = host_and_path(url);
    // What stands before an @ would be taken for the host by people, and not by programs.
    url.len() <= URL_MAX
        && url.bytes().all(|b| b.is_ascii_graphic())
        && !host.is_empty()
        && !host.contains(['@', '\\'])
}

/// The host and port of a URL, and what follows; both empty if it is none.
fn host_and_path(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("https://");
    let rest = rest
        .or_else(|| url.strip_prefix("http://"))
        .unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.split_at(end)
}

fn is_word(text: &str) -> bool {
    (1..=WORD_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

const URL_MAX: usize = 2_000;
/// Characters of a claim's name or value.
const WORD_MAX: usize = 255;
const SCOPES_MAX: usize = 20;
const RULES_MAX: usize = 100;
/// Zones that somebody is confined to.
pub(crate) const ZONES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(issuer: &str) -> OidcSettings {
        OidcSettings {
            issuer: Some(issuer.into()),
            client_id: "tandem".into(),
            panel_url: "https://panel.example.com".into(),
            ..OidcSettings::default()
        }
    }

    fn wrong(settings: &OidcSettings) -> Vec<String> {
        let errors = settings.validate().into_iter();
        errors.map(|error| error.field).collect()
    }

    #[test]
    fn a_provider_is_only_asked_over_tls_or_on_this_machine() {
        for issuer in [
            "https://id.example.com",
            "https://id.example.com/realms/a",
            "http://127.0.0.1:3000",
            "http://[::1]:3000/x",
            "http://localhost",
        ] {
            assert_eq!(wrong(&settings(issuer)), [""; 0], "{issuer}");
        }
        for issuer in [
            "http://id.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost@id.example.com",
            "https://",
            "id.example.com",
            "https://id.example.com/?x=1",
        ] {
            assert_eq!(wrong(&settings(issuer)), ["issuer"], "{issuer}");
        }
    }

    #[test]
    fn newcomers_are_made_only_by_a_rule() {
        let mut settings = settings("https://id.example.com");
        settings.newcomers = Newcomers::Make;
        assert_eq!(wrong(&settings), ["newcomers"]);
        settings.rules = vec![OidcRule {
            claim: "groups".into(),
            value: "ops".into(),
            role: Role::Operator,
            account: None,
            zones: Vec::new(),
        }];
        assert_eq!(wrong(&settings), [""; 0]);
        settings.rules[0].claim = "with blanks".into();
        assert_eq!(wrong(&settings), ["rules.0.claim"]);
    }

    #[test]
    fn the_panel_has_an_address_without_a_path() {
        for panel in ["", "panel.example.com", "https://panel.example.com/x"] {
            let mut settings = settings("https://id.example.com");
            settings.panel_url = panel.into();
            assert_eq!(wrong(&settings), ["panel_url"], "{panel}");
        }
    }
}
