//! What happens, in the log and to those who watch events.

use clock::Time;
use control::PlatformEvent;
use media::Side;
use serde_json::json;
use switch::media_servers::{MediaChange, MediaServerChange};
use switch::{CallChange, CallKey, Event, Switch};

use super::SwitchHost;
use crate::recording;
use crate::uploads::Uploaded;

impl SwitchHost {
    pub(super) fn tell_media(&mut self, now: Time, change: &MediaServerChange) {
        let MediaServerChange {
            server,
            name,
            reason,
            sessions,
            ..
        } = change;
        let event = match change.change {
            MediaChange::Up => {
                tracing::info!(%server, name, reason, "media server up");
                "media.up"
            }
            MediaChange::Down => {
                tracing::warn!(%server, name, reason, sessions, "media server down");
                "media.down"
            }
            MediaChange::Drained => {
                tracing::info!(%server, name, "media server drained");
                "media.drained"
            }
        };
        self.announce(now, || {
            let data =
                json!({ "id": server, "name": name, "reason": reason, "sessions": sessions });
            ("media", event, data)
        });
    }

    pub(super) fn tell_consent_lost(
        &mut self,
        now: Time,
        call: CallKey,
        side: Side,
        switch: &Switch,
    ) {
        let Some(call) = switch.call_id(call) else {
            return;
        };
        let side = match side {
            Side::A => "caller",
            Side::B => "callee",
        };
        tracing::info!(%call, side, "a side has not answered for 30 s whether it wants media");
        self.announce(now, || {
            let data = json!({ "call": call, "side": side });
            ("media", "media.consent_lost", data)
        });
    }

    pub(super) fn tell(&mut self, now: Time, event: &Event, switch: &Switch) {
        log(event, switch);
        self.announce(now, || {
            let (topic, data) = describe(event);
            (topic, name_of(event), data)
        });
    }

    pub(crate) fn tell_upload(&mut self, now: Time, uploaded: &Uploaded) {
        self.announce(now, || recording::describe_upload(uploaded));
    }

    /// Tells those who watch, if anybody does: topic, name and data.
    pub(super) fn announce(
        &mut self,
        now: Time,
        describe: impl FnOnce() -> (&'static str, &'static str, serde_json::Value),
    ) {
        self.event_sequence += 1;
        if self.events.receiver_count() == 0 {
            return;
        }
        let (topic, name, data) = describe();
        // Without a receiver nobody watches.
        let _ = self.events.send(PlatformEvent {
            sequence: self.event_sequence,
            at_us: now.as_micros(),
            topic: topic.into(),
            name: name.into(),
            data,
            server: None,
            server_name: String::new(),
        });
    }
}

/// One line for what happens: of gateways and bans for everybody, of people at debug.
fn log(event: &Event, switch: &Switch) {
    match event {
        Event::Call {
            id,
            change,
            parties: (caller, called),
        } => {
            let status = match change {
                CallChange::Ended(status) => Some(*status),
                CallChange::Started | CallChange::Ringing | CallChange::Answered => None,
            };
            let change = name_of(event);
            tracing::debug!(call = %id, %caller, %called, status, "{change}");
        }
        Event::Registration(told) => {
            let change = name_of(event);
            tracing::debug!(aor = %told.aor, transport = told.transport.param_name(), "{change}");
        }
        Event::Gateway { id, up, reason } => {
            let name = switch.gateway_name(*id);
            if *up {
                tracing::info!(gateway = %id, name, "gateway up");
            } else {
                tracing::warn!(gateway = %id, name, %reason, "gateway down");
            }
        }
        Event::GatewayRegistration { id, failure } => {
            let name = switch.gateway_name(*id);
            match failure {
                None => tracing::info!(gateway = %id, name, "registered at the gateway"),
                Some(why) => {
                    tracing::warn!(gateway = %id, name, %why, "not registered at the gateway");
                }
            }
        }
        Event::Banned {
            address, reason, ..
        } => tracing::warn!(%address, %reason, "banned"),
    }
}

fn name_of(event: &Event) -> &'static str {
    match event {
        Event::Call { change, .. } => match change {
            CallChange::Started => "call.started",
            CallChange::Ringing => "call.ringing",
            CallChange::Answered => "call.answered",
            CallChange::Ended(_) => "call.ended",
        },
        Event::Registration(event) => match event.kind {
            registrar::EventKind::Registered => "registration.added",
            registrar::EventKind::Refreshed => "registration.refreshed",
            registrar::EventKind::Verified => "registration.verified",
            registrar::EventKind::Unreachable(_) => "registration.unreachable",
            registrar::EventKind::Reachable => "registration.reachable",
            registrar::EventKind::Unregistered(_) => "registration.removed",
        },
        Event::Gateway { up: true, .. } => "gateway.up",
        Event::Gateway { up: false, .. } => "gateway.down",
        Event::GatewayRegistration { failure: None, .. } => "gateway.registered",
        Event::GatewayRegistration { .. } => "gateway.unregistered",
        Event::Banned { .. } => "ban.added",
    }
}

/// The topic of an event, and what watchers are told of it.
fn describe(event: &Event) -> (&'static str, serde_json::Value) {
    match event {
        Event::Call {
            id,
            change,
            parties: (caller, called),
        } => {
            let status = match change {
                CallChange::Ended(status) => Some(*status),
                CallChange::Started | CallChange::Ringing | CallChange::Answered => None,
            };
            let data = json!({ "id": id, "caller": caller, "called": called, "status": status });
            ("calls", data)
        }
        Event::Registration(event) => {
            let data = json!({
                "id": event.binding.to_string(),
                "aor": event.aor,
                "transport": event.transport.param_name(),
            });
            ("registrations", data)
        }
        Event::Gateway { id, reason, .. } => ("gateways", json!({ "id": id, "reason": reason })),
        Event::GatewayRegistration { id, failure } => {
            let reason = failure
                .as_ref()
                .map_or_else(String::new, ToString::to_string);
            ("gateways", json!({ "id": id, "reason": reason }))
        }
        Event::Banned {
            address,
            reason,
            until,
        } => {
            let data =
                json!({ "address": address, "reason": reason, "until_us": until.as_micros() });
            ("bans", data)
        }
    }
}
