//! Transactions (RFC 3261 §17, RFC 6026, RFC 4320): four small machines, and the table that
//! finds the right one for each message.
//!
//! The machines ([`InviteClient`], [`NonInviteClient`], [`InviteServer`], [`NonInviteServer`])
//! are plain values whose steps give [`Effect`]s. [`Transactions`] owns one per transaction,
//! does what they wish, and speaks to its user in [`Event`]s. After any `handle_*` or command,
//! drain [`Transactions::poll_output`].

mod branch;
mod client;
mod derive;
mod effect;
mod event;
mod id;
mod inherit;
mod invite_client;
mod invite_server;
mod key;
mod non_invite_client;
mod non_invite_server;
mod server;
mod timer;

use std::collections::VecDeque;

use bytes::Bytes;
use clock::{Time, TimerKey, Wheel};
use hashbrown::HashTable;

use crate::{Destination, Flow, ListenerId, Message, Method, Payload, Transmit};

pub use client::UDP_REQUEST_BYTES_MAX;
pub use effect::{Effect, Effects, Failure};
pub use event::{Event, TransactionOutput};
pub use id::{ClientId, ServerId};
pub use inherit::Inherited;
pub use invite_client::{InviteClient, InviteClientInput};
pub use invite_server::{InviteServer, InviteServerInput};
pub use key::response_address;
pub use non_invite_client::{NonInviteClient, NonInviteClientInput};
pub use non_invite_server::{NonInviteServer, NonInviteServerInput};
pub use timer::{Timer, Timers};

use branch::Tokens;
use client::Client;
use id::{Kind, Slots};
use server::Server;
use timer::TimerKind;

/// What [`Transactions`] is made of.
#[derive(Clone, Debug)]
pub struct TransactionConfig {
    /// The durations of timers.
    pub timers: Timers,
    /// The listeners, in any order.
    pub listeners: Vec<Listener>,
    /// The most transactions at a time. Beyond it new requests outside of dialogs get 503;
    /// requests inside of dialogs are still served up to a quarter more, so that calls can end.
    pub transactions_max: usize,
    /// Two random numbers. They make branches unpredictable and the tables safe from chosen
    /// collisions; the same seeds give the same output.
    pub seeds: [u64; 2],
}

impl TransactionConfig {
    /// The timers of the RFC and a million transactions.
    #[must_use]
    pub fn new(listeners: Vec<Listener>, seeds: [u64; 2]) -> Self {
        Self {
            timers: Timers::default(),
            listeners,
            transactions_max: 1_000_000,
            seeds,
        }
    }
}

/// How a listener presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Which one.
    pub id: ListenerId,
    /// The `host:port` written into Via.
    pub sent_by: Box<str>,
    /// Of a UDP listener, the TCP listener that sends requests too large for UDP (RFC 3261
    /// §18.1.1); without one they go over UDP.
    pub stream: Option<ListenerId>,
}

/// All transactions of one shard.
#[derive(Debug)]
pub struct Transactions {
    timers: Timers,
    transactions_max: usize,
    listeners: Vec<Listener>,
    tokens: Tokens,
    clients: Slots<Client>,
    /// Those that another node has begun.
    foreign: inherit::Foreign,
    servers: Slots<Server>,
    /// Servers by the key of RFC 3261 §17.2.3.
    by_key: HashTable<u32>,
    /// Servers by From tag, Call-ID and CSeq, to find merged requests (RFC 3261 §8.2.2.2).
    by_origin: HashTable<(u64, u32)>,
    wheel: Wheel<Alarm>,
    output: VecDeque<TransactionOutput>,
    /// Where keys are made; kept for its memory.
    scratch: Vec<u8>,
}

impl Transactions {
    /// An empty table.
    #[must_use]
    pub fn new(config: TransactionConfig) -> Self {
        Self {
            timers: config.timers,
            transactions_max: config.transactions_max,
            listeners: config.listeners,
            tokens: Tokens::new(config.seeds),
            clients: Slots::new(Kind::Client),
            foreign: inherit::Foreign::new(),
            servers: Slots::new(Kind::Server),
            by_key: HashTable::new(),
            by_origin: HashTable::new(),
            wheel: Wheel::new(),
            output: VecDeque::new(),
            scratch: Vec::new(),
        }
    }

    /// Adds a listener, or changes one.
    pub fn set_listener(&mut self, listener: Listener) {
        self.listeners.retain(|l| l.id != listener.id);
        self.listeners.push(listener);
    }

    /// Takes a message that passed [`Message::check`]. One without a usable Via is dropped.
    pub fn handle_message(&mut self, now: Time, flow: Flow, message: Message) {
        if !message.is_request() {
            return self.handle_response(now, flow, message);
        }
        match message.method() {
            Method::Ack => self.handle_ack(now, flow, message),
            Method::Cancel => self.handle_cancel(now, flow, &message),
            _ => self.handle_request(now, flow, message),
        }
    }

    /// Takes the report that a [`Transmit`] could not be sent. False if the key is not ours:
    /// keys with the two highest bits zero belong to the user.
    pub fn handle_transmit_failed(&mut self, now: Time, key: u64) -> bool {
        if let Some(id) = ClientId::from_u64(key) {
            self.client_transmit_failed(now, id);
        } else if let Some(id) = ServerId::from_u64(key) {
            self.server_transmit_failed(now, id);
        } else {
            return false;
        }
        true
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(alarm) = self.wheel.pop_expired(now) {
            match alarm.kind {
                Kind::Client => self.client_timer(now, alarm),
                Kind::Server => self.server_timer(now, alarm),
            }
        }
    }

    /// When to call [`Transactions::handle_timeout`] next; may be early, never late.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.wheel.next_timeout()
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<TransactionOutput> {
        self.output.pop_front()
    }

    /// Transactions that are not over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether there is no transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn event(&mut self, event: Event) {
        self.output.push_back(TransactionOutput::Event(event));
    }

    fn transmit(&mut self, to: Destination, bytes: Payload, key: u64) {
        let transmit = Transmit { to, bytes, key };
        self.output.push_back(TransactionOutput::Transmit(transmit));
    }
}

/// What the wheel gives back.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    index: u32,
    kind: Kind,
    timer: Timer,
}

/// The timers a transaction has set, by kind.
#[derive(Debug, Default)]
struct Alarms {
    retransmission: Option<TimerKey>,
    lifetime: Option<TimerKey>,
}

impl Alarms {
    fn slot(&mut self, kind: TimerKind) -> &mut Option<TimerKey> {
        match kind {
            TimerKind::Retransmission => &mut self.retransmission,
            TimerKind::Lifetime => &mut self.lifetime,
        }
    }

    fn set(&mut self, wheel: &mut Wheel<Alarm>, at: Time, alarm: Alarm) {
        let slot = self.slot(alarm.timer.kind());
        if let Some(key) = slot.take() {
            wheel.cancel(key);
        }
        *slot = Some(wheel.insert(at, alarm));
    }

    fn stop(&mut self, wheel: &mut Wheel<Alarm>, kind: TimerKind) {
        if let Some(key) = self.slot(kind).take() {
            wheel.cancel(key);
        }
    }

    fn stop_all(&mut self, wheel: &mut Wheel<Alarm>) {
        self.stop(wheel, TimerKind::Retransmission);
        self.stop(wheel, TimerKind::Lifetime);
    }
}

/// A message that came in, until it is delivered.
type Incoming = Option<(Flow, Message)>;

/// No bytes; frees what was there.
const NOTHING: Payload = Bytes::new();

#[cfg(test)]
mod tests;
