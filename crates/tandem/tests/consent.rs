//! Whether a peer still wants media (RFC 7675), with one that does not answer any more.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::{Browser, PlatformOptions, cable, wait_for_within};

const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const SITE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const ALICE_HZ: u32 = 440;
/// How long an answer holds (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);

#[test]
fn the_call_of_a_browser_that_is_cut_off_ends_with_its_consent() -> Result<()> {
    let [office, site] = cable([OFFICE, SITE])?;
    let platform = office.enter(|| {
        PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"))
            .bind(&OFFICE.to_string())
            .argument("--ice")
            .argument("full")
            .start()
    })?;
    let ready = platform.ready();
    office.enter(|| {
        let silence = json!({ "media_timeout_s": 0 });
        platform.rest().change("/v1/settings", &silence)
    })?;
    let password = &ready.user("alice").password;
    let wss = ready.sip.wss;
    let mut alice =
        site.enter(|| Browser::register("alice", &ready.domain, password, wss, ALICE_HZ))?;
    alice.dial(&format!("sip:600@{}", ready.domain))?;
    alice.wait_for_established();
    alice.wait_for_tone(ALICE_HZ);
    // Longer than an answer holds: what keeps the call is that each question is answered.
    let began = Instant::now();
    wait_for_within(
        2 * CONSENT,
        "a call that outlives its first consent",
        || (began.elapsed() > CONSENT + Duration::from_secs(5)).then_some(()),
    );
    let calls = office.enter(|| platform.rest().list("/v1/calls"))?;
    assert_eq!(calls.len(), 1);

    site.run("ip link set eth0 down")?;
    let cdr = wait_for_within(2 * CONSENT, "the CDR", || {
        let cdrs = office.enter(|| platform.rest().list("/v1/cdrs").ok())?;
        cdrs.into_iter().next()
    });
    assert_eq!(
        cdr["reason"], "media consent expired: caller silent",
        "{cdr}"
    );
    assert_eq!(cdr["ended_by"], "platform", "{cdr}");
    let packets = cdr["media_a"]["packets"].as_u64().context("figures")?;
    let talked_us = cdr["end_us"].as_u64().context("an end")?
        - cdr["answer_us"].as_u64().context("an answer")?;
    // 50 packets a second came until it was cut off; then the last answer ran out.
    let silent = Duration::from_micros(talked_us).saturating_sub(packets as u32 * PACKET);
    println!("the call went on for {silent:?} without a packet");
    assert!(silent < CONSENT + Duration::from_secs(3), "{silent:?}");
    Ok(())
}

const PACKET: Duration = Duration::from_millis(20);
