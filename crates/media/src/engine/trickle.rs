//! Candidates that come after the description (RFC 8838, RFC 8840).

use std::net::SocketAddr;

use sdp::{Fragment, Trickled};

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
                Some(stream) => commands.push(Command::Trickle {
                    medium: MediumId {
                        slot: session.slot,
                        stream,
                    },
                    side,
                    candidates: addresses(medium),
                }),
                None => is_early = true,
            }
        }
        if is_early && session.early.len() < EARLY_MAX {
            session.early.push((side, bytes.into()));
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

fn addresses(medium: &Trickled<'_>) -> Vec<(Part, SocketAddr)> {
    let part = |component| match component {
        1 => Some(Part::Rtp),
        2 => Some(Part::Rtcp),
        _ => None,
    };
    let mut candidates = medium.candidates.clone();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
    let addresses = candidates
        .iter()
        .filter_map(|candidate| Some((part(candidate.component)?, candidate.address)));
    addresses.take(CANDIDATES_MAX).collect()
}

/// Fragments kept of one session until an answer; further ones are forgotten.
const EARLY_MAX: usize = 16;
/// Candidates taken of one medium of a fragment.
const CANDIDATES_MAX: usize = 16;
