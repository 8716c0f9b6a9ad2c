//! Candidates that come after the description (RFC 8838, RFC 8840).

use std::net::SocketAddr;

use sdp::{Fragment, Trickled};

use super::facing::Facing;
use super::{Engine, Side};
use crate::error::MediaError;
use crate::full::Part;
use crate::options::IceAgent;
use crate::worker::{Command, MediumId};

impl Engine {
    /// Takes candidates that a side names after its description, in a body of type
    /// `application/trickle-ice-sdpfrag`. Those of another agent than the description's, and of
    /// media that ICE is not spoken for, are passed over; those that come before the answer that
    /// settles whether it is are kept for it.
    ///
    /// # Errors
    /// [`MediaError::NoSession`], or what is wrong with the fragment.
    pub fn trickle(&mut self, id: u64, side: Side, bytes: &[u8]) -> Result<(), MediaError> {
        let session = self.sessions.get_mut(&id).ok_or(MediaError::NoSession)?;
        let fragment = Fragment::parse(bytes)?;
        let mut commands = Vec::new();
        let mut is_early = false;
        for medium in &fragment.media {
            let mut streams = session.streams.iter();
            let found =
                streams.position(|s| s.facing[side as usize].is_trickled(&fragment, medium));
            match found {
                Some(stream) => {
                    let facing = &session.streams[stream].facing[side as usize];
                    let slot = session.slot;
                    commands.push(Command::Trickle {
                        medium: MediumId { slot, stream },
                        side,
                        candidates: addresses(medium, facing),
                    });
                }
                None => is_early = true,
            }
        }
        if is_early {
            keep(&mut session.early, side, bytes);
        }
        self.workers[session.worker].send(commands);
        Ok(())
    }

    /// What peers that speak ICE find in us, where nobody says otherwise.
    #[must_use]
    pub fn ice_agent(&self) -> IceAgent {
        self.config.ice_agent
    }

    /// Takes the fragments that came too early.
    pub(super) fn trickle_early(&mut self, id: u64) {
        let session = self.sessions.get_mut(&id);
        let early = session.map(|session| std::mem::take(&mut session.early));
        for (side, fragment) in early.into_iter().flatten() {
            if let Err(error) = self.trickle(id, side, &fragment) {
                tracing::debug!(session = id, %error, "candidates that came early");
            }
        }
    }
}

/// Keeps a fragment for an answer. It may also be one that no answer ever wants, so the oldest of its
/// side gives way.
fn keep(early: &mut Vec<(Side, Box<[u8]>)>, side: Side, fragment: &[u8]) {
    let is_theirs = |(of, _): &(Side, Box<[u8]>)| *of == side;
    if early.iter().filter(|kept| is_theirs(kept)).count() == EARLY_MAX
        && let Some(oldest) = early.iter().position(is_theirs)
    {
        early.remove(oldest);
    }
    early.push((side, fragment.into()));
}

fn addresses(medium: &Trickled<'_>, facing: &Facing) -> Vec<(Part, SocketAddr)> {
    let part = |component| match component {
        1 => Some(Part::Rtp),
        2 if !facing.is_muxed() => Some(Part::Rtcp),
        _ => None,
    };
    let mut candidates = medium.candidates.clone();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
    let addresses = candidates
        .iter()
        .filter_map(|candidate| Some((part(candidate.component)?, candidate.address)));
    addresses.take(CANDIDATES_MAX).collect()
}

/// Fragments kept of one side of a session until an answer; of more, the oldest are forgotten.
const EARLY_MAX: usize = 16;
/// Candidates taken of one medium of a fragment.
const CANDIDATES_MAX: usize = 16;
