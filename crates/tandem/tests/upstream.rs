//! Registrations of ours at carriers, and the calls that come by them.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{GatewaySpec, Kamailio, Message, Peer, Platform, record_path, session, wait_for};

const DOMAIN: &str = "carrier.example";
const PASSWORD: &str = "a secret between us";

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

/// A gateway at this address that we register at as `4930`, with this password.
fn register_at(platform: &Platform, carrier: std::net::SocketAddr, password: &str) -> Result<()> {
    let rest = platform.rest();
    rest.add_carrier("", &[GatewaySpec::at(carrier)], &json!({}))?;
    let change = json!({
        "inbound": true,
        "auth": { "username": "4930", "password": password },
        "registration": { "domain": DOMAIN, "expiry_s": 60 },
    });
    rest.change(&record_path("gateways", &rest.first("gateways")?), &change)?;
    Ok(())
}

/// Waits until the registration at the only gateway is like this; what is said of it.
fn wait_for_state(platform: &Platform, state: &str) -> Value {
    wait_for(&format!("a registration that is {state}"), || {
        let health = platform.rest().list("/v1/gateway-health").ok()?;
        let registration = health.first()?["registration"].clone();
        (registration["state"] == state).then_some(registration)
    })
}

/// A number of ours that rings alice.
fn number_of_alice(platform: &Platform, number: &str) -> Result<()> {
    let rest = platform.rest();
    let users = rest.list("/v1/users")?;
    let alice = users.iter().find(|u| u["name"] == "alice");
    let record = json!({
        "account": rest.account()?,
        "number": number,
        "target": { "kind": "user", "user": alice.context("no alice")?["id"] },
    });
    rest.create("/v1/numbers", &record)?;
    Ok(())
}

#[test]
fn kamailio_sends_the_calls_of_our_account_to_us() -> Result<()> {
    let platform = platform()?;
    let kamailio = Kamailio::registrar(DOMAIN, PASSWORD)?;
    number_of_alice(&platform, "4930")?;
    let alice = Peer::new(platform.ready().sip.udp)?;
    alice.register_routable(&platform, "alice")?;
    register_at(&platform, kamailio.address(), PASSWORD)?;
    let registration = wait_for_state(&platform, "registered");
    assert_eq!(registration["aor"], format!("sip:4930@{DOMAIN}"));
    let health = platform.command_line(&["gateway", "health"])?.stdout;
    assert!(health.contains("registered"), "{health}");
    let caller = Peer::new(kamailio.address())?;
    let offer = session("127.0.0.1:40000".parse()?);
    let invite = caller.request("INVITE", &format!("sip:4930@{DOMAIN}"), &[], &offer);
    caller.send(&invite)?;
    alice.refuse("486 Busy Here")?;
    assert_eq!(caller.expect_status(486, "INVITE").method(), "INVITE");
    Ok(())
}

#[test]
fn a_carrier_that_comes_later_is_found() -> Result<()> {
    let platform = platform()?;
    let carrier = Peer::new(platform.ready().sip.udp)?;
    let address = carrier.address();
    drop(carrier);
    register_at(&platform, address, PASSWORD)?;
    let failed = wait_for_state(&platform, "failed");
    assert_eq!(failed["last_failure"], "the gateway does not answer");
    let carrier = Peer::bound(&address.to_string(), platform.ready().sip.udp)?;
    accept(&carrier, &carrier.expect_request("REGISTER"))?;
    wait_for_state(&platform, "registered");
    Ok(())
}

/// Accepts a registration for a minute.
fn accept(carrier: &Peer, register: &Message) -> Result<()> {
    let contact = register.header("Contact").unwrap_or_default();
    let contact = format!("Contact: {contact};expires=60");
    carrier.send(carrier.response(register, "200 OK", "carrier", &[&contact], ""))
}

#[test]
fn a_call_to_our_contact_rings_the_number_in_to() -> Result<()> {
    let platform = platform()?;
    number_of_alice(&platform, "+49301234")?;
    let alice = Peer::new(platform.ready().sip.udp)?;
    alice.register_routable(&platform, "alice")?;
    let carrier = Peer::new(platform.ready().sip.udp)?;
    register_at(&platform, carrier.address(), PASSWORD)?;
    let register = carrier.expect_request("REGISTER");
    accept(&carrier, &register)?;
    wait_for_state(&platform, "registered");
    let to = format!("To: <sip:+49301234@{DOMAIN}>");
    let offer = session("127.0.0.1:40000".parse()?);
    let invite = carrier.request("INVITE", register.contact_uri(), &[&to], &offer);
    carrier.send(&invite)?;
    alice.refuse("486 Busy Here")?;
    carrier.expect_status(486, "INVITE");
    Ok(())
}

#[test]
fn a_wrong_password_is_said_and_not_repeated() -> Result<()> {
    let platform = platform()?;
    let carrier = Peer::new(platform.ready().sip.udp)?;
    register_at(&platform, carrier.address(), "wrong")?;
    for nonce in ["one", "two"] {
        let register = carrier.expect_request("REGISTER");
        let challenge = format!("WWW-Authenticate: Digest realm=\"{DOMAIN}\", nonce=\"{nonce}\"");
        let refusal = carrier.response(&register, "401 Unauthorized", "c", &[&challenge], "");
        carrier.send(refusal)?;
    }
    let failed = wait_for_state(&platform, "failed");
    let said = "the gateway refuses user name and password";
    assert_eq!(failed["last_failure"], said);
    let log = platform.program().log();
    assert!(log.contains(said), "the log says it too: {log}");
    assert!(!log.contains("wrong"), "and no password");
    Ok(())
}

#[test]
fn the_carrier_is_told_when_we_stop_and_when_the_gateway_goes() -> Result<()> {
    let platform = platform()?;
    let carrier = Peer::new(platform.ready().sip.udp)?;
    register_at(&platform, carrier.address(), PASSWORD)?;
    accept(&carrier, &carrier.expect_request("REGISTER"))?;
    wait_for_state(&platform, "registered");
    let path = record_path("gateways", &platform.rest().first("gateways")?);
    let off = json!({ "registration": null });
    platform.rest().change(&path, &off)?;
    let ends = |m: &Message| m.method() == "REGISTER" && m.header("Expires") == Some("0");
    let end = carrier.expect("the end of the registration", ends);
    carrier.send(carrier.response(&end, "200 OK", "carrier", &[], ""))?;
    let on = json!({ "registration": { "domain": DOMAIN } });
    platform.rest().change(&path, &on)?;
    let begins = |m: &Message| m.method() == "REGISTER" && m.header("Expires") == Some("3600");
    accept(&carrier, &carrier.expect("a new registration", begins))?;
    wait_for_state(&platform, "registered");
    let pid = platform.program().pid().to_string();
    Command::new("kill").args(["-TERM", &pid]).status()?;
    carrier.expect("the end of the registration", ends);
    Ok(())
}
