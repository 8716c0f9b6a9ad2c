//! Figures: of a call in the shape of `query`, of the server in the shape of `statistics`.

use std::net::SocketAddr;
use std::time::SystemTime;

use media::{Engine, ProtectionReport, Side};
use ng::{
    CallReport, Counts, Dictionary, MediumReport, MosSample, Quality, Ssrc, StreamReport,
    TagReport, Value,
};

use super::Desk;
use crate::calls::{Branch, Call, Subscription};
use crate::server::Look;

/// What is known of a call.
pub(super) fn report(call: &Call, engine: &Engine) -> CallReport {
    let mut report = CallReport {
        created_s: call.created_s,
        created_us: call.created_us,
        last_signal_s: call.last_signal_s,
        ..CallReport::default()
    };
    for branch in &call.branches {
        let media = engine.media(branch.session).unwrap_or_default();
        for side in [Side::A, Side::B] {
            report.tags.push(participant(call, branch, side, &media));
        }
        for leg in media.iter().flat_map(|medium| &medium.legs) {
            report.rtp.packets += leg.received.packets;
            report.rtp.bytes += leg.received.bytes;
            report.rtcp.packets += leg.rtcp.packets;
            report.rtcp.bytes += leg.rtcp.bytes;
            report.ssrcs.extend(quality(leg, call.created_s));
        }
    }
    for subscription in &call.subscriptions {
        let media = engine.media(subscription.session).unwrap_or_default();
        report.tags.push(subscriber(subscription, call, &media));
    }
    report
}

/// A participant that hears copies of what others send.
fn subscriber(
    subscription: &Subscription,
    call: &Call,
    media: &[media::MediumReport],
) -> TagReport {
    let media = media.iter().enumerate();
    TagReport {
        tag: subscription.tag.to_string(),
        created_s: subscription.created_s,
        subscriptions: call.tags(&subscription.sources),
        media: media
            .map(|(index, medium)| self::medium(index, medium, Side::B))
            .collect(),
        ..TagReport::default()
    }
}

fn participant(
    call: &Call,
    branch: &Branch,
    side: Side,
    media: &[media::MediumReport],
) -> TagReport {
    let party = branch.party(side);
    let other = branch.party(side.other());
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let media = media.iter().enumerate();
    TagReport {
        tag: text(&party.tag).unwrap_or_default(),
        label: text(&party.label),
        created_s: party.created_s,
        via_branch: text(&branch.via_branch),
        in_dialogue_with: text(&other.tag),
        subscriptions: Vec::new(),
        subscribers: call.subscribers(branch.session, side),
        media: media
            .map(|(index, medium)| self::medium(index, medium, side))
            .collect(),
    }
}

fn medium(index: usize, medium: &media::MediumReport, side: Side) -> MediumReport {
    let leg = &medium.legs[side as usize];
    let streams = match leg.shares_port {
        true => vec![rtp_stream(leg)],
        false => vec![rtp_stream(leg), rtcp_stream(leg)],
    };
    let sdes = matches!(leg.protection, ProtectionReport::Sdes(_));
    MediumReport {
        index: index as u64 + 1,
        kind: leg.kind.clone(),
        protocol: leg.protocol.clone(),
        codec: Some(leg.received.codec.clone()).filter(|codec| !codec.is_empty()),
        flags: words(&[
            (leg.described.is_some(), "initialized"),
            (leg.shares_port, "rtcp-mux"),
            (leg.protection == ProtectionReport::Dtls, "DTLS-SRTP"),
            (sdes, "SDES"),
            (leg.speaks_ice, "ICE"),
            (leg.receives, "send"),
            (leg.sends, "recv"),
        ]),
        streams,
        quality: Some(Quality {
            lost: leg.received.lost,
            jitter_us: leg.received.jitter_us,
            mos_centi: leg.received.mos_centi,
            rtt_us: leg.received.rtt_us.unwrap_or(0),
            telephone_events: leg.received.telephone_events,
        }),
    }
}

fn rtp_stream(leg: &media::MediumLeg) -> StreamReport {
    // Where they share a port, RTCP is a packet there, too; only RTP is counted.
    let rtcp = leg.rtcp.last_packet.filter(|_| leg.shares_port);
    let last_packet = leg.last_packet.max(rtcp);
    StreamReport {
        local_port: leg.local_port,
        local_address: leg.local_address,
        endpoint: leg.endpoint.or(leg.described),
        advertised: leg.described,
        crypto_suite: suite(leg),
        last_packet_s: last_packet.map_or(0, since_epoch_s),
        ssrc: leg.ssrc,
        flags: words(&[
            (true, "RTP"),
            (leg.shares_port, "RTCP"),
            (leg.described.is_some(), "filled"),
            (leg.received.packets > 0, "confirmed"),
            (leg.in_kernel, "kernelized"),
        ]),
        counts: Counts {
            packets: leg.received.packets,
            bytes: leg.received.bytes,
            errors: 0,
        },
    }
}

fn rtcp_stream(leg: &media::MediumLeg) -> StreamReport {
    let next = |endpoint: SocketAddr| {
        let port = endpoint.port().saturating_add(1);
        SocketAddr::new(endpoint.ip(), port)
    };
    StreamReport {
        local_port: leg.local_port.map(|port| port + 1),
        local_address: leg.local_address,
        endpoint: leg.rtcp.endpoint.or(leg.described.map(next)),
        advertised: leg.described.map(next),
        crypto_suite: suite(leg),
        last_packet_s: leg.rtcp.last_packet.map_or(0, since_epoch_s),
        ssrc: None,
        flags: words(&[
            (true, "RTCP"),
            (leg.described.is_some(), "filled"),
            (leg.rtcp.packets > 0, "confirmed"),
        ]),
        counts: Counts {
            packets: leg.rtcp.packets,
            bytes: leg.rtcp.bytes,
            errors: 0,
        },
    }
}

fn suite(leg: &media::MediumLeg) -> Option<String> {
    match leg.protection {
        ProtectionReport::Sdes(suite) => Some(suite.to_owned()),
        ProtectionReport::None | ProtectionReport::Dtls => None,
    }
}

/// How well the source of a medium arrives here; `None` if nothing came. The first samples are taken
/// after some seconds.
fn quality(leg: &media::MediumLeg, began_s: u64) -> Option<Ssrc> {
    let received = &leg.received;
    let percent = |lost: u64, came: u64| {
        let percent = (lost * 100).checked_div(lost + came).unwrap_or(0);
        u8::try_from(percent).unwrap_or(100)
    };
    let samples = received.slices.iter().zip(1_u64..);
    let progression: Vec<MosSample> = samples
        .map(|(slice, place)| MosSample {
            reported_s: began_s + place * u64::from(received.slice_s),
            mos_deci: slice.mos_centi / 10,
            rtt_us: slice.rtt_us,
            jitter_ms: slice.jitter_us / 1_000,
            loss_percent: percent(slice.lost.into(), slice.packets.into()),
        })
        .collect();
    let known = || progression.iter().filter(|sample| sample.mos_deci > 0);
    Some(Ssrc {
        ssrc: leg.ssrc?,
        mos_deci: received.mos_centi / 10,
        rtt_us: received.rtt_us.unwrap_or(0),
        jitter_ms: received.jitter_us / 1_000,
        loss_percent: percent(received.lost, received.packets),
        samples: progression.len() as u64,
        lowest: known().min_by_key(|sample| sample.mos_deci).copied(),
        highest: known().max_by_key(|sample| sample.mos_deci).copied(),
        interval_s: received.slice_s.into(),
        progression,
    })
}

fn words(words: &[(bool, &str)]) -> Vec<String> {
    let said = words.iter().filter(|(said, _)| *said);
    said.map(|(_, word)| (*word).to_owned()).collect()
}

fn since_epoch_s(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Desk {
    /// The figures of the server.
    pub(super) fn figures(&self) -> Dictionary<'static> {
        let counters = self.engine.counters();
        let sessions = self.calls.len() as u64;
        let mut current = Dictionary::new();
        current
            .push("sessionsown", sessions)
            .push("sessionsforeign", 0_u64)
            .push("sessionstotal", sessions)
            .push("transcodedmedia", 0_u64)
            .push("packetrate", 0_u64)
            .push("byterate", 0_u64)
            .push("errorrate", 0_u64);
        let mut total = Dictionary::new();
        total.push("uptime", self.started.elapsed().as_secs().to_string());
        self.tally.write_totals(&mut total);
        total
            .push("relayedpackets", counters.relayed_packets)
            .push("relayedbytes", counters.relayed_bytes)
            .push("relayedpacketerrors", dropped(&counters));
        let mut control = Dictionary::new();
        self.tally.write_commands(&mut control);
        let mut statistics = Dictionary::new();
        statistics
            .push("currentstatistics", current)
            .push("totalstatistics", total)
            .push("controlstatistics", Value::Dictionary(control));
        statistics
    }

    /// Everything that is counted, for Prometheus.
    pub(crate) fn metrics(&self, refused: u64) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        let mut line = |name: &str, kind: &str, value: u64| {
            let _ = writeln!(out, "# TYPE tandem_{name} {kind}\ntandem_{name} {value}");
        };
        let status = self.status();
        let ports = self.engine.ports();
        let counters = self.engine.counters();
        line("media_calls", "gauge", self.calls.len() as u64);
        line("media_sessions", "gauge", status.sessions);
        line("media_load_permille", "gauge", status.load_permille.into());
        let active = status.state == ng::State::Active;
        line("media_draining", "gauge", u64::from(!active));
        line("media_ports_used", "gauge", ports.used as u64);
        line("media_ports_free", "gauge", ports.free as u64);
        line(
            "media_packets_relayed_total",
            "counter",
            counters.relayed_packets,
        );
        line(
            "media_bytes_relayed_total",
            "counter",
            counters.relayed_bytes,
        );
        line(
            "media_packets_relayed_in_kernel_total",
            "counter",
            counters.kernel_packets,
        );
        line("media_packets_dropped_total", "counter", dropped(&counters));
        line("ng_sources_refused_total", "counter", refused);
        self.tally.write_metrics(&mut line);
        out.push_str(&self.config.more_metrics.lines());
        out
    }
}

impl Desk {
    /// How it is, with what it has counted.
    pub(crate) fn look(&self) -> Look {
        let (ports, counters) = (self.engine.ports(), self.engine.counters());
        Look {
            status: self.status(),
            ports_used: ports.used + ports.quarantined,
            ports_free: ports.free,
            relayed_packets: counters.relayed_packets,
            kernel_packets: counters.kernel_packets,
            dropped_packets: dropped(&counters),
            kernel_path: self.engine.kernel_path(),
        }
    }
}

fn dropped(counters: &media::Counters) -> u64 {
    let reasons = media::DropReason::ALL.into_iter();
    reasons.map(|reason| counters.dropped(reason)).sum()
}
