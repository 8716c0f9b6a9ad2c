//! The thread that keeps this node's shares of limits with the live store, and looks whether the
//! other nodes are alive.
//!
//! Nothing on the call path waits for it: a few times a second it fetches what the switch claims,
//! asks the store, and brings back the answer. While the store does not answer, or takes its time,
//! the switch goes on with the shares it has: a thread of its own comes by for that. When that does
//! not come, because the process was stopped, the switch permits nothing new after [`limits::LEASE`]
//! until the store was asked again. A third thread looks after the other nodes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clock::{Ahead, Time};
use cluster::{Door, Watch};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use limits::Claim;
use store::{Member, PermitStore, RedisPermits, Renewed, StoreError};

use crate::host::SwitchHost;
use crate::machine::SwitchMachine;
use crate::roster::Roster;
use crate::visit::Visitor;

/// The threads; they end, and the node leaves the cluster, when this is dropped.
#[derive(Debug)]
pub(crate) struct Permits {
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// How the live store is, for metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveHealth(Arc<Health>);

#[derive(Debug)]
struct Health {
    up: AtomicBool,
    /// Where the nodes are by its word.
    members: Mutex<Vec<IpAddr>>,
    /// [`UNKNOWN`] as long as nobody knows.
    skew_us: AtomicI64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            up: AtomicBool::default(),
            members: Mutex::default(),
            skew_us: AtomicI64::new(UNKNOWN),
        }
    }
}

impl LiveHealth {
    /// Whether the store answered last time.
    pub(crate) fn is_up(&self) -> bool {
        self.0.up.load(Ordering::Relaxed)
    }

    /// How many nodes there are by its word.
    pub(crate) fn members(&self) -> usize {
        self.lock().len()
    }

    /// Where they reach each other.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How far this node's clock is ahead of the store's, to within half the time that an answer took;
    /// `None` while that is not known.
    pub(crate) fn clock_ahead(&self) -> Option<Ahead> {
        let skew_us = self.0.skew_us.load(Ordering::Relaxed);
        (skew_us != UNKNOWN).then_some(Ahead::from_micros(skew_us))
    }

    /// Takes in what the store's clock showed between two moments of ours.
    fn note_clock(&self, (asked, answered): (Time, Time), theirs: Time) {
        let Some(ahead) = Ahead::of_answer(asked, theirs, answered) else {
            return;
        };
        let skew_us = ahead.as_micros();
        let before_us = self.0.skew_us.swap(skew_us, Ordering::Relaxed);
        let is_wrong = |us: i64| us != UNKNOWN && us.unsigned_abs() > SKEW_US_MAX;
        if is_wrong(skew_us) && !is_wrong(before_us) {
            tracing::warn!(
                ahead_ms = skew_us / 1_000,
                "this node's clock does not agree with that of the live store: times and the order of \
                 registrations may be wrong"
            );
        }
    }
}

impl Permits {
    /// Joins the cluster whose live store is at `url`, as the node `name` whose API is at `address`;
    /// `roster` says which start of it this is.
    pub(crate) fn start(
        url: &str,
        (name, roster): (&str, Roster),
        address: SocketAddr,
        visitor: Visitor,
        health: LiveHealth,
    ) -> Result<Self> {
        let id = roster.own();
        let store = RedisPermits::new(url, &id, address).context("--live")?;
        tracing::info!(node = id, "limits are kept together with other nodes");
        let (stop, stopped) = bounded(0);
        let (seen, members) = bounded(1);
        let graves = RedisPermits::new(url, &id, address).context("--live")?;
        let (tick_stopped, tick_visitor) = (stopped.clone(), visitor.clone());
        let graveyard = roster.clone();
        let keeper = Keeper {
            store,
            id,
            name: name.to_owned(),
            visitor,
            roster,
            health,
            seen,
            outages: 0,
            away: false,
        };
        let threads = [
            spawn("permits", move || keeper.run(&stopped)),
            spawn("permits-lease", move || {
                extend_leases(&tick_stopped, &tick_visitor);
            }),
            // Ends with the keeper.
            spawn("permits-watch", move || {
                look_after(&members, graves, &graveyard);
            }),
        ];
        Ok(Self {
            stop: Some(stop),
            threads: threads.into_iter().collect::<Result<_>>()?,
        })
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name(name.into()).spawn(run);
    thread.context("no thread for permits")
}

impl Drop for Permits {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread for permits had panicked");
            }
        }
    }
}

struct Keeper {
    store: RedisPermits,
    id: String,
    name: String,
    visitor: Visitor,
    roster: Roster,
    health: LiveHealth,
    /// To the thread that looks after the others.
    seen: Sender<Seen>,
    /// How often the store did not answer.
    outages: u64,
    /// Whether the store did not answer last time.
    away: bool,
}

impl Keeper {
    fn run(mut self, stopped: &Receiver<()>) {
        while stopped.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
            let claims =
                self.visit(|now, machine, _| (machine.switch.claims(now), (now, Instant::now())));
            if let Some((claims, clock)) = claims {
                self.renew(&claims, clock);
            }
        }
        if let Err(error) = self.store.leave() {
            tracing::warn!(%error, "the other nodes are not told that this one leaves");
        }
    }

    /// Asks the store; `clock` is a moment by both our clocks.
    fn renew(&mut self, claims: &[Claim], (time, at): (Time, Instant)) {
        let clock = || time + at.elapsed();
        let asked = clock();
        let renewed = self.store.renew(claims);
        let answered = clock();
        self.health.0.up.store(renewed.is_ok(), Ordering::Relaxed);
        match renewed {
            Ok(Renewed::Granted {
                grants,
                lacked,
                members,
            }) => {
                if self.away {
                    tracing::info!("the live store is back");
                    self.away = false;
                }
                if let Some(own) = members.iter().find(|member| member.id == self.id) {
                    // Each renewal is stamped with the store's clock.
                    let beat = Time::from_micros(own.beat);
                    self.health.note_clock((asked, answered), beat);
                }
                let ahead = self.health.clock_ahead();
                self.visit(move |now, machine, _| {
                    machine.switch.set_clock_ahead(ahead);
                    machine.switch.take_grants(now, &grants, lacked);
                });
                *self.health.lock() = members.iter().map(|m| m.address.ip()).collect();
                self.roster.update(&members);
                self.show(members);
            }
            Ok(Renewed::Buried) => self.join_again(),
            Err(error) => self.go_on(&error),
        }
    }

    /// The store does not answer: what is held is held.
    fn go_on(&mut self, error: &StoreError) {
        if !self.away {
            tracing::warn!(%error, "the live store is away; limits are what this node holds of them");
        }
        self.away = true;
        self.outages += 1;
        self.visit(|now, machine, _| machine.switch.go_on_with_shares(now));
    }

    /// Others took this node for dead, and have what it held.
    fn join_again(&mut self) {
        tracing::error!(node = self.id, "taken for dead; joining anew");
        self.visit(|now, machine, _| {
            machine.switch.give_up_shares(now);
            machine.switch.repeat_claims();
        });
        if let Ok(id) = self.roster.rejoin(&self.name) {
            self.store.rename(&id);
            self.id = id;
        }
    }

    fn show(&self, mut members: Vec<Member>) {
        members.retain(|member| member.id != self.id);
        // Who is busy with the last ones sees the next.
        let _ = self.seen.try_send(Seen {
            others: members,
            outages: self.outages,
        });
    }

    /// Runs something on the `sip` thread; `None` if it has no time, or has ended.
    fn visit<T: Send + 'static>(
        &self,
        visit: impl FnOnce(Time, &mut SwitchMachine, &mut SwitchHost) -> T + Send + 'static,
    ) -> Option<T> {
        self.visitor.wait(VISIT_PATIENCE, visit)
    }
}

/// Comes by, so that the switch goes on with what it has. This thread waits for nobody.
fn extend_leases(stopped: &Receiver<()>, visitor: &Visitor) {
    while stopped.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
        // A switch that has no time for this visit has it for one of the next.
        let _ = visitor.tell(|now, machine, _| machine.switch.extend_lease(now));
    }
}

/// The other nodes by an answer of the store.
#[derive(Debug)]
struct Seen {
    others: Vec<Member>,
    /// How often the store had not answered until then.
    outages: u64,
}

/// Buries the dead. To knock takes a while, and so may the store.
fn look_after(members: &Receiver<Seen>, mut store: impl PermitStore, roster: &Roster) {
    let begun = Instant::now();
    let (mut watch, mut outages) = (Watch::new(), 0);
    while let Ok(seen) = members.recv() {
        if outages != seen.outages {
            outages = seen.outages;
            watch.forget();
        }
        let now = Time::ZERO + begun.elapsed();
        for silent in watch.look(now, &seen.others) {
            if !watch.handle_door(now, &silent, knock(silent.address)) {
                continue;
            }
            let dead = silent;
            match store.bury(&dead) {
                Ok(true) => {
                    roster.note_buried([&dead.id]);
                    tracing::warn!(node = dead.id, "is dead; its permits are free");
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, node = dead.id, "is dead, and not yet buried"),
            }
        }
    }
}

/// Goes and sees who is at a member's address.
pub(crate) fn knock(address: SocketAddr) -> Door {
    let mut door = match TcpStream::connect_timeout(&address, KNOCK_PATIENCE) {
        Ok(door) => door,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Door::Nobody,
        Err(_) => return Door::Silence,
    };
    // The system opens for a process that is stopped, and the API for a switch that hangs: so what
    // is asked is answered by the switch. Whatever comes back otherwise, if it be only that this is
    // not understood, is a sign of life.
    let mut answer = [0; SWITCH_HANGS.len()];
    let asked = door
        .set_read_timeout(Some(ANSWER_PATIENCE))
        .and_then(|()| door.write_all(b"GET /readyz HTTP/1.0\r\n\r\n"))
        .and_then(|()| door.read_exact(&mut answer));
    match asked.map_err(|error| error.kind()) {
        Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => Door::Stopped,
        Ok(()) if answer == *SWITCH_HANGS => Door::Stopped,
        _ => Door::Open,
    }
}

/// What an API says whose switch has not answered.
const SWITCH_HANGS: &[u8; 12] = b"HTTP/1.0 504";
const UNKNOWN: i64 = i64::MIN;
/// How far clocks may differ before that is worth a warning, in microseconds.
const SKEW_US_MAX: u64 = 1_000_000;
/// Between two renewals.
const ROUND: Duration = Duration::from_millis(200);
/// How long the switch may take to say what it claims.
const VISIT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a knock takes at most.
const KNOCK_PATIENCE: Duration = Duration::from_millis(300);
/// How long somebody who listens may take for an answer.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
