//! Where the media of a call is to be served: what its records say.

use std::net::IpAddr;
use std::time::Duration;

use model::{Carrier, RouteId};
use routing::{Attempt, Caller, Decision, Step, Target, Trace as _};

use crate::Switch;
use crate::media_servers::Place;
use crate::output::CallKey;

impl Switch {
    /// For a call under way; the attempt dialled last counts.
    pub(crate) fn place_of(&self, key: CallKey) -> Place {
        let Some(entry) = self.calls.entry(key) else {
            return Place::default();
        };
        if self.snapshot.media_servers.is_empty() {
            return Place::default();
        }
        let facts = &entry.facts;
        let dialled = facts.attempts.iter().rev().find(|tried| tried.dialled);
        let outbound = dialled.and_then(|tried| tried.outbound.as_deref());
        let mut place = self.place(&facts.caller, outbound);
        place.peers[0] = Some(facts.source.remote.ip().to_canonical());
        place.callee = place.callee.or_else(|| facts.callee_zone.clone());
        place
    }

    /// For a call that is only thought of, or about to begin.
    #[must_use]
    pub fn place_of_decision(&self, decision: &Decision) -> Place {
        let outbound = match &decision.target {
            Target::Gateways(attempts) => attempts.first(),
            _ => None,
        };
        let mut place = self.place(&decision.caller, outbound);
        place.callee = place.callee.or_else(|| zone_of_target(&decision.target));
        place
    }

    fn place(&self, caller: &Caller, outbound: Option<&Attempt>) -> Place {
        let of_carrier = |carrier: &Carrier| carrier.media_zone.clone();
        Place {
            route: outbound.and_then(|attempt| self.route_zone(attempt.route)),
            caller: match caller {
                Caller::Customer(customer) => customer.media_zone.clone(),
                Caller::Carrier { carrier, .. } => of_carrier(carrier),
                Caller::User(_) | Caller::Unknown => None,
            },
            callee: outbound.and_then(|attempt| of_carrier(&attempt.carrier)),
            peers: [
                None,
                outbound.and_then(|attempt| attempt.gateway.host.parse::<IpAddr>().ok()),
            ],
        }
    }

    fn route_zone(&self, id: RouteId) -> Option<String> {
        let mut routes = self.snapshot.routes.iter();
        routes.find(|route| route.id == id)?.media_zone.clone()
    }

    /// The media of a call was lost and is back.
    pub(crate) fn note_media_moved(&mut self, key: CallKey, took: Duration) {
        self.counters.media_moved += 1;
        if let Some(entry) = self.calls.entry_mut(key) {
            let text = format!(
                "the media was moved to another server in {} ms",
                took.as_millis()
            );
            entry.facts.steps.step(|| Step::Media(text.into()));
        }
    }
}

/// The media zone of the customer whose switch is called.
pub(crate) fn zone_of_target(target: &Target) -> Option<String> {
    match target {
        Target::Customer { customer, .. } => customer.media_zone.clone(),
        _ => None,
    }
}
