//! The live store of a simulated cluster, and the ways to it.

use std::time::Duration;

use clock::Time;
use cluster::LiveModel;

use crate::dice::Dice;

/// The store, and how it is at present.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) model: LiveModel,
    /// What a replica has heard until a while ago.
    replica: LiveModel,
    runs: u64,
    pub(crate) health: Health,
}

/// How the store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    /// Each answer takes its time, often more than anybody waits.
    Slow,
    /// It says no to everything.
    Refusing,
    /// Nobody is there.
    Gone,
}

/// What becomes of a question on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It arrives after this.
    Arrives(Duration),
    /// Never.
    Lost,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            model: LiveModel::new(1),
            replica: LiveModel::new(1),
            runs: 1,
            health: Health::Good,
        }
    }

    /// The replica hears all there is.
    pub(crate) fn replicate(&mut self) {
        self.replica = self.model.clone();
    }

    /// The replica takes over with what it had heard.
    pub(crate) fn fail_over(&mut self) {
        self.model = self.replica.clone();
        self.restart();
    }

    /// Started again with all it had.
    pub(crate) const fn restart(&mut self) {
        self.runs += 1;
        self.model.restart(self.runs);
    }

    /// Everything is gone; the server may be the same, or another.
    pub(crate) fn flush(&mut self, dice: &mut Dice) {
        self.model.flush();
        if dice.percent(50) {
            self.restart();
        }
    }

    /// How long a question takes, or its answer.
    pub(crate) fn delay(&self, dice: &mut Dice) -> Duration {
        match self.health {
            Health::Slow => dice.millis(20, 1_500),
            _ => dice.millis(0, 4),
        }
    }

    /// What becomes of a question over a line that is cut until then.
    pub(crate) fn way(&self, now: Time, cut_until: Time, dice: &mut Dice) -> Way {
        if self.health == Health::Gone {
            return Way::Lost;
        }
        if now >= cut_until {
            return Way::Arrives(self.delay(dice));
        }
        // The system repeats what was not confirmed, long after anybody waits for an answer.
        match dice.percent(50) {
            true => Way::Arrives(cut_until.since(now) + dice.millis(0, 300)),
            false => Way::Lost,
        }
    }
}
