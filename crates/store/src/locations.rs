//! The port for bindings that nodes tell each other.
//!
//! Each node has a shelf of its own in the store, which holds what it holds: nobody else writes
//! there while it lives, so no node can harm what another one has. Beside it the store passes on
//! changes as they happen. Who missed some, or does not know what the store still knows, looks
//! through the shelves of the others, and fills its own anew.
//!
//! What the store says of an [`Exchanged::Heard::era`] tells whether it is the store that it was: an
//! empty one, a restarted one, or one that took over begins another era.

mod array;
mod codec;
mod memory;
mod redis;

use std::net::SocketAddr;

pub use self::array::{
    ARRAY_NAME, ArrayHeard, ArrayLink, ArrayLocations, ArrayOptions, ArrayPeer, ArrayStatus,
    ArrayTold, ArrayWatch,
};
pub use self::memory::MemoryLocations;
pub use self::redis::RedisLocations;
use crate::StoreError;

/// A store of shared bindings, as one node of a cluster uses it. Calls may block for a second or
/// two; nothing on the call path does. Whatever fails with `Unavailable` may have taken effect or
/// not, and may be done again.
pub trait LocationStore: Send {
    /// Puts changes on this node's shelf and tells the others; brings what the others have told
    /// since the last time, and who they are.
    fn exchange(
        &mut self,
        us: &LocationNode,
        told: &[LocationChange],
    ) -> Result<Exchanged, StoreError>;

    /// Empties this node's shelf, to be filled anew.
    fn clear(&mut self, us: &LocationNode) -> Result<(), StoreError>;

    /// What a node has on its shelf: the part that `from` names, and the name of the next; begins and ends
    /// with 0.
    fn look(&mut self, node: &str, from: u64) -> Result<(Vec<LocationChange>, u64), StoreError>;

    /// Takes a node that is dead out, with its shelf: all it held has other holders.
    fn forget(&mut self, node: &str) -> Result<(), StoreError>;
}

/// A node, as others know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationNode {
    /// Its name and a number of this start of it.
    pub id: String,
    /// Where its API listens: nobody else does so at the same time.
    pub place: SocketAddr,
    /// Where it takes SIP over UDP from other nodes.
    pub udp: Option<SocketAddr>,
    /// Where it takes SIP over TCP from other nodes.
    pub tcp: Option<SocketAddr>,
    /// The era in which its shelf was filled completely; empty while it is not.
    pub filled: String,
    /// Tells its key of the cluster from others, and nothing about it.
    pub key_print: String,
}

/// A node and whether it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNode {
    /// Which.
    pub node: LocationNode,
    /// Whether others took it for dead; it can never come back.
    pub is_buried: bool,
    /// Whether it cannot be reached at present, though it was not taken for dead.
    pub is_away: bool,
}

/// What came of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// The store has taken all.
    Heard {
        /// Names the time since which the store has forgotten nothing that it said it had.
        era: String,
        /// What others told.
        changes: Vec<HeardChange>,
        /// Whether there is more, or something is missing.
        rest: Rest,
        /// All nodes, this one included.
        nodes: Vec<KnownNode>,
    },
    /// This node was taken for dead: nothing was taken. It may join under another id.
    Buried,
}

/// What an exchange left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// More has been told: ask again.
    More,
    /// Some of what was told is not there any more: look at all shelves.
    Lost,
}

/// A change, and who told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardChange {
    /// The node's id.
    pub from: String,
    /// What it told.
    pub change: LocationChange,
}

/// What a node says of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationChange {
    /// The node holds it.
    Saved(Location),
    /// It is no more.
    Ended(LocationEnd),
}

/// A binding in the state in which its holder tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Which: unique in the cluster.
    pub key: [u8; 8],
    /// The greater is right.
    pub version: u64,
    /// When it expires; microseconds since the Unix epoch.
    pub expires_us: u64,
    /// The address of record, `name@domain`.
    pub aor: String,
    /// What the registrar wrote.
    pub body: Vec<u8>,
}

/// The end of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocationEnd {
    /// Which.
    pub key: [u8; 8],
    /// States below this version are no more.
    pub version: u64,
    /// Until when somebody might come with an older state; microseconds since the Unix epoch.
    pub until_us: u64,
    /// What becomes of it on the shelf.
    pub kind: LocationEndKind,
}

/// What becomes of an ended binding on the shelf of the node that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocationEndKind {
    /// It is taken off, and others are told.
    Ended,
    /// Its end is put there, for another node has the binding on its own shelf.
    Removed,
    /// It is taken off and nobody is told: others know it from somebody else.
    Yielded,
}

impl LocationChange {
    /// Which binding it is about.
    #[must_use]
    pub const fn key(&self) -> [u8; 8] {
        match self {
            Self::Saved(location) => location.key,
            Self::Ended(end) => end.key,
        }
    }
}

/// Portions of changes that one exchange brings at most.
const HEARD_MAX: usize = 100;
/// Portions of changes that are kept for those who come late, with two nodes; with more as many for each,
/// up to [`KEPT_FACTOR_MAX`] times that.
const KEPT_MAX: usize = 1_000;
/// See [`KEPT_MAX`].
const KEPT_FACTOR_MAX: usize = 16;
