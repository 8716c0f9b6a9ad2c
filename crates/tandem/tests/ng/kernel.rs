//! Who relays plain RTP, and what the server says of it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{Host, MediaServer, Network, wait_for};

use crate::call::media_of;

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");

/// What the server said of the kernel path.
fn said(mut server: MediaServer) -> Vec<String> {
    let log = server.program().log();
    let lines = log
        .lines()
        .filter(|line| line.contains("RTP is relayed in"));
    lines.map(str::to_owned).collect()
}

/// The program behind another that runs it.
pub(crate) fn behind(directory: &Path, wrapper: &str) -> Result<PathBuf> {
    let script = directory.join("tandem");
    fs::write(
        &script,
        format!("#!/bin/sh\nexec {wrapper} {BINARY} \"$@\"\n"),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700))?;
    Ok(script)
}

/// A phone on a host of its own.
fn phone(host: &Host) -> Result<UdpSocket> {
    let socket = host.enter(|| UdpSocket::bind((host.address, 0)))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(socket)
}

fn sdp(phone: &UdpSocket) -> Result<String> {
    let address = phone.local_addr()?;
    let (ip, port) = (address.ip(), address.port());
    Ok(format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\n"
    ))
}

/// One packet from here to there, by way of the server.
fn say(from: &UdpSocket, towards: SocketAddr, to: &UdpSocket, sequence: u16) -> Result<()> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(u32::from(from.local_addr()?.port()).to_be_bytes());
    packet.extend([0xd5; 160]);
    from.send_to(&packet, towards)?;
    let mut buffer = [0; 2_048];
    let (length, _) = to.recv_from(&mut buffer).context("no packet came")?;
    assert_eq!(buffer[..length], packet);
    Ok(())
}

#[test]
fn a_server_with_rights_has_the_kernel_relay() -> Result<()> {
    let mut network = match Network::new() {
        Ok(network) => network,
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {error:#}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let mut host = |last| network.host(Ipv4Addr::new(10, 97, 0, last));
    let (host, hosts) = (host(1)?, [host(2)?, host(3)?]);
    let directory = tempfile::tempdir()?;
    let program = behind(directory.path(), &host.wrapper().join(" "))?;
    let server = MediaServer::start_at(host.address, &program, &["--kernel", "tc"])?;
    let [a, b] = [phone(&hosts[0])?, phone(&hosts[1])?];
    let ask = |request: Value| {
        let answer = host.enter(|| server.ask(&request));
        assert_eq!(answer["result"], "ok", "{answer}");
        answer
    };
    let offer = ask(json!({"command": "offer", "call-id": "c", "from-tag": "a", "sdp": sdp(&a)?}));
    let answer = ask(
        json!({"command": "answer", "call-id": "c", "from-tag": "a", "to-tag": "b",
        "sdp": sdp(&b)?}),
    );
    let (towards_a, towards_b) = (media_of(&offer)?, media_of(&answer)?);
    let mut sequence = 0;
    wait_for("the kernel to relay", || {
        sequence += 1;
        say(&a, towards_b, &b, sequence).expect("a packet");
        say(&b, towards_a, &a, sequence).expect("a packet");
        let relayed = host.enter(|| server.metric("tandem_media_packets_relayed_in_kernel_total"));
        (relayed >= 20).then_some(())
    });
    let query = ask(json!({"command": "query", "call-id": "c"}));
    let flags = &query["tags"]["a"]["medias"][0]["streams"][0]["flags"];
    assert!(flags.to_string().contains("kernelized"), "{query}");
    let said = said(server);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("RTP is relayed in the kernel: tc on eth0"),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn a_server_without_rights_says_why_the_kernel_does_not_relay() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let without_rights = behind(
        directory.path(),
        "setpriv --bounding-set=-all --inh-caps=-all --",
    )?;
    let server = MediaServer::start(&without_rights, &["--kernel", "tc"])?;
    let said = said(server);
    assert_eq!(said.len(), 1, "one line: {said:?}");
    assert!(
        said[0].contains("RTP is relayed in user space: "),
        "{said:?}"
    );
    let reason = said[0].to_lowercase();
    let understood = ["not permitted", "permission", "without clang"];
    assert!(
        understood.iter().any(|why| reason.contains(why)),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn a_server_says_nothing_of_the_kernel_if_it_is_off_and_why_not_on_loopback() -> Result<()> {
    let off = MediaServer::start(BINARY, &["--kernel", "off"])?;
    assert!(said(off).is_empty());
    let auto = said(MediaServer::start(BINARY, &[])?);
    assert_eq!(auto.len(), 1, "{auto:?}");
    let reasons = ["for this host alone", "without clang"];
    assert!(reasons.iter().any(|why| auto[0].contains(why)), "{auto:?}");
    Ok(())
}
