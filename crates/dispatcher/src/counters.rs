//! What a dispatcher has counted since its start.

/// Counts.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Requests received, by [`METHODS`].
    pub requests: [u64; METHODS.len()],
    /// Responses received, by the first digit of the status.
    pub responses: [u64; 7],
    /// Bytes that were no message, and messages that broke a rule.
    pub malformed: u64,
    /// Route or Record-Route tokens that we did not seal.
    pub forged: u64,
    /// Requests that had been here before.
    pub loops: u64,
    /// Responses to nothing we forwarded.
    pub strays: u64,
    /// Requests sent to another target after one failed.
    pub failovers: u64,
    /// Redirections followed.
    pub redirects: u64,
    /// Requests inside dialogs that went to another target, theirs being down.
    pub stand_ins: u64,
    /// Requests refused because no target was up.
    pub refused_down: u64,
    /// Requests refused because all targets were full, or we were.
    pub refused_overloaded: u64,
    /// Requests refused because nothing new is taken.
    pub refused_draining: u64,
    /// Requests for a phone whose flow was gone.
    pub flows_gone: u64,
}

/// The methods counted apart; the last stands for all others.
pub const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "PRACK",
    "UPDATE",
    "INFO",
    "MESSAGE",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "PUBLISH",
    "other",
];
