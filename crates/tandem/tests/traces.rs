//! SIP messages that are kept: of calls between real phones, told by other systems, and read by the
//! tools of the field.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{
    Baresip, FaultProxy, Kamailio, Peer, PhoneOptions, PhoneTransport, Platform, ports, wait_for,
};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

/// Alice over TLS and bob over UDP talk; the call.
fn talking(platform: &Platform) -> Result<(Baresip, Baresip, String)> {
    let ready = platform.ready();
    let alice = PhoneOptions::new("alice", &ready.domain)
        .password(&ready.user("alice").password)
        .server(ready.sip.tls, PhoneTransport::Tls)
        .tone_hz(ALICE_HZ);
    let mut alice = Baresip::register(alice)?;
    let mut bob = Baresip::register(platform.phone("bob", BOB_HZ))?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    let call = platform.rest().list("/v1/calls")?.remove(0);
    let id = call["id"].as_str().context("a call")?.to_owned();
    Ok((alice, bob, id))
}

/// The Call-ID of a message.
fn call_id(message: &str) -> Result<String> {
    let mut lines = message.lines();
    let found = lines.find_map(|line| line.strip_prefix("Call-ID:"));
    Ok(found.context("a Call-ID")?.trim().to_owned())
}

fn rungs(ladder: &Value) -> &[Value] {
    ladder["rungs"].as_array().map_or(&[], Vec::as_slice)
}

/// The ladder of a call once it has a message with this title on each of two legs.
fn ladder_with(platform: &Platform, call: &str, title: &str) -> Value {
    wait_for(&format!("{title} on both legs"), || {
        let ladder = platform
            .rest()
            .read(&format!("/v1/calls/{call}/ladder"))
            .ok()?;
        let on = |leg: u64| {
            rungs(&ladder)
                .iter()
                .any(|rung| rung["title"] == title && rung["leg"] == leg)
        };
        (on(0) && on(1)).then_some(ladder)
    })
}

/// Both legs on three lanes: alice, us over TLS and UDP, bob.
fn check_ladder(ladder: &Value) {
    let invites: Vec<&Value> = rungs(ladder)
        .iter()
        .filter(|rung| rung["title"] == "INVITE" && rung["repeats"].is_null())
        .collect();
    assert_eq!(invites.len(), 3, "challenged, and sent on: {ladder:#}");
    assert_eq!(invites[0]["transport"], "tls");
    assert_eq!(invites[2]["transport"], "udp");
    assert_eq!(invites[2]["direction"], "sent");
    let source = invites[2]["sdp_from"]
        .as_u64()
        .map(|at| &rungs(ladder)[at as usize]);
    assert_eq!(source, Some(invites[1]), "whose description it has");
    let gone = |change: &str| {
        let lines = invites[2]["sdp_changes"].as_array();
        lines.is_some_and(|lines| lines.iter().any(|line| line["change"] == change))
    };
    assert!(
        gone("gone") && gone("new"),
        "the media goes through us: {ladder:#}"
    );
    let begins: Vec<u64> = rungs(ladder)
        .iter()
        .filter_map(|rung| rung["at_us"].as_u64())
        .collect();
    assert!(begins.is_sorted(), "one axis of time");
    assert!(
        ladder["legs"][0]["answer_delay_us"].as_u64()
            > ladder["legs"][1]["answer_delay_us"].as_u64()
    );
}

/// What proves alice's password is nowhere in what is kept.
fn check_secrets(platform: &Platform, ladder: &Value) -> Result<()> {
    let with_credentials = &rungs(ladder)
        .iter()
        .rfind(|rung| rung["title"] == "INVITE" && rung["leg"] == 0)
        .context("an INVITE")?["id"];
    let id = with_credentials.as_str().context("an identifier")?;
    let message = platform.rest().read(&format!("/v1/traces/{id}"))?;
    let text = message["text"].as_str().context("its text")?;
    assert!(text.starts_with("INVITE sip:bob@"), "{text}");
    let response = text.split("response=\"").nth(1).context("credentials")?;
    let response = response.split('"').next().unwrap_or_default();
    assert_eq!(response, "*".repeat(32), "{text}");
    Ok(())
}

#[test]
fn a_call_is_a_ladder_while_it_lasts_and_afterwards() -> Result<()> {
    let platform = platform()?;
    let (mut alice, mut bob, call) = talking(&platform)?;
    check_ladder(&ladder_with(&platform, &call, "ACK"));
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    let ladder = wait_for("the BYE of an ended call", || {
        let ended = platform.rest().read(&format!("/v1/cdrs/{call}")).is_ok();
        ended.then(|| ladder_with(&platform, &call, "BYE"))
    });
    check_ladder(&ladder);
    check_secrets(&platform, &ladder)?;

    let drawn = platform.command_line(&["call", "trace", &call, "--sdp"])?;
    assert_eq!(drawn.code, 0, "{}", drawn.stderr);
    assert!(
        drawn.stdout.contains("── INVITE (SDP) ──"),
        "{}",
        drawn.stdout
    );
    assert!(drawn.stdout.contains("+ c=IN IP4") || drawn.stdout.contains("+ m=audio"));

    // The same with the tools of the field.
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("call.pcap");
    let written = file.to_string_lossy();
    let export =
        platform.command_line(&["trace", "export", "--call", &call, "--file", &written])?;
    assert_eq!(export.code, 0, "{}", export.stderr);
    let tshark = Command::new("tshark")
        .args(["-r", &written, "-Y", "sip", "-T", "fields"])
        .args([
            "-e",
            "sip.Call-ID",
            "-e",
            "sip.Method",
            "-e",
            "sip.Status-Code",
        ])
        .output()
        .context("starting tshark")?;
    let lines = String::from_utf8(tshark.stdout)?;
    assert_eq!(lines.lines().count(), rungs(&ladder).len(), "{lines}");
    for rung in rungs(&ladder) {
        let leg = &ladder["legs"][rung["leg"].as_u64().unwrap_or(9) as usize]["sip_call_id"];
        let is_it = |line: &str| line.starts_with(leg.as_str().unwrap_or("?"));
        assert!(lines.lines().any(is_it), "{leg} in {lines}");
    }
    assert!(lines.contains("\tINVITE\t") && lines.contains("\tBYE\t") && lines.contains("\t200"));
    Ok(())
}

#[test]
fn messages_are_found_by_who_and_what_and_the_rest_is_not_kept() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let _bob = Baresip::register(platform.phone("bob", BOB_HZ))?;
    let registered = |query: &str| {
        let found = rest
            .list(&format!("/v1/traces?kind=registrations&{query}"))
            .ok()?;
        found
            .iter()
            .any(|message| message["status"] == 200)
            .then_some(found)
    };
    let found = wait_for("bob's registration", || registered("party=bob"));
    assert!(
        found.iter().all(|message| message["called"] == "bob"),
        "{found:?}"
    );
    assert!(rest.list("/v1/traces?party=nobody")?.is_empty());
    assert!(rest.list("/v1/traces?address=192.0.2.1")?.is_empty());
    assert!(registered("address=127.0.0.1").is_some());
    assert!(
        rest.list("/v1/traces?kind=options")?.is_empty(),
        "not asked for"
    );

    // Without bodies, and then nothing at all.
    rest.change("/v1/settings", &json!({ "trace": { "mode": "headers" } }))?;
    let (peer, invite) = platform.call("alice", "600")?;
    peer.expect_status(200, "INVITE");
    let id = call_id(&invite)?;
    let found = wait_for("the answer", || {
        let found = rest.list(&format!("/v1/traces?sip_call_id={id}")).ok()?;
        found
            .iter()
            .any(|message| message["status"] == 200)
            .then_some(found)
    });
    let answer = found
        .iter()
        .find(|message| message["status"] == 200)
        .context("200")?;
    assert!(answer["left_out_bytes"].as_u64() > Some(0), "{answer}");
    rest.change("/v1/settings", &json!({ "trace": { "mode": "off" } }))?;
    assert_eq!(rest.read("/v1/traces/status")?["mode"], "off");
    let (peer, invite) = platform.call("alice", "600")?;
    peer.expect_status(200, "INVITE");
    let unseen = call_id(&invite)?;

    // Once a later call is there, an earlier one would be.
    rest.change("/v1/settings", &json!({ "trace": { "mode": "full" } }))?;
    let (peer, invite) = platform.call("alice", "600")?;
    peer.expect_status(200, "INVITE");
    let seen = call_id(&invite)?;
    let of = |id: &str| rest.list(&format!("/v1/traces?sip_call_id={id}"));
    wait_for("the call after it", || of(&seen).ok()?.pop());
    assert!(of(&unseen)?.is_empty());
    Ok(())
}

/// A platform that others may tell of their messages, at this address.
fn collector() -> Result<(Platform, SocketAddr)> {
    let platform = platform()?;
    let at = SocketAddr::from(([127, 0, 0, 1], ports::one()));
    let trace = json!({ "hep_listen": at.to_string(), "hep_sources": ["127.0.0.1/32"] });
    platform
        .rest()
        .change("/v1/settings", &json!({ "trace": trace }))?;
    Ok((platform, at))
}

fn metric(platform: &Platform, line: &str) -> Option<u64> {
    let metrics = platform.rest().read("/metrics").ok()?;
    let mut lines = metrics.as_str()?.lines();
    lines.find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

/// A phone that has no other server than this proxy calls the echo and hangs up; what the ladder of
/// its call has from agent 77, once it has its end.
fn call_through(platform: &Platform, kamailio: &Kamailio) -> Result<Vec<String>> {
    let ready = platform.ready();
    let alice = PhoneOptions::new("alice", &ready.domain)
        .password(&ready.user("alice").password)
        .server(kamailio.address(), PhoneTransport::Udp)
        .tone_hz(ALICE_HZ);
    let mut alice = Baresip::register(alice)?;
    alice.dial(&format!("sip:600@{}", ready.domain))?;
    alice.wait_for_established();
    alice.hang_up()?;
    let cdr = wait_for("the record", || {
        platform.rest().list("/v1/cdrs").ok()?.into_iter().next()
    });
    let id = cdr["sip_call_id"].as_str().context("a Call-ID")?;
    let ladder = format!("/v1/traces/ladder?sip_call_id={id}");
    Ok(wait_for("Kamailio's word of the end of the call", || {
        let ladder = platform.rest().read(&ladder).ok()?;
        let by_kamailio = rungs(&ladder).iter().filter(|rung| {
            let by = rung["seen_by"].as_str().unwrap_or_default();
            by.contains("77")
        });
        let titles = by_kamailio.filter_map(|rung| rung["title"].as_str());
        let titles: Vec<String> = titles.map(str::to_owned).collect();
        let bye = titles.iter().position(|title| title.starts_with("BYE"))?;
        let ends = titles[bye..].iter().any(|title| title.starts_with("200"));
        ends.then_some(titles)
    }))
}

fn check_told(told: &[String]) {
    for title in ["INVITE", "407", "200", "ACK", "BYE"] {
        // As it came and as it went on.
        let count = told.iter().filter(|told| told.starts_with(title)).count();
        assert!(count >= 2, "{title}: {told:?}");
    }
}

#[test]
fn siptrace_of_kamailio_tells_of_a_whole_call() -> Result<()> {
    let (platform, hep) = collector()?;
    let kamailio = Kamailio::traced(platform.ready().sip.udp, hep)?;
    check_told(&call_through(&platform, &kamailio)?);
    Ok(())
}

#[test]
fn siptrace_of_kamailio_tells_of_a_whole_call_over_tcp() -> Result<()> {
    let (platform, hep) = collector()?;
    // A datagram would not come through.
    let line = FaultProxy::to(hep)?;
    let kamailio = Kamailio::traced_over_tcp(platform.ready().sip.udp, line.address())?;
    check_told(&call_through(&platform, &kamailio)?);
    Ok(())
}

#[test]
fn a_proxy_before_us_stands_on_the_same_ladder() -> Result<()> {
    let (platform, hep) = collector()?;
    let kamailio = Kamailio::traced(platform.ready().sip.udp, hep)?;
    let peer = Peer::new(kamailio.address())?;
    let uri = format!("sip:600@{}", platform.ready().domain);
    let from = format!("From: <sip:alice@{}>;tag=1", platform.ready().domain);
    let invite = peer.request("INVITE", &uri, &[&from], "");
    peer.send(&invite)?;
    let refusal = peer.expect_status(407, "INVITE");
    peer.send(peer.ack(&invite, &refusal))?;
    let id = call_id(&invite)?;
    let ladder = wait_for("what Kamailio and we have seen", || {
        let ladder = platform
            .rest()
            .read(&format!("/v1/traces/ladder?sip_call_id={id}"))
            .ok()?;
        let by_kamailio = |title: &str| {
            rungs(&ladder).iter().any(|rung| {
                let by = rung["seen_by"].as_str().unwrap_or_default();
                by.contains("77") && rung["title"].as_str().is_some_and(|t| t.starts_with(title))
            })
        };
        let by_us = rungs(&ladder).iter().any(|rung| rung["seen_by"].is_null());
        (by_us && by_kamailio("INVITE") && by_kamailio("407")).then_some(ladder)
    });
    let phone = peer.address().to_string();
    assert_eq!(ladder["lanes"][0]["address"], phone, "{ladder:#}");
    assert_eq!(
        ladder["lanes"][1]["address"],
        kamailio.address().to_string()
    );
    assert_eq!(
        ladder["lanes"][2]["address"],
        platform.ready().sip.udp.to_string()
    );
    assert_eq!(ladder["lanes"][2]["is_ours"], true);

    // Who is not configured is not heard.
    let stranger = UdpSocket::bind("127.0.0.2:0")?;
    stranger.send_to(b"HEP3\0\x06", hep)?;
    wait_for("the stranger's packet", || {
        metric(&platform, "tandem_hep_received_total{result=\"stranger\"}")
            .filter(|count| *count == 1)
    });
    Ok(())
}

#[test]
fn who_speaks_no_hep_is_hung_up_on_and_keeps_nobody_waiting() -> Result<()> {
    let (platform, hep) = collector()?;
    let connect = || wait_for("the collector", || TcpStream::connect(hep).ok());
    let mut slow = connect();
    slow.write_all(b"HEP3\xff")?;
    let mut loud = connect();
    loud.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    loud.set_read_timeout(Some(testkit::PATIENCE))?;
    assert_eq!(loud.read(&mut [0; 1])?, 0, "it is hung up on");
    let line = "tandem_hep_received_total{result=\"unreadable\"}";
    wait_for("the count of it", || {
        metric(&platform, line).filter(|count| *count == 1)
    });
    // What the slow one began is still waited for; it ends it, and it is nothing.
    slow.write_all(&[0xff])?;
    slow.write_all(&[0; 65_529])?;
    wait_for("the count of it", || {
        metric(&platform, line).filter(|count| *count == 2)
    });
    Ok(())
}

#[test]
fn another_platform_tells_over_tcp() -> Result<()> {
    let (platform, hep) = collector()?;
    let other = self::platform()?;
    let settings = json!({ "hep_collector": hep.to_string(), "hep_transport": "tcp" });
    other.rest().change("/v1/settings", &settings)?;
    let _bob = Baresip::register(other.phone("bob", BOB_HZ))?;
    let told = wait_for("bob's registration at the other", || {
        let found = platform
            .rest()
            .list("/v1/traces?kind=registrations&party=bob")
            .ok()?;
        found
            .iter()
            .any(|message| message["status"] == 200)
            .then_some(found)
    });
    assert!(
        told.iter()
            .all(|message| message["direction"] == "elsewhere"),
        "{told:?}"
    );
    let ours = other.ready().sip.udp.to_string();
    let answer = told
        .iter()
        .find(|message| message["status"] == 200)
        .context("200")?;
    assert_eq!(answer["from"], ours);
    Ok(())
}
