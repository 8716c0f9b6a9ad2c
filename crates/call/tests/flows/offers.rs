//! Offers in an answered call: re-INVITE and UPDATE, hold, glare (RFC 3264, RFC 3311, RFC 3261
//! §14).

use call::{Cause, EndedBy, Input, MediaOp, Side, Uac};
use sip::{HeaderName, Method};

use crate::peer::{ALICE_SDP, BOB_SDP, Peer, sdp, sdp_with};
use crate::world::{INVITE, World, body, config, header, text, to_bob};

fn end(mut w: World) {
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

/// A whole re-INVITE of Alice.
fn reinvite(w: &mut World, offer: &str, answer: &str) {
    let invite = w.alice.request("INVITE", "", offer);
    let seq = w.alice.seq;
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.reply(&carried, 200, "", "", answer);
    w.ack();
    w.told(uas, 200);
    let ack = w.alice.ack(seq, "");
    w.request(ack);
}

fn is_held(w: &World, side: Side) -> bool {
    w.call.pairs()[0].leg(side).unwrap().is_held()
}

#[test]
fn a_reinvite_goes_both_ways() {
    let (mut w, mut bob) = World::answered();
    reinvite(
        &mut w,
        &sdp("alice2", "192.0.2.10"),
        &sdp("bob2", "192.0.2.20"),
    );
    assert_eq!(w.media[2].1, MediaOp::Offer);
    assert_eq!(w.media[3].1, MediaOp::Answer);
    let invite = bob.request("INVITE", "", &sdp("bob3", "192.0.2.20"));
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    assert!(body(&carried.message).contains("s=bob3"));
    assert_eq!(carried.message.uri(), b"sip:alice@192.0.2.10");
    w.reply(&carried, 200, "", "", &sdp("alice3", "192.0.2.10"));
    w.ack();
    let answer = w.told(uas, 200);
    assert!(body(&answer).contains("s=alice3") && body(&answer).contains("203.0.113.10"));
    let ack = bob.ack(101, "");
    w.request(ack);
    w.silent();
    end(w);
}

#[test]
fn hold_and_resume() {
    let (mut w, _) = World::answered();
    assert!(!is_held(&w, Side::A));
    let hold = sdp_with("alice", "192.0.2.10", "a=sendonly\r\n");
    reinvite(
        &mut w,
        &hold,
        &sdp_with("bob", "192.0.2.20", "a=recvonly\r\n"),
    );
    assert!(is_held(&w, Side::A) && !is_held(&w, Side::B));
    reinvite(&mut w, ALICE_SDP, BOB_SDP);
    assert!(!is_held(&w, Side::A));
    end(w);
}

#[test]
fn a_refused_reinvite_changes_nothing() {
    let (mut w, _) = World::answered();
    let hold = sdp_with("alice", "192.0.2.10", "a=sendonly\r\n");
    let invite = w.alice.request("INVITE", "", &hold);
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.reply(&carried, 488, "", "", "");
    w.told(uas, 488);
    assert!(!is_held(&w, Side::A));
    // Our refresh towards Bob repeats what he accepted, not what he refused.
    w.pass_s(900);
    let refresh = w.sent_among(Method::Invite);
    assert!(body(&refresh.message).contains("s=alice"));
    assert!(!body(&refresh.message).contains("sendonly"));
    w.reply(&refresh, 200, "", "", BOB_SDP);
    w.ack();
    end(w);
}

#[test]
fn a_reinvite_without_description_brings_the_answer_in_its_ack() {
    let (mut w, _) = World::answered();
    let invite = w.alice.request("INVITE", "", "");
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    assert!(carried.message.body().is_empty());
    w.reply(&carried, 200, "", "", &sdp("bob2", "192.0.2.20"));
    assert_eq!(w.media[2].1, MediaOp::Offer);
    assert!(body(&w.told(uas, 200)).contains("s=bob2"));
    w.silent();
    let ack = w.alice.ack(2, &sdp("alice2", "192.0.2.10"));
    w.request(ack);
    assert!(body(&w.ack()).contains("s=alice2"));
    end(w);
}

#[test]
fn an_old_ack_does_not_stand_for_a_new_one() {
    let (mut w, _) = World::answered();
    let invite = w.alice.request("INVITE", "", "");
    w.request(invite);
    let carried = w.sent(Method::Invite);
    w.reply(&carried, 200, "", "", &sdp("bob2", "192.0.2.20"));
    let old = w.alice.ack(1, "");
    w.request(old);
    assert_eq!(w.call.pairs().len(), 1);
    let ack = w.alice.ack(2, &sdp("alice2", "192.0.2.10"));
    w.request(ack);
    assert!(body(&w.ack()).contains("s=alice2"));
    end(w);
}

#[test]
fn update_in_the_answered_call_goes_both_ways() {
    let (mut w, mut bob) = World::answered();
    let update = w.alice.request("UPDATE", "", &sdp("alice2", "192.0.2.10"));
    let uas = w.request(update);
    let carried = w.sent(Method::Update);
    w.reply(&carried, 200, "", "", &sdp("bob2", "192.0.2.20"));
    assert!(body(&w.told(uas, 200)).contains("s=bob2"));
    let update = bob.request("UPDATE", "", &sdp("bob3", "192.0.2.20"));
    let uas = w.request(update);
    let carried = w.sent(Method::Update);
    w.reply(&carried, 504, "", "", "");
    w.told(uas, 504);
    w.silent();
    end(w);
}

#[test]
fn glare_is_refused_with_491_on_both_sides() {
    let (mut w, mut bob) = World::answered();
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let alices = w.request(invite);
    let carried = w.sent(Method::Invite);
    let invite = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
    let bobs = w.request(invite);
    w.told(bobs, 491);
    w.reply(&carried, 491, "", "", "");
    w.told(alices, 491);
    // After that either may try again.
    let invite = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
    let bobs = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.reply(&carried, 488, "", "", "");
    w.told(bobs, 488);
    end(w);
}

#[test]
fn an_offer_meets_491_while_the_other_side_has_not_acknowledged() {
    let mut w = World::new(to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 200, "bobtag", "", BOB_SDP);
    let answer = w.told(INVITE, 200);
    let mut bob = Peer::callee(&invite.message, "bobtag");
    let early = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
    let early = w.request(early);
    w.told(early, 491);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    w.ack();
    end(w);
}

#[test]
fn a_second_invite_before_the_answer_to_the_first_gets_500_rfc_3261_14_2() {
    let (mut w, _) = World::answered();
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let first = w.request(invite);
    let carried = w.sent(Method::Invite);
    let invite = w.alice.request("INVITE", "", &sdp("alice3", "192.0.2.10"));
    let second = w.request(invite);
    let refused = w.told(second, 500);
    assert!(refused.header(HeaderName::RetryAfter).is_some());
    w.reply(&carried, 488, "", "", "");
    w.told(first, 488);
    end(w);
}

#[test]
fn a_cancelled_reinvite_is_cancelled_on_the_other_side() {
    let (mut w, _) = World::answered();
    let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.cancel();
    w.was_cancelled(&carried);
    w.reply(&carried, 487, "", "", "");
    w.told(uas, 487);
    end(w);
}

#[test]
fn a_repeated_description_is_answered_here() {
    let (mut w, _) = World::answered();
    let invite = w.alice.request("INVITE", "", ALICE_SDP);
    let uas = w.request(invite);
    let answer = w.told(uas, 200);
    assert_eq!(body(&answer), BOB_SDP.replace("192.0.2.", "203.0.113."));
    w.silent();
    let ack = w.alice.ack(2, "");
    w.request(ack);
    end(w);
}

#[test]
fn update_without_description_is_answered_here() {
    let (mut w, mut bob) = World::answered();
    let update = bob.request("UPDATE", "Supported: timer\r\nSession-Expires: 900\r\n", "");
    let uas = w.request(update);
    let answer = w.told(uas, 200);
    assert!(answer.body().is_empty());
    assert_eq!(
        header(&answer, HeaderName::SessionExpires),
        "900;refresher=uac"
    );
    w.silent();
    end(w);
}

#[test]
fn too_short_an_interval_in_the_call_gets_422() {
    let (mut w, _) = World::answered();
    let update = w
        .alice
        .request("UPDATE", "Supported: timer\r\nSession-Expires: 20\r\n", "");
    let uas = w.request(update);
    let refused = w.told(uas, 422);
    assert_eq!(
        header(&refused, HeaderName::MinSe),
        config().session_expires_min_s.to_string()
    );
    end(w);
}

#[test]
fn a_peer_that_lost_the_dialog_ends_the_call() {
    for status in [481, 408] {
        let (mut w, _) = World::answered();
        let invite = w.alice.request("INVITE", "", &sdp("alice2", "192.0.2.10"));
        let uas = w.request(invite);
        let carried = w.sent(Method::Invite);
        w.reply(&carried, status, "", "", "");
        w.told(uas, status);
        assert!(text(&w.sent(Method::Bye).message).contains("callee lost the call"));
        w.sent(Method::Bye);
        w.close(&Cause::PeerGone(EndedBy::Callee));
    }
}

#[test]
fn a_reinvite_nobody_answers_ends_the_call() {
    let (mut w, mut bob) = World::answered();
    let invite = bob.request("INVITE", "", &sdp("bob2", "192.0.2.20"));
    let uas = w.request(invite);
    let carried = w.sent(Method::Invite);
    w.fail(&carried, Uac::Timeout);
    w.told(uas, 408);
    w.sent(Method::Bye);
    w.sent(Method::Bye);
    w.close(&Cause::PeerGone(EndedBy::Caller));
}

#[test]
fn a_new_contact_is_where_requests_go_from_then_on() {
    let (mut w, mut bob) = World::answered();
    let update = w.alice.request("UPDATE", "", "");
    let moved = text(&update).replace("<sip:alice@192.0.2.10>", "<sip:alice@192.0.2.77>");
    let uas = w.request(crate::world::parse(&bytes::Bytes::from(moved)));
    w.told(uas, 200);
    let bye = bob.request("BYE", "", "");
    w.request(bye);
    assert_eq!(w.sent(Method::Bye).message.uri(), b"sip:alice@192.0.2.77");
    w.close(&Cause::HungUp(EndedBy::Callee));
}

#[test]
fn a_description_among_other_parts_goes_through_the_relay_and_they_stay() {
    let kind = "multipart/mixed; boundary=\"--x\"";
    let mixed = |sdp: &str| {
        format!(
            "----x\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n----x\r\n\
             Content-Type: application/isup;version=itu-t92+\r\n\
             Content-Disposition: signal;handling=optional\r\n\r\n\u{1}\u{0}\r\n\u{7f}\r\n----x--\r\n"
        )
    };
    let headers = format!("MIME-Version: 1.0\r\nContent-Type: {kind}\r\n");
    let mut w = World::with_invite(to_bob(), &headers, &mixed(ALICE_SDP));
    let invite = w.sent(Method::Invite);
    assert_eq!(
        body(&invite.message),
        mixed(&ALICE_SDP.replace("192.0.2.", "203.0.113."))
    );
    let carried = header(&invite.message, HeaderName::ContentType);
    assert_eq!(carried, kind);
    w.reply(&invite, 200, "bobtag", &headers, &mixed(BOB_SDP));
    let answer = w.told(INVITE, 200);
    assert_eq!(
        body(&answer),
        mixed(&BOB_SDP.replace("192.0.2.", "203.0.113."))
    );
    w.ack();
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    end(w);
}
