//! The drive loop at its barest: a machine that sends every datagram back.
//!
//! `cargo run --release -p net --example echo -- bench` prints the CPU time of the loop's thread
//! per datagram received and sent. Without
//! `bench` it echoes on 127.0.0.1:5060 until it is stopped.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clock::Time;
use net::{Config, Host, Input, ListenerSpec, Machine, Net, Output, Shard};
use sip::{Destination, ListenerId, Transmit, Transport};

/// Sends back what it gets.
#[derive(Default)]
struct Echo(VecDeque<Transmit>);

impl Machine for Echo {
    type Effect = ();

    fn handle_input(&mut self, _now: Time, input: Input<'_>) {
        if let Input::Datagram { flow, bytes } = input {
            self.0.push_back(Transmit {
                to: Destination::Flow(flow),
                bytes: Bytes::copy_from_slice(bytes),
                key: 0,
            });
        }
    }

    fn handle_timeout(&mut self, _now: Time) {}

    fn poll_timeout(&self) -> Option<Time> {
        None
    }

    fn poll_output(&mut self) -> Option<Output<()>> {
        self.0.pop_front().map(Output::Transmit)
    }
}

/// Has no journal.
struct NoHost;

impl Host<Echo> for NoHost {
    fn handle_effect(&mut self, _now: Time, (): (), _machine: &mut Echo) {}

    fn handle_wake(&mut self, _now: Time, _machine: &mut Echo) {}

    fn flush(&mut self, _now: Time) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("bench") {
        println!("saturated, everything waiting before the loop starts:");
        for _ in 0..5 {
            saturated()?;
        }
        println!("partial load, a window of datagrams under way:");
        for window in [1, 8, 64, 512] {
            windowed(window)?;
        }
        println!("partial load, datagrams evenly spaced:");
        for rate in [2_000, 8_000, 16_000, 32_000] {
            spaced(rate)?;
        }
        return Ok(());
    }
    let (_net, shard, local) = open(5060)?;
    println!("echo on {local}");
    shard.run(Echo::default(), NoHost);
    Ok(())
}

fn open(port: u16) -> Result<(Net, Shard, SocketAddr), Box<dyn std::error::Error>> {
    let (net, shard) = Net::open(Config::default())?;
    let status = net.add_listener(&ListenerSpec {
        id: ListenerId(0),
        transport: Transport::Udp,
        bind: SocketAddr::from(([127, 0, 0, 1], port)),
        advertised: None,
        clients: net::ClientCertificates::Unasked,
        owner: net::AddressOwner::Machine,
    })?;
    Ok((net, shard, status.local))
}

/// A socket to measure with, connected to the echo.
fn peer(echo: SocketAddr) -> Result<UdpSocket, Box<dyn std::error::Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(16 << 20)?;
    socket.connect(echo)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    Ok(socket)
}

/// Prints what the loop needs for each datagram when it never has to wait for one.
fn saturated() -> Result<(), Box<dyn std::error::Error>> {
    let (net, shard, local) = open(0)?;
    let peer = peer(local)?;
    for _ in 0..WAITING {
        peer.send(&DATAGRAM)?;
    }
    let thread = shard.spawn(Echo::default(), NoHost)?;
    let mut buffer = [0; 2_048];
    for _ in 0..WAITING - 1 {
        peer.recv(&mut buffer)?;
    }
    let cpu = loop_cpu()?;
    net.stop();
    thread.join().map_err(|_| "the loop panicked")?;
    let cpu_us = cpu.as_secs_f64() * 1e6 / f64::from(WAITING);
    println!("  {cpu_us:.2} us of CPU time per datagram, in and out");
    Ok(())
}

/// Keeps `window` datagrams under way for a while and prints what the loop needed for each.
fn windowed(window: usize) -> Result<(), Box<dyn std::error::Error>> {
    let (net, shard, local) = open(0)?;
    let peer = peer(local)?;
    let thread = shard.spawn(Echo::default(), NoHost)?;
    let mut buffer = [0; 2_048];
    for _ in 0..window {
        peer.send(&DATAGRAM)?;
    }
    peer.recv(&mut buffer)?;
    let (cpu_before, started) = (loop_cpu()?, Instant::now());
    let mut echoed = 0_u64;
    while started.elapsed() < RUN {
        peer.send(&DATAGRAM)?;
        peer.recv(&mut buffer)?;
        echoed += 1;
    }
    let cpu = loop_cpu()?.saturating_sub(cpu_before);
    let rate = echoed as f64 / started.elapsed().as_secs_f64();
    net.stop();
    thread.join().map_err(|_| "the loop panicked")?;
    let cpu_us = cpu.as_secs_f64() * 1e6 / echoed as f64;
    println!("  window {window:>3}: {cpu_us:.2} us per datagram at {rate:.0} datagrams/s");
    Ok(())
}

/// Sends `rate` datagrams per second, evenly spaced, and prints what the loop needed for each.
fn spaced(rate: u32) -> Result<(), Box<dyn std::error::Error>> {
    let (net, shard, local) = open(0)?;
    let peer = peer(local)?;
    let thread = shard.spawn(Echo::default(), NoHost)?;
    peer.send(&DATAGRAM)?;
    peer.recv(&mut [0; 2_048])?;
    let (cpu_before, started) = (loop_cpu()?, Instant::now());
    let count = RUN.as_secs() as u32 * rate;
    for i in 0..count {
        let due = RUN * i / count;
        while started.elapsed() < due {
            std::hint::spin_loop();
        }
        peer.send(&DATAGRAM)?;
    }
    let cpu = loop_cpu()?.saturating_sub(cpu_before);
    net.stop();
    thread.join().map_err(|_| "the loop panicked")?;
    let cpu_us = cpu.as_secs_f64() * 1e6 / f64::from(count);
    println!("  {cpu_us:.2} us per datagram at {rate} datagrams/s");
    Ok(())
}

/// The CPU time of the thread named `sip` so far.
fn loop_cpu() -> Result<Duration, Box<dyn std::error::Error>> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if std::fs::read_to_string(path.join("comm"))?.trim() == "sip" {
            let times = std::fs::read_to_string(path.join("schedstat"))?;
            let ns = times.split(' ').next().unwrap_or_default().parse()?;
            return Ok(Duration::from_nanos(ns));
        }
    }
    Err("no loop thread".into())
}

/// About the size of a request without a body.
const DATAGRAM: [u8; 500] = [b'x'; 500];
/// How many wait; the socket's buffer holds them all.
const WAITING: u32 = 8_000;
/// How long each window is measured.
const RUN: Duration = Duration::from_secs(2);
