//! The basic call and its ends (RFC 3261 §13, §15).

use call::{Cause, EndedBy, Fact, Input, Phase};
use sip::{HeaderName, Method};

use crate::peer::{ALICE_SDP, BOB_SDP, Peer};
use crate::world::{INVITE, World, body, header, text, to_bob};

#[test]
fn invite_180_200_ack_bye() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    assert_eq!(
        body(&invite.message),
        ALICE_SDP.replace("192.0.2.", "203.0.113.")
    );
    w.reply(&invite, 100, "", "", "");
    w.silent();
    w.reply(&invite, 180, "bobtag", "", "");
    let ringing = w.told(INVITE, 180);
    assert_eq!(w.facts, [Fact::Ringing]);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    let ack = w.ack();
    assert_eq!(ack.uri(), b"sip:bobtag@192.0.2.20");
    let answer = w.told(INVITE, 200);
    assert_eq!(answer.to().unwrap().tag(), ringing.to().unwrap().tag());
    assert_eq!(body(&answer), BOB_SDP.replace("192.0.2.", "203.0.113."));
    assert_eq!(w.facts[1], Fact::Answered { token: Some(0) });
    assert_eq!(w.call.phase(), Phase::Answered);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    let bye = w.alice.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    let bye = w.sent(Method::Bye);
    assert!(text(&bye.message).contains("Reason: Q.850;cause=16;text=\"caller hung up\"\r\n"));
    w.reply(&bye, 200, "", "", "");
    assert!(w.is_gone());
    let report = w.close(&Cause::HungUp(EndedBy::Caller));
    assert_eq!(report.status, 200);
    assert_eq!(*report.callee_call_id, *bye.message.call_id().unwrap());
}

#[test]
fn the_callee_hangs_up_and_its_reason_goes_on() {
    let (mut w, mut bob) = World::answered();
    let bye = bob.request("BYE", "Reason: SIP;cause=200;text=\"bye\"\r\n", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    let bye = w.sent_among(Method::Bye);
    assert_eq!(
        header(&bye.message, HeaderName::Reason),
        "SIP;cause=200;text=\"bye\""
    );
    assert_eq!(bye.message.uri(), b"sip:alice@192.0.2.10");
    w.reply(&bye, 200, "", "", "");
    w.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn a_bye_does_not_overtake_the_2xx_rfc_3261_15() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let mut bob = Peer::callee(&invite.message, "bobtag");
    let bye = bob.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    assert_eq!(w.report().cause, Cause::HungUp(EndedBy::Callee));
    w.silent();
    let ack = w.alice.ack(1, "");
    w.request(ack);
    w.sent(Method::Bye);
    w.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn a_caller_that_hangs_up_instead_of_acknowledging_gets_no_bye() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let mut bob = Peer::callee(&invite.message, "bobtag");
    let bye = bob.request("BYE", "", "");
    w.request(bye);
    let bye = w.alice.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    assert!(w.is_gone());
    w.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn bye_from_both_sides_at_once() {
    let (mut w, mut bob) = World::answered();
    let bye = bob.request("BYE", "", "");
    w.request(bye);
    let to_alice = w.sent(Method::Bye);
    let bye = w.alice.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 481);
    w.reply(&to_alice, 481, "", "", "");
    w.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn cancel_before_any_answer() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.feed(Input::Cancelled {
        reason: Some((*b"SIP;cause=200;text=\"elsewhere\"").into()),
    });
    assert_eq!(w.was_cancelled(&invite), "SIP;cause=200;text=\"elsewhere\"");
    w.told(INVITE, 487);
    assert!(!w.is_gone(), "the INVITE is not over yet");
    w.reply(&invite, 487, "bobtag", "", "");
    let report = w.close(&Cause::Cancelled);
    assert_eq!(report.status, 487);
    assert_eq!(*report.callee_call_id, *invite.message.call_id().unwrap());
}

#[test]
fn cancel_after_180_is_answered_in_the_early_dialog() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "bobtag", "", "");
    let ringing = w.told(INVITE, 180);
    w.cancel();
    let refused = w.told(INVITE, 487);
    assert_eq!(refused.to().unwrap().tag(), ringing.to().unwrap().tag());
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn cancel_crossing_the_callees_200() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.cancel();
    w.told(INVITE, 487);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    let ack = w.ack();
    assert_eq!(header(&ack, HeaderName::CSeq), "1 ACK");
    let bye = w.sent(Method::Bye);
    assert!(bye.message.cseq().unwrap().number > 1);
    w.reply(&bye, 200, "", "", "");
    w.close(&Cause::Cancelled);
}

#[test]
fn cancel_crossing_our_200_has_no_effect() {
    let (mut w, _) = World::answered();
    w.cancel();
    w.silent();
    assert_eq!(w.call.phase(), Phase::Answered);
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn cancel_while_the_target_is_still_looked_up() {
    let mut w = World::build(
        to_bob(),
        crate::world::config(),
        call::Trust::Untrusted,
        "",
        ALICE_SDP,
        |w| w.holds_dials = true,
    );
    w.cancel();
    w.told(INVITE, 487);
    assert_eq!(w.ended_attempts(), [(0, 0)]);
    assert!(w.is_gone());
    w.close(&Cause::Cancelled);
}

#[test]
fn busy() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 486, "bobtag", "X-Why: lunch\r\n", "");
    let refused = w.told(INVITE, 486);
    assert_eq!(refused.reason(), b"Whatever");
    assert!(text(&refused).contains("X-Why: lunch\r\n"));
    assert_eq!(
        header(&refused, HeaderName::Reason),
        "Q.850;cause=17;text=\"Busy Here\""
    );
    w.close(&Cause::Refused(486));
}

#[test]
fn no_answer_within_the_ring_time() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "bobtag", "", "");
    w.told(INVITE, 180);
    w.pass_s(29);
    w.silent();
    w.pass_s(2);
    assert!(w.was_cancelled(&invite).contains("cause=19"));
    let refused = w.told(INVITE, 480);
    assert!(header(&refused, HeaderName::Reason).contains("no answer"));
    w.cancelled(&[&invite]);
    w.close(&Cause::NoAnswer);
}

#[test]
fn no_ack_ends_both_legs() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    w.told(INVITE, 200);
    w.feed(Input::NoAck { uas: 77 });
    w.silent();
    w.feed(Input::NoAck { uas: INVITE });
    w.sent(Method::Bye);
    w.sent(Method::Bye);
    w.close(&Cause::NoAck);
}

#[test]
fn an_operator_ends_a_call_that_rings() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.feed(Input::End(Cause::Operator));
    let refused = w.told(INVITE, 480);
    assert!(header(&refused, HeaderName::Reason).contains("operator"));
    w.cancelled(&[&invite]);
    w.close(&Cause::Operator);
}

#[test]
fn the_longest_duration_ends_both_legs() {
    let mut w = World::build(
        to_bob(),
        call::Config {
            session_expires_s: 0,
            ..crate::world::config()
        },
        call::Trust::Untrusted,
        "",
        ALICE_SDP,
        |_| (),
    );
    w = World::answer(w, "").0;
    w.pass_s(7_199);
    w.silent();
    w.pass_s(1);
    for _ in 0..2 {
        let bye = w.sent(Method::Bye);
        assert!(text(&bye.message).contains("maximum call duration"));
        w.reply(&bye, 200, "", "", "");
    }
    w.close(&Cause::DurationLimit);
}

#[test]
fn media_silence_ends_both_legs() {
    let (mut w, _) = World::answered();
    w.feed(Input::End(Cause::MediaSilent));
    w.sent(Method::Bye);
    w.sent(Method::Bye);
    w.close(&Cause::MediaSilent);
}

#[test]
fn an_unanswered_bye_does_not_keep_the_call() {
    let (mut w, _) = World::answered();
    w.feed(Input::End(Cause::Operator));
    let one = w.sent(Method::Bye);
    let two = w.sent(Method::Bye);
    w.fail(&one, call::Uac::Timeout);
    w.fail(&two, call::Uac::Unreachable);
    assert!(w.is_gone());
    w.close(&Cause::Operator);
}

#[test]
fn a_call_to_nobody_is_refused_at_once() {
    let mut w = World::new(crate::world::plan(Vec::new()));
    let refused = w.told(INVITE, 480);
    let reason = header(&refused, HeaderName::Reason);
    assert_eq!(reason, "Q.850;cause=20;text=\"not registered\"");
    assert!(w.is_gone());
    w.close_refused(480, "not registered");
}

#[test]
fn max_forwards_goes_down_and_stops_at_zero() {
    let mut w = World::with_invite(to_bob(), "Max-Forwards: 12\r\n", ALICE_SDP);
    let invite = w.sent(Method::Invite);
    assert_eq!(invite.message.number(HeaderName::MaxForwards), Some(11));
    w.reply(&invite, 404, "b", "", "");
    w.close(&Cause::Refused(404));
    let mut w = World::with_invite(to_bob(), "Max-Forwards: 0\r\n", ALICE_SDP);
    w.told(INVITE, 483);
    w.close_refused(483, "Too Many Hops");
}

#[test]
fn record_route_comes_back_and_contact_is_ours() {
    let route = "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n";
    let mut w = World::with_invite(to_bob(), route, ALICE_SDP);
    let invite = w.sent(Method::Invite);
    assert!(invite.message.header(HeaderName::RecordRoute).is_none());
    assert_eq!(
        header(&invite.message, HeaderName::Contact),
        "<sip:203.0.113.1:5060>"
    );
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    let answer = w.told(INVITE, 200);
    assert!(text(&answer).contains(route));
    assert_eq!(
        header(&answer, HeaderName::Contact),
        "<sip:203.0.113.1:5060>"
    );
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    w.feed(Input::End(Cause::Operator));
    let bye = w.sent(Method::Bye);
    assert!(text(&bye.message).contains("Route: <sip:p1;lr>, <sip:p2;lr>\r\n"));
    w.close(&Cause::Operator);
}

#[test]
fn an_rfc_2543_callee_without_tag_can_hang_up() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "", "", "");
    w.told(INVITE, 180);
    w.reply(&invite, 200, "", "", BOB_SDP);
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    let mut bob = Peer::callee(&invite.message, "");
    let bye = bob.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.close(&Cause::HungUp(EndedBy::Callee));
}
