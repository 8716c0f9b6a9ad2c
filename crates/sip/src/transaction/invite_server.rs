//! INVITE server transaction, RFC 3261 §17.2.1 with RFC 6026 §7.1.
//!
//! Two duties of the user agent are done here, because they are retransmissions too: a 2xx is
//! sent again until its ACK is known (RFC 3261 §13.3.1.4), a reliable provisional response
//! until its PRACK is (RFC 3262 §3). The user says when.

use core::time::Duration;

use smallvec::smallvec;

use super::{Effect, Effects, Failure, Timer, Timers};
use crate::Transport;

/// The states of RFC 6026 figure 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteServer {
    /// No final response yet.
    Proceeding {
        /// The interval at which a reliable provisional response is sent again; `None` if none
        /// waits for its PRACK.
        reliable: Option<Duration>,
    },
    /// A final response other than 2xx was sent.
    Completed {
        /// The interval of timer G.
        g: Duration,
    },
    /// The ACK to it came.
    Confirmed,
    /// A 2xx was sent.
    Accepted {
        /// The interval at which it is sent again; `None` once its ACK came.
        success: Option<Duration>,
    },
    /// Somebody else answers from now on: nothing is said any more, and what comes again is no new
    /// request.
    Forsaken,
    /// Over.
    Terminated,
}

/// What happens to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteServerInput {
    /// The INVITE came again.
    Retransmission,
    /// An ACK of this transaction came.
    Ack,
    /// The user sends a response with this status.
    Respond(u16),
    /// The user sends a reliable provisional response.
    RespondReliably,
    /// The user saw the PRACK for the reliable provisional response.
    Pracked,
    /// The user saw the ACK for the 2xx.
    Acknowledged,
    /// The user leaves it to somebody else, who has the same transaction.
    Forsake,
    /// A timer fired.
    Timer(Timer),
    /// The transport could not send a response.
    TransportError,
}

impl InviteServer {
    /// Begins, with the effects of beginning.
    #[must_use]
    pub fn start(timers: &Timers) -> (Self, Effects) {
        let trying = if timers.trying.is_zero() {
            Effect::SendTrying
        } else {
            Effect::Set(Timer::Trying, timers.trying)
        };
        (
            Self::Proceeding { reliable: None },
            smallvec![trying, Effect::Deliver],
        )
    }

    /// Takes one input.
    pub fn step(
        &mut self,
        input: InviteServerInput,
        timers: &Timers,
        transport: Transport,
    ) -> Effects {
        use InviteServerInput as In;
        match (*self, input) {
            (
                Self::Proceeding { .. } | Self::Completed { .. } | Self::Accepted { .. },
                In::Forsake,
            ) => self.forsake(timers),
            (Self::Proceeding { .. }, _) => self.proceeding(input, timers, transport),
            (Self::Completed { .. }, In::Retransmission) => smallvec![Effect::Send],
            (Self::Completed { g }, In::Timer(Timer::G)) => {
                let g = timers.backed_off(g);
                *self = Self::Completed { g };
                smallvec![Effect::Send, Effect::Set(Timer::G, g)]
            }
            (Self::Completed { .. }, In::Ack) => self.confirm(timers, transport),
            (Self::Completed { .. }, In::Timer(Timer::H)) => self.fail(Failure::NoAck),
            (Self::Confirmed | Self::Forsaken, In::Timer(Timer::I)) => self.end(),
            (Self::Accepted { .. }, In::Ack) => smallvec![Effect::Deliver],
            (Self::Accepted { .. }, In::Respond(200..300)) => smallvec![Effect::Send],
            (Self::Accepted { .. }, In::Acknowledged) => {
                *self = Self::Accepted { success: None };
                smallvec![Effect::Stop(Timer::Success), Effect::Release]
            }
            (Self::Accepted { success: Some(s) }, In::Timer(Timer::Success)) => {
                let s = timers.backed_off(s);
                *self = Self::Accepted { success: Some(s) };
                smallvec![Effect::Send, Effect::Set(Timer::Success, s)]
            }
            (Self::Accepted { success: Some(_) }, In::Timer(Timer::L)) => self.fail(Failure::NoAck),
            (Self::Accepted { success: None }, In::Timer(Timer::L)) => self.end(),
            // RFC 6026 §7.1: the transaction stays, to absorb retransmissions; its timers end it.
            (Self::Completed { .. } | Self::Accepted { .. }, In::TransportError) => {
                smallvec![Effect::Fail(Failure::Transport)]
            }
            _ => Effects::new(),
        }
    }

    fn proceeding(
        &mut self,
        input: InviteServerInput,
        timers: &Timers,
        transport: Transport,
    ) -> Effects {
        use InviteServerInput as In;
        let Self::Proceeding { reliable } = self else {
            return Effects::new();
        };
        match input {
            In::Retransmission => smallvec![Effect::Send],
            In::Respond(..200) if reliable.is_some() => smallvec![Effect::Send],
            In::Respond(..200) => smallvec![Effect::Stop(Timer::Trying), Effect::Send],
            In::Respond(200..300) => {
                *self = Self::Accepted {
                    success: Some(timers.t1),
                };
                smallvec![
                    Effect::Send,
                    Effect::Set(Timer::Success, timers.t1),
                    Effect::Set(Timer::L, timers.patience()),
                ]
            }
            In::Respond(300..) => {
                *self = Self::Completed { g: timers.t1 };
                let g = if transport.is_reliable() {
                    Effect::Stop(Timer::G)
                } else {
                    Effect::Set(Timer::G, timers.t1)
                };
                smallvec![Effect::Send, g, Effect::Set(Timer::H, timers.patience())]
            }
            In::RespondReliably => {
                *reliable = Some(timers.t1);
                smallvec![
                    Effect::Send,
                    Effect::Set(Timer::Provisional, timers.t1),
                    Effect::Set(Timer::ProvisionalEnd, timers.patience()),
                ]
            }
            In::Pracked if reliable.take().is_some() => smallvec![
                Effect::Stop(Timer::Provisional),
                Effect::Stop(Timer::ProvisionalEnd),
            ],
            In::Timer(Timer::Trying) => smallvec![Effect::SendTrying],
            In::Timer(Timer::Provisional) => {
                let Some(interval) = reliable else {
                    return Effects::new();
                };
                // RFC 3262 §3 doubles without end.
                *interval *= 2;
                smallvec![
                    Effect::SendReliable,
                    Effect::Set(Timer::Provisional, *interval)
                ]
            }
            In::Timer(Timer::ProvisionalEnd) => {
                *reliable = None;
                smallvec![
                    Effect::Stop(Timer::Provisional),
                    Effect::Fail(Failure::NoPrack)
                ]
            }
            In::TransportError => smallvec![Effect::Fail(Failure::Transport)],
            _ => Effects::new(),
        }
    }

    fn confirm(&mut self, timers: &Timers, transport: Transport) -> Effects {
        if transport.is_reliable() {
            // Timer I is zero.
            return self.end();
        }
        *self = Self::Confirmed;
        smallvec![
            Effect::Stop(Timer::G),
            Effect::Set(Timer::I, timers.t4),
            Effect::Release,
        ]
    }

    /// The INVITE may come again for as long as its sender has no answer.
    fn forsake(&mut self, timers: &Timers) -> Effects {
        *self = Self::Forsaken;
        smallvec![
            Effect::Stop(Timer::G),
            Effect::Set(Timer::I, timers.patience()),
            Effect::Release,
        ]
    }

    fn fail(&mut self, failure: Failure) -> Effects {
        *self = Self::Terminated;
        smallvec![Effect::Fail(failure), Effect::End]
    }

    fn end(&mut self) -> Effects {
        *self = Self::Terminated;
        smallvec![Effect::End]
    }
}
