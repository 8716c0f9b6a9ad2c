//! The drive loop at its barest: a machine that sends every datagram back.
//!
//! `cargo run --release -p net --example echo -- bench` prints the CPU time of the loop's thread
//! per datagram received and sent, with a sender that keeps a window of them under way. Without
//! `bench` it echoes on 127.0.0.1:5060 until it is stopped.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clock::Time;
use net::{Config, Host, Input, ListenerSpec, Machine, Net, Output};
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
    let is_bench = std::env::args().nth(1).as_deref() == Some("bench");
    let (net, shard) = Net::open(Config::default())?;
    let status = net.add_listener(&ListenerSpec {
        id: ListenerId(0),
        transport: Transport::Udp,
        bind: SocketAddr::from(([127, 0, 0, 1], if is_bench { 0 } else { 5060 })),
        advertised: None,
    })?;
    println!(
        "echo on {}, receive buffer {:?} bytes",
        status.local, status.receive_buffer_bytes
    );
    let thread = shard.spawn(Echo::default(), NoHost)?;
    if is_bench {
        println!("window  datagrams/s  CPU us/datagram (500 bytes, in and out)");
        for window in [1, 8, 64, 512] {
            measure(status.local, window)?;
        }
        net.stop();
    }
    thread.join().map_err(|_| "the loop panicked")?;
    Ok(())
}

/// Keeps `window` datagrams under way for a while and prints what the loop needed for each.
fn measure(echo: SocketAddr, window: usize) -> Result<(), Box<dyn std::error::Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(echo)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let datagram = [b'x'; 500];
    let mut buffer = [0; 2_048];
    let (cpu_before, started) = (loop_cpu()?, Instant::now());
    let mut echoed = 0_u64;
    for _ in 0..window {
        socket.send(&datagram)?;
    }
    while started.elapsed() < RUN {
        socket.recv(&mut buffer)?;
        socket.send(&datagram)?;
        echoed += 1;
    }
    let cpu = loop_cpu()?.saturating_sub(cpu_before);
    println!(
        "{window:>6}  {:>11.0}  {:>15.2}",
        echoed as f64 / started.elapsed().as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / echoed as f64
    );
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

/// How long each window is measured.
const RUN: Duration = Duration::from_secs(3);
