//! The engine: sessions as the switch sees them.

mod session;
mod terms;

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use sdp::{Description, Edit};

use crate::bind::{self, Pair};
use crate::channel::{Channel, Role};
use crate::config::{AddressFamily, EngineConfig, Interface};
use crate::counters::{Counters, WorkerCounters};
use crate::error::{MediaError, StartError};
use crate::ports::Ports;
use crate::report::SessionReport;
use crate::sys::epoll::Alarm;
use crate::worker::{self, ChannelId, Command, Setup};
use session::{Offer, Session, Stream};
use terms::Wish;

/// Relays the media of sessions. Owned by one thread; packets are handled by workers of its own,
/// which end when it is dropped.
pub struct Engine {
    config: EngineConfig,
    workers: Vec<Worker>,
    /// By [`AddressFamily`].
    ports: [Ports; 2],
    sessions: HashMap<u64, Session>,
    events: Receiver<MediaEvent>,
    receive_buffer_bytes: usize,
}

/// A worker as the engine sees it.
struct Worker {
    /// `None` only while the engine is dropped. Not bounded: what waits in it is bounded by the
    /// ports, and the switch must not wait.
    commands: Option<Sender<Command>>,
    alarm: Arc<Alarm>,
    counters: Arc<WorkerCounters>,
    thread: Option<JoinHandle<()>>,
    /// Slots taken.
    slots: slab::Slab<u64>,
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
        let workers = (0..config.workers)
            .map(|index| Worker::start(index, &config, &events_in, &wake))
            .collect::<Result<_, _>>()?;
        let ports = || Ports::new(&config.ports, config.quarantine);
        Ok(Self {
            ports: [ports(), ports()],
            workers,
            sessions: HashMap::new(),
            events,
            receive_buffer_bytes,
            config,
        })
    }

    /// Takes an offer that `negotiation.from` made and returns the one to send to the other
    /// side: our address of family `to` and our ports in it, no ICE, nothing else changed. Media
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
        let ports = self.ensure(session, Role::Relay, &relayed, facing, to)?;
        let out = self.rewrite(&description, &ports, to)?;
        let wishes = Wish::all(&description, negotiation.signalling);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.offer = Some(Offer {
                from: negotiation.from,
                description: negotiation.sdp.to_vec(),
                wishes,
                family,
            });
        }
        Ok(out)
    }

    /// Takes an answer that `negotiation.from` gave to the last offer and returns the one to
    /// send to the offerer, in the address family that it offered. From then on media flows.
    /// Several answers to one offer (forking, early media) replace each other.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn answer(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
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

    /// Answers an offer ourselves: each packet goes back to where it came from. Repeated calls
    /// keep the ports. `negotiation.from` is the side whose figures [`Engine::report`] fills.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn echo(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        let offer = parse(negotiation.sdp)?;
        let side = negotiation.from;
        let fallback = self.any_family();
        let family = self.family_towards(&offer, negotiation.signalling, fallback);
        let interface = self.interface(family)?;
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
        let ports = self.ensure(session, Role::Echo, &relayed, side, family)?;
        let port = ports[chosen].ok_or(MediaError::NothingToEcho)?;
        let out = ours(version, port)?;
        let answer = parse(&out)?;
        let wishes = Wish::all(&offer, negotiation.signalling);
        self.apply(session, side, &offer, &answer, &wishes, None);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.version = version;
        }
        Ok(out)
    }

    /// What came from both sides so far; `None` for an unknown session.
    #[must_use]
    pub fn report(&self, session: u64) -> Option<SessionReport> {
        self.sessions.get(&session).map(Session::report)
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
        let worker = &mut self.workers[session.worker];
        worker.slots.try_remove(session.slot);
        worker.send([Command::Close { slot: session.slot }]);
        Some(session.report())
    }

    /// The next thing that happened, if any.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.try_recv().ok()
    }

    /// What the workers counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut total = Counters::default();
        for worker in &self.workers {
            worker.counters.add_to(&mut total);
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

    /// Checks an answer, and if it fits, lets media flow.
    fn settle(
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
        let ports = self.ensure(session, Role::Relay, &relayed, offer.from, offer.family)?;
        let out = self.rewrite(answer, &ports, offer.family)?;
        let wishes = Wish::all(answer, negotiation.signalling);
        let answers = Some(wishes.as_slice());
        self.apply(
            session,
            offer.from,
            &offered,
            answer,
            &offer.wishes,
            answers,
        );
        Ok(out)
    }

    /// Sees to it that each medium that is `relayed` has ports facing `side` in `family`, opening
    /// the session if need be; the RTP ports, by medium.
    fn ensure(
        &mut self,
        session: u64,
        role: Role,
        relayed: &[bool],
        side: Side,
        family: AddressFamily,
    ) -> Result<Vec<Option<u16>>, MediaError> {
        let interface = self.interface(family)?;
        let known = self.sessions.get(&session);
        if known.is_some_and(|known| known.role != role) {
            return Err(MediaError::OtherKind);
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
            let worker = least_loaded(workers);
            let slot = workers[worker].slots.insert(id);
            commands.push(Command::Open { slot, session: id });
            Session::new(worker, slot, role)
        });
        let slot = session.slot;
        while session.streams.len() < media_count {
            let stream = Stream::new();
            for stats in [stream.stats.clone(), Default::default()] {
                let channel = Box::new(Channel::new(role, stats));
                commands.push(Command::Extend { slot, channel });
            }
            session.streams.push(stream);
        }
        for (index, pair) in bound {
            session.streams[index].ports[side as usize][family as usize] = Some(pair.port);
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

    /// The description with our addresses and ports in it.
    fn rewrite(
        &self,
        description: &Description<'_>,
        ports: &[Option<u16>],
        family: AddressFamily,
    ) -> Result<Vec<u8>, MediaError> {
        let address = self.interface(family)?.advertised;
        let mut edit = Edit::new(description);
        edit.origin_address(address).strip_ice();
        for (media, port) in description.media().zip(ports) {
            // The unspecified address says hold (RFC 3264 §8.4): it must reach the other side.
            let held = media.connection().is_ok_and(|c| c.is_unspecified());
            let address = if held { unspecified(family) } else { address };
            match port {
                Some(port) => edit.relay(media.index(), SocketAddr::new(address, *port), port + 1),
                None => edit.reject(media.index()),
            };
        }
        Ok(edit.finish())
    }

    /// Tells the worker what was negotiated. Without `answers` the session echoes.
    fn apply(
        &mut self,
        session: u64,
        offerer: Side,
        offer: &Description<'_>,
        answer: &Description<'_>,
        offers: &[Wish],
        answers: Option<&[Wish]>,
    ) {
        let Some(session) = self.sessions.get_mut(&session) else {
            return;
        };
        let slot = session.slot;
        let mut commands = Vec::with_capacity(4 * offers.len() + 1);
        let mut expected = [false; 2];
        for (index, (stream, offered)) in session.streams.iter_mut().zip(offers).enumerate() {
            let answered = answers.and_then(|answers| answers.get(index));
            let formats =
                terms::formats(offer.medium(index).as_ref(), answer.medium(index).as_ref());
            let sides = [(offerer, Some(offered)), (offerer.other(), answered)];
            for (side, wish) in sides {
                let Some(wish) = wish else { continue };
                let rtp = wish.rtp_terms(&formats);
                let rtcp = wish.rtcp_terms(&formats);
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
            let answered = answered.unwrap_or(offered);
            expected[offerer as usize] |= offered.will_send_to(answered);
            expected[offerer.other() as usize] |=
                answers.is_some() && answered.will_send_to(offered);
        }
        commands.push(Command::Expect {
            slot,
            sides: expected,
        });
        self.workers[session.worker].send(commands);
    }

    /// The family to face the author of a description in: the one it names, if we have it.
    fn family_towards(
        &self,
        description: &Description<'_>,
        signalling: Option<IpAddr>,
        fallback: AddressFamily,
    ) -> AddressFamily {
        terms::family_of(description)
            .or(signalling.map(AddressFamily::from))
            .unwrap_or(fallback)
    }

    fn any_family(&self) -> AddressFamily {
        match self.config.v4 {
            Some(_) => AddressFamily::V4,
            None => AddressFamily::V6,
        }
    }

    fn interface(&self, family: AddressFamily) -> Result<Interface, MediaError> {
        let interface = self.config.interface(family);
        interface.ok_or(MediaError::NoInterface(family))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.commands = None;
            worker.alarm.ring();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a media worker had panicked");
            }
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

impl Worker {
    fn start(
        index: usize,
        config: &EngineConfig,
        events: &Sender<MediaEvent>,
        wake: &Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Self, StartError> {
        let (commands_in, commands) = unbounded();
        let alarm = Arc::new(Alarm::new()?);
        let counters = Arc::new(WorkerCounters::default());
        let setup = Setup {
            commands,
            alarm: Arc::clone(&alarm),
            counters: Arc::clone(&counters),
            events: events.clone(),
            wake: Arc::clone(wake),
            learn_window: config.learn_window,
            inactivity: config.inactivity,
            tick: config.tick,
        };
        let thread = worker::spawn(index, setup)?;
        Ok(Self {
            commands: Some(commands_in),
            alarm,
            counters,
            thread: Some(thread),
            slots: slab::Slab::new(),
        })
    }

    fn send(&self, commands: impl IntoIterator<Item = Command>) {
        let mut sent = false;
        for command in commands {
            // A worker that is gone has said why; its calls are silent, and the next go elsewhere.
            sent |= self
                .commands
                .as_ref()
                .is_some_and(|c| c.send(command).is_ok());
        }
        if sent {
            self.alarm.ring();
        }
    }

    fn is_alive(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// A side that should send was silent for the configured time. Said once per silence: it is
    /// said again only after the side was heard or negotiated anew.
    Silent {
        /// The session.
        session: u64,
        /// Who is silent.
        side: Side,
    },
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
    if config.workers == 0 {
        return Err(StartError::Misuse("no worker"));
    }
    if Ports::new(&config.ports, config.quarantine).free(Instant::now()) == 0 {
        return Err(StartError::Misuse("the range holds no pair of ports"));
    }
    let mut granted = 0;
    for interface in config.v4.into_iter().chain(config.v6) {
        let address = interface.bind;
        granted = bind::socket(address, 0, config.receive_buffer_bytes)
            .and_then(|socket| socket2::SockRef::from(&socket).recv_buffer_size())
            .map_err(|source| StartError::Bind { address, source })?;
    }
    Ok(granted)
}

fn parse(bytes: &[u8]) -> Result<Description<'_>, MediaError> {
    let description = Description::parse(bytes)?;
    if description.media_count() > MAX_MEDIA {
        return Err(MediaError::TooManySections(MAX_MEDIA));
    }
    Ok(description)
}

/// Which medium a description of ours accepts.
fn accepted(bytes: &[u8]) -> Result<usize, MediaError> {
    let description = parse(bytes)?;
    let accepted = description.media().find(|media| !media.is_rejected());
    accepted
        .map(|media| media.index())
        .ok_or(MediaError::NothingToEcho)
}

/// The worker with the fewest sessions among those that run.
fn least_loaded(workers: &[Worker]) -> usize {
    let load = |index: &usize| (!workers[*index].is_alive(), workers[*index].slots.len());
    (0..workers.len()).min_by_key(load).unwrap_or(0)
}

fn channel_id(slot: usize, stream: usize, part: usize) -> ChannelId {
    ChannelId {
        slot,
        index: 2 * stream + part,
    }
}

fn unspecified(family: AddressFamily) -> IpAddr {
    match family {
        AddressFamily::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Media of one description; more are refused as a whole.
const MAX_MEDIA: usize = 8;
/// Events that wait for the switch. Beyond, workers keep them and say them later.
const MAX_EVENTS: usize = 4_096;
/// The parts of a medium.
const RTP: usize = 0;
const RTCP: usize = 1;
/// Any port but 0, which would refuse a medium.
const PROBE_PORT: u16 = 9;
