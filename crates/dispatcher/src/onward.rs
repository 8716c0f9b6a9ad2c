//! Sending a request on: its Via, Record-Route and Path.

use balancer::TargetId;
use bytes::Bytes;
use clock::Time;
use forward::rewrite::{self, Changes, Framing};
use forward::{Branch, Dialog, Seal};
use sip::{Destination, HeaderName, ListenerId, Message};

use crate::request::Ingress;
use crate::{Dispatcher, overload};

/// How a request is sent on.
#[derive(Debug)]
pub(crate) struct Onward<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) own_routes: usize,
    pub(crate) attempt: u8,
    pub(crate) uri: Option<&'a [u8]>,
    /// What it takes along besides our Via.
    pub(crate) mark: Mark<'a>,
    /// Whether it goes to a target, which is told that we heed its wishes.
    pub(crate) to: To,
}

/// What of ours a request carries for later ones.
#[derive(Debug)]
pub(crate) enum Mark<'a> {
    None,
    /// For requests to the phone to come over the flow it uses now (RFC 5626 §5.1).
    Path,
    /// Once for each side if they are reached by different listeners (RFC 5658 §4): towards the
    /// receiver, and back.
    RecordRoute(&'a Dialog, [ListenerId; 2]),
}

/// Which side a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Target(Option<TargetId>),
    Client,
}

impl Dispatcher {
    /// Sends a request on and forgets it, unless it has to be repeated for a sender that relies
    /// on its stream. `key` is what a failure is told under.
    pub(crate) fn send(
        &mut self,
        now: Time,
        ingress: &Ingress,
        message: &Message,
        onward: &Onward<'_>,
        key: u64,
    ) {
        let bytes = self.onward_bytes(ingress, message, onward);
        let sent = (onward.destination, &bytes);
        self.repeat_request(now, ingress, (message.method(), onward.attempt), sent);
        self.transmit(onward.destination.clone(), bytes, key);
    }

    /// A request as it leaves.
    pub(crate) fn onward_bytes(
        &self,
        ingress: &Ingress,
        message: &Message,
        onward: &Onward<'_>,
    ) -> Bytes {
        let listener = onward.destination.listener();
        let framing = if onward.destination.transport().is_reliable() {
            Framing::Stream
        } else {
            Framing::Datagram
        };
        let changes = Changes {
            uri: onward.uri,
            own_routes: onward.own_routes,
            source: ingress.flow.remote,
            framing,
        };
        rewrite::request(message, &changes, |lines| {
            let branch = Branch {
                attempt: onward.attempt,
                end: ingress.end,
                key: ingress.key,
            };
            let offer: &[u8] = match onward.to {
                To::Target(_) => overload::OFFER,
                To::Client => b"",
            };
            if let Some(hop) = self.hops.of(listener) {
                hop.write_via(lines, |out| Seal::write_branch(out, &branch), offer);
            }
            match onward.mark {
                Mark::None => {}
                Mark::Path => self.write_path(lines, ingress, message, listener),
                Mark::RecordRoute(dialog, sides) => {
                    let call_id = message.call_id().unwrap_or_default();
                    self.hops.write_record_route(lines, sides, |out| {
                        self.seal.write_dialog(out, dialog, call_id);
                    });
                }
            }
        })
    }

    fn write_path(
        &self,
        lines: &mut Vec<u8>,
        ingress: &Ingress,
        message: &Message,
        listener: ListenerId,
    ) {
        let Some(hop) = self.hops.of(listener) else {
            return;
        };
        let is_first_hop = message.values(HeaderName::Via).count() == 1;
        let parameters = if is_first_hop { ";ob" } else { "" };
        let user = |out: &mut Vec<u8>| self.seal.write_path(out, &ingress.end);
        hop.write_uri(lines, "Path", user, parameters);
    }
}
