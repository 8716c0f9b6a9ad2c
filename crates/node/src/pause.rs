//! A process that was stopped, or whose machine slept, does nothing when it goes on before it knows
//! that others have not taken it for dead meanwhile, and its calls over.
//!
//! What comes until then is held back, and handed on in order once that is known. If nobody can say,
//! because the live store is away, it goes on after a while: a store that is away ends no calls.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use net::Input;
use sip::Flow;

/// Looks for pauses.
#[derive(Debug)]
pub(crate) struct PauseWatch {
    /// When time was last seen to pass.
    seen: Time,
    /// Until when to wait at most for word that all is well; `None` while it is.
    until: Option<Time>,
    /// What has come since.
    held: VecDeque<Held>,
}

/// An input that waits.
#[derive(Debug)]
pub(crate) enum Held {
    /// A datagram, copied.
    Datagram(Flow, Bytes),
    /// Anything else, which needs no copy.
    Other(Input<'static>),
}

impl PauseWatch {
    /// From now on.
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            seen: now,
            until: None,
            held: VecDeque::new(),
        }
    }

    /// Time passes. True if so much has at once that others may have acted on it.
    pub(crate) fn pass(&mut self, now: Time) -> bool {
        let gap = now.since(self.seen);
        self.seen = now;
        let paused = gap >= PAUSE && self.until.is_none();
        if paused {
            self.until = Some(now + PATIENCE);
        }
        paused
    }

    /// Until when what comes is held back.
    pub(crate) const fn until(&self) -> Option<Time> {
        self.until
    }

    /// Keeps an input; beyond the bound it is as if it had been lost on its way.
    pub(crate) fn hold(&mut self, input: Input<'_>) {
        if self.held.len() >= HELD_MAX {
            return;
        }
        self.held.push_back(match input {
            Input::Datagram { flow, bytes } => Held::Datagram(flow, Bytes::copy_from_slice(bytes)),
            Input::Message { flow, bytes } => Held::Other(Input::Message { flow, bytes }),
            Input::Opened { flow, names } => Held::Other(Input::Opened { flow, names }),
            Input::Closed { flow, why } => Held::Other(Input::Closed { flow, why }),
            Input::TransmitFailed { key, error } => {
                Held::Other(Input::TransmitFailed { key, error })
            }
            Input::Resolved { id, targets } => Held::Other(Input::Resolved { id, targets }),
        });
    }

    /// All is well, or cleared up: what has come is to be handed on.
    pub(crate) fn release(&mut self) -> VecDeque<Held> {
        self.until = None;
        std::mem::take(&mut self.held)
    }
}

/// The longest that the loop of a process sleeps is its beat of half a second. Others take nothing over
/// before more than twice as much.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the live store may take to say what has happened meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is held back at most.
const HELD_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pause_holds_anything_back() {
        let start = Time::from_secs(100);
        let mut watch = PauseWatch::new(start);
        for beat in 1..10 {
            assert!(!watch.pass(start + Duration::from_millis(500) * beat));
        }
        assert_eq!(watch.until(), None);
        let later = start + Duration::from_secs(60);
        assert!(watch.pass(later), "it was stopped");
        assert!(!watch.pass(later), "which is said once");
        assert_eq!(watch.until(), Some(later + PATIENCE));
        let flow = Flow {
            transport: sip::Transport::Udp,
            listener: sip::ListenerId(0),
            conn: None,
            remote: "192.0.2.1:5060".parse().unwrap(),
        };
        watch.hold(Input::Datagram { flow, bytes: b"x" });
        assert_eq!(watch.release().len(), 1);
        assert_eq!(watch.until(), None);
    }
}
