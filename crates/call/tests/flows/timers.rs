//! Session timers (RFC 4028): who refreshes, how, and what silence means.

use std::time::Duration;

use call::{Cause, EndedBy, Input, Uac};
use sip::{HeaderName, Method};

use crate::peer::{BOB_SDP, sdp};
use crate::world::{INVITE, Sent, World, body, config, header, text, to_bob};

const TIMER: &str = "Supported: timer\r\n";

fn end(mut w: World) {
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

/// Bob refreshes his side himself, so that only Alice's is of interest; she does hers.
const BOB_REFRESHES: &str =
    "Require: timer\r\nSession-Expires: 1800;refresher=uas\r\nAllow: INVITE, UPDATE\r\n";

#[test]
fn a_caller_that_knows_timers_refreshes_and_its_silence_ends_both_legs() {
    let bob = "Session-Expires: 7200;refresher=uac\r\n";
    let (mut w, _) = World::answered_with(bob, "Supported: timer\r\nSession-Expires: 600\r\n");
    // RFC 4028 §10: a third of the interval, at most 32 s, before it is over.
    w.pass_s(567);
    w.silent();
    w.pass_s(2);
    let bye = w.sent(Method::Bye);
    assert!(text(&bye.message).contains("session expired: caller silent"));
    w.sent(Method::Bye);
    w.close(&Cause::SessionExpired(EndedBy::Caller));
}

#[test]
fn the_answer_to_a_caller_that_knows_timers_requires_them() {
    let mut w = World::with_invite(
        to_bob(),
        "Supported: timer\r\nSession-Expires: 600\r\n",
        crate::peer::ALICE_SDP,
    );
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    let answer = w.told(INVITE, 200);
    assert_eq!(header(&answer, HeaderName::Require), "timer");
    assert_eq!(
        header(&answer, HeaderName::SessionExpires),
        "600;refresher=uac"
    );
    w.feed(Input::NoAck { uas: INVITE });
    w.close(&Cause::NoAck);
}

#[test]
fn a_caller_without_timers_is_refreshed_by_us() {
    let mut w = World::with_invite(
        to_bob(),
        "Allow: INVITE, UPDATE\r\n",
        crate::peer::ALICE_SDP,
    );
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", BOB_REFRESHES, BOB_SDP);
    w.ack();
    let answer = w.told(INVITE, 200);
    assert!(answer.header(HeaderName::Require).is_none());
    assert_eq!(
        header(&answer, HeaderName::SessionExpires),
        "1800;refresher=uas"
    );
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    w.pass_s(899);
    w.silent();
    w.pass_s(1);
    let update = w.sent(Method::Update);
    assert!(update.message.body().is_empty());
    assert_eq!(
        header(&update.message, HeaderName::SessionExpires),
        "1800;refresher=uac"
    );
    w.reply(&update, 200, "", "", "");
    assert_eq!(w.call.phase(), call::Phase::Answered);
    end(w);
}

#[test]
fn a_callee_without_update_is_refreshed_by_a_reinvite_that_repeats() {
    let (mut w, _) = World::answered_with("", "Supported: timer\r\nSession-Expires: 7200\r\n");
    w.pass_s(900);
    let invite = w.sent(Method::Invite);
    assert!(body(&invite.message).contains("s=alice"));
    w.reply(&invite, 200, "", "", BOB_SDP);
    w.ack();
    w.pass_s(900);
    let invite = w.sent(Method::Invite);
    w.reply(
        &invite,
        200,
        "",
        "Session-Expires: 400;refresher=uas\r\n",
        BOB_SDP,
    );
    w.ack();
    // Bob has taken it over, and says nothing.
    w.pass_s(400);
    w.sent(Method::Bye);
    w.sent(Method::Bye);
    w.close(&Cause::SessionExpired(EndedBy::Callee));
}

#[test]
fn without_an_interval_there_is_no_refresh() {
    let none = call::Config {
        session_expires_s: 0,
        ..config()
    };
    let trust = call::Trust::Untrusted;
    let mut w = World::build(to_bob(), none, trust, TIMER, crate::peer::ALICE_SDP, |_| ());
    let invite = w.sent(Method::Invite);
    assert!(invite.message.header(HeaderName::SessionExpires).is_none());
    let mut w = World::answer_to(w, &invite, "").0;
    w.pass_s(7_000);
    w.silent();
    end(w);
}

/// A call in which we refresh Bob by UPDATE, and are about to.
fn refreshing() -> (World, Sent) {
    let ok = "Allow: INVITE, UPDATE\r\n";
    let (mut w, _) = World::answered_with(ok, "Supported: timer\r\nSession-Expires: 7200\r\n");
    w.pass_s(900);
    let update = w.sent(Method::Update);
    (w, update)
}

#[test]
fn a_lost_dialog_or_silence_in_answer_to_a_refresh_ends_the_call() {
    for status in [481, 408, 404, 0] {
        let (mut w, update) = refreshing();
        match status {
            0 => w.fail(&update, Uac::Timeout),
            status => w.reply(&update, status, "", "", ""),
        }
        w.sent(Method::Bye);
        w.sent(Method::Bye);
        w.close(&Cause::PeerGone(EndedBy::Callee));
    }
}

#[test]
fn a_refused_update_is_followed_by_a_reinvite_whose_refusal_is_a_sign_of_life() {
    let (mut w, update) = refreshing();
    w.reply(&update, 501, "", "", "");
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 500, "", "", "");
    w.pass_s(899);
    w.silent();
    w.pass_s(1);
    w.sent(Method::Invite);
    w.feed(Input::End(Cause::Operator));
    for _ in 0..2 {
        w.sent(Method::Bye);
    }
    w.pass_s(41);
    w.close(&Cause::Operator);
}

#[test]
fn a_422_to_a_refresh_raises_the_interval_and_is_not_believed_twice() {
    let (mut w, update) = refreshing();
    w.reply(&update, 422, "", "Min-SE: 3600\r\n", "");
    let update = w.sent(Method::Update);
    assert_eq!(
        header(&update.message, HeaderName::SessionExpires),
        "3600;refresher=uac"
    );
    w.reply(&update, 422, "", "Min-SE: 3600\r\n", "");
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 422, "", "Min-SE: 3600\r\n", "");
    w.silent();
    end(w);
}

#[test]
fn glare_with_a_refresh_waits_by_rfc_3261_14_1() {
    // Towards Bob we own the Call-ID: 2.1 s to 4 s.
    let (mut w, update) = refreshing();
    w.reply(&update, 491, "", "", "");
    w.pass(Duration::from_millis(2_099));
    w.silent();
    w.pass(Duration::from_millis(1_901));
    let again = w.sent(Method::Update);
    w.reply(&again, 200, "", "", "");
    end(w);
    // Towards Alice she owns it: at most 2 s.
    let (mut w, _) = World::answered_with(BOB_REFRESHES, "Allow: UPDATE\r\n");
    w.pass_s(900);
    let update = w.sent(Method::Update);
    w.reply(&update, 491, "", "", "");
    w.pass_s(2);
    let again = w.sent(Method::Update);
    w.reply(&again, 200, "", "", "");
    end(w);
}

#[test]
fn a_reinvite_of_a_peer_counts_as_its_refresh() {
    let bob = "Session-Expires: 7200;refresher=uac\r\n";
    let (mut w, _) = World::answered_with(bob, "Supported: timer\r\nSession-Expires: 600\r\n");
    for _ in 0..4 {
        w.pass_s(300);
        let headers = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n";
        let invite = w
            .alice
            .request("INVITE", headers, &sdp("alice2", "192.0.2.10"));
        let seq = w.alice.seq;
        let uas = w.request(invite);
        if seq == 2 {
            let carried = w.sent(Method::Invite);
            w.reply(&carried, 200, "", bob, BOB_SDP);
            w.ack();
        }
        w.told(uas, 200);
        let ack = w.alice.ack(seq, "");
        w.request(ack);
    }
    w.silent();
    w.pass_s(600);
    w.close(&Cause::SessionExpired(EndedBy::Caller));
}
