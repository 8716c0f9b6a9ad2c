//! Media that share a transport towards a side (BUNDLE, RFC 9143): which of them a packet is of.
//!
//! One medium, the carrier, has the ports, the keys and the ICE agent. What comes by them is opened
//! there and handed to the medium it is of; what the others send to that side leaves by them. RTP
//! is told apart as RFC 9143 §9.2 says: by the `mid` it carries, else by its source once that is
//! known, else by a payload type that one medium alone has. A compound of RTCP is cut into what is
//! of each: a packet is of the medium that it speaks of, or whose source speaks, or whose the one
//! before it was.

use rtp::{Compound, Header, Packet, RtcpPacket, element, remove_element};

use crate::worker::MediumId;

/// How a medium stands with a side whose transport is shared.
#[derive(Debug)]
pub(crate) enum Shared {
    /// Its transport serves others, too.
    Carrier(Box<Bundle>),
    /// It uses that of another.
    Guest(MediumId),
}

/// The media of one transport.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    members: Vec<Member>,
    /// What the header extension with the `mid` is numbered; `None` if it was not agreed on.
    extension: Option<u8>,
    /// Sources of the peer, and whose they are.
    received: Sources,
    /// Sources that were sent to it.
    sent: Sources,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) medium: MediumId,
    pub(crate) mid: Vec<u8>,
    /// Those that the peer may send.
    pub(crate) payload_types: Vec<u8>,
    /// Those that the peer has announced.
    pub(crate) sources: Vec<u32>,
}

/// The latest sources, round and round.
#[derive(Clone, Debug, Default)]
struct Sources {
    known: Vec<(u32, MediumId)>,
    next: usize,
}

impl Bundle {
    /// Of these media, the first of which is meant where nothing says which.
    pub(crate) fn new(members: Vec<Member>, extension: Option<u8>) -> Self {
        let mut received = Sources::default();
        for member in &members {
            for source in &member.sources {
                received.note(*source, member.medium);
            }
        }
        Self {
            members,
            extension,
            received,
            sent: Sources::default(),
        }
    }

    /// Takes the outcome of a new negotiation; sources that are known stay known.
    pub(crate) fn update(&mut self, fresh: Self) {
        let Self {
            members,
            extension,
            received,
            sent: _,
        } = fresh;
        let stays = |(_, medium): &(u32, MediumId)| members.iter().any(|m| m.medium == *medium);
        self.received.known.retain(stays);
        self.sent.known.retain(stays);
        for (source, medium) in received.known {
            self.received.note(source, medium);
        }
        self.members = members;
        self.extension = extension;
    }

    /// The media that share the transport.
    pub(crate) fn media(&self) -> impl Iterator<Item = MediumId> {
        self.members.iter().map(|member| member.medium)
    }

    /// Whose RTP this is; `None` if it cannot be told.
    pub(crate) fn of_rtp(&self, packet: &Packet<'_>) -> Option<MediumId> {
        let Header {
            ssrc, payload_type, ..
        } = packet.header;
        let mid = self.extension.and_then(|id| element(packet, id));
        let named = mid.and_then(|mid| self.members.iter().find(|member| member.mid == mid));
        named
            .map(|member| member.medium)
            .or_else(|| self.received.find(ssrc))
            .or_else(|| self.only_one_with(payload_type))
    }

    /// A source of the peer, which was let in, is this medium's.
    pub(crate) fn note_received(&mut self, ssrc: u32, medium: MediumId) {
        self.received.note(ssrc, medium);
    }

    /// Hands out a compound: `take` gets packets in a row with whom they are about.
    pub(crate) fn of_rtcp(&self, bytes: &[u8], mut take: impl FnMut(MediumId, &[u8])) {
        let (Ok(compound), Some(first)) = (Compound::parse(bytes), self.members.first()) else {
            return;
        };
        let mut current = first.medium;
        let (mut start, mut end) = (0, 0);
        for (packet, frame) in compound.frames() {
            let about = self.about(&packet, frame).unwrap_or(current);
            if about != current && start < end {
                take(current, &bytes[start..end]);
                start = end;
            }
            current = about;
            end += frame.len();
        }
        take(current, &bytes[start..end]);
    }

    /// The medium that a packet of RTCP is about, if it says so.
    fn about(&self, packet: &RtcpPacket<'_>, frame: &[u8]) -> Option<MediumId> {
        let reported = |blocks: &rtp::ReportBlocks<'_>| {
            let mut blocks = blocks.iter();
            blocks.find_map(|block| self.sent.find(block.ssrc))
        };
        let word = |at: usize| {
            let bytes = frame.get(at..)?.first_chunk()?;
            Some(u32::from_be_bytes(*bytes))
        };
        let sender = word(SENDER_AT).and_then(|ssrc| self.received.find(ssrc));
        match packet {
            RtcpPacket::SenderReport { blocks, .. } => sender.or_else(|| reported(blocks)),
            RtcpPacket::ReceiverReport { blocks, .. } => reported(blocks).or(sender),
            // Feedback speaks of what it names, whoever sends it (RFC 4585 §6.1).
            RtcpPacket::Other {
                packet_type: FEEDBACK_RTP | FEEDBACK_PAYLOAD,
            } => {
                let named = word(NAMED_AT).and_then(|ssrc| self.sent.find(ssrc));
                named
                    .or_else(|| word(ENTRY_AT).and_then(|ssrc| self.sent.find(ssrc)))
                    .or(sender)
            }
            _ => sender,
        }
    }

    /// Takes note of what a medium is about to send to the peer. Whether it may: a source has one
    /// key and one count of packets, so two media cannot be the same one.
    #[must_use]
    pub(crate) fn note_sent(&mut self, by: MediumId, ssrc: u32) -> bool {
        match self.sent.find(ssrc) {
            Some(known) => known == by,
            None => {
                self.sent.note(ssrc, by);
                true
            }
        }
    }

    /// What tells the peer of which medium a packet is: the element of a header extension.
    pub(crate) fn mark(&self, by: MediumId) -> Option<(u8, &[u8])> {
        let extension = self.extension?;
        let mut members = self.members.iter();
        let member = members.find(|member| member.medium == by)?;
        Some((extension, &member.mid))
    }

    /// Takes such a mark off a packet: it is between us and the peer. The new length.
    pub(crate) fn unmark(&self, packet: &mut [u8]) -> usize {
        match self.extension {
            Some(extension) => remove_element(packet, extension),
            None => packet.len(),
        }
    }

    fn only_one_with(&self, payload_type: u8) -> Option<MediumId> {
        let members = self.members.iter();
        let mut having = members.filter(|member| member.payload_types.contains(&payload_type));
        let member = having.next()?;
        having.next().is_none().then_some(member.medium)
    }
}

impl Sources {
    fn find(&self, ssrc: u32) -> Option<MediumId> {
        let mut known = self.known.iter();
        let (_, medium) = known.find(|(known, _)| *known == ssrc)?;
        Some(*medium)
    }

    fn note(&mut self, ssrc: u32, medium: MediumId) {
        if let Some(known) = self.known.iter_mut().find(|(known, _)| *known == ssrc) {
            known.1 = medium;
        } else if self.known.len() < SOURCES_MAX {
            self.known.push((ssrc, medium));
        } else {
            self.known[self.next] = (ssrc, medium);
            self.next = (self.next + 1) % SOURCES_MAX;
        }
    }
}

/// Sources remembered in each direction; then the oldest is forgotten.
const SOURCES_MAX: usize = 64;
/// RFC 4585 §6.1.
const FEEDBACK_RTP: u8 = 205;
const FEEDBACK_PAYLOAD: u8 = 206;
/// Where a packet of RTCP names its sender, where feedback names what it is about, and where the
/// feedback that leaves that open has its first entry: FIR (RFC 5104 §4.3.1).
const SENDER_AT: usize = 4;
const NAMED_AT: usize = 8;
const ENTRY_AT: usize = 12;

#[cfg(test)]
mod tests;
