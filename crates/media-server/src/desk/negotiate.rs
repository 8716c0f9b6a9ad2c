//! Offers and answers.

use std::net::IpAddr;
use std::time::Instant;

use media::{AddressFamily, Barrier, MediaError, Passage, Side};
use ng::options::{Family, Switch};
use ng::{Flag, Negotiation, Reply, State, Success};

use super::actions::recording_of;
use super::{Desk, since_epoch, unix_s};
use crate::calls::Place;
use crate::lines::{Mids, has_mids, rewrite};
use crate::wishes::{Of, Wishes};

impl Desk {
    pub(super) fn offer(&mut self, asked: &Negotiation, now: Instant) -> Reply {
        let id = asked.selection.call_id.as_str();
        let known = self
            .calls
            .call(id)
            .and_then(|c| c.place_of_offer(&asked.selection));
        if asked.options.flags.contains(Flag::Fragment) {
            return self.trickle(asked, known);
        }
        let place = match known {
            Some(place) => place,
            None => match self.refusal() {
                Some(reason) => return self.refuse(asked, reason),
                None => self.calls.open(&asked.selection, now, since_epoch()),
            },
        };
        let wishes = Wishes::of_offer(&asked.options, &asked.sdp);
        let Some(session) = self.sign(asked, place, place.side, now) else {
            return Reply::error("the call is gone");
        };
        let signalling = signalling(asked);
        let negotiation = media::Negotiation {
            from: place.side,
            sdp: &asked.sdp,
            signalling,
            options: &wishes.options,
        };
        let to = self.family_towards(asked, signalling);
        match self.engine.offer(session, negotiation, to) {
            Ok(sdp) => {
                self.turn(id, place, &asked.options, Of::Offer);
                let mids = self.note_mids(asked, place);
                let sdp = rewrite(sdp, &asked.options, Of::Offer, mids);
                self.done(asked, sdp, wishes.undone)
            }
            Err(error) => {
                if known.is_none() {
                    self.engine.delete(session);
                    self.calls.remove(id, &[session]);
                }
                self.failed(asked, &error)
            }
        }
    }

    /// Candidates that come after the description, from the author of it.
    fn trickle(&mut self, asked: &Negotiation, place: Option<Place>) -> Reply {
        let call = self.calls.call(&asked.selection.call_id);
        let found = call.zip(place).and_then(|(call, place)| {
            let branch = call.branches.get(place.branch)?;
            Some((branch.session, place.side))
        });
        let Some((session, side)) = found else {
            return Reply::error("Unknown call-id");
        };
        match self.engine.trickle(session, side, &asked.sdp) {
            Ok(()) => Reply::Ok(Box::default()),
            Err(error) => self.failed(asked, &error),
        }
    }

    pub(super) fn answer(&mut self, asked: &Negotiation, now: Instant) -> Reply {
        let id = asked.selection.call_id.as_str();
        let Some(call) = self.calls.call(id) else {
            return Reply::error("Unknown call-id");
        };
        let Some(place) = call.place_of_answer(&asked.selection) else {
            return Reply::error("no offer is open for these tags");
        };
        let wishes = Wishes::new(&asked.options, Of::Answer);
        let Some(session) = self.sign(asked, place, place.side.other(), now) else {
            return Reply::error("the call is gone");
        };
        let negotiation = media::Negotiation {
            from: place.side,
            sdp: &asked.sdp,
            signalling: signalling(asked),
            options: &wishes.options,
        };
        match self.engine.answer(session, negotiation) {
            Ok(sdp) => {
                self.turn(id, place, &asked.options, Of::Answer);
                self.record_if_wanted(id, session);
                self.block_dtmf_if_wanted(id, session);
                let call = self.calls.call(id);
                let mids = call.map_or(Mids::Theirs, |call| call.branches[place.branch].mids);
                let sdp = rewrite(sdp, &asked.options, Of::Answer, mids);
                self.done(asked, sdp, wishes.undone)
            }
            Err(error) => self.failed(asked, &error),
        }
    }

    /// Begins to record a branch that was answered, if the call is to be recorded.
    fn record_if_wanted(&mut self, id: &str, session: u64) {
        let call = self.calls.call(id).filter(|call| call.is_recorded);
        let Some(options) = call.map(recording_of) else {
            return;
        };
        if let Err(error) = self.start_recording(session, &options) {
            tracing::warn!(session, %error, "a call is not recorded");
        }
    }

    /// Blocks the DTMF of a branch that was answered, if that of the call is to be blocked.
    fn block_dtmf_if_wanted(&mut self, id: &str, session: u64) {
        if self.calls.call(id).is_some_and(|call| call.is_dtmf_blocked) {
            for side in [Side::A, Side::B] {
                // Without audio there are no keys.
                let _ = self
                    .engine
                    .set_barrier(session, side, Barrier::Dtmf, Passage::Closed);
            }
        }
    }

    /// Notes in the branch whose names the media that are offered have.
    fn note_mids(&mut self, asked: &Negotiation, place: Place) -> Mids {
        let generated = asked.options.flags.contains(Flag::GenerateMid);
        let mids = match generated && !has_mids(&asked.sdp) {
            true => Mids::Ours,
            false => Mids::Theirs,
        };
        if let Some(call) = self.calls.call_mut(&asked.selection.call_id) {
            call.branches[place.branch].mids = mids;
        }
        mids
    }

    /// Notes in the branch who signalled; its session.
    fn sign(
        &mut self,
        asked: &Negotiation,
        place: Place,
        offerer: Side,
        now: Instant,
    ) -> Option<u64> {
        let now_s = unix_s();
        let call = self.calls.call_mut(&asked.selection.call_id)?;
        call.last_signal_s = now_s;
        call.delete_at = None;
        let flag = asked.options.flags.contains(Flag::RecordCall);
        match asked.options.record_call {
            Some(wanted) => call.is_recorded = wanted == Switch::On,
            None => call.is_recorded |= flag,
        }
        call.is_dtmf_blocked |= asked.options.flags.contains(Flag::BlockDtmf);
        let branch = call.branches.get_mut(place.branch)?;
        branch.heard = now;
        branch.offerer = offerer;
        let tags = [&asked.selection.from_tag, &asked.selection.to_tag];
        for (tag, side) in tags.into_iter().zip([offerer, offerer.other()]) {
            if let Some(tag) = tag {
                branch.party_mut(side).learn(tag, now_s);
            }
        }
        if let Some(label) = &asked.options.set_label {
            branch.party_mut(place.side).label = Some(label.as_str().into());
        }
        Some(branch.session)
    }

    /// Why no new session is taken, if none is.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        let full =
            self.config.sessions_max > 0 && self.calls.sessions() >= self.config.sessions_max;
        (full || self.state != State::Active).then_some(FULL)
    }

    pub(super) fn refuse(&mut self, asked: &Negotiation, reason: &str) -> Reply {
        self.tally.count_rejected();
        if asked.options.understands_load_limit() {
            return Reply::LoadLimit {
                message: reason.into(),
            };
        }
        Reply::error(reason)
    }

    fn done(&mut self, asked: &Negotiation, sdp: Vec<u8>, mut undone: Vec<String>) -> Reply {
        let call = self.calls.call(&asked.selection.call_id);
        let records = call.is_some_and(|call| call.is_recorded);
        if records && self.config.engine.recordings.is_none() {
            undone.push("record-call (there is no place for recordings)".into());
        }
        self.warned(Success::sdp(sdp), &undone)
    }

    /// A success that says what was asked for but not done.
    pub(super) fn warned(&mut self, mut success: Success, undone: &[String]) -> Reply {
        if !undone.is_empty() {
            self.tally.count_undone_flags(undone.len());
            success.warn(format!("not done here: {}", undone.join(", ")));
        }
        success.into()
    }

    pub(super) fn failed(&mut self, asked: &Negotiation, error: &MediaError) -> Reply {
        match error {
            // Kamailio knows these words, and asks another server.
            MediaError::NoPorts(_) => self.refuse(asked, NO_PORTS),
            MediaError::NoFiles(_) if asked.options.understands_load_limit() => {
                self.refuse(asked, &error.to_string())
            }
            MediaError::NoFiles(_) => self.refuse(asked, NO_PORTS),
            error => Reply::error(error.to_string()),
        }
    }

    /// The family that the other side is offered: the one asked for, else the sender's own, if we
    /// have it.
    pub(super) fn family_towards(
        &self,
        asked: &Negotiation,
        signalling: Option<IpAddr>,
    ) -> AddressFamily {
        let config = &self.config.engine;
        let wanted = match asked.options.address_family {
            Some(Family::Ip4) => Some(AddressFamily::V4),
            Some(Family::Ip6) => Some(AddressFamily::V6),
            None => None,
        };
        let described = wanted.or_else(|| media::family_of(&asked.sdp));
        let known = described.or(signalling.map(AddressFamily::from));
        let any = match config.v4 {
            Some(_) => AddressFamily::V4,
            None => AddressFamily::V6,
        };
        match known {
            Some(family) if wanted.is_some() || config.interface(family).is_some() => family,
            _ => any,
        }
    }
}

/// Where the SIP message came from. A proxy that trusts the description's addresses may say it all
/// the same: what is said here is compared with them, never put in their place.
pub(super) fn signalling(asked: &Negotiation) -> Option<IpAddr> {
    asked.options.received_from
}

const FULL: &str = "Parallel session limit reached";
const NO_PORTS: &str = "Ran out of ports";
