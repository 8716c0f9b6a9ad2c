//! What sharing registrations in an array costs.

use store::{ArrayHeard, ArrayLink, ArrayPeer, ArrayStatus, ArrayTold};

use super::page::Page;

pub(super) fn text(status: &ArrayStatus) -> String {
    let mut out = Page(String::new());
    let name = "tandem_array_cpu_seconds_total";
    let help = "Processor time spent on sharing registrations with servers of the array";
    out.one(name, "counter", help, status.cpu.as_secs_f64());
    let name = "tandem_array_shelf";
    let help = "Registrations that this server shows to others, and ends they may have missed";
    out.one(name, "gauge", help, status.shelf);
    told(&mut out, status);
    heard(&mut out, status);
    out.0
}

/// A figure of what one side does for another.
type Figure<T> = (
    &'static str,
    &'static str,
    &'static str,
    fn(&T) -> Option<f64>,
);

fn told(out: &mut Page, status: &ArrayStatus) {
    let figures: [Figure<ArrayTold>; 7] = [
        (
            "tandem_array_told_up",
            "gauge",
            "Whether another server listens to this one",
            |told| Some(up(told.link)),
        ),
        (
            "tandem_array_told_messages_total",
            "counter",
            "Messages to another server and its answers",
            |told| Some(told.messages as f64),
        ),
        (
            "tandem_array_told_bytes_total",
            "counter",
            "Bytes of those messages, without TLS",
            |told| Some(told.bytes as f64),
        ),
        (
            "tandem_array_told_changes_total",
            "counter",
            "Changes of registrations told to another server",
            |told| Some(told.changes as f64),
        ),
        (
            "tandem_array_lag_seconds",
            "gauge",
            "From a change here until another server had taken it, of the last portion",
            |told| told.lag.map(|lag| lag.as_secs_f64()),
        ),
        (
            "tandem_array_behind",
            "gauge",
            "Portions that another server has not taken yet",
            |told| Some(told.behind as f64),
        ),
        (
            "tandem_array_clock_skew_seconds",
            "gauge",
            "How far the clock of another server is ahead of ours",
            |told| told.skew_us.map(|us| us as f64 / 1e6),
        ),
    ];
    let peers = |peer: &ArrayPeer| Some((peer.id.clone(), peer.told.clone()?));
    let peers: Vec<_> = status.peers.iter().filter_map(peers).collect();
    table(out, &figures, &peers);
}

fn heard(out: &mut Page, status: &ArrayStatus) {
    let figures: [Figure<ArrayHeard>; 6] = [
        (
            "tandem_array_heard_up",
            "gauge",
            "Whether another server is listened to",
            |heard| Some(up(heard.link)),
        ),
        (
            "tandem_array_heard_messages_total",
            "counter",
            "Messages from another server and answers to them",
            |heard| Some(heard.messages as f64),
        ),
        (
            "tandem_array_heard_bytes_total",
            "counter",
            "Bytes of those messages, without TLS",
            |heard| Some(heard.bytes as f64),
        ),
        (
            "tandem_array_heard_changes_total",
            "counter",
            "Changes of registrations heard from another server",
            |heard| Some(heard.changes as f64),
        ),
        (
            "tandem_array_looks_total",
            "counter",
            "How often all registrations of another server had to be fetched",
            |heard| Some(heard.looks as f64),
        ),
        (
            "tandem_array_failures_total",
            "counter",
            "Connections to another server that failed or broke",
            |heard| Some(heard.failures as f64),
        ),
    ];
    let peers = |peer: &ArrayPeer| {
        let heard = peer.heard.clone()?;
        Some((heard.address.clone(), heard))
    };
    let peers: Vec<_> = status.peers.iter().filter_map(peers).collect();
    table(out, &figures, &peers);
}

fn table<T>(out: &mut Page, figures: &[Figure<T>], peers: &[(String, T)]) {
    for (name, kind, help, value) in figures {
        out.head(name, kind, help);
        for (peer, figure) in peers {
            if let Some(value) = value(figure) {
                out.line(name, &[("peer", peer)], value);
            }
        }
    }
}

fn up(link: ArrayLink) -> f64 {
    match link {
        ArrayLink::Up => 1.0,
        ArrayLink::Down => 0.0,
    }
}
