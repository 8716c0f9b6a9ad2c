//! Before the answer: early media, late offers, reliable responses, UPDATE (RFC 3262, RFC 3311,
//! RFC 6337).

use call::{Cause, EndedBy, MediaOp, Side};
use sip::{HeaderName, Method};

use crate::peer::{ALICE_SDP, BOB_SDP, Peer, sdp};
use crate::world::{INVITE, Sent, World, body, config, header, plan, text, to_bob};

const RELIABLE: &str = "Supported: 100rel\r\n";

fn ended_by_alice(mut w: World) {
    let bye = w.alice.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.close(&Cause::HungUp(EndedBy::Caller));
}

#[test]
fn early_media_comes_through_the_relay() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 183, "bobtag", "", BOB_SDP);
    let progress = w.told(INVITE, 183);
    assert_eq!(body(&progress), BOB_SDP.replace("192.0.2.", "203.0.113."));
    assert_eq!(w.media[1].1, MediaOp::Answer);
    assert_eq!(w.media[1].2, Side::B);
    w.reply(&invite, 486, "bobtag", "", "");
    w.told(INVITE, 486);
    w.close(&Cause::Refused(486));
}

#[test]
fn early_media_goes_round_the_relay_in_bypass() {
    let bypass = call::Plan {
        media: call::MediaMode::Bypass,
        ..to_bob()
    };
    let mut w = World::new(bypass);
    let invite = w.sent(Method::Invite);
    assert_eq!(body(&invite.message), ALICE_SDP);
    w.reply(&invite, 183, "bobtag", "", BOB_SDP);
    assert_eq!(body(&w.told(INVITE, 183)), BOB_SDP);
    assert!(w.media.is_empty());
    w.cancel();
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut w = World::with_invite(to_bob(), "", "");
    let invite = w.sent(Method::Invite);
    assert!(invite.message.body().is_empty());
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    let answer = w.told(INVITE, 200);
    assert_eq!(w.media[0].1, MediaOp::Offer);
    w.silent();
    w.alice.established(&answer);
    let ack = w.alice.ack(1, ALICE_SDP);
    w.request(ack);
    assert_eq!(w.media[1].1, MediaOp::Answer);
    let ack = w.ack();
    assert_eq!(body(&ack), ALICE_SDP.replace("192.0.2.", "203.0.113."));
    // A repeated 2xx gets the same ACK, answer included (RFC 3261 §13.2.2.4).
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    assert_eq!(w.ack().raw(), ack.raw());
    ended_by_alice(w);
}

#[test]
fn a_late_offer_whose_ack_never_comes_ends_the_callee_with_ack_and_bye() {
    let mut w = World::with_invite(to_bob(), "", "");
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.told(INVITE, 200);
    w.feed(call::Input::NoAck { uas: INVITE });
    w.ack();
    w.sent(Method::Bye);
    w.sent(Method::Bye);
    w.close(&Cause::NoAck);
}

fn reliable(rseq: u32) -> String {
    format!("Require: 100rel\r\nRSeq: {rseq}\r\n")
}

/// Alice's PRACK of a response.
fn prack(w: &mut World, peer: &mut Peer, response: &sip::Message, sdp: &str) -> u64 {
    let rseq = response.number(HeaderName::RSeq).unwrap();
    let prack = peer.request("PRACK", &format!("RAck: {rseq} 1 INVITE\r\n"), sdp);
    w.request(prack)
}

fn ringing_reliably() -> (World, Sent, Peer, sip::Message) {
    let mut w = World::with_invite(to_bob(), RELIABLE, ALICE_SDP);
    let invite = w.sent(Method::Invite);
    assert!(text(&invite.message).contains("100rel"));
    w.reply(&invite, 183, "bobtag", &reliable(700), BOB_SDP);
    let progress = w.told(INVITE, 183);
    let early = w.alice.in_dialog_of(&progress);
    (w, invite, early, progress)
}

#[test]
fn a_reliable_response_and_its_prack_are_mirrored() {
    let (mut w, invite, mut early, progress) = ringing_reliably();
    assert_eq!(header(&progress, HeaderName::RSeq), "1");
    let prack = prack(&mut w, &mut early, &progress, "");
    assert_eq!(w.pracked, 1);
    let carried = w.sent(Method::Prack);
    assert_eq!(header(&carried.message, HeaderName::RAck), "700 1 INVITE");
    assert_eq!(header(&carried.message, HeaderName::CSeq), "2 PRACK");
    w.reply(&carried, 200, "", "", "");
    w.told(prack, 200);
    w.reply(&invite, 200, "bobtag", "", "");
    assert_eq!(header(&w.ack(), HeaderName::CSeq), "1 ACK");
    let answer = w.told(INVITE, 200);
    w.alice = early;
    let ack = w.alice.ack(1, "");
    w.request(ack);
    assert!(answer.body().is_empty());
    ended_by_alice(w);
}

#[test]
fn a_repeated_or_later_rseq_is_dropped_rfc_3262_4() {
    let (mut w, invite, mut early, progress) = ringing_reliably();
    w.reply(&invite, 183, "bobtag", &reliable(700), BOB_SDP);
    w.reply(&invite, 180, "bobtag", &reliable(702), "");
    w.silent();
    let prack = prack(&mut w, &mut early, &progress, "");
    let carried = w.sent(Method::Prack);
    w.reply(&carried, 200, "", "", "");
    w.told(prack, 200);
    w.reply(&invite, 180, "bobtag", &reliable(701), "");
    assert_eq!(header(&w.told(INVITE, 180), HeaderName::RSeq), "2");
    w.cancel();
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn a_second_reliable_response_waits_for_the_first_prack() {
    let (mut w, invite, mut early, progress) = ringing_reliably();
    w.reply(&invite, 180, "fork", &reliable(5), "");
    w.silent();
    let first = prack(&mut w, &mut early, &progress, "");
    let second = w.told(INVITE, 180);
    let carried = w.sent(Method::Prack);
    w.reply(&carried, 200, "", "", "");
    w.told(first, 200);
    let mut fork = w.alice.in_dialog_of(&second);
    let prack = prack(&mut w, &mut fork, &second, "");
    let carried = w.sent(Method::Prack);
    assert_eq!(header(&carried.message, HeaderName::RAck), "5 1 INVITE");
    w.reply(&carried, 200, "", "", "");
    w.told(prack, 200);
    w.cancel();
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn a_prack_of_nothing_gets_481() {
    let (mut w, invite, mut early, progress) = ringing_reliably();
    let wrong = early.request("PRACK", "RAck: 9 1 INVITE\r\n", "");
    let wrong = w.request(wrong);
    w.told(wrong, 481);
    let right = prack(&mut w, &mut early, &progress, "");
    let carried = w.sent(Method::Prack);
    let again = prack(&mut w, &mut early, &progress, "");
    w.told(again, 481);
    w.reply(&carried, 200, "", "", "");
    w.told(right, 200);
    w.cancel();
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn repetitions_stop_when_the_fork_that_rang_reliably_fails() {
    let mut w = World::with_invite(
        plan(vec![
            crate::world::attempt(0, 0, "desk"),
            crate::world::attempt(0, 1, "mobile"),
        ]),
        RELIABLE,
        ALICE_SDP,
    );
    let desk = w.sent(Method::Invite);
    let mobile = w.sent(Method::Invite);
    w.reply(&desk, 183, "desk", &reliable(1), BOB_SDP);
    let progress = w.told(INVITE, 183);
    w.reply(&mobile, 180, "mobile", &reliable(50), "");
    w.silent();
    w.reply(&desk, 486, "desk", "", "");
    assert_eq!(w.pracked, 1, "nobody repeats it any more");
    w.told(INVITE, 180);
    let mut early = w.alice.in_dialog_of(&progress);
    let prack = prack(&mut w, &mut early, &progress, "");
    w.told(prack, 481);
    w.cancel();
    w.cancelled(&[&mobile]);
    w.close(&Cause::Cancelled);
}

#[test]
fn a_late_offer_in_a_reliable_response_is_answered_by_prack() {
    let mut w = World::with_invite(to_bob(), RELIABLE, "");
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 183, "bobtag", &reliable(1), BOB_SDP);
    assert_eq!(w.media[0].1, MediaOp::Offer);
    let progress = w.told(INVITE, 183);
    let mut early = w.alice.in_dialog_of(&progress);
    let prack = prack(&mut w, &mut early, &progress, ALICE_SDP);
    assert_eq!(w.media[1].1, MediaOp::Answer);
    let carried = w.sent(Method::Prack);
    assert_eq!(
        body(&carried.message),
        ALICE_SDP.replace("192.0.2.", "203.0.113.")
    );
    w.reply(&carried, 200, "", "", "");
    w.told(prack, 200);
    w.reply(&invite, 200, "bobtag", "", "");
    w.told(INVITE, 200);
    w.alice = early;
    let ack = w.alice.ack(1, "");
    w.request(ack);
    assert!(w.ack().body().is_empty());
    ended_by_alice(w);
}

#[test]
fn a_prack_that_crosses_the_answer_is_answered_here() {
    let (mut w, invite, mut early, progress) = ringing_reliably();
    w.reply(&invite, 200, "bobtag", "", "");
    w.told(INVITE, 200);
    w.ack();
    let prack = prack(&mut w, &mut early, &progress, "");
    w.told(prack, 200);
    w.alice = early;
    let ack = w.alice.ack(1, "");
    w.request(ack);
    ended_by_alice(w);
}

#[test]
fn a_caller_without_100rel_is_not_bothered_with_it() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    assert!(!text(&invite.message).contains("100rel"));
    w.reply(&invite, 183, "bobtag", &reliable(1), "");
    assert!(!text(&w.told(INVITE, 183)).contains("RSeq"));
    w.cancel();
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn update_in_an_early_dialog_goes_both_ways() {
    let (mut w, invite, mut early, progress) = ringing_reliably();
    let ack = prack(&mut w, &mut early, &progress, "");
    let carried = w.sent(Method::Prack);
    w.reply(&carried, 200, "", "", "");
    w.told(ack, 200);
    let update = early.request("UPDATE", "", &sdp("alice2", "192.0.2.10"));
    let update = w.request(update);
    let carried = w.sent(Method::Update);
    assert!(body(&carried.message).contains("s=alice2"));
    w.reply(&carried, 200, "", "", &sdp("bob2", "192.0.2.20"));
    assert!(body(&w.told(update, 200)).contains("s=bob2"));
    let mut bob = Peer::callee(&invite.message, "bobtag");
    let update = bob.request("UPDATE", "", &sdp("bob3", "192.0.2.20"));
    let update = w.request(update);
    let carried = w.sent(Method::Update);
    assert!(body(&carried.message).contains("s=bob3"));
    w.reply(&carried, 491, "", "", "");
    w.told(update, 491);
    w.cancel();
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn no_prack_ends_the_call() {
    let (mut w, invite, ..) = ringing_reliably();
    w.feed(call::Input::End(Cause::NoAck));
    w.told(INVITE, 500);
    w.cancelled(&[&invite]);
    w.close(&Cause::NoAck);
}

#[test]
fn a_bye_in_an_early_dialog_ends_the_call_and_what_was_under_way() {
    let (mut w, invite, mut early, progress) = ringing_reliably();
    let prack = prack(&mut w, &mut early, &progress, "");
    let bye = early.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.told(prack, 487);
    w.told(INVITE, 487);
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn a_caller_that_wants_too_short_a_session_gets_422() {
    let headers = "Supported: timer\r\nSession-Expires: 60\r\n";
    let mut w = World::with_invite(to_bob(), headers, ALICE_SDP);
    let refused = w.told(INVITE, 422);
    assert_eq!(
        header(&refused, HeaderName::MinSe),
        config().session_expires_min_s.to_string()
    );
    assert!(w.is_gone());
    w.close_refused(422, "Session Interval Too Small");
}
