//! The hand-written peer works: it registers with Kamailio, and calls another of its kind.

use anyhow::Result;
use testkit::{Credentials, Kamailio, Message, Peer, authorization, session};

#[test]
fn a_challenge_is_answered() -> Result<()> {
    let kamailio = Kamailio::registrar("example.com", "secret")?;
    let peer = Peer::new(kamailio.address())?;
    let headers = [
        "To: <sip:alice@example.com>",
        "From: <sip:alice@example.com>;tag=1",
    ];
    peer.send(peer.request("REGISTER", "sip:example.com", &headers, ""))?;
    let refusal = peer.expect_status(401, "REGISTER");

    let alice = Credentials {
        username: "alice".into(),
        password: "secret".into(),
    };
    let challenge = refusal
        .header("WWW-Authenticate")
        .expect("a 401 has a challenge");
    let answer = authorization(&alice, challenge, "REGISTER", "sip:example.com");
    let answer = format!("Authorization: {answer}");
    let headers = [headers[0], headers[1], "CSeq: 2 REGISTER", &answer];
    peer.send(peer.request("REGISTER", "sip:example.com", &headers, ""))?;
    let accepted = peer.expect_status(200, "REGISTER");
    assert!(accepted.header("Contact").is_some(), "{accepted:?}");
    Ok(())
}

#[test]
fn two_peers_have_a_call() -> Result<()> {
    let callee = Peer::new("127.0.0.1:9".parse()?)?;
    let caller = Peer::new(callee.address())?;
    let callee = callee.towards(caller.address());

    let offer = session(caller.address());
    let invite = caller.request("INVITE", "sip:b@127.0.0.1", &[], &offer);
    caller.send(&invite)?;
    let invited = callee.expect_request("INVITE");
    assert_eq!(invited.body, offer);
    callee.send(callee.response(&invited, "200 OK", "b", &[], &session(callee.address())))?;
    let answered = caller.expect_status(200, "INVITE");
    assert_eq!(answered.to_tag(), "b");
    caller.send(caller.ack(&invite, &answered))?;
    let acknowledged: Message = callee.expect_request("ACK");
    assert_eq!(acknowledged.header("CSeq"), Some("1 ACK"));
    Ok(())
}
