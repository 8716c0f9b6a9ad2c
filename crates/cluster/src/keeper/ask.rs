//! What a keeper wants done, and what it is told.

use std::net::SocketAddr;

use crate::{Change, Door, Found, Kept, Member};

/// What a keeper is told by the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// What others need to go on with a call.
    Keep(u64, Vec<u8>),
    /// A call has ended.
    Unkeep(u64),
    /// Where is this call?
    Seek(u64),
    /// This process was stopped: has it lost its calls?
    ClearUp,
    /// Orders were lost: all calls are to be told again.
    TellAll,
}

/// What is to be done, one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// By the live store.
    Store(Question),
    /// By the switch.
    Switch(Visit),
    /// What is at a node's door? [`Answer::Door`].
    Knock(SocketAddr),
    /// The process is called so from now on: to be noted where its next start finds it.
    NoteName(String),
    /// Nothing is left open of earlier starts: their names may be forgotten.
    ForgetNames,
}

/// What the live store is asked; [`Answer::Nothing`] if it is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// To write what has changed. [`Answer::Kept`].
    Keep(Vec<Change>),
    /// Which calls it has of this node. [`Answer::Calls`].
    Own,
    /// The records of calls of this node. [`Answer::Records`].
    Read(Vec<u64>),
    /// To give calls of a dead node to this one, so many at most. [`Answer::Records`]; [`Answer::Done`]
    /// of false while the store may have lost whose they are.
    Claim(String, usize),
    /// Where a call is that this node has a request for: who has it is asked to hand it over.
    /// [`Answer::Found`].
    Find(u64),
    /// Where a call is, and nothing else. [`Answer::Found`].
    LookFor(u64),
    /// To give a call of this node to whoever asks. [`Answer::Done`].
    HandOver(u64, Vec<u8>),
    /// To take a node out. [`Answer::Done`].
    Bury(Member),
    /// To take out what was started before in the place of this node. [`Answer::Names`] of those that
    /// live.
    BuryEarlier(Vec<String>),
    /// To know who was taken out. [`Answer::Done`].
    Remember(Vec<String>),
    /// Whether this node is still a member. [`Answer::Done`].
    StillStands,
    /// Which calls, by their identities, were taken over from these nodes. [`Answer::Flags`].
    WereTaken(Vec<u128>, Vec<String>),
}

/// What the switch is asked; [`Answer::Nothing`] if it has no time, and will not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visit {
    /// To give up a call, if nothing is under way in it. [`Answer::Record`].
    GiveUp(u64),
    /// The calls others were told of. [`Answer::Calls`].
    KeptCalls,
    /// To tell of these again, by orders.
    KeepAgain(Vec<u64>),
    /// To go on with these. [`Answer::Calls`], those that it cannot read.
    TakeUp(Vec<(u64, Vec<u8>)>),
    /// To forget these, which others have. [`Answer::Done`].
    Lose(Vec<u64>),
    /// To go on after a pause.
    GoOn,
    /// A call that was sought is not here.
    Sought(u64, Whereabouts),
    /// The identities of calls that a crash left open. [`Answer::Identities`].
    Unsettled,
    /// Others go on with these of them; and whether the rest is to be closed. [`Answer::Done`].
    Settle {
        /// By their identities.
        left: Vec<u128>,
        /// They have ended with the process that had them.
        close_rest: bool,
    },
}

/// Where a call is that was sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// Nobody has it; or it is here, which is seen then.
    Nowhere,
    /// Another node has it, and lives; or nobody can say, or can read it.
    Elsewhere,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No answer, or none is expected.
    Nothing,
    /// Of writing.
    Kept(Kept),
    /// Calls.
    Calls(Vec<u64>),
    /// Calls with their records.
    Records(Vec<(u64, Vec<u8>)>),
    /// Where a call is.
    Found(Found),
    /// Whether it is done, or so.
    Done(bool),
    /// Nodes.
    Names(Vec<String>),
    /// One for each that was asked for.
    Flags(Vec<bool>),
    /// The record of a call that was given up; `None`: it was not.
    Record(Option<Vec<u8>>),
    /// Identities of calls.
    Identities(Vec<u128>),
    /// What is at a door.
    Door(Door),
}

/// What the operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The store does not answer: nobody else knows of changes to calls.
    Away,
    /// It answers again.
    Back,
    /// It has so many calls of this node, other than it was told; all are told again.
    OtherCalls {
        /// How many.
        count: usize,
    },
    /// Another node goes on with a call.
    HandedOver(u64),
    /// It is not known whether a call was handed over.
    HandedOverPerhaps(u64),
    /// So many calls of a dead node go on here; the word of it was lost.
    Given(usize),
    /// So many calls of this node others have, for it was taken for dead.
    Lost(usize),
    /// So many calls of a dead node could not be read.
    Unreadable(usize),
    /// A dead node's calls go on here, so many of them.
    Claimed {
        /// The dead node.
        node: String,
        /// How many.
        calls: usize,
    },
    /// A dead node's calls are not taken over yet, for the store is away.
    NotClaimed(String),
    /// A call of a dead node goes on here.
    Found(u64),
    /// A call is looked for, and the store is away.
    NotFound(u64),
    /// A node is dead, and a request for a call of it is here.
    Dead(String),
    /// These live, and work with a copy of this node's data.
    Copies(Vec<String>),
    /// A call that was perhaps handed over has ended elsewhere.
    EndedElsewhere(u64),
    /// What became of the calls of before is known.
    Settled,
}
