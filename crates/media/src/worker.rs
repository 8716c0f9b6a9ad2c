//! A worker: one thread that owns the sockets of its sessions and relays between them.
//!
//! Waking up costs more than the system calls for a packet. So a worker that is busy lets packets
//! gather for a tick before it looks again, and one that is quiet is woken by each packet: the
//! tick is paid where it saves something, in delay of less than a twentieth of a packet time.

mod command;
mod full;
mod handle;
mod looks;
mod offload;
mod pace;
mod session;
mod tell;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use os::{Alarm, EVENTS_MAX, Epoll, Trigger};

use crate::channel::Path;
use crate::config::AddressFamily;
use crate::counters::{DropReason, WorkerCounters};
use crate::engine::Side;
use crate::full::Boxes;
use crate::kernel::Flows;
use crate::sys::mmsg::{self, BATCH, RecvBatch};
pub(crate) use command::{ChannelId, Command};
use full::Alarms;
pub(crate) use full::MediumId;
pub(crate) use handle::Handle;
pub(crate) use looks::Look;
use looks::{Depth, Looks, Next};
use pace::Pace;
use session::Sessions;
use tell::Teller;
pub(crate) use tell::Ways;

/// What a worker is started with.
struct Setup {
    commands: Receiver<Command>,
    alarm: Arc<Alarm>,
    counters: Arc<WorkerCounters>,
    teller: Teller,
    wake: Arc<dyn Fn() + Send + Sync>,
    learn_window: Duration,
    inactivity: Option<Duration>,
    tick: Duration,
    /// What times count from.
    start: Instant,
    /// Of the kernel path, if there is one.
    flows: Option<Flows>,
    /// Whether RTCP is told.
    tells_rtcp: Arc<AtomicBool>,
}

/// Starts a worker's thread. It ends when the sender of commands is gone and the alarm rings.
fn spawn(index: usize, setup: Setup) -> io::Result<JoinHandle<()>> {
    let worker = Worker::new(setup)?;
    thread::Builder::new()
        .name(format!("media-{index}"))
        .spawn(move || worker.run())
}

struct Worker {
    setup: Setup,
    epoll: Epoll,
    sessions: Sessions,
    batch: RecvBatch,
    boxes: Boxes,
    alarms: Alarms,
    pace: Pace,
    looks: Looks,
    /// What times count from.
    start: Instant,
    swept_us: u64,
}

impl Worker {
    fn new(setup: Setup) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&setup.alarm, ALARM, Trigger::Edge)?;
        let start = setup.start;
        let pace = Pace::new(setup.tick);
        let boxes = Boxes::new(start, Arc::clone(&setup.tells_rtcp));
        let sessions = Sessions::new(setup.learn_window, setup.inactivity);
        Ok(Self {
            setup,
            epoll,
            sessions,
            batch: RecvBatch::new(),
            boxes,
            alarms: Alarms::default(),
            pace,
            looks: Looks::default(),
            start,
            swept_us: 0,
        })
    }

    fn run(mut self) {
        let mut ready = Vec::with_capacity(EVENTS_MAX);
        loop {
            let timeout_ms = match self.looks.next(self.pace.tick(), ready.len()) {
                Next::AtOnce => 0,
                Next::After(tick) => {
                    thread::sleep(tick);
                    self.alarms.timeout_ms(self.now_us(), SWEEP_MS)
                }
                Next::WhenWoken => self.alarms.timeout_ms(self.now_us(), SWEEP_MS),
            };
            if let Err(error) = self.epoll.wait(timeout_ms, &mut ready) {
                tracing::error!(%error, "waiting for media failed");
                return;
            }
            let now_us = self.now_us();
            if ready.contains(&ALARM) {
                // Before the commands are read: one that comes later rings again.
                self.setup.alarm.silence();
            }
            // Before the packets: they may be the consequence of what the engine has answered.
            if self.take_commands(now_us) == Ended::Yes {
                return;
            }
            let mut packets = 0;
            for token in ready.iter().filter_map(|token| Token::from_u64(*token)) {
                packets += self.receive(token, now_us);
            }
            self.ring_alarms(now_us);
            self.pace.record(packets, now_us);
            if now_us.saturating_sub(self.swept_us) >= SWEEP_MS as u64 * 1_000 {
                self.swept_us = now_us;
                self.sweep_kernel(now_us);
                self.sweep(now_us);
            }
        }
    }

    fn take_commands(&mut self, now_us: u64) -> Ended {
        loop {
            match self.setup.commands.try_recv() {
                Ok(command) => {
                    self.retract_for(&command, now_us);
                    let changed = command.medium();
                    if let Err(error) =
                        self.sessions
                            .handle(command, &self.epoll, now_us, &mut self.boxes)
                    {
                        tracing::error!(%error, "a media socket cannot be watched");
                    }
                    if let Some(id) = changed {
                        self.flush(id, now_us);
                    }
                }
                Err(crossbeam_channel::TryRecvError::Empty) => return Ended::No,
                Err(crossbeam_channel::TryRecvError::Disconnected) => return Ended::Yes,
            }
        }
    }

    /// Reads one socket once; how many packets came. What is left there is named by the next look.
    fn receive(&mut self, token: Token, now_us: u64) -> usize {
        let Some((_, channel)) = self.sessions.channel(token.channel) else {
            return 0;
        };
        let limit = match self.looks.read(channel.looked_mut(token.side)) {
            Depth::One => 1,
            Depth::Batch => BATCH,
        };
        let count = match channel.path() {
            Path::Plain => self.receive_plain(token, limit, now_us),
            Path::Full => self.receive_full(token, limit, now_us),
        };
        if count == BATCH {
            self.looks.leave_more();
        }
        count
    }

    /// One read of a socket on the plain path: how many came.
    fn receive_plain(&mut self, token: Token, limit: usize, now_us: u64) -> usize {
        let counters = &self.setup.counters;
        let Some((session, channel)) = self.sessions.channel(token.channel) else {
            return 0;
        };
        let Some(socket) = channel.socket(token.side, token.family) else {
            return 0;
        };
        let count = match self.batch.receive(socket, limit) {
            Ok(count) => count,
            // An ICMP error of an earlier send, said once and then gone.
            Err(error) => {
                tracing::debug!(%error, "receiving media failed");
                return 0;
            }
        };
        // What the kernel does not take is judged by all that came before it.
        let offloaded = channel.is_offloaded();
        if offloaded && count > 0 {
            offload::record(session, counters, channel.absorb(now_us), now_us);
        }
        let mut passed: [&[u8]; BATCH] = [&[]; BATCH];
        let (mut pass_count, mut pass_bytes) = (0, 0);
        for packet in self.batch.iter() {
            let verdict = match packet.from {
                _ if packet.oversized => Err(DropReason::Oversized),
                None => Err(DropReason::UnknownSource),
                Some(from) => channel.inspect(token.side, from, packet.bytes, now_us),
            };
            match verdict {
                Ok(kind) => {
                    if kind == crate::channel::Passed::TelephoneEvent {
                        counters.count_telephone_event();
                    }
                    passed[pass_count] = packet.bytes;
                    pass_count += 1;
                    pass_bytes += packet.bytes.len() as u64;
                }
                Err(reason) => counters.count_dropped(reason, 1),
            }
        }
        if offloaded
            && channel.is_outdated()
            && let Some(flows) = &mut self.setup.flows
        {
            offload::record(session, counters, channel.retract(flows, now_us), now_us);
        }
        if pass_count == 0 {
            return count;
        }
        session.heard(token.side, now_us);
        if self.setup.tells_rtcp.load(Relaxed) {
            let reports = passed[..pass_count].iter().filter(|b| rtp::is_rtcp(b));
            let seen = reports.filter_map(|bytes| channel.seen(session.id(), token.side, bytes));
            // What finds no room is not told.
            let told = seen.filter(|seen| self.setup.teller.tell_rtcp(seen.clone()));
            if told.count() > 0 {
                (self.setup.wake)();
            }
        }
        match channel.route(token.side) {
            Ok((socket, to)) => {
                counters.count_relayed(pass_count as u64, pass_bytes);
                let sent = mmsg::send(socket, to, &passed[..pass_count]).unwrap_or(0);
                if sent < pass_count {
                    // A full send buffer or an unreachable peer: media is not waited for.
                    counters.count_dropped(DropReason::SendFailed, (pass_count - sent) as u64);
                }
            }
            Err(reason) => counters.count_dropped(reason, pass_count as u64),
        }
        count
    }

    fn sweep(&mut self, now_us: u64) {
        self.sessions.sample();
        let before = self.setup.teller.catch_up();
        let teller = &self.setup.teller;
        // A full queue refuses: what was not said is found again by the next sweep.
        let said = self.sessions.sweep(now_us, |event| teller.try_tell(event));
        self.wake_for(before + said);
    }

    /// Wakes the switch if it has been told something.
    fn wake_for(&self, events: usize) {
        if events > 0 {
            (self.setup.wake)();
        }
    }

    /// Never 0, so that 0 can mean "never".
    fn now_us(&self) -> u64 {
        1 + self.start.elapsed().as_micros() as u64
    }
}

/// Names a socket in the epoll instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) channel: ChannelId,
    pub(crate) side: Side,
    pub(crate) family: AddressFamily,
}

impl Token {
    pub(crate) fn to_u64(self) -> u64 {
        let ChannelId { slot, index } = self.channel;
        (slot as u64) << 16 | (index as u64) << 2 | (self.side as u64) << 1 | self.family as u64
    }

    /// `None` for the alarm.
    fn from_u64(token: u64) -> Option<Self> {
        if token == ALARM {
            return None;
        }
        Some(Self {
            channel: ChannelId {
                slot: (token >> 16) as usize,
                index: (token >> 2 & 0x3fff) as usize,
            },
            side: if token & 2 == 0 { Side::A } else { Side::B },
            family: match token & 1 {
                0 => AddressFamily::V4,
                _ => AddressFamily::V6,
            },
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

/// The token of the alarm.
const ALARM: u64 = u64::MAX;
/// How often silent sides are looked for, and the longest sleep.
const SWEEP_MS: i32 = 250;
