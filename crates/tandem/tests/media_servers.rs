//! Media on servers of its own: who serves which call, and what happens when one dies.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    Baresip, GatewaySpec, MediaServer, Platform, RelayServer, Rtpengine, Talkers, record_path,
    wait_for,
};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
/// What the far end of a call may hear nothing when its media server dies.
const GAP_MAX: Duration = Duration::from_secs(2);

/// One of our own, with as many ports for media: each call takes four.
fn own(ports: u16) -> Result<MediaServer> {
    MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), ports, &[])
}

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

/// Callers and a carrier around the platform.
fn talkers(platform: &Platform, customer: &Value, carrier: &Value) -> Result<Talkers> {
    let talkers = Talkers::new(platform.ready().sip.udp)?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", customer)?;
    rest.add_carrier("", &[GatewaySpec::at(talkers.gateway())], carrier)?;
    Ok(talkers)
}

fn cdrs(platform: &Platform, count: usize) -> Vec<Value> {
    platform.wait_until_idle();
    let cdrs = wait_for("the CDRs", || {
        let cdrs = platform.rest().list("/v1/cdrs").ok()?;
        (cdrs.len() >= count).then_some(cdrs)
    });
    assert_eq!(cdrs.len(), count, "one each");
    cdrs
}

#[track_caller]
fn assert_media_in(cdrs: &[Value]) {
    for cdr in cdrs {
        for leg in ["media_a", "media_b"] {
            let packets = cdr[leg]["packets"].as_u64().unwrap_or(0);
            assert!(packets > 0, "{leg} of {cdr}");
        }
    }
}

fn phone(platform: &Platform, name: &str, tone_hz: u32) -> Result<Baresip> {
    let options = platform.phone(name, tone_hz);
    Baresip::register(options)
}

#[test]
fn a_stock_rtpengine_carries_the_calls_of_phones() -> Result<()> {
    carry_calls_of_phones(&Rtpengine::start()?)
}

#[test]
fn a_media_server_of_our_own_carries_the_calls_of_phones() -> Result<()> {
    carry_calls_of_phones(&own(100)?)
}

fn carry_calls_of_phones(server: &impl RelayServer) -> Result<()> {
    let platform = platform()?;
    platform
        .rest()
        .add_media_server("m1", &server.control(), &json!({}))?;
    let mut alice = phone(&platform, "alice", ALICE_HZ)?;
    let mut bob = phone(&platform, "bob", BOB_HZ)?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    assert_eq!(server.sessions(), Some(1));
    assert_eq!(platform.rest().media_server("m1")["sessions"], 1);
    let call = &platform.rest().list("/v1/calls")?[0];
    let explanation = call["explanation"].to_string();
    assert!(explanation.contains("media server m1"), "{explanation}");
    let metrics = platform.rest().send("GET", "/metrics", None)?.1;
    let metrics = metrics.as_str().unwrap_or_default();
    assert!(metrics.contains("\ntandem_rtp_sessions 0\n"), "no RTP here");
    alice.hang_up()?;
    bob.wait_for_closed();
    assert_media_in(&cdrs(&platform, 1));
    wait_for("no session left", || {
        (server.sessions() == Some(0)).then_some(())
    });

    alice.dial(&format!("sip:600@{}", platform.ready().domain))?;
    alice.wait_for_established();
    alice.wait_for_tone(ALICE_HZ);
    assert_eq!(server.sessions(), Some(1), "the echo is there as well");
    alice.hang_up()?;
    cdrs(&platform, 2);
    Ok(())
}

#[test]
fn calls_move_when_our_own_media_server_is_killed() -> Result<()> {
    const CALLS: usize = 50;
    let platform = platform()?;
    let (mut dies, stays) = (own(260)?, own(260)?);
    let talkers = move_calls(CALLS, &platform, &mut dies, &stays)?;
    assert_eq!(platform.rest().media_server("stays")["sessions"], CALLS);
    talkers.hang_up()?;
    assert_media_in(&cdrs(&platform, CALLS));
    wait_for("no session left", || (stays.sessions() == 0).then_some(()));
    Ok(())
}

#[test]
fn calls_move_when_their_media_server_is_killed() -> Result<()> {
    const CALLS: usize = 50;
    let platform = platform()?;
    let mut dies = Rtpengine::with_ports(260)?;
    let stays = Rtpengine::with_ports(260)?;
    let talkers = move_calls(CALLS, &platform, &mut dies, &stays)?;
    assert_eq!(platform.rest().media_server("dies")["sessions"], 0);
    assert_eq!(platform.rest().media_server("stays")["sessions"], CALLS);
    let call = &platform.rest().list("/v1/calls")?[0];
    let explanation = call["explanation"].to_string();
    assert!(
        explanation.contains("moved to another server"),
        "{explanation}"
    );

    dies.restart()?;
    platform.rest().wait_for_media_server("dies", "up");
    assert_eq!(dies.sessions(), Some(0), "nothing is resurrected");
    assert_eq!(talkers.ends_at(&stays.media_ports()), 2 * CALLS);
    talkers.hang_up()?;
    let cdrs = cdrs(&platform, CALLS);
    assert_media_in(&cdrs);
    assert!(cdrs.iter().all(|cdr| cdr["ended_by"] == "caller"));
    Ok(())
}

/// Kills the media server of so many calls, and waits until all are on another.
fn move_calls(
    count: usize,
    platform: &Platform,
    dies: &mut impl RelayServer,
    stays: &impl RelayServer,
) -> Result<Talkers> {
    platform
        .rest()
        .add_media_server("dies", &dies.control(), &json!({}))?;
    let talkers = talkers(platform, &json!({}), &json!({}))?;
    talkers.call(count, "493012345")?;
    assert_eq!(talkers.ends_at(&dies.media_ports()), 2 * count);
    platform
        .rest()
        .add_media_server("stays", &stays.control(), &json!({}))?;

    dies.kill_9();
    talkers.wait_until_at(&stays.media_ports());
    let gaps = talkers.gaps();
    let (p95, longest) = (gaps[gaps.len() * 95 / 100], gaps[gaps.len() - 1]);
    println!("{count} calls: 95 % silent for at most {p95:?}, the longest {longest:?}");
    assert!(longest < GAP_MAX, "{gaps:?}");
    assert_eq!(talkers.reinvites(), 2 * count, "each side is told once");
    platform.rest().wait_for_media_server("dies", "down");
    Ok(talkers)
}

#[test]
fn a_server_that_hangs_is_left_and_gives_up_its_sessions_when_it_is_back() -> Result<()> {
    const CALLS: usize = 10;
    let platform = platform()?;
    let hangs = Rtpengine::start()?;
    let stays = Rtpengine::start()?;
    platform
        .rest()
        .add_media_server("hangs", &hangs.control(), &json!({}))?;
    let talkers = talkers(&platform, &json!({}), &json!({}))?;
    talkers.call(CALLS, "493012345")?;
    platform
        .rest()
        .add_media_server("stays", &stays.control(), &json!({}))?;
    hangs.freeze()?;
    talkers.wait_until_at(&stays.media_ports());
    let gaps = talkers.gaps();
    assert!(gaps[gaps.len() - 1] < GAP_MAX, "{gaps:?}");
    platform.rest().wait_for_media_server("hangs", "down");
    hangs.thaw()?;
    platform.rest().wait_for_media_server("hangs", "up");
    wait_for("what it had to be given up", || {
        (hangs.sessions() == Some(0)).then_some(())
    });
    assert_eq!(talkers.ends_at(&stays.media_ports()), 2 * CALLS);
    talkers.hang_up()?;
    cdrs(&platform, CALLS);
    Ok(())
}

#[test]
fn zone_weight_and_drain_decide_who_serves_a_call() -> Result<()> {
    let start = Rtpengine::start;
    place_calls(&start()?, &start()?, &start()?)
}

#[test]
fn our_own_media_servers_are_placed_as_others_are() -> Result<()> {
    place_calls(&own(100)?, &own(100)?, &own(100)?)
}

fn place_calls<S: RelayServer>(london: &S, tokyo: &S, spare: &S) -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    for zone in ["London", "Tokyo"] {
        rest.create("/v1/zones", &json!({ "name": zone }))?;
    }
    platform
        .rest()
        .add_media_server("l1", &london.control(), &json!({ "zone": "London" }))?;
    platform
        .rest()
        .add_media_server("t1", &tokyo.control(), &json!({ "zone": "Tokyo" }))?;
    let near_tokyo = json!({ "media_zone": "Tokyo" });
    let talkers = talkers(&platform, &json!({}), &near_tokyo)?;
    talkers.call(4, "493012345")?;
    assert_eq!(talkers.ends_at(&tokyo.media_ports()), 8, "near the carrier");

    let route = rest.first("routes")?;
    rest.change(
        &record_path("routes", &route),
        &json!({ "media_zone": "London" }),
    )?;
    talkers.call(4, "493012345")?;
    assert_eq!(
        talkers.ends_at(&london.media_ports()),
        8,
        "as the route wants"
    );
    let query = json!({ "called": "493012345", "source": "127.0.0.1" });
    let simulated = rest.create("/v1/routes/simulate", &query)?;
    let steps = simulated["steps"].to_string();
    assert!(
        steps.contains("media server l1 of zone London: the route wants"),
        "{steps}"
    );

    // One more in the zone gets what is missing to its share.
    platform
        .rest()
        .add_media_server("l2", &spare.control(), &json!({ "zone": "London" }))?;
    talkers.call(4, "493012345")?;
    assert_eq!(talkers.ends_at(&spare.media_ports()), 8, "the emptier one");
    let done = platform.command_line(&["media-server", "drain", "l1"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    platform.rest().wait_for_media_server("l1", "draining");
    talkers.call(4, "493012345")?;
    assert_eq!(
        talkers.ends_at(&london.media_ports()),
        8,
        "none more, none less"
    );
    assert_eq!(talkers.ends_at(&spare.media_ports()), 16);

    talkers.hang_up()?;
    platform.rest().wait_for_media_server("l1", "drained");
    assert_media_in(&cdrs(&platform, 16));
    Ok(())
}
