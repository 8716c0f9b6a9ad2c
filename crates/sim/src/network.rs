//! The network between the switch and everybody else: each datagram may be lost, late, doubled.

use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;

use crate::dice::Dice;

/// What happens to datagrams.
#[derive(Debug)]
pub(crate) struct Network {
    faults: Faults,
    /// Until when the faults last.
    faulty_until: Time,
    /// Addresses nothing reaches and nothing leaves for a while.
    blackouts: Vec<Blackout>,
}

/// How often datagrams suffer, in percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// So many are held back, and overtaken by those behind.
    pub(crate) late: u64,
}

/// What a message travels by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// A datagram.
    Datagram,
    /// A connection.
    Connection,
}

/// An address cut off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blackout {
    pub(crate) address: SocketAddr,
    pub(crate) from: Time,
    pub(crate) until: Time,
}

impl Faults {
    /// From none to bad; never so bad that eleven repetitions of a request all get lost.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        Self {
            lost: dice.pick(&[0, 0, 2, 10, 20]),
            doubled: dice.pick(&[0, 2, 10, 25]),
            late: dice.pick(&[0, 5, 20, 40]),
        }
    }
}

impl Network {
    pub(crate) fn new(faults: Faults, faulty_until: Time, blackouts: Vec<Blackout>) -> Self {
        Self {
            faults,
            faulty_until,
            blackouts,
        }
    }

    /// When a datagram between the switch and a peer arrives: never, once or twice.
    pub(crate) fn arrivals(
        &self,
        now: Time,
        (peer, path): (SocketAddr, Path),
        dice: &mut Dice,
    ) -> Vec<Time> {
        let way = |dice: &mut Dice| now + dice.millis(1, 30);
        let cut = |b: &Blackout| b.address == peer && b.from <= now && now < b.until;
        if self.blackouts.iter().any(cut) {
            return Vec::new();
        }
        if path == Path::Connection {
            // In order, and all of it.
            return vec![now + CONNECTION_DELAY];
        }
        if now >= self.faulty_until {
            return vec![way(dice)];
        }
        let mut arrivals = Vec::with_capacity(2);
        if !dice.percent(self.faults.lost) {
            arrivals.push(self.hold_back(way(dice), dice));
        }
        if dice.percent(self.faults.doubled) {
            arrivals.push(self.hold_back(way(dice), dice));
        }
        arrivals
    }

    fn hold_back(&self, arrival: Time, dice: &mut Dice) -> Time {
        if dice.percent(self.faults.late) {
            arrival + dice.millis(20, LATE_MAX_MS)
        } else {
            arrival
        }
    }
}

/// What a connection takes for a message.
const CONNECTION_DELAY: Duration = Duration::from_millis(15);
/// Less than T4 of RFC 3261 §17.1.1.1: what is older has left the network.
const LATE_MAX_MS: u64 = 1_500;

/// How long an address may be cut off.
pub(crate) fn blackout(dice: &mut Dice, address: SocketAddr, within: Duration) -> Blackout {
    let from = Time::from_secs(0) + crate::START + dice.millis(0, within.as_millis() as u64);
    let until = from + dice.millis(1_000, 50_000);
    Blackout {
        address,
        from,
        until,
    }
}
