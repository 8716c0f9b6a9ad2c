//! What can be wrong with a description.

/// Why a description, or the address of one of its media, is of no use to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// The first line is not `v=`.
    #[error("the body does not begin with v=")]
    NotSdp,
    /// A line `m=` that cannot be read.
    #[error("the media line {index} (counted from 0) is malformed")]
    MalformedMedia {
        /// Which of the `m=` lines, counted from 0.
        index: usize,
    },
    /// A line `c=` that cannot be read.
    #[error("a connection line is malformed")]
    MalformedConnection,
    /// A medium without `c=` of its own in a description without one (RFC 8866 §5.7).
    #[error("no connection line applies to the medium")]
    NoConnection,
    /// More bytes than [`crate::MAX_BYTES`].
    #[error("the description is longer than {} bytes", crate::MAX_BYTES)]
    TooLong,
    /// More lines than [`crate::MAX_LINES`].
    #[error("the description has more than {} lines", crate::MAX_LINES)]
    TooManyLines,
    /// More media than [`crate::MAX_MEDIA`].
    #[error("the description has more than {} media", crate::MAX_MEDIA)]
    TooManyMedia,
    /// A version other than 0 (RFC 8866 §5.1).
    #[error("the version of the description is not 0")]
    Version,
    /// A multicast address: calls here are between two parties.
    #[error("the connection address is multicast")]
    Multicast,
    /// A host name where only IP addresses are served.
    #[error("the connection address is a host name")]
    HostName,
}
