//! The media relay: gives descriptions back as they came, and counts its sessions.

use std::time::Duration;

use bytes::Bytes;
use model::CdrLegMedia;
use switch::{CallKey, MediaRequest};

use crate::dice::Dice;

/// The sessions that are open.
#[derive(Debug)]
pub(crate) struct Relay {
    open: Vec<(CallKey, u64)>,
    /// Its own, so that the seeds of mended bugs draw what they always drew.
    dice: Dice,
}

impl Relay {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            open: Vec::new(),
            dice: Dice::new(!seed),
        }
    }

    /// How much later than usual an answer comes; `None` if it never does.
    pub(crate) fn lateness(&mut self) -> Option<Duration> {
        if self.dice.percent(LOST_PERCENT) {
            return None;
        }
        Some(match self.dice.percent(LATE_PERCENT) {
            true => self.dice.millis(1_000, 8_000),
            false => Duration::ZERO,
        })
    }

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

    /// The first open session, with its call.
    pub(crate) fn first(&self) -> Option<(CallKey, u64)> {
        self.open.first().copied()
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
        ..CdrLegMedia::default()
    };
    [leg.clone(), leg]
}

const REFUSALS_PERCENT: u64 = 2;
const LOST_PERCENT: u64 = 1;
const LATE_PERCENT: u64 = 2;
