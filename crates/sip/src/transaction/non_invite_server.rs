//! Non-INVITE server transaction, RFC 3261 §17.2.2 with RFC 4320.
//!
//! RFC 4320 §4.1: no provisional response but 100, that one only when the client has slowed
//! down to T2, which this machine sees to itself; and never 408, which would arrive too late.

use smallvec::smallvec;

use super::{Effect, Effects, Failure, Timer, Timers};
use crate::Transport;

/// The states of RFC 3261 figure 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteServer {
    /// No response yet.
    Trying,
    /// 100 was sent.
    Proceeding,
    /// A final response was sent.
    Completed,
    /// Over.
    Terminated,
}

/// What happens to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteServerInput {
    /// The request came again.
    Retransmission,
    /// The user sends a response with this status.
    Respond(u16),
    /// A timer fired.
    Timer(Timer),
    /// The transport could not send a response.
    TransportError,
}

impl NonInviteServer {
    /// Begins, with the effects of beginning.
    #[must_use]
    pub fn start(timers: &Timers) -> (Self, Effects) {
        let trying = Effect::Set(Timer::Trying, timers.non_invite_trying());
        (Self::Trying, smallvec![trying, Effect::Deliver])
    }

    /// Takes one input.
    pub fn step(
        &mut self,
        input: NonInviteServerInput,
        timers: &Timers,
        transport: Transport,
    ) -> Effects {
        use NonInviteServerInput as In;
        match (*self, input) {
            (Self::Proceeding | Self::Completed, In::Retransmission) => smallvec![Effect::Send],
            (Self::Trying, In::Timer(Timer::Trying)) => {
                *self = Self::Proceeding;
                smallvec![Effect::SendTrying]
            }
            (Self::Trying | Self::Proceeding, In::Respond(status @ 200..)) => {
                let mut effects = Effects::new();
                if status != 408 {
                    effects.push(Effect::Send);
                }
                if transport.is_reliable() {
                    // Timer J is zero.
                    *self = Self::Terminated;
                    effects.push(Effect::End);
                } else {
                    *self = Self::Completed;
                    effects.push(Effect::Stop(Timer::Trying));
                    effects.push(Effect::Set(Timer::J, timers.patience()));
                }
                effects
            }
            (Self::Completed, In::Timer(Timer::J)) => {
                *self = Self::Terminated;
                smallvec![Effect::End]
            }
            (Self::Completed, In::TransportError) => {
                smallvec![Effect::Fail(Failure::Transport)]
            }
            _ => Effects::new(),
        }
    }
}
