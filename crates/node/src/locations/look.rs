//! What the other nodes have: heard as it happens, or looked for on their shelves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use registrar::{BindingId, PeerId, Record};
use store::{HeardChange, KnownNode, LocationChange, LocationNode, StoreError};
use switch::Peer;

use super::marks::Against;
use super::succession::Succession;
use super::{GIVEN_UP_US, Keeper, since};

/// The other nodes, by their ids.
#[derive(Debug, Default)]
pub(super) struct Peers {
    pub(super) known: BTreeMap<String, Known>,
    /// The shelf that is being looked through.
    looking: Option<Looking>,
    /// Whose shelf was looked through, and is to be compared with what the switch has.
    compare: Option<String>,
    /// Nodes that are not thought of any more: what they held has other holders, or is gone.
    gone: Vec<PeerId>,
    /// What was made of the dead last, and when.
    pub(super) inherited: Option<(Succession, Instant)>,
}

/// How far a look at a shelf is.
#[derive(Debug)]
struct Looking {
    id: String,
    peer: PeerId,
    /// How the shelf is marked.
    filled: String,
    /// The part that is next, by the store's name for it.
    from: u64,
    bindings: usize,
}

/// Another node, as it was seen last.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: PeerId,
    pub(super) node: LocationNode,
    /// Since when it is known to be dead.
    pub(super) dead: Option<Instant>,
    /// Whether the switch takes it for out of reach at present.
    is_away: bool,
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
        self.looking = None;
        self.compare = None;
        for known in self.known.values_mut() {
            known.looked = None;
        }
    }

    /// Whether a node is known to be dead.
    fn is_dead(&self, peer: PeerId) -> bool {
        let mut known = self.known.values();
        known.any(|known| known.id == peer && known.dead.is_some())
    }

    /// Whether a look is under way.
    pub(super) fn is_looking(&self) -> bool {
        self.looking.is_some()
    }

    /// Whether a look is under way, or due.
    pub(super) fn has_to_look(&self, era: &str) -> bool {
        self.looking.is_some() || self.next(era).is_some()
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
    fn next(&self, era: &str) -> Option<String> {
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
        let (mut died, mut moved) = (Vec::new(), Vec::new());
        for KnownNode {
            node,
            is_buried,
            is_away,
        } in nodes
        {
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
                if *is_buried && known.dead.is_none() {
                    died.push(known.id);
                }
                known.dead = since(known.dead, is_buried.then_some(()));
                if known.is_away != *is_away {
                    moved.push((node.id.clone(), *is_away));
                }
                known.node = node.clone();
            }
        }
        for peer in died {
            let marks = self.marks.inherit(peer);
            self.pending.extend(marks);
            self.visit(move |_, machine, _| machine.switch.lose_peer(peer));
        }
        for (id, is_away) in moved {
            self.note_reach(&id, is_away);
        }
        let is_there = |id: &str| nodes.iter().any(|known| known.node.id == id);
        for (id, known) in &mut self.peers.known {
            known.absent = since(known.absent, (!is_there(id)).then_some(()));
        }
        let gone = &mut self.peers.gone;
        self.peers.known.retain(|_, known| {
            let is_there = known.absent.is_none_or(|at| at.elapsed() < KEPT_FOR);
            if !is_there {
                gone.push(known.id);
            }
            is_there
        });
        let compared = self.peers.compare.take().filter(|_| !is_new_era);
        if let Some(known) = compared.and_then(|id| self.peers.known.get_mut(&id)) {
            let peer = known.id;
            if known.looked.as_ref() == Some(&known.node.filled) {
                self.forget_the_rest(peer);
            } else {
                // It has changed in between: what was seen says nothing of what is gone.
                known.looked = None;
            }
        }
        if self.peers.looking.is_none() && self.peers.compare.is_none() {
            for peer in std::mem::take(&mut self.peers.gone) {
                self.visit(|_, machine, _| machine.switch.begin_look());
                self.forget_the_rest(peer);
            }
        }
    }

    /// Another node went out of reach, or came back.
    fn note_reach(&mut self, id: &str, is_away: bool) {
        let Some(peer) = self.peers.known.get(id).map(|known| known.id) else {
            return;
        };
        let told = self.visit(move |_, machine, _| match is_away {
            true => machine.switch.miss_peer(peer),
            false => machine.switch.find_peer(peer),
        });
        // Else it is told with the next exchange.
        if let Some(known) = self.peers.known.get_mut(id).filter(|_| told.is_some()) {
            known.is_away = is_away;
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
            is_away: false,
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
            let known = self.peers.known.get(&stranger.id).map(|known| known.id);
            let Some(peer) = known.or_else(|| self.meet(&stranger)) else {
                continue;
            };
            if self.admits(peer, &change) {
                portion.push((peer, change));
            }
            if portion.len() >= VISIT_PORTION {
                self.pass(std::mem::take(&mut portion));
            }
        }
        self.pass(portion);
    }

    /// Whether a change is to be believed. If we know better, whoever tells of it hears so.
    fn admits(&mut self, from: PeerId, change: &LocationChange) -> bool {
        let now_us = self.net.clock().now().as_micros();
        match change {
            LocationChange::Ended(end) => {
                self.marks.hear(from, *end, now_us);
                true
            }
            LocationChange::Saved(location) => match self.marks.against(location) {
                None => true,
                Some(Against::Theirs) => false,
                Some(Against::Ours(end)) => {
                    self.pending.push(LocationChange::Ended(end));
                    false
                }
            },
        }
    }

    fn pass(&mut self, portion: Vec<(PeerId, LocationChange)>) {
        if portion.is_empty() {
            return;
        }
        let passed = self.visit(move |now, machine, _| {
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
                        match end.until_us {
                            GIVEN_UP_US => {
                                machine.switch.hear_location_given_up(now, id, end.version);
                            }
                            _ => machine.switch.hear_location_end(now, id, end.version),
                        }
                    }
                }
            }
        });
        if passed.is_none() {
            // It may not have been heard.
            self.fall_behind();
            self.peers.look_again();
        }
    }

    /// Looks through one shelf that is due, for a while; where none is, the dead are inherited.
    pub(super) fn look_and_inherit(&mut self) -> Result<(), StoreError> {
        let under_way = self.peers.looking.take().filter(|looking| {
            let known = self.peers.known.get(&looking.id);
            known.is_some_and(|known| known.node.filled == looking.filled)
        });
        let Some(mut looking) = under_way.or_else(|| self.begin_looking()) else {
            return self.inherit();
        };
        let until = Instant::now() + LOOK_TIME;
        loop {
            let (part, next) = self.store.look(&looking.id, looking.from)?;
            looking.bindings += part.len();
            looking.from = next;
            let is_last = next == 0;
            let is_paused = !is_last && Instant::now() >= until;
            let id = looking.id.clone();
            let (peer, filled, bindings) = (looking.peer, looking.filled.clone(), looking.bindings);
            self.peers.looking = Some(looking);
            for portion in part.chunks(VISIT_PORTION) {
                let admitted = portion.iter().filter(|change| self.admits(peer, change));
                let admitted = admitted.map(|change| (peer, change.clone())).collect();
                self.pass(admitted);
            }
            // Unless it has to begin anew.
            let Some(same) = self.peers.looking.take() else {
                return Ok(());
            };
            looking = same;
            if is_last {
                tracing::info!(node = id, bindings, "looked at what another node holds");
                self.end_looking(id, filled);
                if self.peers.is_dead(peer) {
                    let marks = self.marks.inherit(peer);
                    self.pending.extend(marks);
                }
                return Ok(());
            }
            if is_paused {
                self.peers.looking = Some(looking);
                return Ok(());
            }
        }
    }

    fn begin_looking(&mut self) -> Option<Looking> {
        let id = self.peers.next(&self.era)?;
        let known = self.peers.known.get(&id)?;
        let looking = Looking {
            peer: known.id,
            filled: known.node.filled.clone(),
            from: 0,
            bindings: 0,
            id,
        };
        self.visit(|_, machine, _| machine.switch.begin_look())?;
        Some(looking)
    }

    fn end_looking(&mut self, id: String, filled: String) {
        if let Some(known) = self.peers.known.get_mut(&id) {
            known.looked = Some(filled);
            let lives = known.dead.is_none();
            self.peers.compare = lives.then_some(id);
        }
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
/// How long one look goes on before the others are heard again.
const LOOK_TIME: Duration = Duration::from_millis(20);
/// Bindings that one visit brings: some tenths of a millisecond.
const VISIT_PORTION: usize = 128;
