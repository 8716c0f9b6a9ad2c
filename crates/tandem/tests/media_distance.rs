//! Media servers at different distances: which is near is measured by the calls they serve.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{
    Baresip, GatewaySpec, Host, MediaServer, Network, PhoneOptions, Platform, PlatformOptions,
    wait_for, wait_for_within,
};

const TANDEM: &str = env!("CARGO_BIN_EXE_tandem");
const NUMBER: &str = "493012345";
/// What everything takes that goes to the office or comes from there.
const FAR: Duration = Duration::from_millis(30);
/// RTCP comes every five seconds, and two rounds of it are needed.
const RTCP_PATIENCE: Duration = Duration::from_secs(60);

const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const SITE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const THIRD: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);

/// The platform and a media server far away in the office; the phones at the site, with a media
/// server beside them; and a third region, which is as near but none of theirs.
struct World {
    platform: Platform,
    servers: [(&'static str, MediaServer); 3],
    phones: [Baresip; 2],
    // Last, so that they outlive those who use them.
    office: Host,
    site: Host,
    _third: Host,
    _network: Network,
}

impl World {
    fn new() -> Result<Self> {
        let mut network = Network::new()?;
        let office = network.far_host(OFFICE, FAR)?;
        let site = network.host(SITE)?;
        let third = network.host(THIRD)?;
        let platform = office.enter(|| {
            let options = PlatformOptions::new(TANDEM);
            options.bind(&OFFICE.to_string()).start()
        })?;
        let server = |host: &Host| {
            let allowed = ["--allow", "10.77.0.0/24,127.0.0.0/8"];
            host.enter(|| MediaServer::start_at(host.address, TANDEM, &allowed))
        };
        let servers = [
            ("office", server(&office)?),
            ("site", server(&site)?),
            ("third", server(&third)?),
        ];
        let phone = |name: &str| {
            let options = PhoneOptions::new(name, &SITE.to_string()).address(SITE);
            site.enter(|| Baresip::start(options))
        };
        let phones = [phone("alice")?, phone(NUMBER)?];
        office.enter(|| -> Result<()> {
            let rest = platform.rest();
            for (zone, server) in &servers {
                rest.create("/v1/zones", &json!({ "name": zone }))?;
                rest.add_media_server(zone, &server.control(), &json!({ "zone": zone }))?;
            }
            rest.add_customer(&format!("{SITE}/32"), &json!({ "media_zone": "office" }))?;
            let gateway = GatewaySpec::at(phones[1].address());
            rest.add_carrier("", &[gateway], &json!({ "media_zone": "site" }))?;
            Ok(())
        })?;
        Ok(Self {
            platform,
            servers,
            phones,
            office,
            site,
            _third: third,
            _network: network,
        })
    }

    /// One call that lasts until its server knows how far both phones are; the server, and why it
    /// was taken.
    fn call(&mut self) -> Result<(&'static str, String)> {
        let Self {
            office,
            site,
            platform,
            servers,
            phones: [alice, bob],
            ..
        } = self;
        let uri = format!("sip:{NUMBER}@{}", platform.ready().sip.udp);
        site.enter(|| -> Result<()> {
            alice.dial(&uri)?;
            bob.wait_for_incoming();
            bob.answer()?;
            alice.wait_for_established();
            Ok(())
        })?;
        let (serving, why) = office.enter(|| -> Result<_> {
            let rest = platform.rest();
            let serves = |zone: &str| rest.media_server(zone)["sessions"] == 1;
            let serving: Vec<_> = wait_for("the server of the call", || {
                let serving: Vec<_> = servers.iter().filter(|(zone, _)| serves(zone)).collect();
                (!serving.is_empty()).then_some(serving)
            });
            assert_eq!(serving.len(), 1);
            let call = rest.list("/v1/calls")?.into_iter().next();
            let why = call.context("a call")?["explanation"].to_string();
            Ok((serving[0], why))
        })?;
        let host: &Host = if serving.0 == "office" { office } else { site };
        host.enter(|| {
            wait_for_within(RTCP_PATIENCE, "round trips of both phones", || {
                knows_both(&serving.1).then_some(())
            });
        });
        site.enter(|| -> Result<()> {
            alice.hang_up()?;
            bob.wait_for_closed();
            Ok(())
        })?;
        office.enter(|| {
            wait_for("the end of the session", || {
                let health = platform.rest().media_server(serving.0);
                (health["sessions"] == 0).then_some(())
            });
            platform.wait_until_idle();
        });
        Ok((serving.0, why))
    }
}

/// Whether a server has measured how far both sides of its call are.
fn knows_both(server: &MediaServer) -> bool {
    let calls = server.ask(&json!({ "command": "list" }));
    let Some(call) = calls["calls"][0].as_str() else {
        return false;
    };
    let report = server.ask(&json!({ "command": "query", "call-id": call }));
    let tags = report["tags"].as_object().into_iter().flatten();
    let measured = tags.filter(|(_, tag)| {
        let rtt_us = &tag["medias"][0]["tandem"]["rtt us"];
        rtt_us.as_u64() > Some(0)
    });
    measured.count() == 2
}

#[test]
fn the_server_that_adds_least_delay_is_found_and_never_a_third_region() -> Result<()> {
    let mut world = World::new()?;
    let (first, why) = world.call()?;
    assert_eq!(first, "office", "the nearest to the platform: {why}");
    let (second, why) = world.call()?;
    assert_eq!(second, "site", "{why}");
    assert!(why.contains("to find out how far it is"), "{why}");
    let (third, why) = world.call()?;
    assert_eq!(third, "site", "{why}");
    assert!(why.contains("least added delay"), "{why}");
    // As the records say it, the last call first.
    let cdrs = world.office.enter(|| {
        wait_for("the CDRs", || {
            let cdrs = world.platform.rest().list("/v1/cdrs").ok()?;
            (cdrs.len() == 3).then_some(cdrs)
        })
    });
    let rtts_us = ["media_a", "media_b"].map(|leg| {
        let of = |cdr: &Value| cdr[leg]["rtt_us"].as_u64().unwrap_or(0);
        [of(&cdrs[2]), of(&cdrs[0])]
    });
    // Half of the way back is told in steps of RTCP's own clock, and the cable's sleep is not exact.
    let far_us = 2 * u64::try_from(FAR.as_micros())? * 9 / 10;
    for [by_office, by_site] in rtts_us {
        assert!(by_office >= far_us, "{rtts_us:?}");
        assert!(
            by_site > 0 && by_site < by_office - far_us / 2,
            "{rtts_us:?}"
        );
    }
    Ok(())
}
