//! Requests that carry something of ours: inside a dialog, and to a phone's flow.

use std::net::SocketAddr;
use std::time::Duration;

use balancer::{Refusal, TargetId};
use clock::Time;
use forward::{Dialog, End, NextHop, Origin};
use sip::{Destination, Message, Method};
use smallvec::SmallVec;

use crate::Dispatcher;
use crate::dispatcher::Key;
use crate::onward::{Mark, Onward, To};
use crate::pending::{Original, Pending, State};
use crate::repeat::own_key;
use crate::request::{Ingress, PATIENCE};

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
        if !is_to_target {
            self.note_in_dialog(now, message, target, dialog.origin);
            let way = self.way_to_client(ingress, message, own_routes, dialog);
            return self.send_to_client(now, ingress, message, own_routes, (way, Mark::None));
        }
        let id = self.holder(now, message, dialog, target);
        self.note_in_dialog(now, message, id, dialog.origin);
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
        let sent = match id {
            // Nobody but us says it again.
            Some(_) if is_said_once(ingress, message, &destination) => {
                Key::Pending(own_key(ingress.key, message.method())).write()
            }
            Some(id) => Key::Target(id).write(),
            None => 0,
        };
        self.send(now, ingress, message, &onward, sent);
        if let Some(id) = id {
            let inside = (*dialog, id);
            self.keep_inside(now, ingress, message, (own_routes, inside), &destination);
        }
    }

    /// The target that has the call of a request: that of its dialog, or one of its fellows.
    fn holder(
        &mut self,
        now: Time,
        message: &Message,
        dialog: &Dialog,
        target: Option<TargetId>,
    ) -> Option<TargetId> {
        if let Some(id) = self.moved(message) {
            return Some(id);
        }
        let is_there = match target {
            Some(id) => self.balancer.is_there(id),
            None => {
                let End {
                    transport, remote, ..
                } = dialog.target;
                !self.retired.is_dead(transport, remote)
            }
        };
        if is_there {
            return target;
        }
        // One that takes no new calls still has these. If it is gone, its fellows may have taken
        // over its calls; if not, they say so.
        let call = self.seal.call(message.call_id().unwrap_or_default());
        let other = self.balancer.stand_in(call);
        self.counters.stand_ins += u64::from(other.is_some());
        if let Some(other) = other {
            self.note_moved(now, message, other);
        }
        other.or(target)
    }

    /// Keeps a request that its sender says once: it goes to whoever takes the call over if the
    /// target that it was sent to dies.
    fn keep_inside(
        &mut self,
        now: Time,
        ingress: &Ingress,
        message: &Message,
        (own_routes, inside): (usize, (Dialog, TargetId)),
        destination: &Destination,
    ) {
        let key = own_key(ingress.key, message.method());
        let original = || {
            Some(Box::new(Original {
                ingress: *ingress,
                message: message.clone(),
                own_routes,
                tried: SmallVec::new(),
                redirects: 0,
                inside: Some(inside),
                began: now,
            }))
        };
        let has_room = !self.pending.is_full();
        match self.pending.find(key) {
            Some(pending) if pending.state == State::Waiting && pending.target.is_none() => {
                pending.original = original();
            }
            None if has_room && is_said_once(ingress, message, destination) => {
                self.pending.insert(Pending {
                    key,
                    method: message.method(),
                    original: original(),
                    again: None,
                    uri: None,
                    destination: destination.clone(),
                    target: None,
                    attempt: 0,
                    state: State::Waiting,
                    cancelled: false,
                    until: now + LOOK,
                });
            }
            _ => {}
        }
    }

    /// A kept request did not get out: where UDP is repeated, this is sent again after a while.
    pub(crate) fn handle_lost(&mut self, now: Time, key: u64) {
        if let Some(pending) = self.pending.find(key)
            && pending.is_kept_for_its_call()
        {
            pending.state = State::Lost;
            pending.until = now + LOOK;
            self.pending.hasten(key);
        }
    }

    /// Looks whether who was sent a kept request is still there, and sends it again if it was lost.
    pub(crate) fn look_after(&mut self, now: Time, key: u64) {
        if self.follow_call(now, key) {
            return;
        }
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        let original = pending.original.as_ref();
        let began = original.map_or(now, |original| original.began);
        let asked = original.and_then(|original| original.inside);
        let is_there = asked.is_some_and(|(_, id)| self.balancer.is_there(id));
        let is_over = now.since(began) >= LOST_MAX;
        match pending.state {
            State::Lost if is_there || !is_over => self.send_inside_again(now, key),
            // RFC 3261 §16.9.
            State::Lost | State::Waiting if is_over && !is_there => {
                if let Some(original) = self.forget(key).and_then(|pending| pending.original) {
                    let flow = original.ingress.flow;
                    self.refuse(now, flow, &original.message, Refusal::NoneUp);
                }
            }
            _ if now.since(began) < PATIENCE => {
                pending.until = now + LOOK;
                self.pending.hasten(key);
            }
            _ => drop(self.forget(key)),
        }
    }

    /// Sends a kept request once more, as if it had come now.
    fn send_inside_again(&mut self, now: Time, key: u64) {
        let Some(original) = self.forget(key).and_then(|pending| pending.original) else {
            return;
        };
        let Some((dialog, _)) = original.inside else {
            return;
        };
        let (ingress, own_routes) = (&original.ingress, original.own_routes);
        self.send_inside(now, ingress, &original.message, own_routes, &dialog);
        if let Some(pending) = self.pending.find(key) {
            pending.until = pending.until.min(original.began + PATIENCE);
            if let Some(kept) = &mut pending.original {
                kept.began = original.began;
            }
        }
    }

    /// Sends a kept request to whoever has taken its call over, if its target is dead. Whether
    /// there is such a one.
    pub(crate) fn follow_call(&mut self, now: Time, key: u64) -> bool {
        let Some(pending) = self.pending.find(key) else {
            return false;
        };
        let original = pending.original.as_ref();
        let is_open = matches!(pending.state, State::Waiting | State::Lost) && !pending.cancelled;
        let original = original.filter(|_| is_open);
        let Some((original, (_, id))) = original.and_then(|o| Some((o, o.inside?))) else {
            return false;
        };
        let call_id = original.message.call_id().unwrap_or_default();
        let call = self.seal.call(call_id);
        if self.balancer.is_there(id) || self.balancer.stand_in(call).is_none() {
            return false;
        }
        self.send_inside_again(now, key);
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
        self.send(now, ingress, message, &onward, 0);
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

/// Whether a request is neither repeated by its sender nor for its way, and may be lost with a
/// connection.
fn is_said_once(ingress: &Ingress, message: &Message, to: &Destination) -> bool {
    let is_answered = !matches!(message.method(), Method::Ack | Method::Cancel);
    is_answered && ingress.flow.transport.is_reliable() && to.transport().is_reliable()
}

/// How often it is seen to whether a target that has a request is there.
const LOOK: Duration = Duration::from_secs(1);
/// How long somebody may take to be there again, or to take the call over; then its sender is told.
const LOST_MAX: Duration = Duration::from_secs(8);
