//! What a provider says of itself (OpenID Connect Discovery 1.0 §4), and what it is asked.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{OidcSettings, is_safe_url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::jws::{self, Jwk};
use super::{OidcAnswer, OidcPort, Refused, plain};

/// What a provider says of itself.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) metadata: Metadata,
    pub(super) keys: Vec<Jwk>,
}

/// Where it is asked for what (Discovery §3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A provider that can be asked.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) port: Arc<dyn OidcPort>,
    pub(super) settings: OidcSettings,
    pub(super) known: Arc<Known>,
}

/// What is given for a code (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    #[serde(default)]
    pub(super) access_token: String,
}

/// Why a code is refused (RFC 6749 §5.2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenError {
    error: String,
    error_description: String,
}

/// Asks a provider about itself and its keys.
pub(super) fn discover(port: &dyn OidcPort, settings: &OidcSettings) -> Result<Known, Refused> {
    let issuer = settings.issuer.as_deref().ok_or(Refused::NotSetUp)?;
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let metadata: Metadata = read(port, &url)?;
    if metadata.issuer != issuer {
        let found = plain(&metadata.issuer);
        let detail = format!("it calls itself {found}: write oidc.issuer exactly so");
        return Err(Refused::Untrue(detail));
    }
    metadata.check_urls()?;
    let published: Value = read(port, &metadata.jwks_uri)?;
    let keys = jws::keys(&published);
    Ok(Known { metadata, keys })
}

fn read<T: DeserializeOwned>(port: &dyn OidcPort, url: &str) -> Result<T, Refused> {
    let answer = port.get(url, None).map_err(Refused::Away)?;
    answer.json(url)
}

impl OidcAnswer {
    /// What it says, if it is what was asked for.
    fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, Refused> {
        if self.status != 200 {
            return Err(Refused::Away(format!("{url} answers {}", self.status)));
        }
        let read = serde_json::from_slice(&self.body);
        read.map_err(|error| Refused::Away(format!("{url} answers something else: {error}")))
    }
}

impl Provider {
    pub(super) fn new(port: Arc<dyn OidcPort>, settings: &OidcSettings, known: Arc<Known>) -> Self {
        Self {
            port,
            settings: settings.clone(),
            known,
        }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.known.metadata.issuer
    }

    /// Whether a browser comes from it, and not from another provider (RFC 9207 §2.4).
    pub(super) fn check_issuer(&self, said: Option<&str>) -> Result<(), Refused> {
        let must_say = self
            .known
            .metadata
            .authorization_response_iss_parameter_supported;
        match said {
            Some(said) if said == self.issuer() => Ok(()),
            None if !must_say => Ok(()),
            _ => Err(Refused::Untrue(
                "another issuer sends the browser back".into(),
            )),
        }
    }

    /// What it gives for a code (Core §3.1.3). We prove ourselves as it wishes (§9), or not at all.
    pub(super) fn exchange(&self, code: &str, verifier: &str) -> Result<Tokens, Refused> {
        let secret = self.port.client_secret().map_err(Refused::Away)?;
        let client_id = &self.settings.client_id;
        let mut form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", redirect_uri(&self.settings)),
            ("code_verifier", verifier.to_owned()),
        ];
        let methods = self
            .known
            .metadata
            .token_endpoint_auth_methods_supported
            .as_ref();
        let takes_basic =
            methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic"));
        let authorization = match secret {
            Some(secret) if takes_basic => {
                let pair = format!("{}:{}", encoded(client_id), encoded(&secret));
                Some(format!("Basic {}", STANDARD.encode(pair)))
            }
            secret => {
                form.push(("client_id", client_id.clone()));
                form.extend(secret.map(|secret| ("client_secret", secret)));
                None
            }
        };
        let url = &self.known.metadata.token_endpoint;
        let answer = self.port.post(url, &query(&form), authorization.as_deref());
        let answer = answer.map_err(Refused::Away)?;
        if (400..500).contains(&answer.status) {
            let why: TokenError = serde_json::from_slice(&answer.body).unwrap_or_default();
            let why = format!("{} {}", plain(&why.error), plain(&why.error_description));
            let status = answer.status;
            return Err(Refused::Provider(format!("{} ({status})", why.trim())));
        }
        answer.json(url)
    }

    /// What it says about who has a token (Core §5.3); nothing, where it cannot be asked.
    pub(super) fn userinfo(&self, token: &str) -> Result<Value, Refused> {
        let Some(url) = &self.known.metadata.userinfo_endpoint else {
            let detail = "its token lacks claims, and it has no userinfo to ask";
            return Err(Refused::Untrue(detail.into()));
        };
        let answer = self.port.get(url, Some(token)).map_err(Refused::Away)?;
        answer.json(url)
    }
}

impl Metadata {
    /// Refuses a provider that leads somewhere in clear.
    fn check_urls(&self) -> Result<(), Refused> {
        let needed = [
            &self.authorization_endpoint,
            &self.token_endpoint,
            &self.jwks_uri,
        ];
        let optional = [&self.userinfo_endpoint, &self.end_session_endpoint];
        let mut urls = needed.into_iter().chain(optional.into_iter().flatten());
        match urls.find(|url| !is_safe_url(url)) {
            None => Ok(()),
            Some(url) => {
                let detail = format!("it leads to {}, which is not https", plain(url));
                Err(Refused::Untrue(detail))
            }
        }
    }

    /// Where people are signed out of it, and led back (OpenID Connect RP-Initiated Logout 1.0 §2).
    pub(super) fn sign_out_url(&self, settings: &OidcSettings) -> Option<String> {
        let endpoint = self.end_session_endpoint.as_ref()?;
        let parameters = [
            ("client_id", settings.client_id.clone()),
            (
                "post_logout_redirect_uri",
                format!("{}/", settings.panel_url),
            ),
        ];
        Some(with_query(endpoint, &parameters))
    }
}

/// Where a provider sends browsers back to.
pub(super) fn redirect_uri(settings: &OidcSettings) -> String {
    format!("{}/v1/session/oidc/callback", settings.panel_url)
}

/// A URL with more parameters than it has.
pub(super) fn with_query(url: &str, parameters: &[(&str, String)]) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{}", query(parameters))
}

fn query(parameters: &[(&str, String)]) -> String {
    let pairs = parameters.iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    pairs.join("&")
}

/// A text as a part of a query or a form (RFC 3986 §2.1).
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut done, byte| {
        // Writing to a String never fails.
        let _ = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                write!(done, "{}", char::from(byte))
            }
            _ => write!(done, "%{byte:02X}"),
        };
        done
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A provider that says this of itself.
    struct Says(Value);

    impl OidcPort for Says {
        fn get(&self, _: &str, _: Option<&str>) -> Result<OidcAnswer, String> {
            Ok(OidcAnswer {
                status: 200,
                body: self.0.to_string().into_bytes(),
            })
        }

        fn post(&self, _: &str, _: &str, _: Option<&str>) -> Result<OidcAnswer, String> {
            Err("nobody asks".into())
        }

        fn client_secret(&self) -> Result<Option<String>, String> {
            Ok(None)
        }
    }

    fn discovered(issuer: &str, token_endpoint: &str) -> Result<Known, Refused> {
        let said = json!({ "issuer": issuer, "authorization_endpoint": "https://id/auth?a=b",
            "token_endpoint": token_endpoint, "jwks_uri": "https://id/keys",
            "end_session_endpoint": "https://id/out" });
        discover(&Says(said), &settings())
    }

    fn settings() -> OidcSettings {
        OidcSettings {
            issuer: Some("https://id".into()),
            client_id: "us & them".into(),
            panel_url: "https://panel".into(),
            ..OidcSettings::default()
        }
    }

    #[test]
    fn a_provider_is_who_it_says_and_leads_nowhere_in_clear() {
        let known = discovered("https://id", "https://id/token").unwrap();
        assert_eq!(
            known.metadata.sign_out_url(&settings()).unwrap(),
            "https://id/out?client_id=us%20%26%20them&post_logout_redirect_uri=https%3A%2F%2Fpanel%2F"
        );
        let other = discovered("https://id/", "https://id/token").unwrap_err();
        assert!(other.to_string().contains("exactly"), "{other}");
        let clear = discovered("https://id", "http://id/token").unwrap_err();
        assert_eq!(clear.code(), "provider-untrue");
    }

    #[test]
    fn parameters_are_added_to_those_that_are_there() {
        let url = with_query("https://id/auth?a=b", &[("c", "ä/+".into())]);
        assert_eq!(url, "https://id/auth?a=b&c=%C3%A4%2F%2B");
    }
}
