//! Copies of what participants send, for others that subscribe to them.
//!
//! A subscription is a session of its own, on the worker of those it hears: its side A are the
//! copies, side B is the subscriber, and what is negotiated with it is negotiated as with any
//! other, transport, keys and codecs included. Packets are copied as they come from the
//! participant, in the clear, before anything is blocked, transcoded or played. While there are
//! subscribers a medium takes the full path.

use std::mem;

use sdp::{Copied, Description, Keys, Media};

use super::negotiate::{Spot, parse};
use super::session::{Listener, Session, Source};
use super::{Engine, MediaError, Negotiation, Side};
use crate::channel::Role;
use crate::config::AddressFamily;
use crate::options::{Options, SubscriberReports, Transport};
use crate::worker::{Command, MediumId};

/// A participant that is heard by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Its session.
    pub session: u64,
    /// Its side there.
    pub side: Side,
}

impl Engine {
    /// Offers a subscriber copies of what these participants send, medium by medium in their order;
    /// the offer. It is answered by [`Engine::answer`], from side B of the session `subscription`;
    /// then they flow, until that session or theirs is deleted. Repeated, it offers anew.
    ///
    /// # Errors
    /// [`MediaError::NotNegotiated`] if no participant has settled anything yet,
    /// [`MediaError::EndToEnd`] if what it sends cannot be read, [`MediaError::TooManySections`],
    /// [`MediaError::Apart`], and as [`Engine::offer`].
    pub fn subscribe(
        &mut self,
        subscription: u64,
        to: &[Participant],
        options: &Options,
        family: AddressFamily,
    ) -> Result<Vec<u8>, MediaError> {
        let worker = self.worker_of(subscription, to)?;
        let mut options = options.clone();
        let interface = self.interface(None, family)?;
        let known = self.sessions.get(&subscription);
        let session = sdp::Session {
            id: subscription,
            version: known.map_or(0, |known| known.version + 1),
            address: interface.advertised,
        };
        let (description, sources) = self.describe(to, session, &mut options)?;
        if sources.is_empty() {
            return Err(MediaError::NotNegotiated);
        }
        let is_new = self.open_copy(subscription, worker);
        let negotiation = Negotiation {
            from: Side::A,
            sdp: &description,
            signalling: None,
            options: &options,
        };
        match self.offer(subscription, negotiation, family) {
            Ok(offer) => {
                if let Some(known) = self.sessions.get_mut(&subscription) {
                    known.version = session.version;
                    known.sources = sources;
                    known.subscriber_reports = options.subscriber_reports;
                }
                Ok(offer)
            }
            Err(error) => {
                if is_new {
                    self.delete(subscription);
                }
                Err(error)
            }
        }
    }

    /// Which medium of whom, from 0, each medium of a subscription's offer copies, in its order.
    #[must_use]
    pub fn copied_media(&self, subscription: u64) -> Vec<(Participant, usize)> {
        let known = self.sessions.get(&subscription);
        let sources = known.into_iter().flat_map(|known| &known.sources);
        let whose = sources.map(|source| {
            let Source { session, side, .. } = *source;
            (Participant { session, side }, source.stream)
        });
        whose.collect()
    }

    /// The worker of all these participants.
    fn worker_of(&self, subscription: u64, to: &[Participant]) -> Result<usize, MediaError> {
        let known = self.sessions.get(&subscription);
        if known.is_some_and(|known| known.role != Role::Copy) {
            return Err(MediaError::OtherKind);
        }
        let mut worker = known.map(|known| known.worker);
        for participant in to {
            let session = self.sessions.get(&participant.session);
            let session = session.ok_or(MediaError::NoSession)?;
            if session.role == Role::Copy {
                return Err(MediaError::OtherKind);
            }
            if *worker.get_or_insert(session.worker) != session.worker {
                return Err(MediaError::Apart);
            }
        }
        worker.ok_or(MediaError::NoSession)
    }

    /// What the participants send, as one description, and where it comes from. If nothing is asked
    /// of the transport, what is protected on its way to us is protected on its way on.
    fn describe(
        &self,
        to: &[Participant],
        session: sdp::Session,
        options: &mut Options,
    ) -> Result<(Vec<u8>, Vec<Source>), MediaError> {
        let mut said = Vec::new();
        for participant in to {
            let known = self.sessions.get(&participant.session);
            let known = known.ok_or(MediaError::NoSession)?;
            let Some(own) = known.said[participant.side as usize].as_deref() else {
                // A branch that nobody has answered.
                continue;
            };
            let own = parse(own)?;
            let other = known.said[participant.side.other() as usize].as_deref();
            let other = other.map(parse).transpose()?;
            said.push((participant, known, own, other));
        }
        let mut media = Vec::new();
        let mut sources = Vec::new();
        for (participant, known, own, other) in &said {
            for (stream, medium) in own.media().enumerate() {
                let other = other.as_ref().and_then(|other| other.medium(stream));
                let Some(copied) = known.copied(participant.side, medium, other, options)? else {
                    continue;
                };
                media.push(copied);
                sources.push(Source {
                    session: participant.session,
                    side: participant.side,
                    stream,
                });
            }
        }
        Ok((sdp::copy_offer(session, &media), sources))
    }

    /// Opens the session of a subscription on a worker; whether it was not open.
    fn open_copy(&mut self, subscription: u64, worker: usize) -> bool {
        if self.sessions.contains_key(&subscription) {
            return false;
        }
        let slot = self.workers[worker].occupy(subscription);
        self.workers[worker].send([Command::Open {
            slot,
            session: subscription,
        }]);
        let session = Session::new(worker, slot, Role::Copy);
        self.sessions.insert(subscription, session);
        true
    }

    /// Lets copies flow as a subscriber has answered.
    pub(super) fn start_copies(&mut self, subscription: u64, answer: &Description<'_>) {
        self.stop_copies(subscription);
        let Some(known) = self.sessions.get_mut(&subscription) else {
            return;
        };
        let slot = known.slot;
        let wanted = |index: usize| {
            let medium = answer.medium(index);
            medium.is_some_and(|medium| !medium.is_rejected() && medium.direction().receives())
        };
        let sources = known.sources.clone().into_iter().enumerate();
        let (sources, left): (Vec<_>, Vec<_>) = sources.partition(|(index, _)| wanted(*index));
        known.copied = sources.iter().map(|(_, source)| *source).collect();
        for (index, _) in left {
            self.set_mirror(subscription, index, None);
        }
        for (index, source) in sources {
            let to = MediumId {
                slot,
                stream: index,
            };
            if let Some(heard) = self.sessions.get_mut(&source.session) {
                heard.listeners.push(Listener {
                    subscription,
                    side: source.side,
                    stream: source.stream,
                    to,
                });
            }
            self.set_copies(source);
            self.set_mirror(subscription, index, Some(source));
        }
    }

    /// Tells the worker where RTCP of a subscriber goes, if anywhere; `to` is what it hears.
    fn set_mirror(&self, subscription: u64, stream: usize, to: Option<Source>) {
        let Some(known) = self.sessions.get(&subscription) else {
            return;
        };
        let goes_back = known.subscriber_reports == SubscriberReports::GoBack;
        let heard = to.filter(|_| goes_back).and_then(|source| {
            let slot = self.sessions.get(&source.session)?.slot;
            let stream = source.stream;
            Some((MediumId { slot, stream }, source.side))
        });
        let slot = known.slot;
        self.workers[known.worker].send([Command::Mirror {
            medium: MediumId { slot, stream },
            to: heard,
        }]);
    }

    /// Has subscribers of a session that ends report to nobody: its place may be another's soon.
    pub(super) fn stop_mirrors(&self, heard: u64) {
        let listeners = self.sessions.get(&heard).map(|heard| &heard.listeners);
        for listener in listeners.into_iter().flatten() {
            self.set_mirror(listener.subscription, listener.to.stream, None);
        }
    }

    /// Stops the copies of a subscription.
    pub(super) fn stop_copies(&mut self, subscription: u64) {
        let known = self.sessions.get_mut(&subscription);
        let copied = known.map(|known| mem::take(&mut known.copied));
        for source in copied.unwrap_or_default() {
            let Some(heard) = self.sessions.get_mut(&source.session) else {
                continue;
            };
            let before = heard.listeners.len();
            heard.listeners.retain(|l| l.subscription != subscription);
            if heard.listeners.len() != before {
                self.set_all_copies(source.session);
            }
        }
    }

    /// Tells the worker to whom each medium of a session is copied.
    fn set_all_copies(&self, session: u64) {
        let streams = self.sessions.get(&session).map_or(0, |s| s.streams.len());
        for stream in 0..streams {
            for side in [Side::A, Side::B] {
                self.set_copies(Source {
                    session,
                    side,
                    stream,
                });
            }
        }
    }

    fn set_copies(&self, source: Source) {
        let Some(heard) = self.sessions.get(&source.session) else {
            return;
        };
        let of = |l: &&Listener| l.side == source.side && l.stream == source.stream;
        let listeners = heard.listeners.iter().filter(of);
        self.workers[heard.worker].send([Command::Copy {
            medium: MediumId {
                slot: heard.slot,
                stream: source.stream,
            },
            from: source.side,
            to: listeners.map(|listener| listener.to).collect(),
        }]);
    }

    /// The ports that face side A of a subscription: there are none.
    pub(super) fn has_no_ports(&self, session: u64, spot: Spot) -> bool {
        let known = self.sessions.get(&session);
        spot.side == Side::A && known.is_some_and(|known| known.role == Role::Copy)
    }
}

impl Session {
    /// What a side sends of a medium, as it described it; `None` if that is no RTP. `other` is what
    /// it is sent to, whose numbers it uses.
    fn copied<'d>(
        &self,
        side: Side,
        medium: Media<'d>,
        other: Option<Media<'d>>,
        options: &mut Options,
    ) -> Result<Option<Copied<'d>>, MediaError> {
        let refused = |other: &Media<'_>| other.is_rejected();
        if medium.is_rejected() || !medium.profile().is_rtp() || other.as_ref().is_some_and(refused)
        {
            return Ok(None);
        }
        let Some(stream) = self.streams.get(medium.index()) else {
            return Ok(None);
        };
        let terminated = stream.facing[side as usize].transport();
        let secure = matches!(
            medium.profile(),
            sdp::Profile::Srtp | sdp::Profile::DtlsSrtp
        );
        let (proto, keys): (&[u8], Keys) = match terminated {
            Some(transport) => {
                if options.transport == Transport::AsOffered {
                    options.transport = transport;
                }
                (b"RTP/AVP", Keys::None)
            }
            None if !secure => (medium.proto(), Keys::None),
            None if medium.has_crypto() && options.transport == Transport::AsOffered => {
                (medium.proto(), Keys::Authors)
            }
            None => return Err(MediaError::EndToEnd),
        };
        let formats = match (&stream.transcoding, other) {
            (None, Some(other)) => other
                .codecs()
                .filter(|theirs| medium.codecs().any(|own| own.same_encoding(theirs)))
                .collect(),
            (Some(transcoding), _) => medium
                .codecs()
                .filter(|own| transcoding.plan.directions[side as usize].may_come(own.payload_type))
                .collect(),
            (None, None) => medium.codecs().collect(),
        };
        let copied = Copied {
            media: medium,
            proto,
            formats,
            keys,
        };
        Ok(Some(copied).filter(|copied| !copied.formats.is_empty()))
    }
}
