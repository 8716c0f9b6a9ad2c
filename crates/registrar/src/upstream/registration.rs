//! One registration of ours: its requests, its credentials, how it stands.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use model::{Gateway, GatewayRegistrationState, GatewayRegistrationView};
use sip::digest::{Session, Side, ha1};
use sip::uri::escape_user;
use sip::{ConnId, Destination, Flow, HeaderName, Message, NameAddr, Writer};

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
    /// It wants credentials, and we have none.
    NoCredentials,
    /// It wants a kind of digest that we do not know.
    UnknownDigest,
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
            Self::NoCredentials => {
                f.write_str("the gateway asks for a password, and none is set for it here")
            }
            Self::UnknownDigest => {
                f.write_str("the gateway asks for a kind of digest that is not known here")
            }
            Self::Credentials => f.write_str("the gateway refuses user name and password"),
            Self::Refused(status, _) => write!(f, "the gateway answers {status}"),
            Self::NoTime => f.write_str("the gateway accepts, and grants no time"),
        }
    }
}

/// What is wanted of a carrier.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) gateway: Arc<Gateway>,
    pub(super) user: String,
    domain: String,
    expiry_s: u32,
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

    pub(super) fn aor(&self) -> String {
        format!("sip:{}@{}", escape_user(&self.user), self.domain)
    }

    /// Where calls are to come: as `contact`, our own URI, has it, or at another place by its
    /// transport.
    fn contact(&self, contact: &str) -> String {
        let user = escape_user(&self.user);
        let registration = self.gateway.registration.as_ref();
        let Some(place) = registration.and_then(|r| r.contact.as_deref()) else {
            return contact.replacen("sip:", &format!("sip:{user}@"), 1);
        };
        let parameters = contact.split_once(';').map_or("", |(_, all)| all);
        let separator = if parameters.is_empty() { "" } else { ";" };
        format!("sip:{user}@{place}{separator}{parameters}")
    }

    /// Whether it is the same binding at the same place: address of record and Contact stay.
    pub(super) fn is_at_the_place_of(&self, other: &Self) -> bool {
        fn place(of: &Wanted) -> impl PartialEq + '_ {
            let gateway = &of.gateway;
            let aor = (&of.user, &of.domain);
            let contact = gateway.registration.as_ref().map(|r| &r.contact);
            (aor, contact, &gateway.host, gateway.port, gateway.transport)
        }
        place(self) == place(other)
    }

    /// Whether the carrier has to be asked anew for the other.
    fn asks_like(&self, other: &Self) -> bool {
        self.expiry_s == other.expiry_s && self.gateway.auth == other.gateway.auth
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
    asking: Asking,
    /// It is to end.
    is_leaving: bool,
    /// The connection that the carrier accepted us on, if there is one, and since when.
    pub(super) flow: Option<(Flow, Time)>,
    /// When the connection is to be kept alive.
    pub(super) ping_due: Option<Time>,
    /// Connections lost one after the other, each soon after we registered on it.
    drops: u32,
    identity: Option<(Box<[u8]>, u32)>,
    cseq: u32,
    contact: String,
    /// The Contact of a node that had the registration before and cannot end it any more.
    predecessor: Option<String>,
    /// What is asked for, in seconds, until it is to end.
    expiry_s: u32,
    /// What the request under way asks for.
    asked_s: u32,
    /// Whom the last request went to.
    asked: Option<Destination>,
    /// What was accepted of a registrar's challenge and of a proxy's before it: both may want
    /// credentials (RFC 3261 §22.3).
    challenged: [Challenged; 2],
    failures: u32,
    failure: Option<UpstreamFailure>,
    was_told: bool,
}

/// What a registration waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asking {
    #[default]
    Nothing,
    /// The answer to what is wanted.
    Wanted,
    /// The answer to what was wanted when it was asked: the next request follows at once.
    Outdated,
}

/// The challenges of one side.
#[derive(Debug, Default)]
struct Challenged {
    session: Option<Session>,
    /// How many were answered in this round.
    answered: u8,
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
            asking: Asking::Nothing,
            is_leaving: false,
            flow: None,
            ping_due: None,
            drops: 0,
            identity: None,
            cseq: 0,
            contact: String::new(),
            predecessor: None,
            asked_s: 0,
            asked: None,
            challenged: Default::default(),
            failures: 0,
            failure: None,
            was_told: false,
        }
    }

    /// A new round of requests begins.
    pub(super) fn begin(&mut self) {
        self.asking = Asking::Wanted;
        for challenged in &mut self.challenged {
            challenged.answered = 0;
        }
    }

    /// Takes over what is wanted now of the same binding; whether the carrier is to be asked
    /// anew, at once.
    pub(super) fn change(&mut self, wanted: Wanted) -> bool {
        let stays = self.wanted.asks_like(&wanted);
        if self.wanted.expiry_s != wanted.expiry_s {
            self.expiry_s = wanted.expiry_s;
        }
        if self.wanted.gateway.auth != wanted.gateway.auth {
            self.challenged = Default::default();
        }
        self.wanted = wanted;
        if stays {
            return false;
        }
        self.failures = 0;
        // One that waits to begin has asked nothing yet, and one that asks hears first.
        if self.is_asking() {
            self.asking = Asking::Outdated;
            return false;
        }
        self.cseq > 0
    }

    /// Whether a request is under way.
    pub(super) fn is_asking(&self) -> bool {
        self.asking != Asking::Nothing
    }

    /// The request under way is answered; whether the next follows at once.
    pub(super) fn take_outdated(&mut self) -> bool {
        core::mem::take(&mut self.asking) == Asking::Outdated
    }

    pub(super) fn write(
        &mut self,
        to: &Destination,
        contact: &str,
        product: &str,
        dice: &Dice,
    ) -> Bytes {
        if self.asked.as_ref() != Some(to) {
            // Another server has challenges of its own.
            self.challenged = Default::default();
            self.asked = Some(to.clone());
        }
        self.asking = Asking::Wanted;
        let identity = self
            .identity
            .get_or_insert_with(|| (dice.call_id.clone(), dice.number));
        let (call_id, tag) = identity.clone();
        self.cseq += 1;
        self.asked_s = if self.is_leaving { 0 } else { self.expiry_s };
        self.contact = self.wanted.contact(contact);
        let (aor, uri) = (self.wanted.aor(), format!("sip:{}", self.wanted.domain));
        let mut w = Writer::request("REGISTER", uri.as_bytes());
        w.header_fmt("From", format_args!("<{aor}>;tag={tag:08x}"));
        w.header_fmt("To", format_args!("<{aor}>"));
        w.header("Call-ID", &call_id);
        w.header_fmt("CSeq", format_args!("{} REGISTER", self.cseq));
        w.header("Max-Forwards", b"70");
        w.header_fmt("Contact", format_args!("<{}>", self.contact));
        let before = self.predecessor.as_ref().filter(|_| !self.is_leaving);
        if let Some(before) = before.filter(|before| **before != self.contact) {
            // In the same request: the carrier has one of us at any time.
            w.header_fmt("Contact", format_args!("<{before}>;expires=0"));
        }
        w.header_fmt("Expires", format_args!("{}", self.asked_s));
        w.header("User-Agent", product.as_bytes());
        self.authorize(&mut w, uri.as_bytes(), dice);
        w.finish()
    }

    fn authorize(&mut self, w: &mut Writer, uri: &[u8], dice: &Dice) {
        let Some(auth) = &self.wanted.gateway.auth else {
            return;
        };
        let (username, password) = (auth.username.as_bytes(), auth.password.as_bytes());
        let cnonce = format!("{:08x}{:08x}", dice.number, self.cseq);
        let sessions = self.challenged.iter_mut();
        for session in sessions.filter_map(|challenged| challenged.session.as_mut()) {
            let ha1 = ha1(session.algorithm(), username, session.realm(), password);
            let cnonce = cnonce.as_bytes();
            let value = session.authorize(b"REGISTER", uri, username, &ha1, cnonce);
            w.header(session.header_name(), &value);
        }
    }

    pub(super) fn handle_response(&mut self, now: Time, response: &Message) -> Verdict {
        match response.status() {
            200..=299 => self.granted(now, response),
            401 => self.challenged(Side::UserAgent, response),
            407 => self.challenged(Side::Proxy, response),
            423 => self.too_brief(response),
            // RFC 3261 §21.5.4: another address may work.
            408 | 500..=599 => Verdict::TryNext,
            // A carrier that takes one Contact at a time: the other ends by itself.
            400..=499 if self.predecessor.take().is_some() => Verdict::Repeat,
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
        self.predecessor = None;
        self.until = (granted_s > 0).then(|| now + Duration::from_secs(granted_s.into()));
        Verdict::Registered
    }

    fn challenged(&mut self, side: Side, response: &Message) -> Verdict {
        if self.wanted.gateway.auth.is_none() {
            return Verdict::Failed(UpstreamFailure::NoCredentials);
        }
        let Ok(session) = Session::new(response) else {
            return Verdict::Failed(UpstreamFailure::UnknownDigest);
        };
        let known = &mut self.challenged[side as usize];
        let refused = known.answered > 0 && !session.is_stale();
        if refused || known.answered >= CHALLENGES_MAX {
            self.challenged = Default::default();
            return Verdict::Failed(UpstreamFailure::Credentials);
        }
        known.session = Some(session);
        known.answered += 1;
        Verdict::Repeat
    }

    /// RFC 3261 §10.2.8: once more, with the time that is wanted.
    fn too_brief(&mut self, response: &Message) -> Verdict {
        match response.number(HeaderName::MinExpires) {
            // The end of a registration is no interval.
            _ if self.is_leaving => Verdict::Failed(UpstreamFailure::Refused(423, None)),
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
        self.failures = 0;
        self.failure = None;
        self.was_told = true;
        is_news
    }

    /// Notes a failure; whether that is news.
    pub(super) fn take_failure(&mut self, failure: UpstreamFailure) -> bool {
        let is_news = self.failure.as_ref() != Some(&failure);
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(failure);
        is_news
    }

    /// How long to wait after this failure and those before it.
    pub(super) fn wait_after(&self, failure: &UpstreamFailure) -> Duration {
        let usual_s = match failure {
            UpstreamFailure::NoAddress
            | UpstreamFailure::Silent
            | UpstreamFailure::Refused(408 | 500..=599, _) => doubled_s(self.failures),
            UpstreamFailure::NoCredentials
            | UpstreamFailure::UnknownDigest
            | UpstreamFailure::Credentials
            | UpstreamFailure::NoTime
            | UpstreamFailure::Refused(..) => WAIT_MAX_S,
        };
        let after_s = match failure {
            UpstreamFailure::Refused(_, Some(after_s)) => (*after_s).min(RETRY_AFTER_MAX_S),
            _ => 0,
        };
        Duration::from_secs(usual_s.max(after_s).into())
    }

    /// The carrier accepted us, on this path.
    pub(super) fn take_flow(&mut self, now: Time, flow: Flow) {
        let known = self.flow.is_some_and(|(known, _)| known.conn == flow.conn);
        if !known {
            self.flow = flow.conn.map(|_| (flow, now));
        }
    }

    /// The connection is gone; how long to wait before we register on another one: not at all,
    /// unless connections end time after time as soon as they are made (RFC 5626 §4.5).
    pub(super) fn lose_flow(&mut self, now: Time) -> Duration {
        let lasted = self.flow.take().map(|(_, since)| now.since(since));
        if lasted.is_some_and(|lasted| lasted >= FLOW_STABLE) {
            self.drops = 0;
        }
        self.drops = self.drops.saturating_add(1);
        match self.drops {
            0 | 1 => Duration::ZERO,
            again => Duration::from_secs(doubled_s(again - 2).into()),
        }
    }

    pub(super) fn conn(&self) -> Option<ConnId> {
        self.flow.and_then(|(flow, _)| flow.conn)
    }

    /// Our Contact there, once a request was written.
    pub(super) fn contact(&self) -> &str {
        &self.contact
    }

    /// Takes the place of another node's Contact.
    pub(super) fn succeed(&mut self, contact: &str) {
        let is_uri = sip::Uri::parse(contact.as_bytes()).is_ok();
        self.predecessor = is_uri.then(|| contact.to_owned());
    }

    /// It is to end.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Whether the last request was the one that ends it.
    pub(super) fn has_said_farewell(&self) -> bool {
        self.is_leaving && self.asked_s == 0
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
            node: None,
        }
    }
}

/// The wait after so many failures before this one.
fn doubled_s(failures: u32) -> u32 {
    WAIT_MAX_S.min(WAIT_MIN_S << failures.min(10))
}

/// How often the challenges of one side are answered in one round: the first, and one for a stale nonce.
const CHALLENGES_MAX: u8 = 2;
/// The longest registration that is believed, and the longest that a 423 may ask for.
const GRANTED_MAX_S: u32 = 7 * 86_400;
/// The first wait after a carrier that does not work; it doubles each time.
const WAIT_MIN_S: u32 = 5;
/// The longest wait, and the wait after a refusal.
const WAIT_MAX_S: u32 = 300;
/// The longest Retry-After that is obeyed.
const RETRY_AFTER_MAX_S: u32 = 3_600;
/// A connection that lasts so long is not one that ends as soon as it is made (RFC 5626 §4.5).
const FLOW_STABLE: Duration = Duration::from_secs(120);
