//! A target dies while calls ring, and another goes on with them.

use sip::HeaderName;

use super::world::{A, B, PHONE, World, request};

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
