//! What the other nodes of a cluster are told: every change of the bindings that this one holds.
//!
//! Bindings are told in their newest state, whatever came before; so what waits to be told is
//! bounded by their number. Where ends pile up because nobody comes for them, all bindings are
//! told anew from the start instead.

use std::collections::VecDeque;

use super::Registrar;
use crate::binding::{BindingId, Stored};
use crate::record::{self, State};

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// Slots whose binding is not known in its newest state; perhaps others too.
    changed: VecDeque<u32>,
    /// Where the walk through all bindings goes on; `None` when nobody has to be told of all.
    all_from: Option<u32>,
    ends: VecDeque<Gone>,
    /// Added to the version of what this node claims, so that two which claim the same do not tie.
    rank: u64,
    /// Whether ends were dropped: what was told before must be forgotten.
    has_dropped: bool,
}

/// One thing to tell the other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The newest state of a binding that this node holds.
    Saved {
        /// The binding.
        state: State<'a>,
        /// As it will be compared with what others say of it.
        version: u64,
    },
    /// A binding is not this node's any more.
    Ended(Gone),
}

/// A binding that has ended, or that another node holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Which.
    pub binding: BindingId,
    /// States up to this version are no more.
    pub version: u64,
    /// When any state of it has expired that another node may have; microseconds since the Unix epoch.
    pub until_us: u64,
    /// What became of it.
    pub end: End,
}

/// What became of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This node held it, and it ended.
    Ended,
    /// It ended here, and another node holds it, or held it once and may have missed that it does not
    /// any more: that one must be told, however late.
    Removed,
    /// This node held it, and another does now, which has told everybody.
    Yielded,
    /// This node had taken it over and never reached it: who comes back with it has it.
    GivenUp,
}

impl Registrar {
    /// From now on, other nodes are told of bindings. `rank` is a number that hardly any other of the
    /// nodes has: of two that take over the same binding at the same time, the higher one has it.
    pub fn share(&mut self, rank: u32) {
        self.sharing = Some(Sharing {
            all_from: Some(0),
            rank: u64::from(rank % RANKS) + RANK_MIN,
            ..Sharing::default()
        });
    }

    /// All bindings are told again: who was told may have forgotten.
    pub fn share_all(&mut self) {
        if let Some(sharing) = &mut self.sharing {
            sharing.all_from = Some(0);
            sharing.has_dropped = false;
            // What is told anew does not have them; the other nodes have to hear of these.
            sharing.ends.retain(|gone| gone.end == End::Removed);
        }
    }

    /// Whether ends were dropped because nobody came for them: then everything that was told is to
    /// be told from the start, by [`Registrar::share_all`].
    #[must_use]
    pub fn has_dropped_ends(&self) -> bool {
        self.sharing.as_ref().is_some_and(|s| s.has_dropped)
    }

    /// Passes on what the other nodes are to be told, at most `max` things; fewer may be passed
    /// while there are more.
    pub fn tell_changes(&mut self, max: usize, mut tell: impl FnMut(Change<'_>)) {
        let Some(sharing) = &mut self.sharing else {
            return;
        };
        let ends = sharing.ends.len().min(max);
        sharing.ends.drain(..ends).for_each(|gone| {
            tell(Change::Ended(gone));
        });
        let mut left = max - ends;
        let changed: Vec<u32> = {
            let count = sharing.changed.len().min(left);
            sharing.changed.drain(..count).collect()
        };
        let mut body = Vec::new();
        for slot in changed {
            left -= usize::from(self.tell_state(slot, Stored::Newest, &mut body, &mut tell));
        }
        let end = self.table.slots_end();
        let mut at = self.sharing.as_ref().and_then(|s| s.all_from);
        let last = at.map_or(0, |from| from.saturating_add(WALK));
        while let Some(slot) = at.filter(|slot| left > 0 && *slot < last) {
            // No state is what nobody needs: they may have forgotten any.
            left -= usize::from(self.tell_state(slot, Stored::Nothing, &mut body, &mut tell));
            at = Some(slot + 1).filter(|next| *next < end);
        }
        if let Some(sharing) = &mut self.sharing {
            sharing.all_from = at;
        }
    }

    /// How much [`Registrar::tell_changes`] has to pass on, or a little more.
    #[must_use]
    pub fn untold(&self) -> usize {
        self.sharing.as_ref().map_or(0, |sharing| {
            let walk = usize::from(sharing.all_from.is_some());
            sharing.changed.len() + sharing.ends.len() + walk
        })
    }

    /// Whether not all that was there when everything was to be told has been passed on.
    #[must_use]
    pub fn is_telling_all(&self) -> bool {
        let sharing = self.sharing.as_ref();
        sharing.is_some_and(|sharing| sharing.all_from.is_some())
    }

    /// Whether it was told: not if others hold it, nobody is there, or it is known as `known`.
    fn tell_state(
        &mut self,
        slot: u32,
        known: Stored,
        body: &mut Vec<u8>,
        tell: &mut impl FnMut(Change<'_>),
    ) -> bool {
        let binding = self.table.get_mut(slot);
        let is_due = |binding: &&mut crate::binding::Binding| {
            binding.holder.is_none() && (known == Stored::Nothing || binding.shared != known)
        };
        let Some(binding) = binding.filter(is_due) else {
            return false;
        };
        binding.shared = Stored::Newest;
        let agent = self.agents.text(binding.agent);
        tell(Change::Saved {
            version: binding.version,
            state: record::encode(binding, agent, body),
        });
        true
    }

    /// Makes a binding newer than any state of it that is known, though not newer than what a client
    /// may have said meanwhile at another node.
    pub(super) fn claim(&mut self, slot: u32) {
        let rank = self.sharing.as_ref().map_or(RANK_MIN, |s| s.rank);
        self.table[slot].version += rank;
        self.note_changed(slot);
    }

    /// Notes that a binding of this node has changed.
    pub(super) fn note_unshared(&mut self, slot: u32) {
        let binding = &mut self.table[slot];
        if binding.holder.is_none() && binding.shared == Stored::Newest {
            binding.shared = Stored::Older;
            self.list_unshared(slot);
        }
    }

    pub(super) fn list_unshared(&mut self, slot: u32) {
        let Some(sharing) = &mut self.sharing else {
            return;
        };
        // Where nobody comes for long, a walk through all is shorter than the list.
        if sharing.changed.len() > 2 * self.table.len() + super::CHANGED_SLACK {
            sharing.changed.clear();
            sharing.all_from = Some(0);
        } else {
            sharing.changed.push_back(slot);
        }
    }

    /// Notes that a binding is about to end here.
    pub(super) fn share_end(&mut self, slot: u32) {
        let binding = &self.table[slot];
        let end = match (binding.holder, binding.elsewhere_until_s) {
            (None, 0) => End::Ended,
            _ => End::Removed,
        };
        let is_known = binding.holder.is_some() || binding.shared != Stored::Nothing;
        let walks = self.sharing.as_ref().is_some_and(|s| s.all_from.is_some());
        if is_known || walks {
            self.push_end(slot, end);
        }
    }

    /// Notes that this node gives up what it has inherited and never reached: nobody is to remember
    /// that against a node which comes back with it.
    pub(super) fn share_giving_up(&mut self, slot: u32) {
        self.push_end(slot, End::GivenUp);
    }

    /// Notes that another node holds a binding of this one now.
    pub(super) fn share_yield(&mut self, slot: u32) {
        self.push_end(slot, End::Yielded);
    }

    fn push_end(&mut self, slot: u32, end: End) {
        let binding = &self.table[slot];
        let Some(sharing) = &mut self.sharing else {
            return;
        };
        if sharing.ends.len() >= ENDS_MAX {
            sharing.ends.clear();
            sharing.has_dropped = true;
        }
        sharing.ends.push_back(Gone {
            binding: binding.id,
            version: binding.version + 1,
            until_us: binding.gone_by_us(),
            end,
        });
    }
}

/// Slots that one call looks at on the walk through all: some tenths of a millisecond.
const WALK: u32 = 4_096;
/// Versions are microseconds: a claim is at most a second newer than what it is about.
const RANKS: u32 = 1_000_000;
/// Greater than what a restart adds.
const RANK_MIN: u64 = 2;
/// Ends that wait to be told; beyond it, all is told anew.
const ENDS_MAX: usize = 100_000;
