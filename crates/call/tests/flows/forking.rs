//! Several attempts: one after the other, and several at a time (RFC 3261 §13.2.2.4, §16.7).

use call::{Attempt, Cause, EndedBy, Input, Yields};
use sip::Method;

use crate::peer::BOB_SDP;
use crate::world::{INVITE, World, attempt, body, plan, text};

fn one_after_the_other() -> World {
    World::new(plan(vec![attempt(0, 0, "desk"), attempt(1, 1, "mobile")]))
}

fn both_at_once() -> World {
    World::new(plan(vec![attempt(0, 0, "desk"), attempt(0, 1, "mobile")]))
}

#[test]
fn the_next_stage_rings_when_the_first_has_failed() {
    let mut w = one_after_the_other();
    let desk = w.sent(Method::Invite);
    w.silent();
    w.reply(&desk, 486, "desk", "", "");
    assert_eq!(w.ended_attempts(), [(0, 486)]);
    let mobile = w.sent(Method::Invite);
    assert_eq!(mobile.message.uri(), b"sip:mobile@192.0.2.20");
    assert_ne!(mobile.message.call_id(), desk.message.call_id());
    w.reply(&mobile, 200, "mobile", "", BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    end(w);
}

#[test]
fn the_next_stage_rings_when_the_first_rings_too_long() {
    let mut w = one_after_the_other();
    let desk = w.sent(Method::Invite);
    w.reply(&desk, 180, "desk", "", "");
    w.told(INVITE, 180);
    w.pass_s(30);
    w.was_cancelled(&desk);
    let mobile = w.sent(Method::Invite);
    w.reply(&desk, 487, "desk", "", "");
    w.reply(&mobile, 404, "mobile", "", "");
    w.told(INVITE, 404);
    w.close(&Cause::Refused(404));
}

#[test]
fn each_early_dialog_is_mirrored_by_one_to_the_caller() {
    let mut w = both_at_once();
    let desk = w.sent(Method::Invite);
    let mobile = w.sent(Method::Invite);
    w.reply(&desk, 180, "desk", "", "");
    w.reply(&mobile, 180, "mobile", "", "");
    w.reply(&mobile, 183, "mobile2", "", "");
    w.reply(&desk, 180, "desk", "", "");
    let tags: Vec<_> = [180, 180, 183, 180]
        .map(|status| w.told(INVITE, status))
        .iter()
        .map(|m| m.to().unwrap().tag().unwrap().to_vec())
        .collect();
    assert_ne!(tags[0], tags[1]);
    assert_ne!(tags[1], tags[2]);
    assert_eq!(tags[0], tags[3]);
    assert_eq!(w.call.pairs().len(), 3);
    w.cancel();
    w.cancelled(&[&desk, &mobile]);
    w.close(&Cause::Cancelled);
}

#[test]
fn the_winner_takes_it_and_losers_are_cancelled() {
    let mut w = both_at_once();
    let desk = w.sent(Method::Invite);
    let mobile = w.sent(Method::Invite);
    w.reply(&desk, 180, "desk", "", "");
    w.reply(&mobile, 200, "mobile", "", BOB_SDP);
    assert_eq!(
        w.was_cancelled(&desk),
        "SIP;cause=200;text=\"Call completed elsewhere\""
    );
    assert!(w.cancels.len() == 1, "the winner is not cancelled");
    w.told(INVITE, 180);
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    assert_eq!(w.call.pairs().len(), 1);
    w.reply(&desk, 487, "desk", "", "");
    assert_eq!(w.ended_attempts(), [(0, 0)]);
    end(w);
}

#[test]
fn a_second_2xx_is_acknowledged_and_ended() {
    let mut w = both_at_once();
    let desk = w.sent(Method::Invite);
    let mobile = w.sent(Method::Invite);
    w.reply(&mobile, 200, "mobile", "", BOB_SDP);
    w.ack();
    w.reply(&desk, 200, "desk", "", BOB_SDP);
    assert!(text(&w.ack()).contains("To: <sip:desk@example.com>;tag=desk\r\n"));
    let bye = w.sent(Method::Bye);
    assert!(text(&bye.message).contains("completed elsewhere"));
    w.reply(&bye, 200, "", "", "");
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    end(w);
}

#[test]
fn a_second_2xx_of_the_same_invite_is_ended_too() {
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    w = World::answer_to(w, &invite, "").0;
    // The fork of a proxy behind Bob: same INVITE, another tag.
    w.reply(&invite, 200, "fork", "", BOB_SDP);
    w.ack();
    let bye = w.sent(Method::Bye);
    assert!(text(&bye.message).contains("tag=fork"));
    w.reply(&bye, 200, "", "", "");
    end(w);
}

#[test]
fn a_repeated_2xx_is_acknowledged_again() {
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    let first = w.ack();
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    assert_eq!(w.ack().raw(), first.raw());
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    end(w);
}

#[test]
fn a_6xx_stops_everybody_rfc_3261_16_7() {
    let mut w = World::new(plan(vec![
        attempt(0, 0, "desk"),
        attempt(0, 1, "mobile"),
        attempt(1, 2, "voicemail"),
    ]));
    let desk = w.sent(Method::Invite);
    let mobile = w.sent(Method::Invite);
    w.reply(&desk, 603, "desk", "", "");
    w.cancelled(&[&mobile]);
    w.told(INVITE, 603);
    w.silent();
    w.close(&Cause::Refused(603));
}

#[test]
fn a_6xx_stops_those_still_looked_up() {
    let mut w = World::build(
        plan(vec![attempt(0, 0, "desk"), attempt(0, 1, "mobile")]),
        crate::world::config(),
        call::Trust::Untrusted,
        "",
        crate::peer::ALICE_SDP,
        |w| w.holds_dials = true,
    );
    let [desk, mobile] = w.unresolved[..] else {
        panic!("{:?}", w.unresolved)
    };
    let targets = || Ok(vec![crate::world::udp("192.0.2.20", 5060)]);
    w.feed(Input::Dial {
        attempt: desk,
        targets: targets(),
    });
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 603, "desk", "", "");
    w.told(INVITE, 603);
    w.feed(Input::Dial {
        attempt: mobile,
        targets: targets(),
    });
    w.silent();
    w.close(&Cause::Refused(603));
}

#[test]
fn the_best_failure_is_told() {
    for (failures, best) in [
        ([480, 486], 486),
        ([503, 404], 404),
        ([408, 500], 408),
        ([486, 600], 600),
        ([503, 500], 503),
    ] {
        let mut w = both_at_once();
        let desk = w.sent(Method::Invite);
        let mobile = w.sent(Method::Invite);
        w.reply(&desk, failures[0], "desk", "", "");
        w.reply(&mobile, failures[1], "mobile", "", "");
        w.told(INVITE, best);
        w.close(&Cause::Refused(best));
    }
}

fn gateways() -> Vec<Attempt> {
    let gateway = |stage, token, user| Attempt {
        yields: Yields::Trouble,
        ..attempt(stage, token, user)
    };
    vec![gateway(0, 0, "one"), gateway(1, 1, "two")]
}

#[test]
fn a_gateway_in_trouble_yields_to_the_next() {
    for status in [503, 500, 408, 504] {
        let mut w = World::new(plan(gateways()));
        let one = w.sent(Method::Invite);
        w.reply(&one, status, "one", "Retry-After: 120\r\n", "");
        assert!(matches!(
            w.facts[..],
            [call::Fact::AttemptEnded {
                token: 0,
                answered_by_peer: true,
                retry_after_s: Some(120),
                ..
            }]
        ));
        let two = w.sent(Method::Invite);
        w.reply(&two, 200, "two", "", BOB_SDP);
        let answer = w.told(INVITE, 200);
        w.alice.established(&answer);
        let ack = w.alice.ack(1, "");
        w.request(ack);
        w.ack();
        end(w);
    }
}

#[test]
fn what_a_gateway_says_of_the_called_party_holds() {
    for status in [404, 486, 403] {
        let mut w = World::new(plan(gateways()));
        let one = w.sent(Method::Invite);
        w.reply(&one, status, "one", "", "");
        w.told(INVITE, status);
        w.silent();
        w.close(&Cause::Refused(status));
    }
}

#[test]
fn a_silent_gateway_yields_to_the_next_and_may_wake_too_late() {
    let mut w = World::new(plan(gateways()));
    let one = w.sent(Method::Invite);
    w.pass_s(4);
    w.was_cancelled(&one);
    assert_eq!(w.ended_attempts(), [(0, 408)]);
    let two = w.sent(Method::Invite);
    w.reply(&two, 180, "two", "", "");
    w.reply(&one, 200, "one", "", BOB_SDP);
    w.ack();
    let bye = w.sent(Method::Bye);
    w.reply(&bye, 200, "", "", "");
    w.told(INVITE, 180);
    w.reply(&two, 486, "two", "", "");
    w.told(INVITE, 486);
    w.close(&Cause::Refused(486));
}

#[test]
fn a_provisional_answer_ends_the_silence() {
    let mut w = World::new(plan(gateways()));
    let one = w.sent(Method::Invite);
    w.reply(&one, 100, "", "", "");
    w.pass_s(20);
    w.silent();
    w.cancel();
    w.cancelled(&[&one]);
    w.close(&Cause::Cancelled);
}

#[test]
fn an_answer_of_the_relay_to_parallel_attempts_is_used_for_all() {
    let mut w = both_at_once();
    assert_eq!(w.media.len(), 1);
    let desk = w.sent(Method::Invite);
    let mobile = w.sent(Method::Invite);
    assert_eq!(body(&desk.message), body(&mobile.message));
    w.cancel();
    w.cancelled(&[&desk, &mobile]);
    w.close(&Cause::Cancelled);
}

#[test]
fn too_many_early_dialogs_are_not_mirrored() {
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    for fork in 0..100 {
        w.reply(&invite, 180, &format!("fork{fork}"), "", "");
    }
    assert_eq!(w.call.pairs().len(), 32);
    // Somebody who was not mirrored may still answer.
    w.reply(&invite, 200, "fork99", "", BOB_SDP);
    assert_eq!(w.call.pairs().len(), 1);
    w.feed(Input::NoAck { uas: INVITE });
    w.close(&Cause::NoAck);
}

fn end(mut w: World) {
    let bye = w.alice.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.close(&Cause::HungUp(EndedBy::Caller));
}
