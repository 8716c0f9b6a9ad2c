//! The echo session of a caller that leaves the offer to us (RFC 3261 §13.2.1): we offer plain
//! audio, and its answer comes with the ACK.

use std::net::SocketAddr;

use super::negotiate::{Spot, parse};
use super::session::Offer;
use super::terms::{self, Wish};
use super::transcoding::origin;
use super::{Engine, Negotiation};
use crate::channel::Role;
use crate::config::AddressFamily;
use crate::error::MediaError;
use crate::full::{Echo, Place};
use crate::options::Options;

impl Engine {
    /// An offer of our own to `negotiation.from`. Media flows once [`Engine::answer`] got its
    /// answer.
    pub(super) fn offer_echo(
        &mut self,
        session: u64,
        negotiation: &Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        let side = negotiation.from;
        let fallback = self.any_family();
        let family = negotiation.signalling.map_or(fallback, AddressFamily::from);
        let address = self.interface(None, family)?.advertised;
        let version = self.sessions.get(&session).map_or(0, |s| s.version + 1);
        let spot = Spot {
            side,
            family,
            interface: None,
        };
        let is_new = !self.sessions.contains_key(&session);
        let ports = self.ensure(session, Role::Echo, &[true], spot)?;
        if is_new {
            self.install_echo(session, 0);
        }
        let port = ports[0].ok_or(MediaError::NothingToEcho)?;
        let ours = sdp::Session {
            id: session,
            version,
            address,
        };
        let rtp = SocketAddr::new(address, port);
        let out = sdp::echo_offer(ours, sdp::LocalMedia { rtp });
        let wishes = Wish::all(&parse(&out)?, &ours_alone(negotiation));
        if let Some(session) = self.sessions.get_mut(&session) {
            session.version = version;
            session.offer = Some(Offer {
                from: side.other(),
                description: out.clone(),
                wishes,
                ways: Vec::new(),
                family,
            });
        }
        Ok(out)
    }

    /// The answer to [`Engine::offer_echo`]; returns our offer again, for nobody else waits.
    pub(super) fn settle_echo(
        &mut self,
        session: u64,
        negotiation: &Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        let answer = parse(negotiation.sdp)?;
        let known = self.sessions.get(&session);
        let open = known.and_then(|known| known.offer.as_ref());
        let open = open.filter(|offer| offer.from != negotiation.from);
        let ours = open.ok_or(MediaError::NoOffer)?.description.clone();
        let offered = parse(&ours)?;
        if offered.media_count() != answer.media_count() {
            return Err(MediaError::Sections {
                offered: offered.media_count(),
                answered: answer.media_count(),
            });
        }
        if !terms::relayed(&answer).contains(&true) {
            return Err(MediaError::NothingToEcho);
        }
        let wishes = Wish::all(&answer, negotiation);
        self.apply(session, negotiation.from, &answer, &offered, &wishes, None);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.offer = None;
        }
        Ok(ours)
    }

    /// Makes us the party that a medium of an echo session talks to.
    pub(super) fn install_echo(&self, session: u64, stream: usize) {
        let stage = Echo::new(origin().ssrc);
        self.set_stage(session, stream, Place::Transcode, Some(Box::new(stage)));
    }
}

/// Our own description: what is known of the peer's signalling says nothing of us.
fn ours_alone<'a>(negotiation: &Negotiation<'a>) -> Negotiation<'a> {
    Negotiation {
        signalling: None,
        options: Options::relay(),
        ..*negotiation
    }
}
