//! From bytes to events: defence, parsing, transactions, and on to whoever is concerned.

use std::net::IpAddr;

use bytes::Bytes;
use call::{Cause, Input, Uac};
use clock::Time;
use routing::HealthEvent;
use sip::parse::Malformed;
use sip::transaction::{Event, ServerId, TransactionOutput};
use sip::{ConnId, Destination, Flow, Framing, HeaderName, Message, Method, Transmit, Writer};

use crate::Switch;
use crate::counters::Counters;
use crate::defence::{Defence, Judgement};
use crate::output::{self, CallKey, Output};

/// What we accept outside of dialogs.
const ALLOW: &[u8] =
    b"INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, REFER, NOTIFY";

impl Switch {
    /// One datagram.
    pub fn handle_datagram(&mut self, now: Time, flow: Flow, bytes: &[u8]) {
        if bytes.len() <= 4 {
            // Keep-alives: nothing, CRLF or twice CRLF. Over UDP nobody expects an answer.
            return;
        }
        self.handle_bytes(now, flow, Bytes::copy_from_slice(bytes), Framing::Datagram);
    }

    /// One message of a stream or WebSocket.
    pub fn handle_stream_message(&mut self, now: Time, flow: Flow, bytes: Bytes) {
        self.handle_bytes(now, flow, bytes, Framing::Stream);
    }

    /// A connection is gone.
    pub fn handle_closed(&mut self, now: Time, conn: ConnId) {
        self.certificates.remove(&conn);
        self.registrar.handle_connection_closed(conn);
        self.upstream.handle_connection_closed(now, conn);
        self.pump(now);
    }

    /// Something could not be sent.
    pub fn handle_transmit_failed(&mut self, now: Time, key: u64) {
        self.transactions.handle_transmit_failed(now, key);
        self.pump(now);
    }

    /// Whether nothing that an address sends is looked at: it is banned.
    #[inline]
    pub fn is_deaf_to(&mut self, now: Time, address: IpAddr) -> bool {
        self.defence.is_banned(now, address) && !self.is_peer(address)
    }

    fn handle_bytes(&mut self, now: Time, flow: Flow, bytes: Bytes, framing: Framing) {
        self.listeners.heard(flow.listener);
        let address = flow.remote.ip();
        if self.is_deaf_to(now, address) {
            self.counters.banned += 1;
            return;
        }
        match Message::parse(bytes, framing) {
            Ok(message) => self.handle_parsed(now, flow, message),
            Err(malformed) => self.handle_malformed(now, flow, &malformed),
        }
        self.pump(now);
    }

    fn handle_parsed(&mut self, now: Time, flow: Flow, message: Message) {
        if message.is_request() {
            self.counters.request(message.method());
        } else {
            let class = usize::from(message.status() / 100).min(6);
            self.counters.responses[class] += 1;
        }
        if self.pass_on(now, flow, &message) {
            return;
        }
        let asks = message.is_request() && message.method() != Method::Ack;
        if asks && !self.has_dialog(&message) && !self.may_ask(now, flow, &message) {
            if self.is_dispatcher(flow.remote.ip()) {
                // Silence would look like ours, and strangers could have us taken for dead.
                self.answer_unheard(flow, &message, 403, "");
            }
            return;
        }
        if let Err(violation) = message.check() {
            self.counters.violations += 1;
            if message.is_request() {
                self.answer_unheard(flow, &message, violation.status(), violation.phrase());
            }
            if !asks {
                self.count_stray(now, flow);
            }
            return;
        }
        let outside = asks && message.to().is_ok_and(|to| to.tag().is_none());
        if outside && message.method() == Method::Register {
            self.handle_register(now, flow, &message);
            return;
        }
        if outside && self.challenge_at_once(now, flow, &message) {
            return;
        }
        self.transactions.handle_message(now, flow, message);
    }

    /// Whether a request belongs to a live dialog of ours, whatever its source. A made-up To tag
    /// does not, even if it has the form of ours.
    fn has_dialog(&self, message: &Message) -> bool {
        let Some(local) = message.to().ok().and_then(|to| to.tag()) else {
            return false;
        };
        let call = self.calls.key_of_tag(local);
        let Some(entry) = call.and_then(|key| self.calls.entry(key)) else {
            return false;
        };
        let remote = message.from().ok().and_then(|from| from.tag());
        let call_id = message.call_id().unwrap_or_default();
        let remote = remote.unwrap_or_default();
        entry.call.has_dialog(call_id, local, remote)
    }

    /// The measures against floods and scanners, for sources no configuration knows.
    fn may_ask(&mut self, now: Time, flow: Flow, message: &Message) -> bool {
        let from = self.source(flow, message);
        let source = from.remote.ip();
        if self.knows(from) || self.is_dispatcher(source) || self.is_peer(source) {
            return true;
        }
        let agent = message.header(HeaderName::UserAgent).unwrap_or_default();
        if Defence::is_scanner(agent) {
            self.counters.scanners += 1;
            if !flow.transport.is_reliable() {
                // Whoever forges the source of datagrams must not get it banned.
                return false;
            }
            let ban = self.defence.ban_scanner(now, source);
            let (reason, until) = (ban.reason, ban.until);
            let event = output::Event::Banned {
                address: source,
                reason,
                until,
            };
            self.outputs.push_back(Output::Event(event));
            return false;
        }
        self.may_send(now, source)
    }

    /// Counts a message that nobody asked for against the rate of a source that no configuration
    /// knows: bytes that are no message, an ACK or a response that fits nothing of ours.
    fn count_stray(&mut self, now: Time, flow: Flow) -> bool {
        let source = flow.remote.ip();
        self.knows(flow) || self.is_dispatcher(source) || self.may_send(now, source)
    }

    fn may_send(&mut self, now: Time, source: IpAddr) -> bool {
        match self.defence.judge_request(now, source) {
            Judgement::Pass => true,
            Judgement::Banned => {
                self.counters.banned += 1;
                false
            }
            Judgement::TooMany => {
                self.counters.flooded += 1;
                false
            }
        }
    }

    fn handle_malformed(&mut self, now: Time, flow: Flow, malformed: &Malformed) {
        Counters::by_label(&mut self.counters.malformed, malformed.error.label());
        if !self.count_stray(now, flow) {
            return;
        }
        if let Some(partial) = malformed
            .partial
            .as_deref()
            .filter(|p| p.method() != Method::Ack)
        {
            let status = match malformed.error {
                sip::ParseError::TooLarge => 513,
                sip::ParseError::Version => 505,
                _ => 400,
            };
            self.answer_unheard(flow, partial, status, "");
        }
    }

    /// Answers a request that is too broken for a transaction, if it says where to.
    pub(crate) fn answer_unheard(
        &mut self,
        flow: Flow,
        message: &Message,
        status: u16,
        phrase: &str,
    ) {
        let Ok(via) = message.via() else { return };
        if message.method() == Method::Ack || via.branch().is_none() {
            return;
        }
        let remote = sip::transaction::response_address(&flow, &via);
        let tag = format!("{:08x}", self.random.bits());
        let w = Writer::response(message, flow.remote, status, phrase, tag.as_bytes());
        let to = Destination::Flow(Flow { remote, ..flow });
        self.outputs.push_back(Output::Transmit(Transmit {
            to,
            bytes: w.finish(),
            key: 0,
        }));
    }

    /// Passes on what the parts have to say, until all are silent.
    pub(crate) fn pump(&mut self, now: Time) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.transactions.poll_output() {
                quiet = false;
                match output {
                    TransactionOutput::Transmit(t) => self.outputs.push_back(Output::Transmit(t)),
                    TransactionOutput::Event(event) => self.handle_event(now, event),
                }
            }
            while let Some(output) = self.registrar.poll_output() {
                quiet = false;
                self.handle_registrar(now, output);
            }
            while let Some(output) = self.upstream.poll_output() {
                quiet = false;
                self.handle_upstream(now, output);
            }
            while let Some(event) = self.health.poll_output(now) {
                quiet = false;
                self.handle_health(now, event);
            }
            if quiet {
                return;
            }
        }
    }

    fn handle_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Request {
                server,
                flow,
                message,
            } => {
                self.handle_request(now, server, flow, message);
            }
            Event::Cancel { server, message } => {
                if let Some(key) = self.invites.get(&server).copied() {
                    let reason = message.header(HeaderName::Reason).map(Into::into);
                    self.feed(now, key, Input::Cancelled { reason });
                }
            }
            Event::Ack { flow, message } => self.deliver(now, 0, flow, message),
            Event::Response {
                client,
                flow,
                message,
            } => {
                self.handle_response(now, client, flow, message);
            }
            Event::Timeout { client } => self.handle_request_failed(now, client, Uac::Timeout),
            Event::RequestFailed { client } => {
                self.handle_request_failed(now, client, Uac::Unreachable);
            }
            Event::NoAck { server } => {
                if let Some(key) = self.invites.get(&server).copied() {
                    self.feed(
                        now,
                        key,
                        Input::NoAck {
                            uas: server.as_u64(),
                        },
                    );
                }
            }
            Event::ClientEnded { client } => {
                self.owners.remove(&client);
            }
            Event::NoPrack { server } => {
                if let Some(key) = self.invites.get(&server).copied() {
                    self.feed(now, key, Input::End(Cause::NoAck));
                }
            }
            Event::ServerEnded { server } => {
                self.invites.remove(&server);
            }
            Event::StrayResponse { flow, message } => {
                self.count_stray(now, flow);
                self.seek_by_response(now, flow, &message);
            }
            Event::ResponseFailed { .. } => {}
        }
    }

    fn handle_request(&mut self, now: Time, server: ServerId, flow: Flow, message: Message) {
        if message.to().is_ok_and(|to| to.tag().is_some()) {
            self.deliver(now, server.as_u64(), flow, message);
            return;
        }
        match message.method() {
            Method::Invite if self.takes_calls() => self.handle_invite(now, server, flow, message),
            Method::Invite => self.refuse_with(now, server, flow, &message, 503, |w| {
                w.header("Retry-After", b"5");
            }),
            Method::Options => self.handle_options(now, server, flow, &message),
            Method::Message => self.handle_pager_message(now, server, flow, &message),
            Method::Bye
            | Method::Prack
            | Method::Update
            | Method::Info
            | Method::Refer
            | Method::Notify => self.refuse(now, server, flow, &message, 481, ""),
            // RFC 3261 §21.5.2 for methods we do not know, §21.4.6 for those we do not serve.
            Method::Other => self.refuse(now, server, flow, &message, 501, ""),
            _ => self.refuse_with(now, server, flow, &message, 405, |w| {
                w.header("Allow", ALLOW);
            }),
        }
    }

    /// OPTIONS to us: what we can do, to whoever asks (RFC 3261 §11.2).
    fn handle_options(&mut self, now: Time, server: ServerId, flow: Flow, message: &Message) {
        if self.refuse_extensions(now, server, flow, message) {
            return;
        }
        let status = if self.takes_calls() { 200 } else { 503 };
        // What others need not know.
        let is_dispatcher = self.is_dispatcher(flow.remote.ip());
        let calls = is_dispatcher.then(|| self.call_count());
        self.refuse_with(now, server, flow, message, status, |w| {
            if let Some(calls) = calls {
                w.header_fmt("X-Tandem-Load", format_args!("calls={calls}"));
            }
            w.header("Allow", ALLOW)
                .header("Accept", b"application/sdp");
            w.header(
                "Supported",
                b"100rel, timer, replaces, path, outbound, gruu",
            );
        });
    }

    /// A request inside a dialog, or an ACK: our tag in To names the call. One that is not here may
    /// be another node's.
    pub(crate) fn deliver(&mut self, now: Time, uas: u64, flow: Flow, message: Message) {
        if self.holds(&message) || !self.seek(now, uas, flow, &message) {
            self.deliver_here(now, uas, flow, message);
        }
    }

    pub(crate) fn deliver_here(&mut self, now: Time, uas: u64, flow: Flow, message: Message) {
        let tag = message
            .to()
            .ok()
            .and_then(|to| to.tag())
            .unwrap_or_default();
        let key = self.calls.key_of_tag(tag);
        // A call that is only kept for its record answers nothing any more.
        let is_live = |k: &CallKey| self.calls.entry(*k).is_some_and(|e| !e.facts.is_settled);
        match key.filter(is_live) {
            Some(key) => {
                if let Some(server) =
                    ServerId::from_u64(uas).filter(|_| message.method() == Method::Invite)
                {
                    self.invites.insert(server, key);
                }
                self.feed(now, key, Input::Request { uas, flow, message });
            }
            None if uas != 0 => {
                if let Some(server) = ServerId::from_u64(uas) {
                    self.refuse(now, server, flow, &message, 481, "");
                }
            }
            None if self.acknowledges_challenge(&message) => {}
            None => {
                self.count_stray(now, flow);
            }
        }
    }

    fn handle_registrar(&mut self, now: Time, output: registrar::Output) {
        match output {
            registrar::Output::Ping(ping) => self.ping_binding(now, &ping),
            registrar::Output::Datagram(flow) => {
                let to = Destination::Flow(flow);
                let bytes = Bytes::from_static(b"\r\n\r\n");
                self.outputs
                    .push_back(Output::Transmit(Transmit { to, bytes, key: 0 }));
            }
            registrar::Output::Remove { aor, key } => {
                self.outputs.push_back(Output::RemoveBinding { aor, key });
            }
            registrar::Output::Event(event) => {
                self.outputs
                    .push_back(Output::Event(output::Event::Registration(event)));
            }
        }
    }

    fn handle_health(&mut self, now: Time, event: HealthEvent) {
        match event {
            HealthEvent::Probe(gateway) => self.ping_gateway(now, gateway),
            HealthEvent::Up { gateway } => self.tell_gateway(gateway, true, String::new()),
            HealthEvent::Down { gateway, cause, .. } => {
                self.tell_gateway(gateway, false, cause.to_string());
            }
        }
    }

    fn tell_gateway(&mut self, id: model::GatewayId, up: bool, reason: String) {
        self.outputs
            .push_back(Output::Event(output::Event::Gateway { id, up, reason }));
    }
}
