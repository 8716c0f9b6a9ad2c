//! Questions and answers in the words of `ng`.

mod terms;

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use call::{Family, Side};
use clock::Time;
use model::{CdrLegMedia, MediaServer};
use ng::{
    CallReport, Command, Deletion, Dictionary, Encoding, Flag, Negotiation, Options, Replace,
    Reply, Request, Selection, TagReport, options,
};

use super::watch::Signs;
use crate::media_terms::IceAgent;
use crate::output::MediaRequest;

/// The participants of each session, by side.
const TAGS: [&str; 2] = ["a", "b"];

pub(super) const fn tag(side: Side) -> &'static str {
    TAGS[side as usize]
}

/// Whose tag it is.
pub(super) fn side_of(tag: &str) -> Option<Side> {
    [Side::A, Side::B]
        .into_iter()
        .find(|side| TAGS[*side as usize] == tag)
}

/// What a name of a session consists of: the prefix of the node that has begun it, and its number.
pub(super) fn session_of(call_id: &str) -> Option<(u64, u64)> {
    let (prefix, session) = call_id.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(prefix)?, number(session)?))
}

/// What is asked of a description.
pub(super) enum Ask {
    Offer,
    /// With the side that made the offer.
    Answer(Side),
    /// An offer whose media goes back.
    Echo,
}

pub(super) fn encode(command: Command, cookie: u64) -> Vec<u8> {
    let request = Request::new(command);
    request.encode(&cookie.to_string(), Encoding::Bencode)
}

pub(super) fn negotiation(
    (server, call_id): (&MediaServer, &str),
    request: &MediaRequest,
    ask: &Ask,
    sdp: &[u8],
    agent: IceAgent,
) -> Command {
    let selection = Selection::call(call_id);
    let selection = match ask {
        Ask::Offer | Ask::Echo => selection.from_tag(tag(request.from)),
        Ask::Answer(offerer) => {
            let answerer = offerer.other();
            selection.from_tag(tag(*offerer)).to_tag(tag(answerer))
        }
    };
    let family = request.ends.toward.family;
    let toward = match family {
        Family::V4 => options::Family::Ip4,
        Family::V6 => options::Family::Ip6,
    };
    let fits = |a: &IpAddr| a.is_ipv4() == (family == Family::V4);
    let mut asked = terms::options(request, ask, agent);
    asked.received_from = Some(request.ends.signalling).filter(|ip| !ip.is_unspecified());
    asked.address_family = matches!(ask, Ask::Offer).then_some(toward);
    asked.media_address = server.public_address.filter(fits);
    asked.replace.insert(Replace::Origin);
    let negotiation = Box::new(Negotiation {
        selection,
        sdp: sdp.to_vec(),
        options: asked,
        media: None,
    });
    match ask {
        Ask::Offer | Ask::Echo => Command::Offer(negotiation),
        Ask::Answer(_) => Command::Answer(negotiation),
    }
}

/// Candidates that come after the description of a side.
pub(super) fn candidates(call_id: &str, from: Side, fragment: &[u8]) -> Command {
    let mut options = Options::default();
    options.flags.insert(Flag::TrickleIce);
    options.flags.insert(Flag::Fragment);
    Command::Offer(Box::new(Negotiation {
        selection: Selection::call(call_id).from_tag(tag(from)),
        sdp: fragment.to_vec(),
        options,
        media: None,
    }))
}

pub(super) fn deletion(call_id: &str) -> Command {
    Command::Delete(Box::new(Deletion {
        // Without a participant rtpengine says nothing of what it received.
        selection: Selection::call(call_id).from_tag(tag(Side::A)),
        delay_s: Some(0),
        options: Options::default(),
    }))
}

/// What a server said to a description.
pub(super) enum Said {
    /// The description for the other side.
    Description(Bytes),
    /// The session is not known there.
    NoSession,
    /// It will not serve it.
    Refused(String),
}

pub(super) fn said(reply: Reply) -> Said {
    match reply {
        Reply::Ok(success) => match success.sdp {
            Some(sdp) => Said::Description(sdp.into()),
            None => Said::Refused("an answer without a description".into()),
        },
        Reply::Error { reason } if is_unknown(&reason) => Said::NoSession,
        Reply::Error { reason } => Said::Refused(reason),
        Reply::LoadLimit { message } => Said::Refused(message),
        Reply::Pong { .. } => Said::Refused("a pong instead of a description".into()),
    }
}

/// Whether a server says that it has no such session.
pub(super) fn is_unknown(reason: &str) -> bool {
    reason.to_ascii_lowercase().contains("unknown call")
}

/// rtpengine's own figures: its sessions, and when it was started.
pub(super) fn statistics(now: Time, of: &Dictionary<'_>) -> Option<(u32, Time)> {
    let current = of.value("currentstatistics")?.dictionary()?;
    let total = of.value("totalstatistics")?.dictionary()?;
    let number = |d: &Dictionary<'_>, key: &str| -> Option<u64> {
        let as_text = || d.text(key)?.trim().parse().ok();
        d.number(key).or_else(as_text)
    };
    let sessions = number(current, "sessionstotal")?;
    let uptime_s = number(total, "uptime")?;
    let started_us = now.as_micros().saturating_sub(uptime_s * 1_000_000);
    let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
    Some((sessions, Time::from_micros(started_us)))
}

/// What was received from both sides.
pub(super) fn legs(report: &CallReport) -> [CdrLegMedia; 2] {
    TAGS.map(|tag| report.tag(tag).map(|t| leg(report, t)).unwrap_or_default())
}

fn leg(report: &CallReport, tag: &TagReport) -> CdrLegMedia {
    let mut leg = CdrLegMedia::default();
    for medium in &tag.media {
        // RTP, then RTCP; where they share a port there is but one.
        let Some(stream) = medium.streams.first() else {
            continue;
        };
        leg.packets += stream.counts.packets;
        leg.bytes += stream.counts.bytes;
        if leg.codec.is_empty() {
            leg.codec = medium.codec.clone().unwrap_or_default();
        }
        let quality = medium.quality.unwrap_or_default();
        leg.lost += quality.lost;
        let rtt_us = Some(quality.rtt_us).filter(|rtt_us| *rtt_us > 0);
        leg.rtt_us = leg.rtt_us.or(rtt_us);
        if leg.jitter_us == 0 {
            leg.jitter_us = quality.jitter_us;
            leg.mos_centi = quality.mos_centi;
        }
        let by_rtcp = report.ssrcs.iter().find(|s| Some(s.ssrc) == stream.ssrc);
        if let Some(ssrc) = by_rtcp.filter(|s| leg.mos_centi == 0 && s.samples > 0) {
            leg.mos_centi = ssrc.mos_deci.saturating_mul(10);
            leg.jitter_us = ssrc.jitter_ms.saturating_mul(1_000);
        }
    }
    leg
}

/// What shows that both sides live: RTP and RTCP of all their media.
pub(super) fn signs(report: &CallReport) -> [Signs; 2] {
    TAGS.map(|tag| {
        let media = report.tag(tag).map_or(&[][..], |tag| &tag.media);
        let streams = media.iter().flat_map(|medium| &medium.streams);
        streams.fold(Signs::default(), |signs, stream| Signs {
            packets: signs.packets + stream.counts.packets,
            last_packet_s: signs.last_packet_s.max(stream.last_packet_s),
        })
    })
}

/// Where the media of both sides came from, and where it went; 0.0.0.0:0 where it is not known.
pub(super) fn ends(report: Option<&CallReport>) -> Box<[(SocketAddr, SocketAddr); 2]> {
    let unknown = SocketAddr::from(([0; 4], 0));
    Box::new(TAGS.map(|tag| {
        let media = report
            .and_then(|report| report.tag(tag))
            .map(|tag| &tag.media);
        let first = media.and_then(|media| media.first()?.streams.first());
        let Some(stream) = first else {
            return (unknown, unknown);
        };
        let local = stream.local_address.zip(stream.local_port);
        let peer = stream.endpoint.or(stream.advertised);
        (
            peer.unwrap_or(unknown),
            local.map_or(unknown, SocketAddr::from),
        )
    }))
}

/// Round trips between a server and both sides of a session in microseconds, where it knows them.
pub(super) fn delays(report: &CallReport) -> [Option<u32>; 2] {
    TAGS.map(|tag| {
        let media = report.tag(tag).map_or(&[][..], |tag| &tag.media);
        let known = media.iter().filter_map(|medium| medium.quality);
        known
            .map(|quality| quality.rtt_us)
            .find(|rtt_us| *rtt_us > 0)
    })
}
