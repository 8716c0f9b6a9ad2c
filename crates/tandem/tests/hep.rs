//! What a HEP collector is told of a call between real phones. The reader of packets here is not
//! the product's own.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{Baresip, PhoneOptions, PhoneTransport, Platform, wait_for, wait_for_within};

const SIP: u8 = 1;
const RTCP: u8 = 5;
const RTP_REPORT: u8 = 34;

/// The chunks of a packet, by number.
struct Packet(HashMap<u16, Vec<u8>>);

impl Packet {
    /// The first packet in `bytes`, and how long it is.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let length = usize::from(u16::from_be_bytes(*bytes.get(4..)?.first_chunk()?));
        let mut rest = bytes.get(..length)?.strip_prefix(b"HEP3")?.get(2..)?;
        let mut chunks = HashMap::new();
        while let Some([0, 0, high, low, len_high, len_low]) = rest.first_chunk() {
            let size = usize::from(u16::from_be_bytes([*len_high, *len_low]));
            let kind = u16::from_be_bytes([*high, *low]);
            chunks.insert(kind, rest.get(6..size)?.to_vec());
            rest = &rest[size..];
        }
        rest.is_empty().then_some((Self(chunks), length))
    }

    fn kind(&self) -> u8 {
        self.0[&11][0]
    }

    fn text(&self, chunk: u16) -> String {
        let bytes = self.0.get(&chunk).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.0[&15]).unwrap_or_default()
    }
}

fn phone(platform: &Platform, name: &str) -> Result<Baresip> {
    let ready = platform.ready();
    let options = PhoneOptions::new(name, &ready.domain)
        .password(&ready.user(name).password)
        .server(ready.sip.udp, PhoneTransport::Udp);
    Baresip::register(options)
}

#[test]
fn a_collector_hears_of_messages_reports_and_the_quality_of_a_call() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let collector = UdpSocket::bind("127.0.0.1:0")?;
    collector.set_read_timeout(Some(Duration::from_millis(200)))?;
    let settings = json!({
        "hep_collector": collector.local_addr()?.to_string(),
        "hep_node_id": 2_007,
    });
    platform.rest().change("/v1/settings", &settings)?;
    let (mut alice, mut bob) = (phone(&platform, "alice")?, phone(&platform, "bob")?);
    wait_for("two routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations.iter().filter(|r| r["routable"] == true);
        (routable.count() == 2).then_some(())
    });
    let mut told: Vec<Packet> = Vec::new();
    let listen = |told: &mut Vec<Packet>| {
        let mut room = [0; 65_536];
        if let Ok(size) = collector.recv(&mut room) {
            told.extend(Packet::read(&room[..size]).map(|(packet, _)| packet));
        }
    };
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    wait_for_within(Duration::from_secs(40), "RTCP of a phone", || {
        listen(&mut told);
        told.iter()
            .any(|packet| packet.kind() == RTCP)
            .then_some(())
    });
    alice.hang_up()?;
    bob.wait_for_closed();
    wait_for("the quality of both legs", || {
        listen(&mut told);
        let reports = told.iter().filter(|packet| packet.kind() == RTP_REPORT);
        (reports.count() == 2).then_some(())
    });
    let cdr = wait_for("the record", || {
        platform.rest().list("/v1/cdrs").ok()?.into_iter().next()
    });
    let call_id = cdr["sip_call_id"].as_str().context("a Call-ID")?;

    let sip = |start: &str| {
        told.iter().find(|packet| {
            packet.kind() == SIP && packet.text(17) == call_id && packet.text(15).starts_with(start)
        })
    };
    let invite = sip("INVITE ").context("the caller's INVITE")?;
    assert_eq!(invite.0[&12], 2_007_u32.to_be_bytes());
    assert_eq!(invite.0[&3], [127, 0, 0, 1]);
    let port = u16::from_be_bytes([invite.0[&8][0], invite.0[&8][1]]);
    assert_eq!(port, platform.ready().sip.udp.port(), "to us");
    assert!(sip("SIP/2.0 200 ").is_some(), "the answer to it");

    let rtcp = told.iter().find(|packet| packet.kind() == RTCP);
    let rtcp = rtcp.context("RTCP")?;
    assert_eq!(rtcp.text(17), call_id);
    let json = rtcp.json();
    assert!(json["ssrc"].as_u64().is_some_and(|ssrc| ssrc > 0), "{json}");
    assert!(matches!(json["type"].as_u64(), Some(200 | 201)), "{json}");

    for report in told.iter().filter(|packet| packet.kind() == RTP_REPORT) {
        assert_eq!(report.text(17), call_id);
        let json = report.json();
        assert_eq!(json["CORRELATION_ID"], call_id);
        assert_eq!(json["TYPE"], "HANGUP");
        assert!(json["TOTAL_PK"].as_u64().is_some_and(|n| n > 50), "{json}");
        assert!(json["MOS"].as_f64().is_some_and(|mos| mos > 4.0), "{json}");
    }
    Ok(())
}

#[test]
fn a_collector_by_tcp_may_come_late_and_go() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let settings = json!({
        "hep_collector": listener.local_addr()?.to_string(),
        "hep_transport": "tcp",
    });
    platform.rest().change("/v1/settings", &settings)?;
    let bob = phone(&platform, "bob")?;
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut bytes = Vec::new();
    let begin = Instant::now();
    let mut registers = 0;
    while registers == 0 {
        assert!(begin.elapsed() < Duration::from_secs(20), "no REGISTER");
        let mut room = [0; 4_096];
        if let Ok(size) = stream.read(&mut room) {
            bytes.extend_from_slice(&room[..size]);
        }
        while let Some((packet, length)) = Packet::read(&bytes) {
            registers += usize::from(packet.text(15).starts_with("REGISTER "));
            bytes.drain(..length);
        }
    }
    // Nobody to tell any more: calls go on, and what is not told is counted.
    drop((stream, listener));
    let mut bob = bob;
    bob.dial(&format!("sip:600@{}", platform.ready().domain))?;
    bob.wait_for_established();
    bob.hang_up()?;
    wait_for("what was not told", || {
        let metrics = platform.rest().read("/metrics").ok()?;
        let text = metrics.as_str()?;
        let line = text
            .lines()
            .find(|l| l.starts_with("tandem_hep_dropped_total"))?;
        let count: u64 = line.split(' ').nth(1)?.parse().ok()?;
        (count > 0).then_some(())
    });
    Ok(())
}
