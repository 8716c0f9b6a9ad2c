//! The engine: sessions as the switch sees them.

mod act;
mod bundle;
mod codecs;
mod echo;
mod event;
mod facing;
mod late_echo;
mod negotiate;
mod publish;
mod record;
mod rtcp;
mod secured;
mod session;
mod start;
mod subscribe;
mod terms;
mod transcoding;
mod trickle;
mod usage;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audio::Key;
use crossbeam_channel::{Receiver, bounded};

use crate::channel::Role;
use crate::config::{AddressFamily, EngineConfig};
use crate::counters::Counters;
use crate::error::{MediaError, StartError};
use crate::full::security::Identity;
use crate::full::{Place, Stage};
use crate::kernel::{Kernel, Unavailable};
use crate::options::Options;
use crate::ports::Ports;
use crate::recording::Recorder;
use crate::report::{MediumReport, SessionReport};
use crate::worker::{Command, Handle, MediumId, Ways};
pub use codecs::is_coded;
pub use event::{MediaEvent, SeenReport, Telling};
use negotiate::{Spot, parse};
use session::{Offer, Session, Way};
pub use subscribe::Participant;
use terms::Wish;
pub use usage::PortUsage;

/// Relays the media of sessions. Owned by one thread; packets are handled by workers of its own,
/// which end when it is dropped.
pub struct Engine {
    config: EngineConfig,
    workers: Vec<Handle>,
    /// By [`AddressFamily`].
    ports: [Ports; 2],
    sessions: HashMap<u64, Session>,
    events: Receiver<MediaEvent>,
    /// RTCP that was seen.
    reports: Receiver<MediaEvent>,
    receive_buffer_bytes: usize,
    /// Who we are in DTLS handshakes.
    identity: Arc<Identity>,
    /// Detaches its program when it goes, after the workers.
    kernel: Result<Kernel, Unavailable>,
    /// `None` without a directory for recordings.
    recorder: Option<Recorder>,
    /// Shared with the workers.
    tells_rtcp: Arc<AtomicBool>,
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
        let receive_buffer_bytes = start::check(&config)?;
        let (events_in, events) = bounded(MAX_EVENTS);
        let (rtcp, reports) = bounded(MAX_EVENTS);
        let ways = Ways {
            events: events_in,
            rtcp,
        };
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let kernel = Kernel::start(&config);
        let tells_rtcp = Arc::<AtomicBool>::default();
        let workers = (0..config.workers)
            .map(|index| {
                let flows = kernel
                    .as_ref()
                    .ok()
                    .and_then(|kernel| kernel.flows(index, config.workers));
                Handle::start(index, &config, &ways, &wake, (flows, &tells_rtcp))
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
            reports,
            receive_buffer_bytes,
            identity: Arc::new(Identity::new().ok_or(StartError::Certificate)?),
            config,
            tells_rtcp,
            kernel,
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
        let ports = self.ensure(session, self.role_between(session), &relayed, spot)?;
        let address = self.address_at(spot, negotiation.options)?;
        let options = self.with_codec_of(session, facing, negotiation.options);
        let recoded = codecs::offer(&description, &options);
        let recoded_description = recoded.as_deref().map(parse).transpose()?;
        let shown = recoded_description.as_ref().unwrap_or(&description);
        let (out, towards, proposed) =
            self.rewrite_offer(session, shown, &ports, negotiation, address)?;
        let wishes = Wish::all(&description, &negotiation);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.interfaces = interfaces;
            let again = session.offer.take().filter(|offer| {
                offer.from == negotiation.from && offer.description == negotiation.sdp
            });
            let mut ways = again.map(|offer| offer.ways).unwrap_or_default();
            let way = Way {
                towards,
                shown: recoded,
                proposed,
                options,
            };
            ways.retain(|known| *known != way);
            ways.truncate(WAYS_MAX - 1);
            ways.insert(0, way);
            session.offer = Some(Offer {
                from: negotiation.from,
                description: negotiation.sdp.to_vec(),
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

    /// Whether a session is open here.
    #[must_use]
    pub fn has(&self, session: u64) -> bool {
        self.sessions.contains_key(&session)
    }

    /// What came from both sides so far; `None` for an unknown session.
    #[must_use]
    pub fn report(&self, session: u64) -> Option<SessionReport> {
        self.sessions.get(&session).map(Session::report)
    }

    /// What is known of each medium of a session; `None` for an unknown one.
    #[must_use]
    pub fn media(&self, session: u64) -> Option<Vec<MediumReport>> {
        let session = self.sessions.get(&session)?;
        let mut media = session.media(self.workers[session.worker].epoch());
        for medium in &mut media {
            for side in [Side::A, Side::B] {
                let leg = &mut medium.legs[side as usize];
                let family = leg.described.map(AddressFamily::from);
                let named = session.interfaces[side as usize];
                let interface = family.and_then(|family| self.interface(named, family).ok());
                leg.local_address = interface.map(|interface| interface.bind);
            }
        }
        Some(media)
    }

    /// Ends a session: its ports go to rest. The last report; `None` for an unknown session.
    pub fn delete(&mut self, session: u64) -> Option<SessionReport> {
        self.stop_copies(session);
        self.stop_mirrors(session);
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

    /// From now on RTCP is told by [`MediaEvent::Rtcp`], or not.
    pub fn tell_rtcp(&self, telling: Telling) {
        let on = telling == Telling::All;
        self.tells_rtcp.store(on, Ordering::Relaxed);
    }

    /// The next thing that happened, if any.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        let recorded = || self.recorder.as_ref()?.poll().map(MediaEvent::Recorded);
        let seen = || self.reports.try_recv().ok();
        let event = self.events.try_recv().ok();
        let mut event = event.or_else(recorded).or_else(seen)?;
        if let MediaEvent::Rtcp(seen) = &mut event {
            // Sockets that are bound to any address do not know which it was.
            for address in [&mut seen.from, &mut seen.to] {
                let family = AddressFamily::from(*address);
                if address.ip().is_unspecified()
                    && let Some(interface) = self.config.interface(family)
                {
                    address.set_ip(interface.advertised);
                }
            }
        }
        Some(event)
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

    /// Where plain RTP is relayed in the kernel, as `tc on eth0`.
    ///
    /// # Errors
    /// It is not; why, in words.
    pub fn kernel_path(&self) -> Result<String, String> {
        match &self.kernel {
            Ok(kernel) => Ok(kernel.place()),
            Err(unavailable) => Err(unavailable.to_string()),
        }
    }

    /// What descriptions say that our address of a family is.
    #[must_use]
    pub fn advertised(&self, family: AddressFamily) -> Option<IpAddr> {
        let interface = self.config.interface(family);
        interface.map(|interface| interface.advertised)
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

/// The family that a description's first open medium asks for; `None` if it names none, or is no
/// description.
#[must_use]
pub fn family_of(sdp: &[u8]) -> Option<AddressFamily> {
    terms::family_of(&parse(sdp).ok()?)
}

/// Events that wait for the switch, and as many reports. Beyond, workers keep events and say them
/// later; reports are not told.
const MAX_EVENTS: usize = 4_096;
/// In how many ways one offer is made; the oldest is forgotten.
const WAYS_MAX: usize = 8;
