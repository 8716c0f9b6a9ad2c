//! Registrations over connections: they live and die with them.

use std::time::Duration;

use anyhow::Result;
use testkit::{Credentials, Platform, StreamPeer, authorization, wait_for, wait_for_within};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

/// Registers alice over a stream; no verification is needed, the connection is the proof.
fn register_over(stream: &mut StreamPeer, platform: &Platform) -> Result<()> {
    let ready = platform.ready();
    let uri = format!("sip:{}", ready.domain);
    let to = format!("To: <sip:alice@{}>", ready.domain);
    stream.send(stream.request("REGISTER", &uri, &[&to], ""))?;
    let refusal = stream.expect_status(401, "REGISTER");
    let challenge = refusal.header("WWW-Authenticate").unwrap_or_default();
    let alice: Credentials = ready.credentials("alice");
    let answer = format!(
        "Authorization: {}",
        authorization(&alice, challenge, "REGISTER", &uri)
    );
    stream.send(stream.request("REGISTER", &uri, &[&to, &answer], ""))?;
    stream.expect_status(200, "REGISTER");
    assert_eq!(platform.registrations()[0]["routable"], true);
    Ok(())
}

#[test]
fn a_lost_connection_takes_its_binding_along() -> Result<()> {
    let platform = platform()?;
    let mut phone = StreamPeer::tcp(platform.ready().sip.tcp)?;
    register_over(&mut phone, &platform)?;
    drop(phone);
    wait_for_within(Duration::from_secs(2), "its removal", || {
        platform.registrations().is_empty().then_some(())
    });
    Ok(())
}

#[test]
fn a_call_comes_back_over_the_connection_of_the_registration() -> Result<()> {
    let platform = platform()?;
    let sip = platform.ready().sip;
    for mut phone in [StreamPeer::tcp(sip.tcp)?, StreamPeer::websocket(sip.ws)?] {
        register_over(&mut phone, &platform)?;
        let (bob, invite) = platform.call("bob", "alice")?;
        let invited = phone.expect("INVITE", |m| m.method() == "INVITE");
        phone.send(bob.response(&invited, "486 Busy Here", "p", &[], ""))?;
        let busy = bob.expect_status(486, "INVITE");
        bob.send(bob.ack(&invite, &busy))?;
        drop(phone);
        wait_for("its removal", || {
            platform.registrations().is_empty().then_some(())
        });
    }
    Ok(())
}
