//! The API as a client sees it.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use ureq::http::{HeaderMap, Request};
use ureq::unversioned::transport::DefaultConnector;

use crate::draft::{self, DRAFTS};
use crate::failure::Failure;
use crate::global::Global;
use crate::trust::{self, Local};

/// A platform that can be asked.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
    /// The draft that requests for records are about.
    draft: Option<String>,
}

/// What the running node writes for whoever may read its data directory.
#[derive(Deserialize)]
struct Admin {
    http: String,
    token: String,
}

/// An answer.
pub(crate) struct Reply {
    /// The body; null if there was none.
    pub(crate) body: Value,
    /// The object's revision, if it has one.
    pub(crate) etag: Option<String>,
}

impl Client {
    /// The platform that the flags, the environment or the data directory name.
    pub(crate) fn of(global: &Global) -> Result<Self, Failure> {
        let client = Self::connect(global)?;
        let draft = global.draft.as_deref();
        let draft = draft.map(|draft| draft::find(&client, draft)).transpose()?;
        Ok(Self { draft, ..client })
    }

    /// The same whatever draft is named.
    pub(crate) fn connect(global: &Global) -> Result<Self, Failure> {
        let path = global.data.join("admin.json");
        let mut local = None;
        let (base, token) = match (&global.addr, &global.token) {
            (Some(addr), Some(token)) => (address(addr), Some(token.clone())),
            (Some(addr), None) => {
                let addr = address(addr);
                // The token on disk is meant for one platform and shown to no other.
                let admin = admin(&path)
                    .ok()
                    .filter(|admin| admin.http.trim_end_matches('/') == addr);
                (addr, admin.map(|admin| admin.token))
            }
            (None, token) => {
                let admin = admin(&path)?;
                let base = address(&admin.http);
                if global.ca.is_none() {
                    local = Local::of(&global.data, &base);
                }
                (base, Some(token.clone().unwrap_or(admin.token)))
            }
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_recv_response(Some(RESPONSE_TIME))
            .max_redirects(0);
        if let Some(Local { base, tls, at }) = local {
            let config = config.tls_config(tls).build();
            let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), at);
            return Ok(Self {
                agent,
                base,
                token,
                draft: None,
            });
        }
        let config = config.tls_config(match base.starts_with("https:") {
            true => trust::tls(global.ca.as_deref())?,
            false => ureq::tls::TlsConfig::default(),
        });
        let agent = config.build().new_agent();
        Ok(Self {
            agent,
            base,
            token,
            draft: None,
        })
    }

    pub(crate) fn read(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, Failure> {
        self.ask("GET", path, query, None, None)
    }

    pub(crate) fn create(&self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.ask("POST", path, &[], Some(body), None)
    }

    pub(crate) fn change(
        &self,
        path: &str,
        etag: Option<&str>,
        patch: &Value,
    ) -> Result<Reply, Failure> {
        self.ask("PATCH", path, &[], Some(patch), etag)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Reply, Failure> {
        self.ask("DELETE", path, &[], None, None)
    }

    /// Any request.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Reply, Failure> {
        let body = body.map(Value::to_string);
        let (headers, mut reader) = self.send(method, path, query, body.as_deref(), if_match)?;
        let mut text = String::new();
        let lost = |e: std::io::Error| Failure::Unreachable(format!("the answer broke off: {e}"));
        reader.read_to_string(&mut text).map_err(lost)?;
        let etag = headers
            .get("etag")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let body = match serde_json::from_str(&text) {
            Ok(body) => body,
            Err(_) if text.is_empty() => Value::Null,
            Err(_) => Value::String(text),
        };
        Ok(Reply { body, etag })
    }

    /// The body of an answer, as it comes.
    pub(crate) fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<impl Read + use<>, Failure> {
        self.open(path, query).map(|(_, reader)| reader)
    }

    /// The same with the headers of the answer.
    pub(crate) fn open(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(HeaderMap, impl Read + use<>), Failure> {
        self.send("GET", path, query, None, None)
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&str>,
        if_match: Option<&str>,
    ) -> Result<(HeaderMap, impl Read + use<>), Failure> {
        let mut request = Request::builder().method(method).uri(format!(
            "{}{}",
            self.base,
            with_query(path, query)
        ));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(draft) = self.draft.as_ref().filter(|_| !path.starts_with(DRAFTS)) {
            request = request.header("tandem-draft", draft);
        }
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        let nonsense = |e: ureq::http::Error| Failure::Usage(format!("this cannot be asked: {e}"));
        let answer = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent
                    .run(request.body(body.to_owned()).map_err(nonsense)?)
            }
            None => self.agent.run(request.body(()).map_err(nonsense)?),
        };
        let answer = answer.map_err(|e| self.unreachable(&e))?;
        let (parts, body) = answer.into_parts();
        let mut reader = body.into_reader();
        if parts.status.is_success() {
            return Ok((parts.headers, reader));
        }
        let mut text = String::new();
        // A refusal that breaks off is still one: its status says what it is.
        let _ = reader.read_to_string(&mut text);
        let problem = serde_json::from_str(&text).unwrap_or(Value::Null);
        Err(Failure::refused(parts.status.as_u16(), &problem))
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::Unreachable(format!(
            "{} does not answer ({error}): is it running? `tandem doctor` may know more",
            self.base
        ))
    }
}

fn address(text: &str) -> String {
    let text = text.trim_end_matches('/');
    if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    }
}

fn admin(path: &Path) -> Result<Admin, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        let shown = path.display();
        Failure::Unreachable(format!(
            "no platform is known: {shown} cannot be read ({e}). Start one with `tandem up`, \
             name its data directory with --data, or name it with --addr and --token"
        ))
    })?;
    serde_json::from_str(&text)
        .map_err(|e| Failure::Failed(format!("{} is damaged: {e}", path.display())))
}

/// A path with parameters, percent-encoded as RFC 3986 §2.1 asks.
fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(&encode(name));
        text.push('=');
        text.push_str(&encode(value));
    }
    text
}

/// A part of a path or query, percent-encoded.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

const CONNECT_TIME: Duration = Duration::from_secs(5);
const RESPONSE_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded() {
        assert_eq!(
            with_query("/v1/cdrs", &[("caller", "+49 30"), ("limit", "5")]),
            "/v1/cdrs?caller=%2B49%2030&limit=5"
        );
        assert_eq!(encode("udp:[::1]:5060"), "udp%3A%5B%3A%3A1%5D%3A5060");
    }

    #[test]
    fn an_address_may_be_short() {
        assert_eq!(address("192.0.2.1:8080"), "http://192.0.2.1:8080");
        assert_eq!(address("http://a:8080/"), "http://a:8080");
    }
}
