//! A call as bytes, for another node to go on with it when this one dies.
//!
//! What is kept is an answered call between two exchanges: its legs with their dialogs and
//! descriptions, the session, its timers, and a transfer as far as it can be taken up again; and one
//! that rings, with its set-up. An exchange under way is not: its peer repeats it, and whoever goes
//! on with the call begins from what was agreed before. Passwords are not kept, nor is the generator of tags: a call that goes
//! on elsewhere makes others.
//!
//! The bytes come in two parts. [`Snapshot::state`] is what matters; [`Snapshot::numbers`], the
//! sequence numbers, change with every request, and whoever goes on may leave a gap instead of
//! knowing the last ones ([`Call::go_on`]). The format has no version of its own: whoever stores
//! it says which [`FORMAT`] it is.

pub(crate) mod attempt;
mod bytes;
pub(crate) mod leg;

use std::sync::Arc;

use clock::Time;

pub use self::bytes::{Packer, Unpacker};
use self::leg::{pack_leg, pack_numbers, unpack_leg, unpack_numbers};
use crate::call::{Call, CallFacts, Phase};
use crate::config::MediaMode;
use crate::io::{Side, Timer};
use crate::leg::{Leg, NO_BRANCH, Offering, Pair, PairId, Reach};
use crate::plan::Credentials;
use crate::reanchor::Reanchor;
use crate::transfer::{Kind, Transfer};

/// Which format snapshots have: a call that was stored in another one is not read.
pub const FORMAT: u8 = 3;

/// What challenges of a leg's peer are answered with: of an attempt by its token, of the caller for
/// `None`.
pub(crate) type Grants<'a> = dyn FnMut(Option<u32>) -> Option<Arc<Credentials>> + 'a;

/// A call between two exchanges, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What has to be known to go on.
    pub state: Vec<u8>,
    /// Its sequence numbers at that moment.
    pub numbers: Vec<u8>,
}

impl Call {
    /// The call as it stands; `None` before it rings, once it has ended, or in the middle of an
    /// exchange that changes what was agreed.
    #[must_use]
    pub fn snapshot(&self) -> Option<Snapshot> {
        let stands = match self.phase {
            Phase::Setup => self.rings_calmly(),
            Phase::Answered => self.pairs.len() == 1,
            Phase::Over => false,
        };
        let mut legs = self
            .pairs
            .iter()
            .flat_map(|pair| pair.legs.iter().flatten());
        // Whoever goes on with a join begins it again, whatever became of its re-INVITEs.
        let transfer = self.transfer.as_ref();
        let rejoins = transfer.is_some_and(|transfer| transfer.kind == Kind::Joining);
        let is_between = |leg: &Leg| {
            let is_agreed = match leg.offering {
                Offering::Nobody => true,
                Offering::Us => rejoins,
                Offering::Peer => false,
            };
            is_agreed && !leg.owes_ack
        };
        if !stands || !legs.all(is_between) {
            return None;
        }
        let mut state = Packer::with_capacity(STATE_TYPICAL);
        let (session, is_open) = self.lasting_session();
        state.put_u64(self.key);
        state.put_u64(self.seal);
        state.put_u64(session);
        state.put_u8(self.last_session);
        state.put_flag(is_open);
        state.put_flag(self.reanchor.is_some());
        state.put_u8(match self.media {
            MediaMode::Relay => 0,
            MediaMode::Bypass => 1,
        });
        state.put_u8(leg::code_of_trust(self.trust));
        state.put_u8(leg::code_of_keys(self.keys));
        state.put_u64(self.attempts_before as u64);
        state.put_flag(self.phase == Phase::Setup);
        if self.phase == Phase::Setup {
            self.pack_setup(&mut state);
        }
        state.put_u64(self.pairs.len() as u64);
        for pair in &self.pairs {
            state.put_u8(pair.id.0);
            state.put_optional_u64((pair.branch != NO_BRANCH).then_some(pair.branch as u64));
            for leg in &pair.legs {
                pack_leg(&mut state, leg.as_ref());
            }
        }
        self.pack_transfer(&mut state);
        self.pack_timers(&mut state);
        let mut numbers = Packer::with_capacity(NUMBERS_TYPICAL);
        numbers.put_u64(u64::from(self.next_request));
        numbers.put_u64(u64::from(self.last_ask.0));
        for leg in self.kept_legs() {
            pack_numbers(&mut numbers, leg);
        }
        Some(Snapshot {
            state: state.finish(),
            numbers: numbers.finish(),
        })
    }

    /// Whether nothing is under way, so that a snapshot leaves nothing out.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let acknowledged = |leg: &Leg| leg.is_idle();
        self.phase == Phase::Answered
            && self.is_quiet()
            && self.setup.is_none()
            && self.transfer.is_none()
            && self.reanchor.is_none()
            && self.parting.is_empty()
            && self.pairs.len() == 1
            && self.kept_legs().all(acknowledged)
    }

    /// A call from its snapshot. `seed` are secret bits for its tags, `grants` says what challenges
    /// of a leg's peer are answered with: of an attempt by its token, of the caller for `None`.
    ///
    /// It is as it was then, and does nothing yet; [`Call::go_on`] takes it up on another node.
    /// `None` if the bytes are no snapshot.
    #[must_use]
    pub fn restore(
        snapshot: &Snapshot,
        seed: u64,
        mut grants: impl FnMut(Option<u32>) -> Option<Arc<Credentials>>,
    ) -> Option<Self> {
        let from = &mut Unpacker(&snapshot.state);
        let (key, seal, session) = (from.u64()?, from.u64()?, from.u64()?);
        let (last_session, is_open, is_lost) = (from.u8()?, from.flag()?, from.flag()?);
        let media = match from.u8()? {
            0 => MediaMode::Relay,
            1 => MediaMode::Bypass,
            _ => return None,
        };
        let facts = CallFacts {
            key,
            seal,
            seed,
            reach: Reach::Flow,
            trust: leg::trust_of_code(from.u8()?)?,
            keys: leg::keys_of_code(from.u8()?)?,
            credentials: None,
        };
        let mut call = Self::new(&facts, media);
        call.phase = Phase::Answered;
        (call.session, call.last_session, call.session_open) = (session, last_session, is_open);
        call.attempts_before = usize::try_from(from.u64()?).ok()?;
        if from.flag()? {
            call.phase = Phase::Setup;
            call.unpack_setup(from, &mut grants)?;
        }
        for _ in 0..from.u64()? {
            call.unpack_pair(from)?;
        }
        call.transfer = unpack_transfer(from)?;
        unpack_timers(from, &mut call)?;
        call.reanchor = is_lost.then(|| Box::new(Reanchor::waiting()));
        let numbers = &mut Unpacker(&snapshot.numbers);
        call.next_request = numbers.u32()?;
        call.last_ask.0 = numbers.u64()?.try_into().ok()?;
        for leg in call.kept_legs_mut() {
            unpack_numbers(numbers, leg)?;
            leg.grant(grants(leg.token));
        }
        (from.0.is_empty() && numbers.0.is_empty()).then_some(call)
    }

    fn unpack_pair(&mut self, from: &mut Unpacker<'_>) -> Option<()> {
        let id = PairId(from.u8()?);
        let branch = match from.optional_u64()? {
            Some(branch) => {
                let count = self.setup.as_ref()?.branch_count();
                usize::try_from(branch).ok().filter(|at| *at < count)?
            }
            None => NO_BRANCH,
        };
        let legs = [unpack_leg(from)?, unpack_leg(from)?];
        self.pairs.push(Pair { id, legs, branch });
        self.next_pair = id.0.wrapping_add(1);
        Some(())
    }

    /// The media session that a snapshot speaks of, if the relay has one.
    #[must_use]
    pub fn kept_session(&self) -> Option<u64> {
        let (session, is_open) = self.lasting_session();
        is_open.then_some(session)
    }

    /// That of the target of a transfer lasts only once it has answered.
    fn lasting_session(&self) -> (u64, bool) {
        match &self.transfer {
            Some(transfer) if transfer.kind == Kind::Dialling => match transfer.old_session {
                Some(old) => (old, true),
                None => (self.session, false),
            },
            _ => (self.session, self.session_open),
        }
    }

    /// The legs that a snapshot has, in its order.
    pub(crate) fn kept_legs(&self) -> impl Iterator<Item = &Leg> {
        let referrer = self.transfer.as_ref().and_then(|t| t.referrer.as_ref());
        let legs = self.pairs.iter().flat_map(|p| p.legs.iter().flatten());
        legs.chain(referrer)
    }

    pub(crate) fn kept_legs_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        let referrer = self.transfer.as_mut().and_then(|t| t.referrer.as_mut());
        let legs = self.pairs.iter_mut();
        let legs = legs.flat_map(|p| p.legs.iter_mut().flatten());
        legs.chain(referrer)
    }

    fn pack_transfer(&self, state: &mut Packer) {
        let Some(transfer) = &self.transfer else {
            return state.put_u8(0);
        };
        let kind = match transfer.kind {
            // Its newcomer has not been answered, and tries again.
            Kind::Replacing => return state.put_u8(0),
            // The target will be rung anew.
            Kind::Routing | Kind::Dialling => 1,
            Kind::Joining => 2,
            Kind::Joined => 3,
        };
        state.put_u8(kind);
        state.put_u8(transfer.pair.0);
        state.put_u8(transfer.by as u8);
        state.put_bytes(&transfer.target);
        pack_leg(state, transfer.referrer.as_ref());
    }

    fn pack_timers(&self, state: &mut Packer) {
        let mut kept: Vec<(Time, u8, PairId, Side)> = Vec::new();
        for (at, timer) in self.timers() {
            match timer {
                Timer::Duration => kept.push((at, 0, PairId(0), Side::A)),
                Timer::Refresh(pair, side) => kept.push((at, 1, pair, side)),
                Timer::SessionExpires(pair, side) => kept.push((at, 2, pair, side)),
                Timer::Retry(pair, side) => kept.push((at, 3, pair, side)),
                Timer::Ring if self.phase == Phase::Setup => {
                    kept.push((at, 4, PairId(0), Side::A));
                }
                Timer::Ring
                | Timer::Silence(_)
                | Timer::Linger
                | Timer::Reanchor
                | Timer::Retell(..) => {}
            }
        }
        state.put_u8(kept.len() as u8);
        for (at, what, pair, side) in kept {
            state.put_u64(at.as_micros());
            state.put_u8(what);
            state.put_u8(pair.0);
            state.put_u8(side as u8);
        }
    }
}

#[expect(
    clippy::option_option,
    reason = "the outer one says whether the bytes could be read"
)]
fn unpack_transfer(from: &mut Unpacker<'_>) -> Option<Option<Box<Transfer>>> {
    let kind = match from.u8()? {
        0 => return Some(None),
        1 => Kind::Routing,
        2 => Kind::Joining,
        3 => Kind::Joined,
        _ => return None,
    };
    let pair = PairId(from.u8()?);
    let by = side_of(from.u8()?)?;
    let mut transfer = Transfer::new(pair, by, kind);
    transfer.target = from.bytes()?.into();
    transfer.referrer = unpack_leg(from)?;
    Some(Some(Box::new(transfer)))
}

fn unpack_timers(from: &mut Unpacker<'_>, call: &mut Call) -> Option<()> {
    for _ in 0..from.u8()? {
        let at = Time::from_micros(from.u64()?);
        let (what, pair, side) = (from.u8()?, PairId(from.u8()?), side_of(from.u8()?)?);
        let timer = match what {
            0 => Timer::Duration,
            1 => Timer::Refresh(pair, side),
            2 => Timer::SessionExpires(pair, side),
            3 => Timer::Retry(pair, side),
            4 => Timer::Ring,
            _ => return None,
        };
        call.arm(timer, at);
    }
    Some(())
}

const fn side_of(code: u8) -> Option<Side> {
    match code {
        0 => Some(Side::A),
        1 => Some(Side::B),
        _ => None,
    }
}

/// Room for the state of an ordinary call, in bytes: more makes it grow once or twice.
const STATE_TYPICAL: usize = 1024;
/// The same for its sequence numbers.
const NUMBERS_TYPICAL: usize = 64;
