//! Which gateways can be used: by OPTIONS and by what became of calls.
//!
//! A gateway is up until it proves otherwise. OPTIONS that stay without any answer
//! [`PROBES_DOWN`] times in a row take it down, [`PROBES_UP`] answers bring it back; any answer
//! counts, whatever its status, except 503. Calls that fail [`CALLS_DOWN`] times in a row, by
//! silence or 5xx, take it down for [`REST_S`] seconds, or until OPTIONS bring it back. A 503
//! with Retry-After (RFC 3261 §21.5.4) takes it down at once and for as long as it says.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use clock::Time;
use model::{Gateway, GatewayId};

/// OPTIONS without answer, in a row, that take a gateway down.
pub const PROBES_DOWN: u32 = 3;
/// Answers to OPTIONS, in a row, that bring a gateway back.
pub const PROBES_UP: u32 = 2;
/// Failed calls, in a row, that take a gateway down.
pub const CALLS_DOWN: u32 = 3;
/// How long failed calls take a gateway down, in seconds.
pub const REST_S: u32 = 30;
/// The longest Retry-After that is obeyed, in seconds; longer ones are cut to it.
pub const RETRY_AFTER_MAX_S: u32 = 600;

/// The health of all gateways of a node: a machine that asks for probes and tells of changes.
#[derive(Clone, Debug, Default)]
pub struct Health {
    gateways: BTreeMap<GatewayId, State>,
    /// Next probes and ends of rests, soonest first.
    timers: BTreeSet<(Time, GatewayId, Timer)>,
    events: VecDeque<HealthEvent>,
}

impl Health {
    /// Takes over a configuration. Gateways that stay keep their state; first probes are spread
    /// over the interval. Gateways that are gone or switched off are forgotten.
    pub fn configure<'g>(&mut self, now: Time, gateways: impl IntoIterator<Item = &'g Gateway>) {
        let mut old = core::mem::take(&mut self.gateways);
        for gateway in gateways.into_iter().filter(|gateway| gateway.enabled) {
            let mut state = old.remove(&gateway.id).unwrap_or_default();
            let interval = Duration::from_secs(gateway.ping_interval_s.into());
            if state.interval != interval {
                self.cancel(gateway.id, state.probe_at.take(), Timer::Probe);
                state.interval = interval;
                if !interval.is_zero() {
                    let first = now + spread(gateway.id, interval);
                    state.probe_at = Some(first);
                    self.timers.insert((first, gateway.id, Timer::Probe));
                }
            }
            let waits_for_probes = state.down.is_some() && state.until().is_none();
            self.gateways.insert(gateway.id, state);
            if waits_for_probes && interval.is_zero() {
                self.up(gateway.id);
            }
        }
        for (id, state) in old {
            self.cancel(id, state.probe_at, Timer::Probe);
            self.cancel(id, state.until(), Timer::Rest);
        }
    }

    /// The result of OPTIONS.
    pub fn handle_probe(&mut self, now: Time, gateway: GatewayId, probe: Probe) {
        let Some(state) = self.gateways.get_mut(&gateway) else {
            return;
        };
        match probe {
            Probe::Answered { rtt_us } => {
                state.rtt_us = Some(rtt_us);
                state.is_proven = true;
                state.probes_failed = 0;
                state.probes_answered = state.probes_answered.saturating_add(1);
                let back = state.probes_answered >= PROBES_UP;
                if back && state.cause() != Some(DownCause::RetryAfter) {
                    self.up(gateway);
                }
            }
            Probe::Silent => {
                state.last_failure = Some(Failure::Silent);
                state.probes_answered = 0;
                state.probes_failed = state.probes_failed.saturating_add(1);
                let gone = state.probes_failed >= PROBES_DOWN;
                if gone && state.cause() != Some(DownCause::Silent) {
                    self.down(gateway, DownCause::Silent, None);
                }
            }
            Probe::Unavailable { retry_after_s } => {
                let retry_after_s = Some(retry_after_s);
                self.handle_failure(now, gateway, Failure::Unavailable { retry_after_s });
            }
        }
    }

    /// A call that got any answer that does not blame the gateway.
    pub fn handle_success(&mut self, gateway: GatewayId) {
        if let Some(state) = self.gateways.get_mut(&gateway) {
            state.calls_failed = 0;
            state.is_proven = true;
        }
    }

    /// A call that failed by the gateway's fault.
    pub fn handle_failure(&mut self, now: Time, gateway: GatewayId, failure: Failure) {
        let Some(state) = self.gateways.get_mut(&gateway) else {
            return;
        };
        state.last_failure = Some(failure);
        state.calls_failed = state.calls_failed.saturating_add(1);
        let asked_s = match failure {
            Failure::Unavailable { retry_after_s } => retry_after_s.filter(|s| *s > 0),
            Failure::Silent | Failure::Status(_) => None,
        };
        if let Some(asked_s) = asked_s {
            let rest_s = asked_s.min(RETRY_AFTER_MAX_S);
            let until = now + Duration::from_secs(rest_s.into());
            if state.cause() != Some(DownCause::Silent) {
                self.down(gateway, DownCause::RetryAfter, Some(until));
            }
        } else if state.calls_failed >= CALLS_DOWN && state.is_up() {
            let until = now + Duration::from_secs(REST_S.into());
            self.down(gateway, DownCause::FailedCalls, Some(until));
        }
    }

    /// The next fact or wish; `None` if there is none at this moment.
    pub fn poll_output(&mut self, now: Time) -> Option<HealthEvent> {
        while let Some((at, gateway, timer)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Rest => self.up(gateway),
                Timer::Probe => self.probe(now, gateway),
            }
        }
        self.events.pop_front()
    }

    /// When [`Health::poll_output`] has something to say next, if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.events.is_empty() {
            self.timers.first().map(|(at, ..)| *at)
        } else {
            Some(Time::ZERO)
        }
    }

    /// Whether a gateway can be used; one that is not known can.
    #[must_use]
    pub fn availability(&self, now: Time, gateway: GatewayId) -> Availability {
        match self.gateways.get(&gateway).and_then(|state| state.down) {
            Some((_, Some(until))) if until <= now => Availability::Up,
            Some((_, until)) => Availability::Down { until },
            None => Availability::Up,
        }
    }

    /// What is known of a gateway, for people; `None` if it is not configured.
    #[must_use]
    pub fn status(&self, gateway: GatewayId) -> Option<HealthStatus> {
        let state = self.gateways.get(&gateway)?;
        Some(HealthStatus {
            up: match state.down {
                Some(_) => Some(false),
                None => state.is_proven.then_some(true),
            },
            down: state.down,
            rtt_us: state.rtt_us,
            last_failure: state.last_failure,
        })
    }

    fn probe(&mut self, now: Time, gateway: GatewayId) {
        if let Some(state) = self.gateways.get_mut(&gateway) {
            let next = now + state.interval;
            state.probe_at = Some(next);
            self.timers.insert((next, gateway, Timer::Probe));
            self.events.push_back(HealthEvent::Probe(gateway));
        }
    }

    fn down(&mut self, gateway: GatewayId, cause: DownCause, until: Option<Time>) {
        let Some(state) = self.gateways.get_mut(&gateway) else {
            return;
        };
        let before = state.until();
        state.down = Some((cause, until));
        state.probes_answered = 0;
        state.is_proven = false;
        self.cancel(gateway, before, Timer::Rest);
        if let Some(at) = until {
            self.timers.insert((at, gateway, Timer::Rest));
        }
        let event = HealthEvent::Down {
            gateway,
            cause,
            until,
        };
        self.events.push_back(event);
    }

    fn up(&mut self, gateway: GatewayId) {
        let Some(state) = self.gateways.get_mut(&gateway) else {
            return;
        };
        if let Some((_, until)) = state.down.take() {
            state.calls_failed = 0;
            state.probes_failed = 0;
            self.cancel(gateway, until, Timer::Rest);
            self.events.push_back(HealthEvent::Up { gateway });
        }
    }

    fn cancel(&mut self, gateway: GatewayId, at: Option<Time>, timer: Timer) {
        if let Some(at) = at {
            self.timers.remove(&(at, gateway, timer));
        }
    }
}

/// What became of OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// An answer came, of whatever status but 503.
    Answered {
        /// How long it took, in microseconds.
        rtt_us: u32,
    },
    /// None came.
    Silent,
    /// 503 came.
    Unavailable {
        /// Its Retry-After, in seconds; 0 if it had none.
        retry_after_s: u32,
    },
}

/// How a call, or OPTIONS, failed by the gateway's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No answer came, or the transport failed.
    Silent,
    /// This 5xx came; for 503 say `Unavailable`.
    Status(u16),
    /// 503 came.
    Unavailable {
        /// Its Retry-After, in seconds.
        retry_after_s: Option<u32>,
    },
}

/// Whether a gateway can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Up,
    /// It cannot.
    Down {
        /// When it can again; `None` if that is up to its answers to OPTIONS.
        until: Option<Time>,
    },
}

/// What the machine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthEvent {
    /// Send OPTIONS to it, and report what becomes of them.
    Probe(GatewayId),
    /// It is down from now on, or for another time than said before.
    Down {
        /// Which.
        gateway: GatewayId,
        /// Why.
        cause: DownCause,
        /// Until when, if that is known.
        until: Option<Time>,
    },
    /// It is up again.
    Up {
        /// Which.
        gateway: GatewayId,
    },
}

/// Why a gateway is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownCause {
    /// It does not answer OPTIONS.
    Silent,
    /// Calls to it failed.
    FailedCalls,
    /// It asked for it.
    RetryAfter,
}

impl core::fmt::Display for DownCause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Silent => "it does not answer OPTIONS",
            Self::FailedCalls => "calls to it failed",
            Self::RetryAfter => "it asked to be left alone for a while",
        })
    }
}

/// What is known of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthStatus {
    /// `None` while it may be used and has answered nothing, ever or since it was down.
    pub up: Option<bool>,
    /// Why it is down, and until when if that is known.
    pub down: Option<(DownCause, Option<Time>)>,
    /// Round trip of the last OPTIONS, in microseconds.
    pub rtt_us: Option<u32>,
    /// The last failure.
    pub last_failure: Option<Failure>,
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Silent => f.write_str("no answer"),
            Self::Status(status) => write!(f, "answered {status}"),
            Self::Unavailable {
                retry_after_s: Some(s),
            } => write!(f, "answered 503, retry after {s} s"),
            Self::Unavailable {
                retry_after_s: None,
            } => f.write_str("answered 503"),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    /// Zero if it is not probed.
    interval: Duration,
    probe_at: Option<Time>,
    /// `None` while it is up.
    down: Option<(DownCause, Option<Time>)>,
    /// In a row.
    probes_failed: u32,
    /// In a row.
    probes_answered: u32,
    /// In a row.
    calls_failed: u32,
    /// Whether anything was answered since it was down last, or ever: a rest that has ended proves
    /// nothing.
    is_proven: bool,
    rtt_us: Option<u32>,
    last_failure: Option<Failure>,
}

impl State {
    const fn is_up(&self) -> bool {
        self.down.is_none()
    }

    fn cause(&self) -> Option<DownCause> {
        self.down.map(|(cause, _)| cause)
    }

    fn until(&self) -> Option<Time> {
        self.down.and_then(|(_, until)| until)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Rest,
    Probe,
}

/// Where in the first interval a gateway is probed: anywhere, but the same on each start.
fn spread(gateway: GatewayId, interval: Duration) -> Duration {
    let bits = gateway.bits();
    let mixed = ((bits >> 64) as u64 ^ bits as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let share = mixed >> 32;
    Duration::from_micros((interval.as_micros() as u64 / 1_000).saturating_mul(share) >> 32)
        .saturating_mul(1_000)
}

#[cfg(test)]
mod tests;
