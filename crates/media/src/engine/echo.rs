//! Answering an offer with the echo: each packet goes back to where it came from.

use std::net::SocketAddr;

use super::negotiate::{Spot, parse};
use super::{Engine, Negotiation};
use crate::channel::Role;
use crate::error::MediaError;

impl Engine {
    /// Answers an offer ourselves, or makes one if the description is empty: each packet goes back
    /// to where it came from. Repeated calls keep the ports. `negotiation.from` is the side whose figures [`Engine::report`] fills.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn echo(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        if negotiation.sdp.is_empty() {
            return self.offer_echo(session, &negotiation);
        }
        let offer = parse(negotiation.sdp)?;
        let side = negotiation.from;
        let fallback = self.any_family();
        let family = self.family_towards(&offer, negotiation.signalling, fallback);
        let interface = self.interface(None, family)?;
        let ours = |version, port| {
            sdp::echo_answer(
                &offer,
                sdp::Session {
                    id: session,
                    version,
                    address: interface.advertised,
                },
                sdp::LocalMedia {
                    rtp: SocketAddr::new(interface.advertised, port),
                },
            )
            .map_err(|_| MediaError::NothingToEcho)
        };
        let version = self.sessions.get(&session).map_or(0, |s| s.version + 1);
        let mut relayed = vec![false; offer.media_count()];
        let chosen = accepted(&ours(version, PROBE_PORT)?)?;
        relayed[chosen] = true;
        let spot = Spot {
            side,
            family,
            interface: None,
        };
        let is_new = !self.sessions.contains_key(&session);
        let ports = self.ensure(session, Role::Echo, &relayed, spot)?;
        if is_new {
            self.install_echo(session, chosen);
        }
        let port = ports[chosen].ok_or(MediaError::NothingToEcho)?;
        let out = ours(version, port)?;
        let answer = parse(&out)?;
        let (out, secured) = self.secure_echo(
            session,
            &offer,
            &answer,
            (side, chosen),
            SocketAddr::new(interface.advertised, port),
            negotiation.options,
        )?;
        let answer = parse(&out)?;
        self.settle_alone(session, &negotiation, [&offer, &answer], secured);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.version = version;
        }
        Ok(out)
    }
}

/// Which medium a description of ours accepts.
fn accepted(bytes: &[u8]) -> Result<usize, MediaError> {
    let description = parse(bytes)?;
    let accepted = description.media().find(|media| !media.is_rejected());
    accepted
        .map(|media| media.index())
        .ok_or(MediaError::NothingToEcho)
}

/// Any port but 0, which would refuse a medium.
const PROBE_PORT: u16 = 9;
