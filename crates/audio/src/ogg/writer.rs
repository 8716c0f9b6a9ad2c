//! Samples to pages.

use ::opus::{Application, Bitrate, MSEncoder, Signal};

use super::GRANULES_HZ;
use super::page::{FIRST, Head, LAST, SEGMENTS_MAX, lacing};
use crate::codec::CodecError;

/// Writes a file from its beginning; the bytes go to buffers of the caller.
#[derive(Debug)]
pub struct OggOpusWriter {
    encoder: MSEncoder,
    sample_rate_hz: u32,
    head: Head,
    /// Samples that wait for the rest of their frame, left and right in turn.
    waiting: Vec<i16>,
    /// Of the page that is being made.
    lacing: Vec<u8>,
    body: Vec<u8>,
    /// What the decoder makes before it comes to the first sample, in granules.
    pre_skip: u16,
    /// Samples of each channel so far.
    frames: u64,
}

impl OggOpusWriter {
    /// A file of two channels at `sample_rate_hz`, which is 8,000, 16,000 or 48,000; its header is
    /// appended to `out`. `serial` tells streams apart that are put into one file; any will do.
    ///
    /// # Errors
    /// [`CodecError::SampleRate`], or [`CodecError::Unavailable`] without memory.
    pub fn new(sample_rate_hz: u32, serial: u32, out: &mut Vec<u8>) -> Result<Self, CodecError> {
        if ![8_000, 16_000, 48_000].contains(&sample_rate_hz) {
            return Err(CodecError::SampleRate);
        }
        let mut encoder = encoder(sample_rate_hz).map_err(|_| CodecError::Unavailable)?;
        let lookahead = encoder.get_lookahead().unwrap_or(0).unsigned_abs();
        let pre_skip = u64::from(lookahead) * GRANULES_HZ / u64::from(sample_rate_hz);
        let mut writer = Self {
            encoder,
            sample_rate_hz,
            head: Head {
                flags: FIRST,
                granule: 0,
                serial,
                sequence: 0,
            },
            waiting: Vec::new(),
            lacing: Vec::new(),
            body: Vec::new(),
            pre_skip: pre_skip as u16,
            frames: 0,
        };
        let head = writer.identification();
        writer.put_packet(&head, out);
        writer.turn_page(0, out);
        writer.put_packet(TAGS, out);
        writer.turn_page(0, out);
        Ok(writer)
    }

    /// Appends samples, left and right in turn. All that fill a frame are in whole pages
    /// afterwards; less than 20 ms wait for the next.
    ///
    /// # Errors
    /// [`CodecError::FrameLength`] if libopus refuses what it promised to take.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.frames += samples.len() as u64 / 2;
        self.waiting.extend_from_slice(samples);
        let frame = self.frame_samples();
        let mut waiting = std::mem::take(&mut self.waiting);
        let whole = waiting.len() - waiting.len() % frame;
        for samples in waiting[..whole].chunks_exact(frame) {
            self.code(samples, out)?;
        }
        waiting.drain(..whole);
        self.waiting = waiting;
        if !self.lacing.is_empty() {
            self.turn_page(0, out);
        }
        Ok(())
    }

    /// Ends the file: the decoder plays as many samples as were pushed.
    ///
    /// # Errors
    /// As [`OggOpusWriter::push`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let granules = self.frames * GRANULES_HZ / u64::from(self.sample_rate_hz);
        let end = u64::from(self.pre_skip) + granules;
        // The last packets are silence in part; where the sound ends, the last page says.
        while self.head.granule < end {
            let mut samples = std::mem::take(&mut self.waiting);
            samples.resize(self.frame_samples(), 0);
            self.code(&samples, out)?;
        }
        self.head.granule = end;
        self.turn_page(LAST, out);
        Ok(())
    }

    /// How long the sound is so far, in milliseconds.
    #[must_use]
    pub const fn length_ms(&self) -> u64 {
        self.frames * 1_000 / self.sample_rate_hz as u64
    }

    fn code(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut packet = [0; PACKET_MAX_BYTES];
        let coded = self.encoder.encode(samples, &mut packet);
        let bytes = coded.map_err(|_| CodecError::FrameLength)?;
        self.put_packet(&packet[..bytes], out);
        self.head.granule += GRANULES_HZ * FRAME_MS / 1_000;
        Ok(())
    }

    /// Adds a packet to the page, or to a new one if it is full.
    fn put_packet(&mut self, packet: &[u8], out: &mut Vec<u8>) {
        if self.lacing.len() + lacing(packet.len()).count() > SEGMENTS_MAX {
            self.turn_page(0, out);
        }
        self.lacing.extend(lacing(packet.len()));
        self.body.extend_from_slice(packet);
    }

    fn turn_page(&mut self, flags: u8, out: &mut Vec<u8>) {
        self.head.flags |= flags;
        self.head.write(&self.lacing, &self.body, out);
        self.head.sequence += 1;
        self.head.flags = 0;
        self.lacing.clear();
        self.body.clear();
    }

    /// RFC 7845 §5.1: two streams, none of them a stereo pair, for left and right.
    fn identification(&self) -> Vec<u8> {
        let mut head = b"OpusHead\x01\x02".to_vec();
        head.extend(self.pre_skip.to_le_bytes());
        head.extend(self.sample_rate_hz.to_le_bytes());
        // No gain, mapping family 1, 2 streams, 0 pairs.
        head.extend([0, 0, 1, 2, 0]);
        head.extend(MAPPING);
        head
    }

    /// Samples of both channels in a frame.
    const fn frame_samples(&self) -> usize {
        2 * (self.sample_rate_hz as usize * FRAME_MS as usize / 1_000)
    }
}

fn encoder(sample_rate_hz: u32) -> Result<MSEncoder, ::opus::Error> {
    let mut encoder = MSEncoder::new(sample_rate_hz, 2, 0, &MAPPING, Application::Voip)?;
    encoder.set_bitrate(Bitrate::Bits(BITRATE_BPS))?;
    encoder.set_complexity(COMPLEXITY)?;
    encoder.set_signal(Signal::Voice)?;
    // Without pauses in transmission: a steady tone would be taken for noise, and be one then.
    encoder.set_dtx(false)?;
    Ok(encoder)
}

/// Which stream is left, which right.
const MAPPING: [u8; 2] = [0, 1];
/// RFC 7845 §5.2: who made it, and no comments.
const TAGS: &[u8] = b"OpusTags\x06\0\0\0tandem\0\0\0\0";
const FRAME_MS: u64 = 20;
/// Of both voices while both speak: transparent for speech.
const BITRATE_BPS: i32 = 40_000;
/// As for calls.
const COMPLEXITY: i32 = 5;
/// Two streams of RFC 6716 §3.4, one of them with its length.
const PACKET_MAX_BYTES: usize = 2 * 1_275 + 2;
