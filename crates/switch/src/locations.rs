//! Bindings that nodes of a cluster share: what the machine is told of the others and tells them.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};

use clock::Time;
use registrar::{BindingId, Change, Heir, PeerId, Record};

use crate::Switch;
use crate::passage::Passage;

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name and a number of this start of it.
    pub name: Box<str>,
    /// Where it takes SIP over UDP; `None` if it does not.
    pub udp: Option<SocketAddr>,
    /// Where it takes SIP over TCP; `None` if it does not.
    pub tcp: Option<SocketAddr>,
}

/// Among whom bindings are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// The nodes of a cluster, which are in one network: what one reaches, each reaches.
    Cluster,
    /// The servers of an array, which may be far from each other: a phone is reached by its own.
    Array,
}

/// The nodes that share bindings.
#[derive(Debug)]
pub(crate) struct Peers {
    /// What this node is called among them.
    name: Box<str>,
    /// By their numbers.
    others: Vec<Peer>,
    /// Those that do not live any more.
    dead: BTreeSet<PeerId>,
    /// Those that cannot be reached at present: their phones are not called.
    away: BTreeSet<PeerId>,
    among: Among,
}

impl Peers {
    pub(crate) fn get(&self, peer: PeerId) -> Option<&Peer> {
        self.others.get(peer.index())
    }

    pub(crate) fn is_dead(&self, peer: PeerId) -> bool {
        self.dead.contains(&peer)
    }

    pub(crate) fn is_away(&self, peer: PeerId) -> bool {
        self.away.contains(&peer)
    }

    /// Whether what one node reaches is in the same network as the others.
    pub(crate) fn are_near(&self) -> bool {
        self.among == Among::Cluster
    }
}

impl Switch {
    /// From now on this node, by this name, shares its bindings with others, and sends on what they
    /// have for phones of its own. `own` are the addresses at which they find it, which may be
    /// others than peers outside are told.
    pub fn share_locations(&mut self, name: &str, own: Vec<SocketAddr>, among: Among) {
        if let Some(peers) = &mut self.peers {
            peers.name = name.into();
            return;
        }
        self.peers = Some(Peers {
            name: name.into(),
            others: Vec::new(),
            dead: BTreeSet::new(),
            away: BTreeSet::new(),
            among,
        });
        let mut passage = Passage::new(&self.cluster_key, self.seed);
        passage.hops.set_inner(own);
        for listener in self.listeners.all() {
            passage.hops.set(listener);
        }
        self.passage = Some(passage);
        self.registrar.share(rank_of(name));
    }

    /// The number of another node, which is told or told anew.
    pub fn set_peer(&mut self, peer: Peer) -> Option<PeerId> {
        let others = &mut self.peers.as_mut()?.others;
        let known = others.iter().position(|other| other.name == peer.name);
        let index = known.unwrap_or(others.len());
        let id = PeerId::from_index(index)?;
        match others.get_mut(index) {
            Some(other) => *other = peer,
            None => others.push(peer),
        }
        Some(id)
    }

    /// Another node is dead.
    pub fn lose_peer(&mut self, peer: PeerId) {
        if let Some(peers) = &mut self.peers {
            peers.dead.insert(peer);
        }
    }

    /// Another node cannot be reached at present.
    pub fn miss_peer(&mut self, peer: PeerId) {
        if let Some(peers) = &mut self.peers {
            peers.away.insert(peer);
        }
    }

    /// Another node can be reached again.
    pub fn find_peer(&mut self, peer: PeerId) {
        if let Some(peers) = &mut self.peers {
            peers.away.remove(&peer);
        }
    }

    /// Whether an address is that of another node, which is not to be held to account for what it
    /// passes on.
    pub(crate) fn is_peer(&self, address: IpAddr) -> bool {
        let Some(peers) = &self.peers else {
            return false;
        };
        let is_at = |at: Option<SocketAddr>| at.is_some_and(|at| at.ip() == address);
        let mut others = peers.others.iter();
        others.any(|other| is_at(other.udp) || is_at(other.tcp))
    }

    /// What the others are to be told; see [`registrar::Registrar::tell_changes`].
    pub fn tell_locations(&mut self, max: usize, tell: impl FnMut(Change<'_>)) {
        self.registrar.tell_changes(max, tell);
    }

    /// Whether not all has been passed on yet of what was there when everything was to be told.
    #[must_use]
    pub fn is_telling_all_locations(&self) -> bool {
        self.registrar.is_telling_all()
    }

    /// Everything is told again.
    pub fn tell_all_locations(&mut self) {
        self.registrar.share_all();
    }

    /// Whether everything has to be told again because nobody came for too long.
    #[must_use]
    pub fn has_dropped_locations(&self) -> bool {
        self.registrar.has_dropped_ends()
    }

    /// A binding as its holder tells it.
    pub fn hear_location(&mut self, now: Time, from: PeerId, record: &Record) {
        if self.registrar.hear(now, from, record).is_err() {
            self.counters.locations_refused += 1;
        }
        self.pump(now);
    }

    /// A binding has ended.
    pub fn hear_location_end(&mut self, now: Time, binding: BindingId, version: u64) {
        self.registrar.hear_end(binding, version);
        self.pump(now);
    }

    /// A node has given up what it had taken over; see [`registrar::Registrar::hear_given_up`].
    pub fn hear_location_given_up(&mut self, now: Time, binding: BindingId, version: u64) {
        self.registrar.hear_given_up(binding, version);
        self.pump(now);
    }

    /// Everything that a node holds is about to be heard.
    pub fn begin_look(&mut self) {
        self.registrar.begin_look();
    }

    /// Everything that a node holds was heard; see [`registrar::Registrar::end_look`].
    pub fn end_look(&mut self, now: Time, peer: PeerId, from: u32) -> Option<u32> {
        let next = self.registrar.end_look(peer, from);
        self.pump(now);
        next
    }

    /// Takes over from nodes that are dead; see [`registrar::Registrar::inherit`].
    pub fn inherit_locations(
        &mut self,
        now: Time,
        from: u32,
        heir: impl Fn(PeerId, BindingId) -> Heir,
    ) -> Option<u32> {
        let listeners = &self.listeners;
        let next = self
            .registrar
            .inherit(now, from, heir, |flow| listeners.in_place_of(flow));
        self.pump(now);
        next
    }

    /// What the node is called that holds a binding.
    pub(crate) fn holder_name(&self, holder: Option<PeerId>) -> &str {
        let Some(peers) = &self.peers else {
            return &self.node;
        };
        match holder {
            None => &peers.name,
            Some(peer) => peers.get(peer).map_or("", |peer| &peer.name),
        }
    }
}

/// A number for a name, which differs between nodes: their names end with random digits.
fn rank_of(name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() as u32
}
