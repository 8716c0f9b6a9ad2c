//! Changing the set of targets while calls run.

use clock::Time;

use super::{Balancer, SetError, TARGETS_MAX, Target, tell_if_empty};
use crate::health::Health;
use crate::latency::Latency;
use crate::overload::Overload;
use crate::{Admission, TargetId, TargetSpec, choice};

impl Balancer {
    /// Makes the set be this one. Targets that stay keep their health, load and calls; those of
    /// the first set begin with their full share, later ones slowly.
    ///
    /// # Errors
    /// If it is no set; then all stays as it was.
    pub fn set_targets(&mut self, now: Time, specs: Vec<TargetSpec>) -> Result<(), SetError> {
        check(&specs)?;
        let is_first = self.targets.is_empty();
        self.targets
            .retain(|target| specs.iter().any(|spec| spec.name == target.spec.name));
        for spec in specs {
            self.put(now, spec, is_first);
        }
        self.turns = vec![0; self.targets.len()];
        Ok(())
    }

    /// Adds a target, or changes the one of this name.
    ///
    /// # Errors
    /// If the set would be none; then all stays as it was.
    pub fn set_target(&mut self, now: Time, spec: TargetSpec) -> Result<TargetId, SetError> {
        check(std::slice::from_ref(&spec))?;
        let is_new = self.named(&spec.name).is_none();
        if is_new && self.targets.len() >= TARGETS_MAX {
            return Err(SetError::TooMany);
        }
        let is_first = self.targets.is_empty();
        let id = self.put(now, spec, is_first);
        self.turns = vec![0; self.targets.len()];
        Ok(id)
    }

    /// Takes a target out at once. Its calls are forgotten.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn remove(&mut self, name: &str) -> Result<TargetId, SetError> {
        let at = self.targets.iter().position(|t| &*t.spec.name == name);
        let at = at.ok_or_else(|| SetError::Unknown(name.into()))?;
        let target = self.targets.remove(at);
        self.turns.remove(at);
        Ok(target.id)
    }

    /// Gives a target another name, under which all that is known of it stays. Where the choice is
    /// by hash, keys move. For [`Self::set_targets`], which judges the names.
    pub fn rename(&mut self, id: TargetId, name: &str) {
        if let Some(target) = self.targets.iter_mut().find(|t| t.id == id) {
            target.spec.name = name.into();
            target.name_hash = choice::name_hash(name);
        }
    }

    /// Lets a target take new calls, or not.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn set_admission(&mut self, name: &str, admission: Admission) -> Result<(), SetError> {
        let target = self.targets.iter_mut().find(|t| &*t.spec.name == name);
        let target = target.ok_or_else(|| SetError::Unknown(name.into()))?;
        target.spec.admission = admission;
        target.told_empty = false;
        tell_if_empty(target, &mut self.events);
        Ok(())
    }

    fn put(&mut self, now: Time, spec: TargetSpec, is_first: bool) -> TargetId {
        if let Some(target) = self.targets.iter_mut().find(|t| t.spec.name == spec.name) {
            target.told_empty &= target.spec.admission == spec.admission;
            target.spec = spec;
            tell_if_empty(target, &mut self.events);
            return target.id;
        }
        let id = TargetId(self.next_id);
        self.next_id += 1;
        self.targets.push(Target {
            id,
            name_hash: choice::name_hash(&spec.name),
            spec,
            health: Health::new(now, (!is_first).then_some(now)),
            overload: Overload::default(),
            latency: Latency::default(),
            probe_rtt: None,
            calls: 0,
            attempts: 0,
            foreign_calls: 0,
            second: (now, 0),
            chosen: 0,
            chosen_calls: 0,
            told_empty: true,
        });
        id
    }
}

fn check(specs: &[TargetSpec]) -> Result<(), SetError> {
    if specs.len() > TARGETS_MAX {
        return Err(SetError::TooMany);
    }
    for (at, spec) in specs.iter().enumerate() {
        if !(1..=WEIGHT_MAX).contains(&spec.weight) {
            return Err(SetError::Weight(spec.name.clone()));
        }
        if specs[..at].iter().any(|other| other.name == spec.name) {
            return Err(SetError::Duplicate(spec.name.clone()));
        }
    }
    Ok(())
}

const WEIGHT_MAX: u16 = 1_000;
