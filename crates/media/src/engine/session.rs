//! What the engine knows of a session.

use std::sync::Arc;

use super::Side;
use super::terms::Wish;
use crate::channel::Role;
use crate::config::AddressFamily;
use crate::report::{LegReport, SessionReport};
use crate::tally::StreamStats;

/// A session, on the switch's thread.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose thread it lives on, and its slot there.
    pub(crate) worker: usize,
    pub(crate) slot: usize,
    pub(crate) role: Role,
    pub(crate) streams: Vec<Stream>,
    /// The last offer, kept for further answers to it.
    pub(crate) offer: Option<Offer>,
    /// How many descriptions of our own were made.
    pub(crate) version: u64,
}

/// One medium, by its place among the `m=` lines.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The RTP port facing each side, by family; RTCP is one above.
    pub(crate) ports: [[Option<u16>; 2]; 2],
    pub(crate) stats: [Arc<StreamStats>; 2],
    /// What each side wanted when last negotiated.
    pub(crate) wishes: [Option<Wish>; 2],
}

/// An offer that an answer may come for.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) from: Side,
    pub(crate) description: Vec<u8>,
    pub(crate) wishes: Vec<Wish>,
    /// The family the answer goes out in.
    pub(crate) family: AddressFamily,
}

impl Session {
    pub(crate) fn new(worker: usize, slot: usize, role: Role) -> Self {
        Self {
            worker,
            slot,
            role,
            streams: Vec::new(),
            offer: None,
            version: 0,
        }
    }

    pub(crate) fn report(&self) -> SessionReport {
        SessionReport {
            a: self.leg(Side::A),
            b: self.leg(Side::B),
        }
    }

    fn leg(&self, side: Side) -> LegReport {
        let mut leg = LegReport::default();
        for stream in &self.streams {
            let reading = stream.stats[side as usize].read();
            if leg.packets == 0 && reading.packets > 0 {
                leg.codec = stream.codec(side, reading.payload_type);
                leg.jitter_us = reading.jitter_us;
                leg.mos_centi =
                    mos_centi(&leg.codec, reading.packets, reading.lost, reading.jitter_us);
            }
            leg.packets += reading.packets;
            leg.bytes += reading.bytes;
            leg.lost += reading.lost;
            leg.telephone_events += reading.telephone_events;
        }
        leg
    }
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            ports: [[None; 2]; 2],
            stats: [Arc::default(), Arc::default()],
            wishes: [None, None],
        }
    }

    /// The name of a payload type that `side` sends: the numbers are the receiver's, and only if
    /// it gave none the sender's own.
    fn codec(&self, side: Side, payload_type: u8) -> String {
        let wishes = [side.other(), side].map(|side| self.wishes[side as usize].as_ref());
        let mut names = wishes
            .into_iter()
            .flatten()
            .map(|wish| wish.codec(payload_type));
        let known = names.find(|name| !name.is_empty());
        known.map_or_else(|| format!("pt {payload_type}"), str::to_owned)
    }
}

/// The delay of the network is not known without RTCP: it counts as none.
fn mos_centi(codec: &str, packets: u64, lost: u64, jitter_us: u32) -> u16 {
    let lost_fraction = lost as f32 / (packets + lost) as f32;
    let codec = rtp::Impairment::of_codec(codec);
    rtp::mos_centi(codec, lost_fraction, jitter_us, PACKET_US)
}

/// A phone speaks a packet only when it is full: the usual 20 ms.
const PACKET_US: u32 = 20_000;
