//! Visits: how other threads ask something of the switch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clock::Time;
use control::PlatformError;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use net::Waker;
use tokio::sync::oneshot;

use crate::host::SwitchHost;
use crate::machine::SwitchMachine;

/// Something to do on the `sip` thread, between two rounds.
pub(crate) type Visit = Box<dyn FnOnce(Time, &mut SwitchMachine, &mut SwitchHost) + Send>;

/// The most visits that wait; one more is told that the node is overloaded.
const VISITS_MAX: usize = 1_024;
/// How long a visit may wait for its turn.
const VISIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends visits.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    visits: Sender<Visit>,
    waker: Waker,
}

impl Visitor {
    pub(crate) fn new(waker: Waker) -> (Self, Receiver<Visit>) {
        let (visits, received) = bounded(VISITS_MAX);
        (Self { visits, waker }, received)
    }

    /// Runs something on the `sip` thread and brings back what it returns.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        visit: impl FnOnce(Time, &mut SwitchMachine, &mut SwitchHost) -> T + Send + 'static,
    ) -> Result<T, PlatformError> {
        let (reply, answer) = oneshot::channel();
        let boxed: Visit = Box::new(move |now, machine, host| {
            // Whoever asked may have gone: then nobody misses the answer.
            let _ = reply.send(visit(now, machine, host));
        });
        self.send(boxed)?;
        match tokio::time::timeout(VISIT_TIMEOUT, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(PlatformError::Unavailable("the switch has ended".into())),
            Err(_) => Err(PlatformError::Unavailable(
                "the switch is overloaded".into(),
            )),
        }
    }

    /// Runs something on the `sip` thread and waits for what it returns; `None` if it has no time, or
    /// has ended: then it has not been done, and will not be. For threads that may wait.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        patience: Duration,
        visit: impl FnOnce(Time, &mut SwitchMachine, &mut SwitchHost) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = bounded(1);
        let open = Arc::new(AtomicBool::new(true));
        let begun = Arc::clone(&open);
        let asked = self.tell(move |now, machine, host| {
            if begun.swap(false, Ordering::AcqRel) {
                let _ = reply.try_send(visit(now, machine, host));
            }
        });
        asked.ok()?;
        match answer.recv_timeout(patience) {
            Ok(value) => Some(value),
            // It is not begun any more.
            Err(_) if open.swap(false, Ordering::AcqRel) => None,
            Err(_) => answer.recv().ok(),
        }
    }

    /// Runs something on the `sip` thread, without an answer.
    pub(crate) fn tell(
        &self,
        visit: impl FnOnce(Time, &mut SwitchMachine, &mut SwitchHost) + Send + 'static,
    ) -> Result<(), PlatformError> {
        self.send(Box::new(visit))
    }

    fn send(&self, visit: Visit) -> Result<(), PlatformError> {
        let result = self.visits.try_send(visit).map_err(|error| match error {
            TrySendError::Full(_) => PlatformError::Unavailable("too many questions wait".into()),
            TrySendError::Disconnected(_) => {
                PlatformError::Unavailable("the switch has ended".into())
            }
        });
        self.waker.wake();
        result
    }
}
