//! OPTIONS to targets: whether they are there, and how loaded they are.

use std::time::Duration;

use balancer::TargetId;
use clock::Time;
use sip::{Destination, ListenerId, Message, Via, Writer};

use crate::dispatcher::Key;
use crate::{Dispatcher, overload};

impl Dispatcher {
    /// Probes the targets whose turn it is.
    pub(crate) fn send_probes(&mut self, now: Time) {
        while let Some(id) = self.balancer.poll_probe(now) {
            self.send_probe(now, id);
        }
    }

    fn send_probe(&mut self, now: Time, id: TargetId) {
        let Some(target) = self.place(id).cloned() else {
            return;
        };
        let hop = self
            .hops
            .towards(target.transport, target.remote, ListenerId(0));
        let Some(hop) = hop else {
            // Without a listener of its transport nothing can be sent there.
            self.balancer.handle_probe_refused(now, id);
            return;
        };
        self.probes += 1;
        // The proof stands in the branch, so that a stranger cannot keep a dead target alive.
        let sent_us = now.as_micros();
        let proof = self
            .seal
            .probe(format!("probe {} {sent_us}", id.0).as_bytes());
        let branch = format!("{PROBE}{:x}.{sent_us:x}.{proof:016x}", id.0);
        let (address, us) = (target.remote, hop.sent_by.clone());
        let parameter = match target.transport {
            sip::Transport::Udp => "",
            sip::Transport::Tcp => ";transport=tcp",
            _ => ";transport=tls",
        };
        let mut lines = Vec::new();
        let write_branch = |out: &mut Vec<u8>| out.extend_from_slice(branch.as_bytes());
        hop.write_via(&mut lines, write_branch, overload::OFFER);
        let to = Destination::Address {
            transport: target.transport,
            listener: hop.id,
            remote: address,
            name: target.name.clone(),
        };
        let uri = format!("sip:{address}{parameter}");
        let mut writer = Writer::request("OPTIONS", uri.as_bytes());
        writer.raw(&lines);
        writer.header("Max-Forwards", b"1");
        writer.header_fmt(
            "From",
            format_args!("<sip:dispatcher@{us}>;tag={proof:016x}"),
        );
        writer.header_fmt("To", format_args!("<{uri}>"));
        writer.header_fmt("Call-ID", format_args!("{proof:016x}{:x}", self.probes));
        writer.header("CSeq", b"1 OPTIONS");
        writer.header_fmt("Contact", format_args!("<sip:dispatcher@{us}>"));
        writer.header("User-Agent", self.config.product.as_bytes());
        let bytes = writer.finish();
        self.transmit(to, bytes, Key::Probe(id).write());
    }

    /// Takes the answer to a probe; false if it is none.
    pub(crate) fn handle_probe_response(
        &mut self,
        now: Time,
        via: &Via<'_>,
        message: &Message,
    ) -> bool {
        let branch = via.branch().unwrap_or_default();
        let text = branch.get(COOKIE_LEN..).unwrap_or_default();
        let Some(text) = text.strip_prefix(PROBE.as_bytes()) else {
            return false;
        };
        let Some((id, sent_us)) = self.open_probe(text) else {
            self.counters.strays += 1;
            return true;
        };
        if let Some(loss) = overload::wish(via) {
            self.balancer.handle_loss(now, id, loss);
        }
        match message.status() {
            ..200 => {}
            // It is there and takes nothing. Any other refusal shows that it is alive.
            503 => self.balancer.handle_probe_closed(now, id),
            _ => {
                let rtt = Duration::from_micros(now.as_micros().saturating_sub(sent_us));
                self.balancer
                    .handle_probe_answer(now, id, rtt, reported_calls(message));
            }
        }
        true
    }

    fn open_probe(&self, text: &[u8]) -> Option<(TargetId, u64)> {
        let text = core::str::from_utf8(text).ok()?;
        let mut parts = text.split('.');
        let (id, sent, proof) = (parts.next()?, parts.next()?, parts.next()?);
        let id = u32::from_str_radix(id, 16).ok()?;
        let sent_us = u64::from_str_radix(sent, 16).ok()?;
        let wanted = self.seal.probe(format!("probe {id} {sent_us}").as_bytes());
        (u64::from_str_radix(proof, 16).ok()? == wanted).then_some((TargetId(id), sent_us))
    }
}

/// The calls that a target says it has: `X-Tandem-Load: calls=12`.
fn reported_calls(message: &Message) -> Option<u32> {
    let value = message.header_named(LOAD_HEADER)?;
    let mut parts = value.split(|b| *b == b';');
    parts.find_map(|part| {
        let number = sip::lex::trim(part).strip_prefix(b"calls=")?;
        sip::lex::number(number)
    })
}

/// A target that is also reached by others says in its answers to OPTIONS how many calls it has.
const LOAD_HEADER: &str = "X-Tandem-Load";
/// Begins the branches of probes; no base64 has a dot.
const PROBE: &str = "probe.";
/// `z9hG4bK`
pub(crate) const COOKIE_LEN: usize = 7;
