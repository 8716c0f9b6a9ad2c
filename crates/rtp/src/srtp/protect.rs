//! What is sent.

use super::cipher::Ciphers;
use super::stream::{INDEX_MAX, Streams};
use super::{MasterKey, SrtpError, payload_start, rtcp_ssrc, sequence_and_ssrc};

/// Protects the packets of one direction. They may come out of order, as a relay gets them; no
/// index is ever used twice, so a packet that repeats one is refused. A source that begins anew
/// at a lower sequence number gets other numbers, which go on where the old ones ended.
#[derive(Debug)]
pub struct Protector {
    master: MasterKey,
    ciphers: Ciphers,
    streams: Streams,
    /// Of the next RTCP packet, for all sources together.
    rtcp_index: u32,
}

impl Protector {
    /// Begins with a key that was never used before.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        Self {
            master: *master,
            ciphers: Ciphers::new(master),
            streams: Streams::default(),
            rtcp_index: 0,
        }
    }

    /// The key in use.
    #[must_use]
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Goes on with another key. Rollover counters begin at 0 again, as most peers expect of a
    /// new key in a description.
    pub fn rekey(&mut self, master: &MasterKey) {
        *self = Self::new(master);
    }

    /// Protects the RTP packet of `len` bytes at the beginning of `buffer`; its new length.
    ///
    /// # Errors
    /// See [`SrtpError`].
    #[inline]
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = buffer.get(..len).ok_or(SrtpError::Truncated)?;
        let start = payload_start(packet)?;
        let (sequence, ssrc) = sequence_and_ssrc(packet)?;
        let mut stream = self.streams.of(ssrc);
        let Some((sent, index)) = stream.outgoing(sequence) else {
            // It is known, so there is room for it.
            self.streams.keep(stream);
            return Err(SrtpError::Replayed);
        };
        if index > INDEX_MAX {
            return Err(SrtpError::Exhausted);
        }
        stream.record(index);
        if !self.streams.keep(stream) {
            return Err(SrtpError::TooManySources);
        }
        if let Some(field) = buffer.get_mut(SEQUENCE) {
            field.copy_from_slice(&sent.to_be_bytes());
        }
        self.ciphers.rtp.seal_rtp(buffer, start, len, (ssrc, index))
    }

    /// The same for RTCP.
    ///
    /// # Errors
    /// See [`SrtpError`].
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let packet = buffer.get(..len).ok_or(SrtpError::Truncated)?;
        let ssrc = rtcp_ssrc(packet)?;
        let index = self.rtcp_index;
        if index > RTCP_INDEX_MAX {
            return Err(SrtpError::Exhausted);
        }
        self.rtcp_index += 1;
        self.ciphers.rtcp.seal_rtcp(buffer, len, (ssrc, index))
    }
}

/// Where the sequence number stands.
const SEQUENCE: std::ops::Range<usize> = 2..4;
/// The index of SRTCP has 31 bits.
const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;
