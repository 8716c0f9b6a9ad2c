//! What the machines ask of the table that holds them.

use core::time::Duration;

use smallvec::SmallVec;

use super::Timer;

/// One wish of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the request of a client, the latest response of a server (if there is one).
    Send,
    /// Make a 100 and send it.
    SendTrying,
    /// Send the reliable provisional response again.
    SendReliable,
    /// Acknowledge the final response (RFC 3261 §17.1.1.3).
    Ack,
    /// Cancel the INVITE (RFC 3261 §9.1).
    Cancel,
    /// Hand the message that came in to the user.
    Deliver,
    /// Start a timer, or start it anew.
    Set(Timer, Duration),
    /// Stop a timer.
    Stop(Timer),
    /// Tell the user that it failed.
    Fail(Failure),
    /// The request is not needed any more: nothing will be retransmitted.
    Release,
    /// The transaction is over.
    End,
}

/// How a transaction fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No final response came.
    Timeout,
    /// The transport could not send.
    Transport,
    /// No ACK came for a final response.
    NoAck,
    /// No PRACK came for a reliable provisional response.
    NoPrack,
}

/// The wishes of one step, in order.
pub type Effects = SmallVec<[Effect; 4]>;
