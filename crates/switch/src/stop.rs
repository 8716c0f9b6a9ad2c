//! Stopping: no call begins any more, and each that is in progress ends properly.

use call::{Cause, Input};
use clock::Time;

use crate::Switch;

impl Switch {
    /// From now on new calls get 503, and each call in progress ends on both sides: by BYE if it
    /// was answered, else by 503 and CANCEL. [`Switch::has_parted`] says when all is said. Carriers
    /// are told that we can no longer be called.
    pub fn stop_all(&mut self, now: Time) {
        self.stopping = true;
        self.accepting = false;
        self.end_calls(now);
        self.upstream.leave_all(now);
        self.pump(now);
    }

    /// Each call in progress ends on both sides, as [`Switch::stop_all`] has it; others may begin.
    pub fn end_calls(&mut self, now: Time) {
        let mut keys: Vec<_> = self.calls.iter().map(|(key, _)| key).collect();
        keys.sort_unstable_by_key(|key| key.0);
        for key in keys {
            self.feed(now, key, Input::End(Cause::Stopping));
        }
        self.pump(now);
    }

    /// Whether [`Switch::stop_all`] was called.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether no peer still has to answer the end of a call, and no carrier that of a
    /// registration: it may have to be looked up first, and may ask for credentials.
    #[must_use]
    pub fn has_parted(&self) -> bool {
        self.calls.iter().next().is_none() && !self.upstream.is_leaving()
    }
}
