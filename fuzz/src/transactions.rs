//! Any bytes as what happens to a table of transactions: whatever comes, it never panics, and
//! once its user has answered everything and time has passed, it is empty.
//!
//! An input is a list of steps with two bytes FF between them. The first byte of a step says
//! what it is, the rest is a message or a number.

use core::time::Duration;

use bytes::Bytes;
use clock::Time;
use sip::transaction::{
    ClientId, Event, Listener, ServerId, TransactionConfig, TransactionOutput, Transactions,
};
use sip::{ConnId, Destination, Flow, Framing, ListenerId, Message, Transmit, Transport, Writer};

/// The most steps taken of one input.
const STEPS_MAX: usize = 32;

pub(crate) fn run(input: &[u8]) {
    let mut world = World::new();
    let steps = input.split(|b| *b == 0xff).filter(|s| !s.is_empty());
    for step in steps.take(STEPS_MAX) {
        world.step(step);
        world.drain();
    }
    world.end();
}

struct World {
    table: Transactions,
    now: Time,
    servers: Vec<(ServerId, Message)>,
    clients: Vec<ClientId>,
    sent: Vec<Transmit>,
}

impl World {
    fn new() -> Self {
        let listener = |id, stream| Listener {
            id: ListenerId(id),
            sent_by: "192.0.2.9:5060".into(),
            stream,
        };
        let listeners = vec![listener(0, Some(ListenerId(1))), listener(1, None)];
        let mut config = TransactionConfig::new(listeners, [1, 2]);
        config.transactions_max = 8;
        Self {
            table: Transactions::new(config),
            now: Time::from_secs(1),
            servers: Vec::new(),
            clients: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn step(&mut self, step: &[u8]) {
        let (kind, rest) = (step[0], &step[1..]);
        let number = rest.iter().fold(0, |n: u64, b| n << 8 | u64::from(*b));
        match kind % 10 {
            0 | 1 => self.receive(kind, rest),
            2 => self.respond(number),
            3 => self.request(rest),
            4 => self.pass(number % 100_000),
            5 => self.fail(number),
            6 => self.reflect(number),
            7 => self.acknowledge(number),
            8 => self.cancel(rest),
            _ => self.respond_reliably(number),
        }
    }

    fn receive(&mut self, kind: u8, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        if let Ok(message) = Message::parse(bytes, Framing::Datagram) {
            self.table.handle_message(self.now, flow(kind), message);
        }
    }

    fn respond(&mut self, number: u64) {
        let status = 100 + (number % 600) as u16;
        if let Some((server, request)) = self.servers.last() {
            let response = Writer::response(request, flow(0).remote, status, "", b"t").finish();
            self.table.respond(self.now, *server, status, response);
        }
    }

    fn respond_reliably(&mut self, number: u64) {
        if let Some((server, request)) = self.servers.last() {
            let response = Writer::response(request, flow(0).remote, 183, "", b"t").finish();
            self.table.respond_reliably(self.now, *server, response);
            if number % 2 == 1 {
                self.table.pracked(self.now, *server);
            }
        }
    }

    fn request(&mut self, bytes: &[u8]) {
        let to = match bytes.first() {
            Some(b'A'..=b'M') => Destination::Flow(flow(0)),
            _ => Destination::Address {
                transport: Transport::Udp,
                listener: ListenerId(0),
                remote: flow(0).remote,
                name: Box::default(),
            },
        };
        let client = self.table.request(self.now, to, bytes);
        self.clients.push(client);
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.table.handle_timeout(self.now);
    }

    fn fail(&mut self, number: u64) {
        let key = match self.sent.get(number as usize % (self.sent.len() + 1)) {
            Some(transmit) => transmit.key,
            None => number,
        };
        self.table.handle_transmit_failed(self.now, key);
    }

    /// Answers the latest request the table sent.
    fn reflect(&mut self, number: u64) {
        let status = 100 + (number % 600) as u16;
        let Some(transmit) = self.sent.last() else {
            return;
        };
        let Ok(request) = Message::parse(transmit.bytes.clone(), Framing::Datagram) else {
            return;
        };
        if request.is_request() {
            let response = Writer::response(&request, flow(0).remote, status, "", b"t").finish();
            self.receive(0, &response);
        }
    }

    fn acknowledge(&mut self, number: u64) {
        if let Some((server, _)) = self.servers.get(number as usize % (self.servers.len() + 1)) {
            self.table.acknowledged(self.now, *server);
        }
    }

    fn cancel(&mut self, reason: &[u8]) {
        if let Some(client) = self.clients.last() {
            self.table.cancel(self.now, *client, reason);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.table.poll_output() {
            match output {
                TransactionOutput::Transmit(transmit) => self.sent.push(transmit),
                TransactionOutput::Event(Event::Request {
                    server, message, ..
                }) => self.servers.push((server, message)),
                TransactionOutput::Event(_) => {}
            }
        }
    }

    fn end(&mut self) {
        for (server, request) in &self.servers {
            let response = Writer::response(request, flow(0).remote, 500, "", b"t").finish();
            self.table.respond(self.now, *server, 500, response);
        }
        // Timer C, then the CANCEL it sends, then 64 T1: nothing takes longer.
        for _ in 0..2_000 {
            self.drain();
            let Some(at) = self.table.poll_timeout() else {
                break;
            };
            self.now = self.now.max(at);
            self.table.handle_timeout(self.now);
        }
        assert!(self.table.is_empty(), "{} left", self.table.len());
    }
}

fn flow(kind: u8) -> Flow {
    let is_stream = kind % 2 == 1;
    Flow {
        transport: if is_stream {
            Transport::Tcp
        } else {
            Transport::Udp
        },
        listener: ListenerId(u16::from(is_stream)),
        conn: is_stream.then_some(ConnId(1)),
        remote: "192.0.2.1:5060".parse().expect("an address"),
    }
}
