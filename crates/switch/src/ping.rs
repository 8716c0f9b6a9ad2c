//! OPTIONS of ours: to bindings, for verification and keep-alive, and to gateways, for health.

use clock::Time;
use registrar::{Contact, Ping, PingFailure, PingId, Reach};
use routing::Probe;
use sip::{Destination, Writer};

use crate::Switch;
use crate::dial::Question;
use crate::owner::Owner;

impl Switch {
    /// An OPTIONS to a binding (MISSION G).
    pub(crate) fn ping_binding(&mut self, now: Time, ping: &Ping) {
        let contact = &ping.contact;
        let flow = self.listeners.speaking(*contact.reach.flow());
        let Contact { uri, path, .. } = contact;
        let bytes = self.write_options(uri, path, flow.listener);
        match contact.reach {
            Reach::Flow(_) => {
                let owner = Owner::BindingPing {
                    ping: ping.id,
                    sent: now,
                };
                self.send_request(now, Destination::Flow(flow), &bytes, owner);
            }
            // Its holder does.
            Reach::Peer(..) => {}
            Reach::Path(_) => {
                let hop = first_hop(path).to_vec();
                let question = Question::BindingPing {
                    ping: ping.id,
                    bytes,
                };
                self.resolve(now, &hop, flow.listener, question);
            }
        }
    }

    pub(crate) fn binding_answered(&mut self, now: Time, ping: PingId, sent: Time, status: u16) {
        let rtt_us = now.since(sent).as_micros() as u32;
        self.registrar.handle_pong(now, ping, status, rtt_us);
    }

    pub(crate) fn binding_silent(&mut self, now: Time, ping: PingId) {
        self.registrar
            .handle_ping_failed(now, ping, PingFailure::NoAnswer);
    }

    /// An OPTIONS to a gateway.
    pub(crate) fn ping_gateway(&mut self, now: Time, gateway: model::GatewayId) {
        let Some(record) = self
            .snapshot
            .gateways
            .iter()
            .find(|g| g.id == gateway)
            .cloned()
        else {
            return;
        };
        let uri = crate::plan::gateway_uri(&record, "");
        let listener = self.listeners.first();
        let bytes = self.write_options(uri.as_bytes(), b"", listener);
        let question = Question::GatewayPing { gateway, bytes };
        self.resolve(now, uri.as_bytes(), listener, question);
    }

    pub(crate) fn gateway_answered(
        &mut self,
        now: Time,
        gateway: model::GatewayId,
        sent: Time,
        status: u16,
    ) {
        let probe = match status {
            503 => Probe::Unavailable { retry_after_s: 0 },
            408 => Probe::Silent,
            _ => Probe::Answered {
                rtt_us: now.since(sent).as_micros() as u32,
            },
        };
        self.health.handle_probe(now, gateway, probe);
    }

    pub(crate) fn gateway_silent(&mut self, now: Time, gateway: model::GatewayId) {
        self.health.handle_probe(now, gateway, Probe::Silent);
    }

    fn write_options(
        &mut self,
        uri: &[u8],
        path: &[u8],
        listener: sip::ListenerId,
    ) -> bytes::Bytes {
        let mut w = Writer::request("OPTIONS", uri);
        if !path.is_empty() {
            w.header("Route", path);
        }
        let call_id = self.random.call_id();
        let tag = format!("{:08x}", self.random.bits());
        w.header_fmt(
            "From",
            format_args!("<sip:ping@{}>;tag={tag}", self.routes.domain()),
        );
        w.raw(b"To: <").raw(uri).raw(b">\r\n");
        w.header("Call-ID", &call_id).header("CSeq", b"1 OPTIONS");
        w.header("Max-Forwards", b"70")
            .header("Accept", b"application/sdp");
        w.header_fmt(
            "Contact",
            format_args!("<{}>", self.call_config.contact(listener)),
        );
        w.header("User-Agent", self.call_config.product.as_bytes());
        w.finish()
    }
}

/// The URI of the first route of a Path.
pub(crate) fn first_hop(path: &[u8]) -> &[u8] {
    sip::lex::commas(path)
        .next()
        .and_then(|v| sip::NameAddr::parse(v).ok())
        .map_or(path, |address| address.uri)
}
