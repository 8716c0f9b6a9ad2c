//! INVITE with Replaces (RFC 3891): somebody takes the place of a leg.

use call::{Cause, EndedBy, Input, Phase, Reach, Trust, Uac};
use sip::{Method, Replaces};

use crate::peer::{BOB_SDP, Peer, sdp};
use crate::world::{Relay, World, body, flow, text};

/// Carol asks to take somebody's place; names her INVITE if she may.
fn ask(w: &mut World, carol: &mut Peer, replaces: &str, sdp: &str) -> Option<u64> {
    let header = format!("Replaces: {replaces}\r\nRecord-Route: <sip:p;lr>\r\n");
    let invite = carol.request("INVITE", &header, sdp);
    let uas = w.open_uas();
    let replaces = replaces.as_bytes().to_vec();
    let taken = w.step(|call, ctx| {
        let replaces = Replaces::parse(&replaces).unwrap();
        let flow = flow("192.0.2.30:5060");
        let (reach, trust) = (Reach::Target, Trust::Untrusted);
        call.replace(ctx, &replaces, uas, flow, reach, trust, invite)
    });
    if !taken {
        w.forget_uas(uas);
    }
    taken.then_some(uas)
}

fn carol() -> Peer {
    Peer::caller("carol", "bob")
}

#[test]
fn the_newcomer_is_joined_and_the_replaced_leg_ended() {
    let (mut w, bob) = World::answered();
    let mut carol = carol();
    let invite = ask(
        &mut w,
        &mut carol,
        &bob.replaces(),
        &sdp("carol", "192.0.2.30"),
    )
    .unwrap();
    let carried = w.sent(Method::Invite);
    assert_eq!(carried.message.uri(), b"sip:alice@192.0.2.10");
    // Alice goes on in the session she knows (RFC 3264 §8).
    assert!(body(&carried.message).contains("s=carol"));
    assert!(
        body(&carried.message).contains("o=carol 1 2 "),
        "{}",
        body(&carried.message)
    );
    w.reply(&carried, 200, "", "", &sdp("alice2", "192.0.2.10"));
    w.ack();
    let answer = w.told(invite, 200);
    assert!(text(&answer).contains("Record-Route: <sip:p;lr>\r\n"));
    assert!(body(&answer).contains("s=alice2"));
    let bye = w.sent(Method::Bye);
    assert_eq!(bye.message.uri(), b"sip:bobtag@192.0.2.20");
    w.reply(&bye, 200, "", "", "");
    assert_eq!(w.ended_attempts(), [(0, 200)]);
    carol.established(&answer);
    let ack = carol.ack(1, "");
    w.request(ack);
    let bye = carol.request("BYE", "", "");
    w.request(bye);
    assert_eq!(w.sent(Method::Bye).message.uri(), b"sip:alice@192.0.2.10");
    w.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn a_refusal_of_the_other_side_restores_the_call() {
    for how in ["488", "relay", "hang-up"] {
        let (mut w, mut bob) = World::answered();
        let mut carol = carol();
        if how == "relay" {
            w.relay = Relay::Refuses(503);
        }
        let offer = sdp("carol", "192.0.2.30");
        let invite = ask(&mut w, &mut carol, &bob.replaces(), &offer).unwrap();
        match how {
            "488" => {
                let carried = w.sent(Method::Invite);
                w.reply(&carried, 488, "", "", "");
                let refused = w.told(invite, 488);
                assert!(refused.to().unwrap().tag().is_some());
            }
            "relay" => {
                let refused = w.told(invite, 503);
                assert!(refused.to().unwrap().tag().is_some());
            }
            _ => {
                let carried = w.sent(Method::Invite);
                let bye = w.alice.request("BYE", "", "");
                let bye = w.request(bye);
                w.told(bye, 200);
                w.told(invite, 487);
                let bye = w.sent(Method::Bye);
                assert_eq!(bye.message.uri(), b"sip:bobtag@192.0.2.20");
                w.reply(&carried, 487, "", "", "");
                w.reply(&bye, 200, "", "", "");
                w.silent();
                w.close(&Cause::HungUp(EndedBy::Caller));
                continue;
            }
        }
        w.relay = Relay::Answers;
        w.silent();
        let info = bob.request("INFO", "", "");
        let info = w.request(info);
        let carried = w.sent(Method::Info);
        w.reply(&carried, 200, "", "", "");
        w.told(info, 200);
        w.feed(Input::End(Cause::Operator));
        w.close(&Cause::Operator);
    }
}

#[test]
fn the_replaced_leg_may_hang_up_meanwhile() {
    for accepted in [true, false] {
        let (mut w, mut bob) = World::answered();
        let mut carol = carol();
        let offer = sdp("carol", "192.0.2.30");
        let invite = ask(&mut w, &mut carol, &bob.replaces(), &offer).unwrap();
        let carried = w.sent(Method::Invite);
        let bye = bob.request("BYE", "", "");
        let bye = w.request(bye);
        w.told(bye, 200);
        if accepted {
            w.reply(&carried, 200, "", "", BOB_SDP);
            w.ack();
            w.told(invite, 200);
            w.silent();
            w.feed(Input::NoAck { uas: invite });
            w.close(&Cause::NoAck);
        } else {
            w.reply(&carried, 488, "", "", "");
            w.told(invite, 488);
            assert_eq!(w.sent(Method::Bye).message.uri(), b"sip:alice@192.0.2.10");
            w.close(&Cause::HungUp(EndedBy::Callee));
        }
    }
}

#[test]
fn only_a_leg_of_an_answered_call_can_be_replaced() {
    let (mut w, bob) = World::answered();
    let early = format!("{};early-only", bob.replaces());
    assert_eq!(ask(&mut w, &mut carol(), &early, BOB_SDP), None);
    let other = "x;to-tag=y;from-tag=z";
    assert_eq!(ask(&mut w, &mut carol(), other, BOB_SDP), None);
    w.silent();
    w.feed(Input::End(Cause::Operator));
    assert_eq!(ask(&mut w, &mut carol(), &bob.replaces(), BOB_SDP), None);
    w.close(&Cause::Operator);
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "bobtag", "", "");
    let bob = Peer::callee(&invite.message, "bobtag");
    assert_eq!(ask(&mut w, &mut carol(), &bob.replaces(), BOB_SDP), None);
    assert_eq!(w.call.phase(), Phase::Setup);
    w.fail(&invite, Uac::Timeout);
    w.close_refused(408, "no response from the next hop");
}
