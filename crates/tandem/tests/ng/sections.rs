//! Descriptions of many media: two groups that are bundled (RFC 9143), and a fax (T.38) beside them.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{MediaServer, PATIENCE};

use crate::call::{CALL_ID, PCMA};

/// Media of the description: sound and picture as a bundle, the same as another, and a fax.
const MEDIA: usize = 5;
const FAX: usize = 4;
/// The socket of the offerer that speaks for each medium: a bundle that has no other way has one.
const OFFERER: [usize; MEDIA] = [0, 0, 1, 2, 3];
const VP8: u8 = 96;

fn sockets(count: usize) -> Result<Vec<UdpSocket>> {
    let bind = |_| -> Result<UdpSocket> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    };
    (0..count).map(bind).collect()
}

/// A description of the media at these ports; with names, they are in two groups.
fn description(ports: [u16; MEDIA], names: Option<[&str; MEDIA - 1]>) -> String {
    let groups =
        names.map(|[a, b, c, d]| format!("a=group:BUNDLE {a} {b}\r\na=group:BUNDLE {c} {d}\r\n"));
    let mut sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{}",
        groups.unwrap_or_default()
    );
    for (at, port) in ports.iter().enumerate() {
        let medium = match at {
            FAX => format!(
                "m=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"
            ),
            _ if at % 2 == 0 => {
                format!("m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=rtcp-mux\r\n")
            }
            _ => format!("m=video {port} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-mux\r\n"),
        };
        sdp.push_str(&medium);
        if let Some(name) = names.and_then(|names| names.get(at).copied()) {
            sdp.push_str(&format!("a=mid:{name}\r\n"));
        }
    }
    sdp
}

fn ports(sockets: &[UdpSocket]) -> Vec<u16> {
    let port = |socket: &UdpSocket| socket.local_addr().map_or(0, |address| address.port());
    sockets.iter().map(port).collect()
}

/// Asks the server, which has nothing to complain of; its description, and the ports in it.
fn ask(server: &MediaServer, request: &Value) -> Result<(String, Vec<u16>)> {
    let reply = server.ask(request);
    assert_eq!(reply["result"], "ok", "{reply}");
    assert!(reply.get("warning").is_none(), "{reply}");
    let sdp = reply["sdp"].as_str().context("a description")?.to_owned();
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("m="));
    let ports = lines.filter_map(|line| line.split(' ').nth(1)?.parse().ok());
    let ports: Vec<u16> = ports.collect();
    assert_eq!(ports.len(), MEDIA, "{sdp}");
    Ok((sdp, ports))
}

/// A packet of a medium that says `word`.
fn packet(medium: usize, sequence: u16, word: &str) -> Vec<u8> {
    let mut packet = match medium {
        // A packet of UDPTL begins with its number, and is otherwise nobody's business.
        FAX => Vec::new(),
        _ => vec![0x80, if medium.is_multiple_of(2) { PCMA } else { VP8 }],
    };
    packet.extend(sequence.to_be_bytes());
    if medium != FAX {
        packet.extend([0, 0, 0, 160, 0, 0, 0, 10 + medium as u8]);
    }
    packet.extend(word.as_bytes());
    packet
}

/// Says a word of a medium, and it is heard at the other end.
fn carry(
    medium: usize,
    number: u16,
    (from, to): (&UdpSocket, u16),
    heard: &UdpSocket,
) -> Result<()> {
    let word = format!("medium {medium}, word {number}");
    let to = SocketAddr::from(([127, 0, 0, 1], to));
    from.send_to(&packet(medium, number, &word), to)?;
    let mut room = [0; 2_048];
    let (len, _) = heard.recv_from(&mut room).context(word.clone())?;
    let heard = String::from_utf8_lossy(&room[..len]);
    assert!(heard.ends_with(&word), "{heard:?} instead of {word}");
    Ok(())
}

#[test]
fn two_groups_and_a_fax_find_their_ways_apart() -> Result<()> {
    let server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &[])?;
    let (a, b) = (sockets(4)?, sockets(MEDIA)?);
    let of_a = ports(&a);
    let names = ["a", "v", "c", "w"];
    let offer = description(OFFERER.map(|at| of_a[at]), Some(names));
    let request = json!({"command": "offer", "call-id": CALL_ID, "from-tag": "a", "sdp": offer});
    let (offered, towards_a) = ask(&server, &request)?;
    let mut apart = towards_a.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), MEDIA, "each has a port of its own: {offered}");
    assert!(!offered.contains("BUNDLE a v"), "{offered}");
    assert!(offered.contains("a=T38MaxBitRate:14400"), "{offered}");

    let of_b = ports(&b);
    let answer = description([0, 1, 2, 3, 4].map(|at| of_b[at]), None);
    let request = json!({
        "command": "answer", "call-id": CALL_ID, "from-tag": "a", "to-tag": "b", "sdp": answer,
    });
    let (answered, towards_b) = ask(&server, &request)?;
    assert!(answered.contains("a=group:BUNDLE a v\r\n"), "{answered}");
    assert!(!answered.contains("BUNDLE c"), "{answered}");
    assert_eq!(towards_b[0], towards_b[1], "{answered}");
    assert_ne!(towards_b[2], towards_b[3], "{answered}");

    for number in 1..=3 {
        for medium in 0..MEDIA {
            let own = &a[OFFERER[medium]];
            carry(medium, number, (own, towards_b[medium]), &b[medium])?;
            carry(medium, number, (&b[medium], towards_a[medium]), own)?;
        }
    }
    Ok(())
}
