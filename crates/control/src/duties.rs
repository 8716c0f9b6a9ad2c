//! What one of the controls that share a store does alone: calling operators, ordering certificates,
//! deleting old CDRs. Each duty is a lease in the store, renewed long before its end.
//!
//! Who has one stops by itself some seconds before the store would give it to somebody else, by its own
//! clock and counted from when it asked: it may not have heard of the loss.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use crate::Control;

/// Something that one control does alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Duty {
    /// Calling operators when something of the platform goes wrong.
    Alerts,
    /// Getting and renewing certificates.
    Acme,
    /// Deleting CDRs that are old enough.
    Retention,
}

impl Duty {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Alerts, Self::Acme, Self::Retention];

    /// As the store knows it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Acme => "acme",
            Self::Retention => "retention",
        }
    }

    /// What it is, for people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Alerts => "calls operators when something of the platform goes wrong",
            Self::Acme => "gets and renews certificates",
            Self::Retention => "deletes old CDRs",
        }
    }
}

/// The duties of this control.
#[derive(Default)]
pub(crate) struct Duties(Mutex<BTreeMap<Duty, Held>>);

#[derive(Clone, Copy)]
struct Held {
    fence: u64,
    /// When the store was asked that said so.
    asked: Instant,
}

impl Duties {
    /// Notes that a duty is ours; whether it was not before.
    fn take(&self, duty: Duty, held: Held) -> bool {
        let before = self.held().insert(duty, held);
        before.is_none_or(|before| before.fence != held.fence)
    }

    /// Notes that a duty is not ours; whether it was.
    fn lose(&self, duty: Duty) -> bool {
        self.held().remove(&duty).is_some()
    }

    fn fence(&self, duty: Duty, now: Instant) -> Option<u64> {
        let held = self.held().get(&duty).copied()?;
        (now.saturating_duration_since(held.asked) < TRUSTED).then_some(held.fence)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Duty, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// Whether this control is the one that does it now.
    #[must_use]
    pub fn has_duty(&self, duty: Duty) -> bool {
        self.fence(duty).is_some()
    }

    /// Adds to a page of metrics which duties are ours.
    pub(crate) fn write_duties(&self, page: &mut String) {
        page.push_str(METRIC_HEAD);
        for duty in Duty::ALL {
            let is_ours = u8::from(self.has_duty(duty));
            let name = duty.name();
            page.push_str(&format!("tandem_duty{{duty=\"{name}\"}} {is_ours}\n"));
        }
    }

    /// What the store knows our time at a duty by; `None`: it is not ours now.
    pub(crate) fn fence(&self, duty: Duty) -> Option<u64> {
        self.duties().fence(duty, Instant::now())
    }

    /// The store has said that a duty is another's.
    pub(crate) fn lose_duty(&self, duty: Duty) {
        if self.duties().lose(duty) {
            tracing::warn!(duty = duty.name(), "another control does this now");
        }
    }

    /// Who holds duties for this control.
    pub(crate) fn duty_owner(&self) -> Option<String> {
        self.history().map(|history| history.own().to_string())
    }
}

/// Takes what nobody else does, and keeps it; does not end.
pub(crate) async fn keep(control: Control) {
    let Some(owner) = control.duty_owner() else {
        return;
    };
    let mut rounds = tokio::time::interval(RENEWED_EACH);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        for duty in Duty::ALL {
            hold(&control, duty, owner.clone()).await;
        }
    }
}

async fn hold(control: &Control, duty: Duty, owner: String) {
    let asked = Instant::now();
    let held = control.records(move |records| records.hold_lease(duty.name(), &owner, TERM));
    match held.await {
        Ok(Some(fence)) => {
            if control.duties().take(duty, Held { fence, asked }) {
                tracing::info!(duty = duty.name(), fence, "this control does this now");
                if duty == Duty::Acme {
                    control.certificates_due().notify_one();
                }
            }
        }
        Ok(None) => control.lose_duty(duty),
        // What was promised before stays so until it ends.
        Err(problem) => tracing::debug!(duty = duty.name(), ?problem, "not renewed"),
    }
}

/// Gives all back, so that nobody waits for their ends.
pub(crate) async fn release(control: &Control) {
    let Some(owner) = control.duty_owner() else {
        return;
    };
    for duty in Duty::ALL {
        if !control.duties().lose(duty) {
            continue;
        }
        let owner = owner.clone();
        let released = control.records(move |records| records.release_lease(duty.name(), &owner));
        if let Ok(Err(problem)) = tokio::time::timeout(RELEASE_TIME, released).await {
            tracing::warn!(
                duty = duty.name(),
                ?problem,
                "others wait for the lease to end"
            );
        }
    }
}

const METRIC_HEAD: &str = "# HELP tandem_duty Whether this control does what one of several does alone.\n\
    # TYPE tandem_duty gauge\n";
/// How long a duty is ours after each renewal, for the store.
const TERM: Duration = Duration::from_secs(10);
/// For how long we rely on it ourselves.
const TRUSTED: Duration = Duration::from_secs(7);
/// Between two renewals.
const RENEWED_EACH: Duration = Duration::from_secs(3);
/// How long giving one back may take.
const RELEASE_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duty_that_was_not_renewed_is_left_before_another_can_have_it() {
        let (duties, asked) = (Duties::default(), Instant::now());
        assert_eq!(duties.fence(Duty::Acme, asked), None);
        assert!(duties.take(Duty::Alerts, Held { fence: 4, asked }));
        assert!(!duties.take(Duty::Alerts, Held { fence: 4, asked }));
        let after = |time| duties.fence(Duty::Alerts, asked + time);
        assert_eq!(after(Duration::from_millis(6_999)), Some(4));
        assert_eq!(after(Duration::from_secs(7)), None);
        assert!(TRUSTED < TERM && RENEWED_EACH * 2 < TRUSTED);
        assert_eq!(duties.fence(Duty::Acme, asked), None, "duties are apart");
        assert!(duties.lose(Duty::Alerts) && !duties.lose(Duty::Alerts));
        assert_eq!(after(Duration::ZERO), None);
    }
}
