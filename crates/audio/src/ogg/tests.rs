//! What is written is read again, from files that broke off anywhere, too.

use ::opus::MSDecoder;
use proptest::prelude::*;

use super::page::{LAST, Page};
use super::{OGG_TAIL_BYTES, OggOpusWriter, ogg_length_ms, ogg_repair};
use crate::{Tone, ToneGenerator};

const RATE_HZ: u32 = 16_000;
const LEFT_HZ: f64 = 440.0;
const RIGHT_HZ: f64 = 1_000.0;

/// A tone left, another right, pushed in pieces of an odd length; with the ends of its pages.
fn file(samples: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = OggOpusWriter::new(RATE_HZ, 7, &mut out).expect("a writer");
    let mut tones =
        [LEFT_HZ, RIGHT_HZ].map(|hz| ToneGenerator::new(&Tone::sine(hz, -10.0), RATE_HZ));
    let mut left = samples;
    while left > 0 {
        let count = left.min(7_919);
        let channels = [0, 1].map(|channel: usize| {
            let mut samples = vec![0; count];
            tones[channel].fill(&mut samples);
            samples
        });
        let pairs = channels[0].iter().zip(&channels[1]);
        let piece: Vec<i16> = pairs.flat_map(|(l, r)| [*l, *r]).collect();
        writer.push(&piece, &mut out).expect("coded");
        left -= count;
    }
    assert_eq!(
        writer.length_ms(),
        samples as u64 * 1_000 / u64::from(RATE_HZ)
    );
    writer.finish(&mut out).expect("coded");
    out
}

/// All pages of a file, which has nothing else in it.
fn pages(mut bytes: &[u8]) -> Vec<Page<'_>> {
    let mut pages = Vec::new();
    while !bytes.is_empty() {
        let page = Page::parse(bytes).expect("a whole page");
        bytes = &bytes[page.bytes()..];
        pages.push(page);
    }
    pages
}

/// The packets of pages whose packets end in them.
fn packets<'a>(pages: &[Page<'a>]) -> Vec<&'a [u8]> {
    let mut packets = Vec::new();
    for page in pages {
        let (mut rest, mut len) = (page.body, 0);
        for value in page.lacing {
            len += usize::from(*value);
            if *value < 255 {
                let (packet, after) = rest.split_at(len);
                packets.push(packet);
                (rest, len) = (after, 0);
            }
        }
        assert!(rest.is_empty());
    }
    packets
}

/// Both channels as a decoder plays them, at 48 kHz.
fn play(bytes: &[u8]) -> [Vec<i16>; 2] {
    let pages = pages(bytes);
    let packets = packets(&pages);
    let head = packets[0];
    assert!(head.starts_with(b"OpusHead\x01\x02") && packets[1].starts_with(b"OpusTags"));
    let pre_skip = usize::from(u16::from_le_bytes([head[10], head[11]]));
    let mut decoder = MSDecoder::new(48_000, head[19], head[20], &head[21..23]).expect("a decoder");
    let mut samples = Vec::new();
    for packet in &packets[2..] {
        let mut room = [0; 2 * 5_760];
        let count = decoder.decode(packet, &mut room, false).expect("a packet");
        samples.extend_from_slice(&room[..2 * count]);
    }
    let end = pages.last().expect("pages").head.granule as usize;
    assert!(end <= samples.len() / 2);
    [0, 1].map(|channel| {
        let frames = samples[2 * pre_skip..2 * end].chunks_exact(2);
        frames.map(|frame| frame[channel]).collect()
    })
}

/// The share of a frequency in the energy, by Goertzel's algorithm.
fn share(samples: &[i16], frequency_hz: f64) -> f64 {
    let coefficient = 2.0 * (std::f64::consts::TAU * frequency_hz / 48_000.0).cos();
    let (mut last, mut before, mut energy) = (0.0, 0.0, 1.0);
    for sample in samples.iter().map(|s| f64::from(*s)) {
        (last, before) = (sample + coefficient * last - before, last);
        energy += sample * sample;
    }
    let power = last * last + before * before - coefficient * last * before;
    power / (energy * samples.len() as f64 / 2.0)
}

#[test]
fn each_channel_has_its_own_tone_and_nothing_of_the_other() {
    let [left, right] = play(&file(33_333));
    // 33,333 samples of 16 kHz are 99,999 of 48 kHz.
    assert_eq!([left.len(), right.len()], [99_999; 2]);
    // After a fifth of a second, in which the coder learns the tone.
    for (samples, own_hz, other_hz) in [(&left, LEFT_HZ, RIGHT_HZ), (&right, RIGHT_HZ, LEFT_HZ)] {
        for tenth in samples[9_600..].chunks_exact(4_800) {
            let shares = [own_hz, other_hz].map(|hz| share(tenth, hz));
            assert!(shares[0] > 0.8 && shares[1] < 0.01, "{shares:?}");
        }
    }
}

#[test]
fn pages_are_numbered_and_the_first_and_the_last_say_so() {
    let bytes = file(50_000);
    let pages = pages(&bytes);
    assert!(pages.len() > 5);
    for (number, page) in (0..).zip(&pages) {
        assert_eq!((page.head.sequence, page.head.serial), (number, 7));
        let is_last = number as usize == pages.len() - 1;
        let expected = [(number == 0) as u8 * 2, is_last as u8 * 4];
        assert_eq!(page.head.flags, expected[0] | expected[1]);
    }
    let granules: Vec<u64> = pages.iter().map(|page| page.head.granule).collect();
    assert_eq!(granules[..2], [0, 0]);
    assert!(granules.is_sorted());
}

#[test]
fn silence_costs_little() {
    let mut out = Vec::new();
    let mut writer = OggOpusWriter::new(8_000, 7, &mut out).expect("a writer");
    writer.push(&[0; 2 * 8_000 * 10], &mut out).expect("coded");
    // 8 kbit/s, of 40.
    assert!(out.len() < 10_000, "{} bytes for ten seconds", out.len());
}

#[test]
fn a_file_without_a_sample_is_a_file() {
    let [left, right] = play(&file(0));
    assert!(left.is_empty() && right.is_empty());
}

/// Applies a repair to a file.
fn repaired(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let from = bytes.len().saturating_sub(OGG_TAIL_BYTES);
    let repair = ogg_repair(&bytes[from..])?;
    bytes.truncate(from + repair.kept_bytes);
    let at = from + repair.page_at;
    bytes[at..at + repair.header.len()].copy_from_slice(&repair.header);
    Some(bytes)
}

#[test]
fn a_file_that_breaks_off_at_any_page_or_beside_it_plays_up_to_there() {
    let bytes = file(40_000);
    let pages = pages(&bytes);
    let ends: Vec<usize> = pages
        .iter()
        .scan(0, |end, page| {
            *end += page.bytes();
            Some(*end)
        })
        .collect();
    let [_, headers, ..] = ends[..] else {
        panic!("no headers");
    };
    let first = [0, 1, 26, 27, 28];
    let around = ends
        .iter()
        .flat_map(|end| [-28, -27, -1, 0, 1, 4, 5, 26, 27, 28].map(|by| *end as i64 + by));
    let around = around.filter_map(|at| usize::try_from(at).ok());
    for cut in first
        .into_iter()
        .chain(around)
        .filter(|cut| *cut <= bytes.len())
    {
        let whole = ends.iter().rev().find(|end| **end <= cut);
        let Some(fixed) = repaired(bytes[..cut].to_vec()) else {
            let sound = whole.is_some_and(|end| *end > headers);
            assert!(!sound, "nothing of a file cut at {cut}");
            continue;
        };
        assert_eq!(Some(&fixed.len()), whole, "cut at {cut}");
        let last = self::pages(&fixed);
        assert_eq!(last.last().expect("pages").head.flags, LAST);
        let [left, _] = play(&fixed);
        let length_ms = ogg_length_ms(&fixed[..100], &fixed);
        assert_eq!(length_ms, Some(left.len() as u64 / 48), "cut at {cut}");
        // A second time nothing changes.
        assert_eq!(repaired(fixed.clone()), Some(fixed));
    }
}

#[test]
fn a_damaged_last_page_is_left_out() {
    let bytes = file(40_000);
    let last = pages(&bytes).pop().expect("pages").bytes();
    let mut damaged = bytes.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    let fixed = repaired(damaged).expect("the pages before");
    assert_eq!(fixed.len(), bytes.len() - last);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, at in 0_usize..2_000, noise: [u8; 9]) {
        let _ = ogg_repair(&bytes);
        let _ = ogg_length_ms(&bytes, &bytes);
        let mut file = file(4_000);
        let at = at % (file.len() - noise.len());
        file[at..at + noise.len()].copy_from_slice(&noise);
        if let Some(repair) = ogg_repair(&file) {
            prop_assert!(repair.kept_bytes <= file.len());
        }
        let _ = ogg_length_ms(&file, &file);
    }
}
