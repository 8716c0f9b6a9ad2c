//! One registration of ours: its requests, its credentials, how it stands.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::{Gateway, GatewayRegistrationState, GatewayRegistrationView};
use sip::digest::{Session, ha1};
use sip::uri::escape_user;
use sip::{HeaderName, Message, NameAddr, Writer};

/// Random numbers for one request or response.
#[derive(Clone, Debug)]
pub struct Dice {
    /// A new Call-ID; the first of a registration is kept.
    pub call_id: Box<[u8]>,
    /// For tags, nonces and waits.
    pub number: u32,
}

/// Why we are not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    /// Its name leads nowhere.
    NoAddress,
    /// It does not answer.
    Silent,
    /// It wants credentials that we do not have, or a kind of digest that we do not know.
    Unanswerable,
    /// User name or password are wrong.
    Credentials,
    /// It refuses, with this status, for so many seconds if it says so.
    Refused(u16, Option<u32>),
    /// It grants no time.
    NoTime,
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("the gateway has no address: check its host"),
            Self::Silent => f.write_str("the gateway does not answer"),
            Self::Unanswerable => {
                f.write_str("the gateway asks for a password, and the gateway has none here")
            }
            Self::Credentials => f.write_str("the gateway refuses user name and password"),
            Self::Refused(status, _) => write!(f, "the gateway answers {status}"),
            Self::NoTime => f.write_str("the gateway accepts, and grants no time"),
        }
    }
}

/// What is wanted of a carrier; another one is another registration.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) gateway: Arc<Gateway>,
    pub(super) user: String,
    domain: String,
    expiry_s: u32,
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        let place = |w: &Self| (w.gateway.host.clone(), w.gateway.port, w.gateway.transport);
        (&self.user, &self.domain, self.expiry_s) == (&other.user, &other.domain, other.expiry_s)
            && place(self) == place(other)
            && self.gateway.auth == other.gateway.auth
    }
}

impl Wanted {
    /// `None` if the gateway wants no registration.
    pub(super) fn of(gateway: &Arc<Gateway>) -> Option<Self> {
        let registration = gateway.registration.as_ref()?;
        let by_auth = gateway.auth.as_ref().map(|auth| &auth.username);
        let domain = registration.domain.as_ref().unwrap_or(&gateway.host);
        Some(Self {
            user: registration.user.as_ref().or(by_auth)?.clone(),
            domain: if domain.contains(':') {
                format!("[{domain}]")
            } else {
                domain.clone()
            },
            expiry_s: registration.expiry_s,
            gateway: gateway.clone(),
        })
    }

    fn aor(&self) -> String {
        format!("sip:{}@{}", escape_user(&self.user), self.domain)
    }
}

/// One registration.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) wanted: Wanted,
    /// When the next request is due.
    pub(super) due: Option<Time>,
    /// Until when we are registered.
    pub(super) until: Option<Time>,
    /// A request is under way.
    pub(super) is_asking: bool,
    identity: Option<(Box<[u8]>, u32)>,
    cseq: u32,
    contact: String,
    /// What is asked for, in seconds: 0 to end it.
    expiry_s: u32,
    /// What the request under way asks for.
    asked_s: u32,
    session: Option<Session>,
    /// Challenges answered since the last success.
    challenges: u8,
    failures: u32,
    failure: Option<UpstreamFailure>,
    was_told: bool,
}

/// What a response means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Repeat,
    TryNext,
    Registered,
    Failed(UpstreamFailure),
}

impl Registration {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            expiry_s: wanted.expiry_s,
            wanted,
            due: None,
            until: None,
            is_asking: false,
            identity: None,
            cseq: 0,
            contact: String::new(),
            asked_s: 0,
            session: None,
            challenges: 0,
            failures: 0,
            failure: None,
            was_told: false,
        }
    }

    /// A new round of requests begins.
    pub(super) fn begin(&mut self) {
        self.is_asking = true;
        self.challenges = 0;
    }

    pub(super) fn write(&mut self, contact: &str, product: &str, dice: &Dice) -> Bytes {
        let identity = self
            .identity
            .get_or_insert_with(|| (dice.call_id.clone(), dice.number));
        let (call_id, tag) = identity.clone();
        self.cseq += 1;
        self.asked_s = self.expiry_s;
        let user = escape_user(&self.wanted.user);
        self.contact = contact.replacen("sip:", &format!("sip:{user}@"), 1);
        let (aor, uri) = (self.wanted.aor(), format!("sip:{}", self.wanted.domain));
        let mut w = Writer::request("REGISTER", uri.as_bytes());
        w.header_fmt("From", format_args!("<{aor}>;tag={tag:08x}"));
        w.header_fmt("To", format_args!("<{aor}>"));
        w.header("Call-ID", &call_id);
        w.header_fmt("CSeq", format_args!("{} REGISTER", self.cseq));
        w.header("Max-Forwards", b"70");
        w.header_fmt("Contact", format_args!("<{}>", self.contact));
        w.header_fmt("Expires", format_args!("{}", self.expiry_s));
        w.header("User-Agent", product.as_bytes());
        if let Some(value) = self.authorization(uri.as_bytes(), dice) {
            let name = self.session.as_ref().map_or("", Session::header_name);
            w.header(name, &value);
        }
        w.finish()
    }

    fn authorization(&mut self, uri: &[u8], dice: &Dice) -> Option<Vec<u8>> {
        let session = self.session.as_mut()?;
        let auth = self.wanted.gateway.auth.as_ref()?;
        let (username, password) = (auth.username.as_bytes(), auth.password.as_bytes());
        let ha1 = ha1(session.algorithm(), username, session.realm(), password);
        let cnonce = format!("{:08x}{:08x}", dice.number, self.cseq);
        Some(session.authorize(b"REGISTER", uri, username, &ha1, cnonce.as_bytes()))
    }

    pub(super) fn handle_response(&mut self, now: Time, response: &Message) -> Verdict {
        match response.status() {
            200..=299 => self.granted(now, response),
            401 | 407 => self.challenged(response),
            423 => self.too_brief(response),
            // RFC 3261 §21.5.4: another address may work.
            408 | 500..=599 => Verdict::TryNext,
            status => {
                let after_s = response.number(HeaderName::RetryAfter);
                Verdict::Failed(UpstreamFailure::Refused(status, after_s))
            }
        }
    }

    /// RFC 3261 §10.2.4: the time granted stands at our Contact, else in Expires.
    fn granted(&mut self, now: Time, response: &Message) -> Verdict {
        let ours = response
            .values(HeaderName::Contact)
            .filter_map(|value| NameAddr::parse(value).ok())
            .find(|address| address.uri == self.contact.as_bytes());
        let at_contact = ours.and_then(|address| {
            let value = address.params.value("expires")?;
            sip::lex::number(value)
        });
        let granted_s = at_contact
            .or_else(|| response.number(HeaderName::Expires))
            .unwrap_or(self.asked_s)
            .min(GRANTED_MAX_S);
        if self.asked_s > 0 && granted_s == 0 {
            return Verdict::Failed(UpstreamFailure::NoTime);
        }
        self.until = (granted_s > 0).then(|| now + Duration::from_secs(granted_s.into()));
        Verdict::Registered
    }

    fn challenged(&mut self, response: &Message) -> Verdict {
        if self.wanted.gateway.auth.is_none() {
            return Verdict::Failed(UpstreamFailure::Unanswerable);
        }
        let Ok(session) = Session::new(response) else {
            return Verdict::Failed(UpstreamFailure::Unanswerable);
        };
        let refused = self.challenges > 0 && !session.is_stale();
        if refused || self.challenges >= CHALLENGES_MAX {
            self.session = None;
            return Verdict::Failed(UpstreamFailure::Credentials);
        }
        self.session = Some(session);
        self.challenges += 1;
        Verdict::Repeat
    }

    /// RFC 3261 §10.2.8: once more, with the time that is wanted.
    fn too_brief(&mut self, response: &Message) -> Verdict {
        match response.number(HeaderName::MinExpires) {
            Some(min_s) if self.asked_s < min_s && min_s <= GRANTED_MAX_S => {
                self.expiry_s = min_s;
                Verdict::Repeat
            }
            _ => Verdict::Failed(UpstreamFailure::Refused(423, None)),
        }
    }

    /// Notes a success; whether that is news.
    pub(super) fn take_success(&mut self) -> bool {
        let is_news = !self.was_told || self.failure.is_some();
        self.is_asking = false;
        self.failures = 0;
        self.failure = None;
        self.was_told = true;
        is_news
    }

    /// Notes a failure; whether that is news.
    pub(super) fn take_failure(&mut self, failure: UpstreamFailure) -> bool {
        let is_news = self.failure.as_ref() != Some(&failure);
        self.is_asking = false;
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(failure);
        is_news
    }

    /// How long to wait after this failure and those before it.
    pub(super) fn wait_after(&self, failure: &UpstreamFailure) -> Duration {
        let wait_s = match failure {
            UpstreamFailure::Refused(_, Some(after_s)) => (*after_s).clamp(1, RETRY_AFTER_MAX_S),
            UpstreamFailure::NoAddress
            | UpstreamFailure::Silent
            | UpstreamFailure::Refused(500..=599, None) => {
                WAIT_MAX_S.min(WAIT_MIN_S << self.failures.min(10))
            }
            UpstreamFailure::Unanswerable
            | UpstreamFailure::Credentials
            | UpstreamFailure::NoTime
            | UpstreamFailure::Refused(..) => WAIT_MAX_S,
        };
        Duration::from_secs(wait_s.into())
    }

    /// It is to end.
    pub(super) fn leave(&mut self) {
        self.expiry_s = 0;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.expiry_s == 0
    }

    /// Whether the last request was the one that ends it.
    pub(super) fn has_said_farewell(&self) -> bool {
        self.is_leaving() && self.asked_s == 0
    }

    pub(super) fn view(&self, now: Time) -> GatewayRegistrationView {
        let until = self.until.filter(|until| *until > now);
        let state = match (until, &self.failure) {
            (Some(_), _) => GatewayRegistrationState::Registered,
            (None, None) => GatewayRegistrationState::Trying,
            (None, Some(_)) => GatewayRegistrationState::Failed,
        };
        let failure = self.failure.as_ref();
        GatewayRegistrationView {
            state,
            aor: self.wanted.aor(),
            expires_us: until.map(Time::as_micros),
            next_us: self.due.map(Time::as_micros),
            last_failure: failure.map_or_else(String::new, ToString::to_string),
        }
    }
}

/// How often challenges are answered in one round: the first, and one for a stale nonce.
const CHALLENGES_MAX: u8 = 2;
/// The longest registration that is believed, and the longest that a 423 may ask for.
const GRANTED_MAX_S: u32 = 7 * 86_400;
/// The first wait after a carrier that does not work; it doubles each time.
const WAIT_MIN_S: u32 = 5;
/// The longest wait, and the wait after a refusal.
const WAIT_MAX_S: u32 = 300;
/// The longest Retry-After that is obeyed.
const RETRY_AFTER_MAX_S: u32 = 3_600;
