//! Whether a target answers: by probes, and by what becomes of requests.

use core::time::Duration;

use clock::Time;

use crate::policy::{Passive, Probing};

/// What is known of a target's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes calls.
    Up,
    /// It takes no new calls: it does not answer, or only with failures.
    Down(Cause),
}

/// Why a target is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Probes were not answered.
    Probes,
    /// Requests were not answered.
    Silence,
    /// Too many requests were answered with failures.
    Errors,
    /// It answers probes, and says that it takes nothing (503).
    Refusal,
}

impl Cause {
    /// A short word for logs and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Silence => "silence",
            Self::Errors => "errors",
            Self::Refusal => "refusal",
        }
    }

    /// Whether there is somebody all the same, who still has the calls there are.
    #[must_use]
    pub const fn is_there(self) -> bool {
        matches!(self, Self::Errors | Self::Refusal)
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Up,
    Down(Cause),
}

#[derive(Clone, Debug)]
pub(crate) struct Health {
    state: State,
    /// When it came up last; `None`: it was never down, and gets its full share.
    up_since: Option<Time>,
    /// When it comes back by itself; `None`: probes decide.
    rests_until: Option<Time>,
    /// Probes answered, missed or refused in a row.
    hits: u32,
    misses: u32,
    refusals: u32,
    /// Attempts without an answer in a row.
    silences: u32,
    /// When anything came from it last.
    heard: Option<Time>,
    /// Whether a request was not answered, so that the next probe decides.
    suspected: bool,
    /// Answers, and failures among them, in this period.
    answers: u32,
    errors: u32,
    period_start: Time,
    next_probe: Time,
    /// Until when the answer to a probe under way is awaited.
    probe_deadline: Option<Time>,
}

impl Health {
    /// Of a target that is new: up until it proves otherwise, and probed at once.
    pub(crate) const fn new(now: Time, up_since: Option<Time>) -> Self {
        Self {
            state: State::Up,
            up_since,
            rests_until: None,
            hits: 0,
            misses: 0,
            refusals: 0,
            silences: 0,
            heard: None,
            suspected: false,
            answers: 0,
            errors: 0,
            period_start: now,
            next_probe: now,
            probe_deadline: None,
        }
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Whether somebody is there, whether he takes new calls or not.
    pub(crate) fn is_there(&self) -> bool {
        match self.state {
            State::Up => true,
            State::Down(cause) => cause.is_there(),
        }
    }

    /// Anything came from it.
    pub(crate) fn handle_heard(&mut self, now: Time) {
        self.heard = Some(now);
        self.silences = 0;
        self.suspected = false;
    }

    /// What it gets of a share of 1,000 while it warms up.
    pub(crate) fn share_permille(&self, now: Time, slow_start: Duration) -> u64 {
        let (Some(since), false) = (self.up_since, slow_start.is_zero()) else {
            return 1_000;
        };
        let passed = now.since(since).as_micros();
        let share = passed * 1_000 / slow_start.as_micros();
        u64::try_from(share)
            .unwrap_or(1_000)
            .clamp(crate::latency::SHARE_MIN_PERMILLE, 1_000)
    }

    /// Whether a probe is due; if so, it counts as sent.
    pub(crate) fn begin_probe(&mut self, now: Time, probing: &Probing) -> bool {
        if probing.interval.is_zero() || self.probe_deadline.is_some() || self.next_probe > now {
            return false;
        }
        self.probe_deadline = Some(now + probing.timeout);
        self.next_probe = now + probing.interval;
        true
    }

    /// The answer to a probe came, of whatever status but 503, which is for the caller to judge.
    pub(crate) fn handle_probe_answer(&mut self, now: Time, probing: &Probing) -> Option<Change> {
        self.handle_heard(now);
        self.probe_deadline = None;
        self.misses = 0;
        self.refusals = 0;
        self.hits = self.hits.saturating_add(1);
        let is_back = match self.state {
            State::Up => false,
            // Errors are a matter of calls: a target that answers probes may still fail them.
            State::Down(Cause::Errors) => false,
            State::Down(_) => self.hits >= probing.up_after,
        };
        is_back.then(|| self.rise(now))
    }

    /// No answer.
    pub(crate) fn handle_probe_miss(&mut self, now: Time, probing: &Probing) -> Option<Change> {
        self.probe_deadline = None;
        self.hits = 0;
        self.misses = self.misses.saturating_add(1);
        if !self.is_there() {
            return None;
        }
        if std::mem::take(&mut self.suspected) {
            return Some(self.fall(now, Cause::Silence, None));
        }
        (self.misses >= probing.down_after).then(|| self.fall(now, Cause::Probes, None))
    }

    /// An answer that says no: it is there, and takes no new calls.
    pub(crate) fn handle_probe_refusal(&mut self, now: Time, probing: &Probing) -> Option<Change> {
        self.handle_heard(now);
        self.probe_deadline = None;
        self.hits = 0;
        self.misses = 0;
        self.refusals = self.refusals.saturating_add(1);
        let falls = match self.state {
            State::Up => self.refusals >= probing.down_after,
            State::Down(Cause::Refusal) => false,
            // It rests on: by then it may take calls.
            State::Down(Cause::Errors) => false,
            State::Down(_) => true,
        };
        falls.then(|| self.fall(now, Cause::Refusal, None))
    }

    /// A request was answered.
    pub(crate) fn handle_answer(
        &mut self,
        now: Time,
        outcome: Outcome,
        passive: &Passive,
    ) -> Option<Change> {
        self.handle_heard(now);
        if now.since(self.period_start) >= PERIOD {
            // The last period still counts by half.
            self.answers /= 2;
            self.errors /= 2;
            self.period_start = now;
        }
        self.answers = self.answers.saturating_add(1);
        if outcome == Outcome::Failure {
            self.errors = self.errors.saturating_add(1);
        }
        let too_many = passive.errors_permille > 0
            && self.answers >= passive.answers_min
            && u64::from(self.errors) * 1_000
                >= u64::from(passive.errors_permille) * u64::from(self.answers);
        if too_many && self.is_up() {
            return Some(self.fall(now, Cause::Errors, Some(passive.rest)));
        }
        None
    }

    /// A request was not answered. A refusal of the kernel is as good as all silences at once. Else
    /// the request may have been one that nobody answers: a probe is sent at once, and if there is
    /// no answer to that either, the target is down. Where there are no probes, silences count.
    pub(crate) fn handle_silence(
        &mut self,
        now: Time,
        silence: Silence,
        passive: &Passive,
        probing: &Probing,
    ) -> Option<Change> {
        if !self.is_there() {
            return None;
        }
        match silence {
            Silence::Refused => {}
            Silence::Timeout { began } if self.heard.is_some_and(|heard| heard >= began) => {
                return None;
            }
            Silence::Timeout { .. } if probing.interval.is_zero() => {
                self.silences = self.silences.saturating_add(1);
                if self.silences < passive.silences {
                    return None;
                }
            }
            Silence::Timeout { .. } => {
                self.suspected = true;
                self.next_probe = self.next_probe.min(now);
                return None;
            }
        }
        let rest = probing.interval.is_zero().then_some(passive.rest);
        // It is looked at again soon, for it may only have been restarted.
        self.next_probe = self.next_probe.min(now + PROBE_SOON);
        Some(self.fall(now, Cause::Silence, rest))
    }

    /// What time alone changes.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Time,
        probing: &Probing,
        passive: &Passive,
    ) -> Option<Change> {
        if self.waits_for_probes_in_vain(probing) {
            self.rests_until = Some(now + passive.rest);
        }
        if self.probe_deadline.is_some_and(|due| due <= now) {
            return self.handle_probe_miss(now, probing);
        }
        if self.rests_until.is_some_and(|due| due <= now) {
            return Some(self.rise(now));
        }
        None
    }

    /// When [`Self::handle_timeout`] or [`Self::begin_probe`] has something to do.
    pub(crate) fn poll_timeout(&self, probing: &Probing) -> Option<Time> {
        let probe = match self.probe_deadline {
            Some(due) => Some(due),
            None => (!probing.interval.is_zero()).then_some(self.next_probe),
        };
        let at_once = self.waits_for_probes_in_vain(probing).then_some(Time::ZERO);
        [probe, self.rests_until, at_once]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether it is down until a probe is answered, and none is sent any more.
    fn waits_for_probes_in_vain(&self, probing: &Probing) -> bool {
        probing.interval.is_zero() && !self.is_up() && self.rests_until.is_none()
    }

    fn rise(&mut self, now: Time) -> Change {
        self.state = State::Up;
        self.up_since = Some(now);
        self.rests_until = None;
        self.silences = 0;
        self.refusals = 0;
        self.answers = 0;
        self.errors = 0;
        Change::Up
    }

    fn fall(&mut self, now: Time, cause: Cause, rest: Option<Duration>) -> Change {
        self.state = State::Down(cause);
        self.hits = 0;
        self.suspected = false;
        self.rests_until = rest.map(|rest| now + rest);
        Change::Down(cause)
    }
}

/// What an answer says of the one who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fine,
    Failure,
}

/// How no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// In time.
    Timeout {
        /// When the attempt began.
        began: Time,
    },
    /// Because nobody listens there.
    Refused,
}

/// Over how long failures are counted.
const PERIOD: Duration = Duration::from_secs(10);
/// After how long a target that fell silent is probed.
const PROBE_SOON: Duration = Duration::from_millis(500);
