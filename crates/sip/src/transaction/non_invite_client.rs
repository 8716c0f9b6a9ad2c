//! Non-INVITE client transaction, RFC 3261 §17.1.2.

use core::time::Duration;

use smallvec::smallvec;

use super::{Effect, Effects, Failure, Timer, Timers};
use crate::Transport;

/// The states of RFC 3261 figure 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteClient {
    /// No response yet.
    Trying {
        /// The interval of timer E.
        e: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// A final response came.
    Completed,
    /// Over.
    Terminated,
}

/// What happens to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteClientInput {
    /// A response with this status.
    Response(u16),
    /// A timer fired.
    Timer(Timer),
    /// The transport could not send the request.
    TransportError,
}

impl NonInviteClient {
    /// Begins, with the effects of beginning.
    #[must_use]
    pub fn start(timers: &Timers, transport: Transport) -> (Self, Effects) {
        let mut effects: Effects = smallvec![Effect::Send];
        if !transport.is_reliable() {
            effects.push(Effect::Set(Timer::E, timers.t1));
        }
        effects.push(Effect::Set(Timer::F, timers.patience()));
        (Self::Trying { e: timers.t1 }, effects)
    }

    /// Takes one input.
    pub fn step(
        &mut self,
        input: NonInviteClientInput,
        timers: &Timers,
        transport: Transport,
    ) -> Effects {
        use NonInviteClientInput as In;
        match (*self, input) {
            (Self::Trying { .. } | Self::Proceeding, In::Response(..200)) => {
                *self = Self::Proceeding;
                smallvec![Effect::Deliver]
            }
            (Self::Trying { .. } | Self::Proceeding, In::Response(_)) => {
                if transport.is_reliable() {
                    // Timer K is zero.
                    *self = Self::Terminated;
                    return smallvec![Effect::Deliver, Effect::End];
                }
                *self = Self::Completed;
                smallvec![
                    Effect::Stop(Timer::E),
                    Effect::Set(Timer::K, timers.t4),
                    Effect::Deliver,
                    Effect::Release,
                ]
            }
            (Self::Trying { e }, In::Timer(Timer::E)) => {
                let e = timers.backed_off(e);
                *self = Self::Trying { e };
                smallvec![Effect::Send, Effect::Set(Timer::E, e)]
            }
            (Self::Proceeding, In::Timer(Timer::E)) => {
                smallvec![Effect::Send, Effect::Set(Timer::E, timers.t2)]
            }
            (Self::Trying { .. } | Self::Proceeding, In::Timer(Timer::F)) => {
                *self = Self::Terminated;
                smallvec![Effect::Fail(Failure::Timeout), Effect::End]
            }
            (Self::Trying { .. } | Self::Proceeding, In::TransportError) => {
                *self = Self::Terminated;
                smallvec![Effect::Fail(Failure::Transport), Effect::End]
            }
            (Self::Completed, In::Timer(Timer::K)) => {
                *self = Self::Terminated;
                smallvec![Effect::End]
            }
            _ => Effects::new(),
        }
    }
}
