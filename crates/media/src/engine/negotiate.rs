//! From a description to ports, to the description for the other side, to terms for the worker.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use sdp::{Description, Edit};

use super::facing::Facing;
use super::secured::Secured;
use super::session::{Offer, Session, Stream, Way};
use super::terms::{self, Wish};
use super::{Engine, Negotiation, Side};
use super::{bundle, codecs};
use crate::bind::{self, Pair};
use crate::channel::{Channel, Role, RtcpPort};
use crate::config::{AddressFamily, Interface};
use crate::error::MediaError;
use crate::options::Options;
use crate::worker::{ChannelId, Command, Handle};

impl Engine {
    /// Checks an answer, and if it fits, lets media flow.
    pub(super) fn settle(
        &mut self,
        session: u64,
        offer: &Offer,
        answer: &Description<'_>,
        negotiation: Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        if offer.from == negotiation.from {
            return Err(MediaError::NoOffer);
        }
        let offered = parse(&offer.description)?;
        if offered.media_count() != answer.media_count() {
            return Err(MediaError::Sections {
                offered: offered.media_count(),
                answered: answer.media_count(),
            });
        }
        let relayed = terms::relayed(answer);
        let known = self.sessions.get(&session);
        let spot = Spot {
            side: offer.from,
            family: offer.family,
            interface: known.and_then(|known| known.interfaces[offer.from as usize]),
        };
        let role = self.role_between(session);
        let ports = self.ensure(session, role, &relayed, spot)?;
        let address = self.address_at(spot, negotiation.options)?;
        let way = way_of(offer, &offered, answer)?;
        let shown = way.shown.as_deref().map(parse).transpose()?;
        let codecs = codecs::answer(&offered, shown.as_ref(), answer, &way.options);
        let recoded = codecs.recoded.as_deref().map(parse).transpose()?;
        let ours = recoded.as_ref().unwrap_or(answer);
        let (out, mut secured) =
            self.rewrite_answer(session, (offer.from, way), &offered, ours, &ports, address)?;
        let shown = shown.as_ref().unwrap_or(&offered);
        let descriptions = [&offered, ours, shown, answer];
        self.transcode(session, offer.from, codecs.plans, descriptions)?;
        let wishes = Wish::all(answer, &negotiation);
        let answers = Some(wishes.as_slice());
        let [bundled_a, bundled_b] = secured.take_bundled();
        self.keep_agreed(session, &mut secured);
        self.apply(
            session,
            offer.from,
            &offered,
            answer,
            &offer.wishes,
            answers,
        );
        self.secure(session, secured);
        for (side, bundled) in [(Side::A, bundled_a), (Side::B, bundled_b)] {
            match side == offer.from {
                true => self.bundle(session, side, bundled, &offered, &offer.wishes),
                false => self.bundle(session, side, bundled, answer, &wishes),
            }
        }
        if role == Role::Copy {
            self.start_copies(session, answer);
        } else if let Some(known) = self.sessions.get_mut(&session) {
            known.said[offer.from as usize] = Some(offer.description.as_slice().into());
            known.said[negotiation.from as usize] = Some(negotiation.sdp.into());
        }
        Ok(out)
    }

    /// The same for an offer that we have answered ourselves.
    pub(super) fn settle_alone(
        &mut self,
        session: u64,
        negotiation: &Negotiation<'_>,
        [offer, answer]: [&Description<'_>; 2],
        mut secured: Secured,
    ) {
        let side = negotiation.from;
        let wishes = Wish::all(offer, negotiation);
        let mut bundled = secured.take_bundled();
        self.keep_agreed(session, &mut secured);
        self.apply(session, side, offer, answer, &wishes, None);
        self.secure(session, secured);
        let bundled = bundled[side as usize].take();
        self.bundle(session, side, bundled, offer, &wishes);
    }

    /// What a session is for that two sides negotiate.
    pub(super) fn role_between(&self, session: u64) -> Role {
        let known = self.sessions.get(&session);
        match known.map(|known| known.role) {
            Some(Role::Copy) => Role::Copy,
            _ => Role::Relay,
        }
    }

    /// Which interfaces face the sides from this offer on.
    pub(super) fn interfaces_of_offer(
        &self,
        session: u64,
        negotiation: &Negotiation<'_>,
    ) -> Result<[Option<u8>; 2], MediaError> {
        let known = self.sessions.get(&session);
        let mut interfaces = known.map_or([None; 2], |known| known.interfaces);
        let options = negotiation.options;
        let sides = [
            (negotiation.from, &options.own_interface),
            (negotiation.from.other(), &options.interface),
        ];
        for (side, name) in sides {
            let Some(name) = name else { continue };
            let mut named = self.config.named.iter();
            let found = named.position(|named| named.name == *name);
            let found = found.and_then(|found| u8::try_from(found).ok());
            let unknown = || MediaError::UnknownInterface(name.clone());
            interfaces[side as usize] = Some(found.ok_or_else(unknown)?);
        }
        Ok(interfaces)
    }

    /// Sees to it that each medium that is `relayed` has ports at a place, opening
    /// the session if need be; the RTP ports, by medium.
    pub(super) fn ensure(
        &mut self,
        session: u64,
        role: Role,
        relayed: &[bool],
        spot: Spot,
    ) -> Result<Vec<Option<u16>>, MediaError> {
        let Spot { side, family, .. } = spot;
        let interface = self.interface(spot.interface, family)?;
        let known = self.sessions.get(&session);
        if known.is_some_and(|known| known.role != role) {
            return Err(MediaError::OtherKind);
        }
        if self.has_no_ports(session, spot) {
            let ports = relayed.iter().map(|relayed| relayed.then_some(NO_PORT));
            return Ok(ports.collect());
        }
        let now = Instant::now();
        let mut bound: Vec<(usize, Pair)> = Vec::new();
        let mut out = Vec::with_capacity(relayed.len());
        for (index, relayed) in relayed.iter().enumerate() {
            let given = known
                .and_then(|known| known.streams.get(index))
                .and_then(|stream| stream.ports[side as usize][family as usize]);
            if !relayed || given.is_some() {
                out.push(given.filter(|_| *relayed));
                continue;
            }
            let ports = &mut self.ports[family as usize];
            match bind::pair(ports, interface, self.config.receive_buffer_bytes, now) {
                Ok(pair) => {
                    out.push(Some(pair.port));
                    bound.push((index, pair));
                }
                Err(error) => {
                    for (_, pair) in bound {
                        ports.give_back(pair.port);
                    }
                    return Err(error);
                }
            }
        }
        self.claim(session, role, relayed.len(), side, family, bound);
        Ok(out)
    }

    /// Makes bound pairs part of a session and hands them to its worker.
    fn claim(
        &mut self,
        id: u64,
        role: Role,
        media_count: usize,
        side: Side,
        family: AddressFamily,
        bound: Vec<(usize, Pair)>,
    ) {
        let mut commands = Vec::new();
        let workers = &mut self.workers;
        let session = self.sessions.entry(id).or_insert_with(|| {
            let worker = Handle::least_loaded(workers);
            let slot = workers[worker].occupy(id);
            commands.push(Command::Open { slot, session: id });
            Session::new(worker, slot, role)
        });
        let slot = session.slot;
        while session.streams.len() < media_count {
            let stream = Stream::new();
            // What RTCP says is said of the stream.
            for _ in [RTP, RTCP] {
                let mut channel = Channel::new(session.ways, stream.stats.clone());
                channel.classify(session.traffic_class);
                let channel = Box::new(channel);
                commands.push(Command::Extend { slot, channel });
            }
            session.streams.push(stream);
        }
        for (index, pair) in bound {
            session.streams[index].ports[side as usize][family as usize] = Some(pair.port);
            session.streams[index].is_rtcp_closed[side as usize] = false;
            for (part, socket) in [(RTP, pair.rtp), (RTCP, pair.rtcp)] {
                commands.push(Command::Bind {
                    channel: channel_id(slot, index, part),
                    side,
                    family,
                    socket,
                });
            }
        }
        self.workers[session.worker].send(commands);
    }

    /// What peers at a spot are told that our address is.
    pub(super) fn address_at(&self, spot: Spot, options: &Options) -> Result<IpAddr, MediaError> {
        let own = self.interface(spot.interface, spot.family)?.advertised;
        Ok(options.media_address.unwrap_or(own))
    }

    /// A description with our addresses and ports in it, to be changed further.
    pub(super) fn relay_edit<'d>(
        &self,
        description: &'d Description<'d>,
        ports: &[Option<u16>],
        address: IpAddr,
    ) -> Result<Edit<'d>, MediaError> {
        let mut edit = Edit::new(description);
        edit.origin_address(address).strip_ice();
        for (media, port) in description.media().zip(ports) {
            // The unspecified address says hold (RFC 3264 §8.4): it must reach the other side.
            let address = match media.is_nowhere() {
                true => unspecified(address.into()),
                false => address,
            };
            match port {
                Some(port) => edit.relay(media.index(), SocketAddr::new(address, *port), port + 1),
                None => edit.reject(media.index()),
            };
        }
        Ok(edit)
    }

    /// Tells the worker what was negotiated. Without `answers` the session echoes.
    pub(super) fn apply(
        &mut self,
        session: u64,
        offerer: Side,
        offer: &Description<'_>,
        answer: &Description<'_>,
        offers: &[Wish],
        answers: Option<&[Wish]>,
    ) {
        let id = session;
        let Some(session) = self.sessions.get_mut(&session) else {
            return;
        };
        let slot = session.slot;
        let mut commands = Vec::with_capacity(4 * offers.len() + 1);
        let mut expected = [false; 2];
        let mut sharing = Vec::with_capacity(2 * offers.len());
        let passed = answers.and_then(|_| bundle::passed(offer, answer, |_| true));
        for (index, (stream, offered)) in session.streams.iter_mut().zip(offers).enumerate() {
            let answered = answers.and_then(|answers| answers.get(index));
            let formats =
                terms::formats(offer.medium(index).as_ref(), answer.medium(index).as_ref());
            let sides = [(offerer, Some(offered)), (offerer.other(), answered)];
            // Where nothing is terminated, the peers share a port only if both want to.
            let terminated = stream.facing.iter().any(Facing::is_agreed);
            let formats = match passed.as_ref().filter(|(first, _)| *first == index) {
                Some((_, all)) if !terminated => {
                    Arc::new(bundle::passed_formats(all, [offer, answer]))
                }
                _ => formats,
            };
            let shares = |wish: Option<&Wish>| wish.is_none_or(Wish::shares_port);
            let shared = shares(Some(offered)) && shares(answered);
            for (side, wish) in sides {
                let Some(wish) = wish else { continue };
                let own = stream.transcoding.as_ref();
                let formats = own.map_or(&formats, |own| &own.formats[side as usize]);
                let mut rtp = wish.rtp_terms(formats);
                if !terminated && !shared {
                    rtp.rtcp = RtcpPort::Own;
                }
                // What the echo answers is not ours to see here.
                let is_agreed = !terminated || stream.facing[side as usize].shares_port();
                let shares = rtp.rtcp == RtcpPort::Shared
                    && is_agreed
                    && answers.is_some()
                    && wish.needs_one_port();
                sharing.push((index, side, shares));
                let rtcp = wish.rtcp_terms(formats);
                for (part, terms) in [(RTP, rtp), (RTCP, rtcp)] {
                    let channel = channel_id(slot, index, part);
                    commands.push(Command::Negotiate {
                        channel,
                        side,
                        terms,
                    });
                }
                stream.wishes[side as usize] = Some(wish.clone());
            }
            let media = [offer.medium(index), answer.medium(index)];
            stream.note_codecs(&media);
            let answered = answered.unwrap_or(offered);
            expected[offerer as usize] |= offered.will_send_to(answered);
            expected[offerer.other() as usize] |=
                answers.is_some() && answered.will_send_to(offered);
        }
        match session.role {
            // There is nobody that would have to want it.
            Role::Sink => expected[offerer as usize] = offers.iter().any(Wish::sends),
            // Nothing comes of a subscriber, and what is copied to it is watched where it comes in.
            Role::Copy => expected = [false; 2],
            Role::Relay | Role::Echo => {}
        }
        let sides = expected;
        commands.push(Command::Expect { slot, sides });
        self.workers[session.worker].send(commands);
        for (index, side, shares) in sharing {
            match shares {
                true => self.close_rtcp(id, index, side),
                false => self.reopen_rtcp(id, index, side),
            }
        }
        self.renew_actions(id);
    }

    /// The family to face the author of a description in: the one it names, if we have it.
    pub(super) fn family_towards(
        &self,
        description: &Description<'_>,
        signalling: Option<IpAddr>,
        fallback: AddressFamily,
    ) -> AddressFamily {
        terms::family_of(description)
            .or(signalling.map(AddressFamily::from))
            .unwrap_or(fallback)
    }

    pub(super) fn any_family(&self) -> AddressFamily {
        match self.config.v4 {
            Some(_) => AddressFamily::V4,
            None => AddressFamily::V6,
        }
    }

    /// A named interface in a family, or the unnamed one.
    pub(super) fn interface(
        &self,
        named: Option<u8>,
        family: AddressFamily,
    ) -> Result<Interface, MediaError> {
        let config = &self.config;
        let interface = match named.and_then(|named| config.named.get(usize::from(named))) {
            Some(named) => named.interface(family),
            None => config.interface(family),
        };
        interface.ok_or(MediaError::NoInterface(family))
    }
}

/// Where ports of ours face a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) side: Side,
    pub(super) family: AddressFamily,
    /// `None`: the unnamed one.
    pub(super) interface: Option<u8>,
}

/// Reads a description within our bounds.
pub(super) fn parse(bytes: &[u8]) -> Result<Description<'_>, MediaError> {
    let description = Description::parse(bytes)?;
    if description.media_count() > MAX_MEDIA {
        return Err(MediaError::TooManySections(MAX_MEDIA));
    }
    Ok(description)
}

/// In which of the ways that an offer was made an answer has come: a medium is answered in the
/// profile it was offered in (RFC 3264 §6.1), and with codecs that it was offered. If none fits,
/// or several do, the last is meant.
fn way_of<'o>(
    offer: &'o Offer,
    offered: &Description<'_>,
    answer: &Description<'_>,
) -> Result<&'o Way, MediaError> {
    let mut chosen = None;
    for way in offer.ways.iter().filter(|way| fits(way, offered, answer)) {
        let shown = way.shown.as_deref().map(parse).transpose()?;
        if codecs::are_of(answer, shown.as_ref().unwrap_or(offered)) {
            chosen = Some(way);
            break;
        }
        chosen = chosen.or(Some(way));
    }
    chosen.or(offer.ways.first()).ok_or(MediaError::NoOffer)
}

/// Whether each medium was answered in the profile that it was offered in.
fn fits(way: &Way, offered: &Description<'_>, answer: &Description<'_>) -> bool {
    let mut media = way.towards.iter().enumerate();
    media.all(|(index, towards)| {
        let media = offered.medium(index).zip(answer.medium(index));
        media.is_none_or(|(offered, answered)| match towards {
            Some(towards) => towards.is_answered_by(&answered),
            None => answered.proto().eq_ignore_ascii_case(offered.proto()),
        })
    })
}

pub(super) fn channel_id(slot: usize, stream: usize, part: usize) -> ChannelId {
    ChannelId {
        slot,
        index: 2 * stream + part,
    }
}

fn unspecified(family: AddressFamily) -> IpAddr {
    match family {
        AddressFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Media of one description; more are refused as a whole.
const MAX_MEDIA: usize = 8;
/// Any port but 0, for a side that is not there.
const NO_PORT: u16 = 9;
/// The parts of a medium.
const RTP: usize = 0;
pub(super) const RTCP: usize = 1;
