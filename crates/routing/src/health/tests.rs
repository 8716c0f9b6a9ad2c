use core::time::Duration;

use clock::Time;
use model::{CarrierId, Gateway, GatewayId, LimitSpec};

use super::*;

const GATEWAY: GatewayId = GatewayId::from_bits(1);
const ANSWERED: Probe = Probe::Answered { rtt_us: 900 };

fn at(s: u64) -> Time {
    Time::from_secs(1_000 + s)
}

fn gateway(ping_interval_s: u16) -> Gateway {
    Gateway {
        id: GATEWAY,
        carrier: CarrierId::from_bits(1),
        name: "g".into(),
        host: "192.0.2.1".into(),
        port: None,
        transport: None,
        priority: 0,
        weight: 1,
        ping_interval_s,
        no_answer_timeout_ms: 0,
        auth: None,
        registration: None,
        inbound: true,
        enabled: true,
        limits: LimitSpec::default(),
    }
}

fn health(ping_interval_s: u16) -> Health {
    let mut health = Health::default();
    health.configure(at(0), [&gateway(ping_interval_s)]);
    health
}

fn events(health: &mut Health, now: Time) -> Vec<HealthEvent> {
    core::iter::from_fn(|| health.poll_output(now)).collect()
}

fn is_up(health: &Health, now: Time) -> bool {
    health.availability(now, GATEWAY) == Availability::Up
}

fn down(cause: DownCause, until: Option<Time>) -> HealthEvent {
    HealthEvent::Down {
        gateway: GATEWAY,
        cause,
        until,
    }
}

const UP: HealthEvent = HealthEvent::Up { gateway: GATEWAY };

#[test]
fn a_probe_is_asked_for_in_each_interval() {
    let mut health = health(10);
    let first = health.poll_timeout().unwrap();
    assert!(first >= at(0) && first < at(10));
    assert_eq!(events(&mut health, first), [HealthEvent::Probe(GATEWAY)]);
    assert_eq!(events(&mut health, first), []);
    assert_eq!(health.poll_timeout(), Some(first + Duration::from_secs(10)));
}

#[test]
fn without_an_interval_nothing_is_asked_for() {
    assert_eq!(health(0).poll_timeout(), None);
}

#[test]
fn silence_takes_down_and_answers_bring_back() {
    let mut health = health(10);
    for _ in 1..PROBES_DOWN {
        health.handle_probe(at(0), GATEWAY, Probe::Silent);
    }
    health.handle_probe(at(0), GATEWAY, ANSWERED);
    for _ in 1..PROBES_DOWN {
        health.handle_probe(at(0), GATEWAY, Probe::Silent);
    }
    assert!(is_up(&health, at(0)), "not in a row");
    health.handle_probe(at(0), GATEWAY, Probe::Silent);
    assert!(!is_up(&health, at(9_999)));
    for _ in 1..PROBES_UP {
        health.handle_probe(at(1), GATEWAY, ANSWERED);
    }
    assert!(!is_up(&health, at(1)));
    health.handle_probe(at(1), GATEWAY, ANSWERED);
    assert!(is_up(&health, at(1)));
    assert_eq!(health.events, [down(DownCause::Silent, None), UP]);
    assert_eq!(health.status(GATEWAY).unwrap().rtt_us, Some(900));
}

#[test]
fn failed_calls_take_down_for_a_rest() {
    let mut health = health(0);
    for _ in 1..CALLS_DOWN {
        health.handle_failure(at(0), GATEWAY, Failure::Silent);
    }
    health.handle_success(GATEWAY);
    for _ in 1..CALLS_DOWN {
        health.handle_failure(at(0), GATEWAY, Failure::Status(500));
    }
    assert!(is_up(&health, at(0)), "not in a row");
    health.handle_failure(
        at(0),
        GATEWAY,
        Failure::Unavailable {
            retry_after_s: None,
        },
    );
    let until = at(u64::from(REST_S));
    let told = [down(DownCause::FailedCalls, Some(until))];
    assert_eq!(events(&mut health, at(0)), told);
    assert!(!is_up(&health, at(1)));
    assert_eq!(health.poll_timeout(), Some(until));
    assert_eq!(events(&mut health, until), [UP]);
    assert!(is_up(&health, until));
}

/// People are not told that it is up because nothing was tried for a while.
#[test]
fn a_gateway_is_said_to_be_up_by_evidence_only() {
    let mut health = health(0);
    let said = |health: &Health| health.status(GATEWAY).unwrap().up;
    assert_eq!(said(&health), None, "nothing was heard of it");
    for _ in 0..CALLS_DOWN {
        assert_eq!(said(&health), None);
        health.handle_failure(at(0), GATEWAY, Failure::Silent);
    }
    assert_eq!(said(&health), Some(false));
    let until = at(u64::from(REST_S));
    events(&mut health, until);
    assert!(is_up(&health, until), "the next call tries it");
    assert_eq!(said(&health), None, "a rest that has ended proves nothing");
    health.handle_success(GATEWAY);
    assert_eq!(said(&health), Some(true));
    health.handle_failure(until, GATEWAY, Failure::Silent);
    assert_eq!(said(&health), Some(true), "one call in a thousand may fail");
}

#[test]
fn retry_after_is_obeyed_and_cut() {
    let mut health = health(10);
    let retry_after_s = Some(5);
    health.handle_failure(at(0), GATEWAY, Failure::Unavailable { retry_after_s });
    for _ in 0..PROBES_UP {
        health.handle_probe(at(1), GATEWAY, ANSWERED);
    }
    assert!(!is_up(&health, at(4)), "answers to OPTIONS do not end it");
    assert!(is_up(&health, at(5)));
    let retry_after_s = 1_000_000;
    health.handle_probe(at(6), GATEWAY, Probe::Unavailable { retry_after_s });
    let until = at(6 + u64::from(RETRY_AFTER_MAX_S));
    assert_eq!(
        health.availability(at(6), GATEWAY),
        Availability::Down { until: Some(until) }
    );
}

#[test]
fn a_new_configuration_keeps_what_is_known() {
    let mut health = health(10);
    for _ in 0..PROBES_DOWN {
        health.handle_probe(at(0), GATEWAY, Probe::Silent);
    }
    let due = health.timers.clone();
    health.configure(at(3), [&gateway(10)]);
    assert!(!is_up(&health, at(3)));
    assert_eq!(health.timers, due);
    health.configure(at(3), [&gateway(0)]);
    assert!(is_up(&health, at(3)), "nothing else could bring it back");
    health.configure(at(3), []);
    assert_eq!(health.status(GATEWAY), None);
    assert!(health.timers.is_empty());
    health.handle_probe(at(4), GATEWAY, Probe::Silent);
    assert!(is_up(&health, at(4)));
}
