//! What the engine knows of a session.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use super::Side;
use super::bundle::Bundled;
use super::facing::{Facing, Towards};
use super::terms::Wish;
use rtp::Impairment;
use sdp::Media;

use crate::actions::{Gate, Playing, Voice};
use crate::channel::Role;
use crate::config::AddressFamily;
use crate::formats::Formats;
use crate::full::Part;
use crate::options::{self, Options, SubscriberReports};
use crate::quality::CodecNote;
use crate::recording::{FileName, Running};
use crate::report::{LegReport, MediumLeg, MediumReport, PeerReport, RtcpReport, SessionReport};
use crate::tally::StreamStats;
use crate::transcode::Plan;
use crate::worker::MediumId;

/// A session, on the switch's thread.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose thread it lives on, and its slot there.
    pub(crate) worker: usize,
    pub(crate) slot: usize,
    pub(crate) role: Role,
    /// Where what sides A and B send goes.
    pub(crate) ways: [options::Way; 2],
    /// The traffic class of what is sent.
    pub(crate) traffic_class: u8,
    pub(crate) streams: Vec<Stream>,
    /// Which named interface faces each side.
    pub(crate) interfaces: [Option<u8>; 2],
    /// What sides A and B bundle, as agreed on.
    pub(crate) bundled: [Option<Bundled>; 2],
    /// The last offer, kept for further answers to it.
    pub(crate) offer: Option<Offer>,
    /// How many descriptions of our own were made.
    pub(crate) version: u64,
    /// The recording that goes on.
    pub(crate) recording: Option<Running>,
    /// The files of all recordings, part by part.
    pub(crate) recordings: Vec<Arc<FileName>>,
    /// `None` while nothing is held up.
    pub(crate) gate: Option<Arc<Gate>>,
    /// What each side hears in place of the other.
    pub(crate) playing: [Option<Arc<Mutex<Playing>>>; 2],
    /// Whose stream that is, of each side that was played to.
    pub(crate) voices: [Option<Arc<Voice>>; 2],
    /// What each side said last that was settled.
    pub(crate) said: [Option<Box<[u8]>>; 2],
    /// Who gets copies of what is sent here.
    pub(crate) listeners: Vec<Listener>,
    /// Of a subscription: what it hears, by medium.
    pub(crate) sources: Vec<Source>,
    /// Where copies come from now.
    pub(crate) copied: Vec<Source>,
    /// Of a subscription: what becomes of the subscriber's RTCP.
    pub(crate) subscriber_reports: SubscriberReports,
    /// Fragments with candidates that came before what they belong to was settled, by whom.
    pub(crate) early: Vec<(Side, Box<[u8]>)>,
}

/// A medium of a subscription that copies go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) subscription: u64,
    /// Whose packets, and of which medium.
    pub(crate) side: Side,
    pub(crate) stream: usize,
    pub(crate) to: MediumId,
}

/// What a medium of a subscription is a copy of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) session: u64,
    pub(crate) side: Side,
    pub(crate) stream: usize,
}

/// One medium, by its place among the `m=` lines.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The RTP port facing each side, by family; RTCP is one above.
    pub(crate) ports: [[Option<u16>; 2]; 2],
    /// Whether the port of RTCP facing each side is closed, for RTP has it on its own.
    pub(crate) is_rtcp_closed: [bool; 2],
    pub(crate) stats: [Arc<StreamStats>; 2],
    /// What each side wanted when last negotiated.
    pub(crate) wishes: [Option<Wish>; 2],
    /// What each side and we speak.
    pub(crate) facing: [Facing; 2],
    /// `None`: media passes as it is.
    pub(crate) transcoding: Option<Transcoding>,
}

/// How a medium is transcoded.
#[derive(Debug)]
pub(crate) struct Transcoding {
    pub(crate) plan: Plan,
    /// The payload types of each side, which may give one number different meanings.
    pub(crate) formats: [Arc<Formats>; 2],
}

/// An offer that an answer may come for.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) from: Side,
    pub(crate) description: Vec<u8>,
    pub(crate) wishes: Vec<Wish>,
    /// What the phones on the other side were offered, in one way for each kind of phone, the
    /// last first.
    pub(crate) ways: Vec<Way>,
    /// The family the answer goes out in.
    pub(crate) family: AddressFamily,
}

/// In which terms an offer was made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// Of each medium; `None` for one that passes through.
    pub(crate) towards: Vec<Option<Towards>>,
    /// With the codecs that the phone was shown, if they are others.
    pub(crate) shown: Option<Vec<u8>>,
    /// What was offered bundled that had not been before.
    pub(crate) proposed: Option<Bundled>,
    pub(crate) options: Options,
}

impl Session {
    pub(crate) fn new(worker: usize, slot: usize, role: Role) -> Self {
        Self {
            worker,
            slot,
            role,
            ways: role.ways(),
            traffic_class: 0,
            streams: Vec::new(),
            interfaces: [None; 2],
            bundled: [None, None],
            offer: None,
            version: 0,
            recording: None,
            recordings: Vec::new(),
            gate: None,
            playing: [None, None],
            voices: [None, None],
            said: [None, None],
            listeners: Vec::new(),
            sources: Vec::new(),
            copied: Vec::new(),
            subscriber_reports: SubscriberReports::EndHere,
            early: Vec::new(),
        }
    }

    pub(crate) fn report(&self) -> SessionReport {
        let recordings = self.recordings.iter();
        let mut report = SessionReport {
            a: self.leg(Side::A),
            b: self.leg(Side::B),
            recordings: recordings.map(|file| file.get().to_owned()).collect(),
        };
        if self.role == Role::Relay {
            let (a, b) = (&report.a, &report.b);
            let peers = [self.peer(Side::A, a, b), self.peer(Side::B, b, a)];
            [report.a.peer, report.b.peer] = peers;
        }
        report
    }

    /// Medium by medium; the worker's times count from `epoch`.
    pub(crate) fn media(&self, epoch: Instant) -> Vec<MediumReport> {
        let streams = self.streams.iter();
        let legs = |index: usize, stream: &Stream| {
            [Side::A, Side::B].map(|side| {
                let mut leg = stream.leg(side, epoch);
                let bundled = self.bundled[side as usize].as_ref();
                let carrier = bundled.filter(|bundled| bundled.has(index));
                if let Some(carrier) = carrier.and_then(|b| self.streams.get(b.carrier)) {
                    leg.local_port = carrier.port(side);
                    leg.endpoint = carrier.stats[side as usize].endpoint(Part::Rtp);
                }
                leg
            })
        };
        let streams = streams.enumerate();
        streams
            .map(|(index, stream)| MediumReport {
                legs: legs(index, stream),
            })
            .collect()
    }

    fn leg(&self, side: Side) -> LegReport {
        let mut leg = LegReport::default();
        for stream in &self.streams {
            let before = leg.clone();
            let received = stream.received(side);
            if leg.packets == 0 && received.packets > 0 {
                leg = received.clone();
            }
            leg.packets = before.packets + received.packets;
            leg.bytes = before.bytes + received.bytes;
            leg.lost = before.lost + received.lost;
            leg.telephone_events = before.telephone_events + received.telephone_events;
        }
        leg
    }

    /// What the peer at `side` said of the first stream that was sent to it, which is what came
    /// from the `other` leg.
    fn peer(&self, side: Side, leg: &LegReport, other: &LegReport) -> Option<PeerReport> {
        let mut streams = self.streams.iter();
        let stream =
            streams.find(|stream| stream.stats[side.other() as usize].read().packets > 0)?;
        let sent = stream.stats[side.other() as usize].read();
        let quality = &stream.stats[side.other() as usize].quality;
        let trip_us = leg.rtt_us.unwrap_or(0) + other.rtt_us.unwrap_or(0);
        stream.stats[side as usize]
            .quality
            .peer_report(&sent, quality, trip_us)
    }
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            ports: [[None; 2]; 2],
            is_rtcp_closed: [false; 2],
            stats: [Arc::default(), Arc::default()],
            wishes: [None, None],
            facing: [Facing::default(), Facing::default()],
            transcoding: None,
        }
    }

    /// What the figures of quality need to know of the codecs of a medium.
    pub(crate) fn note_codecs(&self, media: &[Option<Media<'_>>]) {
        let codecs: Vec<CodecNote> = media
            .iter()
            .flatten()
            .flat_map(Media::codecs)
            .map(|codec| CodecNote {
                payload_type: codec.payload_type,
                clock_rate_hz: codec.clock_rate_hz,
                impairment: Impairment::of_codec(&String::from_utf8_lossy(codec.name)),
            })
            .take(MAX_CODECS)
            .collect();
        for stats in &self.stats {
            stats.quality.note_codecs(&codecs);
        }
    }

    /// Its RTP port that faces a side.
    fn port(&self, side: Side) -> Option<u16> {
        self.ports[side as usize].into_iter().flatten().next()
    }

    fn leg(&self, side: Side, epoch: Instant) -> MediumLeg {
        let stats = &self.stats[side as usize];
        let arrivals = stats.arrivals();
        let facing = &self.facing[side as usize];
        let wish = self.wishes[side as usize].as_ref();
        let text = |text: &str| text.to_owned();
        MediumLeg {
            kind: wish.map_or_else(String::new, |wish| text(&wish.name)),
            protocol: wish.map_or_else(String::new, |wish| text(&wish.proto)),
            local_port: self.port(side),
            local_address: None,
            sends: wish.is_some_and(Wish::sends),
            receives: wish.is_some_and(Wish::receives),
            described: wish.and_then(Wish::described),
            endpoint: stats.endpoint(Part::Rtp),
            received: self.received(side),
            ssrc: arrivals.ssrc,
            last_packet: moment(epoch, arrivals.last_us),
            rtcp: RtcpReport {
                endpoint: stats.endpoint(Part::Rtcp),
                packets: arrivals.rtcp_packets,
                bytes: arrivals.rtcp_bytes,
                last_packet: moment(epoch, arrivals.rtcp_last_us),
            },
            protection: facing.protection(),
            shares_port: wish.is_some_and(Wish::shares_port),
            speaks_ice: facing.speaks_ice(),
            in_kernel: stats.was_in_kernel(),
        }
    }

    /// What came from one side.
    fn received(&self, side: Side) -> LegReport {
        let stats = &self.stats[side as usize];
        let reading = stats.read();
        let mut leg = LegReport {
            packets: reading.packets,
            bytes: reading.bytes,
            lost: reading.lost,
            telephone_events: reading.telephone_events,
            ..LegReport::default()
        };
        if reading.packets > 0 {
            let quality = &stats.quality;
            leg.codec = self.codec(side, reading.payload_type);
            leg.jitter_us = reading.jitter_us;
            leg.rtt_us = quality.round_trip_us();
            leg.mos_centi = quality.mos_centi(&reading);
            quality.fill(&reading, &mut leg);
        }
        leg
    }

    /// The name of a payload type that `side` sends: the numbers are the receiver's, and only if
    /// it gave none the sender's own. Of what is transcoded, we are the receiver.
    fn codec(&self, side: Side, payload_type: u8) -> String {
        let order = match self.transcoding {
            Some(_) => [side, side.other()],
            None => [side.other(), side],
        };
        let wishes = order.map(|side| self.wishes[side as usize].as_ref());
        let mut names = wishes
            .into_iter()
            .flatten()
            .map(|wish| wish.codec(payload_type));
        let known = names.find(|name| !name.is_empty());
        known.map_or_else(|| format!("pt {payload_type}"), str::to_owned)
    }
}

/// A time of a worker's as the clock on the wall has it; `None` for never.
fn moment(epoch: Instant, us: u64) -> Option<SystemTime> {
    let since = epoch.elapsed().saturating_sub(Duration::from_micros(us));
    SystemTime::now().checked_sub(since).filter(|_| us > 0)
}

/// Codecs remembered of one medium; those beyond are taken for G.711.
const MAX_CODECS: usize = 32;
