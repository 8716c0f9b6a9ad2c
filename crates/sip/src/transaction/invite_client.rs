//! INVITE client transaction, RFC 3261 §17.1.1 with RFC 6026 §7.2.
//!
//! Timer C of RFC 3261 §16.8 runs here too, so that no INVITE rings for ever; it cancels.

use core::time::Duration;

use smallvec::smallvec;

use super::{Effect, Effects, Failure, Timer, Timers};
use crate::Transport;

/// The states of RFC 6026 figure 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteClient {
    /// No response yet.
    Calling {
        /// The interval of timer A.
        a: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// As `Proceeding`, but a CANCEL was sent; not a state of the RFC. The time left is that of
    /// RFC 3261 §9.1, and no provisional response prolongs it.
    Cancelling,
    /// A final response other than 2xx came and was acknowledged.
    Completed,
    /// A 2xx came; more may come from other branches.
    Accepted,
    /// Over.
    Terminated,
}

/// What happens to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteClientInput {
    /// A response with this status.
    Response(u16),
    /// A timer fired.
    Timer(Timer),
    /// The CANCEL was sent.
    Cancelled,
    /// The transport could not send the request.
    TransportError,
}

impl InviteClient {
    /// Begins, with the effects of beginning.
    #[must_use]
    pub fn start(timers: &Timers, transport: Transport) -> (Self, Effects) {
        let mut effects: Effects = smallvec![Effect::Send];
        if !transport.is_reliable() {
            effects.push(Effect::Set(Timer::A, timers.t1));
        }
        effects.push(Effect::Set(Timer::B, timers.patience()));
        (Self::Calling { a: timers.t1 }, effects)
    }

    /// Takes one input.
    pub fn step(
        &mut self,
        input: InviteClientInput,
        timers: &Timers,
        transport: Transport,
    ) -> Effects {
        use InviteClientInput as In;
        match (*self, input) {
            (Self::Cancelling, In::Response(..200)) => smallvec![Effect::Deliver],
            (Self::Calling { .. } | Self::Proceeding | Self::Cancelling, In::Response(status)) => {
                self.respond(status, timers, transport)
            }
            (Self::Completed, In::Response(300..)) => smallvec![Effect::Ack],
            (Self::Accepted, In::Response(200..300)) => smallvec![Effect::Deliver],
            (Self::Calling { a }, In::Timer(Timer::A)) => {
                *self = Self::Calling { a: a * 2 };
                smallvec![Effect::Send, Effect::Set(Timer::A, a * 2)]
            }
            (Self::Proceeding, In::Timer(Timer::C)) => smallvec![Effect::Cancel],
            (Self::Proceeding, In::Cancelled) => {
                *self = Self::Cancelling;
                smallvec![Effect::Set(Timer::Cancelled, timers.patience())]
            }
            (Self::Calling { .. }, In::Timer(Timer::B))
            | (Self::Cancelling, In::Timer(Timer::Cancelled)) => {
                *self = Self::Terminated;
                smallvec![Effect::Fail(Failure::Timeout), Effect::End]
            }
            (Self::Completed, In::Timer(Timer::D)) | (Self::Accepted, In::Timer(Timer::M)) => {
                *self = Self::Terminated;
                smallvec![Effect::End]
            }
            (Self::Calling { .. } | Self::Completed, In::TransportError) => {
                *self = Self::Terminated;
                smallvec![Effect::Fail(Failure::Transport), Effect::End]
            }
            _ => Effects::new(),
        }
    }

    fn respond(&mut self, status: u16, timers: &Timers, transport: Transport) -> Effects {
        match status {
            ..200 => {
                let mut effects: Effects = smallvec![Effect::Deliver];
                if matches!(self, Self::Calling { .. }) {
                    *self = Self::Proceeding;
                    effects.push(Effect::Stop(Timer::A));
                    effects.push(Effect::Set(Timer::C, timers.c));
                } else if status > 100 {
                    effects.push(Effect::Set(Timer::C, timers.c));
                }
                effects
            }
            200..300 => {
                *self = Self::Accepted;
                smallvec![
                    Effect::Stop(Timer::A),
                    Effect::Set(Timer::M, timers.patience()),
                    Effect::Deliver,
                    Effect::Release,
                ]
            }
            300.. if transport.is_reliable() => {
                // Timer D is zero.
                *self = Self::Terminated;
                smallvec![Effect::Ack, Effect::Deliver, Effect::End]
            }
            300.. => {
                *self = Self::Completed;
                smallvec![
                    Effect::Stop(Timer::A),
                    Effect::Ack,
                    Effect::Set(Timer::D, timers.d()),
                    Effect::Deliver,
                ]
            }
        }
    }
}
