//! What the table tells its user.

use super::{ClientId, ServerId};
use crate::{Flow, Message, Transmit};

/// One thing to do.
#[derive(Clone, Debug)]
pub enum TransactionOutput {
    /// Send this.
    Transmit(Transmit),
    /// Know this.
    Event(Event),
}

/// A fact for the user of transactions.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new request; answer it by [`super::Transactions::respond`].
    Request {
        /// Its transaction.
        server: ServerId,
        /// How it came.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// An INVITE without final response was cancelled; answer it with 487 (RFC 3261 §9.2). The
    /// CANCEL itself is answered already.
    Cancel {
        /// The transaction of the INVITE.
        server: ServerId,
        /// The CANCEL, for its Reason header.
        message: Message,
    },
    /// An ACK to a 2xx.
    Ack {
        /// How it came.
        flow: Flow,
        /// The ACK.
        message: Message,
    },
    /// A response. Of an INVITE each 2xx is reported, retransmitted ones too: each wants an ACK.
    Response {
        /// Its transaction.
        client: ClientId,
        /// How it came.
        flow: Flow,
        /// The response.
        message: Message,
    },
    /// A response to nothing we know of (RFC 6026 §8.9: to be dropped).
    StrayResponse {
        /// How it came.
        flow: Flow,
        /// The response.
        message: Message,
    },
    /// No final response came in time; treat it as a 408 (RFC 3261 §8.1.3.1). The transaction
    /// is over.
    Timeout {
        /// The transaction.
        client: ClientId,
    },
    /// The request could not be sent; treat it as a 503 (RFC 3261 §8.1.3.1). The transaction is
    /// over.
    RequestFailed {
        /// The transaction.
        client: ClientId,
    },
    /// A response could not be sent. The transaction goes on (RFC 6026 §7.1): the peer may be
    /// reached by the next one.
    ResponseFailed {
        /// The transaction.
        server: ServerId,
    },
    /// No ACK came for a final response to INVITE. The transaction is over; after a 2xx the
    /// session is to be ended (RFC 3261 §13.3.1.4).
    NoAck {
        /// The transaction.
        server: ServerId,
    },
    /// No PRACK came for a reliable provisional response: reject the INVITE (RFC 3262 §3).
    NoPrack {
        /// The transaction of the INVITE.
        server: ServerId,
    },
    /// An INVITE client transaction is over: the last event with this id. Other client
    /// transactions are over for their user with the final response, and end in silence.
    ClientEnded {
        /// The transaction.
        client: ClientId,
    },
    /// An INVITE server transaction is over: the last event with this id. Others end in silence
    /// after their final response.
    ServerEnded {
        /// The transaction.
        server: ServerId,
    },
}
