//! What is played to a browser, as a part of the stream that it hears already.
//!
//! A browser binds a track to the source that a description announces, or else to the first that
//! it hears, and what comes of another is not of the track. So what is played leaves under the
//! name of the source that was heard last, numbered as if that one had gone on; and when the
//! source goes on itself, its numbers go on where those of what was played have ended. To the
//! reports of both sides that is what a translator does (RFC 3550 §7.2).

use rtp::Header;

use super::stage::Leaves;
use super::{Boxes, Channels, Full, Part};
use crate::channel::Channel;
use crate::engine::Side;
use crate::formats::Format;

/// The streams that one side hears.
#[derive(Debug, Default)]
pub(super) struct Splice {
    /// The one that is heard now last. Empty before anything has left.
    streams: Vec<Stream>,
}

/// What is heard of one source.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    speaker: Speaker,
    /// What is added to the numbers of each speaker.
    shifts: [Shift; 2],
    /// Of the packet with the highest number.
    sequence: u16,
    timestamp: u32,
    /// When the first with that timestamp left.
    since_us: u64,
    clock_rate_hz: u32,
}

/// Who speaks in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    /// The source whose name it has.
    Source,
    /// The player.
    Player,
}

/// What is added to numbers, around their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shift {
    sequence: u16,
    timestamp: u32,
}

impl Full {
    /// Gives what leaves for browsers the numbers of the streams that they hear.
    pub(super) fn splice(&mut self, channels: &Channels, now_us: u64, boxes: &mut Boxes) {
        let one_source = [Side::A, Side::B].map(|side| self.hears_one_source(side));
        let channel = &channels[Part::Rtp as usize];
        if one_source == [false; 2] || channel.is_opaque() {
            return;
        }
        for index in 0..boxes.out.len() {
            let leaves = boxes.out.leaves(index);
            let Some((side, part)) = Self::destination(channels, leaves) else {
                continue;
            };
            if !one_source[side as usize] {
                continue;
            }
            let splice = &mut self.splices[side as usize];
            let speaker = match leaves {
                Leaves::To(..) => Speaker::Player,
                _ => Speaker::Source,
            };
            match (part, speaker) {
                (Part::Rtp, _) => {
                    let Ok(header) = Header::parse(boxes.out.bytes(index)) else {
                        continue;
                    };
                    let clock_rate_hz = clock_rate_hz(channel, side, &header);
                    let sent = splice.handle(speaker, &header, clock_rate_hz, now_us);
                    if sent != header {
                        sent.renumber(boxes.out.bytes_mut(index));
                    }
                }
                (Part::Rtcp, Speaker::Source) if splice.has_moved() => {
                    splice.translate_sent(boxes.out.bytes_mut(index));
                }
                // Of our own making, after what has left.
                (Part::Rtcp, _) => {}
            }
        }
    }

    /// What a side reports, about the numbers that the other side has used, in the room for reports
    /// of `boxes`; `None` if it is about those already.
    pub(super) fn translate_heard(
        &self,
        side: Side,
        report: &[u8],
        boxes: &mut Boxes,
    ) -> Option<Vec<u8>> {
        let splice = &self.splices[side as usize];
        if !splice.has_moved() {
            return None;
        }
        let mut translated = std::mem::take(&mut boxes.report);
        translated.clear();
        translated.extend_from_slice(report);
        splice.translate_heard(&mut translated);
        Some(translated)
    }

    /// Whether a side is a browser, as far as can be told: others keep to SDES or to plain RTP, and
    /// hear whatever comes.
    fn hears_one_source(&self, side: Side) -> bool {
        self.shared[side as usize].is_some() || self.ends[side as usize].shakes_hands()
    }
}

impl Splice {
    /// The header that a packet leaves with. `clock_rate_hz` is that of its timestamp, `None` for
    /// one whose timestamp is not of its own time (RFC 4733 §2.5.1.2).
    fn handle(
        &mut self,
        speaker: Speaker,
        header: &Header,
        clock_rate_hz: Option<u32>,
        now_us: u64,
    ) -> Header {
        let known = match speaker {
            Speaker::Source => self.streams.iter().rposition(|s| s.ssrc == header.ssrc),
            Speaker::Player => self.streams.len().checked_sub(1),
        };
        let last = self.streams.len().saturating_sub(1);
        match known {
            Some(at) if at < last => self.streams[at..].rotate_left(1),
            Some(_) => {}
            None => {
                if self.streams.len() == STREAMS_MAX {
                    self.streams.remove(0);
                }
                self.streams.push(Stream::new(speaker, header, now_us));
            }
        }
        let Some(stream) = self.streams.last_mut() else {
            return *header;
        };
        stream.clock_rate_hz = clock_rate_hz.unwrap_or(stream.clock_rate_hz);
        // What is played next may be numbered anew.
        let begins = speaker == Speaker::Player && header.marker && known.is_some();
        if stream.speaker != speaker || begins {
            stream.join(speaker, header, now_us);
        }
        stream.go_on(header, now_us)
    }

    /// Whether any numbers are not those of their source.
    fn has_moved(&self) -> bool {
        let mut streams = self.streams.iter();
        streams.any(|stream| stream.shift_of_source() != Shift::default())
    }

    /// Has a source's report speak of the timestamps that it is heard with.
    fn translate_sent(&self, report: &mut [u8]) {
        for stream in &self.streams {
            let shift = stream.shift_of_source();
            rtp::shift_sent(report, stream.ssrc, shift.timestamp);
        }
    }

    /// Has a report of what is heard speak of the numbers of the source.
    fn translate_heard(&self, report: &mut [u8]) {
        for stream in &self.streams {
            let shift = stream.shift_of_source();
            rtp::shift_heard(report, stream.ssrc, shift.sequence);
        }
    }
}

impl Stream {
    fn new(speaker: Speaker, header: &Header, now_us: u64) -> Self {
        Self {
            ssrc: header.ssrc,
            speaker,
            shifts: [Shift::default(); 2],
            sequence: header.sequence,
            timestamp: header.timestamp,
            since_us: now_us,
            clock_rate_hz: USUAL_RATE_HZ,
        }
    }

    /// Another speaks from this packet on: it follows the last, by as much as time has passed.
    fn join(&mut self, speaker: Speaker, header: &Header, now_us: u64) {
        let rate_hz = u64::from(self.clock_rate_hz);
        let passed_us = now_us.saturating_sub(self.since_us);
        let ticks = u128::from(passed_us) * u128::from(rate_hz) / 1_000_000;
        // What was said last has yet to be heard to its end.
        let ticks = (ticks as u32).max(self.clock_rate_hz / FRAMES_PER_S);
        self.speaker = speaker;
        self.shifts[speaker as usize] = Shift {
            sequence: self.sequence.wrapping_add(1).wrapping_sub(header.sequence),
            timestamp: self
                .timestamp
                .wrapping_add(ticks)
                .wrapping_sub(header.timestamp),
        };
    }

    fn go_on(&mut self, header: &Header, now_us: u64) -> Header {
        let shift = self.shifts[self.speaker as usize];
        let sent = Header {
            ssrc: self.ssrc,
            sequence: header.sequence.wrapping_add(shift.sequence),
            timestamp: header.timestamp.wrapping_add(shift.timestamp),
            ..*header
        };
        let behind = self.sequence.wrapping_sub(sent.sequence);
        // What is far behind is no straggler, but begins anew (RFC 3550 appendix A.1).
        if behind > MISORDER_MAX || behind == 0 {
            self.sequence = sent.sequence;
            if self.timestamp != sent.timestamp {
                self.timestamp = sent.timestamp;
                self.since_us = now_us;
            }
        }
        sent
    }

    fn shift_of_source(&self) -> Shift {
        self.shifts[Speaker::Source as usize]
    }
}

fn clock_rate_hz(channel: &Channel, side: Side, header: &Header) -> Option<u32> {
    match channel.format(side, header.payload_type) {
        Format::Media { clock_rate_hz } => Some(clock_rate_hz).filter(|rate_hz| *rate_hz > 0),
        Format::Event | Format::Unknown => None,
    }
}

/// Streams remembered of a side; the one that was silent longest is forgotten.
const STREAMS_MAX: usize = 8;
/// Nearly everybody's packets hold 20 ms.
const FRAMES_PER_S: u32 = 50;
/// Of telephone audio, before anything else is known.
const USUAL_RATE_HZ: u32 = 8_000;
/// How far behind a packet may come that was overtaken (RFC 3550 appendix A.1).
const MISORDER_MAX: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Option<u32> = Some(8_000);
    const FRAME_US: u64 = 20_000;

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        Header {
            marker: false,
            payload_type: 8,
            sequence,
            timestamp,
            ssrc,
        }
    }

    fn numbers(header: Header) -> (u32, u16, u32) {
        (header.ssrc, header.sequence, header.timestamp)
    }

    /// A source has said three frames, the last with the highest number there is, at 1,040 ms.
    fn heard() -> Splice {
        let mut splice = Splice::default();
        for (i, sequence) in (0..).zip(65_533..=65_535) {
            let said = header(1, sequence, 1_000 + 160 * i);
            let now_us = 1_000_000 + FRAME_US * u64::from(i);
            assert_eq!(splice.handle(Speaker::Source, &said, RATE, now_us), said);
        }
        assert!(!splice.has_moved());
        splice
    }

    /// And then it was played to for two frames, from 1,100 ms on.
    fn played() -> Splice {
        let mut splice = heard();
        for (i, expected) in (0..).zip([(1, 0, 1_800), (1, 1, 1_960)]) {
            let mut music = header(9, 500 + i, 70_000 + 160 * u32::from(i));
            music.marker = i == 0;
            let now_us = 1_100_000 + FRAME_US * u64::from(i);
            let sent = splice.handle(Speaker::Player, &music, RATE, now_us);
            assert_eq!(numbers(sent), expected);
        }
        splice
    }

    #[test]
    fn what_is_played_goes_on_where_the_source_was_and_the_source_where_that_was() {
        let mut splice = played();
        // Two seconds after, as the source itself has it; heard 20 ms after the music.
        let again = header(1, 20_000, 17_320);
        let sent = splice.handle(Speaker::Source, &again, RATE, 1_140_000);
        assert_eq!(numbers(sent), (1, 2, 2_120));
        let next = header(1, 20_001, 17_480);
        let sent = splice.handle(Speaker::Source, &next, RATE, 1_160_000);
        assert_eq!(numbers(sent), (1, 3, 2_280));
        assert!(splice.has_moved());
    }

    #[test]
    fn nothing_follows_sooner_than_a_frame() {
        let mut splice = heard();
        let music = header(9, 7, 7);
        let sent = splice.handle(Speaker::Player, &music, RATE, 1_041_000);
        assert_eq!(numbers(sent), (1, 0, 1_480));
    }

    #[test]
    fn what_is_played_next_goes_on_however_it_is_numbered() {
        let mut splice = played();
        let mut next = header(9, 33_000, 5);
        next.marker = true;
        let sent = splice.handle(Speaker::Player, &next, RATE, 1_140_000);
        assert_eq!(numbers(sent), (1, 2, 2_120));
    }

    #[test]
    fn who_has_heard_nothing_hears_the_player_as_it_is() {
        let mut splice = Splice::default();
        let music = header(9, 7, 7);
        assert_eq!(splice.handle(Speaker::Player, &music, RATE, 1), music);
        let said = header(1, 100, 100);
        assert_eq!(splice.handle(Speaker::Source, &said, RATE, 2), said);
    }

    #[test]
    fn another_source_keeps_its_numbers_and_the_first_those_it_was_given() {
        let mut splice = played();
        let again = header(1, 20_000, 17_320);
        splice.handle(Speaker::Source, &again, RATE, 1_140_000);
        let other = header(2, 5, 5);
        assert_eq!(
            splice.handle(Speaker::Source, &other, RATE, 1_150_000),
            other
        );
        let next = header(1, 20_001, 17_480);
        let sent = splice.handle(Speaker::Source, &next, RATE, 1_160_000);
        assert_eq!(numbers(sent), (1, 3, 2_280));
    }

    #[test]
    fn stragglers_do_not_turn_back_what_begins_anew_does() {
        let mut splice = heard();
        splice.handle(Speaker::Source, &header(1, 65_530, 500), RATE, 1_041_000);
        let sent = splice.handle(Speaker::Player, &header(9, 7, 7), RATE, 1_060_000);
        assert_eq!(numbers(sent), (1, 0, 1_480));
        let mut splice = heard();
        splice.handle(Speaker::Source, &header(1, 3_000, 500), RATE, 1_060_000);
        let sent = splice.handle(Speaker::Player, &header(9, 7, 7), RATE, 1_080_000);
        assert_eq!(numbers(sent), (1, 3_001, 660));
    }

    #[test]
    fn an_event_tells_no_time_but_when_it_began() {
        let mut splice = heard();
        for i in 0..5 {
            let event = header(1, i, 1_480);
            let now_us = 1_060_000 + FRAME_US * u64::from(i);
            splice.handle(Speaker::Source, &event, None, now_us);
        }
        let sent = splice.handle(Speaker::Player, &header(9, 7, 7), RATE, 1_160_000);
        assert_eq!(numbers(sent), (1, 5, 1_480 + 800));
    }
}
