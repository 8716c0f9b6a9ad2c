//! Transactions that another node has begun, and that go on here.
//!
//! To the peer nothing has changed: requests keep the Via they were sent with, so that it takes the
//! INVITE for a retransmission, and CANCEL and ACK for what belongs to it (RFC 3261 §17.2.3).

use std::collections::BTreeMap;

use clock::Time;
use smallvec::smallvec;

use super::branch::{COOKIE, via_line};
use super::client::{Cancel, Client, Machine, Owner};
use super::key::{origin, response_address};
use super::server::Machine as ServerMachine;
use super::{Alarms, ClientId, Effect, InviteClient, InviteServer, ServerId, Timer, Transactions};
use crate::scan::find;
use crate::{Destination, Flow, Framing, Message, Method, Payload, Via};

/// The client transactions whose branches another node has made, by these.
pub(super) type Foreign = BTreeMap<Box<[u8]>, u32>;

/// How an INVITE that another node has sent goes on here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherited {
    /// It is sent again, for its peer to repeat what it has answered.
    Repeated,
    /// It has been answered provisionally, and is to be cancelled.
    Given,
}

impl Transactions {
    /// An INVITE of ours as it was sent, Via included, and where to; `None` if it has a final
    /// response, or is none.
    pub fn invite_as_sent(&mut self, client: ClientId) -> Option<(Destination, Payload)> {
        let entry = self.clients.by_name(client.as_u64())?;
        let waits = matches!(
            entry.machine,
            Machine::Invite(InviteClient::Calling { .. } | InviteClient::Proceeding)
        );
        waits.then(|| (entry.to.clone(), entry.sent.clone()))
    }

    /// Goes on with an INVITE that another node has sent as [`Self::invite_as_sent`] says. `None` if
    /// it is no such message, or one with its branch is here.
    pub fn inherit_invite(
        &mut self,
        now: Time,
        to: Destination,
        sent: Payload,
        how: Inherited,
    ) -> Option<ClientId> {
        let branch = branch_of(&sent).filter(|_| sent.starts_with(b"INVITE "))?;
        if self.foreign.contains_key(&branch) {
            return None;
        }
        let transport = to.transport();
        let (machine, effects) = match how {
            Inherited::Repeated => InviteClient::start(&self.timers, transport),
            Inherited::Given => (
                InviteClient::Proceeding,
                smallvec![Effect::Set(Timer::C, self.timers.c)],
            ),
        };
        let client = Client {
            machine: Machine::Invite(machine),
            method: Method::Invite,
            owner: Owner::User,
            token: self.tokens.token(),
            to,
            udp: None,
            sent,
            cancel: Cancel::No,
            alarms: Alarms::default(),
        };
        let index = self.clients.insert(client) as u32;
        self.foreign.insert(branch, index);
        self.apply_to_client(now, index, effects, None);
        Some(self.clients.id(index))
    }

    /// Goes on with an INVITE that another node has got and not answered finally. Nothing is sent,
    /// and nothing delivered. `None` if it has come here, too, and was not left to somebody else.
    pub fn inherit_server(&mut self, flow: Flow, invite: &Message) -> Option<ServerId> {
        let via = invite.via().ok()?;
        let key_hash = self.key_of(invite, &via, b"INVITE");
        if invite.method() != Method::Invite || !self.makes_room(key_hash) {
            return None;
        }
        let address = response_address(&flow, &via);
        let machine = ServerMachine::Invite(InviteServer::Proceeding { reliable: None });
        let server = self.insert_server(machine, flow, address, key_hash);
        let origin = origin(&self.tokens, invite);
        if let Some(entry) = self.servers.by_name(server.as_u64()) {
            entry.origin = origin;
        }
        if let Some(hash) = origin {
            let entry = (hash, server.index());
            self.by_origin.insert_unique(hash, entry, |(hash, _)| *hash);
        }
        Some(server)
    }

    /// The path an INVITE came by, and our 2xx to it as it was sent; `None` if there is none, or its ACK
    /// has come.
    pub fn success_as_sent(&mut self, server: ServerId) -> Option<(Flow, Payload)> {
        self.servers.by_name(server.as_u64())?.unacknowledged()
    }

    /// Goes on with an INVITE to which another node has sent this 2xx, and of whose ACK it has not heard:
    /// the 2xx is sent again at once, and then until [`Transactions::acknowledged`] or
    /// [`super::Event::NoAck`], as if it had been sent just now (RFC 3261 §13.3.1.4). `flow` is how the
    /// INVITE came; one that has come here, too, and waits for its answer hears it at once. `None` if it is
    /// no such message, or the INVITE has another final response.
    ///
    /// Left out: INVITEs of RFC 2543, which a response does not tell from others.
    pub fn inherit_success(&mut self, now: Time, flow: Flow, success: Payload) -> Option<ServerId> {
        let message = Message::parse(success.clone(), Framing::Datagram).ok()?;
        let is_success = !message.is_request()
            && message.method() == Method::Invite
            && (200..300).contains(&message.status());
        let via = message.via().ok().filter(|_| is_success)?;
        via.branch()
            .filter(|branch| branch.starts_with(COOKIE.as_bytes()))?;
        let key_hash = self.key_of(&message, &via, b"INVITE");
        let known = self.server_by(key_hash);
        let server = match known.filter(|known| self.is_proceeding(*known)) {
            Some(waiting) => waiting,
            None if self.makes_room(key_hash) => {
                let address = response_address(&flow, &via);
                let machine = ServerMachine::Invite(InviteServer::Proceeding { reliable: None });
                self.insert_server(machine, flow, address, key_hash)
            }
            None => return None,
        };
        self.respond(now, server, message.status(), success);
        Some(server)
    }

    /// Whether no transaction has the key that stands in the scratch buffer: one that was left to
    /// somebody else ends, as what was left has come back.
    fn makes_room(&mut self, key_hash: u64) -> bool {
        match self.server_by(key_hash) {
            Some(server) if self.is_forsaken(server) => {
                self.end_server(server.index());
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// The transaction of another node's branch.
    pub(super) fn inherited(&self, branch: &[u8]) -> Option<u32> {
        self.foreign.get(branch).copied()
    }

    pub(super) fn forget_inherited(&mut self, index: u32) {
        if !self.foreign.is_empty() {
            self.foreign.retain(|_, at| *at != index);
        }
    }
}

/// The branch in the Via that a request was sent with.
fn branch_of(sent: &[u8]) -> Option<Box<[u8]>> {
    let line = via_line(sent);
    let colon = find(line, b':')?;
    let via = Via::parse(line[colon + 1..].trim_ascii()).ok()?;
    let branch = via.branch()?;
    branch.starts_with(COOKIE.as_bytes()).then(|| branch.into())
}
