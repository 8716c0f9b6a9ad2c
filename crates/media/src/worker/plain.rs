//! The worker's part of the plain path: packets that go on as they came.
//!
//! What a packet passes, in the kernel and here, is more code than the nearest caches hold. So the
//! sockets that a look has named are read one after the other, then all that came is judged, then
//! all of it is sent on: each step runs while its code is near, and what it needs of one session is
//! fetched while another is at work.

use std::iter;
use std::sync::atomic::Ordering::Relaxed;

use super::looks::Depth;
use super::session::Session;
use super::{Setup, Token, Worker, offload};
use crate::channel::{Channel, Passed, Path};
use crate::counters::{DropReason, WorkerCounters};
use crate::engine::Side;
use crate::sys::mmsg::{self, BATCH, Received, RecvBatch};

/// Packets of several sockets, one of each.
#[derive(Debug)]
pub(super) struct Round {
    batch: RecvBatch,
    /// Which socket each came from.
    tokens: Vec<Token>,
}

impl Round {
    /// Without packets.
    pub(super) fn new() -> Self {
        Self {
            batch: RecvBatch::new(),
            tokens: Vec::with_capacity(BATCH),
        }
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.tokens.clear();
    }

    /// Takes one packet of a socket; how many came.
    fn receive(&mut self, token: Token, channel: &Channel) -> usize {
        let Some(socket) = channel.socket(token.side, token.family) else {
            return 0;
        };
        let count = received(self.batch.receive_one(socket));
        if count > 0 {
            self.tokens.push(token);
        }
        count
    }
}

impl Worker {
    /// Reads each of the sockets named by `ready` once; how many packets came. What is left there
    /// is named by the next look.
    pub(super) fn receive(&mut self, ready: &[u64], now_us: u64) -> usize {
        let mut packets = 0;
        for tokens in ready.chunks(BATCH) {
            self.round.clear();
            for token in tokens.iter().filter_map(|token| Token::from_u64(*token)) {
                packets += self.read(token, now_us);
            }
            self.relay_round(now_us);
        }
        packets
    }

    /// Reads one socket: how many packets came.
    fn read(&mut self, token: Token, now_us: u64) -> usize {
        let Some((_, channel)) = self.sessions.channel(token.channel) else {
            return 0;
        };
        let depth = self.looks.read(channel.looked_mut(token.side));
        let count = match (channel.path(), depth) {
            (Path::Plain, Depth::One) => self.round.receive(token, channel),
            (Path::Plain, Depth::Batch) => self.relay_batch(token, now_us),
            (Path::Full, Depth::One) => self.receive_full(token, 1, now_us),
            (Path::Full, Depth::Batch) => self.receive_full(token, BATCH, now_us),
        };
        if count == BATCH {
            self.looks.leave_more();
        }
        count
    }

    /// Relays what the round has brought.
    fn relay_round(&mut self, now_us: u64) {
        let mut passed = [false; BATCH];
        let came = self.round.batch.iter().zip(&self.round.tokens);
        for ((packet, token), passed) in came.zip(&mut passed) {
            if let Some((session, channel)) = self.sessions.channel(token.channel) {
                let packet = iter::once(packet);
                self.setup
                    .judge(session, channel, token.side, packet, now_us, |_| {
                        *passed = true;
                    });
            }
        }
        let came = self.round.batch.iter().zip(&self.round.tokens);
        for ((packet, token), _) in came.zip(&passed).filter(|(_, passed)| **passed) {
            if let Some((_, channel)) = self.sessions.channel(token.channel) {
                send(&self.setup.counters, channel, token.side, &[packet.bytes]);
            }
        }
    }

    /// Relays all that waits at one socket, up to [`BATCH`] packets: how many came.
    fn relay_batch(&mut self, token: Token, now_us: u64) -> usize {
        let Some((session, channel)) = self.sessions.channel(token.channel) else {
            return 0;
        };
        let Some(socket) = channel.socket(token.side, token.family) else {
            return 0;
        };
        let count = received(self.batch.receive(socket, BATCH));
        if count == 0 {
            return 0;
        }
        let mut passed: [&[u8]; BATCH] = [&[]; BATCH];
        let mut passes = 0;
        let packets = self.batch.iter();
        self.setup
            .judge(session, channel, token.side, packets, now_us, |bytes| {
                passed[passes] = bytes;
                passes += 1;
            });
        if passes > 0 {
            send(&self.setup.counters, channel, token.side, &passed[..passes]);
        }
        count
    }
}

impl Setup {
    /// Judges and counts packets that came from one side of a channel; `pass` takes those that may
    /// go on.
    fn judge<'p>(
        &mut self,
        session: &mut Session,
        channel: &mut Channel,
        side: Side,
        packets: impl Iterator<Item = Received<'p>>,
        now_us: u64,
        mut pass: impl FnMut(&'p [u8]),
    ) {
        let counters = &self.counters;
        // What the kernel does not take is judged by all that came before it.
        let offloaded = channel.is_offloaded();
        if offloaded {
            offload::record(session, counters, channel.absorb(now_us), now_us);
        }
        let tells_rtcp = self.tells_rtcp.load(Relaxed);
        let mut told = 0;
        for packet in packets {
            let verdict = match packet.from {
                _ if packet.oversized => Err(DropReason::Oversized),
                None => Err(DropReason::UnknownSource),
                Some(from) => channel.inspect(side, from, packet.bytes, now_us),
            };
            match verdict {
                Ok(kind) => {
                    if kind == Passed::TelephoneEvent {
                        counters.count_telephone_event();
                    }
                    if tells_rtcp && rtp::is_rtcp(packet.bytes) {
                        let seen = channel.seen(session.id(), side, packet.bytes);
                        // What finds no room is not told.
                        told += usize::from(seen.is_some_and(|seen| self.teller.tell_rtcp(seen)));
                    }
                    session.heard(side, now_us);
                    pass(packet.bytes);
                }
                Err(reason) => counters.count_dropped(reason, 1),
            }
        }
        if offloaded
            && channel.is_outdated()
            && let Some(flows) = &mut self.flows
        {
            offload::record(session, counters, channel.retract(flows, now_us), now_us);
        }
        if told > 0 {
            (self.wake)();
        }
    }
}

/// Sends on packets that came from one side of a channel.
fn send(counters: &WorkerCounters, channel: &Channel, side: Side, packets: &[&[u8]]) {
    let count = packets.len() as u64;
    match channel.route(side) {
        Ok((socket, to)) => {
            let bytes = packets.iter().map(|packet| packet.len() as u64).sum();
            counters.count_relayed(count, bytes);
            let sent = mmsg::send(socket, to, packets).unwrap_or(0) as u64;
            if sent < count {
                // A full send buffer or an unreachable peer: media is not waited for.
                counters.count_dropped(DropReason::SendFailed, count - sent);
            }
        }
        Err(reason) => counters.count_dropped(reason, count),
    }
}

/// How many packets were received.
fn received(outcome: std::io::Result<usize>) -> usize {
    // An ICMP error of an earlier send, said once and then gone.
    outcome.unwrap_or_else(|error| {
        tracing::debug!(%error, "receiving media failed");
        0
    })
}
