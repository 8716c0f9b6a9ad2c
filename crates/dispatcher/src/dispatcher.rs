//! The machine: what goes in, what comes out, and its parts.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use balancer::{Admission, Balancer, Draw, TargetId};
use bytes::Bytes;
use clock::Time;
use forward::{End, Hops, Seal};
use sip::{ConnId, Destination, Flow, Framing, ListenerId, Message, Transmit};

use crate::counters::METHODS;
use crate::flows::Flows;
use crate::moved::Moved;
use crate::pending::{Due, Table};
use crate::refused::Refused;
use crate::relief::Reliefs;
use crate::retired::Retired;
use crate::{Config, Counters, Listener, Target};

/// A load balancer.
#[derive(Debug)]
pub struct Dispatcher {
    pub(crate) config: Config,
    pub(crate) seal: Seal,
    /// Tells this start from others: connections do not outlive it.
    pub(crate) instance: u32,
    pub(crate) hops: Hops,
    pub(crate) balancer: Balancer,
    /// Whether it begins anything new.
    pub(crate) admission: Admission,
    /// Where each target is.
    pub(crate) places: Vec<(TargetId, Target)>,
    pub(crate) retired: Retired,
    pub(crate) pending: Table,
    pub(crate) refused: Refused,
    pub(crate) flows: Flows,
    /// Who goes on with transactions of dead targets.
    pub(crate) reliefs: Reliefs,
    /// INVITEs inside calls that went to others than their dialogs say.
    pub(crate) moved: Moved,
    /// Connections that are open.
    open: BTreeSet<ConnId>,
    pub(crate) draw: Draw,
    pub(crate) counters: Counters,
    /// New calls in the second that began then.
    pub(crate) second: (Time, u32),
    pub(crate) probes: u64,
    pub(crate) outputs: VecDeque<Output>,
}

/// What a dispatcher wants.
#[derive(Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Tell the operator.
    Event {
        /// What happened.
        event: balancer::Event,
        /// The name of the target.
        target: Box<str>,
    },
}

impl Dispatcher {
    /// Without targets and listeners.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut draw = Draw::new(config.seed);
        let mut hops = Hops::new(config.names.clone());
        hops.set_route_name(config.route_name.clone());
        Self {
            seal: Seal::new(&config.cluster_key, "dispatcher"),
            instance: draw.bits() as u32,
            hops,
            balancer: Balancer::new(config.policy.clone()),
            admission: Admission::Open,
            places: Vec::new(),
            retired: Retired::default(),
            pending: Table::new(),
            refused: Refused::default(),
            flows: Flows::new(),
            reliefs: Reliefs::default(),
            moved: Moved::default(),
            open: BTreeSet::new(),
            draw,
            counters: Counters::default(),
            second: (Time::ZERO, 0),
            probes: 0,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Works otherwise from now on; requests under way go on. Key and seed stay.
    pub fn configure(&mut self, config: Config) {
        self.balancer.set_policy(config.policy.clone());
        self.hops.set_names(config.names.clone());
        self.hops.set_route_name(config.route_name.clone());
        self.config = Config {
            cluster_key: self.config.cluster_key,
            seed: self.config.seed,
            ..config
        };
    }

    /// Whether requests outside of dialogs are taken from now on. A dispatcher that drains refuses them
    /// by 503 with Retry-After, OPTIONS to itself among them; calls, and what was taken before, go on.
    pub const fn set_admission(&mut self, admission: Admission) {
        self.admission = admission;
    }

    /// Whether requests outside of dialogs are taken.
    #[must_use]
    pub const fn admission(&self) -> Admission {
        self.admission
    }

    /// Adds a listener, or changes one.
    pub fn set_listener(&mut self, listener: &Listener) {
        self.hops.set(listener);
    }

    /// The address that peers are told of a listener.
    #[must_use]
    pub fn listener_address(&self, id: ListenerId) -> Option<SocketAddr> {
        self.hops.of(id).map(|hop| hop.advertised)
    }

    /// One datagram.
    pub fn handle_datagram(&mut self, now: Time, flow: Flow, bytes: &[u8]) {
        if bytes.len() <= KEEP_ALIVE_MAX {
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        self.handle_bytes(now, flow, bytes, Framing::Datagram);
    }

    /// One message of a stream or WebSocket.
    pub fn handle_stream_message(&mut self, now: Time, flow: Flow, bytes: Bytes) {
        self.handle_bytes(now, flow, bytes, Framing::Stream);
    }

    /// A connection is open.
    pub fn handle_opened(&mut self, flow: Flow) {
        self.open.extend(flow.conn);
    }

    /// A connection is gone.
    pub fn handle_closed(&mut self, flow: Flow) {
        if let Some(conn) = flow.conn {
            self.open.remove(&conn);
        }
    }

    /// What was sent under a key did not get out.
    pub fn handle_transmit_failed(&mut self, now: Time, key: u64) {
        match Key::read(key) {
            Key::Pending(key) => self.handle_attempt_failed(now, key),
            Key::Target(id) => self.balancer.handle_refused(now, id),
            Key::Probe(id) => self.balancer.handle_probe_refused(now, id),
        }
        self.tell();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.balancer.handle_timeout(now);
        self.send_probes(now);
        self.send_keep_alives(now);
        while let Some(due) = self.pending.poll_due(now) {
            match due {
                Due::Repeat(key) => self.repeat(now, key),
                Due::End(key) => self.handle_end_of(now, key),
            }
        }
        self.tell();
    }

    /// When to call [`Self::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let times = [
            self.balancer.poll_timeout(),
            self.pending.next_timeout(),
            self.flows.next_timeout(),
        ];
        times.into_iter().flatten().min()
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Counts since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Calls that are known to be up.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.balancer.call_count()
    }

    /// Requests that are kept at the moment.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Phones on UDP that are sent keep-alives.
    #[must_use]
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Whether it takes calls, and any target can take one.
    #[must_use]
    pub fn is_ready(&self, now: Time) -> bool {
        self.admission == Admission::Open && self.balancer.loss_percent(now) < 100
    }

    fn handle_bytes(&mut self, now: Time, flow: Flow, bytes: Bytes, framing: Framing) {
        match Message::parse(bytes, framing) {
            Ok(message) if message.is_request() => {
                let method = message.method() as usize;
                self.counters.requests[method.min(METHODS.len() - 1)] += 1;
                self.handle_request(now, flow, message);
            }
            Ok(message) => {
                let class = usize::from(message.status() / 100).min(6);
                self.counters.responses[class] += 1;
                self.handle_response(now, flow, &message);
            }
            Err(malformed) => {
                self.counters.malformed += 1;
                if let Some(partial) = malformed.partial {
                    self.answer(now, flow, &partial, malformed.error.status(), "", |_| {});
                }
            }
        }
        self.tell();
    }

    /// Passes on what the balancer has to say.
    pub(crate) fn tell(&mut self) {
        while let Some(event) = self.balancer.poll_event() {
            let id = match event {
                balancer::Event::Up { target }
                | balancer::Event::Down { target, .. }
                | balancer::Event::Drained { target } => target,
            };
            let spec = self.balancer.spec(id);
            let target = spec.map(|spec| spec.name.clone()).unwrap_or_default();
            self.outputs.push_back(Output::Event { event, target });
        }
    }

    pub(crate) fn transmit(&mut self, to: Destination, bytes: Bytes, key: u64) {
        let transmit = Transmit { to, bytes, key };
        self.outputs.push_back(Output::Transmit(transmit));
    }

    /// The path to one side, unless it was a connection that is gone.
    pub(crate) fn live(&self, end: &End) -> Option<Destination> {
        let destination = end.destination(self.instance)?;
        match end.conn {
            Some((_, conn)) if !self.open.contains(&conn) => None,
            _ => Some(destination),
        }
    }
}

/// The key of a transmission of an attempt: what fails late speaks of that attempt only.
pub(crate) const fn of_attempt(key: u64, attempt: u8) -> u64 {
    key ^ ((attempt as u64 & ATTEMPT) << ATTEMPT_AT)
}

/// Whose transmission failed: what the key of a transmission says in its lowest bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// That of a request that is kept; its keys are odd.
    Pending(u64),
    /// Of a request to a target that is not kept.
    Target(TargetId),
    /// Of a probe.
    Probe(TargetId),
}

impl Key {
    pub(crate) fn write(self) -> u64 {
        match self {
            Self::Pending(key) => key,
            Self::Target(id) => u64::from(id.0) << 2 | 2,
            Self::Probe(id) => u64::from(id.0) << 2,
        }
    }

    fn read(key: u64) -> Self {
        let id = TargetId((key >> 2) as u32);
        match key & 3 {
            1 | 3 => Self::Pending(key),
            2 => Self::Target(id),
            _ => Self::Probe(id),
        }
    }
}

/// Where the number of an attempt stands in the key of its transmission, and its bits: keys of
/// requests differ in others.
const ATTEMPT_AT: u32 = 57;
const ATTEMPT: u64 = 0xf;
/// Nothing, CRLF, or twice CRLF: keep-alives, to which nobody expects an answer over UDP.
const KEEP_ALIVE_MAX: usize = 4;
