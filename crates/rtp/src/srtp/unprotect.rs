//! What is received.

use super::cipher::Ciphers;
use super::stream::{Guesses, INDEX_MAX, Stream, Streams};
use super::{MasterKey, SrtpError, payload_start, rtcp_ssrc, sequence_and_ssrc};

/// Checks and decrypts the packets of one direction.
#[derive(Debug)]
pub struct Unprotector {
    master: MasterKey,
    ciphers: Ciphers,
    rtp: Streams,
    rtcp: Streams,
    /// How often the rollover counter of an unknown source may still be searched for.
    searches: u8,
}

impl Unprotector {
    /// Begins with a key.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        Self {
            master: *master,
            ciphers: Ciphers::new(master),
            rtp: Streams::default(),
            rtcp: Streams::default(),
            searches: SEARCHES_MAX,
        }
    }

    /// The key in use.
    #[must_use]
    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Goes on with another key. Whether the rollover counters go on, too, or begin at 0 again is
    /// found out by the first packet of each source.
    pub fn rekey(&mut self, master: &MasterKey) {
        self.master = *master;
        self.ciphers = Ciphers::new(master);
        self.rtp.rekey();
        self.rtcp = Streams::default();
        self.searches = SEARCHES_MAX;
    }

    /// Unprotects an RTP packet; its new length.
    ///
    /// # Errors
    /// See [`SrtpError`]. The packet is then of no more use.
    #[inline]
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let start = payload_start(packet)?;
        let (sequence, ssrc) = sequence_and_ssrc(packet)?;
        let mut stream = self.rtp.of(ssrc);
        let Guesses { first, second } = stream.guess(sequence);
        let is_possible = |index: &u64| stream.is_new(*index) && *index <= INDEX_MAX;
        let cipher = &self.ciphers.rtp;
        let (len, index) = match (Some(first).filter(is_possible), second.filter(is_possible)) {
            (None, None) => return Err(SrtpError::Replayed),
            (Some(index), None) if self.may_search(&stream, packet) => {
                self.search(packet, start, (ssrc, index))?
            }
            (Some(index), None) => (cipher.open_rtp(packet, start, (ssrc, index))?, index),
            // Seen before or too old to tell, unless very much was lost. What it is not is said.
            (None, Some(index)) => {
                let opened = cipher.open_rtp(packet, start, (ssrc, index));
                (opened.map_err(|_| SrtpError::Replayed)?, index)
            }
            (Some(first), Some(second)) => {
                let mut copy = [0; TRIAL_BYTES_MAX];
                let copy = copy.get_mut(..packet.len()).ok_or(SrtpError::NoRoom)?;
                copy.copy_from_slice(packet);
                match cipher.open_rtp(packet, start, (ssrc, first)) {
                    Ok(len) => (len, first),
                    Err(SrtpError::NotAuthentic) => {
                        packet.copy_from_slice(copy);
                        (cipher.open_rtp(packet, start, (ssrc, second))?, second)
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        stream.record(index);
        if !self.rtp.keep(stream) {
            return Err(SrtpError::TooManySources);
        }
        Ok(len)
    }

    #[inline]
    fn may_search(&self, stream: &Stream, packet: &[u8]) -> bool {
        !stream.is_known() && self.searches > 0 && packet.len() <= TRIAL_BYTES_MAX
    }

    /// Opens the first packet of a source, which may have sent for hours to another receiver with
    /// the same key: nobody says how often its sequence numbers rolled over (RFC 3711 §3.3.1), so
    /// that is tried out. `first` is the index if they never did.
    #[cold]
    fn search(
        &mut self,
        packet: &mut [u8],
        start: usize,
        (ssrc, first): (u32, u64),
    ) -> Result<(usize, u64), SrtpError> {
        let mut copy = [0; TRIAL_BYTES_MAX];
        let copy = copy.get_mut(..packet.len()).ok_or(SrtpError::NoRoom)?;
        copy.copy_from_slice(packet);
        for rollovers in 0..=ROLLOVERS_MAX {
            let index = rollovers << 16 | first;
            match self.ciphers.rtp.open_rtp(packet, start, (ssrc, index)) {
                Ok(len) => return Ok((len, index)),
                Err(SrtpError::NotAuthentic) => packet.copy_from_slice(copy),
                Err(error) => return Err(error),
            }
        }
        self.searches -= 1;
        Err(SrtpError::NotAuthentic)
    }

    /// The same for RTCP.
    ///
    /// # Errors
    /// See [`SrtpError`]. The packet is then of no more use.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let cipher = &self.ciphers.rtcp;
        let index = cipher.rtcp_index(packet)?;
        let mut stream = self.rtcp.of(ssrc);
        if !stream.is_new(u64::from(index)) {
            return Err(SrtpError::Replayed);
        }
        let len = cipher.open_rtcp(packet, (ssrc, index))?;
        stream.record(u64::from(index));
        if !self.rtcp.keep(stream) {
            return Err(SrtpError::TooManySources);
        }
        Ok(len)
    }
}

/// The longest packet whose index is tried twice.
const TRIAL_BYTES_MAX: usize = 2_048;
/// A day of packets of 20 ms.
const ROLLOVERS_MAX: u64 = 66;
/// Searches in vain under one key: forged packets must not cost more than that.
const SEARCHES_MAX: u8 = 32;
