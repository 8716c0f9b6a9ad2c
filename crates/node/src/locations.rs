//! The thread that shares bindings with the other nodes by way of the live store.
//!
//! Nothing on the call path waits for it: the switch has all bindings of the cluster in its memory.
//! Some twenty times a second this thread fetches what has changed here, tells it, and brings what
//! the others have told. While the store does not answer, changes wait in the switch, each binding
//! once; registrations go on.

mod look;
mod marks;
mod succession;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clock::Time;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use registrar::{Change, End};
use sip::Transport;
use store::{
    ArrayLocations, Exchanged, HeardChange, KnownNode, Location, LocationChange, LocationEnd,
    LocationEndKind, LocationNode, LocationStore, RedisLocations, Rest, StoreError,
};
use switch::Among;

use self::look::Peers;
use self::marks::Marks;
use crate::host::SwitchHost;
use crate::machine::SwitchMachine;
use crate::roster::Roster;
use crate::visit::Visitor;

/// The thread; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Locations {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How sharing goes, for metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocationHealth(Arc<Health>);

#[derive(Debug, Default)]
struct Health {
    told: AtomicU64,
    heard: AtomicU64,
    rounds: AtomicU64,
    is_complete: AtomicBool,
}

impl LocationHealth {
    /// Changes of bindings told to other nodes.
    pub(crate) fn told(&self) -> u64 {
        self.0.told.load(Ordering::Relaxed)
    }

    /// Changes of bindings heard from other nodes.
    pub(crate) fn heard(&self) -> u64 {
        self.0.heard.load(Ordering::Relaxed)
    }

    /// How often this node had heard everything that there was to hear.
    pub(crate) fn rounds(&self) -> u64 {
        self.0.rounds.load(Ordering::Relaxed)
    }

    /// Whether the store has all that this node holds, and this node has all that others hold.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.is_complete.load(Ordering::Relaxed)
    }
}

impl Locations {
    /// Shares bindings by way of the live store at `url`, as the node of this roster whose API is
    /// at `place`. `key_print` tells its key of the cluster from others.
    pub(crate) fn start(
        url: &str,
        known: (Roster, std::net::SocketAddr, String),
        net: net::Net,
        visitor: Visitor,
        health: LocationHealth,
    ) -> Result<Self> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).context("the system gives no random numbers")?;
        let store = RedisLocations::new(url, u64::from_le_bytes(seed)).context("--live")?;
        Self::by(Box::new(store), Among::Cluster, known, net, visitor, health)
    }

    /// Shares bindings with the other servers of an array, as the one whose part this is; else as
    /// [`Locations::start`].
    pub(crate) fn start_in_array(
        array: ArrayLocations,
        known: (Roster, std::net::SocketAddr, String),
        net: net::Net,
        visitor: Visitor,
        health: LocationHealth,
    ) -> Result<Self> {
        Self::by(Box::new(array), Among::Array, known, net, visitor, health)
    }

    fn by(
        store: Box<dyn LocationStore>,
        among: Among,
        (roster, place, key_print): (Roster, std::net::SocketAddr, String),
        net: net::Net,
        visitor: Visitor,
        health: LocationHealth,
    ) -> Result<Self> {
        let (stop, stopped) = bounded(0);
        let us = LocationNode {
            id: String::new(),
            place,
            udp: None,
            tcp: None,
            filled: String::new(),
            key_print,
        };
        let keeper = Keeper {
            store,
            among,
            peers: Peers::default(),
            roster,
            net,
            visitor,
            health,
            us,
            pending: Vec::new(),
            basket: Arc::default(),
            marks: Marks::default(),
            era: String::new(),
            filling: Filling::Marking,
            fillings: 0,
            is_away: false,
            behind_since: Some(Instant::now()),
        };
        let thread = thread::Builder::new()
            .name("locations".into())
            .spawn(move || keeper.run(&stopped))
            .context("no thread for locations")?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Locations {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread for locations had panicked");
        }
    }
}

/// How far this node's shelf in the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    /// The others are about to be told that it is not complete.
    Marking,
    /// It is being filled.
    Under,
    /// It has all.
    Done,
}

/// When the next round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    AtOnce,
    InTurn,
}

struct Keeper {
    store: Box<dyn LocationStore>,
    among: Among,
    peers: Peers,
    roster: Roster,
    net: net::Net,
    visitor: Visitor,
    health: LocationHealth,
    us: LocationNode,
    /// Taken from the switch, and perhaps not told yet.
    pending: Vec<LocationChange>,
    /// Where the switch puts what it has to tell: what is taken from it must not get lost when it
    /// comes later than it was waited for.
    basket: Arc<Mutex<Vec<LocationChange>>>,
    /// What we have removed and others may still have.
    marks: Marks,
    /// The era of the last exchange.
    era: String,
    filling: Filling,
    /// Tells one filling from the next.
    fillings: u64,
    /// Whether the store did not answer last time.
    is_away: bool,
    /// Since when there is something to hear before anything is told: what this node believes may be
    /// no longer so. Nothing is held back for long.
    behind_since: Option<Instant>,
}

impl Keeper {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut wait = ROUND;
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            wait = match self.round() {
                Next::AtOnce => Duration::ZERO,
                Next::InTurn => ROUND,
            };
        }
        // What has changed last.
        self.round();
    }

    fn round(&mut self) -> Next {
        if !self.is_joined() {
            return Next::InTurn;
        }
        if self.pending.is_empty() {
            self.collect();
        }
        let count = match self.behind_since {
            Some(_) => 0,
            None => self.pending.len().min(PORTION),
        };
        let told = self.pending.get(..count).unwrap_or_default();
        let done = match self.store.exchange(&self.us, told) {
            Ok(Exchanged::Heard {
                era,
                changes,
                rest,
                nodes,
            }) => {
                self.pending.drain(..count);
                self.health
                    .0
                    .told
                    .fetch_add(count as u64, Ordering::Relaxed);
                self.take(era, changes, rest, &nodes).map(|()| {
                    let is_looking = self.peers.is_looking();
                    match count >= PORTION || rest == Rest::More || is_looking {
                        true => Next::AtOnce,
                        false => Next::InTurn,
                    }
                })
            }
            // Permits will join under another name.
            Ok(Exchanged::Buried) => Ok(Next::InTurn),
            Err(error) => Err(error),
        };
        done.unwrap_or_else(|error| {
            self.go_on(&error);
            Next::InTurn
        })
    }

    /// Takes in what an exchange has brought, and does what follows from it.
    fn take(
        &mut self,
        era: String,
        changes: Vec<HeardChange>,
        rest: Rest,
        nodes: &[KnownNode],
    ) -> Result<(), StoreError> {
        if self.is_away {
            tracing::info!("the live store takes locations again");
            self.is_away = false;
        }
        let heard = changes.len() as u64;
        self.health.0.heard.fetch_add(heard, Ordering::Relaxed);
        let is_new_era = era != self.era;
        if is_new_era {
            tracing::info!(era, "sharing locations from the start");
            self.era = era;
            self.fall_behind();
            // The store may have forgotten anything.
            self.begin_filling();
        }
        self.take_nodes(nodes, is_new_era);
        self.hear(changes);
        if rest == Rest::Lost {
            self.fall_behind();
            self.peers.look_again();
        }
        if rest != Rest::More {
            self.look_and_inherit()?;
        }
        let has_caught_up = rest == Rest::Nothing && !self.peers.has_to_look(&self.era);
        if has_caught_up {
            self.health.0.rounds.fetch_add(1, Ordering::Relaxed);
        }
        let waits = |since: &Instant| !has_caught_up && since.elapsed() < CATCH_UP_MAX;
        self.behind_since = self.behind_since.filter(waits);
        match self.behind_since {
            Some(_) => Ok(()),
            None => self.fill(),
        }
    }

    /// Takes over the name that this node has among the others, and its addresses; whether the switch
    /// was told.
    fn is_joined(&mut self) -> bool {
        if self.among == Among::Cluster && !self.roster.is_member() {
            // Nobody would notice its death, and inherit what it has told.
            return false;
        }
        let id = self.roster.own();
        let address = |transport| {
            let all = self.net.listeners();
            let status = all.iter().find(|s| s.spec.transport == transport)?;
            let mut address = status.local;
            if address.ip().is_unspecified() {
                address.set_ip(self.us.place.ip());
            }
            Some(address)
        };
        (self.us.udp, self.us.tcp) = (address(Transport::Udp), address(Transport::Tcp));
        if self.us.id == id {
            return true;
        }
        let name = id.clone();
        let own = [self.us.udp, self.us.tcp].into_iter().flatten().collect();
        let among = self.among;
        let told = self.visit(move |_, machine, _| {
            machine.switch.share_locations(&name, own, among);
        });
        if told.is_some() {
            // All that is there will be told anew.
            self.pending
                .retain(|change| matches!(change, LocationChange::Ended(_)));
            self.fall_behind();
            self.us.id = id;
            self.begin_filling();
            self.peers.look_again();
        }
        told.is_some()
    }

    /// Fetches what has changed here.
    fn collect(&mut self) {
        let now_us = self.net.clock().now().as_micros();
        let old = self.marks.drop_old(now_us);
        self.pending.extend(old.map(LocationChange::Ended));
        let basket = Arc::clone(&self.basket);
        let has_dropped = self.visit(move |_, machine, _| {
            let mut basket = basket.lock().unwrap_or_else(PoisonError::into_inner);
            machine
                .switch
                .tell_locations(PORTION, |change| basket.push(as_told(change)));
            machine.switch.has_dropped_locations()
        });
        let mut basket = self.basket.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *basket);
        drop(basket);
        let marked = taken
            .into_iter()
            .map(|change| self.marks.note(change, now_us));
        self.pending.extend(marked);
        if has_dropped == Some(true) {
            self.begin_filling();
        }
    }

    fn begin_filling(&mut self) {
        self.us.filled.clear();
        self.filling = Filling::Marking;
    }

    /// Brings this node's shelf nearer to completeness.
    fn fill(&mut self) -> Result<(), StoreError> {
        match self.filling {
            Filling::Marking => {
                // The others know that it is not complete.
                self.store.clear(&self.us)?;
                let told = self.visit(|_, machine, _| machine.switch.tell_all_locations());
                if told.is_some() {
                    let marks = self.marks.all().map(LocationChange::Ended);
                    self.pending.extend(marks);
                    self.filling = Filling::Under;
                }
            }
            Filling::Under => {
                // What changes meanwhile is told to everybody as it happens.
                let tells = self.visit(|_, machine, _| machine.switch.is_telling_all_locations());
                if tells == Some(false) && self.pending.is_empty() {
                    self.fillings += 1;
                    self.us.filled = format!("{}#{}", self.era, self.fillings);
                    self.filling = Filling::Done;
                }
            }
            Filling::Done => {}
        }
        let is_complete = self.filling == Filling::Done && self.peers.is_looked_at();
        self.health
            .0
            .is_complete
            .store(is_complete, Ordering::Relaxed);
        Ok(())
    }

    /// The store does not answer.
    fn go_on(&mut self, error: &StoreError) {
        if !self.is_away {
            tracing::warn!(%error, "the live store is away; registrations are known here only");
        }
        self.is_away = true;
        self.behind_since = None;
        self.fall_behind();
    }

    /// Something may have been missed.
    fn fall_behind(&mut self) {
        self.behind_since.get_or_insert_with(Instant::now);
        self.health.0.is_complete.store(false, Ordering::Relaxed);
    }

    /// Runs something on the `sip` thread; `None` if it has no time, or has ended.
    fn visit<T: Send + 'static>(
        &self,
        visit: impl FnOnce(Time, &mut SwitchMachine, &mut SwitchHost) -> T + Send + 'static,
    ) -> Option<T> {
        self.visitor.wait(VISIT_PATIENCE, visit)
    }
}

fn as_told(change: Change<'_>) -> LocationChange {
    match change {
        Change::Saved { state, version } => LocationChange::Saved(Location {
            key: state.key,
            version,
            expires_us: state.expires_us,
            aor: state.aor.to_owned(),
            body: state.body.to_vec(),
        }),
        Change::Ended(gone) => LocationChange::Ended(LocationEnd {
            key: gone.binding.bits().to_be_bytes(),
            version: gone.version,
            until_us: match gone.end {
                End::GivenUp => GIVEN_UP_US,
                _ => gone.until_us,
            },
            kind: match gone.end {
                End::Ended | End::GivenUp => LocationEndKind::Ended,
                End::Removed => LocationEndKind::Removed,
                End::Yielded => LocationEndKind::Yielded,
            },
        }),
    }
}

/// Since when something is so, if it is.
fn since(before: Option<Instant>, is_so: impl Into<Option<()>>) -> Option<Instant> {
    is_so.into().map(|()| before.unwrap_or_else(Instant::now))
}

/// Until when an end counts that is to be held against nobody.
const GIVEN_UP_US: u64 = 0;
/// Between two exchanges while little happens.
const ROUND: Duration = Duration::from_millis(50);
/// Bindings in one exchange: a millisecond or two of the store's time.
const PORTION: usize = 500;
/// How long this node listens at most before it tells something: with a million bindings to look
/// through, new ones would wait for long.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);
/// How long the switch may take for one visit.
const VISIT_PATIENCE: Duration = Duration::from_secs(2);
