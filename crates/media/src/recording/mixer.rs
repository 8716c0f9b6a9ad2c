//! Two RTP streams to one stereo signal on one clock.
//!
//! A packet stands where its timestamp says, counted from an anchor: the arrival of the first.
//! Clocks of senders are not ours, so the anchor is moved to where packets arrive on the average: by
//! a sample in [`STRETCH`] while somebody is heard, which is followed by any clock and heard by nobody,
//! and faster in pauses. So it is never more than [`SKEW_MS`] off for long, however long the call.

use std::collections::VecDeque;

/// The mixer of one recording. Channel 0 is left.
#[derive(Debug)]
pub(super) struct Mixer {
    sample_rate_hz: u32,
    /// The time of sample 0.
    start_us: u64,
    tracks: [Track; 2],
    /// Samples that may still change, from sample `first` on.
    window: VecDeque<[i16; 2]>,
    first: i64,
}

/// One packet, decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) channel: usize,
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    /// Of the timestamp.
    pub(super) clock_rate_hz: u32,
    pub(super) arrival_us: u64,
    /// At the rate of the mixer.
    pub(super) samples: &'a [i16],
}

/// One side.
#[derive(Debug, Default)]
struct Track {
    anchor: Option<Anchor>,
    /// The sample after the last one, and the last one.
    end: i64,
    last: i16,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: u32,
    timestamp: u32,
    position: i64,
    /// How much later than expected packets arrive on the average, in 64ths of a sample.
    skew_q6: i64,
    /// Samples since it was moved, up to [`STRETCH`].
    unmoved: i64,
    /// Whether the last packet was a pause.
    quiet: bool,
}

impl Mixer {
    pub(super) fn new(sample_rate_hz: u32, start_us: u64) -> Self {
        Self {
            sample_rate_hz,
            start_us,
            tracks: Default::default(),
            window: VecDeque::new(),
            first: 0,
        }
    }

    /// Puts a packet in its place. What is too late for the window is left out.
    pub(super) fn push(&mut self, piece: Piece<'_>) {
        let rate_hz = self.sample_rate_hz;
        let arrival = self.position(piece.arrival_us);
        let first = self.first;
        let track = &mut self.tracks[piece.channel];
        let position = track.place(&piece, (arrival, first), rate_hz);
        let gap = position - track.end;
        if (1..=2).contains(&gap) {
            // The anchor was moved: a hole of a sample would click.
            let (end, last) = (track.end, track.last);
            for at in 0..gap {
                self.set(end + at, piece.channel, last);
            }
        }
        for (at, sample) in (position..).zip(piece.samples) {
            self.set(at, piece.channel, *sample);
        }
        let track = &mut self.tracks[piece.channel];
        track.end = position + piece.samples.len() as i64;
        track.last = piece.samples.last().copied().unwrap_or(0);
    }

    /// Takes out what will not change any more at `now_us`, left and right in turn.
    pub(super) fn drain(&mut self, now_us: u64, out: &mut Vec<i16>) {
        let until = self.position(now_us) - self.samples(HOLD_MS);
        self.drain_until(until, out);
    }

    /// Takes out everything up to `now_us`.
    pub(super) fn finish(&mut self, now_us: u64, out: &mut Vec<i16>) {
        // What somebody said may reach beyond, by a packet or several; not always the last one, as
        // another source may have begun further behind.
        let now = self.position(now_us);
        let end = self.first + self.window.len() as i64;
        let end = end.min(now + self.samples(BURST_MS));
        self.drain_until(now.max(end), out);
    }

    fn drain_until(&mut self, until: i64, out: &mut Vec<i16>) {
        while self.first < until {
            let [left, right] = self.window.pop_front().unwrap_or_default();
            out.extend([left, right]);
            self.first += 1;
        }
    }

    fn set(&mut self, position: i64, channel: usize, sample: i16) {
        let Ok(at) = usize::try_from(position - self.first) else {
            return;
        };
        if at as i64 > self.samples(AHEAD_MS) {
            return;
        }
        if at >= self.window.len() {
            self.window.resize(at + 1, [0; 2]);
        }
        self.window[at][channel] = sample;
    }

    fn position(&self, us: u64) -> i64 {
        let us = us.saturating_sub(self.start_us);
        (u128::from(us) * u128::from(self.sample_rate_hz) / 1_000_000) as i64
    }

    fn samples(&self, ms: i64) -> i64 {
        ms * i64::from(self.sample_rate_hz) / 1_000
    }
}

impl Track {
    /// Where a packet's first sample stands, that arrived at `arrival`; `first` is the first place that
    /// is left.
    fn place(&mut self, piece: &Piece<'_>, (arrival, first): (i64, i64), rate_hz: u32) -> i64 {
        let ms = |ms: i64| ms * i64::from(rate_hz) / 1_000;
        let known = self.anchor.as_mut().filter(|a| a.ssrc == piece.ssrc);
        if let Some(anchor) = known {
            let ticks = i64::from(piece.timestamp.wrapping_sub(anchor.timestamp).cast_signed());
            let clock = i64::from(piece.clock_rate_hz.max(1));
            let expected = anchor.position + ticks * i64::from(rate_hz) / clock;
            let late = arrival - expected;
            // What was held up on the way comes all at once, and follows on what came before it:
            // up to a sample, by which clock rates are rounded. Where there is no place left, it
            // follows a pause in which its sender's clock stood still.
            let has_place = late >= -ms(BURST_MS) && expected >= first;
            let follows = expected.abs_diff(self.end) <= 1 && has_place;
            if follows || (-ms(EARLY_MS)..=ms(LATE_MS)).contains(&late) {
                // Far along, the arithmetic starts afresh from here.
                if ticks.abs() > 1 << 30 {
                    anchor.timestamp = piece.timestamp;
                    anchor.position = expected;
                }
                return expected + anchor.follow(late, piece.samples, ms(SKEW_MS));
            }
        }
        // Another source, or its clock has jumped.
        self.anchor = Some(Anchor {
            ssrc: piece.ssrc,
            timestamp: piece.timestamp,
            position: arrival,
            skew_q6: 0,
            unmoved: 0,
            quiet: false,
        });
        arrival
    }
}

impl Anchor {
    /// Moves towards where packets arrive, and says by how much.
    fn follow(&mut self, late: i64, samples: &[i16], tolerance: i64) -> i64 {
        self.skew_q6 += late - self.skew_q6 / 64;
        let quiet = samples.iter().all(|sample| sample.unsigned_abs() <= QUIET);
        let len = samples.len() as i64;
        self.unmoved = STRETCH.min(self.unmoved + len);
        // Moved back, a pause covers the end of the packet before, which has to be one, too.
        let allowed = match quiet && self.quiet {
            true => len / PAUSE_PART,
            false => self.unmoved / STRETCH,
        };
        self.quiet = quiet;
        let skew = self.skew_q6 / 64;
        let step = allowed.min(skew.abs() - tolerance);
        if step <= 0 {
            return 0;
        }
        let step = step * skew.signum();
        self.position += step;
        self.skew_q6 -= step * 64;
        self.unmoved = 0;
        step
    }
}

/// How long samples are held for packets that are late or out of order.
const HOLD_MS: i64 = 1_000;
/// How far ahead of what was drained a packet may stand.
const AHEAD_MS: i64 = 5_000;
/// A packet that seems to come from further ahead or behind has a new clock.
const EARLY_MS: i64 = 200;
const LATE_MS: i64 = 1_000;
/// How far packets that come at once may reach beyond their arrival.
const BURST_MS: i64 = 2_000;
/// How far arrivals may be from expectations before the anchor is moved.
const SKEW_MS: i64 = 10;
/// Samples of voice among which one is left out or put in at most: a thousandth of the pitch. Clocks
/// of phones are off by a fifth of that.
const STRETCH: i64 = 1_000;
/// Which part of a pause may be left out or put in.
const PAUSE_PART: i64 = 4;
/// How loud a pause is at most, 44 dB below the loudest.
const QUIET: u16 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 8_000;
    /// Eight seconds.
    const PACKETS: u32 = 400;

    fn piece(channel: usize, timestamp: u32, arrival_us: u64, samples: &[i16]) -> Piece<'_> {
        Piece {
            channel,
            ssrc: 1,
            timestamp,
            clock_rate_hz: 8_000,
            arrival_us,
            samples,
        }
    }

    fn finish(mixer: &mut Mixer, now_us: u64) -> [Vec<i16>; 2] {
        let mut out = Vec::new();
        mixer.finish(now_us, &mut out);
        split(&out)
    }

    fn split(out: &[i16]) -> [Vec<i16>; 2] {
        [0, 1].map(|channel| out.iter().skip(channel).step_by(2).copied().collect())
    }

    #[test]
    fn both_sides_stand_where_they_were_heard_and_silence_between() {
        let mut mixer = Mixer::new(RATE_HZ, 1_000_000);
        mixer.push(piece(0, 500, 1_000_000, &[5; 160]));
        mixer.push(piece(1, 90_000, 1_060_000, &[7; 160]));
        mixer.push(piece(0, 500 + 480, 1_060_000, &[6; 160]));
        let [left, right] = finish(&mut mixer, 1_080_000);
        assert_eq!((left.len(), right.len()), (640, 640));
        assert_eq!(left[..160], [5; 160]);
        assert_eq!(left[160..480], [0; 320]);
        assert_eq!(left[480..], [6; 160]);
        assert_eq!(right[..480], [0; 480]);
        assert_eq!(right[480..], [7; 160]);
    }

    #[test]
    fn jitter_and_disorder_leave_no_trace() {
        let mut mixer = Mixer::new(RATE_HZ, 0);
        let packet = |i: u32| vec![i as i16 + 1; 160];
        for (i, late_ms) in [(0_u32, 0), (2, 1), (1, 25), (3, 0), (5, 0), (4, 30)] {
            let arrival_us = u64::from(i) * 20_000 + late_ms * 1_000;
            mixer.push(piece(0, i * 160, arrival_us, &packet(i)));
        }
        let [left, _] = finish(&mut mixer, 120_000);
        let expected: Vec<i16> = (0..6).flat_map(packet).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn what_was_held_up_and_comes_at_once_is_kept_whole() {
        let mut mixer = Mixer::new(RATE_HZ, 0);
        let packet = |i: u32| vec![i as i16 + 1_000; 160];
        // Nothing for 0.6 s before the recording, and for 2 s in it.
        let arrivals = (0..30).map(|i| (i, 0));
        let arrivals = arrivals.chain((30..40).map(|i| (i, 20_000 * u64::from(i - 29))));
        let arrivals = arrivals.chain((40..115).map(|i| (i, 2_300_000)));
        for (i, arrival_us) in arrivals {
            mixer.push(piece(0, i * 160, arrival_us, &packet(i)));
        }
        let [left, _] = finish(&mut mixer, 2_320_000);
        for i in 0..115 {
            let said = packet(i)[0];
            let kept = left.iter().filter(|sample| **sample == said).count();
            // The anchor moves by a sample at a time.
            assert!((159..=161).contains(&kept), "{i}: {kept}");
        }
    }

    #[test]
    fn an_hour_with_a_fast_clock_ends_where_the_call_ends() {
        let mut mixer = Mixer::new(RATE_HZ, 0);
        let (mut out, mut total, mut misplaced_ms) = (Vec::new(), 0, 0_i64);
        // 200 ppm fast: a packet comes every 19,996 us, 720 ms earlier after an hour.
        for i in 0..180_000_u32 {
            let arrival_us = u64::from(i) * 19_996;
            mixer.push(piece(0, i.wrapping_mul(160), arrival_us, &[1_000; 160]));
            let off = mixer.tracks[0].end - 160 - mixer.position(arrival_us);
            misplaced_ms = misplaced_ms.max(off.abs() / 8);
            out.clear();
            mixer.drain(arrival_us, &mut out);
            total += out.len() / 2;
        }
        assert!(misplaced_ms <= SKEW_MS + 2, "{misplaced_ms}");
        out.clear();
        mixer.finish(180_000 * 19_996, &mut out);
        total += out.len() / 2;
        let expected = 180_000 * 19_996 / 125;
        assert!((total as i64 - expected).abs() < 160, "{total} {expected}");
    }

    #[test]
    fn a_first_packet_that_was_late_changes_no_pitch_and_the_next_pause_makes_up_for_it() {
        for late_ms in [-150_i64, 150] {
            let mut mixer = Mixer::new(RATE_HZ, 0);
            let mut talk = |packets: std::ops::Range<u32>, sample: i16| {
                for i in packets {
                    let arrival_ms = 400 + i64::from(i) * 20 + if i == 0 { late_ms } else { 0 };
                    let arrival_us = arrival_ms as u64 * 1_000;
                    mixer.push(piece(0, i * 160, arrival_us, &[sample; 160]));
                }
                let due = 8 * (400 + i64::from(PACKETS) * 20);
                (mixer.tracks[0].end, due)
            };
            let (end, _) = talk(0..PACKETS / 2, 7_000);
            let said = 8 * (400 + late_ms) + i64::from(PACKETS / 2) * 160;
            assert!((end - said).abs() <= said / 1_000, "{end} {said}");
            let (end, due) = talk(PACKETS / 2..PACKETS, 0);
            let off_ms = (end - due).abs() / 8;
            assert!(off_ms <= SKEW_MS + 2, "{off_ms} ms off");
        }
    }

    #[test]
    fn another_source_and_a_jump_of_the_clock_start_afresh() {
        let mut mixer = Mixer::new(RATE_HZ, 0);
        mixer.push(piece(0, 0, 0, &[1; 160]));
        mixer.push(piece(0, 4_000_000_000, 20_000, &[2; 160]));
        let other = Piece {
            ssrc: 2,
            ..piece(0, 77, 40_000, &[3; 160])
        };
        mixer.push(other);
        let [left, _] = finish(&mut mixer, 60_000);
        let expected = [[1; 160], [2; 160], [3; 160]].concat();
        assert_eq!(left, expected);
    }

    #[test]
    fn what_stands_ahead_stays_when_another_source_begins_behind_it() {
        let mut mixer = Mixer::new(RATE_HZ, 0);
        // A burst, whose clock then jumps.
        for i in 0..6 {
            mixer.push(piece(0, i * 160, 1_000, &[1; 160]));
        }
        mixer.push(piece(0, 4_000_000_000, 2_000, &[1; 160]));
        let [left, _] = finish(&mut mixer, 3_000);
        assert_eq!(left.iter().filter(|sample| **sample == 1).count(), 960);
    }

    #[test]
    fn nobody_makes_the_window_grow_without_bound() {
        let mut mixer = Mixer::new(RATE_HZ, 0);
        mixer.push(piece(0, 0, u64::MAX / 2, &[1; 160]));
        assert!(mixer.window.len() <= 5 * 8_000 + 1);
    }

    #[test]
    fn silence_is_written_while_nobody_sends() {
        let mut mixer = Mixer::new(RATE_HZ, 0);
        let mut out = Vec::new();
        mixer.drain(3_000_000, &mut out);
        assert_eq!(split(&out)[0], vec![0; 2 * 8_000]);
    }

    #[test]
    fn a_sender_whose_clock_stands_still_in_a_pause_is_heard_after_it() {
        for pause_ms in [1_200_u64, 10_000] {
            let mut mixer = Mixer::new(RATE_HZ, 0);
            let mut out = Vec::new();
            let mut timestamp = 0;
            let mut talk = |mixer: &mut Mixer, from_ms: u64, sample: i16, out: &mut Vec<i16>| {
                for packet in 0..50 {
                    let arrival_us = (from_ms + 20 * packet) * 1_000;
                    mixer.push(piece(0, timestamp, arrival_us, &[sample; 160]));
                    timestamp += 160;
                    mixer.drain(arrival_us, out);
                }
            };
            talk(&mut mixer, 0, 7_000, &mut out);
            // The other side goes on, and time with it.
            let again_ms = 1_000 + pause_ms;
            for at_ms in (1_000..again_ms).step_by(20) {
                mixer.push(piece(1, at_ms as u32 * 8, at_ms * 1_000, &[1; 160]));
                mixer.drain(at_ms * 1_000, &mut out);
            }
            talk(&mut mixer, again_ms, 9_000, &mut out);
            mixer.finish((again_ms + 1_000) * 1_000, &mut out);
            let [left, _] = split(&out);
            let heard = |sample: i16| left.iter().filter(|s| **s == sample).count();
            assert_eq!(
                (heard(7_000), heard(9_000)),
                (8_000, 8_000),
                "{pause_ms} ms"
            );
        }
    }
}
