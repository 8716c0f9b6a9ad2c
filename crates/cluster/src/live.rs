//! What nodes and the live store say to each other, and a model of the store.

mod model;

use std::net::SocketAddr;
use std::time::Duration;

use clock::Time;
use limits::{Grant, Pool};

pub use self::model::{Late, LiveModel, Renewal};

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name and a number of this start of it.
    pub id: String,
    /// Where its API listens: while it is alive, somebody does.
    pub address: SocketAddr,
    /// Changes with every renewal.
    pub beat: u64,
}

/// What came of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The node is a member.
    Granted {
        /// One for each claim, in the same order.
        grants: Vec<Grant>,
        /// Pools of which a member has less than it asks for.
        lacked: Vec<Pool>,
        /// All members, this node included, by their ids.
        members: Vec<Member>,
    },
    /// The node was taken out: others have what it held. It may join under a new id.
    Buried,
}

/// A call, and what the store is to have of it from now on: `None` is nothing.
pub type Change = (u64, Option<Vec<u8>>);

/// Who says something about its calls, and until when it counts.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// The node.
    pub node: &'a str,
    /// Counts its words: one that is not above the last is late.
    pub number: u64,
    /// By the store's clock. Later nobody waits for what comes of it, and what it says may not be so any
    /// more: a network that was cut brings it after all that followed, or when the node is dead.
    pub until: Time,
}

/// What came of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is written.
    Done {
        /// How many calls of this node the store has now.
        count: usize,
        /// Nodes that are dead and have left calls.
        orphaned: Vec<String>,
        /// Calls of this node that others ask for.
        wanted: Vec<u64>,
    },
    /// The node was taken out, and its calls are others': nothing is written.
    Buried,
}

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its owner was dead; it belongs to this node from now on. The record.
    Taken(Vec<u8>),
    /// It belongs to this node already.
    Own,
    /// Another node has it, by this name, and was asked to hand it over.
    Held(String),
    /// Its record is of a format that this node cannot read.
    Unreadable,
    /// Nobody has it.
    Nowhere,
    /// The store may have lost who has it, or does not listen to this node any more.
    Unknown,
}

/// How long a store that was empty, or may have lost something, grants nothing new: longer than a
/// node takes to find it again.
pub const GRACE: Duration = Duration::from_secs(3);
/// How long what a process permitted last counts against limits of calls per second, after it was
/// heard last: a second, and what it takes to be heard.
pub const DRAIN: Duration = Duration::from_millis(1_200);
/// Pools that are named as lacked at most.
pub const LACKED_MAX: usize = 1_000;
/// How long a call that was given away is left to the node that has asked for it: as long as that one
/// looks for it.
pub const SPARED: Duration = Duration::from_secs(6);
/// The name under which calls stand that were given away.
pub const NOBODY: &str = "nobody";
