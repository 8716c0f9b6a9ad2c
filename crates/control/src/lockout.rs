//! How often a name may be tried: after some wrong passwords it rests, longer each time.
//!
//! Names that do not exist rest, too: nobody learns which do. It is counted on this node alone, and
//! beside the bound on each source; a token still opens what a name that rests does not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Names that were tried in vain.
#[derive(Default)]
pub(crate) struct Lockouts(Mutex<HashMap<String, Tried>>);

#[derive(Clone, Copy)]
struct Tried {
    failures: u32,
    last: Instant,
}

impl Lockouts {
    /// Whether the name may be tried; if not, in how many seconds it may.
    pub(crate) fn check(&self, name: &str, now: Instant) -> Result<(), u64> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = names.get(name).and_then(Tried::rests_until);
        match until.map(|until| until.saturating_duration_since(now)) {
            Some(left) if !left.is_zero() => Err(left.as_secs() + 1),
            _ => Ok(()),
        }
    }

    /// Counts a wrong password or code.
    pub(crate) fn fail(&self, name: &str, now: Instant) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|_, tried| now.saturating_duration_since(tried.last) < FORGOTTEN_AFTER);
        if names.len() >= NAMES_MAX && !names.contains_key(name) {
            let oldest = names.iter().min_by_key(|(_, tried)| tried.last);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|name| names.remove(&name));
        }
        let tried = names.entry(name.to_owned()).or_insert(Tried {
            failures: 0,
            last: now,
        });
        tried.failures = tried.failures.saturating_add(1);
        tried.last = now;
    }

    /// Lets the name be tried again; whether it had been tried in vain.
    pub(crate) fn forget(&self, name: &str) -> bool {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(name).is_some()
    }
}

impl Tried {
    fn rests_until(&self) -> Option<Instant> {
        let beyond = self.failures.checked_sub(FREE)?;
        let rest = FIRST_REST.saturating_mul(2_u32.saturating_pow(beyond));
        Some(self.last + rest.min(LONGEST_REST))
    }
}

/// Wrong ones after which a name rests.
const FREE: u32 = 5;
/// How long it rests then; twice as long after each further one.
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);
/// After so long without another wrong one the count begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Names remembered; the one that was tried longest ago goes for one more.
const NAMES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_rests_longer_each_time_until_it_is_forgotten() {
        let lockouts = Lockouts::default();
        let mut now = Instant::now();
        for _ in 0..FREE {
            assert_eq!(lockouts.check("ann", now), Ok(()));
            lockouts.fail("ann", now);
        }
        assert_eq!(lockouts.check("ann", now), Err(31));
        assert_eq!(lockouts.check("bob", now), Ok(()));
        now += FIRST_REST;
        assert_eq!(lockouts.check("ann", now), Ok(()));
        lockouts.fail("ann", now);
        assert_eq!(lockouts.check("ann", now), Err(61));
        for _ in 0..20 {
            lockouts.fail("ann", now);
        }
        assert_eq!(lockouts.check("ann", now), Err(15 * 60 + 1));
        assert!(lockouts.forget("ann"));
        assert_eq!(lockouts.check("ann", now), Ok(()));
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let lockouts = Lockouts::default();
        let now = Instant::now();
        for n in 0..=NAMES_MAX {
            lockouts.fail(&n.to_string(), now + Duration::from_micros(n as u64));
        }
        assert_eq!(lockouts.0.lock().unwrap().len(), NAMES_MAX);
        assert!(!lockouts.forget("0") && lockouts.forget("1"));
    }
}
