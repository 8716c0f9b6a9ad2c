//! What the process is told by signals: to stop, to stop at once, to read its certificate again.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::visit::Visitor;

/// How long the calls and registrations of a node that stops have to end.
const STOP_TIME: Duration = Duration::from_secs(3);
/// Between two looks at whether they have.
const STOP_LOOK: Duration = Duration::from_millis(20);
/// What the process ends with when it is told twice to stop.
const EXIT_AT_ONCE: i32 = 1;

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

    /// Waits for SIGINT or SIGTERM, and ends the calls there are. `read_again` is called at each
    /// SIGHUP until then. A second signal to stop ends the process at once.
    pub(crate) async fn stop(mut self, visitor: Visitor, read_again: impl Fn() + Send) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
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
    let ended = async {
        let began = visitor.ask(|now, machine, _| machine.switch.stop_all(now));
        if began.await.is_err() {
            return;
        }
        while let Ok(false) = visitor
            .ask(|_, machine, _| machine.switch.has_parted())
            .await
        {
            tokio::time::sleep(STOP_LOOK).await;
        }
    };
    if tokio::time::timeout(STOP_TIME, ended).await.is_err() {
        tracing::warn!("some peers did not answer that their calls or registrations are over");
    }
}
