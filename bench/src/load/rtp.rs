//! G.711 audio at telephone rate through a relay: two sockets stand for all phones.
//!
//! All callers share one address and all callees another. A relay tells its streams apart by
//! its own ports, one per phone.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::batch::{self, Receiver, Sender};
use crate::load::message::put;

/// The streams of all calls in both directions.
pub(crate) struct RtpLoad {
    callers: (Sender, Receiver),
    callees: (Sender, Receiver),
    streams: Vec<Stream>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Caller,
    Callee,
}

struct Stream {
    from: End,
    /// The relay's port for this phone.
    to: SocketAddrV4,
    sequence: u16,
}

impl RtpLoad {
    /// From the media addresses of callers and callees to the relay's ports for each of them.
    pub(crate) fn new(
        media: (SocketAddrV4, SocketAddrV4),
        caller_relays: &[u16],
        callee_relays: &[u16],
    ) -> Result<Self> {
        let relay = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let ends = [(End::Caller, caller_relays), (End::Callee, callee_relays)];
        let streams = ends.into_iter().flat_map(|(from, ports)| {
            ports.iter().map(move |&port| Stream {
                from,
                to: relay(port),
                sequence: 0,
            })
        });
        Ok(Self {
            callers: batch::open(media.0)?,
            callees: batch::open(media.1)?,
            streams: streams.collect(),
            sent: 0,
            received: 0,
        })
    }

    /// How many streams there are: two per call.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Sends every stream a packet each 20 ms, spread evenly, for a time.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let start = Instant::now();
        let mut next = 0_u64;
        let per_second = self.streams.len() as f64 * PACKETS_PER_SECOND;
        loop {
            let passed = start.elapsed();
            if passed >= time {
                break;
            }
            let due = (passed.as_secs_f64() * per_second) as u64;
            while next < due {
                let at = (next % self.streams.len() as u64) as usize;
                self.send(at);
                next += 1;
            }
            self.callers.0.flush();
            self.callees.0.flush();
            if self.receive() == 0 {
                batch::wait(&[&self.callers.1, &self.callees.1], LONGEST_WAIT);
            }
        }
    }

    /// Takes what is still under way.
    pub(crate) fn drain(&mut self) {
        let start = Instant::now();
        while start.elapsed() < UNDER_WAY {
            if self.receive() == 0 {
                batch::wait(&[&self.callers.1, &self.callees.1], LONGEST_WAIT);
            }
        }
    }

    fn send(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        stream.sequence = stream.sequence.wrapping_add(1);
        let timestamp = u32::from(stream.sequence) * SAMPLES_PER_PACKET;
        let side = match stream.from {
            End::Caller => &mut self.callers,
            End::Callee => &mut self.callees,
        };
        side.0.queue(stream.to, |out| {
            put(
                out,
                &[
                    &[0x80, PCMA],
                    &stream.sequence.to_be_bytes(),
                    &timestamp.to_be_bytes(),
                    &(at as u32 + 1).to_be_bytes(),
                    &[SILENCE; SAMPLES_PER_PACKET as usize],
                ],
            );
        });
        self.sent += 1;
    }

    fn receive(&mut self) -> usize {
        let count = self.callers.1.receive() + self.callees.1.receive();
        self.received += count as u64;
        count
    }
}

const PACKETS_PER_SECOND: f64 = 50.0;
const SAMPLES_PER_PACKET: u32 = 160;
/// Static payload type of A-law (RFC 3551 §6).
const PCMA: u8 = 8;
/// A sample of 0 in A-law.
const SILENCE: u8 = 0xd5;
const LONGEST_WAIT: Duration = Duration::from_millis(1);
const UNDER_WAY: Duration = Duration::from_millis(300);
