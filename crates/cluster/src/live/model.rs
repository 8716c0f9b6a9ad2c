//! The live store as a value: what the scripts in Redis do, on maps.
//!
//! It is what a simulated cluster runs on, and what the scripts are compared with: the same
//! operations in the same order give the same answers, but for time and names of runs, which are
//! passed in. What Redis forgets after a day or more is kept here for ever.

mod calls;
mod permits;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;
use limits::{NodeShare, Pool};

pub use self::permits::{Late, Renewal};

/// All that nodes have in the live store. A copy of it is what a replica knows.
#[derive(Clone, Debug, Default)]
pub struct LiveModel {
    /// Which run of the server this is.
    run: u64,
    members: BTreeMap<String, Entry>,
    buried: BTreeSet<String>,
    /// Which run of the server was seen last, and since when.
    epoch: Option<(u64, Time)>,
    /// When somebody last went short of it.
    lacked: BTreeMap<Pool, Time>,
    pools: BTreeMap<Pool, BTreeMap<String, NodeShare>>,
    calls: BTreeMap<String, BTreeMap<u64, Vec<u8>>>,
    call_owners: BTreeSet<String>,
    /// The numbers of nodes' last words about their calls.
    told: BTreeMap<String, u64>,
    /// Calls of nobody that were given away, and when.
    given: BTreeMap<u64, Time>,
    /// Nodes that were taken out just after they may have permitted something, and when.
    dying: BTreeMap<String, Time>,
    /// Identities of calls that were taken over, and from whom.
    taken: BTreeSet<([u8; 16], String)>,
    /// Calls that others ask a node for, and until when.
    wanted: BTreeMap<String, (BTreeSet<u64>, Time)>,
}

/// What is known of a member.
#[derive(Clone, Copy, Debug)]
struct Entry {
    address: SocketAddr,
    beat: Time,
    /// Of its last question.
    number: u64,
}

impl LiveModel {
    /// An empty store.
    #[must_use]
    pub fn new(run: u64) -> Self {
        Self {
            run,
            ..Self::default()
        }
    }

    /// Everything is forgotten, by the same run of the server.
    pub fn flush(&mut self) {
        *self = Self::new(self.run);
    }

    /// The server is started again with what it has on disk, or another one takes over with what it
    /// had heard: it is another run.
    pub const fn restart(&mut self, run: u64) {
        self.run = run;
    }

    /// Takes a node out for good, if its last beat is still this one; whatever it is for `None`.
    /// Whether it was a member.
    pub fn bury(&mut self, node: &str, beat: Option<u64>) -> bool {
        let known = self.members.get(node).map(|entry| entry.beat.as_micros());
        if beat.is_some() && known != beat {
            return false;
        }
        self.buried.insert(node.to_owned());
        self.members.remove(node).is_some()
    }

    /// The same for one that may have permitted something a moment ago: what it held is held a while
    /// longer.
    pub fn bury_at_once(&mut self, now: Time, node: &str, beat: u64) -> bool {
        let is_new = self.bury(node, Some(beat));
        if is_new {
            self.dying.insert(node.to_owned(), now);
        }
        is_new
    }

    /// Whether the store has not lost anything lately, as far as it knows.
    fn knows_all(&self, now: Time, grace: Duration) -> bool {
        self.epoch
            .is_some_and(|(run, since)| run == self.run && now.since(since) >= grace)
    }

    /// Whether a node was taken out.
    #[must_use]
    pub fn is_buried(&self, node: &str) -> bool {
        self.buried.contains(node)
    }

    /// What is left in the store of members, pools with shares and calls.
    #[must_use]
    pub fn len(&self) -> (usize, usize, usize) {
        let held = |shares: &&BTreeMap<String, NodeShare>| {
            shares
                .iter()
                .any(|(node, share)| share.share > 0 && self.members.contains_key(node))
        };
        (
            self.members.len(),
            self.pools.values().filter(held).count(),
            self.calls.values().map(BTreeMap::len).sum(),
        )
    }
}
