//! A target dies while calls ring, and another goes on with them.

use std::time::Duration;

use sip::HeaderName;

use super::world::{A, B, PHONE, Sent, Side, World, inside, request, target};

/// The Path that a target is told of a phone.
fn path(w: &mut World) -> String {
    let sent = w.udp(PHONE, &request("REGISTER", "r", "r", ""));
    sent[0].all(HeaderName::Path).remove(0)
}

/// What target A sends to a phone behind a path.
fn of_a(method: &str, path: &str) -> String {
    let text = request(method, "c", "x", &format!("Route: {path}\r\n"));
    text.replace("UDP 10.9.9.9:5060", &format!("UDP {A}"))
}

#[test]
fn the_caller_hears_the_successor_and_cancels_there() {
    let mut w = World::new();
    let sent = w.udp(PHONE, &request("INVITE", "c", "x", "")).remove(0);
    let (dead, heir) = match sent.to.to_string() == A {
        true => (A, B),
        false => (B, A),
    };
    let rang = w.udp(dead, &sent.answer("180 Ringing", ""));
    assert_eq!(rang[0].to.to_string(), PHONE);
    let rings = w.udp(heir, &sent.answer("180 Ringing", ""));
    assert_eq!(rings[0].to.to_string(), PHONE);
    let cancel = w.udp(PHONE, &request("CANCEL", "c", "x", ""));
    assert_eq!(cancel[0].to.to_string(), heir);
    assert_eq!(
        cancel[0].all(HeaderName::Via)[0],
        sent.all(HeaderName::Via)[0]
    );
    let over = w.udp(heir, &sent.answer("487 Request Terminated", ""));
    assert_eq!(over[0].start(), "SIP/2.0 487 Request Terminated");
    let ack = w.udp(PHONE, &request("ACK", "c", "x", ""));
    assert_eq!(ack[0].to.to_string(), heir);
}

/// Who goes on with a call over TLS has no connection of the dead one: it calls from any port.
#[test]
fn the_caller_hears_a_successor_that_calls_from_another_port() {
    let mut w = World::with_secure_targets();
    let sent = w.udp(PHONE, &request("INVITE", "c", "x", "")).remove(0);
    let (dead, heir, port) = match sent.to.to_string() == A {
        true => (A, B, "10.0.0.2:49152"),
        false => (B, A, "10.0.0.1:49152"),
    };
    let rang = w.tls_from(1, dead, &sent.answer("180 Ringing", ""));
    assert_eq!(rang[0].to.to_string(), PHONE);
    let rings = w.tls_from(2, port, &sent.answer("180 Ringing", ""));
    assert_eq!(rings[0].to.to_string(), PHONE);
    let cancel = w.udp(PHONE, &request("CANCEL", "c", "x", ""));
    assert_eq!(cancel[0].to.to_string(), heir);
    assert_ne!(cancel[0].name, sent.name);
    assert!(cancel[0].name.ends_with(".example.com"), "its certificate");
    let answered = w.tls_from(2, port, &sent.answer("200 OK", ""));
    assert_eq!(answered[0].start(), "SIP/2.0 200 OK");
    assert_eq!(answered[0].to.to_string(), PHONE);
    let name = if heir == A { "a" } else { "b" };
    assert_eq!(w.calls(name), 1);
    assert_eq!(w.dispatcher.counters().stand_ins, 1);
}

/// Of several targets behind one address nobody knows which one it is.
#[test]
fn an_address_of_several_targets_answers_for_no_other() {
    let mut w = World::with_secure_targets();
    let mut targets: Vec<_> = w.dispatcher.targets().cloned().collect();
    let mut twin = targets[1].clone();
    twin.spec.name = "c".into();
    twin.remote.set_port(5070);
    targets.push(twin);
    w.dispatcher.set_targets(w.now, &targets).unwrap();
    let sent = w.udp(PHONE, &request("INVITE", "c", "x", "")).remove(0);
    assert_eq!(sent.to.to_string(), A, "the first turn");
    w.tls_from(1, A, &sent.answer("180 Ringing", ""));
    let stray = w.tls_from(2, "10.0.0.2:49152", &sent.answer("200 OK", ""));
    assert!(stray.is_empty());
    let known = w.tls_from(3, "10.0.0.2:5070", &sent.answer("200 OK", ""));
    assert_eq!(known[0].start(), "SIP/2.0 200 OK");
}

#[test]
fn strangers_answer_for_nobody() {
    let mut w = World::new();
    let sent = w.udp(PHONE, &request("INVITE", "c", "x", "")).remove(0);
    w.udp(&sent.to.to_string(), &sent.answer("180 Ringing", ""));
    assert!(
        w.udp("10.0.0.9:5060", &sent.answer("200 OK", ""))
            .is_empty()
    );
}

#[test]
fn a_phone_hears_the_same_request_and_answers_the_successor() {
    let mut w = World::new();
    let path = path(&mut w);
    let first = w.udp(A, &of_a("INVITE", &path)).remove(0);
    assert_eq!(first.to.to_string(), PHONE);
    let again = w.udp(B, &of_a("INVITE", &path)).remove(0);
    assert_eq!(again.to.to_string(), PHONE);
    assert_eq!(again.all(HeaderName::Via)[0], first.all(HeaderName::Via)[0]);
    let answered = w.udp(PHONE, &first.answer("200 OK", ""));
    assert_eq!(answered[0].to.to_string(), B);
    let cancel = w.udp(B, &of_a("CANCEL", &path)).remove(0);
    assert_eq!(
        cancel.all(HeaderName::Via)[0],
        first.all(HeaderName::Via)[0]
    );
}

#[test]
fn who_is_no_target_speaks_for_none() {
    let mut w = World::new();
    let path = path(&mut w);
    let first = w.udp(A, &of_a("INVITE", &path)).remove(0);
    w.udp("10.0.0.9:5060", &of_a("INVITE", &path));
    let answered = w.udp(PHONE, &first.answer("200 OK", ""));
    assert_eq!(answered[0].to.to_string(), A);
}

/// The 200 of the dead one was lost behind us, and its successor says it again.
#[test]
fn a_successor_repeats_an_answer_and_has_its_ack() {
    const C: &str = "10.0.0.3:5060";
    // Whom the call would go to by its name alone is as often the other.
    for number in 0..8 {
        let mut w = World::new();
        let targets = [target("a", A), target("b", B), target("c", C)];
        w.dispatcher.set_targets(w.now, &targets).unwrap();
        let call = format!("c{number}");
        let sent = w.udp(PHONE, &request("INVITE", &call, "x", "")).remove(0);
        let dead = sent.to.to_string();
        let routes = sent.all(HeaderName::RecordRoute);
        let heir = [A, B, C].into_iter().find(|at| *at != dead).unwrap();
        let answer = sent.answer("200 OK", "");
        assert_eq!(w.udp(&dead, &answer)[0].to.to_string(), PHONE);
        let again = w.udp(heir, &answer);
        assert_eq!(again[0].to.to_string(), PHONE);
        let ack = w.udp(PHONE, &inside("ACK", &call, &routes, Side::Caller));
        assert_eq!(ack[0].to.to_string(), heir, "{call}");
    }
}

/// The same in a call that is up, of whose requests nothing is remembered.
#[test]
fn the_ack_inside_a_call_goes_to_whoever_has_answered() {
    for heir in [A, B] {
        let mut w = World::new();
        let first = w.udp(PHONE, &request("INVITE", "c", "x", "")).remove(0);
        let routes = first.all(HeaderName::RecordRoute);
        w.udp(&first.to.to_string(), &first.answer("200 OK", ""));
        let invite = inside("INVITE", "c", &routes, Side::Caller).replace("CSeq: 1", "CSeq: 2");
        let sent = w.udp(PHONE, &invite).remove(0);
        let answered = w.udp(heir, &sent.answer("200 OK", ""));
        assert_eq!(answered[0].to.to_string(), PHONE);
        w.wait(Duration::from_secs(1));
        let ack = inside("ACK", "c", &routes, Side::Caller).replace("CSeq: 1", "CSeq: 2");
        assert_eq!(w.udp(PHONE, &ack)[0].to.to_string(), heir);
    }
}

/// What was refused is over: an answer of anybody else comes too late.
#[test]
fn a_successor_answers_nothing_that_was_refused() {
    let mut w = World::new();
    let sent = w.udp(PHONE, &request("INVITE", "c", "x", "")).remove(0);
    let (dead, heir) = match sent.to.to_string() == A {
        true => (A, B),
        false => (B, A),
    };
    w.udp(dead, &sent.answer("180 Ringing", ""));
    w.udp(dead, &sent.answer("486 Busy Here", ""));
    assert!(w.udp(heir, &sent.answer("200 OK", "")).is_empty());
}

/// Nothing but 100 of the dead one came through, or not even that.
#[test]
fn a_successor_is_heard_though_nothing_was_heard_of_the_dead_one() {
    for heard in [None, Some("100 Trying")] {
        let mut w = World::new();
        let sent = w.udp(PHONE, &request("INVITE", "c", "x", "")).remove(0);
        let (dead, heir) = match sent.to.to_string() == A {
            true => (A, B),
            false => (B, A),
        };
        if let Some(heard) = heard {
            w.udp(dead, &sent.answer(heard, ""));
        }
        let answered = w.udp(heir, &sent.answer("200 OK", ""));
        assert_eq!(answered[0].to.to_string(), PHONE, "{heard:?}");
    }
}

/// The caller's CANCEL went to the dead one.
#[test]
fn a_successor_is_told_that_the_caller_has_given_up() {
    let mut w = World::new();
    let sent = w.udp(PHONE, &request("INVITE", "c", "x", "")).remove(0);
    let (dead, heir) = match sent.to.to_string() == A {
        true => (A, B),
        false => (B, A),
    };
    w.udp(dead, &sent.answer("100 Trying", ""));
    w.udp(PHONE, &request("CANCEL", "c", "x", ""));
    let told = w.udp(heir, &sent.answer("180 Ringing", ""));
    let to_heir = told.iter().find(|sent| sent.to.to_string() == heir);
    let cancel = to_heir.expect("nobody tells it");
    assert_eq!(cancel.message.method(), sip::Method::Cancel);
    let branch = |sent: &Sent| sent.message.via().unwrap().branch().map(<[u8]>::to_vec);
    assert_eq!(branch(cancel), branch(&sent));
    let over = w.udp(heir, &sent.answer("487 Request Terminated", ""));
    assert!(over.iter().any(|sent| sent.to.to_string() == PHONE));
}
