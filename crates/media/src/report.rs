//! What was received from each side of a session.

/// Both legs of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionReport {
    /// What came from side A.
    pub a: LegReport,
    /// What came from side B. Empty in an echo session.
    pub b: LegReport,
}

/// What was received from one side, over all its RTP streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegReport {
    /// The codec of most packets of the first stream, as in `a=rtpmap` (`PCMA`), or `pt 97`;
    /// empty if nothing came.
    pub codec: String,
    /// RTP packets received.
    pub packets: u64,
    /// RTP bytes received, headers included.
    pub bytes: u64,
    /// Packets lost on the way to us (RFC 3550 §6.4.1).
    pub lost: u64,
    /// Interarrival jitter of the first stream in microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u32,
    /// Estimated MOS of the first stream in hundredths (100 to 450), 0 if unknown.
    pub mos_centi: u16,
    /// RFC 4733 packets received.
    pub telephone_events: u64,
}
