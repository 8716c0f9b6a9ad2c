//! What comes when nobody waits for it any more.

use std::time::Duration;

use sip::{HeaderName, Method};

use super::world::{A, B, PHONE, Sent, World, request};

/// As long as a target may be silent, and a little.
const SILENCE: Duration = Duration::from_millis(2_100);

fn starts(sent: &[Sent]) -> Vec<(String, String)> {
    let text = |s: &Sent| {
        (
            s.to.to_string(),
            s.start().split(' ').next().unwrap_or("").to_owned(),
        )
    };
    sent.iter().map(text).collect()
}

fn pair(to: &str, what: &str) -> (String, String) {
    (to.to_owned(), what.to_owned())
}

#[test]
fn a_call_answered_after_our_refusal_is_taken_and_ended() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let second = world.wait(SILENCE);
    assert_eq!(second[0].to.to_string(), B);
    let refusal = world.wait(SILENCE).remove(0);
    assert!(
        refusal.start().starts_with("SIP/2.0 503"),
        "{}",
        refusal.start()
    );
    world.udp(PHONE, &request("ACK", "c1", "1", ""));
    let answer = first[0].answer("200 OK", "Contact: <sip:bob@10.0.0.1:5070>\r\n");
    let sent = world.udp(A, &answer);
    assert_eq!(starts(&sent), [pair(A, "ACK"), pair(A, "BYE")]);
    for own in &sent {
        assert!(
            own.start().contains("sip:bob@10.0.0.1:5070"),
            "{}",
            own.start()
        );
        let to = own.message.to().unwrap();
        assert_eq!(to.tag(), Some(&b"callee"[..]));
    }
    assert_eq!(sent[1].message.cseq().unwrap().number, 2);
    // It is lost, and comes again until it is answered; the phone hears of nothing.
    let again = world.wait(Duration::from_millis(600));
    assert_eq!(starts(&again), [pair(A, "BYE")]);
    assert!(world.udp(A, &sent[1].answer("200 OK", "")).is_empty());
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
    assert_eq!(world.dispatcher.counters().strays, 0);
}

/// The caller's transaction is over (RFC 3261 §17.1.1.2): an answer would find nobody there.
#[test]
fn a_call_answered_after_the_refusal_of_another_target_is_taken_and_ended() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let second = world.wait(SILENCE);
    let passed = world.udp(B, &second[0].answer("486 Busy Here", ""));
    assert_eq!(starts(&passed), [pair(PHONE, "SIP/2.0")]);
    world.udp(PHONE, &request("ACK", "c1", "1", ""));
    let contact = "Contact: <sip:bob@10.0.0.1:5070>\r\n";
    let sent = world.udp(A, &first[0].answer("200 OK", contact));
    assert_eq!(starts(&sent), [pair(A, "ACK"), pair(A, "BYE")]);
    assert!(world.udp(A, &sent[1].answer("200 OK", "")).is_empty());
    // The refusal that comes again is passed on again.
    let passed = world.udp(B, &second[0].answer("486 Busy Here", ""));
    assert_eq!(starts(&passed), [pair(PHONE, "SIP/2.0")]);
    assert_eq!(world.calls("a"), 0);
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

#[test]
fn a_late_answer_ends_the_ringing_of_the_next_target() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let second = world.wait(SILENCE);
    world.udp(B, &second[0].answer("180 Ringing", ""));
    let sent = world.udp(A, &first[0].answer("200 OK", ""));
    assert_eq!(starts(&sent), [pair(PHONE, "SIP/2.0"), pair(B, "CANCEL")]);
    let branch = |s: &Sent| s.message.via().unwrap().branch().unwrap().to_vec();
    assert_eq!(branch(&sent[1]), branch(&second[0]));
    assert_eq!(sent[1].message.method(), Method::Cancel);
    // Neither the answer to that nor the end of the INVITE is for the caller.
    assert!(world.udp(B, &sent[1].answer("200 OK", "")).is_empty());
    let sent = world.udp(B, &second[0].answer("487 Request Terminated", ""));
    assert_eq!(starts(&sent), [pair(B, "ACK")]);
    assert_eq!(world.calls("a"), 1);
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

#[test]
fn the_answer_to_a_cancel_of_ours_is_not_for_the_caller() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.wait(SILENCE);
    let cancel = world.udp(A, &first[0].answer("180 Ringing", ""));
    assert_eq!(starts(&cancel), [pair(A, "CANCEL")]);
    assert_eq!(
        starts(&world.wait(Duration::from_millis(600))),
        [pair(A, "CANCEL")]
    );
    assert!(world.udp(A, &cancel[0].answer("200 OK", "")).is_empty());
    let sent = world.wait(Duration::from_millis(900));
    assert!(sent.is_empty(), "{:?}", starts(&sent));
}

#[test]
fn own_requests_of_an_invite_have_its_uri_and_its_route() {
    let mut world = World::new();
    let route = "Route: <sip:edge.example.net;lr>\r\n";
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", route));
    let sent = world.udp(A, &first[0].answer("503 Service Unavailable", ""));
    assert_eq!(sent[0].start(), "ACK sip:bob@example.com SIP/2.0");
    assert_eq!(
        sent[0].all(HeaderName::Route),
        ["<sip:edge.example.net;lr>"]
    );
}

/// The switch has it, and waits for the phone it is for: nobody says 100 to a MESSAGE.
#[test]
fn a_message_is_not_sent_twice_while_its_phone_takes_its_time() {
    let mut world = World::new();
    let sent = world.udp(PHONE, &request("MESSAGE", "m1", "1", ""));
    let target = sent[0].to.to_string();
    assert_eq!(starts(&world.wait(Duration::from_secs(9))), []);
    let passed = world.udp(&target, &sent[0].answer("200 OK", ""));
    assert_eq!(starts(&passed), [pair(PHONE, "SIP/2.0")]);
    // But to one that is gone it was not said.
    let sent = world.udp(PHONE, &request("MESSAGE", "m2", "2", ""));
    let dead = sent[0].to.to_string();
    world
        .dispatcher
        .handle_transmit_failed(world.now, sent[0].key);
    let moved = world.sent();
    assert_ne!(moved[0].to.to_string(), dead);
    assert_eq!(moved[0].message.method(), Method::Message);
}

#[test]
fn whoever_registers_a_phone_first_is_heard_also_if_it_was_given_up() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("REGISTER", "r1", "1", ""));
    let second = world.wait(SILENCE);
    assert_eq!(second[0].to.to_string(), B);
    let contact = "Contact: <sip:alice@10.9.9.9>;expires=120\r\n";
    let passed = world.udp(A, &first[0].answer("200 OK", contact));
    assert_eq!(starts(&passed), [pair(PHONE, "SIP/2.0")]);
    assert_eq!(world.dispatcher.flow_count(), 1);
    assert!(
        world
            .udp(B, &second[0].answer("200 OK", contact))
            .is_empty()
    );
}

/// The network says late that a target is not there, when another has the request.
#[test]
fn a_late_failure_is_that_of_the_target_it_speaks_of() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let second = world.wait(SILENCE);
    assert_eq!(second[0].to.to_string(), B);
    world
        .dispatcher
        .handle_transmit_failed(world.now, first[0].key);
    assert_eq!(starts(&world.sent()), [], "B has it still");
    for call in ["c2", "c3"] {
        let sent = world.udp(PHONE, &request("INVITE", call, call, ""));
        assert_eq!(sent[0].to.to_string(), B, "and is up; A is down");
    }
}
