//! Requests that carry something of ours: inside a dialog, and to a phone's flow.

use std::net::SocketAddr;

use balancer::{Refusal, TargetId};
use clock::Time;
use forward::{Dialog, End, NextHop, Origin};
use sip::{Destination, Message, Method};
use smallvec::SmallVec;

use crate::Dispatcher;
use crate::onward::{Mark, Onward, To};
use crate::pending::{Original, State};
use crate::repeat::own_key;
use crate::request::Ingress;

impl Dispatcher {
    /// A request inside a dialog, by what its Route says.
    pub(crate) fn send_inside(
        &mut self,
        now: Time,
        ingress: &Ingress,
        message: &Message,
        own_routes: usize,
        dialog: &Dialog,
    ) {
        let is_of_origin = ingress.from_tag == dialog.from_tag;
        let is_to_target = is_of_origin == (dialog.origin == Origin::Client);
        let target = self.target_at(dialog.target.transport, dialog.target.remote);
        // Calls that targets make are not of our choice, and do not count.
        let is_ours = dialog.origin == Origin::Client;
        self.note_in_dialog(now, message, target.filter(|_| is_ours));
        if !is_to_target {
            let way = self.way_to_client(ingress, message, own_routes, dialog);
            return self.send_to_client(now, ingress, message, own_routes, (way, Mark::None));
        }
        let mut id = target;
        let is_dead = match target {
            Some(id) => !self.balancer.is_there(id),
            None => {
                let End {
                    transport, remote, ..
                } = dialog.target;
                self.retired.is_dead(transport, remote)
            }
        };
        if is_dead {
            // One that takes no new calls still has these. If it is gone, its fellows may have taken over its calls; if not, they say so.
            let call = self.seal.call(message.call_id().unwrap_or_default());
            if let Some(other) = self.balancer.stand_in(now, call) {
                self.counters.stand_ins += 1;
                id = Some(other);
            }
        }
        let place = id.and_then(|id| self.place(id));
        let destination = match place {
            Some(place) => {
                let (transport, remote) = (place.transport, place.remote);
                let hop = self.hops.towards(transport, remote, ingress.flow.listener);
                hop.map(|hop| Destination::Address {
                    transport,
                    listener: hop.id,
                    remote,
                    name: place.name.clone(),
                })
            }
            // It was taken out of the set; its calls still end there.
            None => self.live(&dialog.target).map(|to| self.retired.named(to)),
        };
        let Some(destination) = destination else {
            self.refuse(now, ingress.flow, message, Refusal::NoneUp);
            return;
        };
        let onward = Onward {
            destination: &destination,
            own_routes,
            attempt: 0,
            uri: None,
            mark: Mark::None,
            to: To::Target(id),
        };
        self.send(now, ingress, message, &onward);
        if let Some(id) = id {
            self.keep_inside(now, ingress, message, own_routes, (*dialog, id));
        }
    }

    /// Keeps a request that is repeated, for its sender says it once: it goes to whoever takes the
    /// call over if the target that it was sent to dies.
    fn keep_inside(
        &mut self,
        now: Time,
        ingress: &Ingress,
        message: &Message,
        own_routes: usize,
        inside: (Dialog, TargetId),
    ) {
        let key = own_key(ingress.key, message.method());
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        if pending.state == State::Waiting && pending.target.is_none() {
            pending.original = Some(Box::new(Original {
                ingress: *ingress,
                message: message.clone(),
                own_routes,
                tried: SmallVec::new(),
                redirects: 0,
                inside: Some(inside),
                began: now,
            }));
        }
    }

    /// Sends a kept request to whoever has taken its call over, if its target is dead. Whether
    /// there is such a one.
    pub(crate) fn follow_call(&mut self, now: Time, key: u64) -> bool {
        let Some(pending) = self.pending.find(key) else {
            return false;
        };
        let original = pending.original.as_ref();
        let original = original.filter(|_| pending.state == State::Waiting && !pending.cancelled);
        let Some((original, (dialog, id))) = original.and_then(|o| Some((o, o.inside?))) else {
            return false;
        };
        let (until, call_id) = (pending.until, original.message.call_id());
        let call = self.seal.call(call_id.unwrap_or_default());
        if self.balancer.is_there(id) || self.balancer.stand_in(now, call).is_none() {
            return false;
        }
        let Some(original) = self.forget(key).and_then(|pending| pending.original) else {
            return false;
        };
        let (ingress, own_routes) = (&original.ingress, original.own_routes);
        self.send_inside(now, ingress, &original.message, own_routes, &dialog);
        if let Some(pending) = self.pending.find(key) {
            pending.until = until;
        }
        true
    }

    /// A request to a phone over the flow it registered with (RFC 5626 §5.3).
    pub(crate) fn send_to_flow(
        &mut self,
        now: Time,
        ingress: &Ingress,
        message: &Message,
        own_routes: usize,
        end: &End,
    ) {
        let is_new = message.to().is_ok_and(|to| to.tag().is_none());
        let begins = matches!(
            message.method(),
            Method::Invite | Method::Subscribe | Method::Refer
        );
        let dialog = (is_new && begins).then(|| Dialog {
            origin: Origin::Target,
            next_hop: NextHop::Flow,
            from_tag: ingress.from_tag,
            client: *end,
            target: self.target_end(ingress, message),
        });
        let mark = dialog.as_ref().map_or(Mark::None, |dialog| {
            Mark::RecordRoute(dialog, [end.listener, ingress.flow.listener])
        });
        self.send_to_client(now, ingress, message, own_routes, (self.live(end), mark));
    }

    fn send_to_client(
        &mut self,
        now: Time,
        ingress: &Ingress,
        message: &Message,
        own_routes: usize,
        (way, mark): (Option<Destination>, Mark<'_>),
    ) {
        let Some(destination) = way else {
            self.counters.flows_gone += 1;
            self.answer(now, ingress.flow, message, 430, "", |_| {});
            return;
        };
        let onward = Onward {
            destination: &destination,
            own_routes,
            attempt: 0,
            uri: None,
            mark,
            to: To::Client,
        };
        self.send(now, ingress, message, &onward);
    }

    /// The side of a target that sends a request: its place if it is one we know, for over
    /// streams it calls from other ports.
    fn target_end(&self, ingress: &Ingress, message: &Message) -> End {
        let flow = ingress.flow;
        let said = message.via().ok().and_then(|via| {
            let port = via.port.unwrap_or(flow.transport.default_port());
            Some(SocketAddr::new(sip::uri::parse_ip(via.host)?, port))
        });
        let known = [
            Some(flow.remote),
            said.filter(|said| said.ip() == flow.remote.ip()),
        ]
        .into_iter()
        .flatten()
        .find(|remote| self.target_at(flow.transport, *remote).is_some());
        match known {
            Some(remote) => End {
                remote,
                conn: None,
                ..ingress.end
            },
            None => ingress.end,
        }
    }
}
