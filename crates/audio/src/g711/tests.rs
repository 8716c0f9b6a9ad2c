use super::*;

/// Tables 5 and 6 of the Recommendation: these eight bytes, repeated, are 1 kHz at 0 dBm0.
const ULAW_1_KHZ: [u8; 8] = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];
const ALAW_1_KHZ: [u8; 8] = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4];

/// Peak of a sine of 0 dBm0, on a scale that 3.14 dBm0 (A-law) and 3.17 dBm0 (u-law) fill.
fn peak_0_dbm0(full_dbm0: f64, full: f64) -> f64 {
    full * 10_f64.powf(-full_dbm0 / 20.0)
}

#[test]
fn the_digital_milliwatt_of_the_recommendation_is_1_khz_at_0_dbm0() {
    let laws = [
        (
            ULAW_1_KHZ,
            ulaw_decode as fn(u8) -> i16,
            peak_0_dbm0(3.17, 32_636.0),
        ),
        (
            ALAW_1_KHZ,
            alaw_decode as fn(u8) -> i16,
            peak_0_dbm0(crate::tone::FULL_SCALE_DBM0, 32_768.0),
        ),
    ];
    for (codes, decode, peak) in laws {
        let samples = codes.map(decode);
        let power: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 8.0;
        let level_db = 10.0 * (power / (peak * peak / 2.0)).log10();
        assert!(level_db.abs() < 0.1, "{level_db} dB");
        for (at, sample) in samples.iter().enumerate() {
            assert_eq!(*sample, -samples[(at + 4) % 8], "half a period later");
        }
    }
    assert_eq!(ULAW_1_KHZ.map(ulaw_decode).map(ulaw_encode), ULAW_1_KHZ);
    assert_eq!(ALAW_1_KHZ.map(alaw_decode).map(alaw_encode), ALAW_1_KHZ);
}

/// The checksums are of the tables that Python's `audioop` gives, little-endian.
#[test]
fn decodes_as_an_independent_implementation_does() {
    let checksum = |decode: fn(u8) -> i16| {
        let bytes: Vec<u8> = (0..=255)
            .flat_map(|code| decode(code).to_le_bytes())
            .collect();
        crc32fast::hash(&bytes)
    };
    assert_eq!(checksum(ulaw_decode), 0x0c84_7a9f);
    assert_eq!(checksum(alaw_decode), 0x9d76_4657);
}

#[test]
fn each_sample_comes_back_to_within_half_a_step_and_in_order() {
    let laws = [
        (ulaw_encode as fn(i16) -> u8, ulaw_decode as fn(u8) -> i16),
        (alaw_encode, alaw_decode),
    ];
    for (encode, decode) in laws {
        let mut levels: Vec<i32> = (0..=255).map(|code| decode(code).into()).collect();
        levels.sort_unstable();
        let mut before = i32::MIN;
        for sample in i16::MIN..=i16::MAX {
            let level = i32::from(decode(encode(sample)));
            assert!(level >= before, "{sample} falls below the one before");
            before = level;
            let at = levels.partition_point(|other| *other < level);
            let step = |other: usize| levels.get(other).map_or(0, |l| (l - level).abs());
            // Wider at the ends, where there is no next level, than the step within.
            let half_step = step(at + 1).max(step(at.wrapping_sub(1))) / 2;
            let error = (level - i32::from(sample)).abs();
            let clipped = level.abs() == levels[255];
            assert!(
                error <= half_step || clipped && error < 700,
                "{sample}: {error}"
            );
        }
    }
}

#[test]
fn every_code_comes_back() {
    for code in 0..=255 {
        assert_eq!(alaw_encode(alaw_decode(code)), code);
        // Two codes of u-law stand for zero.
        let same = ulaw_encode(ulaw_decode(code));
        assert_eq!(same, if code == 0x7f { 0xff } else { code });
    }
    assert_eq!(ulaw_decode(ULAW_SILENCE), 0);
    assert_eq!(alaw_decode(ALAW_SILENCE), 8);
}
