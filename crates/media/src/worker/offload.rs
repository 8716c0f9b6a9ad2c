//! The worker's part of the kernel path: what goes there, what comes back, and its figures.

use super::session::Session;
use super::{Command, Worker};
use crate::counters::WorkerCounters;
use crate::engine::Side;
use crate::tally::Absorbed;

impl Worker {
    /// Takes back what a command is about, before it is carried out.
    pub(super) fn retract_for(&mut self, command: &Command, now_us: u64) {
        let (Some(flows), Some(slot)) = (&mut self.setup.flows, command.slot()) else {
            return;
        };
        let counters = &self.setup.counters;
        let closes = matches!(command, Command::Close { .. });
        self.sessions.each_channel_of(slot, |session, channel| {
            let absorbed = channel.retract(flows, now_us);
            record(session, counters, absorbed, now_us);
            if closes {
                channel.release(flows);
            }
        });
    }

    /// Reads the figures of what the kernel relays, and has it relay what it may.
    pub(super) fn sweep_kernel(&mut self, now_us: u64) {
        let Some(flows) = &mut self.setup.flows else {
            return;
        };
        let counters = &self.setup.counters;
        let mut budget = OFFLOADS_PER_SWEEP_MAX;
        self.sessions.each_channel(|session, channel| {
            if channel.is_offloaded() {
                record(session, counters, channel.absorb(now_us), now_us);
                if channel.is_outdated() {
                    record(session, counters, channel.retract(flows, now_us), now_us);
                }
            }
            if budget > 0 && channel.offload(flows) {
                budget -= 1;
            }
        });
    }
}

/// Counts what the kernel has relayed.
pub(super) fn record(
    session: &mut Session,
    counters: &WorkerCounters,
    absorbed: [Absorbed; 2],
    now_us: u64,
) {
    for (side, absorbed) in [Side::A, Side::B].into_iter().zip(absorbed) {
        if absorbed.packets > 0 {
            session.heard(side, now_us);
            counters.count_relayed_in_kernel(absorbed);
        }
    }
}

/// Channels given to the kernel in one sweep: the rest follow in the next, lest packets wait.
const OFFLOADS_PER_SWEEP_MAX: usize = 1_000;
