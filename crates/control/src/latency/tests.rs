use super::*;
use crate::nodes::Distance;

const NOW_US: u64 = 5_000_000_000;

fn server(n: u64, zone: &str) -> Server {
    let id = ServerId::from_parts(n, 0);
    let json = format!(r#"{{"id":"{id}","name":"{n}","zone":"{zone}"}}"#);
    serde_json::from_str(&json).unwrap()
}

fn trips(median_ms: u32, age_ms: u64) -> RoundTrips {
    RoundTrips {
        asked: 12,
        lost: 1,
        median_us: Some(median_ms * 1_000),
        worst_us: Some(median_ms * 2_000),
        age_ms: Some(age_ms),
    }
}

fn measured(from: u64, to: u64, sip: RoundTrips, icmp: Option<RoundTrips>) -> Measured {
    Measured {
        from: ServerId::from_parts(from, 0),
        at_us: NOW_US,
        distance: Distance {
            server: ServerId::from_parts(to, 0),
            sip,
            icmp,
        },
        icmp_refused: icmp.is_none().then(|| "it may not".to_owned()),
    }
}

fn cell<'a>(all: &'a [ZoneLatency], from: &str, to: &str) -> &'a ZoneLatency {
    let mut cells = all.iter();
    cells.find(|one| one.from == from && one.to == to).unwrap()
}

#[test]
fn a_pair_of_zones_has_the_median_of_its_servers_and_the_worst_of_all() {
    let servers = [
        server(1, "A"),
        server(2, "A"),
        server(3, "B"),
        server(4, ""),
    ];
    let servers: Vec<&Server> = servers.iter().collect();
    let told = [
        measured(1, 3, trips(40, 900), Some(trips(30, 900))),
        measured(2, 3, trips(60, 3_000), None),
        measured(4, 3, trips(900, 1), None),
        measured(1, 2, trips(1, 100), Some(trips(1, 100))),
    ];
    let all = between_zones(&servers, &told, NOW_US);
    let names: Vec<_> = all
        .iter()
        .map(|c| (c.from.as_str(), c.to.as_str()))
        .collect();
    assert_eq!(names, [("A", "A"), ("A", "B"), ("B", "A")]);
    let there = cell(&all, "A", "B");
    assert_eq!(there.sip.state, LatencyState::Measured);
    assert_eq!(
        (there.sip.median_us, there.sip.worst_us),
        (Some(60_000), Some(120_000))
    );
    assert_eq!(
        (there.sip.pairs, there.sip.asked, there.sip.lost),
        (2, 24, 2)
    );
    assert_eq!(there.sip.age_s, Some(0));
    assert_eq!((there.icmp.median_us, there.icmp.pairs), (Some(30_000), 1));
    let back = cell(&all, "B", "A");
    assert_eq!(back.sip.state, LatencyState::Unknown);
    assert_eq!(back.sip.median_us, None, "unknown is no 0");
}

#[test]
fn what_cannot_be_sent_is_unknown_and_says_why() {
    let servers = [server(1, "A"), server(2, "B")];
    let servers: Vec<&Server> = servers.iter().collect();
    let told = [measured(1, 2, trips(40, 900), None)];
    let all = between_zones(&servers, &told, NOW_US);
    let icmp = &cell(&all, "A", "B").icmp;
    assert_eq!(
        (icmp.state, &*icmp.cause),
        (LatencyState::Unknown, "it may not")
    );
    assert_eq!((icmp.median_us, icmp.age_s), (None, None));
}

#[test]
fn old_figures_are_marked_and_then_forgotten() {
    let seen = |age_ms: u64| Latency::of(&[(trips(40, age_ms), 0)], None);
    assert_eq!(seen(FRESH_MS).state, LatencyState::Measured);
    let stale = seen(FRESH_MS + 1_000);
    assert_eq!((stale.state, stale.age_s), (LatencyState::Stale, Some(21)));
    assert_eq!(stale.median_us, Some(40_000));
    assert!(stale.cause.contains("21 s ago"), "{}", stale.cause);
    let forgotten = seen(KEPT_MS + 1);
    assert_eq!(forgotten.state, LatencyState::Unanswered);
    assert_eq!(forgotten.median_us, None);
    // A fresh one beside it is what counts.
    let both = Latency::of(&[(trips(900, FRESH_MS + 1), 0), (trips(7, 5), 0)], None);
    assert_eq!((both.median_us, both.pairs), (Some(7_000), 1));
}

#[test]
fn who_does_not_report_any_more_grows_old() {
    let mut silent = measured(1, 2, trips(40, 500), Some(trips(30, 500)));
    silent.at_us = NOW_US - 60_000_000;
    let all = towards_servers(&[silent], NOW_US);
    let (sip, icmp) = &all[&ServerId::from_parts(2, 0)];
    assert_eq!((sip.state, sip.age_s), (LatencyState::Stale, Some(60)));
    assert_eq!((icmp.state, icmp.asked), (LatencyState::Stale, 0));
}

#[test]
fn who_never_answered_is_unanswered() {
    let none = RoundTrips {
        asked: 12,
        lost: 12,
        ..RoundTrips::default()
    };
    let all = towards_servers(&[measured(1, 2, none, Some(trips(30, 5)))], NOW_US);
    let (sip, icmp) = &all[&ServerId::from_parts(2, 0)];
    assert_eq!(sip.state, LatencyState::Unanswered);
    assert!(sip.cause.contains("12 times"), "{}", sip.cause);
    assert_eq!(icmp.state, LatencyState::Measured);
}
