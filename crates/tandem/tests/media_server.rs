//! The media server for proxies of the field: a stock Kamailio with its rtpengine module, and
//! requests over each transport.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{
    Baresip, Kamailio, MediaEncryption, MediaServer, PATIENCE, PhoneOptions, PhoneTransport,
    wait_for,
};

const DOMAIN: &str = "media.test";
const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8\r\n";

fn server(arguments: &[&str]) -> Result<MediaServer> {
    MediaServer::start(env!("CARGO_BIN_EXE_tandem"), arguments)
}

fn phone(proxy: SocketAddr, name: &str, tone_hz: u32) -> Result<Baresip> {
    let options = PhoneOptions::new(name, DOMAIN)
        .server(proxy, PhoneTransport::Udp)
        .tone_hz(tone_hz);
    Baresip::register(options)
}

/// The RTP packets that came from each participant of the only call, and its tags.
fn packets(server: &MediaServer) -> Vec<u64> {
    let calls = server.ask(&json!({"command": "list"}));
    let call = calls["calls"][0].as_str().unwrap_or_default().to_owned();
    let report = server.ask(&json!({"command": "query", "call-id": call}));
    let tags = report["tags"].as_object().cloned().unwrap_or_default();
    let packets = |tag: &Value| tag["medias"][0]["streams"][0]["stats"]["packets"].as_u64();
    tags.values().filter_map(packets).collect()
}

#[test]
fn a_stock_kamailio_relays_its_calls_through_the_media_server() -> Result<()> {
    let server = server(&[])?;
    let flags = "replace-origin replace-session-connection ICE=remove RTP/AVP";
    let kamailio = Kamailio::with_media_server(DOMAIN, server.udp(), flags)?;
    let mut alice = phone(kamailio.address(), "alice", ALICE_HZ)?;
    let mut bob = phone(kamailio.address(), "bob", BOB_HZ)?;
    alice.dial(&format!("sip:bob@{DOMAIN}"))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    wait_for("a second of packets of both sides", || {
        let counted = packets(&server);
        let both = counted.len() == 2 && counted.iter().all(|packets| *packets > 50);
        both.then_some(())
    });

    // Held and taken back by re-INVITE: the ports stay, the audio comes back.
    alice.hold()?;
    wait_for("a second offer", || {
        (server.metric("tandem_ng_offercount_total") == 2).then_some(())
    });
    alice.resume()?;
    wait_for("a third answer", || {
        (server.metric("tandem_ng_answercount_total") >= 3).then_some(())
    });
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    assert_eq!(server.metric("tandem_media_sessions"), 1);
    assert_eq!(server.metric("tandem_media_ports_used"), 4);

    bob.hang_up()?;
    alice.wait_for_closed();
    wait_for("no session", || {
        (server.metric("tandem_media_sessions") == 0).then_some(())
    });
    assert_eq!(server.metric("tandem_media_ports_used"), 0);
    assert_eq!(server.metric("tandem_ng_errors_total"), 0);
    assert_eq!(server.metric("tandem_ng_unknown_flags_total"), 0);
    assert_eq!(server.metric("tandem_ng_undone_flags_total"), 0);
    Ok(())
}

#[test]
fn phones_choose_among_keys_of_both_kinds_that_a_kamailio_has_offered() -> Result<()> {
    for (encryption, chosen) in [
        (MediaEncryption::Sdes, "SDES"),
        (MediaEncryption::Dtls, "DTLS"),
    ] {
        let server = server(&[])?;
        // The profile says that there are keys, and not whence.
        let flags = "replace-origin replace-session-connection ICE=remove RTP/SAVP";
        let kamailio = Kamailio::with_media_server(DOMAIN, server.udp(), flags)?;
        let mut alice = phone(kamailio.address(), "alice", ALICE_HZ)?;
        let options = PhoneOptions::new("bob", DOMAIN)
            .server(kamailio.address(), PhoneTransport::Udp)
            .encryption(encryption)
            .tone_hz(BOB_HZ);
        let mut bob = Baresip::register(options)?;
        alice.dial(&format!("sip:bob@{DOMAIN}"))?;
        bob.wait_for_incoming();
        bob.answer()?;
        alice.wait_for_established();
        bob.wait_for_established();
        alice.wait_for_tone(BOB_HZ);
        bob.wait_for_tone(ALICE_HZ);
        let spoken = media(&server);
        let is_chosen = |medium: &String| medium.contains(chosen);
        assert!(spoken.iter().any(is_chosen), "{chosen}: {spoken:?}");
        assert_eq!(server.metric("tandem_ng_undone_flags_total"), 0);
        bob.hang_up()?;
        alice.wait_for_closed();
    }
    Ok(())
}

#[test]
fn a_phone_that_knows_no_bundles_is_offered_one_by_a_kamailio_and_heard() -> Result<()> {
    let server = server(&[])?;
    let flags = "replace-origin replace-session-connection ICE=remove RTP/AVP bundle=offer";
    let kamailio = Kamailio::with_media_server(DOMAIN, server.udp(), flags)?;
    let mut alice = phone(kamailio.address(), "alice", ALICE_HZ)?;
    let mut bob = phone(kamailio.address(), "bob", BOB_HZ)?;
    alice.dial(&format!("sip:bob@{DOMAIN}"))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    assert_eq!(server.metric("tandem_ng_unknown_flags_total"), 0);
    assert_eq!(server.metric("tandem_ng_undone_flags_total"), 0);
    Ok(())
}

/// What is said of the first medium of each participant of the only call.
fn media(server: &MediaServer) -> Vec<String> {
    let calls = server.ask(&json!({"command": "list"}));
    let call = calls["calls"][0].as_str().unwrap_or_default().to_owned();
    let report = server.ask(&json!({"command": "query", "call-id": call}));
    let tags = report["tags"].as_object().cloned().unwrap_or_default();
    let flags = tags.values().map(|tag| tag["medias"][0].to_string());
    flags.collect()
}

/// A request in the words of one transport, and the answer without its cookie.
fn over_tcp(server: &MediaServer, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server.tcp())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // In two parts, with a second message behind: the frames are found all the same.
    let message = format!("t1 {body}t2 {body}");
    let (head, tail) = message.split_at(message.len() / 3);
    stream.write_all(head.as_bytes())?;
    stream.flush()?;
    stream.write_all(tail.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    while !String::from_utf8_lossy(&answer).contains("t2 ") {
        let count = stream.read(&mut buffer)?;
        anyhow::ensure!(count > 0, "the connection ended");
        answer.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8(answer)?;
    let first = text.strip_prefix("t1 ").context("the first cookie")?;
    Ok(first.split("t2 ").next().unwrap_or_default().to_owned())
}

fn over_udp(server: &MediaServer, body: &str) -> Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(format!("u1 {body}").as_bytes(), server.udp())?;
    let mut buffer = vec![0; 65_535];
    let (length, _) = socket.recv_from(&mut buffer)?;
    let text = String::from_utf8(buffer[..length].to_vec())?;
    Ok(text.strip_prefix("u1 ").context("the cookie")?.to_owned())
}

/// One masked text frame to a WebSocket (RFC 6455 §5.2), and the text of the answer.
fn over_websocket(server: &MediaServer, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server.http())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: ng.rtpengine.com\r\n\r\n",
    )?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head)?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 101"), "{head}");
    anyhow::ensure!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let message = format!("w1 {body}");
    let length = u16::try_from(message.len())?.to_be_bytes();
    let mut frame = vec![0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    frame.extend_from_slice(message.as_bytes());
    stream.write_all(&frame)?;
    let mut start = [0; 2];
    stream.read_exact(&mut start)?;
    let length = match start[1] {
        126 => {
            let mut long = [0; 2];
            stream.read_exact(&mut long)?;
            usize::from(u16::from_be_bytes(long))
        }
        short => usize::from(short),
    };
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    let text = String::from_utf8(answer)?;
    Ok(text.strip_prefix("w1 ").context("the cookie")?.to_owned())
}

fn over_http(server: &MediaServer, body: &str) -> Result<String> {
    let url = format!("http://{}/ng-plain", server.http());
    let mut answer = ureq::post(&url).send(body)?;
    Ok(answer.body_mut().read_to_string()?)
}

#[test]
fn requests_come_over_every_transport_in_both_encodings() -> Result<()> {
    let server = server(&["--zone", "fra", "--alias", "m1.example"])?;
    type Ask = fn(&MediaServer, &str) -> Result<String>;
    let transports: [(&str, Ask); 4] = [
        ("udp", over_udp),
        ("tcp", over_tcp),
        ("websocket", over_websocket),
        ("http", over_http),
    ];
    for (name, ask) in transports {
        let call = format!("call-{name}");
        let offer = json!({"command": "offer", "call-id": call, "from-tag": "a", "sdp": SDP});
        let answer: Value = serde_json::from_str(&ask(&server, &offer.to_string())?)?;
        assert_eq!(answer["result"], "ok", "{name}: {answer}");
        assert!(
            answer["sdp"]
                .as_str()
                .is_some_and(|sdp| sdp.contains("m=audio ")),
            "{name}"
        );
        let ping = ask(&server, "d7:command4:pinge")?;
        assert!(ping.starts_with("d6:result4:pong"), "{name}: {ping}");
        assert!(ping.contains("4:zone3:fra"), "{name}: {ping}");
        let length = call.len();
        let delete = format!("d7:call-id{length}:{call}7:command6:delete8:from-tag1:ae");
        let deleted = ask(&server, &delete)?;
        assert!(deleted.starts_with("d6:result2:ok"), "{name}: {deleted}");
    }
    assert_eq!(server.metric("tandem_media_sessions"), 0);
    Ok(())
}

#[test]
fn hostile_input_is_dropped_and_counted_and_calls_go_on() -> Result<()> {
    let server = server(&[])?;
    let stranger = self::server(&["--allow", "192.0.2.1"])?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let deep = format!("c {}", "d1:a".repeat(10_000));
    for message in [
        "",
        "x",
        "\u{0}\u{1}",
        "x d",
        &deep,
        "b d999999999999:a",
        "y {\"command\":",
    ] {
        socket.send_to(message.as_bytes(), server.udp())?;
        socket.send_to(message.as_bytes(), stranger.udp())?;
    }
    let mut garbage = TcpStream::connect(server.tcp())?;
    garbage.write_all(&[b'x'; 10_000])?;
    garbage.set_read_timeout(Some(PATIENCE))?;
    // It is closed or reset, and does not wait for more.
    let mut rest = Vec::new();
    let _ = garbage.read_to_end(&mut rest);
    assert!(rest.is_empty());
    let pong = server.ask(&json!({"command": "ping"}));
    assert_eq!(pong["result"], "pong");
    assert!(server.metric("tandem_ng_malformed_total") >= 6);

    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    socket.send_to(b"z d7:command4:pinge", stranger.udp())?;
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert_eq!(from, server.udp(), "a stranger was answered: {answer}");
    }
    Ok(())
}

#[test]
fn a_server_told_to_stop_lets_its_calls_end_first() -> Result<()> {
    let mut server = server(&["--drain", "60"])?;
    let offer = json!({"command": "offer", "call-id": "c", "from-tag": "a", "sdp": SDP});
    assert_eq!(server.ask(&offer)["result"], "ok");
    let pid = server.program().pid().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()?;
    wait_for("draining", || {
        let pong = server.ask(&json!({"command": "ping"}));
        (pong["tandem"]["state"] == "draining").then_some(())
    });
    let other = json!({"command": "offer", "call-id": "d", "from-tag": "a", "sdp": SDP});
    assert_eq!(server.ask(&other)["result"], "error");
    let delete = json!({"command": "delete", "call-id": "c", "from-tag": "a"});
    assert_eq!(server.ask(&delete)["result"], "ok");
    server.program().finish(PATIENCE)
}

#[test]
fn a_server_is_drained_by_command_and_by_http() -> Result<()> {
    let server = server(&[])?;
    let at = server.udp().to_string();
    let run = |what: &str| -> Result<Value> {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tandem"));
        let out = command.args(["ng", "--at", &at, what]).output()?;
        Ok(serde_json::from_slice(&out.stdout)?)
    };
    let post = |path: &str| -> Result<String> {
        let url = format!("http://{}{path}", server.http());
        Ok(ureq::post(&url).send_empty()?.body_mut().read_to_string()?)
    };
    let offer = |call: &str| {
        let offer = json!({"command": "offer", "call-id": call, "from-tag": "a", "sdp": SDP});
        server.ask(&offer)["result"].clone()
    };
    assert_eq!(offer("one"), "ok");
    assert_eq!(run("drain")?["tandem"]["state"], "draining");
    assert_eq!(offer("two"), "error");
    assert_eq!(run("resume")?["tandem"]["state"], "active");
    assert_eq!(offer("three"), "ok");
    assert_eq!(post("/drain")?, "draining\n");
    assert_eq!(offer("four"), "error");
    for call in ["one", "three"] {
        let delete = json!({"command": "delete", "call-id": call, "from-tag": "a"});
        assert_eq!(server.ask(&delete)["result"], "ok");
    }
    assert_eq!(post("/drain")?, "drained\n");
    assert_eq!(post("/resume")?, "active\n");
    Ok(())
}

#[test]
fn the_command_line_asks_a_media_server() -> Result<()> {
    let server = server(&["--zone", "fra"])?;
    let at = server.udp().to_string();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tandem"));
        command.args(["ng", "--at", &at]).args(arguments).output()
    };
    let pong = run(&["ping"])?;
    assert!(pong.status.success());
    let pong: Value = serde_json::from_slice(&pong.stdout)?;
    assert_eq!(pong["tandem"]["zone"], "fra");
    let unknown = run(&["query", "nobody"])?;
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("unknown call-id"));
    Ok(())
}

/// Asks for `/ping` and leaves the connection open; the status of the answer.
fn ping(stream: &mut TcpStream) -> Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /ping HTTP/1.1\r\nhost: media.test\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut read = [0; 1_024];
    loop {
        let text = String::from_utf8_lossy(&answer);
        if text.ends_with("pong") || text.ends_with("connections\n") {
            return Ok(text.split(' ').nth(1).unwrap_or_default().to_owned());
        }
        let count = stream.read(&mut read)?;
        anyhow::ensure!(count > 0, "closed after {text:?}");
        answer.extend_from_slice(&read[..count]);
    }
}

#[test]
fn connections_that_find_no_room_are_told_so_and_the_others_go_on() -> Result<()> {
    let server = server(&[])?;
    let mut open = Vec::new();
    let refused = loop {
        let mut stream = TcpStream::connect(server.http())?;
        let status = ping(&mut stream)?;
        if status != "200" {
            break status;
        }
        open.push(stream);
        assert!(open.len() < 1_000, "there is no bound");
    };
    assert_eq!(refused, "503");
    assert!(open.len() > 100, "{} connections", open.len());
    assert_eq!(ping(&mut open[0])?, "200");
    assert_eq!(server.ask(&json!({"command": "ping"}))["result"], "pong");
    // A place that is left is somebody else's.
    open.pop();
    wait_for("room", || {
        let mut stream = TcpStream::connect(server.http()).ok()?;
        (ping(&mut stream).ok()? == "200").then_some(())
    });
    Ok(())
}
