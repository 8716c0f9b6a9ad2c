//! Media that a side bundles (RFC 9143): which of them share a transport, what descriptions say
//! of it, and what the worker is told. The other side sees each on ports of its own, or bundles in
//! its own way.
//!
//! One medium carries the others: its ports, its keys and its ICE agent serve all. At first that is
//! the tagged one (§7.1); it stays the carrier when the medium itself is refused later, as the
//! transport lives on.
//!
//! An offer that is bundled is answered so, if we terminate the media. Media that pass through are
//! bundled by the sides themselves, unless the offerer leaves them no other way: then they are
//! terminated, as nobody knows whether the other side bundles. Media that come apart are offered as a
//! bundle if that is asked for; they are terminated then. Left out: more than one group.

use std::net::{IpAddr, SocketAddr};

use sdp::{Description, Edit, Media, Profile};

use super::terms::{self, Wish};
use super::{Engine, Side, negotiate};
use crate::config::AddressFamily;
use crate::formats::Formats;
use crate::full::{Bundle, Member, Part};
use crate::options::Bundling;
use crate::worker::{ChannelId, Command, MediumId};

/// Media of a side that share a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bundled {
    /// The medium whose transport it is.
    pub(super) carrier: usize,
    /// By index, with their names; the tagged one first.
    members: Vec<(usize, String)>,
    /// What the header extension with the name is numbered, if the side knows it.
    extension: Option<u8>,
}

impl Bundled {
    /// What a side bundles of the media that `may` be. `before` is what it bundled until now.
    pub(super) fn of(
        said: &Description<'_>,
        before: Option<&Self>,
        may: impl Fn(&Media<'_>) -> bool,
    ) -> Option<Self> {
        let mut members: Vec<(usize, String)> = Vec::new();
        let mut tagged: Option<Media<'_>> = None;
        for media in grouped(said).filter(|media| may(media)) {
            let fits = match &tagged {
                None => !media.is_bundle_only() && media.has_rtcp_mux(),
                Some(tagged) => {
                    let shares_port = media.has_rtcp_mux() || media.is_bundle_only();
                    shares_port && media.proto().eq_ignore_ascii_case(tagged.proto())
                }
            };
            let mid = media.mid().and_then(|mid| str::from_utf8(mid).ok());
            if let Some(mid) = mid.filter(|_| fits) {
                members.push((media.index(), mid.to_owned()));
                tagged.get_or_insert(media);
            }
        }
        let tagged = tagged?;
        let is_member = |index: usize| members.iter().any(|(member, _)| *member == index);
        // What carried until now goes on, unless it carries itself alone now.
        let carries_on = |before: &&Self| {
            let itself = said.medium(before.carrier);
            let alone = itself.is_some_and(|media| may(&media)) && !is_member(before.carrier);
            !alone && before.members.iter().any(|(index, _)| is_member(*index))
        };
        let carrier = before.filter(carries_on).map(|before| before.carrier);
        Some(Self {
            carrier: carrier.unwrap_or(tagged.index()),
            extension: tagged.extension_id(MID_EXTENSION),
            members,
        })
    }

    /// What a side is offered as a bundle that has bundled nothing: of the media that `may` be, if there
    /// are several of one profile.
    pub(super) fn proposed(
        said: &Description<'_>,
        may: impl Fn(&Media<'_>) -> bool,
    ) -> Option<Self> {
        let fits =
            |media: &Media<'_>| media.profile().is_rtp() && !media.is_rejected() && may(media);
        let media: Vec<Media<'_>> = said.media().filter(fits).collect();
        let carrier = media.first()?.index();
        let named = |media: &Media<'_>| {
            let mid = media.mid().and_then(|mid| str::from_utf8(mid).ok());
            mid.map_or_else(|| format!("m{}", media.index()), str::to_owned)
        };
        let members: Vec<_> = media.iter().map(|m| (m.index(), named(m))).collect();
        let known = media.iter().find_map(|m| m.extension_id(MID_EXTENSION));
        let is_free = |id: &u8| {
            let mut taken = media.iter().flat_map(|media| media.attributes("extmap"));
            !taken.any(|value| extension_number(value) == Some(*id))
        };
        (members.len() > 1).then(|| Self {
            carrier,
            members,
            extension: known.or_else(|| EXTENSIONS.into_iter().find(is_free)),
        })
    }

    /// The medium that speaks of the transport.
    pub(super) fn tagged(&self) -> usize {
        self.members
            .first()
            .map_or(self.carrier, |(index, _)| *index)
    }

    /// Whether a medium is among them.
    pub(super) fn has(&self, index: usize) -> bool {
        self.name(index).is_some()
    }

    /// What a medium is called among them.
    pub(super) fn name(&self, index: usize) -> Option<&str> {
        let mut members = self.members.iter();
        let (_, name) = members.find(|(member, _)| *member == index)?;
        Some(name)
    }

    /// Those of them that have ports.
    pub(super) fn with_ports(&self, ports: &[Option<u16>]) -> Option<Self> {
        let mut own = self.clone();
        let has_port = |index: usize| ports.get(index).is_some_and(Option::is_some);
        own.members.retain(|(index, _)| has_port(*index));
        (!own.members.is_empty()).then_some(own)
    }

    /// The ports that the side is told: that of the carrier for all of them.
    pub(super) fn ports(&self, ports: &[Option<u16>], carriers: u16) -> Vec<Option<u16>> {
        let ports = ports.iter().enumerate();
        let shared = |(index, port): (usize, &Option<u16>)| match self.has(index) {
            true => Some(carriers),
            false => *port,
        };
        ports.map(shared).collect()
    }

    /// Says so in a description for the side. `media` are those of the description.
    pub(super) fn write(&self, edit: &mut Edit<'_>, description: &Description<'_>) {
        let names: Vec<&str> = self.members.iter().map(|(_, name)| name.as_str()).collect();
        edit.add_to_session(format!("group:BUNDLE {}", names.join(" ")));
        for (index, name) in &self.members {
            edit.strip(*index, &GROUPING)
                .add(*index, format!("mid:{name}"));
            let media = description.medium(*index);
            if let (Some(id), Some(media)) = (self.extension.filter(|_| self.is_shared()), media)
                && media.extension_id(MID_EXTENSION).is_none()
            {
                edit.add(*index, format!("extmap:{id} {MID_EXTENSION}"));
            }
        }
    }

    /// Whether there is anything to tell apart.
    fn is_shared(&self) -> bool {
        self.members.iter().any(|(index, _)| *index != self.carrier)
    }
}

/// A medium that had no port has one of its own now.
pub(super) fn strip(edit: &mut Edit<'_>, index: usize) {
    edit.strip(index, &ONLY);
}

/// Takes off the groups of an author, which hold on its side alone.
pub(super) fn strip_groups(edit: &mut Edit<'_>, index: usize) {
    edit.strip(index, &GROUPS);
}

/// Whether the author of a description leaves some of its media no transport of their own.
pub(super) fn is_only_way(said: &Description<'_>) -> bool {
    let mut ports = Vec::new();
    grouped(said).any(|media| {
        let port = media.port();
        let is_taken = ports.contains(&port) && port != DISCARD_PORT;
        ports.push(port);
        media.is_bundle_only() || is_taken
    })
}

/// Whether a medium has to be taken out of a bundle of plain RTP that is the only way.
pub(super) fn is_taken_apart(media: &Media<'_>, said: &Description<'_>) -> bool {
    let mid = media.mid();
    let is_grouped = mid.is_some_and(|mid| said.bundle().any(|name| name == mid));
    is_grouped && media.profile() == Profile::Rtp && !media.has_crypto()
}

/// Whether an offer that is bundled is to be answered so.
pub(super) fn is_accepted(offer: &Description<'_>, bundling: Bundling) -> bool {
    bundling == Bundling::Accept || is_only_way(offer)
}

/// Where media that pass through and that both sides bundle come and go, by the answer: the index
/// of the one with the transport, for each of them. Empty if they do not.
pub(super) fn passed(
    offer: &Description<'_>,
    answer: &Description<'_>,
    passes: impl Fn(usize) -> bool,
) -> Option<(usize, Vec<usize>)> {
    let both = grouped(answer).filter(|media| {
        let mid = media.mid();
        let offered = mid.is_some_and(|mid| offer.bundle().any(|name| name == mid));
        offered && passes(media.index()) && !media.is_rejected()
    });
    let all: Vec<usize> = both.map(|media| media.index()).collect();
    let first = *all.first().filter(|_| all.len() > 1)?;
    Some((first, all))
}

/// The payload types of media that pass through by one transport.
pub(super) fn passed_formats(all: &[usize], said: [&Description<'_>; 2]) -> Formats {
    let mut formats = Formats::none();
    for index in all {
        for media in said.iter().filter_map(|said| said.medium(*index)) {
            formats.allow(&media);
        }
    }
    formats
}

/// The media of the first bundle of a description that are not refused, in its order.
fn grouped<'d>(said: &'d Description<'d>) -> impl Iterator<Item = Media<'d>> {
    let mut before: Vec<usize> = Vec::new();
    said.bundle().filter_map(move |mid| {
        let media = said.media().find(|media| media.mid() == Some(mid))?;
        let is_new = !before.contains(&media.index());
        before.push(media.index());
        (is_new && !media.is_rejected()).then_some(media)
    })
}

impl Engine {
    /// What a side bundled when last negotiated.
    pub(super) fn bundled(&self, session: u64, side: Side) -> Option<&Bundled> {
        self.sessions.get(&session)?.bundled[side as usize].as_ref()
    }

    /// Our port of a medium that faces a side.
    pub(super) fn port_of(
        &self,
        session: u64,
        (index, side): (usize, Side),
        address: IpAddr,
    ) -> Option<u16> {
        let stream = self.sessions.get(&session)?.streams.get(index)?;
        stream.ports[side as usize][AddressFamily::from(SocketAddr::new(address, 0)) as usize]
    }

    /// Whether a side has bundled media that pass through.
    pub(super) fn bundles_by_itself(&self, session: u64, side: Side) -> bool {
        let known = self.sessions.get(&session);
        let said = known.and_then(|known| known.said[side as usize].as_deref());
        let said = said.and_then(|said| negotiate::parse(said).ok());
        said.is_some_and(|said| grouped(&said).nth(1).is_some())
            && self.bundled(session, side).is_none()
    }

    /// Has the worker handle media as a side bundles them, or no longer does. `said` is what that
    /// side says of them, and `wishes` what it wants.
    pub(super) fn bundle(
        &mut self,
        session: u64,
        side: Side,
        bundled: Option<Bundled>,
        said: &Description<'_>,
        wishes: &[Wish],
    ) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        let before = std::mem::replace(&mut known.bundled[side as usize], bundled);
        let bundled = known.bundled[side as usize].as_ref();
        let slot = known.slot;
        let medium = |stream: usize| MediumId { slot, stream };
        let mut touched = Vec::new();
        for bundled in before.iter().chain(bundled).filter(|b| b.is_shared()) {
            touched.extend(bundled.members.iter().map(|(index, _)| medium(*index)));
            touched.push(medium(bundled.carrier));
        }
        if touched.is_empty() {
            return;
        }
        let mut commands = Vec::new();
        let shared = bundled.filter(|bundled| bundled.is_shared());
        let carrier = shared.or(before.as_ref()).map_or(0, |b| b.carrier);
        if let Some(shared) = shared.filter(|shared| !shared.has(carrier)) {
            // Its own medium is refused: the others say where the peer is.
            let wish = wishes.get(shared.tagged());
            commands.extend(
                wish.into_iter()
                    .flat_map(|wish| carried(slot, carrier, side, wish)),
            );
        }
        touched.sort_unstable();
        touched.dedup();
        touched.sort_by_key(|touched| *touched == medium(carrier));
        let bundle = shared.map(|shared| {
            let members = shared.members.iter().map(|(index, name)| {
                let said = said.medium(*index);
                Member {
                    medium: medium(*index),
                    mid: name.as_bytes().into(),
                    payload_types: said.iter().flat_map(payload_types).collect(),
                    sources: said.iter().flat_map(sources).take(SOURCES_MAX).collect(),
                }
            });
            Box::new(Bundle::new(members.collect(), shared.extension))
        });
        commands.push(Command::Bundle {
            side,
            carrier: medium(carrier),
            bundle,
            touched,
        });
        self.workers[known.worker].send(commands);
    }
}

/// Terms of the channels of a medium that is refused but carries others.
fn carried(slot: usize, carrier: usize, side: Side, wish: &Wish) -> [Command; 2] {
    let formats = terms::formats(None, None);
    let parts = [
        (Part::Rtp, wish.rtp_terms(&formats)),
        (Part::Rtcp, wish.rtcp_terms(&formats)),
    ];
    parts.map(|(part, terms)| Command::Negotiate {
        channel: ChannelId {
            slot,
            index: 2 * carrier + part as usize,
        },
        side,
        terms,
    })
}

/// What a header extension is numbered: `4/sendonly urn:...`.
fn extension_number(value: &[u8]) -> Option<u8> {
    let digits = value.split(|byte| !byte.is_ascii_digit()).next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

fn payload_types(media: &Media<'_>) -> Vec<u8> {
    let parse = |format: &[u8]| str::from_utf8(format).ok()?.parse().ok();
    media.formats().filter_map(parse).collect()
}

/// Sources that the author of a medium announces (RFC 5576 §4.1).
fn sources(media: &Media<'_>) -> Vec<u32> {
    let announced = media.attributes("ssrc").filter_map(|value| {
        let value = str::from_utf8(value).ok()?;
        value.split(' ').next()?.parse().ok()
    });
    let mut sources: Vec<u32> = announced.collect();
    sources.dedup();
    sources
}

/// Numbers of header extensions in the short form (RFC 8285 §4.2).
const EXTENSIONS: std::ops::RangeInclusive<u8> = 1..=14;
/// RFC 9143 §15.1.
const MID_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// What is said of a medium among others.
const GROUPING: [&str; 3] = ["mid", "group", "bundle-only"];
/// What holds on one side alone.
const GROUPS: [&str; 2] = ["group", "bundle-only"];
const ONLY: [&str; 1] = ["bundle-only"];
/// What stands where there is no port yet: discard (RFC 863).
const DISCARD_PORT: u16 = 9;
/// Announced sources that are taken of one medium.
const SOURCES_MAX: usize = 16;
