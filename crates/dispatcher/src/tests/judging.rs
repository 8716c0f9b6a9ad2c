//! Whose responses count, and when.

use std::time::Duration;

use balancer::State;
use sip::HeaderName;

use super::world::{A, B, PHONE, Side, World, inside, request, target};
use forward::Seal;

const STRANGER: &str = "203.0.113.66:5060";
const CLOSE: &str = "503 Service Unavailable";

fn is_open(world: &World, name: &str) -> bool {
    let mut all = world.dispatcher.statuses(world.now);
    let found = all.find(|(target, _)| &*target.spec.name == name);
    found.is_some_and(|(_, status)| status.state == State::Up && status.closed_for.is_none())
}

#[test]
fn only_the_target_that_was_asked_is_heard() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let refusal = first[0].answer(CLOSE, "Retry-After: 300\r\n");
    for from in [STRANGER, B, "10.0.0.1:5061"] {
        assert!(world.udp(from, &refusal).is_empty(), "{from}");
        assert!(is_open(&world, "a"), "{from}");
    }
    assert_eq!(world.dispatcher.counters().strays, 3);
    let passed = world.udp(A, &first[0].answer("180 Ringing", ""));
    assert_eq!(passed[0].start(), "SIP/2.0 180 Ringing");
}

#[test]
fn a_stranger_does_not_speak_for_a_target_given_up() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.wait(Duration::from_secs(3));
    let late = first[0].answer("200 OK", "");
    assert!(world.udp(STRANGER, &late).is_empty());
    assert_eq!(world.udp(A, &late)[0].to.to_string(), PHONE);
}

/// What names a transaction to us must not be told to whoever asks.
#[test]
fn our_answers_do_not_say_what_a_response_must_have() {
    let mut world = World::new();
    let invite = request("INVITE", "c1", "1", "");
    let told = world.udp(PHONE, &invite.replace("INVITE", "CANCEL"));
    let tag = told[0].message.to().unwrap().tag().unwrap().to_vec();
    let sent = world.udp(PHONE, &invite);
    let via = sent[0].message.via().unwrap();
    let branch = via.branch().unwrap()["z9hG4bK".len()..].to_vec();
    let key = Seal::read_branch(&branch).unwrap().key;
    assert_ne!(tag, format!("{key:016x}").as_bytes());
    // And a repeated request still gets the same one.
    let again = World::new().udp(PHONE, &invite.replace("INVITE", "CANCEL"));
    assert_eq!(again[0].message.to().unwrap().tag(), Some(&tag[..]));
}

/// A customer at its limit must not close the switches for everybody.
#[test]
fn the_limit_of_a_caller_is_none_of_the_target() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let lines = "Retry-After: 30\r\nX-Tandem-Refusal: entity=customer\r\n";
    let passed = world.udp(A, &first[0].answer(CLOSE, lines));
    assert_eq!(passed.len(), 1, "nobody else is asked");
    assert_eq!(passed[0].start(), "SIP/2.0 503 Service Unavailable");
    assert_eq!(passed[0].all(HeaderName::RetryAfter), ["30"]);
    assert_eq!(passed[0].message.header_named("X-Tandem-Refusal"), None);
    assert!(is_open(&world, "a"));
    // It comes again, because its ACK is not there yet.
    let again = world.udp(A, &first[0].answer(CLOSE, lines));
    assert_eq!(again[0].message.header_named("X-Tandem-Refusal"), None);
    // What it says of itself is another thing.
    world.udp(PHONE, &request("INVITE", "c2", "2", ""));
    let third = world.udp(PHONE, &request("INVITE", "c3", "3", ""));
    assert_eq!(third[0].to.to_string(), A);
    world.udp(A, &third[0].answer(CLOSE, "Retry-After: 30\r\n"));
    assert!(!is_open(&world, "a"));
}

/// What a switch says to us alone of a call that it does not have yet, its phone does not hear.
#[test]
fn the_mark_of_a_refusal_inside_a_call_ends_here() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let routes = first[0].all(HeaderName::RecordRoute);
    world.udp(A, &first[0].answer("200 OK", ""));
    let bye = world.udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    let lines = "Retry-After: 1\r\nX-Tandem-Refusal: entity=call\r\n";
    let passed = world.udp(A, &bye[0].answer(CLOSE, lines));
    assert_eq!(passed[0].start(), "SIP/2.0 503 Service Unavailable");
    assert_eq!(passed[0].all(HeaderName::RetryAfter), ["1"]);
    assert_eq!(passed[0].message.header_named("X-Tandem-Refusal"), None);
}

/// A live call belongs to the switch that has it, whether that takes new ones or not.
#[test]
fn calls_stay_where_they_are_while_somebody_is_there() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let routes = first[0].all(HeaderName::RecordRoute);
    world.udp(A, &first[0].answer("200 OK", ""));
    for serial in 0..40 {
        let id = format!("f{serial}");
        let sent = world.udp(PHONE, &request("INVITE", &id, &id, ""));
        if sent[0].to.to_string() == A {
            world.udp(A, &sent[0].answer("500 Server Internal Error", ""));
        }
    }
    assert!(!is_open(&world, "a"), "it fails calls");
    let sent = world.udp(PHONE, &inside("INFO", "c1", &routes, Side::Caller));
    assert_eq!(sent[0].to.to_string(), A);
    assert_eq!(world.dispatcher.counters().stand_ins, 0);
}

/// Takes a target down, as the kernel does that says that nobody listens.
fn kill(world: &mut World, name: &str) {
    let dead = if name == "a" { A } else { B };
    for serial in 0..2 {
        let id = format!("kill-{serial}");
        let mut sent = world.udp(PHONE, &request("OPTIONS", &id, &id, ""));
        if sent[0].to.to_string() == dead {
            let key = sent[0].key;
            world.dispatcher.handle_transmit_failed(world.now, key);
            sent = world.sent();
        }
        let alive = sent[0].to.to_string();
        world.udp(&alive, &sent[0].answer("200 OK", ""));
    }
    assert!(!is_open(world, name));
}

#[test]
fn a_target_that_dies_over_a_call_loses_it_to_the_next() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.udp(A, &first[0].answer("100 Trying", ""));
    assert!(
        world.wait(Duration::from_secs(60)).is_empty(),
        "it is there"
    );
    kill(&mut world, "a");
    let moved = world.wait(Duration::from_secs(5));
    assert_eq!(moved[0].start(), "INVITE sip:bob@example.com SIP/2.0");
    assert_eq!(moved[0].to.to_string(), B);
}

#[test]
fn a_call_cancelled_at_a_target_that_dies_ends_for_its_caller() {
    let mut world = World::new();
    let invite = request("INVITE", "c1", "1", "");
    let first = world.udp(PHONE, &invite);
    world.udp(A, &first[0].answer("100 Trying", ""));
    world.udp(PHONE, &invite.replace("INVITE", "CANCEL"));
    kill(&mut world, "a");
    let told = world.wait(Duration::from_secs(5));
    assert_eq!(told[0].start(), "SIP/2.0 487 Request Terminated");
    assert_eq!(told[0].to.to_string(), PHONE);
}

/// Many calls ring before the first is answered.
#[test]
fn a_call_counts_from_when_its_target_was_chosen() {
    let mut world = World::new();
    let mut targets: Vec<_> = world.dispatcher.targets().cloned().collect();
    for target in &mut targets {
        target.spec.calls_max = Some(1);
    }
    world.dispatcher.set_targets(world.now, &targets).unwrap();
    let invite = |world: &mut World, id: &str| {
        let mut sent = world.udp(PHONE, &request("INVITE", id, id, ""));
        sent.remove(0)
    };
    let first = invite(&mut world, "c1");
    assert_eq!(first.to.to_string(), A);
    let second = invite(&mut world, "c2");
    assert_eq!(second.to.to_string(), B);
    assert!(invite(&mut world, "c3").start().starts_with("SIP/2.0 503"));
    // One that came to nothing leaves its place to the next, and so does one that moves.
    world.udp(A, &first.answer("486 Busy Here", ""));
    let fourth = invite(&mut world, "c4");
    assert_eq!(fourth.to.to_string(), A);
    world.udp(A, &fourth.answer("200 OK", ""));
    assert!(invite(&mut world, "c5").start().starts_with("SIP/2.0 503"));
    world.udp(B, &second.answer("503 Service Unavailable", ""));
    assert_eq!(invite(&mut world, "c6").to.to_string(), B);
}

#[test]
fn another_address_is_another_target() {
    let mut world = World::new();
    kill(&mut world, "a");
    let mut targets: Vec<_> = world.dispatcher.targets().cloned().collect();
    targets[0].remote = "10.0.0.9:5060".parse().unwrap();
    world.dispatcher.set_targets(world.now, &targets).unwrap();
    assert!(is_open(&world, "a"), "nothing is known against this one");
}

#[test]
fn a_repeated_failure_counts_once() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let failure = first[0].answer("500 Server Internal Error", "");
    for _ in 0..40 {
        let passed = world.udp(A, &failure);
        assert_eq!(passed[0].to.to_string(), PHONE, "until the ACK is there");
    }
    assert!(is_open(&world, "a"));
    let late = world.udp(A, &first[0].answer("180 Ringing", ""));
    assert!(late.is_empty(), "behind the final answer nothing rings");
}

#[test]
fn an_answered_call_is_forgotten_when_its_repetitions_have_ended() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.udp(A, &first[0].answer("180 Ringing", ""));
    world.wait(Duration::from_secs(5));
    let passed = world.udp(A, &first[0].answer("200 OK", ""));
    assert_eq!(passed[0].all(HeaderName::CSeq), ["1 INVITE"]);
    assert_eq!(world.dispatcher.pending_count(), 1);
    world.wait(Duration::from_secs(33));
    assert_eq!(world.dispatcher.pending_count(), 0);
}

#[test]
fn what_is_too_large_to_be_sent_on_is_refused_and_says_nothing_of_targets() {
    let mut world = World::new();
    let long = format!("X-Long: {}\r\n", "x".repeat(32_000));
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", &long));
    assert_eq!(sent[0].start(), "SIP/2.0 513 Message Too Large");
    let body = "x".repeat(64_600);
    let whole = request("MESSAGE", "c2", "2", "").replace("Length: 0", "Length: 64600") + &body;
    let sent = world.udp(PHONE, &whole);
    assert_eq!(sent[0].start(), "SIP/2.0 513 Message Too Large");
    assert_eq!(world.wait(Duration::from_secs(10)).len(), 0);
    assert!(is_open(&world, "a") && is_open(&world, "b"));
}

#[test]
fn a_call_stays_with_a_target_that_is_taken_out_while_it_works_on_it() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.udp(A, &first[0].answer("100 Trying", ""));
    let now = world.now;
    world
        .dispatcher
        .set_targets(now, &[target("b", B)])
        .unwrap();
    assert_eq!(world.wait(Duration::from_secs(20)).len(), 0);
    let passed = world.udp(A, &first[0].answer("180 Ringing", ""));
    assert_eq!(passed[0].to.to_string(), PHONE);
}

#[test]
fn a_target_given_up_and_taken_out_is_cancelled() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.wait(Duration::from_secs(3));
    let now = world.now;
    world
        .dispatcher
        .set_targets(now, &[target("b", B)])
        .unwrap();
    let sent = world.udp(A, &first[0].answer("180 Ringing", ""));
    assert!(
        sent[0].start().starts_with("CANCEL "),
        "{}",
        sent[0].start()
    );
}

#[test]
fn calls_of_a_target_taken_out_because_it_died_go_to_a_fellow() {
    let mut world = World::new();
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let routes = sent[0].all(sip::HeaderName::RecordRoute);
    world.udp(A, &sent[0].answer("200 OK", ""));
    kill(&mut world, "a");
    let now = world.now;
    world
        .dispatcher
        .set_targets(now, &[target("b", B)])
        .unwrap();
    let sent = world.udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    assert_eq!(sent[0].to.to_string(), B);
}

#[test]
fn who_is_full_of_calls_still_takes_registrations() {
    let mut world = World::new();
    let mut full = target("a", A);
    full.spec.calls_max = Some(0);
    full.spec.cps_max = Some(0);
    let now = world.now;
    world.dispatcher.set_targets(now, &[full]).unwrap();
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    assert_eq!(sent[0].start(), "SIP/2.0 503 Service Unavailable");
    let sent = world.udp(PHONE, &request("REGISTER", "r1", "2", ""));
    assert_eq!(sent[0].to.to_string(), A);
}
