//! Calls handed on: what of the caller the next callee sees, whose doing the end is, and where
//! permits go. The parties are written by hand, for what softphones do not show.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Dialog, GatewaySpec, Message, Peer, Platform, record_path, session, wait_for};

/// A platform, and phones of alice, bob and carol.
fn three_phones() -> Result<(Platform, [Peer; 3])> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    let carol = json!({ "account": rest.account()?, "name": "carol", "password": "carols-secret" });
    rest.create("/v1/users", &carol)?;
    let peer = || Peer::new(platform.ready().sip.udp);
    let phones = [peer()?, peer()?, peer()?];
    for (phone, name) in phones.iter().zip(["alice", "bob"]) {
        phone.register_routable(&platform, name)?;
    }
    phones[2].register_with(&platform, &who("carol", "carols-secret"))?;
    Ok((platform, phones))
}

fn who(name: &str, password: &str) -> testkit::Credentials {
    testkit::Credentials {
        username: name.to_owned(),
        password: password.to_owned(),
    }
}

/// Alice calls, with a display name; her INVITE.
fn alice_calls(platform: &Platform, alice: &Peer, called: &str) -> Result<String> {
    let domain = &platform.ready().domain;
    let uri = format!("sip:{called}@{domain}");
    let from = format!("From: \"Alice A.\" <sip:alice@{domain}>;tag=a-{called}");
    let offer = session("127.0.0.1:40000".parse()?);
    let first = alice.request("INVITE", &uri, &[&from], &offer);
    alice.send(&first)?;
    let refusal = alice.expect_status(407, "INVITE");
    alice.send(alice.ack(&first, &refusal))?;
    let is = platform.ready().credentials("alice");
    let invite = alice.answer_challenge(&is, &first, &refusal, &[], &offer);
    alice.send(&invite)?;
    Ok(invite)
}

/// Takes the next INVITE, whatever comes before it; it is acknowledged.
fn takes(callee: &Peer, tag: &str) -> Result<Message> {
    let invited = callee.expect_request("INVITE");
    let answer = session("127.0.0.1:40002".parse()?);
    callee.send(callee.response(&invited, "200 OK", tag, &[], &answer))?;
    Ok(invited)
}

/// The end of the caller's set-up: its dialog.
fn is_answered(caller: &Peer, invite: &str) -> Result<Dialog> {
    let answer = caller.expect_status(200, "INVITE");
    caller.send(caller.ack(invite, &answer))?;
    Ok(Dialog::of_caller(invite, &answer))
}

/// Agrees to whatever comes until `count` dialogs have ended.
fn lets_go(peer: &Peer, count: usize) -> Result<()> {
    let mut ended: Vec<String> = Vec::new();
    while ended.len() < count {
        let request = peer.expect("a request", |m| m.status().is_none());
        peer.send(peer.response(&request, "200 OK", "", &[], ""))?;
        let call_id = request.header("Call-ID").unwrap_or_default().to_owned();
        if request.method() == "BYE" && !ended.contains(&call_id) {
            ended.push(call_id);
        }
    }
    Ok(())
}

fn only_cdr(platform: &Platform) -> Value {
    wait_for("the CDR", || {
        let cdrs = platform.rest().list("/v1/cdrs").ok()?;
        cdrs.into_iter().next()
    })
}

#[test]
fn the_callers_name_goes_wherever_its_call_does() -> Result<()> {
    let (platform, [alice, bob, carol]) = three_phones()?;
    let domain = platform.ready().domain.clone();
    let invite = alice_calls(&platform, &alice, "bob")?;
    let invited = bob.expect_request("INVITE");
    let elsewhere = format!("Contact: <sip:carol@{domain}>");
    bob.send(bob.response(&invited, "302 Moved Temporarily", "b", &[&elsewhere], ""))?;
    bob.expect_request("ACK");

    let invited = takes(&carol, "c")?;
    let from = invited.header("From").unwrap_or_default();
    assert!(from.starts_with("\"Alice A.\" <sip:alice@"), "{from}");
    is_answered(&alice, &invite)?;
    carol.expect_request("ACK");

    // Carol refers Alice to Bob, and leaves before Bob refuses.
    let dialog = Dialog::of_callee(&invited, "c");
    let refer_to = format!("Refer-To: <sip:bob@{domain}>");
    carol.send(carol.within(&dialog, "REFER", 1, &[&refer_to], ""))?;
    carol.expect_status(202, "REFER");
    let invited = bob.expect_request("INVITE");
    let from = invited.header("From").unwrap_or_default();
    assert!(from.starts_with("\"Alice A.\" <sip:alice@"), "{from}");
    carol.send(carol.within(&dialog, "BYE", 2, &[], ""))?;
    carol.expect_status(200, "BYE");
    bob.send(bob.response(&invited, "486 Busy Here", "b2", &[], ""))?;
    bob.expect_request("ACK");
    lets_go(&alice, 1)?;
    platform.wait_until_idle();
    let cdr = only_cdr(&platform);
    assert_eq!(cdr["ended_by"], "platform", "{cdr}");
    assert_eq!(cdr["reason"], "transfer failed", "{cdr}");
    Ok(())
}

#[test]
fn the_permit_of_a_gateway_moves_with_its_leg() -> Result<()> {
    let (platform, [alice, bob, _]) = three_phones()?;
    let rest = platform.rest();
    let gateway = Peer::new(platform.ready().sip.udp)?;
    rest.add_carrier("49", &[GatewaySpec::at(gateway.address())], &json!({}))?;
    let path = record_path("gateways", &rest.first("gateways")?);
    rest.change(&path, &json!({ "limits": { "channels": 1 } }))?;
    let domain = platform.ready().domain.clone();

    let invite = alice_calls(&platform, &alice, "4930111")?;
    let outside = takes(&gateway, "g")?;
    let first = is_answered(&alice, &invite)?;
    gateway.expect_request("ACK");
    let invite = alice_calls(&platform, &alice, "bob")?;
    takes(&bob, "b")?;
    let second = is_answered(&alice, &invite)?;
    bob.expect_request("ACK");

    // Alice joins the two and is let go from both calls.
    let replaces = format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        first.call_id.replace('@', "%40"),
        first.remote_tag,
        first.local_tag
    );
    let refer_to = format!("Refer-To: <sip:4930111@{domain}?Replaces={replaces}>");
    alice.send(alice.within(&second, "REFER", 3, &[&refer_to], ""))?;
    alice.expect_status(202, "REFER");
    takes(&gateway, "")?;
    gateway.expect_request("ACK");
    takes(&bob, "")?;
    bob.expect_request("ACK");
    lets_go(&alice, 2)?;

    // The gateway's only channel is in use.
    let invite = alice_calls(&platform, &alice, "4930222")?;
    let refused = alice.refused(&invite)?;
    assert_eq!(refused.status(), Some(503), "{refused:?}");

    let dialog = Dialog::of_callee(&outside, "g");
    gateway.send(gateway.within(&dialog, "BYE", 1, &[], ""))?;
    gateway.expect_status(200, "BYE");
    lets_go(&bob, 1)?;
    platform.wait_until_idle();
    let invite = alice_calls(&platform, &alice, "4930333")?;
    gateway.refuse("486 Busy Here")?;
    assert_eq!(alice.refused(&invite)?.status(), Some(486));
    Ok(())
}
