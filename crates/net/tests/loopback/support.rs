//! A running shard, and peers to talk to it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clock::Time;
use crossbeam_channel::{Receiver, Sender, bounded};
use net::{
    CloseReason, Config, DropReason, Host, Input, ListenerSpec, Machine, Net, Output, ResolveError,
    TransmitError,
};
use sip::{Destination, Flow, ListenerId, Targets, Transmit, Transport};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// An [`Input`], owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Datagram(Flow, Bytes),
    Message(Flow, Bytes),
    Opened(Flow),
    Closed(Flow, CloseReason),
    Failed(u64, TransmitError),
    Resolved(u64, Result<Targets, ResolveError>),
}

/// Tells what it is told and puts out what the host feeds it.
pub(crate) struct Probe {
    seen: Sender<Seen>,
    outputs: VecDeque<Output<()>>,
}

impl Machine for Probe {
    type Effect = ();

    fn handle_input(&mut self, _now: Time, input: Input<'_>) {
        let seen = match input {
            Input::Datagram { flow, bytes } => Seen::Datagram(flow, Bytes::copy_from_slice(bytes)),
            Input::Message { flow, bytes } => Seen::Message(flow, bytes),
            Input::Opened { flow, .. } => Seen::Opened(flow),
            Input::Closed { flow, why } => Seen::Closed(flow, why),
            Input::TransmitFailed { key, error } => Seen::Failed(key, error),
            Input::Resolved { id, targets } => Seen::Resolved(id, targets),
        };
        // A test that has seen enough is not listening any more.
        let _ = self.seen.send(seen);
    }

    fn handle_timeout(&mut self, _now: Time) {}

    fn poll_timeout(&self) -> Option<Time> {
        None
    }

    fn poll_output(&mut self) -> Option<Output<()>> {
        self.outputs.pop_front()
    }
}

/// Feeds the probe.
pub(crate) struct Feeder(Receiver<Output<()>>);

impl Host<Probe> for Feeder {
    fn handle_effect(&mut self, _now: Time, (): (), _machine: &mut Probe) {}

    fn handle_wake(&mut self, _now: Time, machine: &mut Probe) {
        machine.outputs.extend(self.0.try_iter());
    }

    fn flush(&mut self, _now: Time) {}
}

/// A running shard.
pub(crate) struct Node {
    pub(crate) net: Net,
    seen: Receiver<Seen>,
    todo: Sender<Output<()>>,
    thread: Option<JoinHandle<(Probe, Feeder)>>,
}

impl Node {
    pub(crate) fn start(config: Config) -> Self {
        let (net, shard) = Net::open(config).unwrap();
        let (seen_sender, seen) = bounded(100_000);
        let (todo, feed) = bounded(100_000);
        let probe = Probe {
            seen: seen_sender,
            outputs: VecDeque::new(),
        };
        let thread = shard.spawn(probe, Feeder(feed)).unwrap();
        Self {
            net,
            seen,
            todo,
            thread: Some(thread),
        }
    }

    /// A node with one listener on a free port of 127.0.0.1, with number 1.
    pub(crate) fn listening(config: Config, transport: Transport) -> (Self, SocketAddr) {
        let node = Self::start(config);
        let local = node.listen(1, transport, "127.0.0.1:0");
        (node, local)
    }

    pub(crate) fn listen(&self, id: u16, transport: Transport, bind: &str) -> SocketAddr {
        self.net
            .add_listener(&spec(id, transport, bind))
            .unwrap()
            .local
    }

    /// The next thing the machine was told.
    pub(crate) fn next(&self) -> Seen {
        self.seen.recv_timeout(PATIENCE).expect("nothing came")
    }

    /// The same without waiting.
    pub(crate) fn try_next(&self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }

    pub(crate) fn next_opened(&self) -> Flow {
        match self.next() {
            Seen::Opened(flow) => flow,
            other => panic!("{other:?} instead of Opened"),
        }
    }

    pub(crate) fn next_message(&self) -> (Flow, Bytes) {
        match self.next() {
            Seen::Message(flow, bytes) | Seen::Datagram(flow, bytes) => (flow, bytes),
            other => panic!("{other:?} instead of a message"),
        }
    }

    pub(crate) fn next_closed(&self) -> CloseReason {
        match self.next() {
            Seen::Closed(_, why) => why,
            other => panic!("{other:?} instead of Closed"),
        }
    }

    /// Waits until so much was dropped for a reason.
    pub(crate) fn await_dropped(&self, reason: DropReason, count: u64) {
        let until = Instant::now() + PATIENCE;
        while self.net.counters().dropped(reason) != count {
            assert!(Instant::now() < until, "{reason:?}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn output(&self, output: Output<()>) {
        self.todo.send(output).unwrap();
        self.net.waker().wake();
    }

    pub(crate) fn reply(&self, flow: Flow, bytes: &[u8], key: u64) {
        self.output(Output::Transmit(Transmit {
            to: Destination::Flow(flow),
            bytes: Bytes::copy_from_slice(bytes),
            key,
        }));
    }

    pub(crate) fn send(
        &self,
        transport: Transport,
        remote: SocketAddr,
        name: &str,
        bytes: &[u8],
        key: u64,
    ) {
        self.output(Output::Transmit(Transmit {
            to: Destination::Address {
                transport,
                listener: ListenerId(1),
                remote,
                name: name.into(),
            },
            bytes: Bytes::copy_from_slice(bytes),
            key,
        }));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.net.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

pub(crate) fn spec(id: u16, transport: Transport, bind: &str) -> ListenerSpec {
    ListenerSpec {
        id: ListenerId(id),
        transport,
        bind: bind.parse().unwrap(),
        advertised: None,
        clients: net::ClientCertificates::Unasked,
        owner: net::AddressOwner::Machine,
    }
}

/// A request with a body of the given length.
pub(crate) fn request(body_bytes: usize) -> Vec<u8> {
    let mut text = format!(
        "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
         To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: {body_bytes}\r\n\r\n"
    )
    .into_bytes();
    text.resize(text.len() + body_bytes, b'x');
    text
}

/// A plain TCP peer.
pub(crate) fn connect(remote: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(remote).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub(crate) fn write(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
}

pub(crate) fn read(mut stream: &TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// All that comes until the peer closes; a reset counts as closing.
pub(crate) fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    bytes
}
