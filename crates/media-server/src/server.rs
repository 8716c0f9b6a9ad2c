//! The running server: one thread with the desk and the datagrams, a small runtime for streams.

mod datagrams;
mod handle;
mod machine;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use media::{Engine, Telling};
use mio::{Events, Poll, Token, Waker};
use ng::{State, Status};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::desk::{Desk, Handled};
use crate::error::StartError;
use crate::gate::Gate;
use crate::listen;
use datagrams::Datagrams;
pub use handle::{Handle, Look};
use machine::Processor;
use waiting::{Return, Waiter, Waiting};

/// A media server that takes requests until it is dropped.
#[derive(Debug)]
pub struct MediaServer {
    orders: Orders,
    /// `None` once stopped.
    desk: Option<JoinHandle<()>>,
    streams: Option<tokio::runtime::Runtime>,
    addresses: Addresses,
}

/// Where a server listens; ports that were asked for as 0 are the kernel's choice.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Datagrams.
    pub udp: Vec<SocketAddr>,
    /// Streams.
    pub tcp: Vec<SocketAddr>,
    /// HTTP and WebSocket.
    pub http: Vec<SocketAddr>,
}

impl MediaServer {
    /// Opens all sockets and begins.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: Config) -> Result<Self, StartError> {
        if config.udp.is_empty() && config.tcp.is_empty() && config.http.is_empty() {
            return Err(StartError::NoListener);
        }
        let gate = Arc::new(Gate::new(config.allowed.clone()));
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (orders, received) = bounded(ORDERS_MAX);
        let orders = Orders {
            queue: orders,
            waker: Arc::clone(&waker),
        };
        let datagrams = Datagrams::bind(&config.udp, poll.registry())?;
        let wake = move || drop(waker.wake());
        let engine = Engine::new(config.engine.clone(), wake)?;
        if config.rtcp.is_some() {
            engine.tell_rtcp(Telling::All);
        }
        let streams = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ng-streams")
            .enable_all()
            .build()?;
        let mut addresses = Addresses {
            udp: datagrams.addresses(),
            ..Addresses::default()
        };
        for address in &config.tcp {
            let listener = streams.block_on(listen::bind(*address))?;
            addresses.tcp.push(listener.local_addr()?);
            streams.spawn(listen::stream::serve(
                listener,
                orders.clone(),
                Arc::clone(&gate),
            ));
        }
        for address in &config.http {
            let listener = streams.block_on(listen::bind(*address))?;
            addresses.http.push(listener.local_addr()?);
            streams.spawn(listen::http::serve(
                listener,
                orders.clone(),
                Arc::clone(&gate),
            ));
        }
        let desk = Desk::new(config, engine, instance()?, Instant::now());
        let shift = Shift {
            desk,
            poll,
            datagrams,
            orders: received,
            gate,
            waiting: Waiting::default(),
            processor: Processor::new(),
        };
        let desk = thread::Builder::new()
            .name("ng".into())
            .spawn(move || shift.run())?;
        Ok(Self {
            orders,
            desk: Some(desk),
            streams: Some(streams),
            addresses,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The way to it for other threads. It ends nothing when it goes.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.orders.clone())
    }

    /// Takes no new sessions from now on.
    pub fn drain(&self) {
        self.orders.send(Order::Drain);
    }

    /// Takes new sessions again.
    pub fn resume(&self) {
        self.orders.send(Order::Resume);
    }

    /// What it says of itself; `None` if it has come to an end by itself.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let (to, from) = bounded(1);
        self.orders.send(Order::Status(to));
        from.recv().ok()
    }

    /// Whether it takes no new sessions and none is left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.status()
            .is_none_or(|status| status.state == State::Drained)
    }
}

impl Drop for MediaServer {
    fn drop(&mut self) {
        if let Some(streams) = self.streams.take() {
            streams.shutdown_background();
        }
        self.orders.send(Order::Stop);
        if let Some(desk) = self.desk.take()
            && desk.join().is_err()
        {
            tracing::error!("the thread of the media server had panicked");
        }
    }
}

/// The way to the desk's thread.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    queue: Sender<Order>,
    waker: Arc<Waker>,
}

/// What the desk's thread is asked.
#[derive(Debug)]
pub(crate) enum Order {
    /// A message of a stream.
    Message {
        source: SocketAddr,
        bytes: Vec<u8>,
        /// Nothing comes if the message cannot be answered.
        reply: oneshot::Sender<Arc<[u8]>>,
    },
    /// The metrics.
    Metrics(oneshot::Sender<String>),
    /// Whether new sessions are taken.
    State(oneshot::Sender<State>),
    Status(Sender<Status>),
    /// How it is, with what it has counted.
    Look(oneshot::Sender<Look>),
    Drain,
    Resume,
    Stop,
}

impl Orders {
    /// Hands an order over; a full queue drops it, and whoever waits for an answer is told so by
    /// the end of its channel.
    pub(crate) fn send(&self, order: Order) {
        if self.queue.try_send(order).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

/// The desk at work.
struct Shift {
    desk: Desk,
    poll: Poll,
    datagrams: Datagrams,
    orders: Receiver<Order>,
    gate: Arc<Gate>,
    waiting: Waiting,
    processor: Processor,
}

impl Shift {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut next_tick = Instant::now();
        loop {
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                self.desk
                    .set_cpu_permille(self.processor.busy_permille(now));
                self.desk.handle_tick(now);
            }
            let mut timeout = next_tick.saturating_duration_since(now);
            if !self.waiting.is_empty() {
                timeout = timeout.min(AGAIN);
            }
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    tracing::error!(%error, "waiting for requests failed");
                    return;
                }
                _ => {}
            }
            // A socket that still has something is not reported again: it is remembered.
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.datagrams.mark(event.token());
            }
            self.try_again();
            self.datagrams
                .serve(&mut self.desk, &self.gate, &mut self.waiting);
            if self.take_orders() == Ended::Yes {
                return;
            }
            self.desk.handle_media_events();
        }
    }

    /// Handles what has waited.
    fn try_again(&mut self) {
        for Waiter {
            source,
            message,
            to,
        } in self.waiting.take()
        {
            match self.desk.handle(source, &message, Instant::now()) {
                Handled::Answered(reply) => match to {
                    Return::Datagram(at) => self.datagrams.answer(at, source, &reply),
                    Return::Stream(to) => drop(to.send(reply)),
                },
                Handled::NoMessage => {}
                Handled::Later => self.waiting.keep(source, &message, to),
            }
        }
    }

    fn take_orders(&mut self) -> Ended {
        for order in self.orders.try_iter().take(ORDERS_MAX) {
            match order {
                Order::Message {
                    source,
                    bytes,
                    reply,
                } => match self.desk.handle(source, &bytes, Instant::now()) {
                    Handled::Answered(answer) => drop(reply.send(answer)),
                    Handled::NoMessage => {}
                    Handled::Later => self.waiting.keep(source, &bytes, Return::Stream(reply)),
                },
                Order::Metrics(to) => drop(to.send(self.desk.metrics(self.gate.refused()))),
                Order::State(to) => drop(to.send(self.desk.state())),
                Order::Status(to) => drop(to.send(self.desk.status())),
                Order::Look(to) => drop(to.send(self.desk.look())),
                Order::Drain => self.desk.drain(),
                Order::Resume => self.desk.resume(),
                Order::Stop => return Ended::Yes,
            }
        }
        Ended::No
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

/// A number that no other start of a server has.
fn instance() -> Result<u64, StartError> {
    let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    // It must fit the integers of the protocol.
    Ok(random >> 1)
}

/// The token of the waker.
const WAKE: Token = Token(usize::MAX);
const EVENTS: usize = 64;
/// Between two looks at what has come to its time.
const TICK: std::time::Duration = std::time::Duration::from_millis(500);
/// Between two looks at whether what is waited for has come.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(10);
/// Requests of streams that wait; beyond, they are dropped unanswered.
const ORDERS_MAX: usize = 4_096;
