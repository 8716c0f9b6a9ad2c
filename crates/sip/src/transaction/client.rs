//! The client transactions of the table.

use clock::Time;

use super::branch::{Branch, with_via, without_via};
use super::{
    Alarm, Alarms, ClientId, Effect, Effects, Event, Failure, Incoming, InviteClient,
    InviteClientInput, Kind, NOTHING, NonInviteClient, NonInviteClientInput, Timer, Transactions,
    derive,
};
use crate::scan::find;
use crate::{Destination, Flow, ListenerId, Message, Method, Payload, Transmit, Transport};

/// The largest request that goes over UDP when the way could be changed (RFC 3261 §18.1.1).
pub const UDP_REQUEST_BYTES_MAX: usize = 1_300;

/// A client transaction in the table.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) machine: Machine,
    pub(super) method: Method,
    pub(super) owner: Owner,
    pub(super) token: u64,
    pub(super) to: Destination,
    /// Where a large request goes if TCP, which it prefers, fails.
    pub(super) udp: Option<Box<Destination>>,
    /// The request; of an INVITE that failed, the ACK; empty if neither is needed any more.
    pub(super) sent: Payload,
    pub(super) cancel: Cancel,
    pub(super) alarms: Alarms,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Machine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

/// Who hears of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    User,
    /// A CANCEL of ours; nobody wants to know how it ends.
    Table,
}

/// How far an INVITE's CANCEL is.
#[derive(Debug)]
pub(super) enum Cancel {
    No,
    /// To be sent after the first provisional response, with this Reason.
    Wanted(Box<[u8]>),
    /// Sent, as this transaction.
    Sent(ClientId),
}

enum Input {
    Response(u16),
    Timer(Timer),
    Cancelled,
    TransportError,
}

impl Transactions {
    /// Sends a request (not ACK or CANCEL) and begins its transaction. `request` is complete but
    /// for our Via, which is put behind the first line. A request for UDP that is larger than
    /// [`UDP_REQUEST_BYTES_MAX`] goes over TCP, and over UDP if that fails (RFC 3261 §18.1.1).
    ///
    /// Deviation from RFC 3261 §18.1.1: one that is to go back along a flow keeps to it, because
    /// a peer behind NAT can be reached in no other way.
    pub fn request(&mut self, now: Time, to: Destination, request: &[u8]) -> ClientId {
        let token = self.tokens.token();
        let space = find(request, b' ').unwrap_or(request.len());
        let method = Method::from_bytes(&request[..space]);
        let (to, udp) = self.larger_way(to, request.len());
        let client = Client {
            machine: Machine::NonInvite(NonInviteClient::Terminated),
            method,
            owner: Owner::User,
            token,
            to,
            udp,
            sent: NOTHING,
            cancel: Cancel::No,
            alarms: Alarms::default(),
        };
        let name = self.clients.insert(client);
        let index = name as u32;
        self.start_client(now, index, request);
        self.clients.id(index)
    }

    /// Makes a request that needs no transaction, with our Via on it: an ACK to a 2xx (RFC 3261
    /// §13.2.2.4). Send it as often as its 2xx comes. `key` names the failure to send it.
    #[must_use]
    pub fn stateless(&mut self, to: Destination, request: &[u8], key: u64) -> Transmit {
        let (to, _) = self.larger_way(to, request.len());
        let branch = Branch {
            index: u32::MAX,
            token: self.tokens.token(),
        };
        let sent_by = self.sent_by(to.listener());
        let bytes = with_via(request, to.transport(), sent_by, branch);
        Transmit { to, bytes, key }
    }

    /// Cancels an INVITE: at once if a provisional response came, else when one comes, and not
    /// at all if a final response comes first (RFC 3261 §9.1). `reason` is the value of a Reason
    /// header (RFC 3326); empty for none. The INVITE ends with its final response, or with
    /// [`Event::Timeout`] if none comes.
    pub fn cancel(&mut self, now: Time, client: ClientId, reason: &[u8]) {
        let Some(entry) = self.clients.by_name(client.as_u64()) else {
            return;
        };
        if !matches!(entry.cancel, Cancel::No) {
            return;
        }
        match entry.machine {
            Machine::Invite(InviteClient::Calling { .. }) => {
                entry.cancel = Cancel::Wanted(reason.into());
            }
            Machine::Invite(InviteClient::Proceeding) => {
                self.send_cancel(now, client.index(), reason);
            }
            _ => {}
        }
    }

    pub(super) fn handle_response(&mut self, now: Time, flow: Flow, message: Message) {
        match self.client_of(&message) {
            Some(index) => {
                let status = message.status();
                self.step_client(now, index, &Input::Response(status), Some((flow, message)));
            }
            None => self.event(Event::StrayResponse { flow, message }),
        }
    }

    /// The transaction a response belongs to (RFC 3261 §17.1.3).
    fn client_of(&mut self, response: &Message) -> Option<u32> {
        let via = response.via().ok()?;
        let text = via.branch()?;
        let method = response.cseq()?.method;
        let index = match self.inherited(text) {
            Some(index) => index,
            None => {
                let branch = Branch::parse(text)?;
                let (_, entry) = self.clients.by_index(branch.index)?;
                (entry.token == branch.token).then_some(branch.index)?
            }
        };
        let (_, entry) = self.clients.by_index(index)?;
        match &entry.cancel {
            _ if entry.method == method => Some(index),
            Cancel::Sent(cancel) if method == Method::Cancel => Some(cancel.index()),
            _ => None,
        }
    }

    pub(super) fn client_timer(&mut self, now: Time, alarm: Alarm) {
        if let Some((_, entry)) = self.clients.by_index(alarm.index) {
            *entry.alarms.slot(alarm.timer.kind()) = None;
            self.step_client(now, alarm.index, &Input::Timer(alarm.timer), None);
        }
    }

    pub(super) fn client_transmit_failed(&mut self, now: Time, client: ClientId) {
        let Some(entry) = self.clients.by_name(client.as_u64()) else {
            return;
        };
        if let Some(udp) = entry.udp.take() {
            entry.to = *udp;
            entry.alarms.stop_all(&mut self.wheel);
            let request = without_via(&entry.sent);
            self.start_client(now, client.index(), &request);
        } else {
            self.step_client(now, client.index(), &Input::TransportError, None);
        }
    }

    /// Writes the Via of the way the request takes, and starts its machine.
    fn start_client(&mut self, now: Time, index: u32, request: &[u8]) {
        let Some((_, entry)) = self.clients.by_index(index) else {
            return;
        };
        let transport = entry.to.transport();
        let branch = Branch {
            index,
            token: entry.token,
        };
        let listener = entry.to.listener();
        let sent_by = sent_by(&self.listeners, listener);
        entry.sent = with_via(request, transport, sent_by, branch);
        let effects = if entry.method == Method::Invite {
            let (machine, effects) = InviteClient::start(&self.timers, transport);
            entry.machine = Machine::Invite(machine);
            effects
        } else {
            let (machine, effects) = NonInviteClient::start(&self.timers, transport);
            entry.machine = Machine::NonInvite(machine);
            effects
        };
        self.apply_to_client(now, index, effects, None);
    }

    fn step_client(&mut self, now: Time, index: u32, input: &Input, incoming: Incoming) {
        let Some((_, entry)) = self.clients.by_index(index) else {
            return;
        };
        let transport = entry.to.transport();
        let effects = match &mut entry.machine {
            Machine::Invite(machine) => {
                let input = match *input {
                    Input::Response(status) => InviteClientInput::Response(status),
                    Input::Timer(timer) => InviteClientInput::Timer(timer),
                    Input::Cancelled => InviteClientInput::Cancelled,
                    Input::TransportError => InviteClientInput::TransportError,
                };
                machine.step(input, &self.timers, transport)
            }
            Machine::NonInvite(machine) => {
                let input = match *input {
                    Input::Response(status) => NonInviteClientInput::Response(status),
                    Input::Timer(timer) => NonInviteClientInput::Timer(timer),
                    Input::TransportError => NonInviteClientInput::TransportError,
                    Input::Cancelled => return,
                };
                machine.step(input, &self.timers, transport)
            }
        };
        if matches!(input, Input::Response(_)) {
            // The peer was reached: no other way is tried any more.
            entry.udp = None;
        }
        let wanted = match (&entry.cancel, &entry.machine) {
            (Cancel::Wanted(reason), Machine::Invite(InviteClient::Proceeding)) => {
                Some(reason.clone())
            }
            _ => None,
        };
        self.apply_to_client(now, index, effects, incoming);
        if let Some(reason) = wanted {
            self.send_cancel(now, index, &reason);
        }
    }

    pub(super) fn apply_to_client(
        &mut self,
        now: Time,
        index: u32,
        effects: Effects,
        incoming: Incoming,
    ) {
        let mut incoming = incoming;
        for effect in effects {
            let Some((_, entry)) = self.clients.by_index(index) else {
                return;
            };
            match effect {
                Effect::Send => self.send_client(index),
                Effect::Ack => {
                    let response = incoming.as_ref().map(|(_, message)| message);
                    let is_first = !entry.sent.starts_with(b"ACK ");
                    if let Some(response) = response.filter(|_| is_first) {
                        entry.sent = derive::ack(&entry.sent, response).unwrap_or(NOTHING);
                    }
                    self.send_client(index);
                }
                Effect::Cancel => self.send_cancel(now, index, b""),
                Effect::Deliver => self.deliver_to_client(index, incoming.take()),
                Effect::Set(timer, after) => {
                    let kind = Kind::Client;
                    let alarm = Alarm { index, kind, timer };
                    entry.alarms.set(&mut self.wheel, now + after, alarm);
                }
                Effect::Stop(timer) => entry.alarms.stop(&mut self.wheel, timer.kind()),
                Effect::Fail(failure) => self.client_failed(index, failure),
                Effect::Release => entry.sent = NOTHING,
                Effect::End => self.end_client(index),
                Effect::SendTrying | Effect::SendReliable => {}
            }
        }
    }

    fn send_client(&mut self, index: u32) {
        if let Some((name, entry)) = self.clients.by_index(index)
            && !entry.sent.is_empty()
        {
            let (to, bytes) = (entry.to.clone(), entry.sent.clone());
            self.transmit(to, bytes, name);
        }
    }

    fn deliver_to_client(&mut self, index: u32, incoming: Incoming) {
        let client = self.clients.id(index);
        if let Some((flow, message)) = incoming
            && self.clients.at(index).owner == Owner::User
        {
            self.event(Event::Response {
                client,
                flow,
                message,
            });
        }
    }

    fn client_failed(&mut self, index: u32, failure: Failure) {
        let client = self.clients.id(index);
        if self.clients.at(index).owner == Owner::User {
            self.event(match failure {
                Failure::Transport => Event::RequestFailed { client },
                _ => Event::Timeout { client },
            });
        }
    }

    fn end_client(&mut self, index: u32) {
        let client = self.clients.id(index);
        let Some(mut entry) = self.clients.remove(index) else {
            return;
        };
        entry.alarms.stop_all(&mut self.wheel);
        if let Cancel::Sent(cancel) = entry.cancel
            && let Some(inner) = self.clients.by_name(cancel.as_u64())
        {
            inner.alarms.stop_all(&mut self.wheel);
            self.clients.remove(cancel.index());
        }
        if entry.method == Method::Invite {
            self.forget_inherited(index);
            self.event(Event::ClientEnded { client });
        }
    }

    /// The CANCEL takes the way and the Via of its INVITE. If the user's bytes are no INVITE to
    /// make one of, nothing is sent, and the transaction still ends in time.
    fn send_cancel(&mut self, now: Time, index: u32, reason: &[u8]) {
        let Some((_, entry)) = self.clients.by_index(index) else {
            return;
        };
        if matches!(entry.cancel, Cancel::Sent(_)) {
            return;
        }
        if let Some(bytes) = derive::cancel(&entry.sent, reason) {
            let (to, token) = (entry.to.clone(), entry.token);
            let (machine, effects) = NonInviteClient::start(&self.timers, to.transport());
            let client = Client {
                machine: Machine::NonInvite(machine),
                method: Method::Cancel,
                owner: Owner::Table,
                token,
                to,
                udp: None,
                sent: bytes,
                cancel: Cancel::No,
                alarms: Alarms::default(),
            };
            let cancel_index = self.clients.insert(client) as u32;
            let cancel = self.clients.id(cancel_index);
            if let Some((_, entry)) = self.clients.by_index(index) {
                entry.cancel = Cancel::Sent(cancel);
            }
            self.apply_to_client(now, cancel_index, effects, None);
        }
        self.step_client(now, index, &Input::Cancelled, None);
    }

    /// Over TCP if the request is too large for UDP and we have a listener that speaks for it;
    /// then also the way it would have taken.
    fn larger_way(
        &self,
        to: Destination,
        request_bytes: usize,
    ) -> (Destination, Option<Box<Destination>>) {
        let Destination::Address {
            transport: Transport::Udp,
            listener,
            remote,
            ..
        } = to
        else {
            return (to, None);
        };
        let sent_by = self.sent_by(listener);
        if request_bytes + VIA_BYTES + sent_by.len() <= UDP_REQUEST_BYTES_MAX {
            return (to, None);
        }
        let stream = self
            .listeners
            .iter()
            .find(|l| l.id == listener)
            .and_then(|l| l.stream);
        let Some(listener) = stream else {
            return (to, None);
        };
        let tcp = Destination::Address {
            transport: Transport::Tcp,
            listener,
            remote,
            name: Box::default(),
        };
        (tcp, Some(Box::new(to)))
    }

    fn sent_by(&self, listener: ListenerId) -> &str {
        sent_by(&self.listeners, listener)
    }
}

fn sent_by(listeners: &[super::Listener], wanted: ListenerId) -> &str {
    // A Via needs a host; this one is never resolved (RFC 6761 §6.4).
    listeners
        .iter()
        .find(|l| l.id == wanted)
        .map_or("unknown.invalid", |l| &l.sent_by)
}

/// The Via line without sent-by.
const VIA_BYTES: usize = "Via: SIP/2.0/UDP ;branch=z9hG4bK012345678901234567890123;rport\r\n".len();
