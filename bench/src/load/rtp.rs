//! Audio through a relay: two sockets stand for all phones.
//!
//! All callers share one address and all callees another. A relay tells its streams apart by
//! its own ports, one per phone. What a phone sends is its [`Voice`].

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::load::batch::{self, Receiver, Sender};
use crate::load::latency::Latencies;
use crate::load::voice::Voice;

/// One of the two sockets.
pub(crate) type Socket = (Sender, Receiver);

/// The streams of all calls in both directions.
pub(crate) struct RtpLoad<V> {
    /// By [`End`].
    sockets: [Socket; 2],
    streams: Vec<Stream<V>>,
    /// Whose turn is next when there is no pace.
    turn: usize,
    start: Instant,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// From the phone that sends to the phone that receives.
    pub(crate) delays: Latencies,
}

/// One end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Caller,
    Callee,
}

/// How fast the phones send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    /// Each a packet per 20 ms, spread evenly.
    Telephone,
    /// As fast as packets come back, so that none need be lost.
    FlatOut,
}

struct Stream<V> {
    from: End,
    /// The relay's port for this phone.
    to: SocketAddr,
    voice: V,
}

impl<V: Voice> RtpLoad<V> {
    /// From the sockets of callers and callees to the relay's address for each of them; `voice`
    /// makes the voice of each phone, numbered by call.
    pub(crate) fn new<A: Copy + Into<SocketAddr>>(
        sockets: [Socket; 2],
        relays: [&[A]; 2],
        mut voice: impl FnMut(End, usize) -> V,
    ) -> Self {
        let mut streams = Vec::new();
        for (from, relays) in [End::Caller, End::Callee].into_iter().zip(relays) {
            streams.extend(relays.iter().enumerate().map(|(call, &to)| Stream {
                from,
                to: to.into(),
                voice: voice(from, call),
            }));
        }
        Self {
            sockets,
            streams,
            turn: 0,
            start: Instant::now(),
            sent: 0,
            received: 0,
            delays: Latencies::new(),
        }
    }

    /// How many streams there are: two per call.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Sends for a time.
    pub(crate) fn run_for(&mut self, time: Duration, rate: Rate) {
        match rate {
            Rate::Telephone => self.talk_for(time),
            Rate::FlatOut => self.saturate_for(time),
        }
    }

    /// Takes what is still under way.
    pub(crate) fn drain(&mut self) {
        let start = Instant::now();
        while start.elapsed() < UNDER_WAY {
            if self.receive() == 0 {
                self.wait();
            }
        }
    }

    fn talk_for(&mut self, time: Duration) {
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
                self.send((next % self.streams.len() as u64) as usize);
                next += 1;
            }
            self.flush();
            if self.receive() == 0 {
                self.wait();
            }
        }
    }

    fn saturate_for(&mut self, time: Duration) {
        let start = Instant::now();
        let mut heard = Instant::now();
        let mut under_way = 0_usize;
        while start.elapsed() < time {
            while under_way < WINDOW {
                self.send(self.turn);
                self.turn = (self.turn + 1) % self.streams.len();
                under_way += 1;
            }
            self.flush();
            let count = self.receive();
            under_way = under_way.saturating_sub(count);
            if count > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > UNDER_WAY {
                // What has not come by now is lost.
                under_way = 0;
            } else {
                self.wait();
            }
        }
    }

    fn send(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        let now = self.start.elapsed();
        let (sender, _) = &mut self.sockets[stream.from as usize];
        sender.queue(stream.to, |out| stream.voice.speak(now, out));
        self.sent += 1;
    }

    fn flush(&mut self) {
        self.sockets
            .iter_mut()
            .for_each(|(sender, _)| sender.flush());
    }

    fn receive(&mut self) -> usize {
        let mut total = 0;
        for (_, receiver) in &mut self.sockets {
            let count = receiver.receive();
            let now = self.start.elapsed();
            let spoken = (0..count).filter_map(|at| V::spoken(receiver.datagram(at)));
            for spoken in spoken {
                self.delays.add(now.saturating_sub(spoken));
            }
            total += count;
        }
        self.received += total as u64;
        total
    }

    fn wait(&self) {
        let [(_, callers), (_, callees)] = &self.sockets;
        batch::wait(&[callers, callees], LONGEST_WAIT);
    }
}

const PACKETS_PER_SECOND: f64 = 50.0;
const LONGEST_WAIT: Duration = Duration::from_millis(1);
const UNDER_WAY: Duration = Duration::from_millis(300);
/// Packets under way when there is no pace: enough that the relay never waits, few enough that
/// no receive buffer overflows.
const WINDOW: usize = 512;
