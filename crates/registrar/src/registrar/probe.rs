//! Verification and keep-alives: when OPTIONS goes out and what its outcome means.

use core::num::NonZeroU32;
use core::time::Duration;

use clock::Time;
use model::KeepAlive;
use sip::Transport;

use super::Registrar;
use crate::binding::{Binding, BindingId, Origin, Probe, Trust};
use crate::contact::Contact;
use crate::output::{EventKind, Output, Ping, PingFailure, PingId, PingReason, Removal};
use crate::policy;

/// Whether a final answer to OPTIONS shows that the contact is there. Any does, a refusal too,
/// except those by which somebody else speaks for it: 404, 410 and 604 (another phone has its
/// address), 408, 502, 503 and 504 (a proxy did not reach it) and 430 (RFC 5626 §11.6: its flow
/// is gone).
#[must_use]
pub const fn answers_ping(status: u16) -> bool {
    matches!(status, 200..=699) && !matches!(status, 404 | 408 | 410 | 430 | 502..=504 | 604)
}

impl Registrar {
    /// An OPTIONS was answered, finally, with `status`, `rtt_us` microseconds after it was
    /// first sent.
    pub fn handle_pong(&mut self, now: Time, ping: PingId, status: u16, rtt_us: u32) {
        let Some(slot) = self.find_waiting(ping) else {
            return;
        };
        let binding = &self.table[slot];
        // A stranger on a Path may refuse politely; only a phone behind it says 200.
        let must_accept = !binding.texts().path().is_empty();
        if !answers_ping(status) || must_accept && !matches!(status, 200..=299) {
            self.fail(now, slot, PingFailure::Status(status));
            return;
        }
        let binding = &mut self.table[slot];
        let smoothed = match binding.rtt_us {
            None => rtt_us,
            Some(old) => old.get() - old.get() / RTT_WEIGHT + rtt_us / RTT_WEIGHT,
        };
        binding.rtt_us = NonZeroU32::new(smoothed.max(1));
        if binding.origin == Origin::Inherited {
            binding.origin = Origin::Told;
        }
        let before = binding.trust;
        binding.trust = Trust::Routable { failures: 0 };
        let probe = self.keep_alive_probe(now, &self.table[slot]);
        self.table[slot].probe = probe;
        self.arm(slot);
        match before {
            Trust::Pending { .. } => {
                self.note_changed(slot);
                self.tell(slot, EventKind::Verified);
            }
            Trust::Routable { failures: 0 } => {}
            Trust::Routable { .. } => self.tell(slot, EventKind::Reachable),
        }
    }

    /// An OPTIONS could not be sent, or nobody answered. The registrar does not depend on
    /// being told of the latter: it waits five seconds.
    pub fn handle_ping_failed(&mut self, now: Time, ping: PingId, why: PingFailure) {
        if let Some(slot) = self.find_waiting(ping) {
            self.fail(now, slot, why);
        }
    }

    /// A binding's timer fired.
    pub(super) fn step(&mut self, now: Time, slot: u32) {
        let binding = &self.table[slot];
        if binding.expires <= now {
            self.take_away(slot, Removal::Expired);
            return;
        }
        match binding.probe {
            Probe::At(at) if at <= now => self.send(now, slot, at),
            Probe::Waiting(until) if until <= now => {
                self.fail(now, slot, PingFailure::NoAnswer);
                return;
            }
            Probe::Off | Probe::At(_) | Probe::Waiting(_) => {}
        }
        self.arm(slot);
    }

    /// When the next keep-alive of a routable binding goes out. Only UDP wants them: streams
    /// have their own, and behind a Path they are the edge's.
    pub(super) fn keep_alive_probe(&self, now: Time, binding: &Binding) -> Probe {
        let is_ours = binding.holder.is_none()
            && binding.flow.transport == Transport::Udp
            && binding.texts().path().is_empty();
        if !is_ours || self.policy.keep_alive_interval.is_zero() {
            return Probe::Off;
        }
        Probe::At(next_slot(now, binding.id, self.policy.keep_alive_interval))
    }

    fn send(&mut self, now: Time, slot: u32, due: Time) {
        match self.table[slot].trust {
            Trust::Pending { .. } => self.send_options(now, slot, PingReason::Verify),
            Trust::Routable { .. } => self.send_keep_alive(now, slot, due),
        }
    }

    fn send_keep_alive(&mut self, now: Time, slot: u32, due: Time) {
        let next = self.keep_alive_probe(now, &self.table[slot]);
        let is_late = now.since(due) > policy::KEEP_ALIVE_LATE;
        if next == Probe::Off || is_late {
            self.table[slot].probe = next;
            return;
        }
        match self.policy.keep_alive {
            KeepAlive::Options => self.send_options(now, slot, PingReason::KeepAlive),
            KeepAlive::Empty => {
                self.table[slot].probe = next;
                let flow = self.table[slot].flow.unpack();
                self.outputs.push_back(Output::Datagram(flow));
            }
        }
    }

    fn send_options(&mut self, now: Time, slot: u32, reason: PingReason) {
        let binding = &mut self.table[slot];
        binding.serial = binding.serial.wrapping_add(1);
        binding.probe = Probe::Waiting(now + policy::PING_TIMEOUT);
        self.outputs.push_back(Output::Ping(Ping {
            id: PingId {
                binding: binding.id,
                serial: binding.serial,
            },
            contact: Contact::from(&*binding),
            reason,
        }));
    }

    fn fail(&mut self, now: Time, slot: u32, why: PingFailure) {
        let binding = &mut self.table[slot];
        let (failures, most, removal) = match &mut binding.trust {
            Trust::Pending { failures } => (failures, policy::VERIFY_ATTEMPTS, Removal::Unverified),
            Trust::Routable { failures } => {
                (failures, policy::KEEP_ALIVE_ATTEMPTS, Removal::Unreachable)
            }
        };
        *failures += 1;
        if *failures >= most {
            self.take_away(slot, removal);
            return;
        }
        let is_first = *failures == 1;
        if removal == Removal::Unverified {
            binding.probe = Probe::At(now + policy::VERIFY_PAUSE);
        } else {
            let probe = self.keep_alive_probe(now, &self.table[slot]);
            self.table[slot].probe = probe;
            if is_first {
                self.tell(slot, EventKind::Unreachable(why));
            }
        }
        self.arm(slot);
    }

    fn find_waiting(&self, ping: PingId) -> Option<u32> {
        let slot = self.table.find(ping.binding)?;
        let binding = &self.table[slot];
        let is_awaited =
            binding.serial == ping.serial && matches!(binding.probe, Probe::Waiting(_));
        is_awaited.then_some(slot)
    }
}

/// The binding's next turn in a round of `interval`. Each binding has a fixed place in the
/// round, given by its id, so that pings are spread evenly, after a restart too.
pub(super) fn next_slot(now: Time, id: BindingId, interval: Duration) -> Time {
    let interval_us = u64::try_from(interval.as_micros())
        .unwrap_or(u64::MAX)
        .max(1);
    // Fibonacci hashing: the high bits of the product are evenly spread.
    let mixed = (id.bits() ^ id.bits() >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let place = mixed % interval_us;
    let into_round = now.as_micros() % interval_us;
    let wait_us = (place + interval_us - into_round) % interval_us;
    let wait_us = if wait_us == 0 { interval_us } else { wait_us };
    now + Duration::from_micros(wait_us)
}

/// A new round trip counts for an eighth, as in TCP (RFC 6298 §2).
const RTT_WEIGHT: u32 = 8;
