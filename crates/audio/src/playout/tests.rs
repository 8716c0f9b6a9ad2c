use super::*;
use crate::{Encoder, OpusOptions, Tone, ToneGenerator};

/// A phone that sends 20 ms packets of a tone.
struct Sender {
    tone: ToneGenerator,
    encoder: Encoder,
    sequence: u16,
}

impl Sender {
    fn new(codec: Codec) -> Self {
        let rate_hz = codec.sample_rate_hz();
        Self {
            tone: ToneGenerator::new(&Tone::sine(440.0, -10.0), rate_hz),
            encoder: Encoder::new(codec, rate_hz, OpusOptions::default()).expect("an encoder"),
            sequence: 65_000,
        }
    }

    fn packet(&mut self) -> (u16, Vec<u8>) {
        let mut frame = vec![0; self.encoder.sample_rate_hz() as usize / 50];
        self.tone.fill(&mut frame);
        let mut payload = Vec::new();
        self.encoder.encode(&frame, &mut payload).expect("20 ms");
        self.sequence = self.sequence.wrapping_add(1);
        (self.sequence, payload)
    }
}

fn playout(codec: Codec) -> Playout {
    Playout::new(
        8_000,
        vec![(8, Incoming::Codec(codec)), (13, Incoming::Noise)],
    )
    .expect("8 kHz")
}

/// Sends packet `n` at `arrival_us(n)`, if it arrives at all, and pulls 20 ms every 20 ms; what
/// was heard.
fn run(
    playout: &mut Playout,
    codec: Codec,
    packets: u64,
    arrival_us: impl Fn(u64) -> Option<u64>,
) -> Vec<i16> {
    let mut sender = Sender::new(codec);
    let mut under_way: Vec<(u64, u16, Vec<u8>)> = Vec::new();
    let mut heard = Vec::new();
    let mut sent = 0;
    for tick in 0..packets {
        let now_us = tick * 20_000 + 7_000;
        while sent < packets && sent * 20_000 <= now_us + 1_500_000 {
            let (sequence, payload) = sender.packet();
            if let Some(at) = arrival_us(sent) {
                under_way.push((at, sequence, payload));
            }
            sent += 1;
        }
        under_way.sort_by_key(|(at, ..)| *at);
        let arrived = under_way.partition_point(|(at, ..)| *at <= now_us);
        for (at, sequence, payload) in under_way.drain(..arrived) {
            playout.push(sequence, 8, &payload, at);
        }
        playout.pull(160, now_us, &mut heard);
    }
    heard
}

/// The share of 20 ms pieces whose loudness is that of the tone.
fn loud_share(samples: &[i16]) -> f64 {
    let pieces = samples.chunks_exact(160);
    let count = pieces.len() as f64;
    let energy = |piece: &[i16]| piece.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let loud = pieces.filter(|piece| energy(piece) / 160.0 > 3_000_f64.powi(2));
    loud.count() as f64 / count
}

fn noise(n: u64) -> u64 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n << 7)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

#[test]
fn a_steady_stream_is_played_whole_with_little_delay() {
    for codec in Codec::ALL {
        let mut playout = playout(codec);
        let heard = run(&mut playout, codec, 500, |n| Some(n * 20_000));
        assert!(heard.len() >= 498 * 160, "{codec:?}");
        assert!(loud_share(&heard) > 0.99, "{codec:?}");
        assert!(
            playout.delay_ms() <= 40,
            "{codec:?}: {}",
            playout.delay_ms()
        );
        let figures = playout.figures();
        assert_eq!((figures.underruns, figures.concealed_packets), (0, 0));
    }
}

#[test]
fn loss_and_jitter_are_hidden() {
    for codec in Codec::ALL {
        let mut playout = playout(codec);
        let heard = run(&mut playout, codec, 3_000, |n| {
            let lost = noise(n) % 100 < 5;
            (!lost).then(|| n * 20_000 + noise(n + 77) % 30_000)
        });
        assert!(heard.len() >= 2_990 * 160, "{codec:?}: {}", heard.len());
        let loud = loud_share(&heard);
        // libopus fades what it makes up sooner than we do.
        let wanted = if codec == Codec::Opus { 0.85 } else { 0.96 };
        assert!(loud > wanted, "{codec:?}: {loud}");
        assert!(
            playout.delay_ms() <= 100,
            "{codec:?}: {}",
            playout.delay_ms()
        );
        let figures = playout.figures();
        assert!(figures.concealed_packets > 100, "{codec:?}: {figures:?}");
        assert!(figures.underruns < 60, "{codec:?}: {figures:?}");
    }
}

#[test]
fn a_clock_that_runs_fast_or_slow_is_followed_for_an_hour() {
    for skew_ppm in [-200_i64, 200] {
        let mut playout = playout(Codec::Pcma);
        let packets = 3_600 * 50;
        let heard = run(&mut playout, Codec::Pcma, packets, |n| {
            Some((n as i64 * 20_000 * (1_000_000 - skew_ppm) / 1_000_000) as u64)
        });
        // A fast sender has said all 720 ms before the hour is over.
        assert!(heard.len() as u64 >= (packets - 36) * 160, "{skew_ppm}");
        let loud = loud_share(&heard);
        assert!(loud > 0.999, "{skew_ppm}: {loud} {:?}", playout.figures());
        let delay_ms = playout.delay_ms();
        assert!(
            delay_ms <= 60,
            "{skew_ppm}: {delay_ms} {:?}",
            playout.figures()
        );
        let figures = playout.figures();
        let changes = figures.shortened + figures.underruns;
        // 720 ms in pieces of a pitch period or a packet.
        assert!((10..200).contains(&changes), "{skew_ppm}: {figures:?}");
    }
}

#[test]
fn silence_ends_and_speech_begins_again() {
    let mut playout = playout(Codec::Pcma);
    let mut sender = Sender::new(Codec::Pcma);
    let (mut heard, mut silent) = (Vec::new(), 0);
    for tick in 0..200_u64 {
        let now_us = tick * 20_000;
        let (sequence, payload) = sender.packet();
        if !(50..100).contains(&tick) {
            playout.push(sequence, 8, &payload, now_us);
        }
        if playout.pull(160, now_us, &mut heard) == Pulled::Nothing {
            silent += 1;
        }
    }
    assert!((40..=48).contains(&silent), "{silent}");
    assert!(playout.delay_ms() <= 40);
}

#[test]
fn described_silence_is_heard_as_noise() {
    let mut playout = playout(Codec::Pcma);
    let mut heard = Vec::new();
    playout.push(1, 13, &[40], 0);
    for tick in 1..100 {
        heard.clear();
        let pulled = playout.pull(160, tick * 20_000, &mut heard);
        assert_eq!(pulled, Pulled::Samples, "{tick}");
    }
    let [level] = ComfortNoise::describe(&heard);
    assert!(level.abs_diff(40) < 3, "{level}");
}

#[test]
fn a_burst_after_a_pause_is_cut_short() {
    let mut playout = playout(Codec::Pcma);
    let mut sender = Sender::new(Codec::Pcma);
    for _ in 0..60 {
        let (sequence, payload) = sender.packet();
        playout.push(sequence, 8, &payload, 1_000_000);
    }
    let mut heard = Vec::new();
    playout.pull(160, 1_020_000, &mut heard);
    assert!(playout.delay_ms() <= 200, "{}", playout.delay_ms());
}

use crate::ComfortNoise;
