//! What signals do, seen from outside, and the lines an operator finds in the log.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::{Credentials, GatewaySpec, Peer, Platform, session, wait_for};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn signal(platform: &Platform, name: &str) -> Result<()> {
    let pid = platform.program().pid().to_string();
    let sent = Command::new("kill").args([name, &pid]).status();
    sent.with_context(|| format!("sending {name}"))?;
    Ok(())
}

fn says(platform: &Platform, words: &[&str]) {
    wait_for(&format!("{words:?} in the log"), || {
        let log = platform.program().log();
        let line = log.lines().find(|l| words.iter().all(|w| l.contains(w)));
        line.map(|_| ())
    });
}

#[test]
fn a_second_signal_to_stop_ends_at_once() -> Result<()> {
    let mut platform = platform()?;
    platform.rest().add_customer("127.0.0.1/32", &json!({}))?;
    // A caller that will not answer the BYE, so that stopping takes its time.
    let caller = Peer::new(platform.ready().sip.udp)?;
    let offer = session("127.0.0.1:40000".parse()?);
    let invite = caller.request("INVITE", "sip:600@127.0.0.1", &[], &offer);
    caller.send(&invite)?;
    let answer = caller.expect_status(200, "INVITE");
    caller.send(caller.ack(&invite, &answer))?;
    signal(&platform, "-TERM")?;
    caller.expect_request("BYE");
    assert!(platform.program_mut().exit_status().is_none());
    let asked = Instant::now();
    signal(&platform, "-TERM")?;
    let status = wait_for("the end", || platform.program_mut().exit_status());
    assert_eq!(status.code(), Some(1));
    assert!(asked.elapsed() < Duration::from_secs(2));
    says(&platform, &["told twice to stop"]);
    Ok(())
}

/// The certificate that a TLS handshake shows, in PEM.
fn shown(platform: &Platform) -> Result<String> {
    let address = platform.ready().sip.tls.to_string();
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address])
        .stdin(Stdio::null())
        .output()
        .context("starting openssl")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let from = text
        .find("-----BEGIN CERTIFICATE")
        .context("no certificate")?;
    let to = text[from..]
        .find("-----END CERTIFICATE")
        .context("no end")?;
    Ok(text[from..from + to].to_owned())
}

#[test]
fn handshakes_show_the_new_certificate_after_sighup() -> Result<()> {
    let platform = platform()?;
    let file = || std::fs::read_to_string(platform.data().join("tls/certificate.pem"));
    let before = shown(&platform)?;
    assert!(file()?.contains(&before), "it is the one in the file");
    let domain = json!({ "domain": "calls.example" });
    platform.rest().change("/v1/settings", &domain)?;
    signal(&platform, "-HUP")?;
    says(&platform, &["the certificate was read again"]);
    let after = shown(&platform)?;
    assert_ne!(after, before);
    assert!(file()?.contains(&after));
    Ok(())
}

#[test]
fn the_log_tells_of_gateways_and_bans() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let gateway = Peer::new(platform.ready().sip.udp)?;
    rest.add_carrier("", &[GatewaySpec::at(gateway.address())], &json!({}))?;
    let customer = Peer::bound("127.0.0.3:0", platform.ready().sip.udp)?;
    rest.add_customer("127.0.0.3/32", &json!({}))?;
    let invite = customer.invite("493012345")?;
    let invited = gateway.expect_request("INVITE");
    let soon = ["Retry-After: 1"];
    gateway.send(gateway.response(&invited, "503 Service Unavailable", "g", &soon, ""))?;
    gateway.expect_request("ACK");
    customer.refused(&invite)?;
    let name = gateway.address().to_string();
    says(&platform, &["gateway down", &name]);
    says(&platform, &["gateway up", &name]);

    let wrong = Credentials {
        username: "alice".into(),
        password: "guess".into(),
    };
    let uri = format!("sip:{}", platform.ready().domain);
    for _ in 0..20 {
        let stranger = Peer::bound("127.0.0.4:0", platform.ready().sip.udp)?;
        stranger.send_with_digest(&wrong, "REGISTER", &uri, &[], "")?;
        stranger.expect_status(401, "REGISTER");
    }
    says(
        &platform,
        &["banned", "127.0.0.4", "repeated authentication failures"],
    );
    Ok(())
}
