//! The switch as a machine of the drive loop.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use cluster::PauseWatch;
use net::{Input, Machine, Output, ResolveQuery, Security};
use sip::{Flow, ListenerId, Transmit};
use switch::media_servers::Adopted;
use switch::{CallKey, Event, JournalEvent, MediaRequest, Switch};
use trace::{Direction, Passage};

use crate::hep::HepLink;
use crate::pause::Held;
use crate::trace::TraceTap;

/// Between two signs of life in the journal; also how often bindings go to disk.
const TICK: Duration = Duration::from_millis(500);

/// How long messages wait for others before they go to the trace together.
const TRACE_PATIENCE: Duration = Duration::from_millis(25);

/// So many bindings that have changed are saved without waiting for the next beat: while they are
/// in the processor's cache, and in small portions.
const CHANGED_BINDINGS: usize = 64;

/// The switch with the beat of its node.
pub(crate) struct SwitchMachine {
    pub(crate) switch: Switch,
    next_tick: Time,
    tick_due: bool,
    /// Whether bindings may be saved in this round.
    may_save: bool,
    /// Who is told of messages.
    hep: HepLink,
    /// Where messages are kept.
    trace: TraceTap,
    /// When it passes on what it has; `None`: it has nothing.
    trace_due: Option<Time>,
    /// Where other nodes take over the calls of this one when it is silent.
    pause: Option<PauseWatch<Held>>,
    /// A pause is still to be told.
    has_paused: bool,
    now: Time,
}

/// What the host does for the switch.
pub(crate) enum Effect {
    Media(Box<MediaRequest>),
    Record {
        call: model::CallId,
        session: u64,
        part: u16,
    },
    Candidates {
        session: u64,
        from: call::Side,
        fragment: Bytes,
    },
    Press {
        session: u64,
        to: call::Side,
        press: call::Press,
    },
    MediaEnd {
        call: switch::CallKey,
        session: u64,
    },
    Journal(JournalEvent),
    Adopt(Box<Adopted>),
    Forsake {
        session: u64,
    },
    Keep {
        call: CallKey,
        record: Vec<u8>,
    },
    Unkeep {
        call: CallKey,
    },
    Seek {
        call: CallKey,
    },
    /// Save some of the bindings that have changed.
    SaveBindings,
    RemoveBinding {
        aor: Box<str>,
        key: [u8; 8],
    },
    Event(Event),
    /// The process has not run for a while: do others have its calls? Answer with
    /// [`SwitchMachine::go_on`].
    Paused,
    Tick,
}

impl SwitchMachine {
    pub(crate) fn new(switch: Switch, now: Time, (hep, trace): (HepLink, TraceTap)) -> Self {
        Self {
            switch,
            next_tick: now,
            tick_due: false,
            may_save: true,
            hep,
            trace,
            trace_due: None,
            pause: None,
            has_paused: false,
            now,
        }
    }

    /// After a pause nothing is done before it is cleared up ([`Effect::Paused`]).
    pub(crate) fn watch_pauses(&mut self, now: Time) {
        self.pause = Some(PauseWatch::new(now));
    }

    /// A pause is cleared up: what has come since is served.
    pub(crate) fn go_on(&mut self, now: Time) {
        let held = self.pause.as_mut().map(PauseWatch::release);
        for held in held.unwrap_or_default() {
            match held {
                Held::Datagram(flow, bytes) => {
                    let bytes = &bytes;
                    self.serve(now, Input::Datagram { flow, bytes });
                }
                Held::Other(input) => self.serve(now, input),
            }
        }
    }

    /// Time passes; whether what comes is held back.
    fn is_held_at(&mut self, now: Time) -> bool {
        self.now = now;
        let Some(pause) = &mut self.pause else {
            return false;
        };
        self.has_paused |= pause.pass(now);
        pause.until().is_some()
    }

    /// Tells of a message that came. Who is banned fills no trace.
    fn tell_received(&mut self, flow: Flow, bytes: &[u8]) {
        let (by_hep, by_trace) = (self.hep.wants_sip(), self.trace.wants(bytes));
        if !(by_hep || by_trace) || is_blank(bytes) {
            return;
        }
        let ends = (flow.remote, self.ours(flow.listener, flow.remote));
        if by_trace && !self.switch.is_deaf_to(self.now, flow.remote.ip()) {
            self.tell_trace(Direction::Received, flow.transport, ends, bytes);
        }
        if by_hep {
            let bytes = Bytes::copy_from_slice(bytes);
            self.hep
                .sip(flow.transport, ends, bytes, self.now.as_micros());
        }
    }

    /// Tells of a message that leaves.
    fn tell_sent(&mut self, transmit: &Transmit) {
        let bytes = &transmit.bytes;
        let (by_hep, by_trace) = (self.hep.wants_sip(), self.trace.wants(bytes));
        if !(by_hep || by_trace) || is_blank(bytes) {
            return;
        }
        let (to, transport) = (transmit.to.remote(), transmit.to.transport());
        let ends = (self.ours(transmit.to.listener(), to), to);
        if by_trace {
            self.tell_trace(Direction::Sent, transport, ends, bytes);
        }
        if by_hep {
            self.hep
                .sip(transport, ends, bytes.clone(), self.now.as_micros());
        }
    }

    fn tell_trace(
        &mut self,
        direction: Direction,
        transport: sip::Transport,
        (from, to): (SocketAddr, SocketAddr),
        message: &[u8],
    ) {
        let passage = Passage {
            at_us: self.now.as_micros(),
            transport,
            direction,
            from,
            to,
            node: "",
            correlation: &[],
        };
        self.trace.tell(&passage, message);
        self.trace_due.get_or_insert(self.now + TRACE_PATIENCE);
    }

    fn serve(&mut self, now: Time, input: Input<'_>) {
        match &input {
            Input::Datagram { flow, bytes } => self.tell_received(*flow, bytes),
            Input::Message { flow, bytes } => self.tell_received(*flow, bytes),
            _ => {}
        }
        match input {
            Input::Datagram { flow, bytes } => self.switch.handle_datagram(now, flow, bytes),
            Input::Message { flow, bytes } => self.switch.handle_stream_message(now, flow, bytes),
            Input::Opened { flow, names } => {
                if let Some(conn) = flow.conn {
                    self.switch.handle_opened(conn, names);
                }
            }
            Input::Closed { flow, .. } => {
                if let Some(conn) = flow.conn {
                    self.switch.handle_closed(now, conn);
                }
            }
            Input::TransmitFailed { key, .. } => self.switch.handle_transmit_failed(now, key),
            Input::Resolved { id, targets } => {
                self.switch
                    .handle_resolved(now, id, &targets.unwrap_or_default());
            }
        }
    }

    fn ours(&self, listener: ListenerId, peer: SocketAddr) -> SocketAddr {
        let unknown = SocketAddr::new(
            match peer {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            },
            0,
        );
        self.switch.listener_address(listener).unwrap_or(unknown)
    }
}

/// Whether a message is line ends alone, which keep a connection alive.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

impl Machine for SwitchMachine {
    type Effect = Effect;

    fn handle_input(&mut self, now: Time, input: Input<'_>) {
        let is_held = self.is_held_at(now);
        match &mut self.pause {
            Some(pause) if is_held => pause.hold(input.into()),
            _ => self.serve(now, input),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.is_held_at(now) {
            let until = self.pause.as_ref().and_then(PauseWatch::until);
            if until.is_some_and(|until| now < until) {
                return;
            }
            self.go_on(now);
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick_due = true;
        }
        if self.trace_due.is_some_and(|due| now >= due) {
            self.trace_due = None;
            self.trace.flush();
        }
        self.switch.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Time> {
        let held = self.pause.as_ref().and_then(PauseWatch::until);
        if held.is_some() {
            return held;
        }
        let due = [self.switch.poll_timeout(), self.trace_due];
        let due = due.into_iter().flatten().min();
        Some(due.map_or(self.next_tick, |at| at.min(self.next_tick)))
    }

    fn poll_output(&mut self) -> Option<Output<Effect>> {
        if std::mem::take(&mut self.has_paused) {
            return Some(Output::Effect(Effect::Paused));
        }
        if std::mem::take(&mut self.tick_due) {
            return Some(Output::Effect(Effect::Tick));
        }
        let Some(output) = self.switch.poll_output() else {
            let is_time = self.may_save && self.switch.changed_bindings() >= CHANGED_BINDINGS;
            // Once a round: the host may have no room for them.
            self.may_save = !is_time;
            return is_time.then_some(Output::Effect(Effect::SaveBindings));
        };
        Some(match output {
            switch::Output::Transmit(transmit) => {
                self.tell_sent(&transmit);
                Output::Transmit(transmit)
            }
            switch::Output::Resolve {
                id,
                host,
                port,
                transport,
                secure,
            } => {
                let query = ResolveQuery {
                    host,
                    port,
                    transport,
                    security: security(secure),
                };
                Output::Resolve { id, query }
            }
            switch::Output::Media(request) => Output::Effect(Effect::Media(request)),
            switch::Output::Record {
                call,
                session,
                part,
            } => Output::Effect(Effect::Record {
                call,
                session,
                part,
            }),
            switch::Output::Candidates {
                session,
                from,
                fragment,
            } => Output::Effect(Effect::Candidates {
                session,
                from,
                fragment,
            }),
            switch::Output::Press { session, to, press } => {
                Output::Effect(Effect::Press { session, to, press })
            }
            switch::Output::MediaEnd { call, session } => {
                Output::Effect(Effect::MediaEnd { call, session })
            }
            switch::Output::Journal(event) => Output::Effect(Effect::Journal(event)),
            switch::Output::Adopt(adopted) => Output::Effect(Effect::Adopt(adopted)),
            switch::Output::Forsake { session } => Output::Effect(Effect::Forsake { session }),
            switch::Output::Keep { call, record } => Output::Effect(Effect::Keep { call, record }),
            switch::Output::Unkeep { call } => Output::Effect(Effect::Unkeep { call }),
            switch::Output::Seek { call } => Output::Effect(Effect::Seek { call }),
            switch::Output::RemoveBinding { aor, key } => {
                Output::Effect(Effect::RemoveBinding { aor, key })
            }
            switch::Output::Event(event) => Output::Effect(Effect::Event(event)),
        })
    }
}

const fn security(secure: bool) -> Security {
    match secure {
        true => Security::Sips,
        false => Security::Any,
    }
}
