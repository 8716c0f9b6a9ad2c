//! The DTLS handshake of one port (RFC 5764), and the keys that come of it.
//!
//! Two libraries share the work. A peer that begins and knows DTLS 1.3, which browsers do, gets
//! it; everybody else gets DTLS 1.2 of the library that takes certificates of any kind. It is
//! decided by the first packet, or before it: no peer tries a second time after a refusal.

mod hello;
mod version12;
mod version13;

use std::fmt;
use std::time::Instant;

use rtp::srtp::{MasterKey, Suite};

use super::keys::Keys;
use super::security::{DtlsTerms, Role};
pub(super) use hello::is_client_hello;
pub(crate) use version12::Context;
use version12::{Cookie, Version12};
use version13::Version13;

/// A handshake under way, or the connection that it has become.
pub(super) struct Handshake {
    version: Version,
    /// What the peer's ClientHello is known by, as long as nothing else came of it. Anybody can
    /// forge one; another is given its chance until one was followed up.
    hello: Option<hello::Random>,
    /// What the peer's last ClientHello was known by, for good.
    begun_with: Option<hello::Random>,
    /// Whether the keys are there.
    is_done: bool,
    /// How many ClientHellos are still let in.
    chances: u32,
    /// The same for all of them.
    cookie: Cookie,
}

enum Version {
    V12(Box<Version12>),
    V13(Box<Version13>),
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.version {
            Version::V12(_) => "Handshake 1.2",
            Version::V13(_) => "Handshake 1.3",
        })
    }
}

/// What a step of a handshake brings.
#[derive(Debug)]
pub(super) enum Step {
    /// It goes on, or is done.
    Going,
    /// The keys are there.
    Keyed(Box<Keys>),
    /// The peer has closed the connection, and may begin another.
    Closed,
    /// It cannot go on: broken by the peer or by somebody who pretends to be it.
    Failed,
    /// The certificate is not the announced one.
    Stranger,
    /// The peer knows no version that we do.
    Outdated,
}

/// Whether a packet is DTLS and nothing else that shares a port (RFC 7983 §7).
pub(super) fn is_dtls(bytes: &[u8]) -> bool {
    matches!(bytes, [20..=63, ..])
}

impl Handshake {
    /// One that the peer begins, with a packet that has its ClientHello. `None` if the library
    /// refuses to begin.
    pub(super) fn accept(terms: &DtlsTerms, client_hello: &[u8], now: Instant) -> Option<Self> {
        let mut cookie = Cookie::default();
        getrandom::fill(&mut cookie).ok()?;
        Some(Self {
            version: Version::for_client(terms, client_hello, cookie, now)?,
            hello: hello::random(client_hello),
            begun_with: hello::random(client_hello),
            is_done: false,
            chances: CHANCES,
            cookie,
        })
    }

    /// One that we begin, at the next [`Handshake::handle_timeout`]. `None` as above.
    ///
    /// In DTLS 1.2 always: whether the peer's certificate is one for the other library cannot be
    /// known before it is too late.
    pub(super) fn connect(terms: &DtlsTerms) -> Option<Self> {
        let cookie = Cookie::default();
        let version12 = Version12::new(terms, cookie)?;
        Some(Self {
            version: Version::V12(Box::new(version12)),
            hello: None,
            begun_with: None,
            is_done: false,
            chances: 0,
            cookie,
        })
    }

    /// When [`Handshake::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.version {
            Version::V12(version12) => version12.poll_timeout(),
            Version::V13(version13) => version13.poll_timeout(),
        }
    }

    /// Takes a packet of the peer; `send` gets what leaves for it.
    pub(super) fn handle_packet(
        &mut self,
        terms: &DtlsTerms,
        bytes: &[u8],
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Step {
        self.give_chance(terms, bytes, now);
        let step = match &mut self.version {
            Version::V12(version12) => version12.handle_packet(bytes, now, send),
            Version::V13(version13) => version13.handle_packet(terms, bytes, now, send),
        };
        self.is_done |= matches!(step, Step::Keyed(_));
        step
    }

    /// Whether it is done, and a packet begins another one.
    pub(super) fn is_followed_by(&self, bytes: &[u8]) -> bool {
        let random = hello::random(bytes).filter(|_| self.is_done);
        random.is_some() && random != self.begun_with
    }

    /// Goes on after a while.
    pub(super) fn handle_timeout(
        &mut self,
        terms: &DtlsTerms,
        now: Instant,
        send: impl FnMut(&[u8]),
    ) -> Step {
        let step = match &mut self.version {
            Version::V12(version12) => version12.handle_timeout(now, send),
            Version::V13(version13) => version13.handle_timeout(terms, now, send),
        };
        self.is_done |= matches!(step, Step::Keyed(_));
        step
    }

    /// Begins anew for another ClientHello, if none was followed up yet.
    fn give_chance(&mut self, terms: &DtlsTerms, bytes: &[u8], now: Instant) {
        let Some(known) = self.hello else {
            return;
        };
        self.hello = hello::random(bytes);
        self.begun_with = self.hello.or(self.begun_with);
        if self.hello.is_none_or(|random| random == known) || self.chances == 0 {
            return;
        }
        // The other library tells ClientHellos apart by itself, with cookies.
        if matches!(self.version, Version::V13(_)) && hello::may_offer_version_13(bytes) {
            return;
        }
        if let Some(version) = Version::for_client(terms, bytes, self.cookie, now) {
            self.version = version;
            self.chances -= 1;
        }
    }
}

impl Version {
    fn for_client(
        terms: &DtlsTerms,
        client_hello: &[u8],
        cookie: Cookie,
        now: Instant,
    ) -> Option<Self> {
        Some(match hello::may_offer_version_13(client_hello) {
            true => Self::V13(Box::new(Version13::new(terms, now))),
            false => Self::V12(Box::new(Version12::new(terms, cookie)?)),
        })
    }
}

/// The keys of both directions: the client's, the server's, then the salts (RFC 5764 §4.2).
fn keys(material: &[u8], suite: Suite, role: Role) -> Option<Keys> {
    let (client_key, rest) = material.split_at_checked(suite.key_bytes())?;
    let (server_key, rest) = rest.split_at_checked(suite.key_bytes())?;
    let (client_salt, server_salt) = rest.split_at_checked(suite.salt_bytes())?;
    let client = MasterKey::new(suite, &[client_key, client_salt].concat())?;
    let server = MasterKey::new(suite, &[server_key, server_salt].concat())?;
    Some(match role {
        Role::Client => Keys::new(&server, &client),
        Role::Server => Keys::new(&client, &server),
    })
}

/// ClientHellos that a handshake is begun anew for.
const CHANCES: u32 = 16;
