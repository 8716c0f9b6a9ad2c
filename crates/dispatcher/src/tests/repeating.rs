//! What is repeated for those who rely on a stream that ends here (RFC 3261 §17).

use std::time::Duration;

use sip::ConnId;

use super::world::{A, PHONE, Side, World, inside, request, secure, tls};

/// T1, and a little.
const SOON: Duration = Duration::from_millis(600);

#[test]
fn the_cancel_of_a_phone_on_a_stream_is_repeated_until_it_is_answered() {
    let mut world = World::new();
    world.dispatcher.handle_opened(tls(5));
    let invite = world.tls(5, &secure(&request("INVITE", "c1", "1", "")));
    let target = invite[0].to.to_string();
    world.udp(&target, &invite[0].answer("180 Ringing", ""));
    let cancel = world.tls(5, &secure(&request("CANCEL", "c1", "1", "")));
    let repeated = world.wait(Duration::from_millis(1_600));
    assert_eq!(repeated.len(), 2, "after 0.5 and 1.5 s");
    for again in &repeated {
        assert_eq!(again.message.raw(), cancel[0].message.raw());
        assert_eq!(again.to.to_string(), target);
    }
    let passed = world.udp(&target, &cancel[0].answer("200 OK", ""));
    assert_eq!(passed[0].conn, Some(ConnId(5)));
    assert_eq!(world.wait(Duration::from_secs(10)).len(), 0);
    // The INVITE is still known, and so is who is told of its end.
    let passed = world.udp(&target, &invite[0].answer("487 Request Terminated", ""));
    assert_eq!(passed[0].start(), "SIP/2.0 487 Request Terminated");
    world.wait(Duration::from_secs(60));
    assert_eq!(world.dispatcher.pending_count(), 0);
}

/// RFC 6026 §7.1. A target that has lost its calls would begin another.
#[test]
fn an_invite_that_was_answered_goes_nowhere_when_it_comes_again() {
    let mut world = World::new();
    let invite = request("INVITE", "c1", "1", "");
    let first = world.udp(PHONE, &invite);
    let target = first[0].to.to_string();
    world.udp(&target, &first[0].answer("180 Ringing", ""));
    assert_eq!(world.udp(PHONE, &invite)[0].to.to_string(), target);
    world.udp(&target, &first[0].answer("200 OK", ""));
    assert_eq!(world.udp(PHONE, &invite).len(), 0);
    let again = world.udp(&target, &first[0].answer("200 OK", ""));
    assert_eq!(again[0].to.to_string(), PHONE, "its sender repeats it");
    // It has lost the call, had the INVITE on its way twice, and knows no better (§16.7 point 5).
    let refused = world.udp(&target, &first[0].answer("500 Server Internal Error", ""));
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].to.to_string(), target);
    assert!(
        refused[0].start().starts_with("ACK "),
        "{}",
        refused[0].start()
    );
    // A refusal is repeated by who gave it when it is asked again (RFC 3261 §17.2.1).
    let invite = request("INVITE", "c2", "2", "");
    let second = world.udp(PHONE, &invite);
    let target = second[0].to.to_string();
    world.udp(&target, &second[0].answer("486 Busy Here", ""));
    assert_eq!(world.udp(PHONE, &invite)[0].to.to_string(), target);
}

#[test]
fn a_bye_of_a_phone_on_a_stream_goes_to_whoever_takes_its_call_over() {
    let mut world = World::new();
    world.dispatcher.handle_opened(tls(5));
    let invite = world.tls(5, &secure(&request("INVITE", "c1", "1", "")));
    let target = invite[0].to.to_string();
    let routes = invite[0].all(sip::HeaderName::RecordRoute);
    let routes: Vec<_> = routes.into_iter().rev().collect();
    world.udp(&target, &invite[0].answer("200 OK", ""));
    let bye = secure(&inside("BYE", "c1", &routes, Side::Caller));
    let sent = world.tls(5, &bye);
    assert_eq!(sent[0].to.to_string(), target);
    // Nobody listens there any more, and the phone says it once.
    world
        .dispatcher
        .handle_transmit_failed(world.now, sent[0].key);
    let moved = world.wait(SOON);
    assert_eq!(moved.len(), 1);
    let heir = moved[0].to.to_string();
    assert_ne!(heir, target);
    assert!(moved[0].start().starts_with("BYE "), "{}", moved[0].start());
    let passed = world.udp(&heir, &moved[0].answer("200 OK", ""));
    assert_eq!(passed[0].conn, Some(ConnId(5)));
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

#[test]
fn a_refusal_that_came_over_a_stream_is_repeated_over_udp_until_its_ack() {
    let mut world = World::with_secure_target();
    let invite = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.tls_from(9, A, &invite[0].answer("180 Ringing", ""));
    let refusal = world.tls_from(9, A, &invite[0].answer("486 Busy Here", ""));
    let repeated = world.wait(Duration::from_millis(1_600));
    assert_eq!(repeated.len(), 2, "after 0.5 and 1.5 s");
    for again in &repeated {
        assert_eq!(again.message.raw(), refusal[0].message.raw());
        assert_eq!(again.to.to_string(), PHONE);
    }
    let ack = request("ACK", "c1", "1", "");
    let sent = world.udp(PHONE, &ack);
    assert_eq!(sent[0].to.to_string(), A, "the target has its ACK, too");
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

#[test]
fn a_refusal_inside_a_call_is_repeated_as_well() {
    let mut world = World::with_secure_target();
    let invite = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let routes = invite[0].all(sip::HeaderName::RecordRoute);
    let routes: Vec<_> = routes.into_iter().rev().collect();
    world.tls_from(9, A, &invite[0].answer("200 OK", ""));
    let again = world.udp(PHONE, &inside("INVITE", "c1", &routes, Side::Caller));
    world.tls_from(9, A, &again[0].answer("488 Not Acceptable Here", ""));
    assert_eq!(world.wait(SOON).len(), 1);
    let ack = inside("INVITE", "c1", &routes, Side::Caller)
        .replace("INVITE sip", "ACK sip")
        .replace("1 INVITE", "1 ACK");
    world.udp(PHONE, &ack);
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
}

#[test]
fn our_own_refusal_is_repeated_until_its_ack_and_late_words_are_seen_to() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let second = world.wait(Duration::from_secs(3));
    let target = second[0].to.to_string();
    let refusal = world.wait(Duration::from_millis(1_400)).remove(0);
    assert!(
        refusal.start().starts_with("SIP/2.0 503"),
        "{}",
        refusal.start()
    );
    let again = world.wait(SOON);
    assert_eq!(again[0].message.raw(), refusal.message.raw());
    assert_eq!(again[0].to.to_string(), PHONE);
    // Both were only slow, and ring somebody whom nobody waits for.
    let sent = world.udp(A, &first[0].answer("180 Ringing", ""));
    assert!(
        sent[0].start().starts_with("CANCEL "),
        "{}",
        sent[0].start()
    );
    assert!(world.udp(A, &sent[0].answer("200 OK", "")).is_empty());
    let sent = world.udp(&target, &second[0].answer("486 Busy Here", ""));
    assert!(sent[0].start().starts_with("ACK "), "{}", sent[0].start());
    assert_eq!(sent[0].to.to_string(), target);
    assert_eq!(world.udp(PHONE, &request("ACK", "c1", "1", "")).len(), 0);
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

#[test]
fn a_refusal_that_comes_again_has_its_ack_from_us_if_the_caller_says_it_once() {
    let mut world = World::new();
    world.dispatcher.handle_opened(tls(5));
    let invite = world.tls(5, &secure(&request("INVITE", "c1", "1", "")));
    let target = invite[0].to.to_string();
    let refusal = invite[0].answer("486 Busy Here", "");
    assert_eq!(world.udp(&target, &refusal)[0].conn, Some(ConnId(5)));
    let sent = world.udp(&target, &refusal);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].to.to_string(), target);
    assert!(sent[0].start().starts_with("ACK "), "{}", sent[0].start());
}

#[test]
fn an_answer_that_came_over_a_stream_is_there_when_it_is_asked_for_again() {
    let mut world = World::with_secure_target();
    let register = request("REGISTER", "r1", "1", "");
    let sent = world.udp(PHONE, &register);
    let first = world.tls_from(9, A, &sent[0].answer("200 OK", ""));
    let again = world.udp(PHONE, &register);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].message.raw(), first[0].message.raw());
    assert_eq!(again[0].to.to_string(), PHONE);
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

/// Both ways are streams: nobody repeats the request, which was lost with the connection.
#[test]
fn a_bye_lost_with_the_connection_of_its_target_goes_to_whoever_takes_its_call_over() {
    let mut world = World::with_secure_targets();
    world.dispatcher.handle_opened(tls(5));
    let invite = world.tls(5, &secure(&request("INVITE", "c1", "1", "")));
    let target = invite[0].to.to_string();
    let routes = invite[0].all(sip::HeaderName::RecordRoute);
    let routes: Vec<_> = routes.into_iter().rev().collect();
    world.tls_from(9, &target, &invite[0].answer("200 OK", ""));
    let bye = secure(&inside("BYE", "c1", &routes, Side::Caller));
    let sent = world.tls(5, &bye);
    assert_eq!(sent[0].to.to_string(), target);
    world
        .dispatcher
        .handle_transmit_failed(world.now, sent[0].key);
    let moved = world.sent();
    let heir = moved[0].to.to_string();
    assert_ne!(heir, target);
    assert!(moved[0].start().starts_with("BYE "), "{}", moved[0].start());
    // That one falls, too: there is nobody, and the phone is told in the end.
    world
        .dispatcher
        .handle_transmit_failed(world.now, moved[0].key);
    let sent = world.wait(Duration::from_secs(12));
    let last = sent.last().unwrap();
    assert!(last.start().starts_with("SIP/2.0 503"), "{}", last.start());
    assert_eq!(last.conn, Some(ConnId(5)));
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

#[test]
fn a_request_on_streams_only_is_said_once_while_its_target_is_there() {
    let mut world = World::with_secure_targets();
    world.dispatcher.handle_opened(tls(5));
    let invite = world.tls(5, &secure(&request("INVITE", "c1", "1", "")));
    let target = invite[0].to.to_string();
    let routes = invite[0].all(sip::HeaderName::RecordRoute);
    let routes: Vec<_> = routes.into_iter().rev().collect();
    world.tls_from(9, &target, &invite[0].answer("200 OK", ""));
    let info = world.tls(5, &secure(&inside("INFO", "c1", &routes, Side::Caller)));
    assert_eq!(world.wait(Duration::from_secs(15)).len(), 0);
    let passed = world.tls_from(9, &target, &info[0].answer("200 OK", ""));
    assert_eq!(passed[0].conn, Some(ConnId(5)));
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

/// A 100 does not say that the answer will arrive (RFC 3261 §17.1.2.2).
#[test]
fn a_register_that_is_worked_on_is_repeated_still() {
    let mut world = World::new();
    world.dispatcher.handle_opened(tls(5));
    let sent = world.tls(5, &secure(&request("REGISTER", "r1", "1", "")));
    let target = sent[0].to.to_string();
    world.udp(&target, &sent[0].answer("100 Trying", ""));
    let repeated = world.wait(Duration::from_secs(9));
    assert!((2..=4).contains(&repeated.len()), "{}", repeated.len());
    assert!(repeated.iter().all(|s| s.to.to_string() == target));
    let passed = world.udp(&target, &sent[0].answer("200 OK", ""));
    assert_eq!(passed[0].conn, Some(ConnId(5)));
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

/// A re-INVITE over a stream that takes long: its refusal is still known when it comes again.
#[test]
fn a_slow_refusal_inside_a_call_has_its_ack() {
    let mut world = World::new();
    world.dispatcher.handle_opened(tls(5));
    let invite = world.tls(5, &secure(&request("INVITE", "c1", "1", "")));
    let target = invite[0].to.to_string();
    let routes = invite[0].all(sip::HeaderName::RecordRoute);
    let routes: Vec<_> = routes.into_iter().rev().collect();
    world.udp(&target, &invite[0].answer("200 OK", ""));
    let again = world.tls(5, &secure(&inside("INVITE", "c1", &routes, Side::Caller)));
    world.udp(&target, &again[0].answer("100 Trying", ""));
    world.wait(Duration::from_secs(20));
    let refusal = again[0].answer("488 Not Acceptable Here", "");
    assert_eq!(world.udp(&target, &refusal)[0].conn, Some(ConnId(5)));
    let sent = world.udp(&target, &refusal);
    assert!(sent[0].start().starts_with("ACK "), "{}", sent[0].start());
    assert_eq!((sent.len(), sent[0].to.to_string()), (1, target));
}
