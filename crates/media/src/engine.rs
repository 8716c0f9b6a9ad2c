//! The engine: sessions as the switch sees them.

mod act;
mod codecs;
mod late_echo;
mod negotiate;
mod record;
mod secure;
mod secured;
mod session;
mod terms;
mod transcoding;

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audio::Key;
use crossbeam_channel::{Receiver, bounded};

use crate::bind;
use crate::channel::Role;
use crate::config::{AddressFamily, EngineConfig};
use crate::counters::Counters;
use crate::error::{MediaError, StartError};
use crate::full::security::Identity;
use crate::full::{Place, Stage};
use crate::kernel::Kernel;
use crate::options::Options;
use crate::ports::Ports;
use crate::recording::{Recorded, Recorder};
use crate::report::{MediumReport, SessionReport};
use crate::worker::{Command, Handle, MediumId};
use negotiate::{Spot, parse};
use session::{Offer, Session};
use terms::Wish;

/// Relays the media of sessions. Owned by one thread; packets are handled by workers of its own,
/// which end when it is dropped.
pub struct Engine {
    config: EngineConfig,
    workers: Vec<Handle>,
    /// By [`AddressFamily`].
    ports: [Ports; 2],
    sessions: HashMap<u64, Session>,
    events: Receiver<MediaEvent>,
    receive_buffer_bytes: usize,
    /// Who we are in DTLS handshakes.
    identity: Arc<Identity>,
    /// Detaches its program when it goes, after the workers.
    _kernel: Option<Kernel>,
    /// `None` without a directory for recordings.
    recorder: Option<Recorder>,
}

impl Engine {
    /// Starts the workers. `wake` is called on a worker's thread whenever
    /// [`Engine::poll_event`] has something new; it must not block.
    ///
    /// # Errors
    /// If the configuration is unusable or the kernel refuses a thread or an address.
    pub fn new(
        config: EngineConfig,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let receive_buffer_bytes = check(&config)?;
        let (events_in, events) = bounded(MAX_EVENTS);
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let kernel = Kernel::start(&config);
        let workers = (0..config.workers)
            .map(|index| {
                let flows = kernel
                    .as_ref()
                    .and_then(|kernel| kernel.flows(index, config.workers));
                Handle::start(index, &config, &events_in, &wake, flows)
            })
            .collect::<Result<_, _>>()?;
        let ports = || Ports::new(&config.ports, config.quarantine);
        let recorder = config.recordings.clone();
        let recorder = recorder.map(|dir| Recorder::start(dir, Arc::clone(&wake)));
        Ok(Self {
            recorder: recorder.transpose()?,
            ports: [ports(), ports()],
            workers,
            sessions: HashMap::new(),
            events,
            receive_buffer_bytes,
            identity: Arc::new(Identity::new().ok_or(StartError::Certificate)?),
            config,
            _kernel: kernel,
        })
    }

    /// Takes an offer that `negotiation.from` made and returns the one to send to the other
    /// side: our address of family `to` and our ports in it, and in what
    /// [`Negotiation::options`] ask for; nothing else changed. Without options it comes as it
    /// was offered, less ICE, or in the terms that the other side was last agreed with. Media
    /// that cannot be relayed is refused in it. Opens the session if it is new. Ports once given
    /// to a side stay, so the same call serves a re-INVITE, and an offer sent to several targets.
    /// Nothing about the media already flowing changes before the answer.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn offer(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
        to: AddressFamily,
    ) -> Result<Vec<u8>, MediaError> {
        let description = parse(negotiation.sdp)?;
        let facing = negotiation.from.other();
        let family = self.family_towards(&description, negotiation.signalling, to);
        let relayed = terms::relayed(&description);
        let interfaces = self.interfaces_of_offer(session, &negotiation)?;
        let spot = Spot {
            side: facing,
            family: to,
            interface: interfaces[facing as usize],
        };
        let ports = self.ensure(session, Role::Relay, &relayed, spot)?;
        let address = self.address_at(spot, negotiation.options)?;
        let options = self.with_codec_of(session, facing, negotiation.options);
        let recoded = codecs::offer(&description, &options);
        let recoded_description = recoded.as_deref().map(parse).transpose()?;
        let shown = recoded_description.as_ref().unwrap_or(&description);
        let (out, towards) = self.rewrite_offer(session, shown, &ports, negotiation, address)?;
        let wishes = Wish::all(&description, &negotiation);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.interfaces = interfaces;
            let again = session.offer.take().filter(|offer| {
                offer.from == negotiation.from && offer.description == negotiation.sdp
            });
            let mut ways = again.map(|offer| offer.ways).unwrap_or_default();
            ways.retain(|known| *known != towards);
            ways.truncate(WAYS_MAX - 1);
            ways.insert(0, towards);
            session.offer = Some(Offer {
                from: negotiation.from,
                description: negotiation.sdp.to_vec(),
                shown: recoded,
                options,
                wishes,
                ways,
                family,
            });
        }
        Ok(out)
    }

    /// Takes an answer that `negotiation.from` gave to the last offer and returns the one to
    /// send to the offerer, in the address family and the terms that it offered. From then on
    /// media flows. Several answers to one offer (forking, early media) replace each other. The
    /// answer to an offer of the echo comes here, too.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn answer(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        if self.sessions.get(&session).map(|s| s.role) == Some(Role::Echo) {
            return self.settle_echo(session, &negotiation);
        }
        let answer = parse(negotiation.sdp)?;
        let answerer = negotiation.from;
        let open = self.sessions.get_mut(&session).and_then(|s| s.offer.take());
        let offer = open.ok_or(MediaError::NoOffer)?;
        let result = self.settle(session, &offer, &answer, negotiation);
        if let Some(session) = self.sessions.get_mut(&session) {
            // It stays open for the answers of other targets.
            session.offer = Some(offer);
        }
        tracing::trace!(session, ?answerer, settled = result.is_ok(), "media answer");
        result
    }

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
        let (out, mut secured) = self.secure_echo(
            session,
            &offer,
            &answer,
            (side, chosen),
            negotiation.options.restart,
            (interface.advertised, port),
        )?;
        let answer = parse(&out)?;
        let wishes = Wish::all(&offer, &negotiation);
        self.keep_agreed(session, &mut secured);
        self.apply(session, side, &offer, &answer, &wishes, None);
        self.secure(session, secured);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.version = version;
        }
        Ok(out)
    }

    /// Has a side hear a key, in the form that was negotiated: as an event or as tones. Whether
    /// it will: only media that is transcoded can be given keys, and only the 16 of a telephone.
    pub fn press_key(&mut self, session: u64, to: Side, key: char, duration_ms: u32) -> bool {
        let known = self.sessions.get(&session);
        let Some((session, key)) = known.zip(Key::from_char(key)) else {
            return false;
        };
        let mut streams = session.streams.iter();
        let Some(stream) = streams.position(|stream| stream.transcoding.is_some()) else {
            return false;
        };
        let medium = MediumId {
            slot: session.slot,
            stream,
        };
        self.workers[session.worker].send([Command::Press {
            medium,
            to,
            key,
            duration_ms,
        }]);
        true
    }

    /// Puts a stage on the full path of a medium, counted from 0, or takes the one in that place
    /// away. Nothing happens for a session or medium that is not there.
    pub(crate) fn set_stage(
        &self,
        session: u64,
        stream: usize,
        place: Place,
        stage: Option<Box<dyn Stage>>,
    ) {
        let Some(session) = self.sessions.get(&session) else {
            return;
        };
        let medium = MediumId {
            slot: session.slot,
            stream,
        };
        self.workers[session.worker].send([Command::Stage {
            medium,
            place,
            stage,
        }]);
    }

    /// From now on a side that sends nothing for so long is reported; `None` reports nobody.
    pub fn set_inactivity(&mut self, inactivity: Option<Duration>) {
        if self.config.inactivity == inactivity {
            return;
        }
        self.config.inactivity = inactivity;
        for worker in &self.workers {
            worker.send([Command::Inactivity { inactivity }]);
        }
    }

    /// What came from both sides so far; `None` for an unknown session.
    #[must_use]
    pub fn report(&self, session: u64) -> Option<SessionReport> {
        self.sessions.get(&session).map(Session::report)
    }

    /// What is known of each medium of a session; `None` for an unknown one.
    #[must_use]
    pub fn media(&self, session: u64) -> Option<Vec<MediumReport>> {
        self.sessions.get(&session).map(Session::media)
    }

    /// Ends a session: its ports go to rest. The last report; `None` for an unknown session.
    pub fn delete(&mut self, session: u64) -> Option<SessionReport> {
        let session = self.sessions.remove(&session)?;
        let now = Instant::now();
        for ports in session.streams.iter().flat_map(|stream| stream.ports) {
            for (family, port) in ports.into_iter().enumerate() {
                if let Some(port) = port {
                    self.ports[family].release(port, now);
                }
            }
        }
        // Before the worker lets others count where this session did.
        let report = session.report();
        let worker = &mut self.workers[session.worker];
        worker.vacate(session.slot);
        worker.send([Command::Close { slot: session.slot }]);
        Some(report)
    }

    /// The next thing that happened, if any.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        let recorded = || self.recorder.as_ref()?.poll().map(MediaEvent::Recorded);
        self.events.try_recv().ok().or_else(recorded)
    }

    /// What the workers counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut total = Counters::default();
        for worker in &self.workers {
            worker.counters().add_to(&mut total);
        }
        total
    }

    /// Ports in use, free and resting, over all families that have an interface.
    #[must_use]
    pub fn ports(&self) -> PortUsage {
        let now = Instant::now();
        let mut usage = PortUsage::default();
        for family in [AddressFamily::V4, AddressFamily::V6] {
            if self.config.interface(family).is_some() {
                let ports = &self.ports[family as usize];
                usage.used += 2 * ports.used();
                usage.free += 2 * ports.free(now);
                usage.quarantined += 2 * ports.resting(now);
            }
        }
        usage
    }

    /// Sessions open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The receive buffer that the kernel grants to a socket, in bytes as `SO_RCVBUF` counts
    /// them.
    #[must_use]
    pub fn receive_buffer_bytes(&self) -> usize {
        self.receive_buffer_bytes
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // All are told before the first is waited for.
        self.workers.iter_mut().for_each(Handle::stop);
        self.workers.iter_mut().for_each(Handle::join);
        // The workers have dropped their taps: what they held is on its way.
        if let Some(recorder) = &mut self.recorder {
            recorder.stop();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("config", &self.config)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

/// A description that came from one side.
#[derive(Clone, Copy, Debug)]
pub struct Negotiation<'a> {
    /// Who sent it.
    pub from: Side,
    /// The description.
    pub sdp: &'a [u8],
    /// Where the message that carried it came from. Lets the media of a peer behind a NAT be
    /// told from a stranger's.
    pub signalling: Option<IpAddr>,
    /// What is asked beyond relaying.
    pub options: &'a Options,
}

/// One side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Usually the caller.
    A,
    /// Usually the callee.
    B,
}

impl Side {
    /// The opposite side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Something the switch should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// A side that should send was silent for the configured time. Said once per silence: it is
    /// said again only after the side was heard or negotiated anew.
    Silent {
        /// The session.
        session: u64,
        /// Who is silent.
        side: Side,
    },
    /// A side has pressed a key, in whatever form. Said of media that is transcoded, when the
    /// key is released.
    Key {
        /// The session.
        session: u64,
        /// Who pressed it.
        side: Side,
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        key: char,
        /// For how long.
        duration_ms: u32,
    },
    /// What was played to a side is over. Not said of what was stopped or replaced.
    Played {
        /// The session.
        session: u64,
        /// Who heard it.
        side: Side,
    },
    /// A recording has ended, well or badly.
    Recorded(Recorded),
}

/// How many ports there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortUsage {
    /// Bound by sessions.
    pub used: usize,
    /// Free to be bound now.
    pub free: usize,
    /// Resting after use.
    pub quarantined: usize,
}

/// The family that a description's first open medium asks for; `None` if it names none, or is no
/// description.
#[must_use]
pub fn family_of(sdp: &[u8]) -> Option<AddressFamily> {
    terms::family_of(&parse(sdp).ok()?)
}

/// Checks a configuration and that its addresses can be bound; the receive buffer granted.
fn check(config: &EngineConfig) -> Result<usize, StartError> {
    if config.v4.is_none() && config.v6.is_none() {
        return Err(StartError::Misuse("no address"));
    }
    if config
        .v4
        .is_some_and(|v4| !v4.bind.is_ipv4() || !v4.advertised.is_ipv4())
        || config
            .v6
            .is_some_and(|v6| !v6.bind.is_ipv6() || !v6.advertised.is_ipv6())
    {
        return Err(StartError::Misuse("an address of the wrong family"));
    }
    if config.named.len() > NAMED_MAX {
        return Err(StartError::Misuse("too many named interfaces"));
    }
    if config.workers == 0 {
        return Err(StartError::Misuse("no worker"));
    }
    if Ports::new(&config.ports, config.quarantine).free(Instant::now()) == 0 {
        return Err(StartError::Misuse("the range holds no pair of ports"));
    }
    let mut granted = 0;
    let named = config.named.iter();
    let named = named.flat_map(|named| named.v4.into_iter().chain(named.v6));
    for interface in config.v4.into_iter().chain(config.v6).chain(named) {
        let address = interface.bind;
        granted = bind::socket(address, 0, config.receive_buffer_bytes)
            .and_then(|socket| socket2::SockRef::from(&socket).recv_buffer_size())
            .map_err(|source| StartError::Bind { address, source })?;
    }
    Ok(granted)
}

/// Which medium a description of ours accepts.
fn accepted(bytes: &[u8]) -> Result<usize, MediaError> {
    let description = parse(bytes)?;
    let accepted = description.media().find(|media| !media.is_rejected());
    accepted
        .map(|media| media.index())
        .ok_or(MediaError::NothingToEcho)
}

/// Events that wait for the switch. Beyond, workers keep them and say them later.
const MAX_EVENTS: usize = 4_096;
/// In how many ways one offer is made; the oldest is forgotten.
const WAYS_MAX: usize = 4;
/// Interfaces by name.
const NAMED_MAX: usize = 64;
/// Any port but 0, which would refuse a medium.
const PROBE_PORT: u16 = 9;
