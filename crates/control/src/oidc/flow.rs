//! One sign-in, from when a browser goes to the provider until it comes back: what it must show then
//! is sealed in a cookie of it.

use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::Time;
use model::OidcSettings;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Refused;
use super::provider::{Metadata, redirect_uri, with_query};
use crate::secret::{generate_token, token_hash};
use crate::session::{self, PathOf, Way};
use crate::vault::{Vault, VaultError};

/// A sign-in that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// Comes back with the browser (RFC 6749 §10.12).
    state: String,
    /// Comes back in the token (OpenID Connect Core 1.0 §15.5.2).
    nonce: String,
    /// Only who has it gets something for the code (RFC 7636 §4.1).
    verifier: String,
    /// Whom the browser was sent to.
    issuer: String,
    /// The page of the panel that it goes to in the end.
    to: String,
    /// It is over then, microseconds since the Unix epoch.
    ends_us: u64,
}

impl Flow {
    pub(super) fn new(settings: &OidcSettings, to: String, now: Time) -> Result<Self, Refused> {
        let random = || generate_token().map_err(|error| Refused::Store(error.to_string()));
        Ok(Self {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            issuer: settings.issuer.clone().unwrap_or_default(),
            to: page(to),
            ends_us: (now + FLOW_TIME).as_micros(),
        })
    }

    /// Where the browser goes (OpenID Connect Core 1.0 §3.1.2.1).
    pub(super) fn authorization_url(&self, metadata: &Metadata, settings: &OidcSettings) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()));
        let scopes = settings.scopes.iter().map(String::as_str);
        let scopes = scopes.filter(|scope| *scope != OPENID);
        let scope: Vec<&str> = [OPENID].into_iter().chain(scopes).collect();
        let parameters = [
            ("response_type", "code".to_owned()),
            ("client_id", settings.client_id.clone()),
            ("redirect_uri", redirect_uri(settings)),
            ("scope", scope.join(" ")),
            ("state", self.state.clone()),
            ("nonce", self.nonce.clone()),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256".to_owned()),
        ];
        with_query(&metadata.authorization_endpoint, &parameters)
    }

    /// Whether a browser that brings this state goes on with it.
    pub(super) fn admits(&self, settings: &OidcSettings, state: Option<&str>, now: Time) -> bool {
        state == Some(&self.state)
            && settings.issuer.as_ref() == Some(&self.issuer)
            && now.as_micros() < self.ends_us
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(super) fn verifier(&self) -> &str {
        &self.verifier
    }

    pub(crate) fn to(&self) -> &str {
        &self.to
    }

    /// What tells it from all others.
    pub(super) fn key(&self) -> String {
        token_hash(&self.state)
    }

    pub(super) const fn ends_us(&self) -> u64 {
        self.ends_us
    }

    /// The cookie that has the browser keep it.
    pub(crate) fn cookie(
        &self,
        vault: &Vault,
        headers: &HeaderMap,
        way: Way,
    ) -> Result<String, VaultError> {
        // Plain data with text keys always has a JSON form.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let sealed = vault.seal(OWNER, &text)?;
        Ok(cookie(headers, way, &sealed, FLOW_TIME))
    }

    /// The one that a browser has kept.
    pub(crate) fn of(vault: &Vault, headers: &HeaderMap, way: Way) -> Option<Self> {
        let sealed = session::cookie_value(headers, &name(headers, way))?;
        let text = vault.open(OWNER, &sealed).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// What Set-Cookie says to have the browser forget a sign-in.
pub(crate) fn forget_cookie(headers: &HeaderMap, way: Way) -> String {
    cookie(headers, way, "", Duration::ZERO)
}

/// Unlike that of a session it is shown by a browser that another site sends here: that is how it comes
/// back. It is of no use but for that.
fn cookie(headers: &HeaderMap, way: Way, value: &str, lasts: Duration) -> String {
    let (name, secure, age) = (name(headers, way), way.secure(), lasts.as_secs());
    format!("{name}={value}; Path=/v1/session/oidc; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
}

fn name(headers: &HeaderMap, way: Way) -> String {
    let prefix = way.prefix(PathOf::Part);
    session::name_for(headers, &format!("{prefix}tandem_oidc"))
}

/// A page of the panel; anything that a browser might take for another site becomes its first one.
fn page(to: String) -> String {
    let is_page = to.starts_with('/')
        && !to.starts_with("//")
        && !to.starts_with("/v1/")
        && to.len() <= PAGE_MAX
        && to.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if is_page { to } else { "/".to_owned() }
}

const OPENID: &str = "openid";
/// What the vault seals it for.
const OWNER: &str = "oidc sign-in";
/// How long somebody may take to sign in at the provider.
const FLOW_TIME: Duration = Duration::from_secs(600);
/// Characters of the address of a page.
const PAGE_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn settings() -> OidcSettings {
        OidcSettings {
            issuer: Some("https://id".into()),
            ..OidcSettings::default()
        }
    }

    fn flow() -> Flow {
        Flow::new(&settings(), "/calls".into(), Time::from_secs(1)).unwrap()
    }

    #[test]
    fn it_goes_on_in_the_browser_that_began_it_and_in_time() {
        let (flow, settings) = (flow(), settings());
        let begun = Time::from_secs(1);
        let state = flow.state.clone();
        assert!(flow.admits(&settings, Some(&state), begun));
        assert!(!flow.admits(&settings, Some("other"), begun));
        assert!(!flow.admits(&settings, None, begun));
        assert!(!flow.admits(&settings, Some(&state), begun + FLOW_TIME));
        let other = OidcSettings {
            issuer: Some("https://other".into()),
            ..settings
        };
        assert!(!flow.admits(&other, Some(&state), begun));
    }

    #[test]
    fn a_cookie_brings_it_back_and_a_changed_one_nothing() {
        let (vault, flow) = (Vault::new(&[1; 32]), flow());
        let mut headers = HeaderMap::new();
        let set = flow.cookie(&vault, &headers, Way::Tls).unwrap();
        assert!(set.contains("; HttpOnly; SameSite=Lax; Secure"), "{set}");
        let pair = set.split(';').next().unwrap();
        assert!(!pair.contains(&flow.verifier), "{pair}");
        headers.insert(header::COOKIE, pair.parse().unwrap());
        assert_eq!(Flow::of(&vault, &headers, Way::Tls), Some(flow));
        assert_eq!(Flow::of(&Vault::new(&[2; 32]), &headers, Way::Tls), None);
    }

    #[test]
    fn it_leads_to_no_other_site() {
        for to in ["/calls?state=answered", "/"] {
            assert_eq!(page(to.into()), to);
        }
        let long = format!("/{}", "a".repeat(PAGE_MAX));
        for to in [
            "",
            "//evil",
            "/\\evil",
            "https://evil",
            "/v1/calls",
            "/a\r\nb",
            &long,
        ] {
            assert_eq!(page(to.into()), "/", "{to}");
        }
    }
}
