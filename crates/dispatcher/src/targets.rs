//! The set of targets, which changes while calls run.

use std::net::SocketAddr;

use balancer::{SetError, TargetId, TargetStatus};
use clock::Time;
use sip::{Flow, Transport};

use crate::retired::LastSeen;
use crate::{Dispatcher, Target};

impl Dispatcher {
    /// Makes the set of targets be this one; those that stay where they are keep what is known of
    /// them, also under another name.
    ///
    /// # Errors
    /// If it is no set; then all stays as it was.
    pub fn set_targets(&mut self, now: Time, targets: &[Target]) -> Result<(), SetError> {
        let gone = self.gone(targets);
        let before = self.rename(targets);
        let specs = targets.iter().map(|t| t.spec.clone()).collect();
        if let Err(error) = self.balancer.set_targets(now, specs) {
            for (id, name) in before {
                self.name(id, &name);
            }
            return Err(error);
        }
        for (target, seen) in &gone {
            self.retired.note(target, *seen);
        }
        for target in targets {
            let has_moved = |known: &Target| {
                known.spec.name == target.spec.name && !is_same_place(known, target)
            };
            // Another machine under an old name: what is known of that one is not true of this one.
            if self.places.iter().any(|(_, known)| has_moved(known)) {
                self.balancer.remove(&target.spec.name)?;
                self.balancer.set_target(now, target.spec.clone())?;
            }
        }
        let balancer = &self.balancer;
        self.places = targets
            .iter()
            .filter_map(|target| Some((balancer.named(&target.spec.name)?, target.clone())))
            .collect();
        self.tell();
        Ok(())
    }

    /// The targets as they were set.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.places.iter().map(|(_, target)| target)
    }

    /// What is known of each target.
    pub fn statuses(&self, now: Time) -> impl Iterator<Item = (&Target, TargetStatus)> {
        let places = &self.places;
        self.balancer.statuses(now).filter_map(move |status| {
            let place = places.iter().find(|(id, _)| *id == status.id)?;
            Some((&place.1, status))
        })
    }

    /// Where a target is.
    pub(crate) fn place(&self, id: TargetId) -> Option<&Target> {
        let found = self.places.iter().find(|(known, _)| *known == id);
        found.map(|(_, target)| target)
    }

    /// The target at an address.
    pub(crate) fn target_at(&self, transport: Transport, remote: SocketAddr) -> Option<TargetId> {
        let at = |target: &Target| target.remote == remote && target.transport == transport;
        let found = self.places.iter().find(|(_, target)| at(target));
        found.map(|(id, _)| *id)
    }

    /// The target that speaks over a flow. Over streams one that calls us does so from any port: it
    /// is told by its address, if no other target is found there.
    pub(crate) fn target_from(&self, flow: Flow) -> Option<TargetId> {
        let exact = self.target_at(flow.transport, flow.remote);
        if exact.is_some() || !flow.transport.is_reliable() {
            return exact;
        }
        let ip = flow.remote.ip();
        let is_there = |t: &Target| t.transport == flow.transport && t.remote.ip() == ip;
        let mut there = self.places.iter().filter(|(_, target)| is_there(target));
        let (first, others) = (there.next()?, there.next());
        others.is_none().then_some(first.0)
    }

    /// The targets whose places are none in another set, and how they were seen last.
    fn gone(&self, targets: &[Target]) -> Vec<(Target, LastSeen)> {
        let stays = |known: &Target| targets.iter().any(|target| is_same_place(target, known));
        let seen = |id: TargetId| match self.balancer.is_there(id) {
            true => LastSeen::Alive,
            false => LastSeen::Dead,
        };
        let gone = self.places.iter().filter(|(_, known)| !stays(known));
        gone.map(|(id, known)| (known.clone(), seen(*id))).collect()
    }

    /// Gives targets the names that their places have in another set: a host name that stands for
    /// one address more names them otherwise, and their calls go on. The names they had.
    fn rename(&mut self, targets: &[Target]) -> Vec<(TargetId, Box<str>)> {
        let renamed = |known: &Target| {
            let mut there = targets.iter().filter(|target| is_same_place(target, known));
            let (first, others) = (there.next()?, there.next());
            let is_other = others.is_none() && first.spec.name != known.spec.name;
            is_other.then(|| first.spec.name.clone())
        };
        let names = self.places.iter().filter_map(|(id, known)| {
            let name = renamed(known)?;
            Some((*id, known.spec.name.clone(), name))
        });
        let names: Vec<_> = names.collect();
        for (id, _, name) in &names {
            self.name(*id, name);
        }
        names.into_iter().map(|(id, old, _)| (id, old)).collect()
    }

    fn name(&mut self, id: TargetId, name: &str) {
        self.balancer.rename(id, name);
        for (_, target) in self.places.iter_mut().filter(|(known, _)| *known == id) {
            target.spec.name = name.into();
        }
    }
}

fn is_same_place(a: &Target, b: &Target) -> bool {
    (a.transport, a.remote) == (b.transport, b.remote)
}
