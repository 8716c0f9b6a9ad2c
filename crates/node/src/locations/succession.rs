//! Who takes over what dead nodes held: each survivor finds the same, without asking.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use registrar::{BindingId, Heir, PeerId};
use store::StoreError;

use super::Keeper;

/// The dead and the living.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Succession {
    us: String,
    /// Where the dead were, and for how long they are dead.
    dead: BTreeMap<PeerId, (SocketAddr, Absence)>,
    /// The living, this node included, and where they are.
    living: BTreeMap<String, SocketAddr>,
}

/// How long a node is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// So short that it may only have been started again.
    Short,
    /// Nobody waits for it any more.
    Long,
}

impl Succession {
    /// Who takes over a binding of a node: who is in the place where it was, because it was started
    /// again there; else any of the living, each of them as many.
    fn heir(&self, holder: PeerId, binding: BindingId) -> Heir {
        let Some((place, absence)) = self.dead.get(&holder) else {
            return Heir::Nobody;
        };
        let successor = self.living.iter().find(|(_, there)| *there == place);
        if let Some((id, _)) = successor {
            return match *id == self.us {
                true => Heir::Us,
                false => Heir::Other,
            };
        }
        let ids = self.living.keys();
        let heir = ids.max_by_key(|id| {
            let mut hasher = DefaultHasher::new();
            (id, binding.bits()).hash(&mut hasher);
            hasher.finish()
        });
        match (heir == Some(&self.us), absence) {
            (true, Absence::Long) => Heir::Us,
            // A phone behind a NAT lets in only whom it spoke to: no other node is of use to it.
            (true, Absence::Short) => Heir::UsIfNear,
            (false, _) => Heir::Other,
        }
    }
}

impl Keeper {
    /// Takes over from the dead, and forgets them when all must have done so.
    pub(super) fn inherit(&mut self) -> Result<(), StoreError> {
        let (mut dead, mut living) = (BTreeMap::new(), BTreeMap::new());
        living.insert(self.us.id.clone(), self.us.place);
        for known in self.peers.known.values() {
            let is_gone = known.absent.is_some_and(|at| at.elapsed() >= ABSENT_MAX);
            if known.dead.is_some() || is_gone {
                let is_long = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() >= WAITED_FOR);
                let absence = match is_long(known.dead) || is_gone {
                    true => Absence::Long,
                    false => Absence::Short,
                };
                dead.insert(known.id, (known.node.place, absence));
            } else if known.absent.is_none() {
                living.insert(known.node.id.clone(), known.node.place);
            }
        }
        if dead.is_empty() {
            return Ok(());
        }
        let succession = Succession {
            us: self.us.id.clone(),
            dead,
            living,
        };
        let last = self.peers.inherited.as_ref();
        let is_done = last.is_some_and(|(last, at)| *last == succession && at.elapsed() < AGAIN);
        if !is_done {
            self.take_over(&succession);
            self.peers.inherited = Some((succession, Instant::now()));
        }
        self.forget_the_dead()
    }

    fn take_over(&self, succession: &Succession) {
        let succession = Arc::new(succession.clone());
        let mut from = Some(0);
        while let Some(slot) = from {
            let succession = Arc::clone(&succession);
            let next = self.visit(move |now, machine, _| {
                let heir = |holder, binding| succession.heir(holder, binding);
                machine.switch.inherit_locations(now, slot, heir)
            });
            from = next.flatten();
        }
    }

    fn forget_the_dead(&mut self) -> Result<(), StoreError> {
        let is_old = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() >= FORGET_AFTER);
        for (id, known) in &self.peers.known {
            if is_old(known.dead) && known.absent.is_none() {
                self.store.forget(id)?;
            }
        }
        Ok(())
    }
}

/// How long phones behind NAT wait for a node that may be started again.
const WAITED_FOR: Duration = Duration::from_secs(45);
/// After what time a node is taken for dead that the store does not have any more.
const ABSENT_MAX: Duration = Duration::from_secs(60);
/// After what time the shelf of a dead node is cleared.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Between two looks for what dead nodes have left.
const AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_survivors_divide_what_is_left_and_agree() {
        let place = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let dead = PeerId::from_index(0).unwrap();
        let seen_by = |us: &str| Succession {
            us: us.into(),
            dead: BTreeMap::from([(dead, (place(1), Absence::Long))]),
            living: BTreeMap::from([("b".into(), place(2)), ("c".into(), place(3))]),
        };
        let (b, c) = (seen_by("b"), seen_by("c"));
        let mut taken_by_b = 0;
        for n in 0..1_000 {
            let binding = BindingId::from_bits(n);
            let heirs = [b.heir(dead, binding), c.heir(dead, binding)];
            assert!(heirs.contains(&Heir::Us) && heirs.contains(&Heir::Other));
            taken_by_b += usize::from(heirs[0] == Heir::Us);
        }
        assert!((400..600).contains(&taken_by_b), "{taken_by_b}");
        let mut early = b.clone();
        early.dead.insert(dead, (place(1), Absence::Short));
        let early = (0..100).map(|n| early.heir(dead, BindingId::from_bits(n)));
        assert!(
            early.clone().all(|heir| heir != Heir::Us),
            "it may come back"
        );
        assert!(early.clone().any(|heir| heir == Heir::UsIfNear));
        let other = PeerId::from_index(1).unwrap();
        assert_eq!(b.heir(other, BindingId::from_bits(1)), Heir::Nobody);
    }

    #[test]
    fn who_is_started_again_in_its_place_inherits_all() {
        let place = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let dead = PeerId::from_index(0).unwrap();
        let succession = Succession {
            us: "a-2".into(),
            dead: BTreeMap::from([(dead, (place(1), Absence::Long))]),
            living: BTreeMap::from([("a-2".into(), place(1)), ("b".into(), place(2))]),
        };
        for n in 0..100 {
            assert_eq!(succession.heir(dead, BindingId::from_bits(n)), Heir::Us);
        }
    }
}
