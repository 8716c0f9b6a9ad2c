//! `/metrics`: everything measured, in Prometheus text format 0.0.4.

mod array;
mod lines;
mod page;

use std::sync::atomic::Ordering::Relaxed;

use clock::Time;
use limits::{EntityId, EntityKind, LimitKind};
use link::RefusedLines;
use media::DropReason as MediaDrop;
use model::{GatewayRegistrationState, MediaServerHealth, MediaServerState};
use net::{DropReason, Net};
use store::ArrayWatch;
use switch::{Counters, METHODS, Switch};

use crate::host::SwitchHost;
use crate::locations::LocationHealth;
use crate::permits::LiveHealth;
use crate::quality::{MOS_CENTI, RTT_MS};
use crate::trace::TraceCounts;
use crate::uploads::Figures;
pub(crate) use page::{Page, TRANSPORTS};

/// The text.
pub(crate) fn text(now: Time, switch: &Switch, host: &SwitchHost, net: &Net) -> String {
    let mut out = Page(String::with_capacity(8_192));
    let version = env!("CARGO_PKG_VERSION");
    out.head("tandem_build_info", "gauge", "The program that runs");
    out.line("tandem_build_info", &[("version", version)], 1);
    out.one(
        "tandem_config_revision",
        "gauge",
        "Revision in force",
        switch.snapshot().revision,
    );
    sip(&mut out, switch, net);
    calls(&mut out, now, switch);
    media(&mut out, host);
    let stats = host.journal.stats();
    let name = "tandem_cdr_journal_entries_total";
    out.one(
        name,
        "counter",
        "Entries of calls taken by the CDR journal",
        stats.appended - host.heartbeats,
    );
    let name = "tandem_cdr_journal_pending_bytes";
    out.one(
        name,
        "gauge",
        "Bytes the disk has not taken yet",
        stats.pending_bytes,
    );
    let name = "tandem_cdr_journal_errors_total";
    out.one(
        name,
        "counter",
        "Failed writes and syncs",
        stats.write_errors + stats.sync_errors,
    );
    let name = "tandem_cdr_journal_refused_total";
    out.one(
        name,
        "counter",
        "Entries there was no room for",
        host.entries_lost,
    );
    let (sent, dropped) = host.hep.counts();
    let name = "tandem_hep_packets_total";
    out.one(name, "counter", "Packets sent to the HEP collector", sent);
    let name = "tandem_hep_dropped_total";
    out.one(
        name,
        "counter",
        "What the HEP collector was not told: it was not reached, or too much waited",
        dropped,
    );
    traces(&mut out, host);
    out.0
}

fn traces(out: &mut Page, host: &SwitchHost) {
    kept(out, &host.trace.counts());
    let [heard, refused, unreadable] = host.collector.counts();
    let name = "tandem_hep_received_total";
    out.head(name, "counter", "HEP packets of other systems");
    out.line(name, &[("result", "sip")], heard);
    out.line(name, &[("result", "stranger")], refused);
    out.line(name, &[("result", "unreadable")], unreadable);
}

/// What has become of SIP messages that were to be kept.
pub(crate) fn kept(out: &mut Page, counts: &TraceCounts) {
    let name = "tandem_trace_messages_total";
    out.one(name, "counter", "SIP messages that are kept", counts.kept);
    let name = "tandem_trace_dropped_total";
    out.head(name, "counter", "SIP messages that could not be kept");
    out.line(name, &[("cause", "queue")], counts.dropped);
    out.line(name, &[("cause", "disk")], counts.failed);
    let name = "tandem_trace_bytes";
    out.one(name, "gauge", "What traces take on the disk", counts.bytes);
}

fn sip(out: &mut Page, switch: &Switch, net: &Net) {
    let counters = switch.counters();
    out.messages(&METHODS, &counters.requests, &counters.responses);
    for (name, help, of) in [
        ("tandem_sip_messages_received_total", "Messages received", 0),
        ("tandem_sip_messages_sent_total", "Messages sent", 1),
    ] {
        out.head(name, "counter", help);
        for transport in TRANSPORTS {
            let n = net.counters();
            let value = if of == 0 {
                n.received(transport)
            } else {
                n.sent(transport)
            };
            out.line(name, &[("transport", transport.param_name())], value);
        }
    }
    out.connections(net);
    let name = "tandem_sip_transactions";
    out.one(
        name,
        "gauge",
        "Transactions under way",
        switch.transaction_count(),
    );
    let name = "tandem_registrations";
    out.head(name, "gauge", "Contacts registered at this node");
    for transport in TRANSPORTS {
        let count = switch.binding_count(transport);
        out.line(name, &[("transport", transport.param_name())], count);
    }
    refused(out, switch, net);
}

/// What was not served, and why.
fn refused(out: &mut Page, switch: &Switch, net: &Net) {
    let counters = switch.counters();
    let name = "tandem_sip_dropped_total";
    out.head(name, "counter", "Dropped by the network side");
    for reason in DropReason::ALL {
        out.line(
            name,
            &[("reason", reason.name())],
            net.counters().dropped(reason),
        );
    }
    out.one(
        "tandem_sip_stun_answered_total",
        "counter",
        "STUN requests on SIP ports answered",
        net.counters().stun_answered(),
    );
    let name = "tandem_sip_parse_errors_total";
    out.head(name, "counter", "Bytes that were no message");
    for (reason, count) in &counters.malformed {
        out.line(name, &[("reason", reason)], *count);
    }
    out.line(name, &[("reason", "rule_broken")], counters.violations);
    let name = "tandem_auth_failures_total";
    out.head(name, "counter", "Credentials refused");
    for (reason, count) in &counters.auth_failures {
        out.line(name, &[("reason", reason)], *count);
    }
    let name = "tandem_sip_refused_total";
    out.head(name, "counter", "Messages not served");
    out.line(name, &[("reason", "banned")], counters.banned);
    out.line(name, &[("reason", "scanner")], counters.scanners);
    out.line(name, &[("reason", "flood")], counters.flooded);
}

fn calls(out: &mut Page, now: Time, switch: &Switch) {
    let counters = switch.counters();
    let name = "tandem_call_attempts_total";
    out.one(name, "counter", "New calls", counters.attempts);
    let name = "tandem_calls_answered_total";
    out.one(name, "counter", "Calls answered", counters.answered);
    let name = "tandem_calls_failed_total";
    out.one(
        name,
        "counter",
        "Calls that ended without an answer",
        counters.failed,
    );
    limits(out, now, switch);
    let usage = switch.usage(now, EntityId::SERVER).unwrap_or_default();
    out.one(
        "tandem_calls",
        "gauge",
        "Calls in progress",
        switch.call_count(),
    );
    if let Some(limit) = usage.limit.channels {
        out.one("tandem_calls_limit", "gauge", "Calls allowed", limit);
    }
    let name = "tandem_calls_peak_5m";
    out.one(
        name,
        "gauge",
        "Most calls in the last five minutes",
        usage.channels_peak,
    );
    let name = "tandem_cps_peak_5m";
    out.one(
        name,
        "gauge",
        "Most new calls in a second of the last five minutes",
        usage.cps_peak,
    );
    out.histogram(
        "tandem_call_pdd_seconds",
        "From INVITE to the first ringing",
        &counters.pdd,
    );
    out.histogram(
        "tandem_call_duration_seconds",
        "Answered calls",
        &counters.duration,
    );
    let name = "tandem_gateway_up";
    out.head(name, "gauge", "Whether calls go to the gateway");
    for health in switch.gateway_health(now) {
        let id = health.gateway.to_string();
        if let Some(up) = health.up {
            out.line(name, &[("gateway", &id)], u8::from(up));
        }
    }
    let name = "tandem_gateway_registered";
    out.head(name, "gauge", "Whether we are registered at the gateway");
    for health in switch.gateway_health(now) {
        let id = health.gateway.to_string();
        if let Some(registration) = health.registration {
            let registered = registration.state == GatewayRegistrationState::Registered;
            out.line(name, &[("gateway", &id)], u8::from(registered));
        }
    }
}

/// How the live store is, if there is one.
pub(crate) fn live_store(live: Option<&LiveHealth>, counters: &Counters) -> String {
    let mut out = Page(String::new());
    if let Some(live) = live {
        let name = "tandem_live_store_up";
        let help = "Whether the live store answered last time";
        out.one(name, "gauge", help, u8::from(live.is_up()));
        if let Some(ahead) = live.clock_ahead() {
            let name = "tandem_clock_skew_seconds";
            let help = "How far this node's clock is ahead of the live store's";
            out.one(name, "gauge", help, ahead.as_micros() as f64 / 1e6);
        }
        let name = "tandem_cluster_nodes";
        let help = "Nodes that keep limits together, by the live store";
        out.one(name, "gauge", help, live.members());
        let name = "tandem_calls_taken_over_total";
        let help = "Calls of other nodes that go on here";
        out.one(name, "counter", help, counters.taken_over);
        let name = "tandem_calls_handed_over_total";
        let help = "Calls that another node had a request for, and goes on with";
        out.one(name, "counter", help, counters.handed_over);
        let name = "tandem_calls_lost_to_others_total";
        let help = "Calls that others took over while this node was taken for dead";
        out.one(name, "counter", help, counters.lost_to_others);
    }
    out.0
}

/// How bindings are shared, if they are.
pub(crate) fn locations(switch: &Switch, health: Option<&LocationHealth>) -> String {
    let mut out = Page(String::new());
    if let Some(health) = health {
        let name = "tandem_registrations_elsewhere";
        let help = "Contacts registered at other nodes of the cluster";
        out.one(name, "gauge", help, switch.bindings_elsewhere());
        let name = "tandem_locations_complete";
        let help = "Whether this node and the live store know all registrations of the cluster";
        out.one(name, "gauge", help, u8::from(health.is_complete()));
        let name = "tandem_locations_told_total";
        let help = "Changes of registrations told to other nodes";
        out.one(name, "counter", help, health.told());
        let name = "tandem_locations_heard_total";
        let help = "Changes of registrations heard from other nodes";
        out.one(name, "counter", help, health.heard());
        let name = "tandem_locations_refused_total";
        let help = "Registrations of other nodes there was no room for";
        out.one(name, "counter", help, switch.counters().locations_refused);
        let name = "tandem_sip_passed_on_total";
        let help = "Requests passed on between other nodes and phones registered here";
        out.one(name, "counter", help, switch.counters().passed_on);
    }
    out.0
}

/// What sharing bindings with servers that are no cluster costs, if that is done.
pub(crate) fn array(watch: Option<&ArrayWatch>) -> String {
    watch.map_or_else(String::new, |watch| array::text(&watch.status()))
}

/// Lines of nodes that came to nothing, where machines can join.
pub(crate) fn refused_lines(refused: Option<&RefusedLines>) -> String {
    refused.map_or_else(String::new, lines::text)
}

/// Whose limits refused calls, and how far those of carriers and gateways are used. Customers,
/// accounts, numbers and users are too many for labels.
fn limits(out: &mut Page, now: Time, switch: &Switch) {
    let name = "tandem_calls_limited_total";
    out.head(name, "counter", "Calls and attempts refused by a limit");
    for ((entity, limit), count) in &switch.counters().limited {
        let limit = match limit {
            LimitKind::Cps => "cps",
            LimitKind::Channels => "channels",
        };
        out.line(name, &[("entity", entity.name()), ("limit", limit)], *count);
    }
    let snapshot = switch.snapshot();
    let carriers = snapshot
        .carriers
        .iter()
        .map(|c| (c.id.to_string(), c.id.bits()));
    let gateways = snapshot
        .gateways
        .iter()
        .map(|g| (g.id.to_string(), g.id.bits()));
    let usage = |kind, bits| {
        let usage = switch.usage(now, EntityId::new(kind, bits));
        usage.unwrap_or_default()
    };
    let carriers: Vec<_> = carriers
        .map(|(id, bits)| ("carrier", id, usage(EntityKind::Carrier, bits)))
        .collect();
    let gateways: Vec<_> = gateways
        .map(|(id, bits)| ("gateway", id, usage(EntityKind::Gateway, bits)))
        .collect();
    for (label, all) in [("carrier", carriers), ("gateway", gateways)] {
        let name = format!("tandem_{label}_calls");
        out.head(&name, "gauge", "Calls in progress through it");
        for (label, id, usage) in &all {
            out.line(&name, &[(label, id)], usage.channels);
        }
        let name = format!("tandem_{label}_calls_limit");
        let help = "Calls allowed through it; where nodes share the limit, by this node";
        out.head(&name, "gauge", help);
        for (label, id, usage) in &all {
            if let Some(limit) = usage.limit.channels {
                out.line(&name, &[(label, id)], limit);
            }
        }
    }
}

fn media(out: &mut Page, host: &SwitchHost) {
    let counters = host.engine.counters();
    let ports = host.engine.ports();
    let name = "tandem_rtp_packets_total";
    out.one(name, "counter", "Packets relayed", counters.relayed_packets);
    out.one(
        "tandem_rtp_bytes_total",
        "counter",
        "Bytes relayed",
        counters.relayed_bytes,
    );
    out.one(
        "tandem_rtp_kernel_packets_total",
        "counter",
        "Packets relayed by the kernel",
        counters.kernel_packets,
    );
    let name = "tandem_rtp_dropped_total";
    out.head(name, "counter", "Packets not relayed");
    for reason in MediaDrop::ALL {
        out.line(
            name,
            &[("reason", reason.as_str())],
            counters.dropped(reason),
        );
    }
    out.one(
        "tandem_rtp_sessions",
        "gauge",
        "Media sessions",
        host.engine.sessions(),
    );
    out.one("tandem_rtp_ports_used", "gauge", "Ports in use", ports.used);
    out.one("tandem_rtp_ports_free", "gauge", "Ports free", ports.free);
    let name = "tandem_recordings_total";
    out.head(name, "counter", "Recordings that ended, by how");
    let ended = host.recordings;
    for (outcome, count) in [
        ("finished", ended.finished),
        ("damaged", ended.damaged),
        ("repaired", ended.repaired),
        ("failed", ended.failed),
        ("cut", ended.cut),
    ] {
        out.line(name, &[("outcome", outcome)], count);
    }
    write_uploads(out, &host.uploads.figures);
    quality(out, host);
}

/// Lines about recordings that are taken to a store, for the page of a process without a switch.
pub(crate) fn uploads(figures: &Figures) -> String {
    let mut page = Page(String::new());
    write_uploads(&mut page, figures);
    page.0
}

fn write_uploads(out: &mut Page, figures: &Figures) {
    let name = "tandem_recording_uploads_total";
    out.head(
        name,
        "counter",
        "Attempts to take a recording to the store, by how they ended",
    );
    for (outcome, count) in [("uploaded", &figures.uploaded), ("failed", &figures.failed)] {
        out.line(name, &[("outcome", outcome)], count.load(Relaxed));
    }
    let name = "tandem_recording_uploaded_bytes_total";
    let help = "Bytes of recordings that the store has confirmed";
    out.one(name, "counter", help, figures.uploaded_bytes.load(Relaxed));
    let name = "tandem_recordings_waiting";
    let help = "Finished recordings that the store has not got yet";
    out.one(name, "gauge", help, figures.waiting.load(Relaxed));
}

/// Of the calls that ended.
fn quality(out: &mut Page, host: &SwitchHost) {
    let quality = &host.quality;
    let name = "tandem_rtp_received_packets_total";
    let help = "Packets received in calls that ended";
    out.one(name, "counter", help, quality.packets);
    let name = "tandem_rtp_lost_packets_total";
    let help = "Packets lost on the way to us in calls that ended";
    out.one(name, "counter", help, quality.lost);
    let help = "Estimated MOS of what came from a leg of a call that ended";
    out.spread("tandem_leg_mos", help, &MOS_CENTI, 100.0, &quality.mos);
    let help = "Round trip to a leg of a call that ended";
    let name = "tandem_leg_round_trip_seconds";
    out.spread(name, help, &RTT_MS, 1_000.0, &quality.rtt);
}

/// How the media servers are.
pub(crate) fn media_servers(switch: &Switch, servers: &[MediaServerHealth]) -> String {
    let mut out = Page(String::new());
    let name = "tandem_calls_media_moved_total";
    let moved = switch.counters().media_moved;
    out.one(
        name,
        "counter",
        "Calls whose media moved to another server",
        moved,
    );
    let mut each = |name: &str, help: &str, of: &dyn Fn(&MediaServerHealth) -> Option<u64>| {
        out.head(name, "gauge", help);
        for server in servers {
            if let Some(value) = of(server) {
                let id = server.media_server.to_string();
                let labels = [("media_server", id.as_str()), ("name", &server.name)];
                out.line(name, &labels, value);
            }
        }
    };
    each(
        "tandem_media_server_up",
        "Whether the media server answers",
        &|s| {
            let answers = !matches!(s.state, MediaServerState::Down | MediaServerState::Unknown);
            Some(u64::from(answers && s.state != MediaServerState::Disabled))
        },
    );
    each(
        "tandem_media_server_sessions",
        "Sessions of this node on it",
        &|s| Some(s.sessions.into()),
    );
    each(
        "tandem_media_server_sessions_all",
        "Sessions of everybody on it",
        &|s| s.sessions_total.map(u64::from),
    );
    each("tandem_media_server_load_percent", "How busy it is", &|s| {
        s.load_percent.map(u64::from)
    });
    each(
        "tandem_media_server_rtt_us",
        "Round trip of the last ping",
        &|s| s.rtt_us.map(u64::from),
    );
    out.0
}
