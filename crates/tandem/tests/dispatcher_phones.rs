//! Phones behind a dispatcher, with real switches behind it: registered and called through Path,
//! over UDP, TLS and WebSocket.

use anyhow::{Context as _, Result};
use serde_json::json;
use tempfile::NamedTempFile;
use testkit::{
    Baresip, Dispatcher, PhoneOptions, PhoneTransport, Platform, PlatformOptions, StreamPeer,
    record_path, wait_for,
};

const DOMAIN: &str = "calls.example";
const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

/// Switches of one domain whose users have the same passwords, and a dispatcher before them that
/// keeps each callee with one of them; the file of its settings.
fn set_up(count: usize) -> Result<(Dispatcher, Vec<Platform>, NamedTempFile)> {
    let binary = env!("CARGO_BIN_EXE_tandem");
    let mut switches = Vec::new();
    for _ in 0..count {
        let options = PlatformOptions::new(binary);
        let switch = options.argument("--domain").argument(DOMAIN).start()?;
        let dispatchers = json!({ "dispatchers": ["127.0.0.1/32"] });
        switch.rest().change("/v1/settings", &dispatchers)?;
        for user in switch.rest().list("/v1/users")? {
            let name = user["name"].as_str().context("a name")?;
            let password = json!({ "password": password(name) });
            switch
                .rest()
                .change(&record_path("users", &user), &password)?;
        }
        switches.push(switch);
    }
    let config = NamedTempFile::new()?;
    std::fs::write(config.path(), "algorithm = \"hash\"\nhash_on = \"to\"\n")?;
    let file = config.path().display().to_string();
    let targets: Vec<String> = switches
        .iter()
        .enumerate()
        .map(|(n, switch)| format!("--target=s{n}=udp:{}", switch.ready().sip.udp))
        .collect();
    let mut arguments = vec!["--config", &file, "--name", DOMAIN];
    arguments.extend(targets.iter().map(String::as_str));
    let dispatcher = Dispatcher::start(binary, &arguments)?;
    Ok((dispatcher, switches, config))
}

fn password(name: &str) -> String {
    format!("{name}s-own-secret")
}

fn phone(
    dispatcher: &Dispatcher,
    name: &str,
    transport: PhoneTransport,
    tone_hz: u32,
) -> Result<Baresip> {
    let sip = dispatcher.sip();
    let server = match transport {
        PhoneTransport::Udp => sip.udp,
        PhoneTransport::Tcp => sip.tcp,
        PhoneTransport::Tls => sip.tls,
    };
    let options = PhoneOptions::new(name, DOMAIN)
        .password(&password(name))
        .server(server, transport)
        .tone_hz(tone_hz);
    Baresip::register(options)
}

fn wait_until_routable(switches: &[Platform], count: usize) {
    wait_for("the registrations to be routable", || {
        let all = switches.iter().flat_map(Platform::registrations);
        (all.filter(|r| r["routable"] == true).count() == count).then_some(())
    });
}

#[test]
fn phones_on_tls_and_udp_call_each_other_through_it() -> Result<()> {
    let (dispatcher, switches, _config) = set_up(2)?;
    let mut alice = phone(&dispatcher, "alice", PhoneTransport::Tls, ALICE_HZ)?;
    let mut bob = phone(&dispatcher, "bob", PhoneTransport::Udp, BOB_HZ)?;
    wait_until_routable(&switches, 2);
    alice.dial(&format!("sip:bob@{DOMAIN}"))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    // Of the two sides, the one that the switch opened is not the dispatcher's choice.
    wait_for("the call to be counted", || {
        (dispatcher.metric("tandem_calls") == Some(1.0)).then_some(())
    });
    bob.hang_up()?;
    alice.wait_for_closed();
    // The other way round, to the phone behind TLS.
    bob.dial(&format!("sip:alice@{DOMAIN}"))?;
    alice.wait_for_incoming();
    alice.answer()?;
    bob.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    wait_for("no call left", || {
        (dispatcher.metric("tandem_calls") == Some(0.0)).then_some(())
    });
    Ok(())
}

#[test]
fn phones_go_on_when_the_dispatcher_was_restarted() -> Result<()> {
    let (mut dispatcher, switches, _config) = set_up(1)?;
    let mut alice = phone(&dispatcher, "alice", PhoneTransport::Udp, ALICE_HZ)?;
    let mut bob = phone(&dispatcher, "bob", PhoneTransport::Udp, BOB_HZ)?;
    wait_until_routable(&switches, 2);
    alice.dial(&format!("sip:bob@{DOMAIN}"))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_tone(BOB_HZ);
    dispatcher.crash_and_restart()?;
    bob.hang_up()?;
    alice.wait_for_closed();
    // The flows of phones on UDP are where they were, too.
    alice.dial(&format!("sip:bob@{DOMAIN}"))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_tone(BOB_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    Ok(())
}

#[test]
fn a_browser_on_a_websocket_is_reached_through_its_flow() -> Result<()> {
    let (dispatcher, switches, _config) = set_up(1)?;
    let mut peer = StreamPeer::websocket(dispatcher.sip().ws)?;
    let uri = format!("sip:{DOMAIN}");
    let lines = [
        format!("To: <sip:bob@{DOMAIN}>"),
        format!("From: <sip:bob@{DOMAIN}>;tag=ws"),
        "Contact: <sip:bob@df7jal23ls0d.invalid;transport=ws>;expires=600".to_owned(),
        "Call-ID: websocket-1".to_owned(),
        "Supported: path, outbound".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let first = peer.request("REGISTER", &uri, &lines, "");
    peer.send(&first)?;
    let challenge = peer.expect_status(401, "REGISTER");
    let who = testkit::Credentials {
        username: "bob".to_owned(),
        password: password("bob"),
    };
    let challenge = challenge.header("WWW-Authenticate").unwrap_or_default();
    let value = testkit::authorization(&who, challenge, "REGISTER", &uri);
    let header = format!("Authorization: {value}");
    let mut again = lines.clone();
    again.extend(["CSeq: 2 REGISTER", header.as_str()]);
    peer.send(peer.request("REGISTER", &uri, &again, ""))?;
    let accepted = peer.expect_status(200, "REGISTER");
    let path = accepted.header("Path").unwrap_or_default();
    let us = dispatcher.sip().udp.to_string();
    assert!(path.contains(&us) && path.contains(";ob"), "{path}");
    // The switch asks the phone behind the Path who it is: that comes over the flow.
    let probe = peer.expect("OPTIONS of the switch", |m| {
        m.method() == "OPTIONS" && m.status().is_none()
    });
    let answer = probe_answer(&probe);
    peer.send(answer)?;
    wait_until_routable(&switches, 1);
    drop(peer);
    let pulse = |name| dispatcher.metric(name);
    wait_for("the connection to be gone", || {
        (pulse("tandem_sip_connections{transport=\"ws\"}") == Some(0.0)).then_some(())
    });
    Ok(())
}

fn probe_answer(request: &testkit::Message) -> String {
    let mut lines = vec!["SIP/2.0 200 OK".to_owned()];
    lines.extend(request.all("Via").map(|via| format!("Via: {via}")));
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let value = request.header(name).unwrap_or_default();
        let tag = if name == "To" { ";tag=ws" } else { "" };
        lines.push(format!("{name}: {value}{tag}"));
    }
    lines.push("Content-Length: 0".to_owned());
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

#[test]
fn a_call_whose_switch_is_killed_ends_and_the_next_one_works() -> Result<()> {
    let (dispatcher, mut switches, _config) = set_up(2)?;
    let mut alice = phone(&dispatcher, "alice", PhoneTransport::Udp, ALICE_HZ)?;
    alice.dial(&format!("sip:600@{DOMAIN}"))?;
    alice.wait_for_tone(ALICE_HZ);
    let calls = |name: &str| dispatcher.target(name)["calls"].as_u64().unwrap_or(0);
    let busy = usize::from(calls("s1") == 1);
    assert_eq!(calls(&format!("s{busy}")), 1);
    switches[busy].kill_9();
    alice.hang_up()?;
    alice.dial(&format!("sip:600@{DOMAIN}"))?;
    alice.wait_for_established();
    alice.wait_for_tone(ALICE_HZ);
    assert_eq!(calls(&format!("s{}", 1 - busy)), 1, "its fellow has it");
    alice.hang_up()?;
    wait_for("no call left", || {
        (dispatcher.metric("tandem_calls") == Some(0.0)).then_some(())
    });
    Ok(())
}
