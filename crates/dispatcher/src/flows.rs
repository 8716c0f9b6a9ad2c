//! Keep-alives for phones on UDP: the one who holds their flow keeps the NATs on the way open.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clock::{Time, Wheel};
use forward::End;
use sip::{Destination, Flow, HeaderName, ListenerId, Message, NameAddr, Transport};

use crate::Dispatcher;

/// The phones on UDP that registered through us, and for how long.
#[derive(Debug)]
pub(crate) struct Flows {
    until: BTreeMap<(ListenerId, SocketAddr), Time>,
    wheel: Wheel<(ListenerId, SocketAddr)>,
}

impl Flows {
    pub(crate) fn new() -> Self {
        Self {
            until: BTreeMap::new(),
            wheel: Wheel::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.until.len()
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.wheel.next_timeout()
    }

    fn keep(&mut self, now: Time, phone: (ListenerId, SocketAddr), until: Time) {
        if self.until.len() >= FLOWS_MAX && !self.until.contains_key(&phone) {
            return;
        }
        if self.until.insert(phone, until).is_none() {
            self.wheel.insert(now + INTERVAL, phone);
        }
    }

    /// The next phone whose turn it is.
    fn poll_due(&mut self, now: Time) -> Option<(ListenerId, SocketAddr)> {
        while let Some(phone) = self.wheel.pop_expired(now) {
            match self.until.get(&phone) {
                Some(until) if *until > now => {
                    self.wheel.insert(now + INTERVAL, phone);
                    return Some(phone);
                }
                _ => {
                    self.until.remove(&phone);
                }
            }
        }
        None
    }
}

impl Dispatcher {
    /// A registration was accepted: the phone is kept until it runs out.
    pub(crate) fn note_registration(&mut self, now: Time, end: &End, answer: &Message) {
        if end.transport == Transport::Udp {
            let until = now + lifetime(answer);
            self.flows.keep(now, (end.listener, end.remote), until);
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

/// How long the longest of the contacts in an answer lives; zero if there is none.
fn lifetime(answer: &Message) -> Duration {
    let whole = answer.number(HeaderName::Expires);
    let lives = answer.values(HeaderName::Contact).map(|contact| {
        let own = NameAddr::parse(contact).ok();
        let own = own.and_then(|contact| contact.params.value("expires"));
        own.and_then(sip::lex::number)
            .or(whole)
            .unwrap_or(LIFETIME_S)
    });
    Duration::from_secs(lives.max().unwrap_or(0).into())
}

/// Shorter than the least that NATs keep a UDP mapping in practice, 30 s.
const INTERVAL: Duration = Duration::from_secs(25);
/// A registration that does not say how long it holds (RFC 3261 §10.2.1.1).
const LIFETIME_S: u32 = 3_600;
/// The most phones that are kept; more get no keep-alives from us.
const FLOWS_MAX: usize = 500_000;
