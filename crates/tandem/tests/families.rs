//! IPv6, and calls between the two families.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testkit::{Message, Peer, Platform, session, wait_for};

/// A platform that also listens on ::1, and where.
fn platform() -> Result<(Platform, SocketAddr)> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let address = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], testkit::ports::one()));
    let listener = json!({ "transport": "udp", "address": address.to_string() });
    platform.rest().create("/v1/listeners", &listener)?;
    Ok((platform, address))
}

/// Where a description wants its audio.
fn media_of(message: &Message) -> Option<SocketAddr> {
    let field = |name| message.body.lines().find_map(|l| l.strip_prefix(name));
    let ip = field("c=IN IP4 ").or(field("c=IN IP6 "))?.parse().ok()?;
    let port = field("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

fn media_socket(address: &str) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    Ok(socket)
}

/// Sends a packet there until one comes out here.
fn assert_flows(from: &UdpSocket, to: SocketAddr, out: &UdpSocket) {
    let mut packet = vec![0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
    packet.extend([0xd5; 160]);
    wait_for("audio", || {
        from.send_to(&packet, to).ok()?;
        let mut buffer = [0; 2_048];
        let (size, _) = out.recv_from(&mut buffer).ok()?;
        (size == packet.len()).then_some(())
    });
}

#[test]
fn a_phone_on_ipv6_talks_with_one_on_ipv4() -> Result<()> {
    let (platform, v6) = platform()?;
    let six = Peer::bound("[::1]:0", v6)?;
    let four = Peer::new(platform.ready().sip.udp)?;
    six.register_routable(&platform, "alice")?;
    four.register_routable(&platform, "bob")?;
    let (six_media, four_media) = (media_socket("[::1]:0")?, media_socket("127.0.0.1:0")?);
    let domain = &platform.ready().domain;
    for (caller, caller_media, name, callee, callee_media, called) in [
        (&six, &six_media, "alice", &four, &four_media, "bob"),
        (&four, &four_media, "bob", &six, &six_media, "alice"),
    ] {
        let offer = session(caller_media.local_addr()?);
        let who = platform.ready().credentials(name);
        let uri = format!("sip:{called}@{domain}");
        let call = caller.send_with_digest(&who, "INVITE", &uri, &[], &offer)?;
        let invited = callee.expect_request("INVITE");
        let toward_caller = media_of(&invited).expect("an offer");
        assert_eq!(
            toward_caller.is_ipv6(),
            callee_media.local_addr()?.is_ipv6()
        );
        let answer = session(callee_media.local_addr()?);
        callee.send(callee.response(&invited, "200 OK", "c", &[], &answer))?;
        let answered = caller.expect_status(200, "INVITE");
        let toward_callee = media_of(&answered).expect("an answer");
        caller.send(caller.ack(&call, &answered))?;
        callee.expect_request("ACK");
        assert_flows(caller_media, toward_callee, callee_media);
        assert_flows(callee_media, toward_caller, caller_media);
        let live = platform.rest().list("/v1/calls")?.remove(0);
        let path = format!("/v1/calls/{}", live["id"].as_str().unwrap_or_default());
        platform.rest().remove(&path)?;
        for party in [caller, callee] {
            let bye = party.expect_request("BYE");
            party.send(party.response(&bye, "200 OK", "", &[], ""))?;
        }
        platform.wait_until_idle();
    }
    Ok(())
}

#[test]
fn a_platform_lives_on_ipv6_alone() -> Result<()> {
    let options = testkit::PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"));
    let platform = options.bind("::1").start()?;
    let sip = platform.ready().sip.udp;
    assert!(sip.is_ipv6(), "{sip}");
    let phone = Peer::bound("[::1]:0", sip)?;
    phone.register_routable(&platform, "alice")?;
    assert_eq!(platform.command_line(&["user", "list"])?.code, 0);
    Ok(())
}
