//! What the process is told: by signals to stop, to stop at once, to read its certificate again; by
//! control to begin anew.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::visit::Visitor;

/// How long the calls and registrations of a node that stops have to end.
const STOP_TIME: Duration = Duration::from_secs(3);
/// Between two looks at whether they have.
const STOP_LOOK: Duration = Duration::from_millis(20);
/// What the process ends with when it is told twice to stop.
const EXIT_AT_ONCE: i32 = 1;

/// Why a node has ended, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A signal said so.
    Stopped,
    /// Control said so: the same program is to be started again.
    ToBeginAnew,
}

/// Whether the node is to begin anew. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restart(watch::Sender<bool>);

impl Restart {
    /// The node stops as it would at a signal, and is started again.
    pub(crate) fn order(&self) {
        self.0.send_replace(true);
    }

    /// Returns once it is ordered.
    pub(crate) async fn ordered(&self) {
        // It is this that sends: it cannot be gone.
        let _ = self.0.subscribe().wait_for(|ordered| *ordered).await;
    }

    /// Why a node that has ended did so.
    pub(crate) fn ended(&self) -> Ended {
        match *self.0.borrow() {
            true => Ended::ToBeginAnew,
            false => Ended::Stopped,
        }
    }
}

/// The signals that the process listens to.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens from now on; to be called within the runtime.
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGINT, SIGTERM or the order to begin anew, and ends the calls there are. `read_again`
    /// is called at each SIGHUP until then. A second signal to stop ends the process at once.
    pub(crate) async fn stop(
        mut self,
        visitor: Visitor,
        restart: Restart,
        read_again: impl Fn() + Send,
    ) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                () = restart.ordered() => break,
                _ = self.hang_up.recv() => read_again(),
            }
        }
        tracing::info!("stopping: calls are being ended");
        tokio::spawn(async move {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            tracing::warn!("told twice to stop: ending at once");
            std::process::exit(EXIT_AT_ONCE);
        });
        end_calls(&visitor).await;
    }
}

/// Ends the calls there are, so that nobody talks into silence, and waits until both sides of
/// each have said that they heard it.
async fn end_calls(visitor: &Visitor) {
    let began = visitor.ask(|now, machine, _| machine.switch.stop_all(now));
    if began.await.is_ok() {
        parted(visitor).await;
    }
}

/// Waits until all peers have said that they heard of the end of calls and registrations, or have had
/// the time to.
pub(crate) async fn parted(visitor: &Visitor) {
    let parted = async {
        while let Ok(false) = visitor
            .ask(|_, machine, _| machine.switch.has_parted())
            .await
        {
            tokio::time::sleep(STOP_LOOK).await;
        }
    };
    if tokio::time::timeout(STOP_TIME, parted).await.is_err() {
        tracing::warn!("some peers did not answer that their calls or registrations are over");
    }
}
