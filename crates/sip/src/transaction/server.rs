//! The server transactions of the table.

use std::net::SocketAddr;

use clock::Time;

use super::key::{origin, response_address, write_key};
use super::{
    Alarm, Alarms, Effect, Effects, Event, Failure, Incoming, InviteServer, InviteServerInput,
    Kind, NOTHING, NonInviteServer, NonInviteServerInput, ServerId, Timer, Transactions,
};
use crate::{Destination, Flow, Framing, Message, Method, Payload, Transport, Via, Writer};

/// Seconds after which a peer turned away for lack of room may come again.
const RETRY_AFTER_S: u32 = 5;

/// A server transaction in the table.
#[derive(Debug)]
pub(super) struct Server {
    machine: Machine,
    /// How the request came.
    flow: Flow,
    /// Where responses go over UDP, and over a new connection.
    address: SocketAddr,
    way: Way,
    key: Box<[u8]>,
    key_hash: u64,
    /// The hash under which merged requests find it; `None` if it cannot be merged.
    pub(super) origin: Option<u64>,
    /// The request, while a 100 may have to be made of it; then empty.
    request: Payload,
    /// The latest response; empty if there is none, or it is not needed any more.
    response: Payload,
    /// The reliable provisional response that waits for its PRACK; else empty.
    reliable: Payload,
    alarms: Alarms,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Machine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

/// Which way responses take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Where the request came from.
    Back,
    /// Over a new connection, the old one being gone (RFC 3261 §18.2.2).
    Anew,
}

#[derive(Clone, Copy)]
enum Input {
    Retransmission,
    Ack,
    Respond(u16),
    RespondReliably,
    Pracked,
    Acknowledged,
    Forsake,
    Timer(Timer),
    TransportError,
}

impl Server {
    /// How its INVITE came, and the 2xx that waits for its ACK.
    pub(super) fn unacknowledged(&self) -> Option<(Flow, Payload)> {
        let Machine::Invite(InviteServer::Accepted { success: Some(_) }) = self.machine else {
            return None;
        };
        Some((self.flow, self.response.clone()))
    }
}

impl Transactions {
    /// Sends a response of the given status: complete bytes, with the Vias of the request
    /// ([`Writer::response`]). A 2xx to INVITE is sent again until
    /// [`Transactions::acknowledged`]. What the transaction may not send any more is dropped: a
    /// second final response, and for requests other than INVITE provisional responses and 408
    /// (RFC 4320 §4.1; the transaction makes its own 100).
    pub fn respond(&mut self, now: Time, server: ServerId, status: u16, response: Payload) {
        self.step_server(now, server, Input::Respond(status), Some(response));
    }

    /// Sends a provisional response to INVITE again and again until [`Transactions::pracked`]
    /// (RFC 3262 §3). One at a time.
    pub fn respond_reliably(&mut self, now: Time, server: ServerId, response: Payload) {
        if let Some(entry) = self.servers.by_name(server.as_u64()) {
            entry.reliable = response.clone();
            self.step_server(now, server, Input::RespondReliably, Some(response));
        }
    }

    /// The PRACK for the reliable provisional response came.
    pub fn pracked(&mut self, now: Time, server: ServerId) {
        self.step_server(now, server, Input::Pracked, None);
        if let Some(entry) = self.servers.by_name(server.as_u64()) {
            entry.reliable = NOTHING;
        }
    }

    /// The ACK for the 2xx came.
    pub fn acknowledged(&mut self, now: Time, server: ServerId) {
        self.step_server(now, server, Input::Acknowledged, None);
    }

    /// Leaves an INVITE to somebody else who has it, too: nothing is sent to its peer any more, CANCEL
    /// and what comes again are passed over, and after half a minute it is forgotten.
    pub fn forsake(&mut self, now: Time, server: ServerId) {
        self.step_server(now, server, Input::Forsake, None);
    }

    pub(super) fn handle_request(&mut self, now: Time, flow: Flow, message: Message) {
        let Ok(via) = message.via() else {
            return;
        };
        let key_hash = self.key_of(&message, &via, message.method_text());
        if let Some(server) = self.server_by(key_hash) {
            return self.step_server(now, server, Input::Retransmission, None);
        }
        let address = response_address(&flow, &via);
        let origin = origin(&self.tokens, &message);
        // Only a request inside a dialog has no origin.
        let room = match origin {
            Some(_) => self.transactions_max,
            None => self.transactions_max + self.transactions_max / 4,
        };
        if self.len() >= room {
            return self.refuse(flow, address, &message, 503);
        }
        if origin.is_some_and(|hash| self.is_merged(hash)) {
            return self.refuse(flow, address, &message, 482);
        }
        let (machine, effects) = if message.method() == Method::Invite {
            let (machine, effects) = InviteServer::start(&self.timers);
            (Machine::Invite(machine), effects)
        } else {
            let (machine, effects) = NonInviteServer::start(&self.timers);
            (Machine::NonInvite(machine), effects)
        };
        let server = self.insert_server(machine, flow, address, key_hash);
        let index = server.index();
        if let Some(entry) = self.servers.by_name(server.as_u64()) {
            entry.origin = origin;
            entry.request = message.raw().clone();
        }
        if let Some(hash) = origin {
            let entry = (hash, index);
            self.by_origin.insert_unique(hash, entry, |(hash, _)| *hash);
        }
        self.apply_to_server(now, index, effects, Some((flow, message)));
    }

    /// An ACK belongs to an INVITE that was answered by other than 2xx, or to nobody here.
    pub(super) fn handle_ack(&mut self, now: Time, flow: Flow, message: Message) {
        let Some(server) = self.invite_of(&message) else {
            return self.event(Event::Ack { flow, message });
        };
        let effects = self.server_effects(server, Input::Ack);
        self.apply_to_server(now, server.index(), effects, Some((flow, message)));
    }

    /// RFC 3261 §9.2: 200 if there is something to cancel, else 481; either is sent again when
    /// the CANCEL is.
    pub(super) fn handle_cancel(&mut self, now: Time, flow: Flow, message: &Message) {
        let Ok(via) = message.via() else {
            return;
        };
        let invite = self.invite_of(message);
        let key_hash = self.key_of(message, &via, message.method_text());
        if let Some(server) = self.server_by(key_hash) {
            return self.step_server(now, server, Input::Retransmission, None);
        }
        if invite.is_some_and(|id| self.is_forsaken(id)) {
            return;
        }
        let address = response_address(&flow, &via);
        let machine = Machine::NonInvite(NonInviteServer::Trying);
        let cancel = self.insert_server(machine, flow, address, key_hash);
        let tag = invite
            .and_then(|id| self.tag_of(id))
            .unwrap_or_else(|| self.tag());
        let status = if invite.is_some() { 200 } else { 481 };
        let response = Writer::response(message, flow.remote, status, "", &tag).finish();
        self.respond(now, cancel, status, response);
        if let Some(server) = invite.filter(|id| self.is_proceeding(*id)) {
            let message = message.clone();
            self.event(Event::Cancel { server, message });
        }
    }

    pub(super) fn server_timer(&mut self, now: Time, alarm: Alarm) {
        if let Some((_, entry)) = self.servers.by_index(alarm.index) {
            *entry.alarms.slot(alarm.timer.kind()) = None;
            let server = self.servers.id(alarm.index);
            self.step_server(now, server, Input::Timer(alarm.timer), None);
        }
    }

    pub(super) fn server_transmit_failed(&mut self, now: Time, server: ServerId) {
        let Some(entry) = self.servers.by_name(server.as_u64()) else {
            return;
        };
        // A new connection needs no name to verify only on TCP.
        if entry.flow.transport == Transport::Tcp && entry.way == Way::Back {
            entry.way = Way::Anew;
            return self.send_server(server.index());
        }
        self.step_server(now, server, Input::TransportError, None);
    }

    /// Stores a server under the key that stands in the scratch buffer.
    pub(super) fn insert_server(
        &mut self,
        machine: Machine,
        flow: Flow,
        address: SocketAddr,
        key_hash: u64,
    ) -> ServerId {
        let server = Server {
            machine,
            flow,
            address,
            way: Way::Back,
            key: self.scratch.as_slice().into(),
            key_hash,
            origin: None,
            request: NOTHING,
            response: NOTHING,
            reliable: NOTHING,
            alarms: Alarms::default(),
        };
        let index = self.servers.insert(server) as u32;
        let servers = &self.servers;
        self.by_key
            .insert_unique(key_hash, index, |at| servers.at(*at).key_hash);
        servers.id(index)
    }

    /// Makes the key of RFC 3261 §17.2.3 in the scratch buffer, and its hash.
    pub(super) fn key_of(&mut self, message: &Message, via: &Via<'_>, method: &[u8]) -> u64 {
        write_key(&mut self.scratch, message, via, method);
        self.tokens.hash(&[&self.scratch])
    }

    /// The transaction with the key that stands in the scratch buffer.
    pub(super) fn server_by(&self, key_hash: u64) -> Option<ServerId> {
        let (servers, key) = (&self.servers, self.scratch.as_slice());
        let found = self
            .by_key
            .find(key_hash, |at| *servers.at(*at).key == *key);
        found.map(|at| servers.id(*at))
    }

    /// The transaction of an INVITE that has come here, by itself or by its ACK or CANCEL.
    pub fn invite_of(&mut self, message: &Message) -> Option<ServerId> {
        let via = message.via().ok()?;
        let key_hash = self.key_of(message, &via, b"INVITE");
        self.server_by(key_hash)
    }

    /// Whether the request came another way already (RFC 3261 §8.2.2.2).
    fn is_merged(&self, origin: u64) -> bool {
        self.by_origin
            .find(origin, |(hash, _)| *hash == origin)
            .is_some()
    }

    /// Answers without a transaction.
    fn refuse(&mut self, flow: Flow, address: SocketAddr, message: &Message, status: u16) {
        let tag = self.tag();
        let mut w = Writer::response(message, flow.remote, status, "", &tag);
        if status == 503 {
            w.header_fmt("Retry-After", format_args!("{RETRY_AFTER_S}"));
        }
        self.transmit(back(flow, address), w.finish(), 0);
    }

    fn step_server(
        &mut self,
        now: Time,
        server: ServerId,
        input: Input,
        response: Option<Payload>,
    ) {
        let effects = self.server_effects(server, input);
        if let Some(response) = response.filter(|_| effects.contains(&Effect::Send))
            && let Some(entry) = self.servers.by_name(server.as_u64())
        {
            entry.response = response;
            entry.request = NOTHING;
            if matches!(input, Input::Respond(200..)) {
                entry.reliable = NOTHING;
            }
        }
        self.apply_to_server(now, server.index(), effects, None);
    }

    fn server_effects(&mut self, server: ServerId, input: Input) -> Effects {
        let Some(entry) = self.servers.by_name(server.as_u64()) else {
            return Effects::new();
        };
        let transport = entry.flow.transport;
        match &mut entry.machine {
            Machine::Invite(machine) => {
                let input = match input {
                    Input::Retransmission => InviteServerInput::Retransmission,
                    Input::Ack => InviteServerInput::Ack,
                    Input::Respond(status) => InviteServerInput::Respond(status),
                    Input::RespondReliably => InviteServerInput::RespondReliably,
                    Input::Pracked => InviteServerInput::Pracked,
                    Input::Acknowledged => InviteServerInput::Acknowledged,
                    Input::Forsake => InviteServerInput::Forsake,
                    Input::Timer(timer) => InviteServerInput::Timer(timer),
                    Input::TransportError => InviteServerInput::TransportError,
                };
                machine.step(input, &self.timers, transport)
            }
            Machine::NonInvite(machine) => {
                let input = match input {
                    Input::Retransmission => NonInviteServerInput::Retransmission,
                    Input::Respond(status) => NonInviteServerInput::Respond(status),
                    Input::Timer(timer) => NonInviteServerInput::Timer(timer),
                    Input::TransportError => NonInviteServerInput::TransportError,
                    Input::Ack
                    | Input::RespondReliably
                    | Input::Pracked
                    | Input::Acknowledged
                    | Input::Forsake => return Effects::new(),
                };
                machine.step(input, &self.timers, transport)
            }
        }
    }

    fn apply_to_server(&mut self, now: Time, index: u32, effects: Effects, incoming: Incoming) {
        let mut incoming = incoming;
        for effect in effects {
            let Some((_, entry)) = self.servers.by_index(index) else {
                return;
            };
            match effect {
                Effect::Send => self.send_server(index),
                Effect::SendTrying => self.send_trying(index),
                Effect::SendReliable => {
                    let bytes = entry.reliable.clone();
                    self.send_from(index, bytes);
                }
                Effect::Deliver => self.deliver_to_server(index, incoming.take()),
                Effect::Set(timer, after) => {
                    let kind = Kind::Server;
                    let alarm = Alarm { index, kind, timer };
                    entry.alarms.set(&mut self.wheel, now + after, alarm);
                }
                Effect::Stop(timer) => entry.alarms.stop(&mut self.wheel, timer.kind()),
                Effect::Fail(failure) => self.server_failed(index, failure),
                Effect::Release => {
                    entry.request = NOTHING;
                    entry.response = NOTHING;
                    entry.reliable = NOTHING;
                }
                Effect::End => self.end_server(index),
                Effect::Ack | Effect::Cancel => {}
            }
        }
    }

    fn send_server(&mut self, index: u32) {
        if let Some((_, entry)) = self.servers.by_index(index) {
            let bytes = entry.response.clone();
            self.send_from(index, bytes);
        }
    }

    fn send_from(&mut self, index: u32, bytes: Payload) {
        let Some((name, entry)) = self.servers.by_index(index) else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        let to = match entry.way {
            Way::Back => back(entry.flow, entry.address),
            Way::Anew => Destination::Address {
                transport: entry.flow.transport,
                listener: entry.flow.listener,
                remote: entry.address,
                name: Box::default(),
            },
        };
        self.transmit(to, bytes, name);
    }

    fn send_trying(&mut self, index: u32) {
        let Some((_, entry)) = self.servers.by_index(index) else {
            return;
        };
        let request = core::mem::take(&mut entry.request);
        if let Ok(message) = Message::parse(request, Framing::Datagram) {
            entry.response = Writer::response(&message, entry.flow.remote, 100, "", b"").finish();
            self.send_server(index);
        }
    }

    fn deliver_to_server(&mut self, index: u32, incoming: Incoming) {
        let server = self.servers.id(index);
        if let Some((flow, message)) = incoming {
            self.event(if message.method() == Method::Ack {
                Event::Ack { flow, message }
            } else {
                Event::Request {
                    server,
                    flow,
                    message,
                }
            });
        }
    }

    fn server_failed(&mut self, index: u32, failure: Failure) {
        let server = self.servers.id(index);
        self.event(match failure {
            Failure::NoAck => Event::NoAck { server },
            Failure::NoPrack => Event::NoPrack { server },
            Failure::Transport | Failure::Timeout => Event::ResponseFailed { server },
        });
    }

    pub(super) fn end_server(&mut self, index: u32) {
        let server = self.servers.id(index);
        let Some(mut entry) = self.servers.remove(index) else {
            return;
        };
        entry.alarms.stop_all(&mut self.wheel);
        if let Ok(found) = self.by_key.find_entry(entry.key_hash, |at| *at == index) {
            found.remove();
        }
        if let Some(hash) = entry.origin
            && let Ok(found) = self.by_origin.find_entry(hash, |(_, at)| *at == index)
        {
            found.remove();
        }
        if matches!(entry.machine, Machine::Invite(_)) {
            self.event(Event::ServerEnded { server });
        }
    }

    pub(super) fn is_proceeding(&mut self, server: ServerId) -> bool {
        self.servers.by_name(server.as_u64()).is_some_and(|entry| {
            matches!(
                entry.machine,
                Machine::Invite(InviteServer::Proceeding { .. })
            )
        })
    }

    pub(super) fn is_forsaken(&mut self, server: ServerId) -> bool {
        let entry = self.servers.by_name(server.as_u64());
        entry.is_some_and(|entry| matches!(entry.machine, Machine::Invite(InviteServer::Forsaken)))
    }

    /// The To tag of the latest response.
    fn tag_of(&mut self, server: ServerId) -> Option<Vec<u8>> {
        let entry = self.servers.by_name(server.as_u64())?;
        let response = Message::parse(entry.response.clone(), Framing::Datagram).ok()?;
        let tag = response.to().ok()?.tag()?;
        Some(tag.to_vec())
    }

    /// A To tag for a response of our own.
    fn tag(&mut self) -> Vec<u8> {
        format!("{:016x}", self.tokens.token()).into_bytes()
    }
}

/// Back the way a request came; over UDP to the given address.
const fn back(flow: Flow, address: SocketAddr) -> Destination {
    Destination::Flow(match flow.transport {
        Transport::Udp => Flow {
            remote: address,
            ..flow
        },
        _ => flow,
    })
}
