//! Hostile bytes at every door: the right answer or none, and calls go on.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use testkit::{Peer, Platform, Sipp, StreamPeer, wait_for};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

/// Bytes without sense, different ones for each seed (xorshift).
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// The messages of RFC 4475 and RFC 5118.
fn torture() -> Result<Vec<Vec<u8>>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sip/tests/torture");
    let mut messages = Vec::new();
    let mut directories = vec![data];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("dat") => messages.push(std::fs::read(&path)?),
                None if path.is_dir() => directories.push(path),
                _ => {}
            }
        }
    }
    assert!(messages.len() > 40, "{} messages", messages.len());
    Ok(messages)
}

/// Requests that break a rule each.
fn broken(template: &str) -> Vec<Vec<u8>> {
    let changes: [(&str, String); 14] = [
        (
            "Content-Length: 0",
            "Content-Length: 99999999999999999999".into(),
        ),
        ("Content-Length: 0", "Content-Length: -1".into()),
        ("Content-Length: 0", "Content-Length: 4294967297".into()),
        (
            "Content-Length: 0",
            "Content-Length: 0\r\nContent-Length: 77".into(),
        ),
        ("CSeq: 1", "CSeq: 4294967296".into()),
        ("CSeq: 1", "CSeq: one".into()),
        ("Max-Forwards: 70", "Max-Forwards: 256".into()),
        ("SIP/2.0\r\n", "SIP/7.0\r\n".into()),
        ("OPTIONS ", "OPTIONS\t\t".into()),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\nVia".into()),
        (
            "Max-Forwards: 70",
            format!("Subject: {}", "x".repeat(60_000)),
        ),
        ("Max-Forwards: 70", "X: y\r\n".repeat(3_000)),
        ("Max-Forwards: 70", "\0: \u{1}\r\nMax-Forwards: 70".into()),
        ("From: ", "From: <<<<\"\\".into()),
    ];
    changes
        .iter()
        .map(|(old, new)| template.replacen(old, new, 1).into_bytes())
        .collect()
}

/// A counter of `/metrics`, all its labels together.
fn counted(platform: &Platform, name: &str) -> f64 {
    let page = platform.rest().send("GET", "/metrics", None);
    let text = page.expect("metrics are served").1;
    text.as_str()
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Resident memory in bytes.
fn resident(platform: &Platform) -> Result<usize> {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", platform.program().pid()))?;
    let pages = statm.split(' ').nth(1).context("no resident set")?;
    Ok(pages.parse::<usize>()? * 4_096)
}

/// A phone registers over UDP, and calls the echo.
fn assert_works(platform: &Platform) -> Result<()> {
    let ready = platform.ready();
    let log = platform.program().log();
    assert!(!log.contains("panicked"), "{log}");
    for ban in platform.rest().list("/v1/bans")? {
        let address = ban["address"].as_str().unwrap_or_default().to_owned();
        platform.rest().remove(&format!("/v1/bans/{address}"))?;
    }
    let phone = Sipp::new("uac_auth")?
        .service("600")
        .credentials("alice", &ready.user("alice").password)
        .set("FROM", "alice")
        .set("DOMAIN", &ready.domain)
        .set("TALK_MS", "50");
    phone.run(ready.sip.udp)?;
    platform.wait_until_idle();
    Ok(())
}

/// Sends into a connection until all is sent or the other side has enough, then until it
/// closes or says something.
fn pour(remote: SocketAddr, bytes: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(remote)?;
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    // A connection that is closed on us is one right answer.
    let _ = stream.write_all(bytes);
    let _ = stream.read(&mut [0; 4_096]);
    Ok(())
}

#[test]
fn udp_takes_anything() -> Result<()> {
    let platform = platform()?;
    assert_works(&platform)?;
    let before = resident(&platform)?;
    let peer = Peer::new(platform.ready().sip.udp)?;
    let template = peer.request("OPTIONS", "sip:127.0.0.1", &[], "");
    for message in torture()?.iter().chain(&broken(&template)) {
        peer.send(message)?;
        for cut in [1, 10, message.len() / 2, message.len() - 1] {
            peer.send(&message[..cut.min(message.len())])?;
        }
    }
    for seed in 0..2_000 {
        peer.send(noise(seed, 1 + (seed as usize * 37) % 1_400))?;
    }
    wait_for("errors to be counted", || {
        (counted(&platform, "tandem_sip_parse_errors_total") > 500.0).then_some(())
    });
    assert_works(&platform)?;
    let grown = resident(&platform)?.saturating_sub(before);
    assert!(grown < GROWTH_MAX_BYTES, "{grown} bytes more");
    Ok(())
}

#[test]
fn a_broken_request_gets_the_status_that_says_why() -> Result<()> {
    let platform = platform()?;
    let peer = Peer::new(platform.ready().sip.udp)?;
    let cases = [
        ("SIP/2.0\r\n", "SIP/7.0\r\n", 505),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", 400),
        ("CSeq: 1 OPTIONS", "CSeq: 99999999999 OPTIONS", 400),
        (
            "Max-Forwards: 70",
            "Max-Forwards: 70\r\nRequire: teleport",
            420,
        ),
        ("OPTIONS sip:127.0.0.1", "OPTIONS nobodyKnowsThis:x", 416),
    ];
    for (old, new, status) in cases {
        let request = peer.request("OPTIONS", "sip:127.0.0.1", &[], "");
        peer.send(request.replacen(old, new, 1))?;
        let answer = peer.expect(new, |m| m.status().is_some());
        assert_eq!(answer.status(), Some(status), "{new}: {answer:?}");
    }
    // RFC 3261 §21.5.2 for what nobody knows, §8.2.1 for what we know and do not do.
    for (method, status) in [("TELEPORT", 501), ("PUBLISH", 405)] {
        peer.send(peer.request(method, "sip:127.0.0.1", &[], ""))?;
        let answer = peer.expect_status(status, method);
        assert_eq!(
            answer.header("Allow").is_some(),
            status == 405,
            "{answer:?}"
        );
    }
    Ok(())
}

#[test]
fn streams_take_anything() -> Result<()> {
    let platform = platform()?;
    assert_works(&platform)?;
    let before = resident(&platform)?;
    let sip = platform.ready().sip;
    let peer = Peer::new(sip.udp)?;
    let template = peer.request("OPTIONS", "sip:127.0.0.1", &[], "");
    let mut bytes = torture()?;
    bytes.extend(broken(&template));
    bytes.extend((0..20).map(|seed| noise(seed, 3_000)));
    bytes.push(vec![b'A'; 1_000_000]);
    bytes.push(b"OPTIONS sip:x SIP/2.0\r\nContent-Length: 4000000000\r\n\r\n".to_vec());
    for remote in [sip.tcp, sip.tls, sip.ws, sip.wss] {
        for message in &bytes {
            pour(remote, message)?;
        }
    }
    for message in &bytes {
        let mut socket = StreamPeer::websocket(sip.ws)?;
        // As a frame, and as what is no frame at all.
        let _ = socket.send(message);
        let _ = socket.send_raw(message);
    }
    assert!(counted(&platform, "tandem_sip_dropped_total") > 10.0);
    inside_tls(sip.tls, &bytes)?;
    assert_works(&platform)?;
    let grown = resident(&platform)?.saturating_sub(before);
    assert!(grown < GROWTH_MAX_BYTES, "{grown} bytes more");
    Ok(())
}

/// The same within TLS, one connection for some of them, by openssl.
fn inside_tls(remote: SocketAddr, messages: &[Vec<u8>]) -> Result<()> {
    for message in messages.iter().step_by(8) {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &remote.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut input = client.stdin.take().context("it has an input")?;
        let _ = input.write_all(message);
        drop(input);
        client.kill()?;
        client.wait()?;
    }
    Ok(())
}

#[test]
fn a_stream_that_cannot_be_understood_is_closed() -> Result<()> {
    let platform = platform()?;
    for garbage in [
        "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nContent-Length: 99999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut peer = StreamPeer::tcp(platform.ready().sip.tcp)?;
        peer.send(garbage)?;
        let closed = peer.is_closed_within(Duration::from_secs(5));
        assert!(closed, "{garbage}");
    }
    Ok(())
}

#[test]
fn media_ports_take_anything() -> Result<()> {
    let platform = platform()?;
    let ready = platform.ready();
    let phone = Peer::new(ready.sip.udp)?;
    let media = UdpSocket::bind("127.0.0.1:0")?;
    let offer = testkit::session(media.local_addr()?);
    let alice = ready.credentials("alice");
    let uri = format!("sip:600@{}", ready.domain);
    let call = phone.send_with_digest(&alice, "INVITE", &uri, &[], &offer)?;
    let answered = phone.expect_status(200, "INVITE");
    phone.send(phone.ack(&call, &answered))?;
    let line = answered
        .body
        .lines()
        .find_map(|l| l.strip_prefix("m=audio "));
    let port = line.and_then(|l| l.split(' ').next()).unwrap_or_default();
    let port: u16 = port.parse()?;
    for seed in 0..2_000 {
        for port in [port, port + 1] {
            let size = (seed as usize * 37) % 1_400;
            media.send_to(&noise(seed, size), ("127.0.0.1", port))?;
        }
    }
    wait_for("drops to be counted", || {
        (counted(&platform, "tandem_rtp_dropped_total") > 100.0).then_some(())
    });
    let bye = answered.contact_uri().to_owned();
    let lines: Vec<String> = ["From", "To", "Call-ID"]
        .map(|name| format!("{name}: {}", answered.header(name).unwrap_or_default()))
        .into();
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.push("CSeq: 9 BYE");
    phone.send(phone.request("BYE", &bye, &lines, ""))?;
    phone.expect_status(200, "BYE");
    assert_works(&platform)
}

/// What all of this may leave behind: buffers that grew once, and transactions that are
/// remembered for half a minute.
const GROWTH_MAX_BYTES: usize = 48 * 1024 * 1024;
