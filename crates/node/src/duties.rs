//! The thread that agrees with other nodes on who registers at which carrier.
//!
//! A registration is its node's until that gives it up, leaves, or is dead by the evidence of the
//! permits; then whoever asks first has it. While the live store is away all stays as it is; a node
//! that has never heard of it registers everywhere after a while, for carriers must find somebody.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use model::GatewayId;
use store::{Owned, RedisDuties};
use switch::{Duty, Held};

use crate::roster::Roster;
use crate::visit::Visitor;

/// The thread; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Duties {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Duties {
    /// Agrees by way of the live store at `url`. `roster` says who this node is.
    pub(crate) fn start(url: &str, roster: Roster, visitor: Visitor) -> Result<Self> {
        let store = RedisDuties::new(url).context("--live")?;
        let (stop, stopped) = bounded(0);
        let keeper = Keeper {
            store,
            roster,
            visitor,
            owned: BTreeSet::new(),
            began: Instant::now(),
            has_heard: false,
        };
        let thread = thread::Builder::new()
            .name("duties".into())
            .spawn(move || keeper.run(&stopped))
            .context("no thread for registrations at carriers")?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Duties {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread for registrations at carriers had panicked");
        }
    }
}

struct Keeper {
    store: RedisDuties,
    roster: Roster,
    visitor: Visitor,
    /// What the store has as this node's.
    owned: BTreeSet<GatewayId>,
    began: Instant,
    /// Whether the store has ever answered.
    has_heard: bool,
}

impl Keeper {
    fn run(mut self, stopped: &Receiver<()>) {
        while stopped.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
            self.round();
        }
    }

    fn round(&mut self) {
        let duties = self
            .visitor
            .wait(VISIT_PATIENCE, |now, machine, _| machine.switch.duties(now));
        let Some((wanted, present)) = duties else {
            return;
        };
        let keeps =
            |id: &GatewayId| present.contains(id) || wanted.iter().any(|duty| duty.gateway == *id);
        let given_up: Vec<GatewayId> = self.owned.iter().filter(|id| !keeps(id)).copied().collect();
        if wanted.is_empty() && given_up.is_empty() && self.owned.is_empty() {
            return;
        }
        let names = |(id, note): (GatewayId, String)| (id.to_string(), note);
        let asked = wanted.iter().map(|duty| (duty.gateway, duty.note.clone()));
        let asked: Vec<(String, String)> = asked.map(names).collect();
        let gone: Vec<String> = given_up.iter().map(ToString::to_string).collect();
        let us = self.roster.own();
        match self.store.claim(&us, &asked, &gone) {
            Ok(Some(owners)) => {
                self.has_heard = true;
                self.owned.retain(|id| !given_up.contains(id));
                self.take(&us, &wanted, owners);
            }
            // It joins anew, under another name, and has nothing until then; or it has not joined yet.
            Ok(None) if !self.owned.is_empty() => {
                tracing::error!("taken for dead; other nodes have its registrations at carriers");
                self.owned.clear();
                self.take(&us, &[], Vec::new());
            }
            Ok(None) => {}
            Err(error) if !self.has_heard && self.began.elapsed() >= ALONE_AFTER => {
                self.has_heard = true;
                tracing::warn!(%error, "no word of who registers at carriers; this node does");
                let alone = wanted.iter().map(|_| Owned {
                    owner: us.clone(),
                    note: String::new(),
                });
                self.take(&us, &wanted, alone.collect());
            }
            Err(_) => {}
        }
    }

    fn take(&mut self, us: &str, wanted: &[Duty], owners: Vec<Owned>) {
        let pairs = wanted.iter().zip(owners);
        let held = pairs.map(|(duty, Owned { owner, note })| {
            let held = match owner == us {
                true => Held::Here {
                    node: owner,
                    before: note,
                },
                false => Held::Elsewhere { node: owner, note },
            };
            (duty.gateway, held)
        });
        let held: BTreeMap<GatewayId, Held> = held.collect();
        let is_here = |held: &Held| matches!(held, Held::Here { .. });
        let here = held.iter().filter(|(_, held)| is_here(held));
        let here: BTreeSet<GatewayId> = here.map(|(id, _)| *id).collect();
        for gateway in here.difference(&self.owned) {
            tracing::info!(%gateway, "this node registers there");
        }
        self.owned.retain(|id| held.get(id).is_none_or(is_here));
        self.owned.extend(here);
        self.visitor.wait(VISIT_PATIENCE, move |now, machine, _| {
            machine.switch.take_duties(now, held);
        });
    }
}

/// Between two questions.
const ROUND: Duration = Duration::from_millis(300);
/// How long the switch may take to do what it is asked.
const VISIT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a node that starts waits for a live store that is away.
const ALONE_AFTER: Duration = Duration::from_secs(10);
