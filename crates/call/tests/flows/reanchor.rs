//! A media relay dies: both sides are told of another, whatever they are doing.

use std::time::Duration;

use call::{Cause, Fact, Given, Input, MediaOp, Phase, Side};
use sip::Method;

use crate::peer::{ALICE_SDP, BOB_SDP, sdp, sdp_with};
use crate::world::{INVITE, Relay, World, body, to_bob};

/// The session that the call has used last is lost.
fn lose(w: &mut World) -> u64 {
    let session = w.media.last().expect("a session").0;
    w.feed(Input::MediaLost { session });
    session
}

/// Both re-INVITEs, the caller's first.
fn retold(w: &mut World) -> [crate::world::Sent; 2] {
    [w.sent(Method::Invite), w.sent(Method::Invite)]
}

fn has_moved(w: &World) -> bool {
    w.facts.iter().any(|f| matches!(f, Fact::MediaMoved { .. }))
}

#[test]
fn both_sides_of_a_call_are_told_at_once_of_the_new_relay() {
    let (mut w, _) = World::answered();
    let before = w.media.len();
    let lost = lose(&mut w);
    let asked = &w.media[before..];
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|(session, ..)| *session != lost));
    assert_eq!((asked[0].1, asked[0].2), (MediaOp::Offer, Side::A));
    assert_eq!(asked[0].3, ALICE_SDP);
    assert_eq!((asked[1].1, asked[1].2), (MediaOp::Answer, Side::B));
    assert_eq!(asked[1].3, BOB_SDP);
    let [to_alice, to_bob] = retold(&mut w);
    assert!(body(&to_alice.message).contains("203.0.113.20"));
    assert!(body(&to_bob.message).contains("203.0.113.10"));
    // RFC 3264 §8: the version of what each side saw grows by one.
    assert!(body(&to_bob.message).contains("o=alice 1 2 "));
    w.reply(&to_bob, 200, "", "", BOB_SDP);
    w.ack();
    assert!(!has_moved(&w), "Alice does not know yet");
    w.reply(&to_alice, 200, "", "", ALICE_SDP);
    w.ack();
    assert!(has_moved(&w));
    assert_eq!(w.media.len(), before + 2, "nothing new to tell the relay");
    w.silent();
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn new_keys_of_a_side_reach_the_new_relay() {
    let (mut w, _) = World::answered();
    lose(&mut w);
    let before = w.media.len();
    let [to_alice, to_bob] = retold(&mut w);
    let bob = sdp_with("bob", "192.0.2.20", "a=crypto:1 x inline:new\r\n");
    w.reply(&to_bob, 200, "", "", &bob);
    w.ack();
    let alice = sdp("alice", "192.0.2.10");
    w.reply(&to_alice, 200, "", "", &alice);
    w.ack();
    let told: Vec<_> = w.media[before..]
        .iter()
        .map(|(_, op, from, sdp)| (*op, *from, sdp.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (MediaOp::Answer, Side::B, bob.as_str()),
            (MediaOp::Offer, Side::A, alice.as_str()),
            (MediaOp::Answer, Side::B, bob.as_str()),
        ]
    );
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn glare_is_waited_out_and_a_side_that_is_busy_too() {
    let (mut w, mut bob) = World::answered();
    // Bob is in the middle of a re-INVITE of his own.
    let invite = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    lose(&mut w);
    w.silent();
    w.reply(&carried, 200, "", "", &sdp("alice2", "192.0.2.10"));
    w.ack();
    let answer = w.told(uas, 200);
    assert!(body(&answer).contains("203.0.113.10"), "from the new relay");
    w.silent();
    let ack = bob.ack(bob.seq, "");
    w.request(ack);
    w.pass(Duration::from_millis(200));
    let [to_alice, to_bob] = retold(&mut w);
    w.reply(&to_alice, 200, "", "", &sdp("alice2", "192.0.2.10"));
    w.ack();
    w.reply(&to_bob, 491, "", "", "");
    w.silent();
    w.pass_s(5);
    let again = w.sent(Method::Invite);
    w.reply(&again, 200, "", "", &sdp("bob2", "192.0.2.20"));
    w.ack();
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_side_that_refuses_ends_the_call_with_the_reason() {
    let (mut w, _) = World::answered();
    lose(&mut w);
    let [to_alice, to_bob] = retold(&mut w);
    w.reply(&to_bob, 488, "", "", "");
    let report = w.report().clone();
    assert_eq!(report.cause, Cause::MediaFailed);
    w.reply(&to_alice, 200, "", "", ALICE_SDP);
    w.close(&Cause::MediaFailed);
}

#[test]
fn without_another_relay_the_call_waits_as_long_as_media_may_be_silent() {
    let (mut w, _) = World::answered();
    w.relay = Relay::Refuses(503);
    lose(&mut w);
    w.pass_s(10);
    w.silent();
    assert_eq!(w.call.phase(), Phase::Answered);
    w.relay = Relay::Answers;
    w.pass_s(2);
    let [to_alice, to_bob] = retold(&mut w);
    w.reply(&to_alice, 200, "", "", ALICE_SDP);
    w.ack();
    w.reply(&to_bob, 200, "", "", BOB_SDP);
    w.ack();
    assert!(has_moved(&w));

    w.relay = Relay::Refuses(503);
    lose(&mut w);
    w.pass_s(70);
    w.close(&Cause::MediaFailed);
}

#[test]
fn a_relay_lost_while_ringing_is_replaced_before_the_caller_is_answered() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "bobtag", "", "");
    w.told(INVITE, 180);
    let lost = lose(&mut w);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    assert!(body(&answer).contains("203.0.113.20"));
    let asked = &w.media[1..];
    assert_eq!((asked[0].1, asked[0].2), (MediaOp::Offer, Side::A));
    assert_eq!((asked[1].1, asked[1].2), (MediaOp::Answer, Side::B));
    assert_ne!(asked[1].0, lost);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    w.pass(Duration::from_millis(200));
    let [to_alice, to_bob] = retold(&mut w);
    assert!(body(&to_bob.message).contains("203.0.113.10"));
    w.reply(&to_alice, 200, "", "", ALICE_SDP);
    w.ack();
    w.reply(&to_bob, 200, "", "", BOB_SDP);
    w.ack();
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_question_that_died_with_its_relay_is_asked_of_another() {
    let (mut w, mut bob) = World::answered();
    w.relay = Relay::IsSlow;
    let invite = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
    let uas = w.request(invite);
    assert!(w.owed_by_relay());
    let lost = lose(&mut w);
    let (session, op, from, _) = w.media.last().unwrap().clone();
    assert_ne!(session, lost);
    assert_eq!((op, from), (MediaOp::Offer, Side::B));
    w.relay_answers();
    let carried = w.sent(Method::Invite);
    w.relay = Relay::Answers;
    w.reply(&carried, 200, "", "", ALICE_SDP);
    w.ack();
    w.told(uas, 200);
    let ack = bob.ack(bob.seq, "");
    w.request(ack);
    w.pass(Duration::from_millis(200));
    for sent in retold(&mut w) {
        w.reply(&sent, 200, "", "", "");
        w.ack();
    }
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_relay_that_dies_as_well_is_replaced_again() {
    let (mut w, _) = World::answered();
    lose(&mut w);
    let [to_alice, to_bob] = retold(&mut w);
    lose(&mut w);
    w.silent();
    w.reply(&to_alice, 200, "", "", ALICE_SDP);
    w.ack();
    w.reply(&to_bob, 200, "", "", BOB_SDP);
    w.ack();
    assert!(!has_moved(&w));
    w.pass(Duration::from_millis(200));
    for sent in retold(&mut w) {
        w.reply(&sent, 200, "", "", "");
        w.ack();
    }
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn the_echo_moves_too() {
    let mut w = World::echo("", ALICE_SDP);
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    lose(&mut w);
    assert_eq!(w.media.last().unwrap().1, MediaOp::Echo);
    let told = w.sent(Method::Invite);
    w.reply(&told, 200, "", "", ALICE_SDP);
    w.ack();
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_call_whose_early_media_is_lost_rings_on_and_has_media_when_it_is_answered() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 183, "bobtag", "", BOB_SDP);
    w.told(INVITE, 183);
    w.config.media_lost_max = Duration::from_secs(10);
    let lost = lose(&mut w);
    w.pass_s(15);
    assert_eq!(
        w.call.phase(),
        Phase::Setup,
        "longer than an answered call waits"
    );
    w.silent();
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    assert!(w.media.last().is_some_and(|(session, ..)| *session != lost));
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    // Alice may go by the first answer that she got (RFC 3261 §13.2.1).
    w.pass(Duration::from_millis(200));
    for sent in retold(&mut w) {
        w.reply(&sent, 200, "", "", "");
        w.ack();
    }
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn who_answers_an_offer_of_ours_restarts_no_ice() {
    let (mut w, _) = World::answered();
    lose(&mut w);
    let [to_alice, to_bob] = retold(&mut w);
    w.reply(&to_bob, 200, "", "", BOB_SDP);
    w.ack();
    let (turns, moved) = w.given.split_at(w.given.len() - 2);
    assert!(turns.iter().all(|given| *given == Given::InTurn));
    assert_eq!(moved, [Given::Elsewhere; 2]);
    let alice = sdp_with("alice", "192.0.2.10", "a=ice-ufrag:anew\r\n");
    w.reply(&to_alice, 200, "", "", &alice);
    w.ack();
    assert_eq!(
        w.given[w.given.len() - 2..],
        [Given::ToOurOffer, Given::InTurn]
    );
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn who_waits_for_a_handshake_is_offered_to_begin_it() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    let passive = sdp_with("bob", "192.0.2.20", "a=setup:passive\r\n");
    w.reply(&invite, 200, "bobtag", "", &passive);
    w.ack();
    let answer = w.told(INVITE, 200);
    assert!(body(&answer).contains("a=setup:passive\r\n"));
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    lose(&mut w);
    let [to_alice, _] = retold(&mut w);
    assert!(body(&to_alice.message).contains("a=setup:actpass\r\n"));
}

/// Alice in a browser: her credentials change with those of the relay.
fn with_ice(ufrag: &str) -> String {
    sdp_with("alice", "192.0.2.10", &format!("a=ice-ufrag:{ufrag}\r\n"))
}

#[test]
fn a_side_that_speaks_ice_is_told_first_and_answers_the_other() {
    let invite = "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n";
    let (mut w, _) = World::answer(World::with_invite(to_bob(), invite, &with_ice("old")), "");
    let before = w.media.len();
    lose(&mut w);
    let to_alice = w.sent(Method::Invite);
    w.silent();
    w.reply(&to_alice, 200, "", "", &with_ice("new"));
    w.ack();
    let to_bob = w.sent(Method::Invite);
    let told: Vec<_> = w.media[before..]
        .iter()
        .map(|(_, op, from, sdp)| (*op, *from, sdp.clone()))
        .collect();
    assert_eq!(
        told,
        [
            (MediaOp::Offer, Side::B, BOB_SDP.to_owned()),
            (MediaOp::Answer, Side::A, with_ice("new")),
        ],
        "the relay never hears of the old credentials"
    );
    assert!(!has_moved(&w), "Bob does not know yet");
    w.reply(&to_bob, 200, "", "", BOB_SDP);
    w.ack();
    assert!(has_moved(&w));
    assert_eq!(w.media.len(), before + 2);
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

/// Bob in a browser as well.
fn bob_with_ice(ufrag: &str) -> String {
    sdp_with("bob", "192.0.2.20", &format!("a=ice-ufrag:{ufrag}\r\n"))
}

#[test]
fn of_two_sides_that_speak_ice_the_relay_hears_new_credentials_only() {
    let invite = "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n";
    let mut w = World::with_invite(to_bob(), invite, &with_ice("old"));
    let to_bob = w.sent(Method::Invite);
    w.reply(&to_bob, 200, "bobtag", "", &bob_with_ice("old"));
    w.ack();
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    let before = w.media.len();
    lose(&mut w);
    let to_alice = w.sent(Method::Invite);
    w.silent();
    w.reply(&to_alice, 200, "", "", &with_ice("new"));
    w.ack();
    let to_bob = w.sent(Method::Invite);
    assert!(!has_moved(&w), "Bob does not know yet");
    w.reply(&to_bob, 200, "", "", &bob_with_ice("new"));
    w.ack();
    let told: Vec<_> = w.media[before..]
        .iter()
        .map(|(_, op, from, sdp)| (*op, *from, sdp.clone()))
        .collect();
    assert_eq!(
        told,
        [
            (MediaOp::Offer, Side::B, sdp_with("bob", "192.0.2.20", "")),
            (MediaOp::Answer, Side::A, with_ice("new")),
            (MediaOp::Offer, Side::A, with_ice("new")),
            (MediaOp::Answer, Side::B, bob_with_ice("new")),
        ]
    );
    assert!(w.given[before..].iter().all(|g| *g != Given::ToOurOffer));
    assert!(has_moved(&w));
    w.silent();
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_relay_that_dislikes_the_new_answer_is_replaced_by_another() {
    let invite = "Supported: timer\r\nAllow: INVITE, ACK, BYE\r\n";
    let (mut w, _) = World::answer(World::with_invite(to_bob(), invite, &with_ice("old")), "");
    lose(&mut w);
    let to_alice = w.sent(Method::Invite);
    w.relay = Relay::Refuses(503);
    w.reply(&to_alice, 200, "", "", &with_ice("new"));
    w.ack();
    w.silent();
    w.relay = Relay::Answers;
    w.pass_s(2);
    let to_alice = w.sent(Method::Invite);
    w.reply(&to_alice, 200, "", "", &with_ice("newer"));
    w.ack();
    let to_bob = w.sent(Method::Invite);
    w.reply(&to_bob, 200, "", "", BOB_SDP);
    w.ack();
    assert!(has_moved(&w));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}
