//! Softphones that protect their media, with softphones that do not.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use testkit::{Baresip, MediaEncryption, Peer, PhoneOptions, Platform, ports, session, wait_for};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

fn phone(
    platform: &Platform,
    name: &str,
    encryption: Option<MediaEncryption>,
    tone_hz: u32,
) -> Result<Baresip> {
    let mut options = plain_phone(platform, name, tone_hz);
    if let Some(encryption) = encryption {
        options = options.encryption(encryption);
    }
    Baresip::register(options)
}

fn plain_phone(platform: &Platform, name: &str, tone_hz: u32) -> PhoneOptions {
    platform.phone(name, tone_hz)
}

/// Alice calls bob; each hears the other.
fn a_call_between(caller: Option<MediaEncryption>, callee: Option<MediaEncryption>) -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let alice = phone(&platform, "alice", caller, ALICE_HZ)?;
    let bob = phone(&platform, "bob", callee, BOB_HZ)?;
    they_hear_each_other(&platform, alice, bob)
}

fn they_hear_each_other(platform: &Platform, mut alice: Baresip, mut bob: Baresip) -> Result<()> {
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn keys_in_the_description_on_one_side_only() -> Result<()> {
    a_call_between(Some(MediaEncryption::Sdes), None)
}

#[test]
fn keys_in_the_descriptions_of_both_sides() -> Result<()> {
    let encryption = MediaEncryption::SdesIfPossible;
    a_call_between(Some(MediaEncryption::Sdes), Some(encryption))
}

#[test]
fn dtls_with_a_phone_whose_certificate_is_rsa() -> Result<()> {
    a_call_between(Some(MediaEncryption::Dtls), None)
}

/// openssl as a phone that knows DTLS 1.0 alone.
fn shake_hands_in_dtls_1_0(local: SocketAddr, remote: &str) -> Result<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-dtls1", "-cipher", "ALL:@SECLEVEL=0"])
        .args(["-bind", &local.to_string(), "-connect", remote])
        // The system's own configuration may forbid it to try.
        .env("OPENSSL_CONF", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .context("starting openssl")?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_phone_that_knows_dtls_1_0_alone_is_refused_and_the_log_says_so() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let phone = Peer::new(platform.ready().sip.udp)?;
    let media = SocketAddr::from(([127, 0, 0, 1], ports::one()));
    let fingerprint = ["AB"; 32].join(":");
    let offer = session(media).replace("RTP/AVP", "UDP/TLS/RTP/SAVP")
        + &format!("a=fingerprint:SHA-256 {fingerprint}\r\na=setup:active\r\na=rtcp-mux\r\n");
    let who = platform.ready().credentials("alice");
    let uri = format!("sip:600@{}", platform.ready().domain);
    let invite = phone.send_with_digest(&who, "INVITE", &uri, &[], &offer)?;
    let answered = phone.expect_status(200, "INVITE");
    phone.send(phone.ack(&invite, &answered))?;
    let mut lines = answered.body.lines();
    let port = lines.find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next());
    let said = shake_hands_in_dtls_1_0(media, &format!("127.0.0.1:{}", port.unwrap_or("0")))?;
    assert!(said.contains("protocol version"), "{said}");
    let line = "a phone speaks no DTLS newer than 1.0, which is refused (RFC 8996)";
    wait_for("the line in the log", || {
        platform.program().log().contains(line).then_some(())
    });
    let page = platform.rest().send("GET", "/metrics", None)?.1;
    let mut lines = page.as_str().unwrap_or_default().lines();
    let dropped = "tandem_rtp_dropped_total{reason=\"dtls_version\"} ";
    let dropped = lines.find_map(|line| line.strip_prefix(dropped));
    let dropped: u64 = dropped.context("a counter")?.parse()?;
    assert!(dropped > 0, "it is counted");
    Ok(())
}
