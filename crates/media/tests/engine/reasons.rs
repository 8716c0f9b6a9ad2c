//! Reasons for which packets are dropped, each by a packet of its kind; those of strangers, forgers
//! and noise are beside what they must not harm.

use media::{AddressFamily, DropReason, Engine, Side, Way as Turn};
use sdp::Setup;
use testkit::wait_for;

use crate::peer::{Call, Peer, SESSION, config, from, rtp_address, settle};
use crate::secure::{negotiation, options};
use crate::secure_peer::{SecurePeer, Way};

#[test]
fn what_is_to_go_nowhere_is_discarded() {
    let mut call = Call::new();
    let ways = |ways| move |engine: &mut Engine| engine.set_ways(SESSION, ways).expect("a session");
    ways([Turn::Nowhere; 2])(&mut call.engine);
    settle(&mut call.engine);
    call.a.say(call.towards_b, "into a black hole");
    settle(&mut call.engine);
    assert_eq!(call.engine.counters().dropped(DropReason::Discarded), 1);
    ways([Turn::Across; 2])(&mut call.engine);
    settle(&mut call.engine);
    call.a.say(call.towards_b, "out of it");
    assert_eq!(call.b.hear().0, "out of it");
}

#[test]
fn where_the_kernel_sends_nothing_the_other_way_is_open() {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, mut b) = (Peer::new("127.0.0.1"), Peer::new("127.0.0.1"));
    let offer = engine
        .offer(SESSION, from(Side::A, &a.sdp()), AddressFamily::V4)
        .expect("an offer");
    // Everybody at once, which no socket of ours may address.
    let everybody = "255.255.255.255:4000".parse().expect("an address");
    let answer = b.sdp_at(everybody, "sendrecv");
    let answer = engine
        .answer(SESSION, from(Side::B, &answer))
        .expect("an answer");
    for _ in 0..3 {
        a.say(rtp_address(&answer), "to everybody");
    }
    settle(&mut engine);
    assert_eq!(engine.counters().dropped(DropReason::SendFailed), 3);
    // It is where it is after all.
    let answer = engine
        .answer(SESSION, from(Side::B, &b.sdp()))
        .expect("an answer");
    a.say(rtp_address(&answer), "to one");
    assert_eq!(b.hear().0, "to one");
    b.say(rtp_address(&offer), "back");
    assert_eq!(a.hear().0, "back");
}

/// A peer in this way, and a session with a plain one that has answered it.
fn answered(way: Way) -> (Engine, SecurePeer, SecurePeer) {
    let mut engine = Engine::new(config(), || {}).expect("an engine");
    let (mut a, mut b) = (SecurePeer::new(way), SecurePeer::new(Way::Rtp));
    let (offer, wanted) = (a.sdp(9, Setup::ActPass), options(Way::Rtp));
    let offer = negotiation(Side::A, &offer, &wanted);
    let offer = engine.offer(SESSION, offer, AddressFamily::V4);
    b.take(&offer.expect("an offer"));
    let answer = b.sdp(1, Setup::Active);
    let answer = engine.answer(
        SESSION,
        negotiation(Side::B, &answer, media::Options::relay()),
    );
    a.take(&answer.expect("an answer"));
    (engine, a, b)
}

fn wait_dropped(engine: &Engine, reason: DropReason) {
    wait_for(&format!("{reason:?}"), || {
        (engine.counters().dropped(reason) > 0).then_some(())
    });
}

#[test]
fn a_handshake_begins_with_its_beginning() {
    let (engine, mut a, mut b) = answered(Way::Dtls);
    // A record of a handshake that nobody has begun.
    a.send(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 4, 2, 2, 3, 4]);
    wait_dropped(&engine, DropReason::Dtls);
    a.shake_hands(Setup::Active);
    a.say("all the same");
    assert_eq!(b.hear(), "all the same");
}

#[test]
fn media_before_its_keys_waits_for_none() {
    let (engine, a, _) = answered(Way::Dtls);
    a.send(&[
        0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ]);
    wait_dropped(&engine, DropReason::NoKey);
}

#[test]
fn who_knows_dtls_1_0_alone_is_told_apart_from_forgers() {
    let (engine, a, _) = answered(Way::DtlsRsa);
    let refused = a.try_dtls_1_0();
    assert!(refused.contains("protocol version"), "{refused}");
    wait_dropped(&engine, DropReason::DtlsVersion);
    assert_eq!(engine.counters().dropped(DropReason::Dtls), 0);
}
