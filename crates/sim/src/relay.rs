//! The media relay: gives descriptions back as they came, and counts its sessions.

use bytes::Bytes;
use model::CdrLegMedia;
use switch::{CallKey, MediaRequest};

use crate::dice::Dice;

/// The sessions that are open.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    open: Vec<(CallKey, u64)>,
}

impl Relay {
    /// What is answered to a request: the description, or for want of ports a status.
    pub(crate) fn take(&mut self, request: &MediaRequest, dice: &mut Dice) -> Result<Bytes, u16> {
        let session = (request.call, request.session);
        if !self.open.contains(&session) {
            self.open.push(session);
        }
        if dice.percent(REFUSALS_PERCENT) {
            return Err(dice.pick(&[503, 488]));
        }
        Ok(request.sdp.clone())
    }

    /// Ends a session; false if it is not open.
    pub(crate) fn end(&mut self, call: CallKey, session: u64) -> bool {
        let before = self.open.len();
        self.open.retain(|open| *open != (call, session));
        self.open.len() < before
    }

    /// How many sessions are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// The call of the first open session.
    pub(crate) fn first(&self) -> Option<CallKey> {
        self.open.first().map(|(call, _)| *call)
    }
}

/// What a relay reports of a session.
pub(crate) fn report() -> [CdrLegMedia; 2] {
    let leg = CdrLegMedia {
        codec: "PCMA".into(),
        packets: 50,
        bytes: 50 * 172,
        lost: 0,
        jitter_us: 0,
        mos_centi: 440,
    };
    [leg.clone(), leg]
}

const REFUSALS_PERCENT: u64 = 2;
