//! G.711, ITU-T Recommendation G.711: 8 kHz, one byte per sample, A-law or u-law.
//!
//! Both directions are tables made at compile time. A sample on the border of two intervals goes
//! to the one nearer to zero.

/// A sample of a u-law byte.
#[must_use]
#[inline]
pub fn ulaw_decode(code: u8) -> i16 {
    ULAW_SAMPLES[usize::from(code)]
}

/// The u-law byte of a sample; u-law resolves the upper 14 bits.
#[must_use]
#[inline]
pub fn ulaw_encode(sample: i16) -> u8 {
    ULAW_CODES[usize::from(sample as u16 >> 2)]
}

/// A sample of an A-law byte.
#[must_use]
#[inline]
pub fn alaw_decode(code: u8) -> i16 {
    ALAW_SAMPLES[usize::from(code)]
}

/// The A-law byte of a sample; A-law resolves the upper 12 bits and the sign.
#[must_use]
#[inline]
pub fn alaw_encode(sample: i16) -> u8 {
    ALAW_CODES[usize::from(sample as u16 >> 3)]
}

/// The u-law byte of silence.
pub const ULAW_SILENCE: u8 = 0xff;
/// The A-law byte of silence.
pub const ALAW_SILENCE: u8 = 0xd5;

static ULAW_SAMPLES: [i16; 256] = {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = ulaw_sample(code as u8);
        code += 1;
    }
    samples
};

static ALAW_SAMPLES: [i16; 256] = {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = alaw_sample(code as u8);
        code += 1;
    }
    samples
};

static ULAW_CODES: [u8; 1 << 14] = {
    let mut codes = [0; 1 << 14];
    let mut at = 0;
    while at < codes.len() {
        codes[at] = ulaw_code((at << 2) as u16 as i16);
        at += 1;
    }
    codes
};

static ALAW_CODES: [u8; 1 << 13] = {
    let mut codes = [0; 1 << 13];
    let mut at = 0;
    while at < codes.len() {
        codes[at] = alaw_code((at << 3) as u16 as i16);
        at += 1;
    }
    codes
};

/// Table 2b of the Recommendation, in units of a quarter of its scale.
const fn ulaw_sample(code: u8) -> i16 {
    let code = !code;
    let segment = (code >> 4) & 7;
    let step = (code & 0x0f) as i16;
    let magnitude = (((step << 1) + ULAW_BIAS) << segment) - ULAW_BIAS;
    let magnitude = magnitude << 2;
    if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

const fn ulaw_code(sample: i16) -> u8 {
    let (sign, magnitude) = split(sample);
    let biased = (magnitude >> 2) + ULAW_BIAS;
    let biased = if biased > ULAW_MAX { ULAW_MAX } else { biased };
    // Segment 0 begins at 2^5.
    let segment = 10 - biased.leading_zeros() as i16;
    let step = (biased >> (segment + 1)) & 0x0f;
    !(sign | (segment << 4 | step) as u8)
}

/// Table 1b of the Recommendation, in units of an eighth of its scale.
const fn alaw_sample(code: u8) -> i16 {
    let code = code ^ ALAW_EVEN_BITS;
    let segment = (code >> 4) & 7;
    let step = (code & 0x0f) as i16;
    // The middle of the interval.
    let magnitude = match segment {
        0 => (step << 1) + 1,
        _ => ((step << 1) + 33) << (segment - 1),
    };
    let magnitude = magnitude << 3;
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

const fn alaw_code(sample: i16) -> u8 {
    let (sign, magnitude) = split(sample);
    let magnitude = magnitude >> 4;
    let (segment, step) = if magnitude < 32 {
        // Segments 0 and 1 have steps of one size.
        (magnitude >> 4, magnitude & 0x0f)
    } else {
        let segment = 12 - magnitude.leading_zeros() as i16;
        (segment, (magnitude >> (segment - 1)) & 0x0f)
    };
    let sign = sign ^ 0x80;
    (sign | (segment << 4 | step) as u8) ^ ALAW_EVEN_BITS
}

/// The sign in bit 7, and the magnitude as ones' complement: the intervals of both signs mirror
/// each other.
const fn split(sample: i16) -> (u8, i16) {
    if sample < 0 {
        (0x80, !sample)
    } else {
        (0, sample)
    }
}

/// What makes the borders of the segments powers of two.
const ULAW_BIAS: i16 = 33;
/// The top of the last segment.
const ULAW_MAX: i16 = 0x1fff;
/// Inverted on the line (§3.2 of the Recommendation).
const ALAW_EVEN_BITS: u8 = 0x55;

#[cfg(test)]
mod tests;
