//! Whether a peer still wants media (RFC 7675), with one that does not answer any more.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{Browser, Host, MediaServer, Platform, PlatformOptions, cable, wait_for_within};

const TANDEM: &str = env!("CARGO_BIN_EXE_tandem");
const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const SITE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const ALICE_HZ: u32 = 440;
/// How long an answer holds (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);
const PACKET: Duration = Duration::from_millis(20);

/// A platform in the office, where silence ends no call, and a browser at the site that hears the
/// echo.
struct World {
    platform: Platform,
    _alice: Browser,
    // Last, so that they outlive those who use them.
    office: Host,
    site: Host,
}

impl World {
    fn new(
        [office, site]: [Host; 2],
        prepare: impl FnOnce(&Platform) -> Result<()> + Send,
    ) -> Result<Self> {
        let platform = office.enter(|| {
            let options = PlatformOptions::new(TANDEM).bind(&OFFICE.to_string());
            let platform = options.argument("--ice").argument("full").start()?;
            let silence = json!({ "media_timeout_s": 0 });
            platform.rest().change("/v1/settings", &silence)?;
            prepare(&platform)?;
            anyhow::Ok(platform)
        })?;
        let ready = platform.ready();
        let password = &ready.user("alice").password;
        let wss = ready.sip.wss;
        let mut alice =
            site.enter(|| Browser::register("alice", &ready.domain, password, wss, ALICE_HZ))?;
        alice.dial(&format!("sip:600@{}", ready.domain))?;
        alice.wait_for_established();
        alice.wait_for_tone(ALICE_HZ);
        Ok(Self {
            platform,
            _alice: alice,
            office,
            site,
        })
    }

    /// Cuts the browser off; the record of its call.
    fn cut_off(&self) -> Result<Value> {
        self.site.run("ip link set eth0 down")?;
        Ok(wait_for_within(3 * CONSENT, "the CDR", || {
            let cdrs = self
                .office
                .enter(|| self.platform.rest().list("/v1/cdrs").ok())?;
            cdrs.into_iter().next()
        }))
    }
}

/// The call has ended because nobody wanted its media any more; for how long it went on without.
fn silence(cdr: &Value) -> Result<Duration> {
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
    Ok(silent)
}

#[test]
fn the_call_of_a_browser_that_is_cut_off_ends_with_its_consent() -> Result<()> {
    let world = World::new(cable([OFFICE, SITE])?, |_| Ok(()))?;
    // Longer than an answer holds: what keeps the call is that each question is answered.
    let began = Instant::now();
    wait_for_within(
        2 * CONSENT,
        "a call that outlives its first consent",
        || (began.elapsed() > CONSENT + Duration::from_secs(5)).then_some(()),
    );
    let calls = world
        .office
        .enter(|| world.platform.rest().list("/v1/calls"))?;
    assert_eq!(calls.len(), 1);
    let silent = silence(&world.cut_off()?)?;
    assert!(silent < CONSENT + LATE, "{silent:?}");
    Ok(())
}

#[test]
fn so_it_does_where_its_media_is_on_a_server_apart() -> Result<()> {
    let [office, site] = cable([OFFICE, SITE])?;
    let allowed = ["--allow", "10.77.0.0/24,127.0.0.0/8"];
    let server = office.enter(|| MediaServer::start_at(OFFICE, TANDEM, &allowed))?;
    let world = World::new([office, site], |platform| {
        let rest = platform.rest();
        rest.add_media_server("apart", &server.control(), &json!({}))?;
        Ok(())
    })?;
    let sessions = |of: &World| of.office.enter(|| server.sessions());
    assert_eq!(sessions(&world), 1);
    let silent = silence(&world.cut_off()?)?;
    assert!(silent < CONSENT + LATE, "{silent:?}");
    wait_for_within(CONSENT, "the end of the session", || {
        (sessions(&world) == 0).then_some(())
    });
    Ok(())
}

/// What a busy machine may take to begin the call and to end it.
const LATE: Duration = Duration::from_secs(10);
