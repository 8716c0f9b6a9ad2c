//! A worker as the engine sees it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Sender, unbounded};
use os::Alarm;
use slab::Slab;

use super::tell::Teller;
use super::{Command, Setup, Ways};
use crate::config::EngineConfig;
use crate::counters::WorkerCounters;
use crate::kernel::Flows;

/// A running worker. Dropped without [`Handle::stop`], its thread goes on.
pub(crate) struct Handle {
    /// `None` once stopped. Not bounded: what waits in it is bounded by the ports, and the switch
    /// must not wait.
    commands: Option<Sender<Command>>,
    alarm: Arc<Alarm>,
    counters: Arc<WorkerCounters>,
    /// `None` once joined.
    thread: Option<JoinHandle<()>>,
    /// What its times count from.
    start: Instant,
    /// Slots taken, with their sessions.
    slots: Slab<u64>,
}

impl Handle {
    /// Starts a worker.
    pub(crate) fn start(
        index: usize,
        config: &EngineConfig,
        ways: &Ways,
        wake: &Arc<dyn Fn() + Send + Sync>,
        (flows, tells_rtcp): (Option<Flows>, &Arc<AtomicBool>),
    ) -> io::Result<Self> {
        let (commands_in, commands) = unbounded();
        let alarm = Arc::new(Alarm::new()?);
        let counters = Arc::new(WorkerCounters::default());
        let start = Instant::now();
        let setup = Setup {
            start,
            commands,
            alarm: Arc::clone(&alarm),
            counters: Arc::clone(&counters),
            teller: Teller::new(ways.clone()),
            wake: Arc::clone(wake),
            learn_window: config.learn_window,
            inactivity: config.inactivity,
            tick: config.tick,
            flows,
            tells_rtcp: Arc::clone(tells_rtcp),
        };
        let thread = super::spawn(index, setup)?;
        Ok(Self {
            commands: Some(commands_in),
            alarm,
            counters,
            thread: Some(thread),
            start,
            slots: Slab::new(),
        })
    }

    /// The worker with the fewest sessions among those that run.
    pub(crate) fn least_loaded(workers: &[Self]) -> usize {
        let load = |index: &usize| (!workers[*index].is_alive(), workers[*index].slots.len());
        (0..workers.len()).min_by_key(load).unwrap_or(0)
    }

    /// Takes a slot for a session.
    pub(crate) fn occupy(&mut self, session: u64) -> usize {
        self.slots.insert(session)
    }

    /// Frees a slot.
    pub(crate) fn vacate(&mut self, slot: usize) {
        self.slots.try_remove(slot);
    }

    /// Has commands carried out, in their order.
    pub(crate) fn send(&self, commands: impl IntoIterator<Item = Command>) {
        let mut sent = false;
        for command in commands {
            // A worker that is gone has said why; its calls are silent, and the next go elsewhere.
            let queue = self.commands.as_ref();
            sent |= queue.is_some_and(|queue| queue.send(command).is_ok());
        }
        if sent {
            self.alarm.ring();
        }
    }

    /// What its times count from.
    pub(crate) fn epoch(&self) -> Instant {
        self.start
    }

    /// What it has counted.
    pub(crate) fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Lets the thread end.
    pub(crate) fn stop(&mut self) {
        self.commands = None;
        self.alarm.ring();
    }

    /// Waits for a thread that was stopped.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a media worker had panicked");
        }
    }

    fn is_alive(&self) -> bool {
        let thread = self.thread.as_ref();
        thread.is_some_and(|thread| !thread.is_finished())
    }
}
