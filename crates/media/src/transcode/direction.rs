//! One direction of a transcoded medium: from packets of one side to packets for the other.

use audio::{CodecError, Encoder, Key, KeyEdge, Playout, Pulled, ToneGenerator};
use rtp::{Header, TelephoneEvent};

use super::keys::{Beat, Hold, Keys, Place, Presser};
use super::plan::{DirectionPlan, EventFormat, KeysIn, KeysOut};

/// What comes from one side, made into what the other gets.
#[derive(Debug)]
pub(super) struct Direction {
    plan: DirectionPlan,
    playout: Playout,
    /// The source that is heard.
    ssrc: Option<u32>,
    heard_event: Option<HeardEvent>,
    keys: Keys,
    /// The key that is made as tones now.
    tone: Option<ToneGenerator>,
    encoder: Encoder,
    sender: Sender,
    /// When packet 0 was due; `None` before anything came.
    epoch_us: Option<u64>,
    /// The next packet, counted in packet times.
    tick: u64,
    active: bool,
    samples: Vec<i16>,
    payload: Vec<u8>,
}

/// A key that was pressed by the peer, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pressed {
    pub(super) key: char,
    pub(super) duration_ms: u32,
}

/// What a stream of ours begins with; nobody should be able to guess it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

/// The event that comes in just now, RFC 4733 §2.5.
#[derive(Clone, Copy, Debug)]
struct HeardEvent {
    /// Names it: all its packets have the timestamp of its start.
    timestamp: u32,
    /// `None`: a sign that is no key.
    key: Option<char>,
    duration_ms: u32,
    /// When it was heard first, and last.
    began_us: u64,
    heard_us: u64,
    ended: bool,
}

impl HeardEvent {
    /// How long it was held. What it says of itself is believed as far as it can be: its first packets
    /// may be lost, but not for long.
    fn held_ms(&self, now_us: u64) -> u32 {
        let heard_ms = now_us.saturating_sub(self.began_us) / 1_000;
        let most_ms = u32::try_from(heard_ms).unwrap_or(u32::MAX);
        self.duration_ms.min(most_ms.saturating_add(LOST_MAX_MS))
    }

    fn pressed(&self) -> Option<Pressed> {
        Some(Pressed {
            key: self.key?,
            duration_ms: self.duration_ms,
        })
    }
}

impl Direction {
    pub(super) fn new(plan: DirectionPlan, origin: Origin) -> Result<Self, CodecError> {
        let rate_hz = plan.sample_rate_hz();
        let mut playout = Playout::new(rate_hz, plan.incoming.clone())?;
        if plan.keys_in == KeysIn::Tones {
            playout.listen();
        }
        Ok(Self {
            playout,
            ssrc: None,
            heard_event: None,
            keys: Keys::default(),
            tone: None,
            encoder: Encoder::new(plan.codec, rate_hz, plan.opus)?,
            sender: Sender {
                origin,
                sequence: origin.sequence,
                marker: true,
            },
            epoch_us: None,
            tick: 0,
            active: false,
            samples: Vec::new(),
            payload: Vec::new(),
            plan,
        })
    }

    /// Takes an RTP packet; keys that it ends go to `found`.
    pub(super) fn handle_packet(
        &mut self,
        bytes: &[u8],
        now_us: u64,
        mut found: impl FnMut(Pressed),
    ) {
        let Ok(packet) = rtp::Packet::parse(bytes) else {
            return;
        };
        let header = packet.header;
        if self.ssrc.replace(header.ssrc) != Some(header.ssrc) {
            self.playout.restart();
            // Times of another source say nothing of those of this one.
            self.end_event(now_us, &mut found);
            self.heard_event = None;
        }
        let payload_type = header.payload_type;
        self.playout
            .push(header.sequence, payload_type, packet.payload, now_us);
        if let Some(format) = self.plan.event_format(payload_type) {
            self.handle_event(format, header, packet.payload, now_us, found);
        }
        self.wake(now_us);
    }

    /// Has a key heard by the other side, after those that are.
    pub(super) fn press(&mut self, key: Key, duration_ms: u32, now_us: u64) {
        let press = (Presser::Order, Hold::For { ms: duration_ms });
        self.keys.press(key.event(), KEY_VOLUME_DBM0, press);
        self.wake(now_us);
    }

    /// Makes the packets whose time has come, and hands them to `send`; keys found among the
    /// tones go to `found`.
    pub(super) fn handle_timeout(
        &mut self,
        now_us: u64,
        mut send: impl FnMut(Header, &[u8]),
        mut found: impl FnMut(Pressed),
    ) {
        while let Some(due_us) = self.poll_timeout().filter(|due_us| *due_us <= now_us) {
            if now_us - due_us > BEHIND_MAX_US {
                self.catch_up(now_us);
                continue;
            }
            self.step(due_us, &mut send, &mut found);
            self.tick += 1;
            // A key that is held is waited for, lest nobody notice that its end was lost.
            let holds = self.heard_event.is_some_and(|heard| !heard.ended);
            self.active = !self.playout.is_idle() || !self.keys.is_idle() || holds;
        }
    }

    /// When the next packet is due.
    pub(super) fn poll_timeout(&self) -> Option<u64> {
        let epoch_us = self.epoch_us.filter(|_| self.active)?;
        Some(epoch_us + self.tick * self.packet_us())
    }

    /// Who the stream that leaves is of.
    pub(super) fn ssrc(&self) -> u32 {
        self.sender.origin.ssrc
    }

    /// The delay that is added, beyond the packet's own time.
    #[cfg(test)]
    pub(super) fn delay_ms(&self) -> u32 {
        self.playout.delay_ms()
    }

    /// Makes one packet, or none.
    fn step(
        &mut self,
        due_us: u64,
        send: &mut impl FnMut(Header, &[u8]),
        found: &mut impl FnMut(Pressed),
    ) {
        let rate_hz = self.encoder.sample_rate_hz();
        let count = (rate_hz * self.plan.packet_ms / 1_000) as usize;
        self.samples.clear();
        let pulled = self.playout.pull(count, due_us, &mut self.samples);
        self.listen(found);
        self.expire_event(due_us, found);
        match (self.keys.step(self.plan.packet_ms), self.plan.keys_out) {
            (Some(beat), KeysOut::Events(format)) => self.send_event(beat, format, send),
            (Some(beat), KeysOut::Tones) => {
                self.sound(beat, count);
                self.send_samples(send);
            }
            _ if pulled == Pulled::Nothing || self.hides_tones() => {
                self.sender.marker = true;
            }
            _ => self.send_samples(send),
        }
    }

    fn handle_event(
        &mut self,
        format: EventFormat,
        header: Header,
        payload: &[u8],
        now_us: u64,
        mut found: impl FnMut(Pressed),
    ) {
        let Some(event) = TelephoneEvent::parse(payload) else {
            return;
        };
        let clock_rate_hz = format.clock_rate_hz.max(1);
        let heard_at = self.heard_event.map(|heard| heard.timestamp);
        if heard_at.is_some_and(|at| is_late(header.timestamp, at, clock_rate_hz)) {
            return;
        }
        let duration_ms = u32::from(event.duration) * 1_000 / clock_rate_hz;
        let known = self
            .heard_event
            .filter(|heard| heard.timestamp == header.timestamp);
        if known.is_none() {
            // The end of the one before may have been lost.
            self.end_event(now_us, &mut found);
            if self.plan.keys_out != KeysOut::Told {
                let press = (Presser::Peer, Hold::UntilReleased);
                self.keys.press(event.event, event.volume_dbm0, press);
            }
        }
        let ended = known.is_some_and(|heard| heard.ended);
        let heard = HeardEvent {
            timestamp: header.timestamp,
            key: event.digit(),
            duration_ms,
            began_us: known.map_or(now_us, |heard| heard.began_us),
            heard_us: now_us,
            ended: ended || event.end,
        };
        self.heard_event = Some(heard);
        if event.end && !ended {
            self.keys.release(heard.held_ms(now_us));
            heard.pressed().into_iter().for_each(found);
        }
    }

    /// Ends an event of which nothing more comes.
    fn expire_event(&mut self, now_us: u64, found: &mut impl FnMut(Pressed)) {
        let heard_us = self.heard_event.map(|heard| heard.heard_us);
        if heard_us.is_some_and(|heard_us| now_us.saturating_sub(heard_us) > EVENT_SILENT_US) {
            self.end_event(now_us, found);
        }
    }

    /// Ends the event that comes in, unless it has ended.
    fn end_event(&mut self, now_us: u64, found: &mut impl FnMut(Pressed)) {
        let Some(heard) = self.heard_event.as_mut().filter(|heard| !heard.ended) else {
            return;
        };
        heard.ended = true;
        self.keys.release(heard.held_ms(now_us));
        heard.pressed().into_iter().for_each(found);
    }

    /// Takes the keys that were found in what is played now.
    fn listen(&mut self, found: &mut impl FnMut(Pressed)) {
        // Tones reach the other side as they are, if at all.
        let made = matches!(self.plan.keys_out, KeysOut::Events(_));
        while let Some(edge) = self.playout.poll_key() {
            match edge {
                KeyEdge::Down(key) if made => {
                    let press = (Presser::Peer, Hold::UntilReleased);
                    self.keys.press(key.event(), KEY_VOLUME_DBM0, press);
                }
                KeyEdge::Down(_) => {}
                KeyEdge::Up { key, duration_ms } => {
                    if made {
                        self.keys.release(duration_ms);
                    }
                    let key = key.to_char();
                    found(Pressed { key, duration_ms });
                }
            }
        }
    }

    /// Whether the samples at hand are a key that the other side gets in another form.
    fn hides_tones(&self) -> bool {
        self.plan.keys_out != KeysOut::Tones && self.playout.held_key().is_some()
    }

    /// Puts a key in the place of the samples.
    fn sound(&mut self, beat: Beat, count: usize) {
        let rate_hz = self.encoder.sample_rate_hz();
        self.samples.clear();
        self.samples.resize(count, 0);
        let Some(key) = Key::from_event(beat.event) else {
            return;
        };
        let fresh = || ToneGenerator::new(&key.tone(), rate_hz);
        self.tone.get_or_insert_with(fresh).fill(&mut self.samples);
        if beat.place == Place::Last {
            self.tone = None;
        }
    }

    fn send_samples(&mut self, send: &mut impl FnMut(Header, &[u8])) {
        self.payload.clear();
        if self
            .encoder
            .encode(&self.samples, &mut self.payload)
            .is_err()
        {
            // Packet times are those that the codec has.
            return;
        }
        let timestamp = self.timestamp(self.tick, self.plan.codec.clock_rate_hz());
        let header = self.sender.header(self.plan.payload_type, timestamp);
        send(header, &self.payload);
    }

    /// RFC 4733 §2.5.1: the timestamp is that of the beginning, the duration grows, and the end
    /// is sent three times.
    fn send_event(
        &mut self,
        beat: Beat,
        format: EventFormat,
        send: &mut impl FnMut(Header, &[u8]),
    ) {
        let packets = u64::from(beat.elapsed_ms / self.plan.packet_ms).saturating_sub(1);
        let timestamp = self.timestamp(self.tick.saturating_sub(packets), format.clock_rate_hz);
        let duration = u64::from(beat.elapsed_ms) * u64::from(format.clock_rate_hz) / 1_000;
        let event = TelephoneEvent {
            event: beat.event,
            end: beat.place == Place::Last,
            volume_dbm0: beat.volume_dbm0,
            duration: u16::try_from(duration).unwrap_or(u16::MAX),
        };
        if packets == 0 {
            self.sender.marker = true;
        }
        let times = if event.end { 3 } else { 1 };
        for _ in 0..times {
            let header = self.sender.header(format.payload_type, timestamp);
            send(header, &event.encode());
        }
        if event.end {
            self.sender.marker = true;
        }
    }

    /// Of a packet, in units of a clock. Derived from the count, it cannot drift.
    fn timestamp(&self, tick: u64, clock_rate_hz: u32) -> u32 {
        let per_packet = u64::from(clock_rate_hz) * u64::from(self.plan.packet_ms) / 1_000;
        let passed = tick.wrapping_mul(per_packet) as u32;
        self.sender.origin.timestamp.wrapping_add(passed)
    }

    /// Begins to make packets, in the rhythm of before.
    fn wake(&mut self, now_us: u64) {
        if self.active {
            return;
        }
        self.active = true;
        self.epoch_us.get_or_insert(now_us);
        self.catch_up(now_us);
    }

    /// Leaves out the packets whose time has passed.
    fn catch_up(&mut self, now_us: u64) {
        let passed_us = now_us.saturating_sub(self.epoch_us.unwrap_or(now_us));
        let next = passed_us.div_ceil(self.packet_us());
        if next > self.tick {
            self.sender.marker = true;
            self.tick = next;
        }
    }

    fn packet_us(&self) -> u64 {
        u64::from(self.plan.packet_ms) * 1_000
    }
}

/// Whether a packet is of an event before the one that began at `heard_at`: it was overtaken on its way.
/// Times go round; a step back of more than [`LATE_MAX_S`] is a source that has begun anew.
fn is_late(timestamp: u32, heard_at: u32, clock_rate_hz: u32) -> bool {
    let behind = heard_at.wrapping_sub(timestamp);
    behind > 0 && behind <= clock_rate_hz.saturating_mul(LATE_MAX_S)
}

/// The stream that leaves.
#[derive(Debug)]
struct Sender {
    origin: Origin,
    sequence: u16,
    /// Whether the next packet begins a talk spurt.
    marker: bool,
}

impl Sender {
    fn header(&mut self, payload_type: u8, timestamp: u32) -> Header {
        let header = Header {
            marker: std::mem::take(&mut self.marker),
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.origin.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        header
    }
}

/// A worker that was away for longer leaves out what it missed.
const BEHIND_MAX_US: u64 = 200_000;
/// An event of which nothing more comes for so long is over: its ends were lost.
const EVENT_SILENT_US: u64 = 200_000;
/// How much of an event may be lost before its first packet comes.
const LOST_MAX_MS: u32 = 500;
/// How old a packet of an event that has passed may be, in seconds of its source's time.
const LATE_MAX_S: u32 = 10;
/// Of keys that come without a loudness.
const KEY_VOLUME_DBM0: u8 = 10;
