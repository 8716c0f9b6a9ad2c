//! Third parties: what they send is never heard, and nothing is sent to them.

use std::io::ErrorKind;

use media::{AddressFamily, DropReason, Engine, Side};

use crate::peer::{Call, PCMA, Peer, SESSION, config, from, rtp_address, signalled};

/// Nothing has come to a socket that all earlier packets would have reached by now.
fn heard_nothing(peer: &Peer) {
    peer.rtp.set_nonblocking(true).expect("a socket");
    let error = peer.rtp.recv_from(&mut [0; 64]).expect_err("no packet");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn nothing_is_injected_into_a_running_call() {
    let mut call = Call::new();
    let mut attacker = Peer::new("127.0.0.1");
    for _ in 0..50 {
        attacker.say(call.towards_b, "injected");
        attacker.say(call.towards_a, "injected");
    }
    call.a.say(call.towards_b, "real");
    call.b.say(call.towards_a, "real");
    assert_eq!(call.b.hear().0, "real");
    assert_eq!(call.a.hear().0, "real");
    let counters = call.engine.counters();
    assert_eq!(counters.dropped(DropReason::UnknownSource), 100);
    heard_nothing(&attacker);
}

#[test]
fn nothing_bleeds_to_one_who_sprays_before_anybody_has_spoken() {
    let mut call = Call::answered(config());
    let mut attacker = Peer::new("127.0.0.1");
    for _ in 0..50 {
        attacker.say(call.towards_b, "injected");
        attacker.say(call.towards_a, "injected");
    }
    // Neither has spoken: packets go where the descriptions say.
    call.a.say(call.towards_b, "first");
    assert_eq!(call.b.hear().0, "first");
    call.b.say(call.towards_a, "second");
    assert_eq!(call.a.hear().0, "second");
    heard_nothing(&attacker);
}

#[test]
fn nothing_passes_before_the_answer() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (a, mut b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    let offer = engine
        .offer(SESSION, from(Side::A, &a.sdp()), AddressFamily::V4)
        .expect("an offer");
    b.say(rtp_address(&offer), "early");
    // The only worker reads its sockets in turn: what came before the echo was read before it.
    let mut other = Peer::new("127.0.0.1");
    let echo = engine
        .echo(SESSION + 1, from(Side::A, &other.sdp()))
        .expect("an answer");
    other.say(rtp_address(&echo), "ping");
    assert_eq!(other.hear().0, "ping");
    engine
        .answer(SESSION, from(Side::B, &b.sdp()))
        .expect("an answer");
    b.say(rtp_address(&offer), "late");
    assert_eq!(a.hear().0, "late");
    assert_eq!(engine.counters().dropped(DropReason::UnknownSource), 1);
}

#[test]
fn behind_a_nat_the_source_is_learned_then_pinned() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, mut b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    // A is at 10.0.0.1 by its own account; its signalling comes from the NAT.
    let private = a.sdp_at("10.0.0.1:4000".parse().expect("an address"), "sendrecv");
    let offer = engine
        .offer(SESSION, from(Side::A, &private), AddressFamily::V4)
        .expect("an offer");
    let answer = engine
        .answer(SESSION, from(Side::B, &b.sdp()))
        .expect("an answer");
    let (towards_a, towards_b) = (rtp_address(&offer), rtp_address(&answer));
    let mut elsewhere = Peer::new("127.0.0.2");
    elsewhere.say(towards_b, "injected");
    a.say(towards_b, "first");
    assert_eq!(b.hear().0, "first");
    let mut neighbour = Peer::new("127.0.0.1");
    neighbour.say(towards_b, "injected");
    a.say(towards_b, "second");
    assert_eq!(b.hear().0, "second");
    b.say(towards_a, "to you");
    assert_eq!(a.hear().0, "to you");
    heard_nothing(&elsewhere);
    heard_nothing(&neighbour);
}

#[test]
fn a_payload_type_that_was_not_negotiated_teaches_nothing() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    let private = a.sdp_at("10.0.0.1:4000".parse().expect("an address"), "sendrecv");
    engine
        .offer(SESSION, from(Side::A, &private), AddressFamily::V4)
        .expect("an offer");
    let answer = engine
        .answer(SESSION, from(Side::B, &b.sdp()))
        .expect("an answer");
    let mut stray = Peer::new("127.0.0.1");
    let packet = stray.packet(97, "stray");
    stray
        .rtp
        .send_to(&packet, rtp_address(&answer))
        .expect("sending");
    a.say(rtp_address(&answer), "right");
    assert_eq!(b.hear().0, "right");
    assert_eq!(engine.counters().dropped(DropReason::PayloadType), 1);
}

#[test]
fn a_session_refresh_is_no_chance_for_a_neighbour() {
    let mut call = Call::new();
    let refresh = call.a.sdp();
    call.engine
        .offer(SESSION, from(Side::A, &refresh), AddressFamily::V4)
        .expect("an offer");
    call.engine
        .answer(SESSION, from(Side::B, &call.b.sdp()))
        .expect("an answer");
    let mut attacker = Peer::new("127.0.0.1");
    attacker.say(call.towards_b, "injected");
    call.a.say(call.towards_b, "real");
    assert_eq!(call.b.hear().0, "real");
}

#[test]
fn a_peer_that_moves_by_a_new_offer_is_followed_and_its_old_place_is_a_stranger() {
    let mut call = Call::new();
    let mut moved = Peer::new("127.0.0.1");
    call.engine
        .offer(
            SESSION,
            signalled(Side::A, &moved.sdp(), "127.0.0.1"),
            AddressFamily::V4,
        )
        .expect("an offer");
    call.engine
        .answer(SESSION, from(Side::B, &call.b.sdp()))
        .expect("an answer");
    call.a.say(call.towards_b, "from the old place");
    let packet = moved.packet(PCMA, "from the new place");
    moved.rtp.send_to(&packet, call.towards_b).expect("sending");
    assert_eq!(call.b.hear().0, "from the new place");
    call.b.say(call.towards_a, "to you");
    assert_eq!(moved.hear().0, "to you");
    heard_nothing(&call.a);
}
