//! Sessions of people in front of a browser: a cookie in place of a token.
//!
//! Whoever shows a token gets a cookie that scripts cannot read and other sites cannot have sent
//! (HttpOnly, SameSite=Strict, RFC 6265). A session may do what its token may, as long as there is
//! that token. A change asked for with a cookie must carry a second secret in a header, which only
//! a page of ours can have read: other sites can make a browser send cookies, but not that.
//!
//! Sessions are in memory: a restart ends them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use clock::Time;

use crate::secret::{generate_token, token_hash};
use crate::{Problem, problem};

/// Sessions by the hash of their cookie.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Session>>);

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// The hash of the token it was begun with.
    pub(crate) token_hash: String,
    /// It ends then.
    pub(crate) ends: Time,
}

/// The secret in a cookie.
#[derive(Clone)]
pub(crate) struct Cookie(String);

impl Sessions {
    /// Begins one for the token with this hash.
    pub(crate) fn begin(&self, token_hash: String, now: Time) -> Result<Cookie, Problem> {
        let cookie = generate_token().map_err(|error| Problem::unavailable(error.to_string()))?;
        let cookie = Cookie(cookie);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.ends > now);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.ends);
            let oldest = oldest.map(|(hash, _)| hash.clone());
            oldest.and_then(|hash| sessions.remove(&hash));
        }
        let ends = now + SESSION_TIME;
        sessions.insert(cookie.hash(), Session { token_hash, ends });
        Ok(cookie)
    }

    /// The session of a cookie.
    pub(crate) fn find(&self, cookie: &Cookie, now: Time) -> Option<Session> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sessions.get(&cookie.hash()).cloned();
        found.filter(|session| session.ends > now)
    }

    /// Ends it.
    pub(crate) fn end(&self, cookie: &Cookie) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&cookie.hash());
    }
}

impl Cookie {
    /// The cookie of a request, if it has one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let name = name(headers);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| Self(value.to_owned()))
    }

    /// What Set-Cookie says; `way` is how the request came.
    pub(crate) fn set(&self, headers: &HeaderMap, way: Way) -> String {
        header_text(headers, way, &self.0, SESSION_TIME)
    }

    /// What a change must show besides.
    pub(crate) fn csrf_token(&self) -> String {
        token_hash(&format!("csrf:{}", self.0))
    }

    /// Whether a request shows it, where it has to.
    pub(crate) fn admits(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        if [Method::GET, Method::HEAD].contains(method) {
            return Ok(());
        }
        let shown = headers
            .get(CSRF_HEADER)
            .map(axum::http::HeaderValue::as_bytes);
        if shown == Some(self.csrf_token().as_bytes()) {
            return Ok(());
        }
        let detail = "a change by a session needs X-CSRF-Token as GET /v1/session has it";
        Err(Problem::new(&problem::FORBIDDEN, detail))
    }

    fn hash(&self) -> String {
        token_hash(&self.0)
    }
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In clear.
    Plain,
    /// Over TLS.
    Tls,
}

/// What Set-Cookie says to have the browser forget it.
pub(crate) fn forget(headers: &HeaderMap, way: Way) -> String {
    header_text(headers, way, "", Duration::ZERO)
}

fn header_text(headers: &HeaderMap, way: Way, value: &str, lasts: Duration) -> String {
    let name = name(headers);
    let secure = match way {
        Way::Plain => "",
        Way::Tls => "; Secure",
    };
    let age = lasts.as_secs();
    format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// Cookies know no ports, and several platforms may be on one machine: the port is in the name.
fn name(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let port = host.and_then(|host| host.rsplit_once(':')).map(|(_, p)| p);
    let port = port.filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
    match port {
        Some(port) => format!("tandem_session_{port}"),
        None => "tandem_session".to_owned(),
    }
}

const CSRF_HEADER: &str = "x-csrf-token";
/// How long a session lasts, whatever is done in it: a day's work.
const SESSION_TIME: Duration = Duration::from_secs(12 * 3_600);
/// More than people who look after a platform; the one that would end first ends for one more.
const SESSIONS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_in_time() {
        let sessions = Sessions::default();
        let begun = Time::from_secs(1_000);
        let cookie = sessions.begin("hash".into(), begun).unwrap();
        let late = begun + SESSION_TIME;
        assert_eq!(sessions.find(&cookie, begun).unwrap().ends, late);
        assert_eq!(sessions.find(&cookie, late), None);
    }

    #[test]
    fn the_number_of_sessions_is_bounded_and_the_newest_stay() {
        let sessions = Sessions::default();
        let at = |s: usize| Time::from_secs(s as u64);
        let cookies: Vec<Cookie> = (0..=SESSIONS_MAX)
            .map(|n| sessions.begin("hash".into(), at(n)).unwrap())
            .collect();
        let now = at(SESSIONS_MAX);
        assert_eq!(sessions.find(&cookies[0], now), None);
        assert!(sessions.find(&cookies[1], now).is_some());
        assert!(sessions.find(&cookies[SESSIONS_MAX], now).is_some());
    }

    #[test]
    fn platforms_on_other_ports_have_other_cookies() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost:8080".parse().unwrap());
        let sessions = Sessions::default();
        let cookie = sessions.begin("hash".into(), Time::from_secs(1)).unwrap();
        let set = cookie.set(&headers, Way::Tls);
        assert!(set.ends_with("HttpOnly; SameSite=Strict; Secure"), "{set}");
        let pair = set.split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("other=1; {pair}").parse().unwrap());
        assert_eq!(Cookie::of(&headers).unwrap().hash(), cookie.hash());
        headers.insert(header::HOST, "localhost:9080".parse().unwrap());
        assert!(Cookie::of(&headers).is_none());
    }
}
