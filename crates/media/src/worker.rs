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
mod plain;
mod session;
mod tell;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use os::{Alarm, EVENTS_MAX, Epoll, Trigger};

use crate::config::AddressFamily;
use crate::counters::WorkerCounters;
use crate::engine::Side;
use crate::full::Boxes;
use crate::kernel::Flows;
use crate::sys::mmsg::RecvBatch;
pub(crate) use command::{ChannelId, Command};
use full::Alarms;
pub(crate) use full::MediumId;
pub(crate) use handle::Handle;
pub(crate) use looks::Look;
use looks::{Looks, Next};
use pace::Pace;
use plain::Round;
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
    round: Round,
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
            round: Round::new(),
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
            let packets = self.receive(&ready, now_us);
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
