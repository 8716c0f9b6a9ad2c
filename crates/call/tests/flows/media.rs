//! The media relay: what is asked, refusals at each point, and order while it thinks.

use std::time::Duration;

use call::{Cause, EndedBy, Input, MediaOp, Phase, Side};
use sip::{HeaderName, Method};

use crate::peer::{ALICE_SDP, BOB_SDP, sdp};
use crate::world::{INVITE, Relay, World, body, config, header, text, to_bob};

fn slow() -> World {
    let trust = call::Trust::Untrusted;
    World::build(to_bob(), config(), trust, "", ALICE_SDP, |w| {
        w.relay = Relay::IsSlow
    })
}

#[test]
fn the_offer_refused_fails_the_call() {
    let mut w = slow();
    w.silent();
    w.relay_refuses(488);
    w.told(INVITE, 488);
    let report = w.close(&Cause::MediaFailed);
    assert_eq!(report.status, 488);
}

#[test]
fn the_answer_refused_sends_the_callee_off() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.relay = Relay::Refuses(503);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    let bye = w.sent(Method::Bye);
    w.told(INVITE, 503);
    assert_eq!(w.ended_attempts(), [(0, 200)]);
    w.reply(&bye, 200, "", "", "");
    w.close(&Cause::MediaFailed);
}

#[test]
fn early_media_refused_rings_without() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.relay = Relay::Refuses(503);
    w.reply(&invite, 183, "bobtag", "", BOB_SDP);
    assert!(w.told(INVITE, 183).body().is_empty());
    w.relay = Relay::Answers;
    w.reply(&invite, 486, "bobtag", "", "");
    w.close(&Cause::Refused(486));
}

#[test]
fn a_reinvite_refused_by_the_relay_changes_nothing() {
    let (mut w, mut bob) = World::answered();
    w.relay = Relay::Refuses(488);
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let uas = w.request(invite);
    w.told(uas, 488);
    w.silent();
    w.relay = Relay::Answers;
    let invite = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.relay = Relay::Refuses(488);
    w.reply(&carried, 200, "", "", &sdp("alice2", "192.0.2.10"));
    w.ack();
    w.told(uas, 488);
    assert_eq!(w.call.phase(), Phase::Answered);
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn an_offer_the_relay_refuses_in_answer_to_a_late_reinvite_ends_the_call() {
    let (mut w, _) = World::answered();
    let invite = w.alice.request("INVITE", "", "");
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.relay = Relay::Refuses(503);
    w.reply(&carried, 200, "", "", &sdp("bob2", "192.0.2.20"));
    w.told(uas, 503);
    w.ack();
    w.sent(Method::Bye);
    w.sent(Method::Bye);
    w.close(&Cause::MediaFailed);
}

#[test]
fn the_answer_in_an_ack_refused_ends_the_call() {
    let mut w = World::with_invite(to_bob(), "", "");
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    let answer = w.told(INVITE, 200);
    w.relay = Relay::Refuses(488);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, ALICE_SDP);
    w.request(ack);
    w.ack();
    w.sent(Method::Bye);
    w.sent(Method::Bye);
    w.close(&Cause::MediaFailed);
}

#[test]
fn what_arrives_while_the_relay_thinks_keeps_its_order() {
    let mut w = slow();
    w.relay_answers();
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 183, "bobtag", "", BOB_SDP);
    w.reply(&invite, 180, "bobtag", "", "");
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.silent();
    w.relay_answers();
    w.told(INVITE, 183);
    w.told(INVITE, 180);
    w.ack();
    w.silent();
    w.relay_answers();
    w.told(INVITE, 200);
    w.ack();
    w.feed(Input::NoAck { uas: INVITE });
    w.close(&Cause::NoAck);
}

#[test]
fn a_caller_that_gives_up_while_the_relay_thinks() {
    let mut w = slow();
    w.cancel();
    w.silent();
    w.relay_answers();
    let invite = w.sent(Method::Invite);
    w.told(INVITE, 487);
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn timers_wait_for_the_relay_too() {
    let mut w = slow();
    w.relay_answers();
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "bobtag", "", "");
    w.told(INVITE, 180);
    w.pass_s(28);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    w.pass_s(3);
    w.silent();
    w.relay_answers();
    w.told(INVITE, 200);
    w.pass_s(1);
    assert_eq!(
        w.call.phase(),
        Phase::Answered,
        "the ring time was over in time"
    );
    w.feed(Input::NoAck { uas: INVITE });
    w.close(&Cause::NoAck);
}

#[test]
fn a_relay_that_never_answers_fails_the_call() {
    let mut w = slow();
    w.pass_s(3);
    w.silent();
    w.pass_s(1);
    let refused = w.told(INVITE, 503);
    let reason = header(&refused, HeaderName::Reason);
    assert!(reason.contains("media relay failed"), "{reason}");
    w.relay_answers();
    w.silent();
    let report = w.close(&Cause::MediaFailed);
    assert_eq!(report.status, 503);
}

#[test]
fn a_caller_that_gave_up_is_told_when_the_relay_never_answers() {
    let mut w = slow();
    w.cancel();
    w.pass_s(4);
    // The INVITE has its answer; the CANCEL finds nothing left to do.
    w.told(INVITE, 503);
    w.close(&Cause::MediaFailed);
}

#[test]
fn an_offer_the_relay_never_answers_is_refused_and_a_late_answer_changes_nothing() {
    let (mut w, _) = World::answered();
    w.relay = Relay::IsSlow;
    let first = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let first = w.request(first);
    let unanswered = w.ask;
    w.pass_s(4);
    w.told(first, 503);
    assert_eq!(w.call.phase(), Phase::Answered);
    let second = w.alice.request("INVITE", "", &sdp("alice3", "192.0.2.10"));
    w.request(second);
    w.feed(Input::Media(unanswered, Ok("too late".into())));
    w.silent();
    w.relay_answers();
    assert!(body(&w.sent(Method::Invite).message).contains("s=alice3"));
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_silent_relay_lengthens_no_call_beyond_its_limit() {
    let mut brief = config();
    brief.duration_max = Duration::from_secs(30);
    let trust = call::Trust::Untrusted;
    let w = World::build(to_bob(), brief, trust, "", ALICE_SDP, |_| {});
    let (mut w, _) = World::answer(w, "");
    w.relay = Relay::IsSlow;
    w.pass_s(28);
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let uas = w.request(invite);
    w.pass_s(1);
    w.silent();
    w.pass_s(1);
    w.told(uas, 503);
    w.sent(Method::Bye);
    w.sent(Method::Bye);
    w.close(&Cause::DurationLimit);
}

#[test]
fn the_inbox_is_bounded_and_its_overflow_answered() {
    let (mut w, mut bob) = World::answered();
    w.relay = Relay::IsSlow;
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let uas = w.request(invite);
    let infos: Vec<u64> = (0..70)
        .map(|_| {
            let info = bob.request("INFO", "", "");
            w.request(info)
        })
        .collect();
    for info in &infos[64..] {
        w.told(*info, 503);
    }
    w.silent();
    // What the call has asked for is never dropped.
    w.feed(Input::End(Cause::Operator));
    w.relay_answers();
    for info in &infos[..64] {
        w.told(*info, 487);
    }
    w.told(uas, 487);
    let carried = w.sent(Method::Invite);
    w.reply(&carried, 488, "", "", "");
    w.pass_s(41);
    w.close(&Cause::Operator);
}

#[test]
fn the_echo_answers_at_once() {
    let mut w = World::echo("Supported: timer\r\n", ALICE_SDP);
    assert_eq!(w.media[0].1, MediaOp::Echo);
    let answer = w.told(INVITE, 200);
    assert!(body(&answer).contains("s=echo"));
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let uas = w.request(invite);
    assert!(body(&w.told(uas, 200)).contains("s=echo"));
    let ack = w.alice.ack(2, "");
    w.request(ack);
    for (kind, status) in [
        ("application/dtmf-relay", 200),
        ("application/dtmf", 200),
        ("application/media_control+xml", 415),
    ] {
        let kind = format!("Content-Type: {kind}\r\n");
        let info = w.alice.request("INFO", &kind, "Signal=5\r\n");
        let uas = w.request(info);
        w.told(uas, status);
    }
    let bye = w.alice.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    assert!(w.is_gone());
    w.close(&Cause::HungUp(EndedBy::Caller));
}

#[test]
fn the_echo_offers_to_a_caller_that_does_not() {
    let mut w = World::echo("", "");
    let answer = w.told(INVITE, 200);
    assert!(body(&answer).contains("s=echo"));
    w.alice.established(&answer);
    let ack = w.alice.ack(1, ALICE_SDP);
    w.request(ack);
    let (_, op, side, sdp) = w.media[1].clone();
    assert_eq!(
        (op, side, sdp.as_str()),
        (MediaOp::Answer, Side::A, ALICE_SDP)
    );
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn an_echo_whose_caller_gives_up_before_the_relay_answers_is_not_answered() {
    let mut w = World::begin_echo("", ALICE_SDP, Relay::IsSlow);
    w.cancel();
    w.told(INVITE, 487);
    w.relay_answers();
    w.close(&Cause::Cancelled);
}

#[test]
fn an_echo_the_relay_refuses() {
    let mut w = World::begin_echo("", ALICE_SDP, Relay::Refuses(503));
    w.told(INVITE, 503);
    w.close(&Cause::MediaFailed);
}

#[test]
fn candidates_by_info_are_for_the_relay_and_announced_where_they_may_come() {
    let trickles = format!("{BOB_SDP}a=ice-options:trickle\r\n");
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", &trickles);
    w.ack();
    let answer = w.told(INVITE, 200);
    let announces = |message: &sip::Message| text(message).contains("Recv-Info: trickle-ice");
    assert!(announces(&answer) && !announces(&invite.message));
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    let fragment = "a=ice-ufrag:8hhY\r\nm=audio 9 RTP/AVP 0\r\na=end-of-candidates\r\n";
    let kind = "Info-Package: trickle-ice\r\nContent-Type: application/trickle-ice-sdpfrag\r\n";
    let info = w.alice.request("INFO", kind, fragment);
    let uas = w.request(info);
    w.told(uas, 200);
    assert_eq!(w.candidates, [(Side::A, fragment.to_owned())]);
    let other = w.alice.request("INFO", "Content-Type: text/plain\r\n", "x");
    w.request(other);
    let carried = w.sent(Method::Info);
    assert_eq!(
        body(&carried.message),
        "x",
        "all else is for the other side"
    );
    w.reply(&carried, 200, "", "", "");
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}
