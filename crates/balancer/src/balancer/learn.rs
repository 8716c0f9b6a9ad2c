//! Learning from what targets say, and from what becomes of requests.

use core::time::Duration;

use clock::Time;

use super::{Balancer, tell, tell_if_empty};
use crate::calls::Noted;
use crate::health::{Outcome, Silence};
use crate::overload::Loss;
use crate::{Policy, TargetId};

impl Balancer {
    /// An answer to a new request came from a target. `latency` is the time to the first
    /// response of the attempt, if this is it; `retry_after` what a 503 says.
    pub fn handle_answer(
        &mut self,
        now: Time,
        id: TargetId,
        status: u16,
        latency: Option<Duration>,
        retry_after: Option<Duration>,
    ) {
        let Some(target) = self.targets.iter_mut().find(|t| t.id == id) else {
            return;
        };
        if let Some(latency) = latency {
            target.latency.note(latency);
        }
        if let (503, Some(time)) = (status, retry_after) {
            target.overload.close(now, time);
        }
        if status < 200 {
            target.health.handle_heard(now);
            return;
        }
        let outcome = match status {
            // A 503 that says when to come back is a wish, not a failure.
            503 if retry_after.is_some() => Outcome::Fine,
            500 | 502 | 503 | 504 => Outcome::Failure,
            _ => Outcome::Fine,
        };
        let change = target
            .health
            .handle_answer(now, outcome, &self.policy.passive);
        tell(id, change, &mut self.events);
    }

    /// Something came from a target that says nothing of how it is.
    pub fn handle_heard(&mut self, now: Time, id: TargetId) {
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            target.health.handle_heard(now);
        }
    }

    /// A target did not answer in time a request that it was sent then.
    pub fn handle_timeout_of(&mut self, now: Time, id: TargetId, began: Time) {
        self.handle_silence(now, id, Silence::Timeout { began });
    }

    /// Nobody listens where a target should be, or the way to it is closed.
    pub fn handle_refused(&mut self, now: Time, id: TargetId) {
        self.handle_silence(now, id, Silence::Refused);
    }

    fn handle_silence(&mut self, now: Time, id: TargetId, silence: Silence) {
        let Policy {
            passive, probing, ..
        } = &self.policy;
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            let change = target.health.handle_silence(now, silence, passive, probing);
            tell(id, change, &mut self.events);
        }
    }

    /// A target says how much it wants to be spared.
    pub fn handle_loss(&mut self, now: Time, id: TargetId, loss: Loss) {
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            target.overload.note(now, loss);
        }
    }

    /// A call is tried at a target: it counts until [`Self::handle_attempt_end`], for many may be
    /// on their way before the first is up.
    pub fn handle_attempt(&mut self, id: TargetId) {
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            target.attempts += 1;
        }
    }

    /// The attempt has come to a call, or to nothing.
    pub fn handle_attempt_end(&mut self, id: TargetId) {
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            target.attempts = target.attempts.saturating_sub(1);
        }
    }

    /// A call is up at a target, or was seen to be. Its key must not be of a stranger's choice.
    pub fn handle_call(&mut self, now: Time, key: u64, id: TargetId) {
        let noted = self.calls.note(now, key, id);
        if let Noted::Moved(before) = noted {
            self.lose_call(before);
        }
        let is_more = matches!(noted, Noted::New | Noted::Moved(_));
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id && is_more) {
            target.calls += 1;
        }
    }

    /// A call has ended.
    pub fn handle_call_end(&mut self, key: u64) {
        if let Some(id) = self.calls.remove(key) {
            self.lose_call(id);
        }
    }

    pub(super) fn lose_call(&mut self, id: TargetId) {
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            target.calls = target.calls.saturating_sub(1);
            tell_if_empty(target, &mut self.events);
        }
    }

    /// A probe was answered. `calls` is what the target says it has, ours included.
    pub fn handle_probe_answer(
        &mut self,
        now: Time,
        id: TargetId,
        rtt: Duration,
        calls: Option<u32>,
    ) {
        let Some(target) = self.targets.iter_mut().find(|t| t.id == id) else {
            return;
        };
        target.probe_rtt = Some(rtt);
        if let Some(calls) = calls {
            let ours = target.calls.saturating_add(target.attempts);
            target.foreign_calls = calls.saturating_sub(ours);
        }
        let change = target.health.handle_probe_answer(now, &self.policy.probing);
        tell(id, change, &mut self.events);
    }

    /// A probe was answered by one who takes nothing now (503): he has the calls he has.
    pub fn handle_probe_closed(&mut self, now: Time, id: TargetId) {
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            let change = target
                .health
                .handle_probe_refusal(now, &self.policy.probing);
            tell(id, change, &mut self.events);
        }
    }

    /// A probe was refused by the network.
    pub fn handle_probe_refused(&mut self, now: Time, id: TargetId) {
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            let change = target.health.handle_probe_miss(now, &self.policy.probing);
            tell(id, change, &mut self.events);
        }
    }
}
