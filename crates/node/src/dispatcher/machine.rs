//! The dispatcher as a machine of the drive loop, and how other threads ask something of it.

use clock::Time;
use crossbeam_channel::{Receiver, Sender, bounded};
use dispatcher::Dispatcher;
use net::{Host, Input, Machine, Output, TransmitError, Waker};
use tokio::sync::oneshot;

use super::ASK_TIMEOUT;
use super::turns::Turns;
use super::watch::Watch;

/// The dispatcher.
pub(super) struct DispatcherMachine {
    pub(super) dispatcher: Dispatcher,
    /// Where messages are kept; `None`: it has not joined a platform.
    watch: Option<Watch>,
    now: Time,
}

/// What happened to a target.
pub(super) struct Told {
    event: balancer::Event,
    target: Box<str>,
}

impl DispatcherMachine {
    pub(super) const fn new(dispatcher: Dispatcher, watch: Option<Watch>, now: Time) -> Self {
        Self {
            dispatcher,
            watch,
            now,
        }
    }
}

impl Machine for DispatcherMachine {
    type Effect = Told;

    fn handle_input(&mut self, now: Time, input: Input<'_>) {
        self.now = now;
        let dispatcher = &mut self.dispatcher;
        if let Some(watch) = &mut self.watch {
            match &input {
                Input::Datagram { flow, bytes } => watch.received(now, *flow, bytes, dispatcher),
                Input::Message { flow, bytes } => watch.received(now, *flow, bytes, dispatcher),
                _ => {}
            }
        }
        match input {
            Input::Datagram { flow, bytes } => dispatcher.handle_datagram(now, flow, bytes),
            Input::Message { flow, bytes } => dispatcher.handle_stream_message(now, flow, bytes),
            Input::Opened { flow, .. } => dispatcher.handle_opened(flow),
            Input::Closed { flow, .. } => dispatcher.handle_closed(flow),
            Input::TransmitFailed { key, error } if is_of_peer(error) => {
                dispatcher.handle_transmit_failed(now, key);
            }
            // Our own queues say nothing of a target: what has no answer is given up in time.
            Input::TransmitFailed { .. } => {}
            // It asks for no names.
            Input::Resolved { .. } => {}
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        if let Some(watch) = &mut self.watch {
            watch.handle_timeout(now);
        }
        self.dispatcher.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Time> {
        let watch = self.watch.as_ref().and_then(Watch::poll_timeout);
        let due = [self.dispatcher.poll_timeout(), watch];
        due.into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<Output<Told>> {
        Some(match self.dispatcher.poll_output()? {
            dispatcher::Output::Transmit(transmit) => {
                if let Some(watch) = &mut self.watch {
                    watch.sent(self.now, &transmit, &self.dispatcher);
                }
                Output::Transmit(transmit)
            }
            dispatcher::Output::Event { event, target } => Output::Effect(Told { event, target }),
        })
    }
}

/// Whether a failure to send says something of who was to receive it.
const fn is_of_peer(error: TransmitError) -> bool {
    use TransmitError as E;
    match error {
        E::Refused | E::Unreachable | E::TimedOut | E::Tls | E::WebSocket => true,
        E::Closed | E::NoConnection => true,
        E::TooLarge | E::BufferFull | E::TooManyConnections | E::NoListener => false,
        E::System(_) => false,
    }
}

/// The world around it: questions and the log.
pub(super) struct DispatcherHost {
    visits: Receiver<Visit>,
    turns: Turns,
}

impl DispatcherHost {
    pub(super) const fn new(visits: Receiver<Visit>, turns: Turns) -> Self {
        Self { visits, turns }
    }
}

impl Host<DispatcherMachine> for DispatcherHost {
    fn handle_effect(&mut self, now: Time, told: Told, _machine: &mut DispatcherMachine) {
        let target = told.target;
        self.turns.note(now, &target, &told.event);
        match told.event {
            balancer::Event::Up { .. } => tracing::info!(%target, "the target is up"),
            balancer::Event::Down { cause, .. } => {
                tracing::warn!(%target, cause = cause.name(), "the target is down");
            }
            balancer::Event::Drained { .. } => {
                tracing::info!(%target, "the last call of the draining target has left");
            }
        }
    }

    fn handle_wake(&mut self, now: Time, machine: &mut DispatcherMachine) {
        machine.now = now;
        while let Ok(visit) = self.visits.try_recv() {
            visit(now, machine);
        }
    }

    fn flush(&mut self, _now: Time) {}
}

/// Something to do on the machine's thread, between two rounds.
type Visit = Box<dyn FnOnce(Time, &mut DispatcherMachine) + Send>;

/// Where visits are handed in.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    visits: Sender<Visit>,
    waker: Waker,
}

impl Desk {
    pub(super) fn new(waker: Waker) -> (Self, Receiver<Visit>) {
        let (visits, received) = bounded(VISITS_MAX);
        (Self { visits, waker }, received)
    }

    /// Runs something on the machine's thread and brings back what it returns.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        visit: impl FnOnce(Time, &mut Dispatcher) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(move |now, dispatcher| {
            // Whoever asked may have gone: then nobody misses the answer.
            let _ = reply.send(visit(now, dispatcher));
        })?;
        let answer = tokio::time::timeout(ASK_TIMEOUT, answer).await;
        let answer = answer.map_err(|_| anyhow::anyhow!("the dispatcher is overloaded"))?;
        answer.map_err(|_| anyhow::anyhow!("the dispatcher has ended"))
    }

    /// Runs something on the machine's thread, without an answer.
    pub(super) fn tell(
        &self,
        visit: impl FnOnce(Time, &mut Dispatcher) + Send + 'static,
    ) -> anyhow::Result<()> {
        let visit: Visit = Box::new(move |now, machine| visit(now, &mut machine.dispatcher));
        let sent = self.visits.try_send(visit);
        self.waker.wake();
        sent.map_err(|_| anyhow::anyhow!("too many questions wait"))
    }
}

/// The most visits that wait.
const VISITS_MAX: usize = 1_024;
