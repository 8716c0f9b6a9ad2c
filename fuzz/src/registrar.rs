//! Any bytes as REGISTERs, answers to our OPTIONS, lost connections and time: the registrar never
//! panics, keeps no more contacts than it may, gives back what it saved, and is empty once time has
//! passed.
//!
//! An input is a list of steps.

#[path = "steps.rs"]
mod steps;

use core::time::Duration;

use bytes::Bytes;
use clock::Time;
use registrar::{Filter, Output, PingFailure, PingId, Policy, Record, Registrar, from_message};
use sip::{ConnId, Flow, Framing, Message};
use steps::{World, number};

const CONTACTS_MAX: u16 = 4;
const AOR: &str = "alice@example.com";

pub(crate) fn run(input: &[u8]) {
    let world = Registered {
        registrar: Registrar::new(Policy::default(), 0, &KEY),
        now: Time::from_secs(1_000),
        pings: Vec::new(),
        saved: Vec::new(),
    };
    steps::run(world, input);
}

struct Registered {
    registrar: Registrar,
    now: Time,
    pings: Vec<PingId>,
    saved: Vec<Record>,
}

impl World for Registered {
    fn now(&mut self) -> &mut Time {
        &mut self.now
    }

    fn step(&mut self, kind: u8, rest: &[u8]) {
        let number = number(rest);
        match kind % 8 {
            0 | 1 => self.register(kind, rest),
            2 => self.pass(Duration::from_millis(number % 4_000_000)),
            3 => self.answer(number),
            4 => self.fail(number),
            5 => self.registrar.handle_connection_closed(ConnId(number % 2)),
            6 => self.restore(number),
            _ => {
                self.registrar.remove_all(self.now, AOR);
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.registrar.poll_output() {
            match output {
                Output::Ping(ping) => self.pings.push(ping.id),
                Output::Datagram(_) | Output::Remove { .. } | Output::Event(_) => {}
            }
        }
        let saved = &mut self.saved;
        self.registrar
            .save_changed(usize::MAX, |state| saved.push(state.to_record()));
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.registrar.poll_timeout()
    }

    fn handle_timeout(&mut self) {
        self.registrar.handle_timeout(self.now);
    }

    fn end(mut self) {
        let longest = Duration::from_secs(u64::from(u32::from(u16::MAX)));
        self.pass(longest);
        assert!(self.registrar.is_empty(), "nothing lasts for ever");
    }
}

impl Registered {
    fn register(&mut self, kind: u8, bytes: &[u8]) {
        let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes), Framing::Datagram) else {
            return;
        };
        let Ok(request) = from_message(&message, flow(kind), AOR, CONTACTS_MAX) else {
            return;
        };
        // Who has lost the answer asks again, and is told the same.
        if let Ok(registered) = self.registrar.register(self.now, &request) {
            let again = self.registrar.repeated(self.now, &request);
            assert!(again.is_none_or(|again| again == registered));
        }
        let known = self.registrar.list(&Filter::default(), None, usize::MAX);
        assert!(known.len() <= usize::from(CONTACTS_MAX));
        assert_eq!(known.len(), self.registrar.len());
        let found = self.registrar.lookup(self.now, AOR);
        assert!(found.len() <= self.registrar.len());
    }

    fn answer(&mut self, number: u64) {
        if let Some(ping) = self.pick(number) {
            let status = 100 + (number % 600) as u16;
            self.registrar.handle_pong(self.now, ping, status, 1_000);
        }
    }

    fn fail(&mut self, number: u64) {
        if let Some(ping) = self.pick(number) {
            let why = PingFailure::NoAnswer;
            self.registrar.handle_ping_failed(self.now, ping, why);
        }
    }

    fn pick(&mut self, number: u64) -> Option<PingId> {
        let count = self.pings.len() as u64;
        let at = number.checked_rem(count)? as usize;
        Some(self.pings.swap_remove(at))
    }

    /// A fresh registrar takes what was saved.
    fn restore(&mut self, number: u64) {
        let Some(at) = number.checked_rem(self.saved.len() as u64) else {
            return;
        };
        let mut other = Registrar::new(Policy::default(), 0, &KEY);
        let taken = other.restore(self.now, &self.saved[at as usize]);
        assert!(taken.is_ok(), "what it saved it can read");
    }
}

/// From one of four addresses, over UDP or one of two connections.
fn flow(kind: u8) -> Flow {
    let conn = (kind & 0x80 != 0).then_some(ConnId(u64::from(kind >> 6 & 1)));
    steps::flow([192, 0, 2, kind & 0x30], conn)
}

const KEY: [u8; 32] = [7; 32];
