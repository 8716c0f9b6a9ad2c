//! The loop itself: first outputs, timers, the journal before the wire, and what a panic does.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use crossbeam_channel::{Receiver, Sender, bounded};
use net::{Config, EXIT_PANIC, Host, Input, Machine, Net, Output};
use sip::{Destination, Flow, ListenerId, Transmit, Transport};

use crate::support::{PATIENCE, spec};

/// Sends three datagrams in one go: at once, and again a while after it was sent something.
struct Timed {
    flow: Flow,
    due: Option<Time>,
    outputs: Vec<Output<&'static str>>,
}

impl Timed {
    fn put(&mut self, word: &'static str) {
        for _ in 0..3 {
            self.outputs.push(Output::Effect(word));
            self.outputs.push(Output::Transmit(Transmit {
                to: Destination::Flow(self.flow),
                bytes: Bytes::from_static(word.as_bytes()),
                key: 0,
            }));
        }
    }
}

impl Machine for Timed {
    type Effect = &'static str;

    fn handle_input(&mut self, now: Time, input: Input<'_>) {
        let Input::Datagram { bytes, .. } = input else {
            return;
        };
        assert_ne!(bytes, b"panic", "asked for");
        self.due = Some(now + DELAY);
    }

    fn handle_timeout(&mut self, now: Time) {
        let due = self.due.take().expect("a timer was set");
        assert!(due <= now, "too early");
        self.put("later");
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    fn poll_output(&mut self) -> Option<Output<&'static str>> {
        self.outputs.pop()
    }
}

/// Writes down what was to be journaled at each flush.
struct Journal {
    unwritten: Vec<&'static str>,
    written: Sender<Vec<&'static str>>,
}

impl Host<Timed> for Journal {
    fn handle_effect(&mut self, _now: Time, effect: &'static str, _machine: &mut Timed) {
        self.unwritten.push(effect);
    }

    fn handle_wake(&mut self, _now: Time, _machine: &mut Timed) {}

    fn flush(&mut self, _now: Time) {
        self.written
            .send(std::mem::take(&mut self.unwritten))
            .unwrap();
    }
}

/// A running shard with [`Timed`], the peer it sends to, and its journal.
fn start() -> (Net, UdpSocket, Receiver<Vec<&'static str>>) {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (net, shard) = Net::open(Config::default()).unwrap();
    let status = net
        .add_listener(&spec(1, Transport::Udp, "127.0.0.1:0"))
        .unwrap();
    let mut machine = Timed {
        flow: Flow {
            transport: Transport::Udp,
            listener: ListenerId(1),
            conn: None,
            remote: peer.local_addr().unwrap(),
        },
        due: None,
        outputs: Vec::new(),
    };
    machine.put("first");
    peer.connect(status.local).unwrap();
    let (written, journal) = bounded(100);
    let host = Journal {
        unwritten: Vec::new(),
        written,
    };
    shard.spawn(machine, host).unwrap();
    (net, peer, journal)
}

#[test]
fn each_batch_is_journaled_before_any_of_it_is_sent() {
    let (net, peer, journal) = start();
    let mut buffer = [0; 16];
    for word in ["first", "later"] {
        let count = peer.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], word.as_bytes());
        // No waiting: it was written before the datagram left.
        assert_eq!(journal.try_recv().unwrap(), [word; 3]);
        peer.recv(&mut buffer).unwrap();
        peer.recv(&mut buffer).unwrap();
        peer.send(b"again").unwrap();
    }
    net.stop();
}

#[test]
fn a_timer_is_neither_early_nor_forgotten() {
    let (net, peer, _journal) = start();
    let mut buffer = [0; 16];
    for _ in 0..3 {
        peer.recv(&mut buffer).unwrap();
    }
    let asked = net.clock().now();
    peer.send(b"again").unwrap();
    peer.recv(&mut buffer).unwrap();
    assert!(net.clock().now().since(asked) >= DELAY);
    net.stop();
}

#[test]
fn a_panic_ends_the_process_with_its_code() {
    if std::env::var_os(CHILD).is_some() {
        let (_net, peer, _journal) = start();
        peer.send(b"panic").unwrap();
        std::thread::park_timeout(PATIENCE);
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "drive::a_panic_ends_the_process_with_its_code"])
        .env(CHILD, "1")
        .output()
        .unwrap()
        .status;
    assert_eq!(status.code(), Some(EXIT_PANIC));
}

const DELAY: Duration = Duration::from_millis(30);
/// Set for the process that is to panic.
const CHILD: &str = "NET_TEST_PANIC";
