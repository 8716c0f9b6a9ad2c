//! Transfers by REFER (RFC 3515, RFC 5589): blind, failing, abandoned by the referrer, and to a
//! call that is there already.

use call::{Cause, EndedBy, Input, MediaOp, Output, RefusedDial, Side, Uac};
use sip::{HeaderName, Method, Replaces};

use crate::peer::{ALICE_SDP, BOB_SDP, Peer, sdp, sdp_with};
use crate::world::{Sent, World, attempt, body, header, plan, text};

/// What the owner calls an adopted leg's attempt.
const ADOPTED: u32 = 40;

/// Bob refers Alice to Carol; he has heard 202 and 100.
fn referred() -> (World, Peer) {
    let (mut w, mut bob) = World::answered();
    let refer = bob.request("REFER", "Refer-To: <sip:carol@example.com>\r\n", "");
    let refer = w.request(refer);
    w.told(refer, 202);
    let trying = w.sent(Method::Notify);
    assert_eq!(body(&trying.message), "SIP/2.0 100 Trying\r\n");
    assert_eq!(
        header(&trying.message, HeaderName::ContentType),
        "message/sipfrag;version=2.0"
    );
    assert!(text(&trying.message).contains("Event: refer\r\n"));
    w.reply(&trying, 200, "", "", "");
    let asked = w.asked.pop_front();
    let Some(Output::Transfer {
        by: Side::B,
        target,
        replaces: None,
    }) = asked
    else {
        panic!("{asked:?}");
    };
    assert_eq!(*target, *b"sip:carol@example.com");
    (w, bob)
}

fn to_carol(w: &mut World) -> Sent {
    w.feed(Input::Routed(Ok(plan(vec![attempt(0, 1, "carol")]))));
    w.sent(Method::Invite)
}

fn fragment(sent: &Sent) -> String {
    body(&sent.message).trim_end().to_owned()
}

#[test]
fn a_blind_transfer() {
    let (mut w, _) = referred();
    let first = w.media[0].0;
    let carol = to_carol(&mut w);
    let offer = w.media.last().unwrap().clone();
    assert_eq!((offer.1, offer.2), (MediaOp::Offer, Side::A));
    assert_ne!(offer.0, first, "a session of its own");
    w.reply(&carol, 180, "carol", "", "");
    let ringing = w.sent(Method::Notify);
    assert_eq!(fragment(&ringing), "SIP/2.0 180 Ringing");
    assert!(header(&ringing.message, HeaderName::SubscriptionState).starts_with("active"));
    w.reply(&ringing, 200, "", "", "");
    w.reply(&carol, 200, "carol", "", &sdp("carol", "192.0.2.30"));
    w.ack();
    let done = w.sent(Method::Notify);
    assert_eq!(fragment(&done), "SIP/2.0 200 OK");
    assert!(header(&done.message, HeaderName::SubscriptionState).starts_with("terminated"));
    // Alice is told of Carol's media in the session she knows.
    let invite = w.sent(Method::Invite);
    assert_eq!(invite.message.uri(), b"sip:alice@192.0.2.10");
    assert!(body(&invite.message).contains("s=carol"));
    assert!(
        body(&invite.message).contains("o=carol 1 2 "),
        "{}",
        body(&invite.message)
    );
    w.reply(&invite, 200, "", "", &sdp("alice2", "192.0.2.10"));
    w.ack();
    w.reply(&done, 200, "", "", "");
    let bye = w.sent(Method::Bye);
    assert_eq!(bye.message.uri(), b"sip:bobtag@192.0.2.20");
    w.reply(&bye, 200, "", "", "");
    assert_eq!(w.ended_attempts(), [(0, 200)]);
    w.silent();
    let mut carol = Peer::callee(&carol.message, "carol");
    let bye = carol.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn the_silence_of_the_session_that_a_transfer_has_left_ends_nothing() {
    for is_answered in [false, true] {
        let (mut w, _) = referred();
        let first = w.media[0].0;
        let carol = to_carol(&mut w);
        let session = w.media.last().unwrap().0;
        if is_answered {
            w.reply(&carol, 200, "carol", "", &sdp("carol", "192.0.2.30"));
        }
        let consent = Cause::ConsentExpired(EndedBy::Callee);
        for cause in [Cause::MediaSilent, consent] {
            w.feed(Input::SessionOver {
                session: first,
                cause,
            });
        }
        assert!(w.ledger.ended.is_empty(), "answered: {is_answered}");
        w.feed(Input::SessionOver {
            session,
            cause: Cause::MediaSilent,
        });
        assert!(!w.ledger.ended.is_empty(), "answered: {is_answered}");
    }
}

#[test]
fn a_party_on_hold_is_offered_open() {
    let (mut w, mut bob) = World::answered();
    let hold = w.alice.request(
        "UPDATE",
        "",
        &sdp_with("alice", "192.0.2.10", "a=inactive\r\n"),
    );
    w.request(hold);
    let carried = w.sent(Method::Update);
    w.reply(&carried, 200, "", "", BOB_SDP);
    let refer = bob.request("REFER", "Refer-To: <sip:carol@example.com>\r\n", "");
    w.request(refer);
    let trying = w.sent(Method::Notify);
    w.reply(&trying, 200, "", "", "");
    let carol = to_carol(&mut w);
    assert!(!body(&carol.message).contains("inactive"));
    w.reply(&carol, 486, "carol", "", "");
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_transfer_that_fails_leaves_the_call_as_it_was() {
    for how in ["busy", "nowhere", "silent", "relay"] {
        let (mut w, mut bob) = referred();
        if how == "nowhere" {
            w.feed(Input::Routed(Err(RefusedDial::from(404))));
        } else if how == "relay" {
            w.relay = crate::world::Relay::Refuses(503);
            w.feed(Input::Routed(Ok(plan(vec![attempt(0, 1, "carol")]))));
            w.relay = crate::world::Relay::Answers;
        } else {
            let carol = to_carol(&mut w);
            match how {
                "busy" => w.reply(&carol, 486, "carol", "", ""),
                _ => w.fail(&carol, Uac::Timeout),
            }
        }
        let told = w.sent(Method::Notify);
        let expected = match how {
            "busy" => "SIP/2.0 486 Busy Here",
            "nowhere" => "SIP/2.0 404 Not Found",
            "relay" => "SIP/2.0 503 Service Unavailable",
            _ => "SIP/2.0 408 Request Timeout",
        };
        assert_eq!(fragment(&told), expected);
        w.reply(&told, 200, "", "", "");
        w.silent();
        // The old media session is used again.
        let invite = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
        let uas = w.request(invite);
        assert_eq!(w.media.last().unwrap().0, w.media[0].0);
        let carried = w.sent(Method::Invite);
        w.reply(&carried, 488, "", "", "");
        w.told(uas, 488);
        // And he may try again.
        let refer = bob.request("REFER", "Refer-To: <sip:dave@example.com>\r\n", "");
        let refer = w.request(refer);
        w.told(refer, 202);
        let used: Vec<u64> = w.media.iter().map(|m| m.0).collect();
        w.feed(Input::Routed(Ok(plan(vec![attempt(0, 2, "dave")]))));
        let dave = w.media.last().unwrap().0;
        assert!(!used.contains(&dave), "a session is not used twice");
        w.feed(Input::End(Cause::Operator));
        w.close(&Cause::Operator);
    }
}

#[test]
fn the_referrer_hangs_up_right_after_202() {
    let (mut w, mut bob) = referred();
    let carol = to_carol(&mut w);
    let bye = bob.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.silent();
    // Until somebody is there, Alice has nobody to negotiate with.
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let invite = w.request(invite);
    w.told(invite, 491);
    w.reply(&carol, 200, "carol", "", &sdp("carol", "192.0.2.30"));
    w.ack();
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "", "", ALICE_SDP);
    w.ack();
    w.silent();
    let bye = w.alice.request("BYE", "", "");
    w.request(bye);
    assert_eq!(w.sent(Method::Bye).message.uri(), b"sip:carol@192.0.2.20");
    w.close(&Cause::HungUp(EndedBy::Caller));
}

#[test]
fn the_referrer_hangs_up_and_the_target_refuses() {
    let (mut w, mut bob) = referred();
    let carol = to_carol(&mut w);
    let bye = bob.request("BYE", "", "");
    w.request(bye);
    w.reply(&carol, 486, "carol", "", "");
    assert_eq!(w.sent(Method::Bye).message.uri(), b"sip:alice@192.0.2.10");
    w.close(&Cause::TransferFailed(486));
}

#[test]
fn the_party_that_is_kept_hangs_up_while_the_target_rings() {
    let (mut w, _) = referred();
    let carol = to_carol(&mut w);
    let bye = w.alice.request("BYE", "", "");
    w.request(bye);
    w.cancelled(&[&carol]);
    assert_eq!(w.sent(Method::Bye).message.uri(), b"sip:bobtag@192.0.2.20");
    w.close(&Cause::HungUp(EndedBy::Caller));
}

#[test]
fn what_was_under_way_with_the_referrer_ends_with_491() {
    let (mut w, mut bob) = referred();
    let carol = to_carol(&mut w);
    let invite = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
    let invite = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.reply(&carol, 200, "carol", "", &sdp("carol", "192.0.2.30"));
    w.ack();
    w.told(invite, 491);
    let done = w.sent(Method::Notify);
    w.reply(&done, 200, "", "", "");
    w.sent(Method::Bye);
    w.silent();
    // Alice is still busy with Bob's offer; ours waits.
    w.reply(&carried, 200, "", "", ALICE_SDP);
    w.ack();
    w.pass_s(4);
    let invite = w.sent(Method::Invite);
    assert!(body(&invite.message).contains("s=carol"));
    w.reply(&invite, 200, "", "", ALICE_SDP);
    w.ack();
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_refer_without_target_or_at_a_bad_time_is_refused() {
    let (mut w, mut bob) = World::answered();
    let none = bob.request("REFER", "", "");
    let none = w.request(none);
    w.told(none, 400);
    let refer = bob.request("REFER", "Refer-To: <sip:carol@example.com>\r\n", "");
    w.request(refer);
    let again = bob.request("REFER", "Refer-To: <sip:dave@example.com>\r\n", "");
    let again = w.request(again);
    w.told(again, 491);
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_late_dial_answer_of_the_first_setup_is_not_taken_for_the_transfers() {
    let (mut w, _) = referred();
    w.holds_dials = true;
    w.feed(Input::Routed(Ok(plan(vec![attempt(0, 1, "carol")]))));
    let targets = || Ok(vec![crate::world::udp("192.0.2.20", 5060)]);
    w.feed(Input::Dial {
        attempt: 0,
        targets: targets(),
    });
    w.silent();
    let attempt = w.unresolved[0];
    w.feed(Input::Dial {
        attempt,
        targets: targets(),
    });
    let carol = w.sent(Method::Invite);
    w.reply(&carol, 486, "carol", "", "");
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

/// Bob has a call from Alice and one to Carol, and refers Alice to Carol. Returns both calls
/// with Carol's leg moved, and her end of it.
fn attended() -> (World, World, Peer) {
    let (mut first, mut bob) = World::answered();
    // In the second call "Alice" plays Bob, "Bob" plays Carol.
    let (mut second, carol) = World::answered_with("", "");
    let replaces = second.alice.replaces();
    let escaped = replaces.replace(';', "%3B").replace('=', "%3D");
    let target = format!("Refer-To: <sip:carol@example.com?Replaces={escaped}>\r\n");
    let refer = bob.request("REFER", &target, "");
    let refer = first.request(refer);
    first.told(refer, 202);
    let trying = first.sent(Method::Notify);
    first.reply(&trying, 200, "", "", "");
    let asked = first.asked.pop_front();
    let Some(Output::Transfer {
        replaces: Some(named),
        ..
    }) = asked
    else {
        panic!("{asked:?}");
    };
    let leg = second.step(|call, ctx| {
        let replaces = Replaces::parse(&named).unwrap();
        call.release(ctx, &replaces)
    });
    let leg = leg.expect("it is there");
    assert_eq!(leg.token, Some(0));
    first.ledger.attempts.insert(ADOPTED, (1, 0));
    first.step(|call, ctx| call.adopt(ctx, leg, Some(ADOPTED)));
    (first, second, carol)
}

#[test]
fn an_attended_transfer() {
    let (mut first, mut second, mut carol) = attended();
    assert_eq!(second.ended_attempts(), [], "it goes on in the other call");
    let bye = second.sent(Method::Bye);
    assert_eq!(
        bye.message.uri(),
        b"sip:alice@192.0.2.10",
        "Bob's end of it"
    );
    second.reply(&bye, 200, "", "", "");
    second.close(&Cause::Transferred);
    let done = first.sent(Method::Notify);
    assert_eq!(fragment(&done), "SIP/2.0 200 OK");
    let invite = first.sent(Method::Invite);
    assert_eq!(invite.message.uri(), b"sip:bobtag@192.0.2.20", "Carol");
    assert!(
        body(&invite.message).contains("o=alice 1 2 "),
        "{}",
        body(&invite.message)
    );
    first.reply(&invite, 491, "", "", "");
    first.pass_s(4);
    let invite = first.sent(Method::Invite);
    first.reply(&invite, 200, "", "", &sdp("carol", "192.0.2.30"));
    first.ack();
    first.reply(&done, 200, "", "", "");
    first.sent_among(Method::Bye);
    let invite = first.sent(Method::Invite);
    assert_eq!(invite.message.uri(), b"sip:alice@192.0.2.10");
    assert!(body(&invite.message).contains("s=carol"));
    first.reply(&invite, 491, "", "", "");
    first.pass_s(2);
    let invite = first.sent(Method::Invite);
    first.reply(&invite, 200, "", "", ALICE_SDP);
    first.ack();
    first.silent();
    let info = carol.request("INFO", "", "");
    let info = first.request(info);
    let carried = first.sent(Method::Info);
    assert_eq!(carried.message.uri(), b"sip:alice@192.0.2.10");
    first.reply(&carried, 200, "", "", "");
    first.told(info, 200);
    let bye = carol.request("BYE", "", "");
    first.request(bye);
    first.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn a_half_that_refuses_the_join_ends_the_call() {
    let (mut first, second, _) = attended();
    second.close(&Cause::Transferred);
    let done = first.sent(Method::Notify);
    first.reply(&done, 200, "", "", "");
    let invite = first.sent_among(Method::Invite);
    first.reply(&invite, 488, "", "", "");
    first.close(&Cause::PeerGone(EndedBy::Callee));
}

#[test]
fn a_leg_released_to_a_call_that_has_ended_is_hung_up() {
    let (mut w, _) = World::answered();
    let (mut other, bob) = World::answered();
    let value = bob.replaces();
    let leg =
        other.step(|call, ctx| call.release(ctx, &Replaces::parse(value.as_bytes()).unwrap()));
    other.close(&Cause::Transferred);
    w.feed(Input::End(Cause::Operator));
    w.step(|call, ctx| call.adopt(ctx, leg.unwrap(), None));
    for _ in 0..3 {
        let bye = w.sent(Method::Bye);
        w.reply(&bye, 200, "", "", "");
    }
    w.close(&Cause::Operator);
}

#[test]
fn a_leg_is_not_released_in_the_middle_of_an_exchange() {
    let (mut w, bob) = World::answered();
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    w.request(invite);
    let carried = w.sent(Method::Invite);
    let value = bob.replaces();
    let leg = w.step(|call, ctx| call.release(ctx, &Replaces::parse(value.as_bytes()).unwrap()));
    assert!(leg.is_none());
    w.reply(&carried, 488, "", "", "");
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}
