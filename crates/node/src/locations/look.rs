//! What the other nodes have: heard as it happens, or looked for on their shelves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use registrar::{BindingId, PeerId, Record};
use store::{HeardChange, KnownNode, LocationChange, LocationNode, StoreError};
use switch::Peer;

use super::succession::Succession;
use super::{Keeper, since};

/// The other nodes, by their ids.
#[derive(Debug, Default)]
pub(super) struct Peers {
    pub(super) known: BTreeMap<String, Known>,
    /// Whose shelf was looked through, and is to be compared with what the switch has.
    compare: Option<String>,
    /// What was made of the dead last, and when.
    pub(super) inherited: Option<(Succession, Instant)>,
}

/// Another node, as it was seen last.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: PeerId,
    pub(super) node: LocationNode,
    /// Since when it is known to be dead.
    pub(super) dead: Option<Instant>,
    /// Since when the store does not have it.
    pub(super) absent: Option<Instant>,
    /// How its shelf was marked when it was looked through.
    looked: Option<String>,
    /// Whether it was said that it has another key.
    is_reported: bool,
}

impl Peers {
    /// All shelves are to be looked through again.
    pub(super) fn look_again(&mut self) {
        self.compare = None;
        for known in self.known.values_mut() {
            known.looked = None;
        }
    }

    /// Whether there is no shelf to look through now.
    pub(super) fn is_looked_at(&self) -> bool {
        self.known.values().all(|known| {
            let is_gone = known.dead.is_some() || known.absent.is_some();
            is_gone || known.looked.as_ref() == Some(&known.node.filled)
        })
    }

    /// The next shelf to look through: those of the living as soon as they are complete; before them,
    /// and once, what the dead have left, so that of two equal states that of the living is known.
    pub(super) fn next(&self, era: &str) -> Option<String> {
        let is_due = |known: &&Known| match known.dead {
            None => {
                let filled = &known.node.filled;
                let is_of_era = filled.split('#').next() == Some(era) && !era.is_empty();
                is_of_era && known.looked.as_ref() != Some(filled)
            }
            Some(_) => known.looked.is_none(),
        };
        let due = self.known.values().filter(is_due);
        let next = due.max_by_key(|known| known.dead.is_some());
        next.map(|known| known.node.id.clone())
    }
}

impl Keeper {
    /// Takes over who the other nodes are.
    pub(super) fn take_nodes(&mut self, nodes: &[KnownNode], is_new_era: bool) {
        for KnownNode { node, is_buried } in nodes {
            if node.id == self.us.id {
                continue;
            }
            if self.meet(node).is_none() {
                continue;
            }
            if let Some(known) = self.peers.known.get_mut(&node.id) {
                if node.key_print != self.us.key_print && !known.is_reported {
                    known.is_reported = true;
                    tracing::error!(
                        node = node.id,
                        "has another cluster.key: calls to its phones will not get through"
                    );
                }
                known.dead = since(known.dead, is_buried.then_some(()));
                known.node = node.clone();
            }
        }
        let is_there = |id: &str| nodes.iter().any(|known| known.node.id == id);
        for (id, known) in &mut self.peers.known {
            known.absent = since(known.absent, (!is_there(id)).then_some(()));
        }
        let is_there = |known: &mut Known| known.absent.is_none_or(|at| at.elapsed() < KEPT_FOR);
        self.peers.known.retain(|_, known| is_there(known));
        let compared = self.peers.compare.take().filter(|_| !is_new_era);
        if let Some(known) = compared.and_then(|id| self.peers.known.get(&id))
            && known.looked.as_ref() == Some(&known.node.filled)
        {
            self.forget_the_rest(known.id);
        }
    }

    /// The number of another node; the switch is told of it if it is new or elsewhere.
    fn meet(&mut self, node: &LocationNode) -> Option<PeerId> {
        let known = self.peers.known.get(&node.id);
        if let Some(known) = known.filter(|k| k.node.udp == node.udp && k.node.tcp == node.tcp) {
            return Some(known.id);
        }
        let peer = Peer {
            name: node.id.as_str().into(),
            udp: node.udp,
            tcp: node.tcp,
        };
        let id = self.visit(move |_, machine, _| machine.switch.set_peer(peer))??;
        let entry = self.peers.known.entry(node.id.clone());
        let known = entry.or_insert_with(|| Known {
            id,
            node: node.clone(),
            dead: None,
            absent: None,
            looked: None,
            is_reported: false,
        });
        known.node = node.clone();
        Some(id)
    }

    /// Tells the switch what others have told.
    pub(super) fn hear(&mut self, changes: Vec<HeardChange>) {
        let mut portion = Vec::new();
        for HeardChange { from, change } in changes {
            let stranger = LocationNode {
                id: from,
                place: ([0; 4], 0).into(),
                udp: None,
                tcp: None,
                filled: String::new(),
                key_print: self.us.key_print.clone(),
            };
            self.contradict(&change);
            let known = self.peers.known.get(&stranger.id).map(|known| known.id);
            if let Some(peer) = known.or_else(|| self.meet(&stranger)) {
                portion.push((peer, change));
            }
            if portion.len() >= VISIT_PORTION {
                self.pass(std::mem::take(&mut portion));
            }
        }
        self.pass(portion);
    }

    /// Tells of the end again that somebody has not heard of.
    fn contradict(&mut self, change: &LocationChange) {
        if let LocationChange::Saved(location) = change
            && let Some(end) = self.marks.against(location)
        {
            self.pending.push(LocationChange::Ended(end));
        }
    }

    fn pass(&self, portion: Vec<(PeerId, LocationChange)>) {
        if portion.is_empty() {
            return;
        }
        self.visit(move |now, machine, _| {
            for (from, change) in portion {
                match change {
                    LocationChange::Saved(location) => {
                        let record = Record {
                            aor: location.aor.into(),
                            key: location.key,
                            expires_us: location.expires_us,
                            body: location.body,
                        };
                        machine.switch.hear_location(now, from, &record);
                    }
                    LocationChange::Ended(end) => {
                        let id = BindingId::from_bits(u64::from_be_bytes(end.key));
                        machine.switch.hear_location_end(now, id, end.version);
                    }
                }
            }
        });
    }

    /// Looks through one shelf that is due; where none is, the dead are inherited.
    pub(super) fn look_and_inherit(&mut self) -> Result<(), StoreError> {
        let Some(id) = self.peers.next(&self.era) else {
            return self.inherit();
        };
        let Some(known) = self.peers.known.get(&id) else {
            return Ok(());
        };
        let (peer, filled) = (known.id, known.node.filled.clone());
        self.visit(|_, machine, _| machine.switch.begin_look());
        let mut from = 0;
        let mut count = 0;
        loop {
            let (part, next) = self.store.look(&id, from)?;
            count += part.len();
            part.iter().for_each(|change| self.contradict(change));
            for portion in part.chunks(VISIT_PORTION) {
                self.pass(portion.iter().map(|c| (peer, c.clone())).collect());
            }
            if next == 0 {
                break;
            }
            from = next;
        }
        tracing::info!(
            node = id,
            bindings = count,
            "looked at what another node holds"
        );
        if let Some(known) = self.peers.known.get_mut(&id) {
            known.looked = Some(filled);
            let lives = known.dead.is_none();
            self.peers.compare = lives.then_some(id);
        }
        Ok(())
    }

    /// Of a node whose shelf was looked through, the switch forgets what is not there.
    fn forget_the_rest(&self, peer: PeerId) {
        let mut from = Some(0);
        while let Some(slot) = from {
            let next = self.visit(move |now, machine, _| machine.switch.end_look(now, peer, slot));
            from = next.flatten();
        }
    }
}

/// After what time a node is not thought of any more that the store does not have: others have all it
/// held.
const KEPT_FOR: Duration = Duration::from_secs(180);
/// Bindings that one visit brings: some tenths of a millisecond.
const VISIT_PORTION: usize = 128;
