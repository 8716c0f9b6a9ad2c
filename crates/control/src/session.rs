//! Sessions of people in front of a browser: a cookie in place of a password or a token.
//!
//! Whoever signs in gets a cookie that scripts cannot read and other sites cannot have sent
//! (HttpOnly, SameSite=Strict, RFC 6265). A session may do what its person or token may, as long as
//! there is that person, with that password, or that token. A change asked for with a cookie must
//! carry a second secret in a header, which only a page of ours can have read: other sites can make a
//! browser send cookies, but not that.
//!
//! Sessions are in the store, by the hash of their cookie: they outlive a restart, and are good on
//! every node that has the same store.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, header};
use clock::Time;
use model::{OidcIdentity, Person, PersonId, SignInBy};
use serde::{Deserialize, Serialize};
use store::{Records, StoreError, Ticket};

use crate::control::Who;
use crate::secret::{generate_token, token_hash};
use crate::secure::Source;
use crate::{Problem, problem};

/// One session, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Whose it is.
    pub(crate) of: SessionOf,
    /// It began then, microseconds since the Unix epoch.
    pub(crate) begun_us: u64,
    /// The address it began from.
    pub(crate) source: String,
    /// What the browser said it is.
    pub(crate) agent: String,
}

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SessionOf {
    /// Of a token, by its hash.
    Token(String),
    /// Of a person.
    Person {
        /// Who.
        id: PersonId,
        /// Tells their password from a later one: a new password ends sessions.
        password: String,
    },
    /// Of a person who signed in by the provider.
    Oidc {
        /// Who.
        id: PersonId,
        /// Who they were to it: nobody who is somebody else there goes on with it.
        identity: Option<OidcIdentity>,
    },
}

/// A session that goes on.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// Names it in the API: a part of its key, of no use for signing in.
    pub(crate) id: String,
    pub(crate) session: Session,
    /// It ends then, microseconds since the Unix epoch.
    pub(crate) ends_us: u64,
}

impl SessionOf {
    /// Of a person with the password they have.
    pub(crate) fn person(person: &Person) -> Self {
        Self::Person {
            id: person.id,
            password: password_stamp(person),
        }
    }

    /// Of a person as the provider knows them.
    pub(crate) fn oidc(person: &Person) -> Self {
        Self::Oidc {
            id: person.id,
            identity: person.oidc.clone(),
        }
    }

    /// Who that is, if they are still there.
    pub(crate) fn find(&self, records: &dyn Records) -> Result<Option<Who>, StoreError> {
        match self {
            Self::Token(hash) => Ok(records.token_by_hash(hash)?.map(Who::Token)),
            Self::Oidc { id, identity } => {
                let is_same =
                    |person: &Person| person.sign_in == SignInBy::Oidc && person.oidc == *identity;
                find_person(records, *id, is_same)
            }
            Self::Person { id, password } => {
                find_person(records, *id, |person| password_stamp(person) == *password)
            }
        }
    }
}

/// Somebody who may sign in, if they are still so.
fn find_person(
    records: &dyn Records,
    id: PersonId,
    is_same: impl FnOnce(&Person) -> bool,
) -> Result<Option<Who>, StoreError> {
    match records.read::<Person>(id) {
        Ok(found) => {
            let person = found.record;
            let goes_on = person.enabled && is_same(&person);
            Ok(goes_on.then(|| Who::Person(Box::new(person))))
        }
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Session {
    /// Begins it; the cookie it goes by.
    pub(crate) fn begin(&self, records: &dyn Records, now: Time) -> Result<Cookie, StoreError> {
        let random = generate_token();
        let cookie = random.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let cookie = Cookie(cookie);
        let open = records.tickets(SPACE, now)?;
        for oldest in open
            .iter()
            .take((open.len() + 1).saturating_sub(SESSIONS_MAX))
        {
            records.remove_ticket(SPACE, &oldest.key)?;
        }
        let ticket = Ticket {
            space: SPACE.into(),
            key: cookie.hash(),
            ends_us: (now + SESSION_TIME).as_micros(),
            body: serde_json::to_string(self)?,
        };
        records.add_ticket(&ticket, now)?;
        Ok(cookie)
    }
}

impl Open {
    /// The session of a cookie.
    pub(crate) fn find(
        records: &dyn Records,
        cookie: &Cookie,
        now: Time,
    ) -> Result<Option<Self>, StoreError> {
        let ticket = records.ticket(SPACE, &cookie.hash(), now)?;
        Ok(ticket.as_ref().and_then(Self::read))
    }

    /// All of them, those that end first at the front.
    pub(crate) fn all(records: &dyn Records, now: Time) -> Result<Vec<Self>, StoreError> {
        let tickets = records.tickets(SPACE, now)?;
        Ok(tickets.iter().filter_map(Self::read).collect())
    }

    /// Ends the session with this identifier; whether there was one.
    pub(crate) fn end(records: &dyn Records, id: &str, now: Time) -> Result<bool, StoreError> {
        let mut tickets = records.tickets(SPACE, now)?.into_iter();
        match tickets.find(|ticket| id_of(&ticket.key) == id) {
            Some(ticket) => records.remove_ticket(SPACE, &ticket.key),
            None => Ok(false),
        }
    }

    fn read(ticket: &Ticket) -> Option<Self> {
        Some(Self {
            id: id_of(&ticket.key).to_owned(),
            session: serde_json::from_str(&ticket.body).ok()?,
            ends_us: ticket.ends_us,
        })
    }
}

fn id_of(key: &str) -> &str {
    key.get(..ID_LEN).unwrap_or(key)
}

/// Tells a person's password from another.
fn password_stamp(person: &Person) -> String {
    let hash = person.password_hash.as_deref().unwrap_or_default();
    token_hash(&format!("password:{hash}"))
}

/// The secret in a cookie.
#[derive(Clone)]
pub(crate) struct Cookie(String);

impl Cookie {
    /// Ends its session.
    pub(crate) fn end(&self, records: &dyn Records) -> Result<bool, StoreError> {
        records.remove_ticket(SPACE, &self.hash())
    }

    /// The cookie of a request that came this way, if it has one.
    pub(crate) fn of(headers: &HeaderMap, way: Way) -> Option<Self> {
        cookie_value(headers, &name(headers, way)).map(Self)
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

    /// What is kept of it.
    pub(crate) fn hash(&self) -> String {
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

impl Way {
    /// How a request with these extensions came.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        match extensions.get::<ConnectInfo<Source>>() {
            Some(_) => Self::Tls,
            None => Self::Plain,
        }
    }

    /// What a cookie says of it.
    pub(crate) const fn secure(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tls => "; Secure",
        }
    }

    /// What the name of a cookie begins with. Over TLS it is one that a browser takes from this very host
    /// over TLS alone (RFC 6265bis §4.1.3): nobody who speaks in clear for it, or for a host below it,
    /// can have put it there.
    pub(crate) const fn prefix(self, path: PathOf) -> &'static str {
        match (self, path) {
            (Self::Plain, _) => "",
            (Self::Tls, PathOf::Host) => "__Host-",
            (Self::Tls, PathOf::Part) => "__Secure-",
        }
    }
}

/// Where a cookie is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathOf {
    /// Everywhere on its host.
    Host,
    /// Below one path.
    Part,
}

impl<S: Send + Sync> FromRequestParts<S> for Way {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// The cookie of this name in a request, if it has one.
pub(crate) fn cookie_value(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

/// What Set-Cookie says to have the browser forget it.
pub(crate) fn forget(headers: &HeaderMap, way: Way) -> String {
    header_text(headers, way, "", Duration::ZERO)
}

fn header_text(headers: &HeaderMap, way: Way, value: &str, lasts: Duration) -> String {
    let name = name(headers, way);
    let (secure, age) = (way.secure(), lasts.as_secs());
    format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

fn name(headers: &HeaderMap, way: Way) -> String {
    let prefix = way.prefix(PathOf::Host);
    name_for(headers, &format!("{prefix}tandem_session"))
}

/// Cookies know no ports, and several platforms may be on one machine: the port is in the name.
pub(crate) fn name_for(headers: &HeaderMap, what: &str) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let port = host.and_then(|host| host.rsplit_once(':')).map(|(_, p)| p);
    let port = port.filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
    match port {
        Some(port) => format!("{what}_{port}"),
        None => what.to_owned(),
    }
}

const CSRF_HEADER: &str = "x-csrf-token";
/// What the store keeps sessions under.
const SPACE: &str = "session";
/// Characters of a session's name in the API: 64 bits.
const ID_LEN: usize = 16;
/// How long a session lasts, whatever is done in it: a day's work.
const SESSION_TIME: Duration = Duration::from_secs(12 * 3_600);
/// More than people who look after a platform; the one that would end first ends for one more.
const SESSIONS_MAX: usize = if cfg!(test) { 10 } else { 1_000 };

#[cfg(test)]
mod tests {
    use super::*;
    use store::Sqlite;

    fn session(hash: &str) -> Session {
        Session {
            of: SessionOf::Token(hash.into()),
            begun_us: 0,
            source: "127.0.0.1".into(),
            agent: String::new(),
        }
    }

    fn with_store(test: impl Fn(&dyn Records)) {
        let directory = tempfile::tempdir().unwrap();
        test(&Sqlite::open(&directory.path().join("tandem.db")).unwrap());
    }

    #[test]
    fn a_session_ends_in_time() {
        with_store(|records| {
            let begun = Time::from_secs(1_000);
            let cookie = session("hash").begin(records, begun).unwrap();
            let late = begun + SESSION_TIME;
            let found = |now| Open::find(records, &cookie, now).unwrap();
            assert_eq!(found(begun).unwrap().ends_us, late.as_micros());
            assert!(found(late).is_none());
        });
    }

    #[test]
    fn the_number_of_sessions_is_bounded_and_the_newest_stay() {
        with_store(|records| {
            let at = |s: usize| Time::from_secs(s as u64);
            let begin = |n| session("hash").begin(records, at(n)).unwrap();
            let cookies: Vec<Cookie> = (0..=SESSIONS_MAX).map(begin).collect();
            let now = at(SESSIONS_MAX);
            let found = |n: usize| Open::find(records, &cookies[n], now).unwrap();
            assert!(found(0).is_none());
            assert!(found(1).is_some() && found(SESSIONS_MAX).is_some());
            let all = Open::all(records, now).unwrap();
            assert_eq!(all.len(), SESSIONS_MAX);
            assert!(Open::end(records, &all[0].id, now).unwrap());
            assert!(!Open::end(records, &all[0].id, now).unwrap());
        });
    }

    #[test]
    fn platforms_on_other_ports_have_other_cookies() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost:8080".parse().unwrap());
        let cookie = Cookie(generate_token().unwrap());
        let set = cookie.set(&headers, Way::Tls);
        assert!(set.ends_with("HttpOnly; SameSite=Strict; Secure"), "{set}");
        let pair = set.split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("other=1; {pair}").parse().unwrap());
        assert_eq!(
            Cookie::of(&headers, Way::Tls).unwrap().hash(),
            cookie.hash()
        );
        headers.insert(header::HOST, "localhost:8081".parse().unwrap());
        assert!(Cookie::of(&headers, Way::Tls).is_none());
    }

    /// RFC 6265bis §4.1.3.2: with this prefix only from this host, over TLS, for all of it.
    #[test]
    fn over_tls_a_cookie_that_came_in_clear_is_none() {
        let cookie = Cookie(generate_token().unwrap());
        let mut headers = HeaderMap::new();
        let secure = cookie.set(&headers, Way::Tls);
        assert!(secure.starts_with("__Host-tandem_session="), "{secure}");
        assert!(
            secure.contains("; Path=/;") && !secure.contains("Domain"),
            "{secure}"
        );
        let plain = cookie.set(&headers, Way::Plain);
        assert!(plain.starts_with("tandem_session="), "{plain}");
        let pair = plain.split(';').next().unwrap();
        headers.insert(header::COOKIE, pair.parse().unwrap());
        assert!(Cookie::of(&headers, Way::Plain).is_some());
        assert!(Cookie::of(&headers, Way::Tls).is_none());
    }
}
