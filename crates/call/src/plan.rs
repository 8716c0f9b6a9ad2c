//! Whom to offer a call to, in which order.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::Destination;

use crate::config::MediaMode;
use crate::headers::Trust;
use crate::io::Keys;

/// The most attempts of one call; what would go beyond is left out.
pub const ATTEMPTS_MAX: usize = 64;

/// Attempts in order. Those of one stage ring together; the next stage begins when all of the
/// last one have failed in a way that lets others try.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The attempts, sorted by stage.
    pub attempts: Vec<Attempt>,
    /// How media travels.
    pub media: MediaMode,
}

/// One place to offer the call to.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which attempts ring together.
    pub stage: u16,
    /// The owner's name for it: comes back in [`crate::Output::Dial`] and with its end.
    pub token: u32,
    /// The request URI.
    pub uri: Box<[u8]>,
    /// The To value.
    pub to: Box<[u8]>,
    /// The From value, without tag.
    pub from: Box<[u8]>,
    /// P-Asserted-Identity of ours, a whole value; empty adds none.
    pub identity: Box<[u8]>,
    /// Whether it may see identities marked as private (RFC 3325 §7).
    pub trust: Trust,
    /// How it gives and takes keys.
    pub keys: Keys,
    /// Route values to preload (Path), as a comma list.
    pub routes: Box<[u8]>,
    /// Where to send, if known; else the URI is resolved.
    pub destination: Option<Destination>,
    /// Its own address, where requests for it go to somebody who passes them on: its media comes
    /// from there.
    pub beyond: Option<IpAddr>,
    /// How we answer its challenges; `None` lets them fail.
    pub credentials: Option<Arc<Credentials>>,
    /// How long it may stay without any answer.
    pub silence_max: Duration,
    /// How long it may ring.
    pub ring_max: Duration,
    /// What its 3xx may do.
    pub redirects: Redirects,
    /// Which of its failures let the next stage try.
    pub yields: Yields,
}

impl Attempt {
    /// What leads to it: the first of its routes, else its URI (RFC 3261 §8.1.2).
    #[must_use]
    pub fn next_hop(&self) -> &[u8] {
        sip::lex::commas(&self.routes)
            .next()
            .and_then(|route| sip::NameAddr::parse(route).ok())
            .map_or(&*self.uri, |route| route.uri)
    }
}

/// Our identity towards a callee that challenges us.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The digest user name.
    pub username: Box<str>,
    /// The password.
    pub password: Box<str>,
}

impl core::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// What a 3xx of an attempt may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// The owner is asked where its contacts lead.
    Follow,
    /// It counts as a failure.
    Refuse,
}

/// Which failures of an attempt let the next stage try; 6xx never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yields {
    /// Any: the contacts of a user rung one after the other.
    AnyFailure,
    /// Silence, 408 and 5xx: the gateways of carriers. What a gateway says of the called party
    /// holds for all of them.
    Trouble,
}
