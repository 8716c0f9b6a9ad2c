//! The thread that owns the UDP sockets and drives the machine.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::{io, process, thread};

use clock::Time;
use crossbeam_channel::{Receiver, Sender};
use os::{Epoll, Trigger};
use sip::{ListenerId, Targets};
use tokio::sync::mpsc;

use super::pace::Pace;
use super::round::{Round, UdpTable};
use super::{Clock, Host, Input, Machine, Waker};
use crate::counters::Counters;
use crate::resolve::{ResolveError, Resolver};
use crate::stream::{Connections, StreamEvent};
use crate::sys::mmsg::RecvBatch;
use crate::udp::{Outcome, UdpListener};

/// The receiving end of a [`Net`](crate::Net): give it a machine and a thread.
#[derive(Debug)]
pub struct Shard {
    parts: Parts,
    udp: UdpTable,
    received: RecvBatch,
    round: Round,
    pace: Pace,
    /// Tokens of sockets that were ready at the last wait.
    ready: Vec<u64>,
    /// Answers of the resolver that needed no waiting, for the next round.
    resolved: VecDeque<(u64, Result<Targets, ResolveError>)>,
    /// Whether [`Command::Stop`] has come.
    stopping: bool,
}

/// What [`Net::open`](crate::Net::open) builds for the shard.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) poll: Epoll,
    pub(crate) waker: Waker,
    pub(crate) commands: Receiver<Command>,
    pub(crate) events: mpsc::Receiver<StreamEvent>,
    pub(crate) connections: Connections,
    pub(crate) resolver: Resolver,
    pub(crate) counters: Arc<Counters>,
}

/// What other threads ask of the shard.
#[derive(Debug)]
pub(crate) enum Command {
    /// Take over a socket.
    Add(ListenerId, UdpListener),
    /// Close a socket; answered when it is closed.
    Remove(ListenerId, Sender<()>),
    /// End [`Shard::run`].
    Stop,
}

impl Shard {
    pub(crate) fn new(parts: Parts) -> io::Result<Self> {
        parts
            .poll
            .add(parts.waker.alarm(), WAKER_TOKEN, Trigger::Level)?;
        Ok(Self {
            parts,
            udp: UdpTable::default(),
            received: RecvBatch::new(),
            round: Round::default(),
            pace: Pace::default(),
            ready: Vec::new(),
            resolved: VecDeque::new(),
            stopping: false,
        })
    }

    /// Runs the machine in a thread of its own until [`Net::stop`](crate::Net::stop); the thread
    /// returns machine and host.
    ///
    /// A panic in the machine or the host is a bug that leaves calls in an unknown state: it is
    /// logged and ends the whole process with [`EXIT_PANIC`], so that its supervisor restarts it
    /// from its snapshot, rather than leaving a process that answers its probes and no calls.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn spawn<M, H>(self, machine: M, host: H) -> io::Result<JoinHandle<(M, H)>>
    where
        M: Machine + Send + 'static,
        H: Host<M> + Send + 'static,
    {
        thread::Builder::new().name("sip".into()).spawn(move || {
            catch_unwind(AssertUnwindSafe(|| self.run(machine, host))).unwrap_or_else(|panic| {
                let text = panic
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                    .unwrap_or("no message");
                tracing::error!(panic = text, "the SIP thread panicked; exiting");
                process::exit(EXIT_PANIC)
            })
        })
    }

    /// Runs the machine on the calling thread until [`Net::stop`](crate::Net::stop); returns
    /// machine and host. Prefer [`Shard::spawn`], which cares for panics.
    pub fn run<M: Machine, H: Host<M>>(mut self, mut machine: M, mut host: H) -> (M, H) {
        // The machine may want something before anything comes, from the listeners added so far.
        self.handle_commands();
        self.step(&mut machine, &mut host);
        while !self.stopping {
            self.wait(machine.poll_timeout());
            self.step(&mut machine, &mut host);
        }
        (machine, host)
    }

    /// One round, from what is ready to what is sent.
    fn step<M: Machine, H: Host<M>>(&mut self, machine: &mut M, host: &mut H) {
        let now = self.parts.clock.now();
        self.handle_own(now, machine);
        let ready = std::mem::take(&mut self.ready);
        let mut count = 0;
        for &token in &ready {
            if token == WAKER_TOKEN {
                self.parts.waker.reset();
                self.handle_commands();
                count += self.handle_events(now, machine);
                host.handle_wake(now, machine);
            } else {
                count += self.receive(ListenerId((token - 1) as u16), machine);
            }
        }
        self.ready = ready;
        let now = self.parts.clock.now();
        self.pace.note(now, count);
        if machine.poll_timeout().is_some_and(|due| due <= now) {
            machine.handle_timeout(now);
        }
        if self.round.collect(now, machine, host, &mut self.udp) {
            host.flush(now);
            self.send();
        }
    }

    /// Waits for the next thing to do.
    fn wait(&mut self, timeout: Option<Time>) {
        let timeout_ms = if self.round.failures.is_empty() && self.resolved.is_empty() {
            if let Some(pause) = self.pace.pause() {
                thread::sleep(pause);
            }
            timeout.map_or(-1, |due| {
                let us = due.since(self.parts.clock.now()).as_micros();
                us.div_ceil(1_000).min(MAX_WAIT_MS) as i32
            })
        } else {
            0
        };
        if let Err(error) = self.parts.poll.wait(timeout_ms, &mut self.ready) {
            // Only a bug gets here, and going on would spin.
            panic!("waiting for sockets failed: {error}");
        }
    }

    /// Tells the machine what this thread found out in the last round.
    fn handle_own<M: Machine>(&mut self, now: Time, machine: &mut M) {
        for (key, error) in self.round.failures.drain(..) {
            machine.handle_input(now, Input::TransmitFailed { key, error });
        }
        for (id, targets) in self.resolved.drain(..) {
            machine.handle_input(now, Input::Resolved { id, targets });
        }
    }

    fn handle_commands(&mut self) {
        while let Ok(command) = self.parts.commands.try_recv() {
            match command {
                Command::Add(id, listener) => {
                    let token = u64::from(id.0) + 1;
                    match self
                        .parts
                        .poll
                        .add(listener.socket(), token, Trigger::Level)
                    {
                        Ok(()) => self.udp.insert(id, listener),
                        // Out of kernel memory or of the user's epoll watches.
                        Err(error) => tracing::error!(listener = id.0, %error, "cannot watch"),
                    }
                }
                Command::Remove(id, reply) => {
                    self.udp.remove(id);
                    // Whoever asked may have stopped waiting.
                    let _ = reply.send(());
                }
                Command::Stop => self.stopping = true,
            }
        }
    }

    /// Passes on what connections and resolver sent, as much as one round allows; how much.
    fn handle_events<M: Machine>(&mut self, now: Time, machine: &mut M) -> usize {
        for count in 0..EVENTS_PER_ROUND {
            let Ok(event) = self.parts.events.try_recv() else {
                return count;
            };
            if let Some(input) = self.parts.connections.handle_event(event) {
                machine.handle_input(now, input);
            }
        }
        self.parts.waker.wake();
        EVENTS_PER_ROUND
    }

    /// Receives from one socket until it is drained, or its share of the round is used up; how
    /// much came.
    fn receive<M: Machine>(&mut self, id: ListenerId, machine: &mut M) -> usize {
        let Some(listener) = self.udp.find(id) else {
            return 0;
        };
        let mut count = 0;
        for _ in 0..RECEIVES_PER_ROUND {
            let now = self.parts.clock.now();
            let handle = |flow, bytes: &[u8]| {
                count += 1;
                machine.handle_input(now, Input::Datagram { flow, bytes });
            };
            match listener.receive(&mut self.received, &self.parts.counters, handle) {
                Outcome::Full => {}
                Outcome::Drained => break,
                Outcome::Nothing | Outcome::Error => {
                    let round = &mut self.round;
                    listener.handle_reports(|key, error| round.fail(key, error));
                    break;
                }
            }
        }
        // Nothing but answers to STUN waits before the machine has been asked.
        if listener.has_outgoing() {
            let round = &mut self.round;
            listener.flush(&self.parts.counters, |key, error| round.fail(key, error));
        }
        count
    }

    /// Sends what the round collected.
    fn send(&mut self) {
        self.udp.flush(&self.parts.counters, &mut self.round);
        for transmit in std::mem::take(&mut self.round.streams) {
            let key = transmit.key;
            if let Err(error) = self.parts.connections.transmit(transmit) {
                self.round.fail(key, error);
            }
        }
        for flow in self.round.closes.drain(..) {
            self.parts.connections.close(flow);
        }
        for (id, query) in self.round.queries.drain(..) {
            if let Some(targets) = self.parts.resolver.resolve(id, &query) {
                self.resolved.push_back((id, targets));
            }
        }
    }
}

/// The exit code of a process whose SIP thread panicked.
pub const EXIT_PANIC: i32 = 70;
/// The token of the waker; sockets have their listener's number plus one.
const WAKER_TOKEN: u64 = 0;
/// Batches received from one socket before the others have their turn and outputs are sent.
const RECEIVES_PER_ROUND: usize = 4;
/// Stream messages taken per round before the sockets have their turn.
const EVENTS_PER_ROUND: usize = 256;
/// The longest wait: timeouts further away are waited for in parts.
const MAX_WAIT_MS: u128 = 60_000;
