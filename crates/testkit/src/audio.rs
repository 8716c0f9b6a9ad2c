//! Tones: made, written, read back, and recognised.

use std::f64::consts::TAU;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Samples per second of all audio here.
pub(crate) const SAMPLE_RATE_HZ: u32 = 8_000;

/// A sine tone of half the full scale.
#[must_use]
pub fn tone(frequency_hz: f64, duration_s: f64) -> Vec<i16> {
    let count = (duration_s * f64::from(SAMPLE_RATE_HZ)) as u32;
    let step = TAU * frequency_hz / f64::from(SAMPLE_RATE_HZ);
    (0..count)
        .map(|n| ((f64::from(n) * step).sin() * AMPLITUDE) as i16)
        .collect()
}

/// Writes a mono WAV file of 16-bit samples.
///
/// # Errors
/// If the file cannot be written.
pub fn write_wav(path: &Path, samples: &[i16]) -> Result<()> {
    let data_size = u32::try_from(samples.len() * 2).context("too long for a WAV file")?;
    let mut bytes = Vec::with_capacity(44 + samples.len() * 2);
    bytes.extend(b"RIFF");
    bytes.extend((36 + data_size).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes()); // PCM
    bytes.extend(1_u16.to_le_bytes()); // mono
    bytes.extend(SAMPLE_RATE_HZ.to_le_bytes());
    bytes.extend((SAMPLE_RATE_HZ * 2).to_le_bytes()); // bytes per second
    bytes.extend(2_u16.to_le_bytes()); // bytes per frame
    bytes.extend(16_u16.to_le_bytes()); // bits per sample
    bytes.extend(b"data");
    bytes.extend(data_size.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// Writes the samples as raw G.711 A-law, as sipp streams it.
///
/// # Errors
/// If the file cannot be written.
pub fn write_alaw(path: &Path, samples: &[i16]) -> Result<()> {
    let bytes = to_alaw(samples);
    let mut file =
        std::fs::File::create(path).with_context(|| format!("creating {}", path.display()))?;
    file.write_all(&bytes).context("writing audio")
}

/// The samples in G.711 A-law.
#[must_use]
pub fn to_alaw(samples: &[i16]) -> Vec<u8> {
    samples.iter().map(|&sample| alaw(sample)).collect()
}

/// The samples that G.711 A-law stands for.
#[must_use]
pub fn from_alaw(bytes: &[u8]) -> Vec<i16> {
    bytes.iter().map(|&code| linear(code)).collect()
}

/// Reads the samples of a mono 16-bit WAV file, also of one that is still being written: its
/// header then says nothing true about its length.
///
/// # Errors
/// If it cannot be read or is no such file.
pub fn read_wav(path: &Path) -> Result<Vec<i16>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if !bytes.starts_with(b"RIFF") {
        bail!("{} is no WAV file", path.display());
    }
    let Some(at) = bytes.windows(4).position(|window| window == b"data") else {
        return Ok(Vec::new());
    };
    let data = bytes.get(at + 8..).unwrap_or_default();
    Ok(data
        .as_chunks()
        .0
        .iter()
        .map(|&pair| i16::from_le_bytes(pair))
        .collect())
}

/// A stereo Ogg/Opus file as `opusdec` plays it, at 8 kHz, left and right; `opusinfo` has no
/// complaint about it.
///
/// # Errors
/// If there is one, or it cannot be played.
pub fn decode_opus(path: &Path) -> Result<[Vec<i16>; 2]> {
    let checked = Command::new("opusinfo").arg(path).output();
    let checked = checked.context("starting opusinfo")?;
    let said = [checked.stdout, checked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let fine = checked.status.success() && !said.contains("WARNING") && !said.contains("ERROR");
    ensure!(fine, "opusinfo says: {said}");
    let played = Command::new("opusdec")
        .args(["--quiet", "--rate", "8000", "--no-dither"])
        .arg(path)
        .arg("-")
        .output()
        .context("starting opusdec")?;
    ensure!(played.status.success(), "opusdec cannot play it");
    // To its standard output it writes samples without a header.
    let samples = played.stdout.as_chunks().0.iter();
    let samples: Vec<i16> = samples.map(|&pair| i16::from_le_bytes(pair)).collect();
    Ok([0, 1].map(|channel| samples.iter().skip(channel).step_by(2).copied().collect()))
}

/// The frequency most of the power lies at, to 20 Hz; `None` for silence and for
/// sound without one dominant frequency.
#[must_use]
pub fn dominant_frequency_hz(samples: &[i16]) -> Option<u32> {
    let energy: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    if samples.is_empty() || energy / (samples.len() as f64) < SILENCE_POWER {
        return None;
    }
    let (frequency, power) = (LOWEST_HZ..HIGHEST_HZ)
        .step_by(RESOLUTION_HZ)
        .map(|frequency| (frequency, power_at(samples, frequency)))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    // A pure tone has all its energy in one bin: |X|^2 = energy * n / 2.
    let share = power / (energy * samples.len() as f64 / 2.0);
    (share > DOMINANT_SHARE).then_some(frequency)
}

/// The squared magnitude of one frequency, by Goertzel's algorithm.
fn power_at(samples: &[i16], frequency_hz: u32) -> f64 {
    let step = TAU * f64::from(frequency_hz) / f64::from(SAMPLE_RATE_HZ);
    let coefficient = 2.0 * step.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for &sample in samples {
        let next = f64::from(sample) + coefficient * last - before;
        before = last;
        last = next;
    }
    last * last + before * before - coefficient * last * before
}

/// G.711 A-law of a 16-bit sample (ITU-T G.711, table 1a).
fn alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 {
        (0x80, sample >> 3)
    } else {
        (0, !sample >> 3)
    };
    let magnitude = magnitude.unsigned_abs().min(0x0fff);
    let exponent = (16 - magnitude.leading_zeros()).saturating_sub(5) as u16;
    let mantissa = if exponent < 2 {
        magnitude >> 1
    } else {
        magnitude >> exponent
    } & 0x0f;
    (sign | (exponent << 4) | mantissa) as u8 ^ 0x55
}

/// The 16-bit sample of a G.711 A-law code (ITU-T G.711, table 1a).
fn linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (exponent, mantissa) = (code >> 4 & 7, i16::from(code & 0x0f));
    let magnitude = match exponent {
        0 => mantissa << 4 | 8,
        exponent => (mantissa << 4 | 0x108) << (exponent - 1),
    };
    match code & 0x80 {
        0 => -magnitude,
        _ => magnitude,
    }
}

const AMPLITUDE: f64 = 16_000.0;
const LOWEST_HZ: u32 = 200;
const HIGHEST_HZ: u32 = 3_400;
/// Steps between the frequencies looked at; test tones are multiples of it.
const RESOLUTION_HZ: usize = 20;
/// Mean square of samples, below which it is silence.
const SILENCE_POWER: f64 = 200.0 * 200.0;
/// How much of the energy must lie at one frequency.
const DOMINANT_SHARE: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_recognised_and_silence_is_not() {
        assert_eq!(dominant_frequency_hz(&tone(440.0, 0.5)), Some(440));
        assert_eq!(dominant_frequency_hz(&tone(1_000.0, 0.5)), Some(1_000));
        assert_eq!(dominant_frequency_hz(&[0; 4_000]), None);
    }

    #[test]
    fn two_tones_of_equal_power_have_no_dominant_one() {
        let (low, high) = (tone(440.0, 0.5), tone(1_000.0, 0.5));
        let both: Vec<i16> = low.iter().zip(&high).map(|(a, b)| a / 2 + b / 2).collect();
        assert_eq!(dominant_frequency_hz(&both), None);
    }

    #[test]
    fn a_wav_file_reads_back() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("tone.wav");
        let samples = tone(440.0, 0.1);
        write_wav(&path, &samples)?;
        assert_eq!(read_wav(&path)?, samples);
        Ok(())
    }

    #[test]
    fn alaw_of_known_samples() {
        let known = [
            (0, 0xd5),
            (-1, 0x55),
            (1_000, 0xfa),
            (-1_000, 0x7a),
            (32_767, 0xaa),
        ];
        for (sample, code) in known {
            assert_eq!(alaw(sample), code, "{sample}");
            let error = i32::from(linear(code)) - i32::from(sample);
            assert!(
                error.abs() <= 16 + i32::from(sample.unsigned_abs() / 16),
                "{sample}"
            );
        }
    }
}
