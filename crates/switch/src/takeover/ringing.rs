//! Calls that ring while their node dies: both sides wait in transactions that it began.
//!
//! The caller's side is gone on with as it is: responses find their way by the Vias of its INVITE.
//! A callee answers where it had the INVITE from. Behind a dispatcher, and where the address moves
//! with the call, it can be had to answer here: it gets the very same INVITE again. All others are
//! cancelled, as somebody else's call, and asked once more.

use call::{Call, Invited};
use clock::Time;
use sip::transaction::Inherited;
use sip::{Destination, Flow, Message, Method, Transport, Via};

use super::{NotTaken, SEEK_PATIENCE, SOUGHT_MAX, Sought};
use crate::Switch;
use crate::keep::Sent;
use crate::output::{CallKey, Output};
use crate::owner::Owner;

/// Who answers the caller of a call that is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// That call; or there is none who waits.
    Ours,
    /// Another call: the INVITE has come here, too, before it was known whose it was.
    Anothers,
}

impl Switch {
    /// A caller that waits for an answer gets it from here.
    pub(super) fn inherit_caller(
        &mut self,
        key: CallKey,
        call: &mut Call,
    ) -> Result<Caller, NotTaken> {
        let Some((flow, invite)) = call.callers_invite() else {
            return Ok(Caller::Ours);
        };
        let here = Flow {
            conn: None,
            ..self.listeners.here(flow)
        };
        let server = self.transactions.inherit_server(here, invite);
        let Some(server) = server else {
            let known = self.transactions.invite_of(invite);
            let owner = known.and_then(|known| self.invites.get(&known));
            return match owner {
                Some(owner) if *owner == key => Err(NotTaken::Present),
                _ => Ok(Caller::Anothers),
            };
        };
        call.rename_caller(server.as_u64());
        self.invites.insert(server, key);
        Ok(Caller::Ours)
    }

    /// The caller of this call is another call's now: whoever rings for this one stops.
    pub(super) fn give_way(&mut self, now: Time, key: CallKey, invites: Vec<Sent>) {
        for sent in invites {
            self.adopt_invite(now, key, sent, Inherited::Given);
        }
        self.step(now, key, Call::give_way);
    }

    /// An INVITE of the dead node that nobody has answered.
    pub(super) fn inherit_invite(&mut self, now: Time, key: CallKey, sent: Sent) {
        let request = sent.request;
        let is_wanted = self
            .calls
            .entry(key)
            .is_some_and(|entry| entry.call.open_invites().any(|id| id == request));
        let to = self.reached_from_here(&sent.to);
        let (how, became) = if is_wanted && self.answers_here(&to, &sent.bytes) {
            (Inherited::Repeated, Invited::Again)
        } else {
            (Inherited::Given, Invited::Elsewhere)
        };
        let became = match self.adopt_invite(now, key, sent, how) {
            true => became,
            false => Invited::Elsewhere,
        };
        self.step(now, key, |call, ctx| call.inherit(ctx, request, became));
    }

    /// What answers an INVITE of the dead node goes to its call; false if that is not possible.
    fn adopt_invite(&mut self, now: Time, key: CallKey, sent: Sent, how: Inherited) -> bool {
        let Sent { request, to, bytes } = sent;
        let to = self.reached_from_here(&to);
        let Some(client) = self.transactions.inherit_invite(now, to, bytes, how) else {
            return false;
        };
        self.owners.insert(client, Owner::Call { key, request });
        if let Some(entry) = self.calls.entry_mut(key) {
            entry.note_invite(request, client);
        }
        true
    }

    /// Whether what answers an INVITE of another node comes here if it is sent from here: a dispatcher
    /// sees to it, or our address is that of the other now.
    fn answers_here(&self, to: &Destination, sent: &[u8]) -> bool {
        if to.transport() != Transport::Udp {
            return false;
        }
        let Ok(message) = Message::parse(sent.to_vec().into(), sip::Framing::Datagram) else {
            return false;
        };
        let ours = self.listeners.advertised(to.listener());
        self.is_dispatcher(to.remote().ip())
            || message
                .via()
                .is_ok_and(|via| sent_by(&via).is_some_and(|said| Some(said) == ours))
    }

    fn reached_from_here(&self, to: &Destination) -> Destination {
        let flow = self.listeners.here(Flow {
            transport: to.transport(),
            listener: to.listener(),
            conn: None,
            remote: to.remote(),
        });
        let name = match to {
            Destination::Address { name, .. } => name.clone(),
            Destination::Flow(_) => "".into(),
        };
        Destination::Address {
            transport: flow.transport,
            listener: flow.listener,
            remote: flow.remote,
            name,
        }
    }

    /// A response to an INVITE of another node has come here, because that one is gone: it is looked
    /// what became of its call. The response itself comes again.
    pub(crate) fn seek_by_response(&mut self, now: Time, flow: Flow, message: &Message) {
        let from = message.from().ok();
        let tag = from.and_then(|from| from.tag()).unwrap_or_default();
        let is_of_call = message.method() == Method::Invite && message.status() > 100;
        let Some(key) = self
            .sealed_key(tag)
            .filter(|_| self.shares_calls && is_of_call)
        else {
            return;
        };
        let key = CallKey(key);
        let is_trusted = self.knows(flow) || self.is_dispatcher(flow.remote.ip());
        let is_new = self.calls.entry(key).is_none() && !self.sought.contains_key(&key);
        if is_trusted && is_new && self.sought.len() < SOUGHT_MAX {
            let until = now + SEEK_PATIENCE;
            let requests = Vec::new();
            self.sought.insert(key, Sought { until, requests });
            self.outputs.push_back(Output::Seek { call: key });
        }
    }
}

/// Where a Via wants its responses, if it says so by an address.
fn sent_by(via: &Via<'_>) -> Option<std::net::SocketAddr> {
    let port = via.port.unwrap_or(Transport::Udp.default_port());
    Some((sip::uri::parse_ip(via.host)?, port).into())
}
