//! What follows an INVITE inside a call that went elsewhere than its dialog says.

use std::time::Duration;

use sip::HeaderName;

use super::world::{A, B, PHONE, Side, World, config, inside, request};

/// Who has answered waits for the ACK, though the one that the dialog names is there again.
#[test]
fn what_belongs_to_an_invite_that_moved_goes_where_that_went() {
    let mut config = config();
    config.policy.probing.interval = Duration::from_secs(1);
    let mut world = World::with(config);
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    assert_eq!(first[0].to.to_string(), A);
    let routes = first[0].all(HeaderName::RecordRoute);
    world.udp(A, &first[0].answer("200 OK", ""));
    // It is gone.
    let info = world.udp(PHONE, &inside("INFO", "c1", &routes, Side::Caller));
    let key = info[0].key;
    world.dispatcher.handle_transmit_failed(world.now, key);
    let invite = inside("INVITE", "c1", &routes, Side::Caller);
    let moved = world.udp(PHONE, &invite);
    assert_eq!(moved[0].to.to_string(), B);
    world.udp(B, &moved[0].answer("200 OK", ""));
    // It is there again.
    for _ in 0..5 {
        for probe in world.wait(Duration::from_secs(1)) {
            world.udp(&probe.to.to_string(), &probe.answer("200 OK", ""));
        }
    }
    let bye = world.udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    assert_eq!(bye[0].to.to_string(), A, "it is there again");
    let again = world.udp(PHONE, &invite);
    assert_eq!(again[0].to.to_string(), B);
    let ack = world.udp(PHONE, &inside("ACK", "c1", &routes, Side::Caller));
    assert_eq!(ack[0].to.to_string(), B);
    world.wait(Duration::from_secs(40));
    // Of another exchange.
    let later = invite.replace("CSeq: 1", "CSeq: 9");
    assert_eq!(world.udp(PHONE, &later)[0].to.to_string(), A);
}

/// The one that the dialog names was only stopped, had the INVITE, and answers it late.
#[test]
fn an_invite_that_moved_is_refused_to_its_caller_once() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    assert_eq!(first[0].to.to_string(), A);
    let routes = first[0].all(HeaderName::RecordRoute);
    world.udp(A, &first[0].answer("200 OK", ""));
    let invite = inside("INVITE", "c1", &routes, Side::Caller);
    let stopped = world.udp(PHONE, &invite);
    assert_eq!(stopped[0].to.to_string(), A);
    let info = world.udp(PHONE, &inside("INFO", "c1", &routes, Side::Caller));
    let key = info[0].key;
    world.dispatcher.handle_transmit_failed(world.now, key);
    let moved = world.udp(PHONE, &invite);
    assert_eq!(moved[0].to.to_string(), B);
    let refusal = moved[0].answer("491 Request Pending", "");
    for _ in 0..2 {
        let heard = world.udp(B, &refusal);
        assert_eq!(heard[0].to.to_string(), PHONE);
    }
    let late = world.udp(A, &stopped[0].answer("500 Server Internal Error", ""));
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].to.to_string(), A);
    assert_eq!(late[0].message.method(), sip::Method::Ack);
    // Whoever has agreed to it is heard in any case (RFC 3261 §16.7 point 5).
    let agreed = world.udp(A, &stopped[0].answer("200 OK", ""));
    assert_eq!(agreed[0].to.to_string(), PHONE);
}

/// RFC 3261 §9.1: the caller waits no longer for the end of what it has cancelled.
#[test]
fn a_call_that_was_cancelled_and_never_ends_is_forgotten_with_its_caller() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.udp(A, &first[0].answer("180 Ringing", ""));
    let cancel = request("INVITE", "c1", "1", "").replace("INVITE", "CANCEL");
    let sent = world.udp(PHONE, &cancel);
    // It was started again, and knows nothing.
    world.udp(
        A,
        &sent[0].answer("481 Call/Transaction Does Not Exist", ""),
    );
    world.wait(Duration::from_secs(31));
    assert_eq!(world.dispatcher.pending_count(), 1);
    world.udp(A, &first[0].answer("180 Ringing", ""));
    world.wait(Duration::from_secs(2));
    assert_eq!(world.dispatcher.pending_count(), 0);
}

/// The same where it was cancelled before it rang, which a switch may say all the same.
#[test]
fn a_call_that_was_cancelled_before_it_rang_is_forgotten_with_its_caller() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.udp(A, &first[0].answer("100 Trying", ""));
    let cancel = request("INVITE", "c1", "1", "").replace("INVITE", "CANCEL");
    world.udp(PHONE, &cancel);
    world.udp(A, &first[0].answer("180 Ringing", ""));
    world.wait(Duration::from_secs(31));
    assert_eq!(world.dispatcher.pending_count(), 1);
    world.wait(Duration::from_secs(2));
    assert_eq!(world.dispatcher.pending_count(), 0);
}

/// A repetition of the INVITE was on its way while the answer was, and its target was given up then.
#[test]
fn an_invite_that_was_refused_before_its_repetition_moved_is_refused_once() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    assert_eq!(first[0].to.to_string(), A);
    let routes = first[0].all(HeaderName::RecordRoute);
    world.udp(A, &first[0].answer("200 OK", ""));
    let invite = inside("INVITE", "c1", &routes, Side::Caller).replace("CSeq: 1", "CSeq: 2");
    let sent = world.udp(PHONE, &invite);
    let heard = world.udp(A, &sent[0].answer("488 Not Acceptable Here", ""));
    assert_eq!(heard[0].to.to_string(), PHONE);
    let info = world.udp(PHONE, &inside("INFO", "c1", &routes, Side::Caller));
    let key = info[0].key;
    world.dispatcher.handle_transmit_failed(world.now, key);
    let moved = world.udp(PHONE, &invite);
    assert_eq!(moved[0].to.to_string(), B);
    let late = world.udp(B, &moved[0].answer("500 Server Internal Error", ""));
    assert_eq!(late[0].to.to_string(), B);
    assert_eq!(late[0].message.method(), sip::Method::Ack);
}
