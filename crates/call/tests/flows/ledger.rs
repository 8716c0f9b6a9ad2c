//! What a call has begun, and that it has ended, once.

use std::collections::BTreeMap;

use call::{EndReport, Fact, Output};

/// What has been opened and closed.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) attempts: BTreeMap<u32, (u32, u32)>,
    pub(crate) sessions: BTreeMap<u64, u32>,
    pub(crate) finals: BTreeMap<u64, u32>,
    pub(crate) ended: Vec<EndReport>,
    pub(crate) gone: u32,
}

impl Ledger {
    pub(crate) fn note(&mut self, output: &Output) {
        assert_eq!(self.gone, 0, "{output:?} after Gone");
        match output {
            Output::Dial { token, .. } => self.attempts.entry(*token).or_default().0 += 1,
            Output::Fact(Fact::AttemptEnded { token, .. } | Fact::AttemptMoved { token }) => {
                self.attempts.entry(*token).or_default().1 += 1;
            }
            Output::Media { session, .. } => {
                self.sessions.entry(*session).or_default();
            }
            Output::MediaEnd { session } => {
                let ends = self.sessions.get_mut(session);
                *ends.expect("a session that was never opened is ended") += 1;
            }
            Output::Respond { uas, status, .. } => {
                let finals = self.finals.get_mut(uas).expect("a response to nothing");
                assert_eq!(*finals, 0, "a response after the final one");
                *finals += u32::from(*status >= 200);
            }
            Output::Fact(Fact::Ended(report)) => self.ended.push(report.clone()),
            Output::Gone => self.gone += 1,
            _ => {}
        }
    }

    #[track_caller]
    pub(crate) fn balance(&self) {
        assert_eq!(self.ended.len(), 1, "ended once");
        assert_eq!(self.gone, 1, "gone once");
        for (token, (dialled, ended)) in &self.attempts {
            assert_eq!(dialled, ended, "attempt {token} dialled and ended");
        }
        for (session, ends) in &self.sessions {
            assert_eq!(*ends, 1, "session {session:x} ended once");
        }
        for (uas, finals) in &self.finals {
            assert_eq!(*finals, 1, "request {uas} answered once");
        }
    }
}
