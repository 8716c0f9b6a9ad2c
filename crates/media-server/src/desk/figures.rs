//! Figures: of a call in the shape of `query`, of the server in the shape of `statistics`.

use media::{Engine, Side};
use ng::{CallReport, Counts, Dictionary, MediumReport, Quality, StreamReport, TagReport, Value};

use super::Desk;
use crate::calls::{Branch, Call};

/// What is known of a call.
pub(super) fn report(call: &Call, engine: &Engine) -> CallReport {
    let mut report = CallReport {
        created_s: call.created_s,
        last_signal_s: call.last_signal_s,
        ..CallReport::default()
    };
    for branch in &call.branches {
        let media = engine.media(branch.session).unwrap_or_default();
        for side in [Side::A, Side::B] {
            report.tags.push(participant(branch, side, &media));
        }
        for leg in media.iter().flat_map(|medium| &medium.legs) {
            report.rtp.packets += leg.received.packets;
            report.rtp.bytes += leg.received.bytes;
        }
    }
    report
}

fn participant(branch: &Branch, side: Side, media: &[media::MediumReport]) -> TagReport {
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
        media: media
            .map(|(index, medium)| self::medium(index, medium, side))
            .collect(),
    }
}

fn medium(index: usize, medium: &media::MediumReport, side: Side) -> MediumReport {
    let leg = &medium.legs[side as usize];
    let stream = StreamReport {
        local_port: leg.local_port,
        endpoint: leg.described,
        advertised: leg.described,
        flags: vec!["RTP".into(), "filled".into()],
        counts: Counts {
            packets: leg.received.packets,
            bytes: leg.received.bytes,
            errors: 0,
        },
        ..StreamReport::default()
    };
    let rtcp = StreamReport {
        local_port: leg.local_port.map(|port| port + 1),
        flags: vec!["RTCP".into()],
        ..StreamReport::default()
    };
    MediumReport {
        index: index as u64 + 1,
        kind: leg.kind.clone(),
        protocol: leg.protocol.clone(),
        codec: Some(leg.received.codec.clone()).filter(|codec| !codec.is_empty()),
        flags: vec!["initialized".into()],
        streams: vec![stream, rtcp],
        quality: Some(Quality {
            lost: leg.received.lost,
            jitter_us: leg.received.jitter_us,
            mos_centi: leg.received.mos_centi,
            rtt_us: leg.received.rtt_us.unwrap_or(0),
            telephone_events: leg.received.telephone_events,
        }),
    }
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
        line("media_packets_dropped_total", "counter", dropped(&counters));
        line("ng_sources_refused_total", "counter", refused);
        self.tally.write_metrics(&mut line);
        out
    }
}

fn dropped(counters: &media::Counters) -> u64 {
    let reasons = media::DropReason::ALL.into_iter();
    reasons.map(|reason| counters.dropped(reason)).sum()
}
