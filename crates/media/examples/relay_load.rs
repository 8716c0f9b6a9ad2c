//! Relays N calls of G.711 between sockets of its own and prints what a packet costs the worker.
//!
//! `cargo run --release -p media --example relay_load -- CALLS SECONDS TICK_US [flat]`
//!
//! Each of the two sides of a call sends 172 bytes every 20 ms, spread evenly over time, from a
//! thread of its own; with `flat` they send as fast as they can. CPU time is that of the worker's
//! thread alone, from `/proc/self/task/*/schedstat`.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use media::{AddressFamily, Engine, EngineConfig, Interface, Negotiation, Options, Side};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| {
        let given = args.get(index).map(|arg| arg.parse::<u64>());
        given.transpose().map(|given| given.unwrap_or(default))
    };
    let (calls, seconds, tick_us) = (number(0, 500)?, number(1, 10)?, number(2, 1_000)?);
    let pace = match args.get(3).map(String::as_str) {
        Some("flat") => Pace::FlatOut,
        _ => Pace::Telephone,
    };
    let mut config = EngineConfig::new(20_000..=31_999);
    config.v4 = Some(Interface::same("127.0.0.1".parse()?));
    config.tick = Duration::from_micros(tick_us);
    let mut engine = Engine::new(config, || {})?;

    let sockets = (0..2 * calls)
        .map(|_| UdpSocket::bind("127.0.0.1:0"))
        .collect::<Result<Vec<_>, _>>()?;
    let offers = sockets.iter().map(describe).collect::<Result<Vec<_>>>()?;
    let set_up_ns = cpu_ns(MAIN_THREAD)?;
    let mut answers = Vec::new();
    for (call, offers) in offers.chunks_exact(2).enumerate() {
        answers.extend(connect(&mut engine, call as u64, &offers[0], &offers[1])?);
    }
    let set_up_us = (cpu_ns(MAIN_THREAD)? - set_up_ns) as f64 / 1_000.0 / calls as f64;
    let phones = sockets.into_iter().zip(&answers);
    let mut phones = phones
        .map(|(socket, answer)| Phone::new(socket, answer))
        .collect::<Result<Vec<_>>>()?;

    let worker = worker_schedstat()?;
    // Sources are learned and the pace is found.
    drive(&mut phones, Duration::from_secs(1), pace)?;
    let (cpu_ns, before) = (cpu_ns(&worker)?, engine.counters());
    let measured = Instant::now();
    let sent = drive(&mut phones, Duration::from_secs(seconds), pace)?;
    let (cpu_ns, after) = (self::cpu_ns(&worker)? - cpu_ns, engine.counters());
    let elapsed_s = measured.elapsed().as_secs_f64();
    let relayed = after.relayed_packets - before.relayed_packets;
    let heard: u64 = phones.iter().map(|phone| phone.heard).sum();
    println!(
        "{calls} calls, tick {tick_us} us: {:.2} us CPU per relayed packet, {:.0} packets/s, \
         core {:.2}, sent {sent}, relayed {relayed}, heard {heard} in all, set-up {set_up_us:.0} us CPU",
        cpu_ns as f64 / 1_000.0 / relayed as f64,
        relayed as f64 / elapsed_s,
        cpu_ns as f64 / 1e9 / elapsed_s,
    );
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Telephone,
    FlatOut,
}

/// One side of a call.
struct Phone {
    socket: UdpSocket,
    to: SocketAddr,
    header: rtp::Header,
    heard: u64,
}

/// What a switch asks for a call; what A and B are told.
fn connect(engine: &mut Engine, call: u64, a: &str, b: &str) -> Result<[Vec<u8>; 2]> {
    let from = |from, sdp| Negotiation {
        from,
        sdp,
        signalling: None,
        options: Options::relay(),
    };
    let offer = engine.offer(call, from(Side::A, a.as_bytes()), AddressFamily::V4)?;
    let answer = engine.answer(call, from(Side::B, b.as_bytes()))?;
    Ok([answer, offer])
}

fn describe(socket: &UdpSocket) -> Result<String> {
    let port = socket.local_addr()?.port();
    Ok(format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\n"
    ))
}

impl Phone {
    fn new(socket: UdpSocket, sdp: &[u8]) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let description = sdp::Description::parse(sdp)?;
        let to = description.medium(0).context("a medium")?.rtp_address()?;
        let header = rtp::Header {
            payload_type: 8,
            ssrc: u32::from(to.port()),
            ..rtp::Header::default()
        };
        Ok(Self {
            socket,
            to,
            header,
            heard: 0,
        })
    }

    /// Sends the next packet, after reading what came.
    fn speak(&mut self) -> Result<()> {
        let mut packet = [0xd5; 172];
        while self.socket.recv(&mut packet).is_ok() {
            self.heard += 1;
        }
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(160);
        packet[..12].copy_from_slice(&self.header.encode());
        self.socket.send_to(&packet, self.to)?;
        Ok(())
    }
}

/// Lets all phones speak in turn; how many packets they sent.
fn drive(phones: &mut [Phone], time: Duration, pace: Pace) -> Result<u64> {
    let started = Instant::now();
    let mut sent = 0;
    let gap_ns = 20_000_000 / phones.len() as u64;
    while started.elapsed() < time {
        for phone in phones.iter_mut() {
            phone.speak()?;
            sent += 1;
            let due = Duration::from_nanos(sent * gap_ns);
            let early = due.saturating_sub(started.elapsed());
            if pace == Pace::Telephone && early > Duration::from_micros(100) {
                thread::sleep(early);
            }
        }
    }
    Ok(sent)
}

/// The schedstat file of the worker's thread.
fn worker_schedstat() -> Result<String> {
    // A thread takes its name when it first runs.
    for _ in 0..1_000 {
        for task in fs::read_dir("/proc/self/task")? {
            let path = task?.path();
            if fs::read_to_string(path.join("comm"))?.trim() == "media-0" {
                return Ok(path.join("schedstat").display().to_string());
            }
        }
        thread::yield_now();
    }
    anyhow::bail!("no worker thread")
}

fn cpu_ns(schedstat: &str) -> Result<u64> {
    let text = fs::read_to_string(schedstat)?;
    Ok(text.split(' ').next().context("three numbers")?.parse()?)
}

/// The thread that calls the engine.
const MAIN_THREAD: &str = "/proc/thread-self/schedstat";
