//! Our registrations at carriers: REGISTER requests of ours, and what comes back.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use clock::Time;
use model::GatewayId;
use registrar::{Dice, UpstreamFailure, UpstreamId, UpstreamOutput, UpstreamStep};
use sip::{Destination, Flow, HeaderName, Message, Transmit, Uri};

use crate::Switch;
use crate::dial::Question;
use crate::invite::Texts;
use crate::output::{Event, Output};
use crate::owner::Owner;

/// Where the request of each registration goes.
pub(crate) type UpstreamTargets = BTreeMap<UpstreamId, Targets>;

/// The addresses of a gateway in the order in which they are tried.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// The one that the request was sent to.
    asked: Option<Destination>,
    rest: VecDeque<Destination>,
}

impl Switch {
    pub(crate) fn handle_upstream(&mut self, now: Time, output: UpstreamOutput) {
        match output {
            UpstreamOutput::Ask { id, gateway } => {
                let uri = crate::plan::gateway_uri(&gateway, "");
                let listener = self.listeners.first();
                self.resolve(now, uri.as_bytes(), listener, Question::Upstream { id });
            }
            UpstreamOutput::KeepAlive(flow) => {
                let to = Destination::Flow(flow);
                let bytes = Bytes::from_static(b"\r\n\r\n");
                let ping = Transmit { to, bytes, key: 0 };
                self.outputs.push_back(Output::Transmit(ping));
            }
            UpstreamOutput::Registered { gateway } => self.tell_registration(gateway, None),
            UpstreamOutput::Failed { gateway, failure } => {
                self.tell_registration(gateway, Some(failure));
            }
        }
    }

    fn tell_registration(&mut self, id: GatewayId, failure: Option<UpstreamFailure>) {
        let event = Event::GatewayRegistration { id, failure };
        self.outputs.push_back(Output::Event(event));
    }

    /// The addresses of a gateway. The one that answered last comes first: another server of the
    /// carrier may not know what that one knows.
    pub(crate) fn upstream_found(&mut self, now: Time, id: UpstreamId, found: Vec<Destination>) {
        let targets = self.upstream_targets.entry(id).or_default();
        targets.rest = found.into();
        if let Some(last) = targets.asked.take()
            && let Some(place) = targets.rest.iter().position(|to| *to == last)
            && let Some(last) = targets.rest.remove(place)
        {
            targets.rest.push_front(last);
        }
        self.upstream_next(now, id, UpstreamFailure::NoAddress);
    }

    /// Asks the next address of a gateway; if there is none, that is why it failed.
    pub(crate) fn upstream_next(&mut self, now: Time, id: UpstreamId, failure: UpstreamFailure) {
        let targets = self.upstream_targets.entry(id).or_default();
        targets.asked = targets.rest.pop_front();
        if targets.asked.is_some() {
            self.send_register(now, id);
            return;
        }
        let dice = self.upstream_dice();
        self.upstream.handle_exhausted(now, id, failure, &dice);
        self.upstream_targets.remove(&id);
    }

    pub(crate) fn upstream_answered(
        &mut self,
        now: Time,
        id: UpstreamId,
        flow: Flow,
        response: &Message,
    ) {
        let dice = self.upstream_dice();
        let step = self
            .upstream
            .handle_response(now, id, flow, response, &dice);
        match step {
            UpstreamStep::Wait => {}
            UpstreamStep::Repeat => self.send_register(now, id),
            UpstreamStep::TryNext => {
                let after_s = response.number(HeaderName::RetryAfter);
                let failure = UpstreamFailure::Refused(response.status(), after_s);
                self.upstream_next(now, id, failure);
            }
        }
        if !self.upstream.knows(id) {
            self.upstream_targets.remove(&id);
        }
    }

    fn send_register(&mut self, now: Time, id: UpstreamId) {
        let targets = self.upstream_targets.get(&id);
        let Some(to) = targets.and_then(|targets| targets.asked.clone()) else {
            return;
        };
        let listener = match &to {
            Destination::Flow(flow) => flow.listener,
            Destination::Address { listener, .. } => *listener,
        };
        let dice = self.upstream_dice();
        let contact = self.call_config.contact(listener);
        let product = &self.call_config.product;
        let request = self.upstream.request(id, &to, contact, product, &dice);
        if let Some(request) = request {
            self.send_request(now, to, &request, Owner::Upstream { id });
        }
    }

    fn upstream_dice(&mut self) -> Dice {
        Dice {
            call_id: self.random.call_id(),
            number: self.random.bits(),
        }
    }

    /// The gateway that a call comes from, if it was sent to the Contact of a registration of
    /// ours: carriers with several accounts of ours call from one address. The number is then not
    /// in the request URI, which repeats our Contact, but in To.
    pub(crate) fn registered_line(
        &self,
        flow: Flow,
        message: &Message,
        texts: &mut Texts,
    ) -> Option<GatewayId> {
        // A dispatcher may stand between.
        let address = self.source(flow, message).remote.ip().to_canonical();
        let is_at = |gateway: &model::Gateway| {
            let names = self.gateway_addresses.get(&gateway.id);
            gateway.host.parse() == Ok(address) || names.is_some_and(|all| all.contains(&address))
        };
        let line = self
            .upstream
            .gateways_of(texts.called.as_bytes())
            .find(|gateway| gateway.inbound && is_at(gateway))
            .map(|gateway| gateway.id)?;
        let to = message.to().ok()?;
        if let Ok(to) = Uri::parse(to.uri)
            && !to.user.unwrap_or_default().is_empty()
        {
            texts.called = String::from_utf8_lossy(&to.user_unescaped()).into_owned();
        }
        Some(line)
    }
}
