//! Challenges: of an attempt, and inside its dialog.

use std::sync::Arc;

use call::{Attempt, Cause, Credentials, EndedBy, Input, Phase, Plan, Yields};
use sip::{HeaderName, Method};

use crate::peer::{BOB_SDP, Peer, sdp};
use crate::world::{INVITE, Sent, World, attempt, flow, plan, text};

fn with_password() -> Plan {
    plan(vec![Attempt {
        credentials: Some(Arc::new(Credentials {
            username: "us".into(),
            password: "secret".into(),
        })),
        yields: Yields::Trouble,
        ..attempt(0, 0, "bob")
    }])
}

const CHALLENGE: &str =
    "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\"\r\n";

#[test]
fn a_challenge_is_answered_once() {
    let mut w = World::new(with_password());
    let first = w.sent(Method::Invite);
    w.reply(&first, 407, "c", CHALLENGE, "");
    let second = w.sent(Method::Invite);
    let authorization = header(&second, HeaderName::ProxyAuthorization);
    assert!(authorization.contains("username=\"us\""), "{authorization}");
    assert!(authorization.contains("realm=\"carrier\""));
    assert_eq!(header(&second, HeaderName::CSeq), "2 INVITE");
    assert_eq!(second.message.call_id(), first.message.call_id());
    w.reply(&second, 200, "c", "", BOB_SDP);
    let ack = w.ack();
    assert_eq!(ack.cseq().unwrap().number, 2);
    // RFC 3261 §13.2.2.4: with the same credentials.
    assert!(text(&ack).contains(&authorization));
    let answer = w.told(INVITE, 200);
    w.alice.established(&answer);
    let ack = w.alice.ack(1, "");
    w.request(ack);
    let bye = w.alice.request("BYE", "", "");
    w.request(bye);
    let bye = w.sent(Method::Bye);
    assert_eq!(header(&bye, HeaderName::CSeq), "3 BYE");
    w.reply(&bye, 200, "", "", "");
    w.close(&Cause::HungUp(EndedBy::Caller));
}

#[test]
fn a_wrong_password_is_not_repeated_and_the_challenge_stays_here() {
    let mut w = World::new(with_password());
    let first = w.sent(Method::Invite);
    w.reply(&first, 401, "c", &CHALLENGE.replace("Proxy", "WWW"), "");
    let second = w.sent(Method::Invite);
    w.reply(&second, 401, "c", &CHALLENGE.replace("Proxy", "WWW"), "");
    let refused = w.told(INVITE, 502);
    assert!(!text(&refused).to_lowercase().contains("authenticate"));
    w.silent();
    assert_eq!(w.ended_attempts(), [(0, 401)]);
    w.close_refused(502, "the next hop does not take our credentials");
}

#[test]
fn a_stale_nonce_is_worth_another_try() {
    let mut w = World::new(with_password());
    let first = w.sent(Method::Invite);
    w.reply(&first, 407, "c", CHALLENGE, "");
    let second = w.sent(Method::Invite);
    let stale = CHALLENGE.replace("n1\"", "n2\", stale=true");
    w.reply(&second, 407, "c", &stale, "");
    let third = w.sent(Method::Invite);
    assert!(header(&third, HeaderName::ProxyAuthorization).contains("n2"));
    w.reply(&third, 407, "c", &stale, "");
    w.told(INVITE, 502);
    w.close_refused(502, "the next hop does not take our credentials");
}

#[test]
fn a_challenge_without_credentials_fails() {
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 407, "c", CHALLENGE, "");
    w.told(INVITE, 502);
    w.close_refused(502, "the next hop does not take our credentials");
}

/// A call to a carrier whose gateway has credentials, and Bob behind it.
fn answered() -> (World, Peer) {
    World::answer(World::new(with_password()), "")
}

#[test]
fn every_request_inside_the_dialog_is_repeated_with_credentials() {
    let (mut w, mut bob) = answered();
    for (method, body) in [
        (Method::Info, String::new()),
        (Method::Update, sdp("alice2", "192.0.2.10")),
        (Method::Invite, sdp("alice3", "192.0.2.10")),
        (Method::Bye, String::new()),
    ] {
        let asked = w.alice.request(method.as_str(), "X-Odd: 1\r\n", &body);
        let asked = w.request(asked);
        if method == Method::Bye {
            w.told(asked, 200);
        }
        let first = w.sent(method);
        w.reply(&first, 407, "bobtag", CHALLENGE, "");
        let again = w.sent(method);
        let seq = first.message.cseq().unwrap().number;
        assert_eq!(again.message.cseq().unwrap().number, seq + 1);
        assert!(header(&again, HeaderName::ProxyAuthorization).contains("username=\"us\""));
        assert_eq!(again.message.body(), first.message.body());
        assert_eq!(again.message.uri(), first.message.uri());
        assert_eq!(
            text(&again.message).contains("X-Odd: 1"),
            text(&first.message).contains("X-Odd: 1")
        );
        let answer = if body.is_empty() { "" } else { BOB_SDP };
        w.reply(&again, 200, "bobtag", "", answer);
        if method == Method::Invite {
            let ack = w.ack();
            assert_eq!(ack.cseq().unwrap().number, seq + 1);
            assert!(text(&ack).contains(&header(&again, HeaderName::ProxyAuthorization)));
        }
        if method != Method::Bye {
            w.told(asked, 200);
        }
        if method == Method::Invite {
            let ack = w.alice.ack(w.alice.seq, "");
            w.request(ack);
            // What came before is counted on from there.
            let info = bob.request("INFO", "", "");
            w.request(info);
            w.sent(Method::Info);
        }
    }
    w.close(&Cause::HungUp(EndedBy::Caller));
}

#[test]
fn inside_the_dialog_a_stale_nonce_is_worth_another_try_and_a_wrong_password_is_not() {
    let (mut w, _) = answered();
    let info = w.alice.request("INFO", "", "");
    let info = w.request(info);
    let sent = w.sent(Method::Info);
    w.reply(&sent, 401, "bobtag", &CHALLENGE.replace("Proxy", "WWW"), "");
    let sent = w.sent(Method::Info);
    let stale = CHALLENGE.replace("n1\"", "n2\", stale=true");
    w.reply(&sent, 407, "bobtag", &stale, "");
    let sent = w.sent(Method::Info);
    assert!(header(&sent, HeaderName::Authorization).is_empty());
    assert!(header(&sent, HeaderName::ProxyAuthorization).contains("n2"));
    w.reply(&sent, 407, "bobtag", &stale, "");
    let refused = w.told(info, 502);
    assert!(!text(&refused).to_lowercase().contains("authenticate"));
    w.silent();
    assert_eq!(w.call.phase(), Phase::Answered);
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

#[test]
fn only_the_gateway_itself_gets_an_answer() {
    let (mut w, _) = answered();
    let info = w.alice.request("INFO", "", "");
    let info = w.request(info);
    let sent = w.sent(Method::Info);
    let challenge = crate::peer::response(&sent.message, 407, "bobtag", CHALLENGE, "");
    w.feed(Input::Response {
        request: sent.id,
        flow: flow("198.51.100.66:5060"),
        message: challenge,
    });
    w.told(info, 502);
    w.silent();
    // Nor does the caller, which has no credentials of ours.
    w.feed(Input::End(Cause::Operator));
    let byes = [w.sent(Method::Bye), w.sent(Method::Bye)];
    for bye in &byes {
        w.reply(bye, 407, "", CHALLENGE, "");
    }
    let again = w.sent(Method::Bye);
    assert!(header(&again, HeaderName::To).contains("bob"));
    w.silent();
    w.reply(&again, 200, "", "", "");
    w.close(&Cause::Operator);
}

#[test]
fn a_session_refresh_is_repeated_with_credentials() {
    let (mut w, _) = World::answer(World::new(with_password()), "Allow: INVITE\r\n");
    w.pass_s(901);
    let (mut refreshes, mut invites) = (Vec::new(), 0);
    while let Some(sent) = w.next_sent() {
        refreshes.push(sent);
    }
    assert!(!refreshes.is_empty());
    for sent in refreshes {
        if header(&sent, HeaderName::To).contains("bob") {
            w.reply(&sent, 401, "bobtag", &CHALLENGE.replace("Proxy", "WWW"), "");
            let again = w.sent(Method::Invite);
            assert!(header(&again, HeaderName::Authorization).contains("username=\"us\""));
            w.reply(&again, 200, "bobtag", "", BOB_SDP);
            assert!(text(&w.ack()).contains("Authorization"));
            invites += 1;
        } else {
            w.reply(&sent, 200, "", "", "");
        }
    }
    assert_eq!(invites, 1);
    w.feed(Input::End(Cause::Operator));
    w.close(&Cause::Operator);
}

fn header(sent: &Sent, name: HeaderName) -> String {
    crate::world::header(&sent.message, name).to_owned()
}
