//! A node dies, and another goes on with the call from its snapshot.

use std::time::Duration;

use call::{Call, Cause, EndedBy, Fact, Hop, Input, MediaOp, Output, Side, Snapshot};
use proptest::prelude::*;
use sip::{ConnId, Flow, HeaderName, Method, Transport};

use crate::peer::{ALICE_SDP, BOB_SDP, Peer, sdp, sdp_with};
use crate::world::{World, attempt, body, flow, header, plan, text};

/// What a snapshot of a call with two phones may take.
const BYTES_MAX: usize = 1_500;

fn snapshot(w: &World) -> Snapshot {
    w.call.snapshot().expect("it is between exchanges")
}

/// As the call is now.
fn die(w: &mut World) {
    let now = snapshot(w);
    w.go_elsewhere(&now);
}

fn number(message: &sip::Message) -> u32 {
    message.cseq().expect("a CSeq").number
}

#[test]
fn either_side_hangs_up_elsewhere() {
    for who in [Side::A, Side::B] {
        let (mut w, mut bob) = World::answered();
        die(&mut w);
        w.silent();
        let peer = match who {
            Side::A => &mut w.alice,
            Side::B => &mut bob,
        };
        let bye = peer.request("BYE", "", "");
        let bye = w.request(bye);
        w.told(bye, 200);
        let carried = w.sent(Method::Bye);
        assert!(
            number(&carried.message) > 500,
            "a gap, for what was not seen"
        );
        w.reply(&carried, 200, "", "", "");
        w.close(&Cause::HungUp(match who {
            Side::A => EndedBy::Caller,
            Side::B => EndedBy::Callee,
        }));
    }
}

#[test]
fn hold_and_resume_elsewhere() {
    let (mut w, _) = World::answered();
    die(&mut w);
    for direction in ["a=sendonly\r\n", "a=sendrecv\r\n"] {
        let description = sdp_with("alice", "192.0.2.10", direction);
        let invite = w.alice.request("INVITE", "", &description);
        let seq = number(&invite);
        let here = Flow {
            listener: sip::ListenerId(1),
            ..flow("192.0.2.10:5060")
        };
        let uas = w.request_from(invite, here);
        let carried = w.sent(Method::Invite);
        assert!(body(&carried.message).contains(direction));
        assert!(
            text(&carried.message).contains("Contact: <sip:203.0.113.1:5070>"),
            "from now on Bob finds the call where it is"
        );
        w.reply(&carried, 200, "", "", BOB_SDP);
        w.ack();
        let told = w.told(uas, 200);
        assert!(text(&told).contains("Contact: <sip:203.0.113.1:5070>"));
        let ack = w.alice.ack(seq, "");
        w.request(ack);
        // And on to the next node.
        die(&mut w);
    }
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn an_exchange_that_died_with_its_node_is_repeated() {
    let (mut w, _) = World::answered();
    let before = snapshot(&w);
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    w.request(invite.clone());
    w.sent(Method::Invite);
    assert!(w.call.snapshot().is_none(), "nothing is agreed yet");
    w.go_elsewhere(&before);
    // Alice, who has got no answer, sends the very same again.
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.reply(&carried, 200, "", "", BOB_SDP);
    w.ack();
    w.told(uas, 200);
    let ack = w.alice.ack(2, "");
    w.request(ack);
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn a_call_whose_ack_was_lost_with_its_node_goes_on() {
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    let answer = w.told(crate::world::INVITE, 200);
    w.alice.established(&answer);
    die(&mut w);
    w.pass_s(60);
    w.silent();
    let bye = w.alice.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.close(&Cause::HungUp(EndedBy::Caller));
}

#[test]
fn session_timers_run_on_elsewhere() {
    let bob = "Session-Expires: 7200;refresher=uac\r\n";
    let alice = "Supported: timer\r\nSession-Expires: 600\r\n";
    // Long before the end of the interval, and so near that Alice's refresh may have been lost.
    for (after_s, more_s) in [(300, 267), (560, 31)] {
        let (mut w, _) = World::answered_with(bob, alice);
        w.pass_s(after_s);
        die(&mut w);
        w.pass_s(more_s);
        w.silent();
        w.pass_s(2);
        w.sent(Method::Bye);
        w.sent(Method::Bye);
        w.close(&Cause::SessionExpired(EndedBy::Caller));
    }
}

#[test]
fn a_blind_transfer_rings_its_target_anew() {
    let (mut w, mut bob) = World::answered();
    let refer = bob.request("REFER", "Refer-To: <sip:carol@example.com>\r\n", "");
    w.request(refer);
    w.sent(Method::Notify);
    w.feed(Input::Routed(Ok(plan(vec![attempt(0, 1, "carol")]))));
    let first = w.sent(Method::Invite);
    die(&mut w);
    let Some(Output::Transfer { by, target, .. }) = w.asked.pop_front() else {
        panic!("it is to be routed again");
    };
    assert_eq!((by, &*target), (Side::B, &b"sip:carol@example.com"[..]));
    w.feed(Input::Routed(Ok(plan(vec![attempt(0, 2, "carol")]))));
    let carol = w.sent(Method::Invite);
    let (old, new) = (first.message.call_id(), carol.message.call_id());
    assert_ne!(
        old, new,
        "else it would be merged with the first (RFC 3261 §8.2.2.2)"
    );
    w.reply(&carol, 200, "carol", "", &sdp("carol", "192.0.2.30"));
    w.ack();
    let done = w.sent(Method::Notify);
    assert!(body(&done.message).contains("200 OK"));
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "", "", ALICE_SDP);
    w.reply(&done, 200, "", "", "");
    let bye = w.sent(Method::Bye);
    w.reply(&bye, 200, "", "", "");
    let mut carol = Peer::callee(&carol.message, "carol");
    let bye = carol.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn two_who_were_being_joined_are_told_of_each_other_again() {
    let (mut w, mut bob) = World::answered();
    let refer = bob.request("REFER", "Refer-To: <sip:carol@example.com>\r\n", "");
    w.request(refer);
    w.sent(Method::Notify);
    w.feed(Input::Routed(Ok(plan(vec![attempt(0, 1, "carol")]))));
    let carol = w.sent(Method::Invite);
    w.relay = crate::world::Relay::IsSlow;
    w.reply(&carol, 200, "carol", "", &sdp("carol", "192.0.2.30"));
    let joining = snapshot(&w);
    w.relay = crate::world::Relay::Answers;
    w.go_elsewhere(&joining);
    let bye = w.sent(Method::Bye);
    assert_eq!(bye.message.uri(), b"sip:bobtag@192.0.2.20");
    w.reply(&bye, 200, "", "", "");
    let to_carol = w.sent(Method::Invite);
    assert!(body(&to_carol.message).contains("s=alice"));
    w.reply(&to_carol, 200, "", "", &sdp("carol", "192.0.2.30"));
    w.ack();
    let to_alice = w.sent(Method::Invite);
    assert!(body(&to_alice.message).contains("s=carol"));
    w.reply(&to_alice, 200, "", "", ALICE_SDP);
    w.ack();
    let bye = w.alice.request("BYE", "", "");
    let bye = w.request(bye);
    w.told(bye, 200);
    w.close(&Cause::HungUp(EndedBy::Caller));
}

#[test]
fn media_that_was_lost_is_looked_for_elsewhere() {
    let (mut w, _) = World::answered();
    let session = w.media.last().expect("a session").0;
    w.relay = crate::world::Relay::Refuses(503);
    w.feed(Input::MediaLost { session });
    w.relay = crate::world::Relay::Answers;
    die(&mut w);
    w.pass(Duration::from_secs(1));
    let told = [w.sent(Method::Invite), w.sent(Method::Invite)];
    w.reply(&told[0], 200, "", "", ALICE_SDP);
    w.reply(&told[1], 200, "", "", BOB_SDP);
    let moved = w.facts.iter().any(|f| matches!(f, Fact::MediaMoved { .. }));
    assert!(moved);
    let (last, op, ..) = w.media.last().expect("a session");
    assert_ne!(*last, session);
    assert_eq!(*op, MediaOp::Answer);
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn connections_are_left_behind() {
    let (mut w, _) = World::answered();
    let over_tcp = |conn| Flow {
        transport: Transport::Tcp,
        conn: Some(ConnId(conn)),
        ..flow("192.0.2.10:40000")
    };
    let options = w.alice.request("OPTIONS", "", "");
    w.request_from(options, over_tcp(7));
    die(&mut w);
    w.feed(Input::End(Cause::Operator));
    let to_alice = w.sent(Method::Bye);
    let Hop::Resolve(uri, last) = &to_alice.hop else {
        panic!("{:?}", to_alice.hop);
    };
    assert_eq!(&**uri, b"sip:alice@192.0.2.10");
    assert_eq!(last.listener(), sip::ListenerId(1));
    w.close(&Cause::Operator);
}

#[test]
fn only_what_is_agreed_is_taken_down() {
    let mut w = World::new(crate::world::to_bob());
    assert!(w.call.snapshot().is_none());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "bobtag", "", "");
    assert!(w.call.snapshot().is_some(), "it rings");
    w.cancel();
    assert!(w.call.snapshot().is_none(), "it is over");
    let (mut w, mut bob) = World::answered();
    let agreed = snapshot(&w);
    assert!(agreed.state.len() < BYTES_MAX, "{}", agreed.state.len());
    let info = bob.request("INFO", "", "");
    w.request_from(info, flow("192.0.2.20:5060"));
    let after = snapshot(&w);
    assert_eq!(after.state, agreed.state, "an INFO agrees on nothing");
    assert_ne!(after.numbers, agreed.numbers);
    let carried = w.sent(Method::Info);
    assert_eq!(header(&carried.message, HeaderName::CSeq), "1 INFO");
    w.reply(&carried, 200, "", "", "");
    w.feed(Input::End(Cause::Operator));
    assert!(w.call.snapshot().is_none(), "it is over");
    w.close(&Cause::Operator);
}

proptest! {
    /// What another version, or a broken store, has written.
    #[test]
    fn strange_bytes_are_no_call(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        length in any::<prop::sample::Index>(),
    ) {
        let (w, _) = World::answered();
        let mut changed = snapshot(&w);
        let place = at.index(changed.state.len());
        changed.state[place] = byte;
        let _ = Call::restore(&changed, 1, |_| None);
        let mut short = snapshot(&w);
        short.state.truncate(length.index(short.state.len()));
        prop_assert!(Call::restore(&short, 1, |_| None).is_none());
    }
}
