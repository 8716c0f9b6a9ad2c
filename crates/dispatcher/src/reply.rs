//! Answers of our own.

use std::time::Duration;

use balancer::Admission;
use clock::Time;
use forward::{End, rewrite};
use sip::{Destination, Flow, Message, Method, Writer};

use crate::client::sender_address;
use crate::{Dispatcher, overload};

impl Dispatcher {
    /// Answers a request, unless it is an ACK or does not say where to.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        flow: Flow,
        message: &Message,
        status: u16,
        phrase: &str,
        more: impl FnOnce(&mut Writer),
    ) {
        let Ok(via) = message.via() else { return };
        if message.method() == Method::Ack || via.branch().is_none() {
            return;
        }
        // A repeated request gets the same tag (RFC 3261 §8.2.7).
        let end = End::of(&flow, self.instance);
        let from = message.from().ok().and_then(|from| from.tag());
        let from = from.unwrap_or_default();
        let key = self.seal.transaction(message, from, &via, &end);
        let tag = format!("{:016x}", self.seal.answer(key));
        let mut writer = Writer::response(message, flow.remote, status, phrase, tag.as_bytes());
        writer.header("Server", self.config.product.as_bytes());
        more(&mut writer);
        let mut bytes = writer.finish();
        if overload::is_understood(&via) {
            let percent = self.balancer.loss_percent(now);
            bytes = rewrite::with_wish_on_top(bytes, overload::parameters(percent, now).as_bytes());
        }
        let to = match flow.conn {
            Some(_) => flow,
            None => Flow {
                remote: sender_address(&flow, &via),
                ..flow
            },
        };
        self.transmit(Destination::Flow(to), bytes, 0);
    }

    /// Refuses a request that there is no target for.
    pub(crate) fn refuse(
        &mut self,
        now: Time,
        flow: Flow,
        message: &Message,
        refusal: balancer::Refusal,
    ) {
        let wait = match refusal {
            balancer::Refusal::NoneUp => {
                self.counters.refused_down += 1;
                self.config.policy.probing.interval
            }
            balancer::Refusal::Overloaded { retry_after } => {
                self.counters.refused_overloaded += 1;
                retry_after
            }
        };
        self.close(now, flow, message, wait);
    }

    /// Refuses a request because nothing new is taken.
    pub(crate) fn refuse_draining(&mut self, now: Time, flow: Flow, message: &Message) {
        self.counters.refused_draining += 1;
        self.close(now, flow, message, DRAINING_WAIT);
    }

    /// Refuses what was refused before, though a target may be up by now (RFC 3261 §17.2.1).
    pub(crate) fn refuse_again(&mut self, now: Time, flow: Flow, message: &Message) {
        let wait = self.config.policy.probing.interval;
        self.close(now, flow, message, wait);
    }

    /// 503 with Retry-After (RFC 3261 §21.5.4).
    fn close(&mut self, now: Time, flow: Flow, message: &Message, wait: Duration) {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        self.answer(now, flow, message, 503, "", |writer| {
            writer.header_fmt("Retry-After", format_args!("{seconds}"));
        });
    }

    /// Whether one more new call is too many for us.
    pub(crate) fn is_too_fast(&mut self, now: Time) -> bool {
        let max = self.config.cps_max;
        let (start, count) = self.second;
        if now.since(start) >= Duration::from_secs(1) {
            self.second = (now, 1);
            return false;
        }
        if max > 0 && count >= max {
            return true;
        }
        self.second = (start, count + 1);
        false
    }

    /// OPTIONS to ourselves: whether calls are taken (RFC 3261 §11.2).
    pub(crate) fn answer_options(&mut self, now: Time, flow: Flow, message: &Message) {
        if self.admission == Admission::Draining {
            return self.refuse_draining(now, flow, message);
        }
        if !self.is_ready(now) {
            let refusal = balancer::Refusal::NoneUp;
            self.refuse(now, flow, message, refusal);
            return;
        }
        self.answer(now, flow, message, 200, "", |writer| {
            writer.header("Supported", b"path, outbound");
        });
    }
}

/// Retry-After while nothing new is taken: short, for some clients send nothing at all until then, what
/// belongs to their calls included.
const DRAINING_WAIT: Duration = Duration::from_secs(5);
