//! What can be wrong with a message, by culprit.

/// Why bytes are no message. What was readable of it, the cookie, is with whoever split the frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No cookie, or one that no client sends.
    #[error("no cookie before the message")]
    Cookie,
    /// Neither a bencoded dictionary nor a JSON object.
    #[error("the message is no dictionary")]
    NotDictionary,
    /// Bencode that breaks its grammar.
    #[error("malformed bencode at byte {at}")]
    Bencode {
        /// Where, counted from 0.
        at: usize,
    },
    /// Bytes behind the dictionary; only strict reading minds.
    #[error("bytes follow the dictionary at {at}")]
    Trailing {
        /// Where, counted from 0.
        at: usize,
    },
    /// Keys out of order or twice; only strict reading minds.
    #[error("dictionary keys out of order at byte {at}")]
    Order {
        /// Where, counted from 0.
        at: usize,
    },
    /// JSON that breaks its grammar, or holds what bencode cannot.
    #[error("malformed JSON: {0}")]
    Json(String),
    /// Nested deeper than [`crate::DEPTH_MAX`].
    #[error("nested too deeply")]
    TooDeep,
    /// More than [`crate::VALUES_MAX`] values.
    #[error("too many values")]
    TooMany,
    /// Longer than [`crate::MESSAGE_BYTES_MAX`].
    #[error("message too long")]
    TooLong,
}

/// Why a dictionary is no request, or no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// The request names no command.
    #[error("no command in message")]
    NoCommand,
    /// Nobody here knows the command.
    #[error("unrecognised command \"{0}\"")]
    UnknownCommand(String),
    /// A key that the command needs is not there.
    #[error("no {0} in message")]
    Missing(&'static str),
    /// A value is of the wrong kind or out of bounds.
    #[error("invalid value for {0}")]
    Invalid(String),
    /// A reply without a result, or with one that nobody knows.
    #[error("the reply has no known result")]
    NoResult,
}
