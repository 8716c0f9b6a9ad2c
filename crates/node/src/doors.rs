//! Whether the SIP of a node is open. While its server is stopped the process goes on, and so does its
//! API; no socket of SIP is there, so that whoever sends it calls notices at once.

use std::time::Duration;

use net::{ListenerSpec, Net};
use tokio::sync::watch;

use crate::visit::Visitor;
use crate::{listeners, signals};

/// What is wanted. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Doors(watch::Sender<Position>);

/// Whether SIP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// It is.
    Open,
    /// Calls have ended, and no listener is there.
    Closed,
}

impl Position {
    /// As a configuration wants it.
    pub(crate) const fn wanted_by(snapshot: &model::Snapshot) -> Self {
        match snapshot.stopped {
            true => Self::Closed,
            false => Self::Open,
        }
    }
}

impl Doors {
    /// Of a node whose listeners are open.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Position::Open))
    }

    /// What is wanted from now on.
    pub(crate) fn set(&self, wanted: Position) {
        self.0.send_if_modified(|known| {
            let is_news = *known != wanted;
            *known = wanted;
            is_news
        });
    }

    /// Whether they are to be closed.
    pub(crate) fn is_closed(&self) -> bool {
        *self.0.borrow() == Position::Closed
    }

    /// Opens and closes, for as long as the runtime runs.
    pub(crate) async fn keep(self, net: Net, visitor: Visitor) {
        let mut wanted = self.0.subscribe();
        let mut node = Sockets {
            net,
            visitor,
            closed: Vec::new(),
        };
        loop {
            let position = *wanted.borrow_and_update();
            let done = match position {
                Position::Open => node.open().await,
                Position::Closed => node.close().await,
            };
            let changed = wanted.changed();
            match done {
                // It is this that sends: it cannot be gone.
                true => _ = changed.await,
                false => _ = tokio::time::timeout(PAUSE, changed).await,
            }
        }
    }
}

/// The sockets of SIP.
struct Sockets {
    net: Net,
    visitor: Visitor,
    /// Those that were closed, at the addresses that they had.
    closed: Vec<ListenerSpec>,
}

impl Sockets {
    /// Ends calls and closes what is open; whether all is closed.
    async fn close(&mut self) -> bool {
        if self.net.listeners().is_empty() {
            return true;
        }
        let ended = self
            .visitor
            .ask(|now, machine, _| machine.switch.end_calls(now));
        if ended.await.is_err() {
            return false;
        }
        signals::parted(&self.visitor).await;
        for listener in self.net.listeners() {
            let id = listener.spec.id;
            let told = self
                .visitor
                .tell(move |_, machine, _| machine.switch.remove_listener(id));
            let net = self.net.clone();
            let closed = tokio::task::spawn_blocking(move || net.remove_listener(id)).await;
            if let Ok(Err(error)) = &closed {
                tracing::warn!(%error, id = id.0, "a listener of a stopped server is not closed in time");
            }
            if told.is_err() {
                return false;
            }
            self.closed.push(ListenerSpec {
                bind: listener.local,
                ..listener.spec
            });
        }
        tracing::info!("the server is stopped: SIP is closed");
        self.net.listeners().is_empty()
    }

    /// Opens what was closed; whether all is open.
    async fn open(&mut self) -> bool {
        if self.closed.is_empty() {
            return true;
        }
        let mut left = Vec::new();
        for spec in std::mem::take(&mut self.closed) {
            let (net, wanted) = (self.net.clone(), spec.clone());
            let opened = tokio::task::spawn_blocking(move || net.add_listener(&wanted)).await;
            match opened {
                Ok(Ok(status)) => {
                    let listener = listeners::for_switch(&status);
                    // A switch that has no time hears of it at its next configuration.
                    let _ = self
                        .visitor
                        .ask(move |_, machine, _| machine.switch.set_listener(listener))
                        .await;
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, address = %spec.bind, "a listener of a started server is not open yet");
                    left.push(spec);
                }
                Err(_) => left.push(spec),
            }
        }
        self.closed = left;
        if self.closed.is_empty() {
            tracing::info!("the server is started: SIP is open");
        }
        self.closed.is_empty()
    }
}

/// Before what did not succeed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
