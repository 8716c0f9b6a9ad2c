//! Negotiating the security of a session: from the words of both sides to those for the other,
//! and to what the worker does.

use std::net::{IpAddr, SocketAddr};

use sdp::{Description, Edit, Media};

use super::bundle::{self, Bundled};
use super::facing::{Choice, Facing, Place, Towards, answered, chosen, write_answer, write_offer};
use super::session::Way;
use super::{Engine, Negotiation, Side};
use crate::error::MediaError;
use crate::full::security::{AgentKind, Security};
use crate::options::{IceAgent, OfferedBundle, Options};
use crate::worker::{Command, MediumId};

/// The offer for the other side, what it was offered of each medium, and what of it as a bundle that
/// had not been one.
pub(super) type Rewritten = (Vec<u8>, Vec<Option<Towards>>, Option<Bundled>);

/// What the worker is to do, once an answer is accepted.
#[derive(Debug, Default)]
pub(super) struct Secured {
    /// Of which medium, for which side.
    securities: Vec<(usize, Side, Security)>,
    /// What to keep of each medium, by index.
    facings: Vec<[Facing; 2]>,
    /// What sides A and B bundle.
    bundled: [Option<Bundled>; 2],
}

/// The transport of media that an offerer bundles.
struct Lead {
    bundled: Bundled,
    /// What was chosen of it; what the worker is to do is taken out.
    choice: Choice,
    /// Ours.
    port: u16,
}

/// To whom we answer, and in what terms.
#[derive(Clone, Copy)]
struct Spoken<'a> {
    session: u64,
    side: Side,
    /// Ours that the side sees.
    address: IpAddr,
    options: &'a Options,
}

impl Secured {
    fn new(facings: Vec<[Facing; 2]>) -> Self {
        Self {
            facings,
            ..Self::default()
        }
    }

    /// What sides A and B bundle from now on.
    pub(super) fn take_bundled(&mut self) -> [Option<Bundled>; 2] {
        std::mem::take(&mut self.bundled)
    }

    /// Has a medium use the transport of another.
    fn share(&mut self, bundled: &Bundled, index: usize, side: Side) {
        let Some(name) = bundled.name(index).filter(|_| index != bundled.carrier) else {
            return;
        };
        let carrier = self.facings.get(bundled.carrier);
        let carrier = carrier.map(|carrier| carrier[side as usize].clone());
        if let (Some(carrier), Some(facing)) = (carrier, self.facings.get_mut(index)) {
            facing[side as usize].share(&carrier, name);
            let nothing = Security::default();
            self.securities.push((index, side, nothing));
        }
    }

    /// A medium passes as it is. Another phone that was offered the same may have answered in other
    /// terms before.
    fn pass_through(&mut self, index: usize) {
        let facing = self.facings.get_mut(index);
        let both = facing.into_iter().flatten();
        let agreed = both.map(Facing::forget_agreed).fold(false, |a, b| a | b);
        if agreed {
            let sides = [Side::A, Side::B].map(|side| (index, side, Security::default()));
            self.securities.extend(sides);
        }
    }
}

impl Engine {
    /// The offer for the other side, what it was offered, and what of it as a bundle.
    pub(super) fn rewrite_offer(
        &mut self,
        session: u64,
        description: &Description<'_>,
        ports: &[Option<u16>],
        negotiation: Negotiation<'_>,
        address: IpAddr,
    ) -> Result<Rewritten, MediaError> {
        let mut facings = self.facings(session);
        let (from, to) = (negotiation.from, negotiation.from.other());
        let shared = self.still_bundled(session, description, ports, negotiation, address);
        let wanted = negotiation.options.offered_bundle;
        let has_port = |media: &Media<'_>| ports.get(media.index()).is_some_and(Option::is_some);
        let proposed = match wanted {
            _ if shared.is_some() => None,
            OfferedBundle::AsOffered => None,
            OfferedBundle::Offer | OfferedBundle::Require => {
                Bundled::proposed(description, has_port)
            }
        };
        let shared = shared.or_else(|| {
            let proposed = proposed
                .clone()
                .filter(|_| wanted == OfferedBundle::Require)?;
            let port = self.port_of(session, (proposed.tagged(), to), address)?;
            Some((proposed, port))
        });
        let shown = shared.as_ref().map(|(b, port)| b.ports(ports, *port));
        let shown = shown.as_deref().unwrap_or(ports);
        let mut edit = self.relay_edit(description, shown, address)?;
        let mut offered = Vec::with_capacity(ports.len());
        let apart = bundle::is_only_way(description) && !self.bundles_by_itself(session, to);
        for (media, port) in description.media().zip(shown) {
            let index = media.index();
            let Some(facing) = facings.get(index) else {
                continue;
            };
            let both = [&facing[from as usize], &facing[to as usize]];
            let mut towards = Towards::wanted(&media, negotiation.options, both);
            if apart && bundle::is_taken_apart(&media, description) {
                towards = towards.or_else(|| Some(Towards::as_it_came(&media)));
            }
            if proposed
                .as_ref()
                .is_some_and(|proposed| proposed.has(index))
            {
                let terminated = towards.unwrap_or_else(|| Towards::as_it_came(&media));
                towards = Some(terminated.on_one_port(wanted));
            }
            if media.is_bundle_only() {
                bundle::strip(&mut edit, index);
            }
            let member = shared.as_ref().filter(|(bundled, _)| bundled.has(index));
            let speaker = member.map_or(index, |(bundled, _)| bundled.carrier);
            if member.is_some()
                && let Some(agreed) = facings.get(speaker).and_then(|f| f[to as usize].agreed())
            {
                towards = towards.map(|towards| towards.with_ports_of(agreed));
            }
            if let (Some(towards), Some(port), Some(facing)) =
                (towards, port, facings.get_mut(speaker))
            {
                let place = self.place(address, *port, negotiation.options);
                let facing = &mut facing[to as usize];
                write_offer(&mut edit, &media, towards, facing, place)?;
            }
            offered.push(towards);
        }
        let bundled = shared.as_ref().map(|(bundled, _)| bundled);
        if let Some(bundled) = bundled.or(proposed.as_ref()) {
            bundled.write(&mut edit, description);
        }
        let out = edit.finish();
        self.keep(session, facings);
        Ok((out, offered, proposed))
    }

    /// What the side that is offered to has bundled before and is to bundle again, with the port of
    /// it: not if something else is to carry it now, as to another phone in its place.
    fn still_bundled(
        &self,
        session: u64,
        description: &Description<'_>,
        ports: &[Option<u16>],
        negotiation: Negotiation<'_>,
        address: IpAddr,
    ) -> Option<(Bundled, u16)> {
        let (from, to) = (negotiation.from, negotiation.from.other());
        let bundled = self.bundled(session, to)?.with_ports(ports)?;
        let streams = &self.sessions.get(&session)?.streams;
        let agreed = streams.get(bundled.carrier)?.facing[to as usize].agreed()?;
        let stays = |media: Media<'_>| {
            let facing = streams.get(media.index()).map(|stream| &stream.facing);
            let wanted = facing.and_then(|facing| {
                let both = [&facing[from as usize], &facing[to as usize]];
                Towards::wanted(&media, negotiation.options, both)
            });
            wanted.is_some_and(|wanted| wanted.is_carried_as(agreed))
        };
        let mut members = description
            .media()
            .filter(|media| bundled.has(media.index()));
        let all = members.all(stays);
        let port = self.port_of(session, (bundled.carrier, to), address)?;
        all.then_some((bundled, port))
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
        let mut secured = Secured::new(self.facings(session));
        let to = from.other();
        let accepted = |index: usize| {
            let is_open = ports.get(index).is_some_and(Option::is_some);
            is_open && way.towards.get(index).is_some_and(Option::is_some)
        };
        let spoken = Spoken {
            session,
            side: from,
            address,
            options: &way.options,
        };
        let lead = self.lead(spoken, offered, accepted, &mut secured)?;
        let answerers = self.answerers(spoken, (offered, answer), way, ports, &mut secured)?;
        let mut shown = match &lead {
            Some(lead) => lead.bundled.ports(ports, lead.port),
            None => ports.to_vec(),
        };
        let passes = |index: usize| way.towards.get(index).is_some_and(Option::is_none);
        if let Some((first, all)) = bundle::passed(offered, answer, passes) {
            // The sides bundle it by themselves: we are in the way of one transport.
            let port = shown.get(first).copied().flatten();
            all.into_iter().for_each(|index| shown[index] = port);
        }
        let mut edit = self.relay_edit(answer, &shown, address)?;
        for (index, towards) in way.towards.iter().enumerate() {
            let media = offered.medium(index).zip(answer.medium(index));
            if towards.is_none() {
                secured.pass_through(index);
                continue;
            }
            let (Some(towards), Some(Some(port)), Some((offered_medium, answer_medium))) =
                (towards, ports.get(index), media)
            else {
                continue;
            };
            let Some(facing) = secured.facings.get_mut(index) else {
                continue;
            };
            let place = self.place(address, *port, &way.options);
            let is_guest = |bundled: &Bundled| bundled.has(index);
            if !answerers.as_ref().is_some_and(is_guest) {
                let theirs = &mut facing[to as usize];
                let answerer = answered(answer, &answer_medium, *towards, theirs, place)?;
                secured.securities.push((index, to, answerer));
            }
            self.choose(
                spoken,
                &lead,
                (offered, &offered_medium),
                *port,
                &mut secured,
                &mut edit,
            )?;
        }
        if let Some(lead) = &lead {
            lead.bundled.write(&mut edit, answer);
        }
        secured.bundled[from as usize] = lead.map(|lead| lead.bundled);
        secured.bundled[to as usize] = answerers;
        Ok((edit.finish(), secured))
    }

    /// Chooses how a medium is answered, and writes it into the answer.
    fn choose(
        &self,
        spoken: Spoken<'_>,
        lead: &Option<Lead>,
        (offer, medium): (&Description<'_>, &Media<'_>),
        port: u16,
        secured: &mut Secured,
        edit: &mut Edit<'_>,
    ) -> Result<(), MediaError> {
        let Spoken {
            side,
            address,
            options,
            ..
        } = spoken;
        let index = medium.index();
        bundle::strip_groups(edit, index);
        if let Some(lead) = lead
            && lead.bundled.has(index)
        {
            let place = self.place(address, lead.port, options);
            write_answer(edit, medium, &lead.choice, place);
            secured.share(&lead.bundled, index, side);
            return Ok(());
        }
        let Some(facing) = secured.facings.get_mut(index) else {
            return Ok(());
        };
        let place = self.place(address, port, options);
        let facing = &mut facing[side as usize];
        let choice = chosen(offer, medium, facing, options.restart, place)?;
        write_answer(edit, medium, &choice, place);
        secured.securities.push((index, side, choice.security));
        Ok(())
    }

    /// What the offerer bundles and is answered bundled, with the transport that is chosen for all
    /// of it.
    fn lead(
        &self,
        spoken: Spoken<'_>,
        offer: &Description<'_>,
        accepted: impl Fn(usize) -> bool,
        secured: &mut Secured,
    ) -> Result<Option<Lead>, MediaError> {
        let Spoken {
            session,
            side,
            address,
            options,
        } = spoken;
        let before = self.bundled(session, side);
        if before.is_none() && !bundle::is_accepted(offer, options.bundling) {
            return Ok(None);
        }
        let found = Bundled::of(offer, before, |media| accepted(media.index()));
        let Some(bundled) = found else {
            return Ok(None);
        };
        let carrier = bundled.carrier;
        let (Some(tagged), Some(facing), Some(port)) = (
            offer.medium(bundled.tagged()),
            secured.facings.get_mut(carrier),
            self.port_of(session, (carrier, side), address),
        ) else {
            return Ok(None);
        };
        let place = self.place(address, port, options);
        let facing = &mut facing[side as usize];
        let mut choice = chosen(offer, &tagged, facing, options.restart, place)?;
        let security = std::mem::take(&mut choice.security);
        secured.securities.push((carrier, side, security));
        Ok(Some(Lead {
            bundled,
            choice,
            port,
        }))
    }

    /// What the answerer bundles of what it was offered bundled.
    fn answerers(
        &self,
        spoken: Spoken<'_>,
        (offered, answer): (&Description<'_>, &Description<'_>),
        way: &Way,
        ports: &[Option<u16>],
        secured: &mut Secured,
    ) -> Result<Option<Bundled>, MediaError> {
        let side = spoken.side.other();
        let before = self.bundled(spoken.session, side);
        let may = |media: &Media<'_>| {
            let index = media.index();
            let towards = way.towards.get(index).copied().flatten();
            let is_open = ports.get(index).is_some_and(Option::is_some);
            // Whom ICE is offered to sees the groups of the offerer.
            let shown = towards.is_some_and(Towards::speaks_ice)
                && offered.bundle().any(|name| media.mid() == Some(name));
            let again = before.is_some_and(|before| before.has(index));
            let proposed = way.proposed.as_ref().is_some_and(|known| known.has(index));
            towards.is_some() && is_open && (shown || again || proposed)
        };
        let one_port = way.options.offered_bundle == OfferedBundle::Require;
        let proposed = way.proposed.as_ref().filter(|_| one_port);
        let Some(bundled) = Bundled::of(answer, before.or(proposed), may) else {
            return Ok(None);
        };
        let (carrier, tagged) = (bundled.carrier, bundled.tagged());
        let towards = way.towards.get(tagged).copied().flatten();
        let (Some(towards), Some(medium), Some(facing), Some(port)) = (
            towards,
            answer.medium(tagged),
            secured.facings.get_mut(carrier),
            self.port_of(spoken.session, (carrier, side), spoken.address),
        ) else {
            return Ok(None);
        };
        let place = self.place(spoken.address, port, spoken.options);
        let facing = &mut facing[side as usize];
        let security = answered(answer, &medium, towards, facing, place)?;
        secured.securities.push((carrier, side, security));
        for media in answer.media() {
            secured.share(&bundled, media.index(), side);
        }
        Ok(Some(bundled))
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
        let mut secured = Secured::new(self.facings(session));
        let medium = offer.medium(index);
        let facing = secured.facings.get_mut(index);
        let (Some(medium), Some(facing)) = (medium, facing) else {
            return Ok((answer.as_bytes().to_vec(), secured));
        };
        let place = self.place(rtp.ip(), rtp.port(), options);
        let facing = &mut facing[side as usize];
        let choice = chosen(offer, &medium, facing, options.restart, place)?;
        let mut edit = Edit::new(answer);
        write_answer(&mut edit, &medium, &choice, place);
        let bundled = Bundled::of(offer, None, |media| media.index() == index);
        if let Some(bundled) = bundled {
            bundled.write(&mut edit, answer);
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
        let mut secured = Secured::new(self.facings(session));
        let spoken = Spoken {
            session,
            side,
            address,
            options,
        };
        let accepted = |medium: &Media<'_>| {
            let port = ports.get(medium.index()).copied().flatten();
            port.filter(|_| medium.profile().is_rtp())
        };
        let is_accepted = |index: usize| {
            let medium = offer.medium(index);
            medium.is_some_and(|medium| accepted(&medium).is_some())
        };
        let lead = self.lead(spoken, offer, is_accepted, &mut secured)?;
        let mut edit = Edit::new(answer);
        for medium in offer.media() {
            let Some(port) = accepted(&medium) else {
                continue;
            };
            let bundled = lead
                .as_ref()
                .filter(|lead| lead.bundled.has(medium.index()));
            if let Some(lead) = bundled {
                let rtp = SocketAddr::new(address, lead.port);
                edit.relay(medium.index(), rtp, lead.port + 1);
            }
            self.choose(
                spoken,
                &lead,
                (offer, &medium),
                port,
                &mut secured,
                &mut edit,
            )?;
        }
        if let Some(lead) = lead {
            lead.bundled.write(&mut edit, answer);
            secured.bundled[side as usize] = Some(lead.bundled);
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
