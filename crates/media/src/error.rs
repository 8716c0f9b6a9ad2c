//! What can go wrong, by culprit.

use std::io;

use sdp::SdpError;

use crate::config::AddressFamily;

/// Why an offer or an answer was refused. The session is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The peer sent something that is no session description.
    #[error("malformed session description: {0}")]
    Malformed(#[from] SdpError),
    /// The peer broke RFC 3264: the answer has not the media sections of the offer.
    #[error("the answer has {answered} media sections, the offer {offered}")]
    Sections {
        /// Sections in the offer.
        offered: usize,
        /// Sections in the answer.
        answered: usize,
    },
    /// The peer offered more media sections than are relayed.
    #[error("more than {0} media sections")]
    TooManySections(usize),
    /// The peer offered nothing that the echo application can answer (488).
    #[error("nothing offered can be echoed")]
    NothingToEcho,
    /// An answer for a session or from a side that nothing was offered to.
    #[error("no offer is open towards this side")]
    NoOffer,
    /// The peer demands protection, or was offered it, and gives no keys or fingerprint that we
    /// can use.
    #[error("no usable keys")]
    NoKeys,
    /// The system gives no random numbers to make keys of.
    #[error("no randomness")]
    NoRandomness,
    /// A session that relays was asked to echo, or the other way round.
    #[error("the session is of another kind")]
    OtherKind,
    /// The session is unknown.
    #[error("no such session")]
    NoSession,
    /// Whoever is to be copied has settled no media yet, or none that can be copied.
    #[error("there is no media to subscribe to, or not yet")]
    NotNegotiated,
    /// What is to be copied is protected from end to end.
    #[error("the media is encrypted end to end")]
    EndToEnd,
    /// Media of several workers was asked for at once.
    #[error("these participants cannot be subscribed to at once: subscribe to each alone")]
    Apart,
    /// The session has no voice that can be handled here, or not yet.
    #[error("no audio of a known codec")]
    NoAudio,
    /// There is no directory for recordings, or no recording that goes on.
    #[error("there is no recording")]
    NoRecordings,
    /// We have no address of this family.
    #[error("no interface for {0:?}")]
    NoInterface(AddressFamily),
    /// We have no interface of this name.
    #[error("no interface is called {0:?}")]
    UnknownInterface(String),
    /// All ports are used or resting.
    #[error("no free port for {0:?}")]
    NoPorts(AddressFamily),
    /// As many files are open as may be for media: each port is one.
    #[error("no more files may be open for media, {0} at most in all")]
    NoFiles(u64),
    /// A codec's library gave no state.
    #[error("no codec: {0}")]
    Codec(#[from] audio::CodecError),
    /// The kernel gave no socket.
    #[error("no socket: {0}")]
    Socket(#[source] io::Error),
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration names no address, no port pair or no worker.
    #[error("media configuration: {0}")]
    Misuse(&'static str),
    /// An address cannot be bound.
    #[error("cannot bind {address}: {source}")]
    Bind {
        /// The address.
        address: std::net::IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// No certificate could be made for DTLS.
    #[error("cannot make a certificate for media")]
    Certificate,
    /// The kernel refused a thread or a descriptor.
    #[error("cannot start a media worker: {0}")]
    Worker(#[from] io::Error),
}
