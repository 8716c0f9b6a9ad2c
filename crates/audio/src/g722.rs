//! G.722 at 64 kbit/s, ITU-T Recommendation G.722 (09/2012): 16 kHz in two bands, one byte for
//! two samples.
//!
//! Mode 1 alone, which is what RTP carries (RFC 3551 §4.5.2). The arithmetic is that of the
//! Recommendation, so that both band coders agree bit by bit with its digital test sequences. The
//! tables of the filters take samples of 16 bits where the Recommendation has 15: the additional
//! bit only rounds later.

mod band;
mod tables;

use band::{Higher, Lower};
use tables::QMF;

/// Codes samples of 16 kHz.
#[derive(Clone, Debug)]
pub struct G722Encoder {
    lower: Lower,
    higher: Higher,
    /// The last 24 samples, oldest first.
    history: [i32; QMF_TAPS],
    /// A sample that waits for its second.
    odd: Option<i16>,
}

/// Decodes to samples of 16 kHz.
#[derive(Clone, Debug)]
pub struct G722Decoder {
    lower: Lower,
    higher: Higher,
    /// Sum and difference of the bands, the last 12 times, oldest first.
    history: [i32; QMF_TAPS],
}

impl G722Encoder {
    /// At rest.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lower: Lower::new(),
            higher: Higher::new(),
            history: [0; QMF_TAPS],
            odd: None,
        }
    }

    /// Appends a byte for each two samples. An odd sample waits for the next call.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.reserve(samples.len() / 2 + 1);
        let mut samples = samples.iter().copied();
        if let Some(first) = self.odd.take() {
            match samples.next() {
                Some(second) => out.push(self.pair(first, second)),
                None => self.odd = Some(first),
            }
        }
        while let Some(first) = samples.next() {
            match samples.next() {
                Some(second) => out.push(self.pair(first, second)),
                None => self.odd = Some(first),
            }
        }
    }

    fn pair(&mut self, first: i16, second: i16) -> u8 {
        self.history.copy_within(2.., 0);
        self.history[QMF_TAPS - 2] = first.into();
        self.history[QMF_TAPS - 1] = second.into();
        let (odd, even) = filter(&self.history);
        let lower = self.lower.encode(saturate((even + odd) >> 14));
        let higher = self.higher.encode(saturate((even - odd) >> 14));
        higher << 6 | lower
    }
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl G722Decoder {
    /// At rest.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lower: Lower::new(),
            higher: Higher::new(),
            history: [0; QMF_TAPS],
        }
    }

    /// Appends two samples for each byte.
    pub fn decode(&mut self, codes: &[u8], out: &mut Vec<i16>) {
        out.reserve(codes.len() * 2);
        for code in codes {
            let lower = self.lower.decode(code & 0x3f);
            let higher = self.higher.decode(code >> 6);
            self.history.copy_within(2.., 0);
            self.history[QMF_TAPS - 2] = lower + higher;
            self.history[QMF_TAPS - 1] = lower - higher;
            let (odd, even) = filter(&self.history);
            out.push(saturate(even >> 11) as i16);
            out.push(saturate(odd >> 11) as i16);
        }
    }
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The quadrature mirror filter (§3.1, §4.4): sums over the samples of even and of odd place.
fn filter(history: &[i32; QMF_TAPS]) -> (i32, i32) {
    let (mut odd, mut even) = (0, 0);
    for (at, pair) in history.as_chunks::<2>().0.iter().enumerate() {
        odd += pair[0] * QMF[at];
        even += pair[1] * QMF[QMF.len() - 1 - at];
    }
    (odd, even)
}

/// Limits to 16 bits.
fn saturate(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

const QMF_TAPS: usize = 24;

#[cfg(test)]
mod tests;
