//! `tandem check`: whether the node of this machine takes calls.
//!
//! It asks as a caller would: an OPTIONS over UDP has to be answered, and the API has to say that the
//! node is ready. A program that hangs says neither, although its ports are open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::Value;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// How it is asked.
#[derive(Args, Debug)]
pub(crate) struct CheckFlags {
    /// How long it may take to answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 800)]
    within_ms: u64,
}

/// Asks. Fails if the node does not take calls, or does not say so in time.
pub(crate) fn run(global: &Global, flags: &CheckFlags) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let patience = Duration::from_millis(flags.within_ms);
    let (tell, told) = mpsc::channel();
    // Whoever hangs is not waited for: the thread ends with the process.
    thread::spawn(move || tell.send(ask(&client, patience)));
    let answer = told.recv_timeout(patience).map_err(|_| {
        let message = format!("the node does not answer within {} ms", flags.within_ms);
        Failure::Unreachable(message)
    })?;
    output::say(&answer?);
    Ok(())
}

fn ask(client: &Client, patience: Duration) -> Result<String, Failure> {
    client.read("/readyz", &[])?;
    let listeners = client.read("/v1/listeners", &[])?.body;
    let items = listeners["items"].as_array().map_or(&[][..], Vec::as_slice);
    let address = items.iter().find_map(own_udp).ok_or_else(|| {
        Failure::Failed("the node has no UDP listener of its own to be asked at".into())
    })?;
    options(address, patience)?;
    Ok(format!("it takes calls at udp {address}"))
}

/// Where a listener is asked from this machine, if it is one over UDP. The first is one of the
/// machine's own addresses.
fn own_udp(listener: &Value) -> Option<SocketAddr> {
    if listener["transport"] != "udp" {
        return None;
    }
    let address: SocketAddr = listener["address"].as_str()?.parse().ok()?;
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Some(SocketAddr::new(ip, address.port()))
}

/// Sends OPTIONS and waits for any final answer that is not a refusal of the server itself.
fn options(address: SocketAddr, patience: Duration) -> Result<(), Failure> {
    let lost = |error: std::io::Error| {
        Failure::Unreachable(format!("no answer over SIP from udp {address}: {error}"))
    };
    let socket = UdpSocket::bind((unspecified(address), 0)).map_err(lost)?;
    socket.connect(address).map_err(lost)?;
    socket.set_read_timeout(Some(patience)).map_err(lost)?;
    let local = socket.local_addr().map_err(lost)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let id = format!(
        "{:x}-{:x}",
        std::process::id(),
        now.map_or(0, |d| d.as_nanos())
    );
    let request = format!(
        "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{id};rport\r\n\
         Max-Forwards: 0\r\nFrom: <sip:check@{local}>;tag={id}\r\nTo: <sip:{address}>\r\n\
         Call-ID: check-{id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send(request.as_bytes()).map_err(lost)?;
    let mut buffer = [0; ANSWER_BYTES_MAX];
    loop {
        let len = socket.recv(&mut buffer).map_err(lost)?;
        let answer = String::from_utf8_lossy(&buffer[..len]);
        if !answer.contains(&id) {
            continue;
        }
        let line = answer.lines().next().unwrap_or_default();
        return match line.strip_prefix("SIP/2.0 200") {
            Some(_) => Ok(()),
            None => Err(Failure::Failed(format!("the answer over SIP is: {line}"))),
        };
    }
}

const fn unspecified(address: SocketAddr) -> IpAddr {
    match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// The longest answer that is read whole; its first line is all that matters.
const ANSWER_BYTES_MAX: usize = 4_096;
