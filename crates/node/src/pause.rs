//! What is held back of the network's inputs while it is not known what happened in a pause.

use bytes::Bytes;
use net::Input;
use sip::Flow;

/// An input that waits.
#[derive(Debug)]
pub(crate) enum Held {
    /// A datagram, copied.
    Datagram(Flow, Bytes),
    /// Anything else, which needs no copy.
    Other(Input<'static>),
}

impl From<Input<'_>> for Held {
    fn from(input: Input<'_>) -> Self {
        match input {
            Input::Datagram { flow, bytes } => Self::Datagram(flow, Bytes::copy_from_slice(bytes)),
            Input::Message { flow, bytes } => Self::Other(Input::Message { flow, bytes }),
            Input::Opened { flow, names } => Self::Other(Input::Opened { flow, names }),
            Input::Closed { flow, why } => Self::Other(Input::Closed { flow, why }),
            Input::TransmitFailed { key, error } => {
                Self::Other(Input::TransmitFailed { key, error })
            }
            Input::Resolved { id, targets } => Self::Other(Input::Resolved { id, targets }),
        }
    }
}
