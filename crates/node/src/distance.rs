//! How far other nodes are: round trips of SIP (OPTIONS) and of ICMP to those that control names.
//!
//! SIP goes by a socket of its own, so that neither the switch nor a trace has anything to do with what
//! is asked; what answers is the other node's switch. A node is asked by each neighbour once in
//! [`ROUND`], one after the other, so that no burst goes out.

mod ask;
mod sockets;
mod trips;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use control::{Distance, Neighbour};
use model::ServerId;
use tokio::time::{MissedTickBehavior, interval};

use self::sockets::{Answer, Sockets};
use self::trips::Trips;

/// Distances to the neighbours there are; it measures for as long as there is one of its kind.
#[derive(Clone, Default)]
pub(crate) struct Distances(Arc<Mutex<Ledger>>);

#[derive(Default)]
struct Ledger {
    neighbours: BTreeMap<ServerId, Measured>,
    /// Why ICMP cannot be sent.
    icmp_refused: Option<String>,
    is_measuring: bool,
}

struct Measured {
    address: SocketAddr,
    sip: Trips,
    icmp: Trips,
}

impl Distances {
    /// These are the neighbours from now on. To be called within a runtime.
    pub(crate) fn turn_to(&self, neighbours: Vec<Neighbour>) {
        let mut ledger = lock(&self.0);
        ledger.turn_to(neighbours);
        if !ledger.is_measuring && !ledger.neighbours.is_empty() {
            ledger.is_measuring = true;
            tokio::spawn(measure(Arc::downgrade(&self.0)));
        }
    }

    /// What is known, and why ICMP cannot be sent if so.
    pub(crate) fn look(&self) -> (Vec<Distance>, Option<String>) {
        let (ledger, now) = (lock(&self.0), Instant::now());
        let may_ping = ledger.icmp_refused.is_none();
        let distances = ledger.neighbours.iter();
        let distances = distances.map(|(server, measured)| Distance {
            server: *server,
            sip: measured.sip.figures(now),
            icmp: may_ping.then(|| measured.icmp.figures(now)),
        });
        (distances.collect(), ledger.icmp_refused.clone())
    }
}

impl Ledger {
    fn turn_to(&mut self, neighbours: Vec<Neighbour>) {
        let told: BTreeMap<ServerId, SocketAddr> = neighbours
            .into_iter()
            .take(NEIGHBOURS_MAX)
            .map(|neighbour| (neighbour.server, neighbour.address))
            .collect();
        self.neighbours
            .retain(|server, measured| told.get(server) == Some(&measured.address));
        for (server, address) in told {
            self.neighbours.entry(server).or_insert_with(|| Measured {
                address,
                sip: Trips::default(),
                icmp: Trips::default(),
            });
        }
    }

    /// Asks the neighbour whose turn it is, if there are so many.
    fn ask(&mut self, turn: usize, sockets: &mut Sockets) {
        let Some(measured) = self.neighbours.values_mut().nth(turn) else {
            return;
        };
        let Some((sip, icmp)) = token().zip(token()) else {
            return;
        };
        measured.sip.ask(sip, Instant::now());
        sockets.ask_sip(measured.address, sip);
        let asked = Instant::now();
        match sockets.ask_icmp(measured.address, icmp) {
            Ok(()) => measured.icmp.ask(icmp, asked),
            Err(why) => self.icmp_refused = Some(why),
        }
    }

    fn take(&mut self, answer: Answer, now: Instant) {
        let mut all = self.neighbours.values_mut();
        // One that nobody waits for is dropped.
        let _ = all.any(|measured| match answer {
            Answer::Sip(token) => measured.sip.answer(token, now),
            Answer::Icmp(token) => measured.icmp.answer(token, now),
        });
    }
}

/// Asks and listens until nobody wants to know any more.
async fn measure(ledger: Weak<Mutex<Ledger>>) {
    let mut sockets = Sockets::default();
    let mut turns = interval(ROUND / NEIGHBOURS_MAX as u32);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = vec![0; DATAGRAM_MAX_BYTES];
    let mut turn = 0;
    loop {
        let is_turn = tokio::select! {
            _ = turns.tick() => true,
            () = sockets.readable() => false,
        };
        let Some(ledger) = ledger.upgrade() else {
            return;
        };
        let mut ledger = lock(&ledger);
        if is_turn {
            ledger.ask(turn, &mut sockets);
            turn = (turn + 1) % NEIGHBOURS_MAX;
        } else {
            let now = Instant::now();
            sockets.read(&mut buffer, |answer| ledger.take(answer, now));
        }
    }
}

fn token() -> Option<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok()?;
    Some(u64::from_ne_bytes(bytes))
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often each neighbour is asked.
const ROUND: Duration = Duration::from_secs(5);
/// More than so many are not asked, whatever control says.
const NEIGHBOURS_MAX: usize = 32;
/// What is beyond of a datagram is cut off, and it is no answer then.
const DATAGRAM_MAX_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(n: u128, address: SocketAddr) -> Neighbour {
        Neighbour {
            server: ServerId::from_bits(n),
            address,
        }
    }

    fn distance(distances: &Distances, n: u128) -> Option<Distance> {
        let (all, _) = distances.look();
        all.into_iter()
            .find(|one| one.server == ServerId::from_bits(n))
    }

    #[tokio::test]
    async fn who_answers_options_is_so_far_away_and_who_does_not_is_not_known() {
        let there = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let distances = Distances::default();
        let addresses = [there.local_addr().unwrap(), silent.local_addr().unwrap()];
        distances.turn_to(vec![neighbour(1, addresses[0]), neighbour(2, addresses[1])]);
        let mut buffer = [0; 2_048];
        let (length, from) = there.recv_from(&mut buffer).await.unwrap();
        let asked = bytes::Bytes::copy_from_slice(&buffer[..length]);
        let asked = sip::Message::parse(asked, sip::Framing::Datagram).unwrap();
        let answer = sip::Writer::response(&asked, from, 200, "", b"tag").finish();
        there.send_to(&answer, from).await.unwrap();
        silent.recv_from(&mut buffer).await.unwrap();
        let heard = async {
            while distance(&distances, 1).is_none_or(|d| d.sip.median_us.is_none()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), heard)
            .await
            .unwrap();
        let near = distance(&distances, 1).unwrap().sip;
        assert_eq!((near.asked, near.lost), (1, 0));
        assert!(near.age_ms.is_some() && near.worst_us == near.median_us);
        assert_eq!(distance(&distances, 2).unwrap().sip.median_us, None);
    }

    #[test]
    fn who_has_another_address_begins_anew_and_so_many_are_asked() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        let at = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        ledger.turn_to(vec![neighbour(1, at(5060)), neighbour(2, at(5062))]);
        for measured in ledger.neighbours.values_mut() {
            measured.sip.ask(1, now);
            measured.sip.ask(2, now);
        }
        ledger.turn_to(vec![neighbour(1, at(5060)), neighbour(2, at(5064))]);
        let asked = ledger.neighbours.values();
        let asked: Vec<_> = asked.map(|m| m.sip.figures(now).asked).collect();
        assert_eq!(asked, [1, 0]);
        ledger.turn_to((0..100).map(|n| neighbour(n, at(5060))).collect());
        assert_eq!(ledger.neighbours.len(), NEIGHBOURS_MAX);
    }
}
