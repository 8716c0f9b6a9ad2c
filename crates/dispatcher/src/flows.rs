//! Keep-alives for phones on UDP: the one who holds their flow keeps the NATs on the way open.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clock::{Time, Wheel};
use forward::End;
use sip::uri::Uri;
use sip::{Destination, Flow, HeaderName, ListenerId, Message, NameAddr, Transport};
use smallvec::SmallVec;

use crate::Dispatcher;

/// The phones on UDP that registered through us.
#[derive(Debug)]
pub(crate) struct Flows {
    lines: BTreeMap<(ListenerId, SocketAddr), Lines>,
    wheel: Wheel<(ListenerId, SocketAddr)>,
}

impl Flows {
    pub(crate) fn new() -> Self {
        Self {
            lines: BTreeMap::new(),
            wheel: Wheel::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.wheel.next_timeout()
    }

    /// Keeps a phone until then for the sake of one of its lines.
    fn keep(&mut self, now: Time, phone: (ListenerId, SocketAddr), line: u32, until: Time) {
        if self.lines.len() >= FLOWS_MAX && !self.lines.contains_key(&phone) {
            return;
        }
        let wheel = &mut self.wheel;
        let lines = self.lines.entry(phone).or_insert_with(|| {
            wheel.insert(now + INTERVAL, phone);
            Lines::new()
        });
        let has_room = lines.len() < LINES_MAX;
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, known)) => *known = until,
            None if has_room => lines.push((line, until)),
            // A ping too many harms nobody.
            None => lines
                .iter_mut()
                .for_each(|(_, known)| *known = (*known).max(until)),
        }
    }

    /// The next phone whose turn it is.
    fn poll_due(&mut self, now: Time) -> Option<(ListenerId, SocketAddr)> {
        while let Some(phone) = self.wheel.pop_expired(now) {
            let Some(lines) = self.lines.get_mut(&phone) else {
                continue;
            };
            lines.retain(|(_, until)| *until > now);
            if lines.is_empty() {
                self.lines.remove(&phone);
                continue;
            }
            self.wheel.insert(now + INTERVAL, phone);
            return Some(phone);
        }
        None
    }
}

/// What a phone has registered, each by a hash of its name, and until when: most have one.
type Lines = SmallVec<[(u32, Time); 1]>;

/// Contacts, and for how many seconds each.
type Contacts<'a> = SmallVec<[(Uri<'a>, u32); 2]>;

impl Dispatcher {
    /// A registration was accepted: the phone is kept until what it registered runs out.
    pub(crate) fn note_registration(
        &mut self,
        now: Time,
        end: &End,
        register: &Message,
        answer: &Message,
    ) {
        if end.transport == Transport::Udp
            && let Some(lifetime) = lifetime(register, answer)
        {
            let name = register.to().map(|to| to.uri).unwrap_or_default();
            let (line, until) = (self.seal.choice(name) as u32, now + lifetime);
            let phone = (end.listener, end.remote);
            self.flows.keep(now, phone, line, until);
        }
    }

    /// Sends keep-alives to those whose turn it is.
    pub(crate) fn send_keep_alives(&mut self, now: Time) {
        while let Some((listener, remote)) = self.flows.poll_due(now) {
            let flow = Flow {
                transport: Transport::Udp,
                listener,
                conn: None,
                remote,
            };
            self.transmit(Destination::Flow(flow), Bytes::from_static(b"\r\n\r\n"), 0);
        }
    }
}

/// How long the contacts that a request named live; `None` if it named none and has only asked.
/// The answer lists those of all phones of the user: another one's say nothing of this flow.
fn lifetime(register: &Message, answer: &Message) -> Option<Duration> {
    if register.header(HeaderName::Contact) == Some(b"*") {
        return Some(Duration::ZERO);
    }
    let named: Contacts<'_> = contacts(register).collect();
    if named.is_empty() {
        return None;
    }
    let is_named = |uri: &Uri<'_>| named.iter().any(|(own, _)| own.is_equivalent(uri));
    let listed: Contacts<'_> = contacts(answer).collect();
    let mut lives = listed.iter().filter(|(uri, _)| is_named(uri)).peekable();
    let ends = named.iter().all(|(_, lifetime_s)| *lifetime_s == 0);
    let lifetime_s = if lives.peek().is_some() || ends {
        lives.map(|(_, lifetime_s)| *lifetime_s).max()
    } else {
        // Its registrar knows it by another name: one of these.
        listed.iter().map(|(_, lifetime_s)| *lifetime_s).max()
    };
    Some(Duration::from_secs(lifetime_s.unwrap_or(0).into()))
}

/// The contacts of a REGISTER or its answer, and for how many seconds each.
fn contacts(message: &Message) -> impl Iterator<Item = (Uri<'_>, u32)> {
    let whole = message.number(HeaderName::Expires);
    let values = message.values(HeaderName::Contact).take(CONTACTS_MAX);
    values.filter_map(move |value| {
        let contact = NameAddr::parse(value).ok()?;
        let own = contact.params.value("expires");
        let lifetime_s = own.and_then(sip::lex::number).or(whole);
        Some((
            Uri::parse(contact.uri).ok()?,
            lifetime_s.unwrap_or(LIFETIME_S),
        ))
    })
}

/// Shorter than the least that NATs keep a UDP mapping in practice, 30 s.
const INTERVAL: Duration = Duration::from_secs(25);
/// The most contacts of a message that are looked at.
const CONTACTS_MAX: usize = 32;
/// A registration that does not say how long it holds (RFC 3261 §10.2.1.1).
const LIFETIME_S: u32 = 3_600;
/// The most lines of a phone that are told apart.
const LINES_MAX: usize = 256;
/// The most phones that are kept; more get no keep-alives from us.
const FLOWS_MAX: usize = 500_000;
