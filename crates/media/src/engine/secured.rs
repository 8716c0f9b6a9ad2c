//! Negotiating the security of a session: from the words of both sides to those for the other,
//! and to what the worker does.

use std::net::{IpAddr, SocketAddr};

use sdp::{Description, Media};

use super::secure::{Facing, Place, Towards, answered, chosen, write_answer, write_offer};
use super::session::Way;
use super::{Engine, Negotiation, Side};
use crate::error::MediaError;
use crate::full::security::{AgentKind, Security};
use crate::options::{IceAgent, Options};
use crate::worker::{Command, MediumId};

/// What the worker is to do, once an answer is accepted.
#[derive(Debug, Default)]
pub(super) struct Secured {
    /// Of which medium, for which side.
    securities: Vec<(usize, Side, Security)>,
    /// What to keep of each medium, by index.
    facings: Vec<[Facing; 2]>,
}

impl Engine {
    /// The offer for the other side, and what it was offered.
    pub(super) fn rewrite_offer(
        &mut self,
        session: u64,
        description: &Description<'_>,
        ports: &[Option<u16>],
        negotiation: Negotiation<'_>,
        address: IpAddr,
    ) -> Result<(Vec<u8>, Vec<Option<Towards>>), MediaError> {
        let mut facings = self.facings(session);
        let mut edit = self.relay_edit(description, ports, address)?;
        let mut offered = Vec::with_capacity(ports.len());
        let (from, to) = (negotiation.from, negotiation.from.other());
        for ((media, port), facing) in description.media().zip(ports).zip(&mut facings) {
            let both = [&facing[from as usize], &facing[to as usize]];
            let towards = Towards::wanted(&media, negotiation.options, both);
            if let (Some(towards), Some(port)) = (towards, port) {
                let place = self.place(address, *port, negotiation.options);
                let facing = &mut facing[to as usize];
                write_offer(&mut edit, &media, towards, facing, place)?;
            }
            offered.push(towards);
        }
        let out = edit.finish();
        self.keep(session, facings);
        Ok((out, offered))
    }

    /// The answer for the offerer, and what the worker is to do.
    pub(super) fn rewrite_answer(
        &self,
        session: u64,
        (from, way): (Side, &Way),
        offered: &Description<'_>,
        answer: &Description<'_>,
        ports: &[Option<u16>],
        address: IpAddr,
    ) -> Result<(Vec<u8>, Secured), MediaError> {
        let mut secured = Secured {
            securities: Vec::new(),
            facings: self.facings(session),
        };
        let mut edit = self.relay_edit(answer, ports, address)?;
        let to = from.other();
        let accepted = ports.iter().flatten().count();
        for (index, towards) in way.towards.iter().enumerate() {
            let media = offered.medium(index).zip(answer.medium(index));
            let facing = secured.facings.get_mut(index);
            if towards.is_none() {
                // Another phone that was offered the same may have answered in other terms before.
                let both = facing.into_iter().flatten();
                let agreed = both.map(Facing::forget_agreed).fold(false, |a, b| a | b);
                if agreed {
                    let sides = [from, to].map(|side| (index, side, Security::default()));
                    secured.securities.extend(sides);
                }
                continue;
            }
            let (
                Some(towards),
                Some(Some(port)),
                Some((offered_medium, answer_medium)),
                Some(facing),
            ) = (towards, ports.get(index), media, facing)
            else {
                continue;
            };
            let place = self.place(address, *port, &way.options);
            let theirs = &mut facing[to as usize];
            let answerer = answered(answer, &answer_medium, *towards, theirs, place)?;
            let restart = way.options.restart;
            let theirs = &mut facing[from as usize];
            let choice = chosen(offered, &offered_medium, theirs, restart, place)?;
            write_answer(&mut edit, &offered_medium, &choice, place);
            if accepted == 1
                && let Some(group) = bundle_of(offered, &offered_medium)
            {
                edit.add_to_session(group);
            }
            secured.securities.push((index, from, choice.security));
            secured.securities.push((index, to, answerer));
        }
        Ok((edit.finish(), secured))
    }

    /// The answer of the echo application in the terms of the offer.
    pub(super) fn secure_echo(
        &self,
        session: u64,
        offer: &Description<'_>,
        answer: &Description<'_>,
        (side, index): (Side, usize),
        rtp: SocketAddr,
        options: &Options,
    ) -> Result<(Vec<u8>, Secured), MediaError> {
        let mut secured = Secured {
            securities: Vec::new(),
            facings: self.facings(session),
        };
        let medium = offer.medium(index);
        let facing = secured.facings.get_mut(index);
        let (Some(medium), Some(facing)) = (medium, facing) else {
            return Ok((answer.as_bytes().to_vec(), secured));
        };
        let place = self.place(rtp.ip(), rtp.port(), options);
        let facing = &mut facing[side as usize];
        let choice = chosen(offer, &medium, facing, options.restart, place)?;
        let mut edit = sdp::Edit::new(answer);
        write_answer(&mut edit, &medium, &choice, place);
        if let Some(group) = bundle_of(offer, &medium) {
            edit.add_to_session(group);
        }
        secured.securities.push((index, side, choice.security));
        Ok((edit.finish(), secured))
    }

    /// The answer to whoever publishes, in the terms of its offer.
    pub(super) fn secure_sink(
        &self,
        session: u64,
        offer: &Description<'_>,
        answer: &Description<'_>,
        (side, address): (Side, IpAddr),
        ports: &[Option<u16>],
        options: &Options,
    ) -> Result<(Vec<u8>, Secured), MediaError> {
        let mut secured = Secured {
            securities: Vec::new(),
            facings: self.facings(session),
        };
        let mut edit = sdp::Edit::new(answer);
        let media = offer.media().zip(ports).zip(&mut secured.facings);
        for ((medium, port), facing) in media {
            let Some(port) = port.filter(|_| medium.profile().is_rtp()) else {
                continue;
            };
            let place = self.place(address, port, options);
            let facing = &mut facing[side as usize];
            let choice = chosen(offer, &medium, facing, options.restart, place)?;
            write_answer(&mut edit, &medium, &choice, place);
            secured
                .securities
                .push((medium.index(), side, choice.security));
        }
        Ok((edit.finish(), secured))
    }

    /// Has the worker do what was settled. It has the terms already.
    pub(super) fn secure(&mut self, id: u64, secured: Secured) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let commands = secured.securities.into_iter();
        let commands = commands.map(|(stream, side, security)| Command::Secure {
            medium: MediumId {
                slot: session.slot,
                stream,
            },
            side,
            security: Box::new(security),
        });
        self.workers[session.worker].send(commands);
        self.trickle_early(id);
    }

    fn facings(&self, session: u64) -> Vec<[Facing; 2]> {
        let session = self.sessions.get(&session);
        let streams = session.map_or(&[][..], |session| &session.streams);
        streams.iter().map(|stream| stream.facing.clone()).collect()
    }

    /// Keeps what was agreed on.
    pub(super) fn keep_agreed(&mut self, session: u64, secured: &mut Secured) {
        self.keep(session, std::mem::take(&mut secured.facings));
    }

    fn keep(&mut self, session: u64, facings: Vec<[Facing; 2]>) {
        let session = self.sessions.get_mut(&session);
        let streams = session.into_iter().flat_map(|s| &mut s.streams);
        for (stream, facing) in streams.zip(facings) {
            stream.facing = facing;
        }
    }

    fn place(&self, address: IpAddr, port: u16, options: &Options) -> Place<'_> {
        let agent = options.own_ice.unwrap_or(self.config.ice_agent);
        Place {
            agent: match agent {
                IceAgent::Lite => AgentKind::Lite,
                IceAgent::Full => AgentKind::Full,
            },
            identity: &self.identity,
            rtp: SocketAddr::new(address, port),
        }
    }
}

/// The group of an offer that has a medium in it, with that medium alone (RFC 8843 §7.3).
fn bundle_of(offer: &Description<'_>, medium: &Media<'_>) -> Option<String> {
    let mid = str::from_utf8(medium.attribute("mid")?).ok()?;
    let group = str::from_utf8(offer.attribute("group")?).ok()?;
    let mut words = group.split_ascii_whitespace();
    let bundles = words.next() == Some("BUNDLE") && words.any(|word| word == mid);
    bundles.then(|| format!("group:BUNDLE {mid}"))
}
