//! Softphones that speak ICE themselves, as either part of it.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use testkit::{
    Baresip, Kamailio, MediaEncryption, MediaServer, Network, PhoneOptions, PhoneTransport,
    PlatformOptions, wait_for,
};

const TANDEM: &str = env!("CARGO_BIN_EXE_tandem");
const DOMAIN: &str = "media.test";
const HOST: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

/// Does something where there is an address that is not loopback.
fn on_a_host<T: Send>(act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let mut network = Network::new()?;
    network.host(HOST)?.enter(act)
}

fn phone(proxy: SocketAddr, name: &str, tone_hz: u32) -> PhoneOptions {
    PhoneOptions::new(name, DOMAIN)
        .server(proxy, PhoneTransport::Udp)
        .address(HOST)
        .ice()
        .tone_hz(tone_hz)
}

#[track_caller]
fn call(alice: &mut Baresip, bob: &mut Baresip, uri: &str) -> Result<()> {
    alice.dial(uri)?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    Ok(())
}

/// The caller offers and so controls; the callee is offered ICE by us and is controlled.
#[test]
fn a_caller_controls_and_a_callee_is_controlled_by_the_media_server() -> Result<()> {
    on_a_host(|| {
        let server = MediaServer::start(TANDEM, &[])?;
        let flags = "replace-origin replace-session-connection ICE=force RTP/AVP";
        let kamailio = Kamailio::with_media_server(DOMAIN, server.udp(), flags)?;
        let mut alice = Baresip::register(phone(kamailio.address(), "alice", ALICE_HZ))?;
        let mut bob = Baresip::register(phone(kamailio.address(), "bob", BOB_HZ))?;
        call(&mut alice, &mut bob, &format!("sip:bob@{DOMAIN}"))?;
        for phone in [&alice, &bob] {
            let log = phone.log();
            ensure!(
                log.matches("a=ice-ufrag:").count() >= 2,
                "both sides: {log}"
            );
            ensure!(!log.contains("a=ice-lite"), "{log}");
        }
        assert_eq!(server.sessions(), 1);
        bob.hang_up()?;
        alice.wait_for_closed();
        wait_for("no session", || (server.sessions() == 0).then_some(()));
        Ok(())
    })
}

/// With keys in the description, at the platform's own relay: lite, then full.
#[test]
fn a_caller_controls_a_lite_and_a_full_agent_of_the_platform() -> Result<()> {
    on_a_host(|| {
        for agent in ["lite", "full"] {
            let platform = PlatformOptions::new(TANDEM)
                .bind(&HOST.to_string())
                .argument("--ice")
                .argument(agent)
                .start()?;
            let ready = platform.ready();
            let phone = |name: &str, tone_hz| platform.phone(name, tone_hz).address(HOST);
            let options = phone("alice", ALICE_HZ).encryption(MediaEncryption::Sdes);
            let mut alice = Baresip::register(options.ice())?;
            let mut bob = Baresip::register(phone("bob", BOB_HZ))?;
            platform.wait_for_routable(2);
            call(&mut alice, &mut bob, &format!("sip:bob@{}", ready.domain))?;
            let log = alice.log();
            ensure!(log.matches("a=ice-ufrag:").count() >= 2, "{log}");
            assert_eq!(log.contains("a=ice-lite"), agent == "lite", "{log}");
            alice.hang_up()?;
            bob.wait_for_closed();
            platform.wait_until_idle();
        }
        Ok(())
    })
}
