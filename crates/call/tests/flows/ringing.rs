//! A node dies while a call rings, and another goes on with it.

use call::{Call, Cause, Invited, Output};
use proptest::prelude::*;
use sip::{HeaderName, Method};

use crate::peer::{BOB_SDP, Peer};
use crate::world::{INVITE, Sent, World, attempt, header, plan, text, to_bob};

/// What a snapshot of a call that rings at one phone may take.
const BYTES_MAX: usize = 3_000;

/// A call that rings at Bob, and what he was sent.
fn ringing() -> (World, Sent) {
    rings(World::new(to_bob()))
}

fn rings(mut w: World) -> (World, Sent) {
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "bobtag", "", "");
    w.told(INVITE, 180);
    (w, invite)
}

fn ends(mut w: World) {
    let ack = w.alice.ack(1, "");
    w.request(ack);
    w.feed(call::Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn who_rang_is_heard_elsewhere() {
    let (mut w, invite) = ringing();
    w.ring_elsewhere(Invited::Again);
    let ringing = w.told(INVITE, 180);
    assert!(
        text(&ringing).contains("Contact: <sip:203.0.113.1:5070>"),
        "the caller's side hears who has the call now"
    );
    w.silent();
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    assert_eq!(answer.to().unwrap().tag(), ringing.to().unwrap().tag());
    w.alice.established(&answer);
    let mut bob = Peer::callee(&invite.message, "bobtag");
    let info = bob.request("INFO", "", "");
    w.request(info);
    let carried = w.sent(Method::Info);
    w.reply(&carried, 200, "", "", "");
    ends(w);
}

#[test]
fn whom_nobody_can_hear_elsewhere_is_asked_again() {
    let (mut w, invite) = ringing();
    w.ring_elsewhere(Invited::Elsewhere);
    w.told(INVITE, 180);
    assert!(w.was_cancelled(&invite).contains("completed elsewhere"));
    let again = w.sent(Method::Invite);
    for name in [HeaderName::CallId, HeaderName::From] {
        assert_ne!(header(&again.message, name), header(&invite.message, name));
    }
    w.reply(&invite, 487, "bobtag", "", "");
    w.reply(&again, 180, "bobtag2", "", "");
    w.told(INVITE, 180);
    w.reply(&again, 200, "bobtag2", "", BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    ends(w);
}

#[test]
fn the_caller_gives_up_elsewhere() {
    let (mut w, invite) = ringing();
    w.ring_elsewhere(Invited::Again);
    w.told(INVITE, 180);
    w.cancel();
    w.told(INVITE, 487);
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

#[test]
fn the_next_is_asked_elsewhere() {
    let stages = plan(vec![attempt(0, 0, "bob"), attempt(1, 1, "carol")]);
    let (mut w, invite) = rings(World::new(stages));
    w.ring_elsewhere(Invited::Again);
    w.told(INVITE, 180);
    w.reply(&invite, 480, "bobtag", "", "");
    let carol = w.sent(Method::Invite);
    assert!(text(&carol.message).contains("carol"));
    w.reply(&carol, 486, "caroltag", "", "");
    w.told(INVITE, 486);
    w.close(&Cause::Refused(486));
}

#[test]
fn it_rings_no_longer_than_it_would_have() {
    let (mut w, invite) = ringing();
    let until = w.call.poll_timeout();
    w.ring_elsewhere(Invited::Again);
    w.told(INVITE, 180);
    assert_eq!(w.call.poll_timeout(), until);
    w.pass_s(200);
    w.told(INVITE, 480);
    w.cancelled(&[&invite]);
    w.close(&Cause::NoAnswer);
}

#[test]
fn media_that_died_with_the_node_are_described_anew() {
    let (mut w, invite) = ringing();
    w.ring_elsewhere(Invited::Again);
    w.told(INVITE, 180);
    let session = w.media.last().expect("a session").0;
    w.feed(call::Input::MediaLost { session });
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let now = w.media.last().expect("a session").0;
    assert_ne!(now, session);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    // Both hear of it by re-INVITE, now that they may.
    w.pass_s(1);
    let told = w.sent(Method::Invite);
    w.reply(&told, 200, "", "", "");
    let told = w.sent(Method::Invite);
    w.reply(&told, 200, "", "", "");
    w.feed(call::Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn nothing_is_kept_before_it_rings() {
    let mut w = World::new(to_bob());
    assert!(w.call.snapshot().is_none());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 180, "bobtag", "", "");
    let kept = w.call.snapshot().expect("it rings").state.len();
    assert!(kept < BYTES_MAX, "{kept}");
    assert!(!w.asked.iter().any(|o| matches!(o, Output::Gone)));
    w.cancel();
    w.cancelled(&[&invite]);
    w.close(&Cause::Cancelled);
}

proptest! {
    /// What another version, or a broken store, has written.
    #[test]
    fn strange_bytes_are_no_call(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        length in any::<prop::sample::Index>(),
    ) {
        let (w, _) = ringing();
        let snapshot = w.call.snapshot().expect("it rings");
        let mut changed = snapshot.clone();
        let place = at.index(changed.state.len());
        changed.state[place] = byte;
        let _ = Call::restore(&changed, 1, |_| None);
        let mut short = snapshot;
        short.state.truncate(length.index(short.state.len()));
        prop_assert!(Call::restore(&short, 1, |_| None).is_none());
    }
}
