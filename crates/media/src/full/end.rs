//! One side of a medium on the full path: its keys, its handshake, its ICE agent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::handshake::{self, Handshake, Step};
use super::ice::Agent;
use super::keys::{Keys, Retired};
use super::security::{DtlsTerms, Protection, Role, Security};
use super::stage::{Outbox, Raw};
use super::{Channels, Part};
use crate::channel::RtcpPort;
use crate::counters::DropReason;
use crate::engine::Side;
use crate::source::Steering;

/// The security of one side.
#[derive(Debug, Default)]
pub(super) struct End {
    guard: Guard,
    /// Associations with others that have answered in its place, the oldest first: a call that
    /// rings at several phones may come back to one that has its keys already.
    parked: Vec<DtlsEnd>,
    /// Keys of descriptions that were used.
    retired: Retired,
    ice: Option<Box<Agent>>,
    /// The peer has not said for long that it wants our packets, and nobody was told yet.
    consent_lost: bool,
}

/// How its packets are protected.
#[derive(Debug, Default)]
enum Guard {
    #[default]
    Plain,
    Sdes(Box<Keys>),
    Dtls(Box<DtlsEnd>),
}

/// A side that makes its keys by handshakes, one for each port.
#[derive(Debug)]
struct DtlsEnd {
    terms: DtlsTerms,
    ports: [DtlsPort; 2],
}

#[derive(Debug, Default)]
struct DtlsPort {
    /// `None` before it begins.
    handshake: Option<Handshake>,
    /// The one that the keys are of, while another is under way.
    done: Option<Handshake>,
    /// Whether we are to begin another although there are keys.
    renews: bool,
    /// `None` before it is done.
    keys: Option<Box<Keys>>,
    /// When a failed handshake of ours begins again, in the time of `now_us`.
    retry_us: u64,
    /// Whether there is nowhere to send to now: its time does not come.
    stuck: bool,
    /// Whether it was said that the peer knows no version that we do.
    told_outdated: bool,
}

/// Time as the worker has it, and as libraries want it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Microseconds since `epoch`.
    pub(crate) us: u64,
    pub(crate) epoch: Instant,
}

impl Now {
    fn instant(self) -> Instant {
        self.epoch + Duration::from_micros(self.us)
    }
}

impl End {
    /// Whether it asks for nothing.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.guard, Guard::Plain) && self.ice.is_none()
    }

    /// Whether its keys are made by handshakes, as browsers make them.
    pub(super) fn shakes_hands(&self) -> bool {
        matches!(self.guard, Guard::Dtls(_))
    }

    /// Whether nothing is lost with it.
    pub(super) fn is_idle(&self) -> bool {
        self.is_plain() && self.retired.is_empty()
    }

    /// Takes the outcome of a negotiation.
    pub(super) fn update(&mut self, security: Security, now: Now) {
        let before = std::mem::take(&mut self.guard);
        if !matches!(security.protection, Protection::Dtls(_)) {
            self.parked.clear();
        }
        self.guard = match (before, security.protection) {
            (Guard::Sdes(mut keys), Protection::Sdes { inbound, outbound }) => {
                keys.update(&inbound, &outbound, &mut self.retired);
                Guard::Sdes(keys)
            }
            (_, Protection::Sdes { inbound, outbound }) => {
                let keys = Keys::described(&inbound, &outbound, &mut self.retired);
                Guard::Sdes(Box::new(keys))
            }
            (Guard::Sdes(keys), Protection::Plain) => {
                keys.retire(&mut self.retired);
                Guard::Plain
            }
            (_, Protection::Plain) => Guard::Plain,
            (before, Protection::Dtls(terms)) => {
                Guard::Dtls(Box::new(self.associate(before, terms)))
            }
        };
        match (&mut self.ice, security.ice) {
            (_, None) => self.ice = None,
            (Some(agent), Some(terms)) => agent.update(terms, now.us),
            (ice, Some(terms)) => {
                let mut random = [0; 8];
                // Without randomness conflicts of roles are settled by chance of the peer's.
                let _ = getrandom::fill(&mut random);
                let random = u64::from_ne_bytes(random);
                *ice = Some(Box::new(Agent::new(terms, random, now.us)));
            }
        }
    }

    /// The association that is meant, with what has come of it so far. Another that was talked to
    /// is kept.
    fn associate(&mut self, before: Guard, terms: DtlsTerms) -> DtlsEnd {
        let before = match before {
            Guard::Sdes(keys) => {
                keys.retire(&mut self.retired);
                None
            }
            Guard::Dtls(end) => Some(*end),
            Guard::Plain => None,
        };
        if let Some(mut end) = before {
            if end.terms.is_same(&terms) {
                // A name that comes later tells it from the next.
                if terms.role == Role::Client && terms.has_moved(&end.terms) {
                    end.ports.iter_mut().for_each(DtlsPort::renew);
                }
                end.terms.tls_id = terms.tls_id.or(end.terms.tls_id);
                end.terms.address = terms.address.or(end.terms.address);
                return end;
            }
            if self.parked.len() == PARKED_MAX {
                self.parked.remove(0);
            }
            self.parked.push(end);
        }
        let known = self.parked.iter().position(|end| end.terms.is_same(&terms));
        match known {
            Some(at) => self.parked.remove(at),
            None => DtlsEnd {
                terms,
                ports: [DtlsPort::default(), DtlsPort::default()],
            },
        }
    }

    /// Takes addresses of the peer that were named after its description.
    pub(super) fn add_candidates(&mut self, candidates: &[(Part, SocketAddr)], now_us: u64) {
        if let Some(agent) = &mut self.ice {
            agent.add_candidates(candidates, now_us);
        }
    }

    /// Whether the peer has lost its consent since this was asked last.
    pub(super) fn take_consent_lost(&mut self) -> bool {
        std::mem::take(&mut self.consent_lost)
    }

    /// Has the channels follow what ICE has found out.
    pub(super) fn steer(&self, channels: &mut Channels, side: Side) {
        for part in [Part::Rtp, Part::Rtcp] {
            let steering = match &self.ice {
                Some(agent) => Steering::Checked(agent.selected(part)),
                None => Steering::Learned,
            };
            channels[part as usize].steer(side, steering);
        }
    }

    /// Whether a packet is for ICE.
    pub(super) fn wants_stun(&self, bytes: &[u8]) -> bool {
        self.ice.is_some() && super::stun::is_stun(bytes)
    }

    /// Whether a packet is for a handshake.
    pub(super) fn wants_dtls(&self, bytes: &[u8]) -> bool {
        matches!(self.guard, Guard::Dtls(_)) && handshake::is_dtls(bytes)
    }

    /// Whether ICE forbids a packet of this address.
    pub(super) fn refuses(&self, port: Part, from: SocketAddr) -> bool {
        let agent = self.ice.as_ref();
        agent.is_some_and(|agent| !agent.knows(port, from))
    }

    /// Takes a STUN message.
    pub(super) fn handle_stun(
        &mut self,
        raw: Raw,
        bytes: &[u8],
        now: Now,
        out: &mut Outbox,
    ) -> Result<(), DropReason> {
        let agent = self.ice.as_mut().ok_or(DropReason::Stun)?;
        let mut result = Ok(());
        out.push_raw(raw, |room| {
            match agent.handle_packet(raw.port, raw.to, bytes, now.us, room) {
                Ok(handled) => handled.response,
                Err(reason) => {
                    result = Err(reason);
                    None
                }
            }
        });
        result
    }

    /// Takes a packet of a handshake, from an address that may send it.
    pub(super) fn handle_dtls(
        &mut self,
        raw: Raw,
        bytes: &[u8],
        now: Now,
        out: &mut Outbox,
    ) -> Result<(), DropReason> {
        let Guard::Dtls(end) = &mut self.guard else {
            return Err(DropReason::Dtls);
        };
        let DtlsEnd { terms, ports } = &mut **end;
        let port = &mut ports[raw.port as usize];
        if terms.role == Role::Server {
            port.make_way(bytes);
        }
        let handshake = match &mut port.handshake {
            Some(handshake) => handshake,
            none if terms.role == Role::Server && handshake::is_client_hello(bytes) => {
                let begun = Handshake::accept(terms, bytes, now.instant());
                none.insert(begun.ok_or(DropReason::Dtls)?)
            }
            None => return Err(DropReason::Dtls),
        };
        let send = |bytes: &[u8]| out.push_raw(raw, |room| copy(bytes, room));
        let step = handshake.handle_packet(terms, bytes, now.instant(), send);
        port.take(step, now)
    }

    /// Sends what is due of checks and handshakes; `count` takes what went wrong.
    pub(super) fn pump(
        &mut self,
        side: Side,
        channels: &mut Channels,
        now: Now,
        out: &mut Outbox,
        mut count: impl FnMut(DropReason),
    ) {
        let shared = channels[Part::Rtp as usize].rtcp_port(side) == RtcpPort::Shared;
        if let Some(agent) = &mut self.ice {
            let [rtp, rtcp] = agent.expire(now.us);
            // Nothing goes to the port that RTCP has left.
            self.consent_lost |= rtp || rtcp && !shared;
            if rtp || rtcp {
                self.steer(channels, side);
            }
        }
        if let Some(agent) = &mut self.ice {
            let mut room = [0; super::stun::MESSAGE_BYTES_MAX];
            while let Some((port, to, len)) = agent.poll_transmit(now.us, &mut room) {
                let raw = Raw { side, port, to };
                out.push_raw(raw, |out| copy(&room[..len], out));
            }
        }
        let Guard::Dtls(end) = &mut self.guard else {
            return;
        };
        let DtlsEnd { terms, ports } = &mut **end;
        for port in [Part::Rtp, Part::Rtcp] {
            let unused = port == Part::Rtcp && shared;
            let to = channels[port as usize].destination(side);
            let state = &mut ports[port as usize];
            let Some(to) = to.filter(|_| !unused) else {
                state.stuck = true;
                continue;
            };
            state.stuck = false;
            let begins = terms.role == Role::Client && state.retry_us <= now.us;
            if state.handshake.is_none() && state.needs_keys() && begins {
                state.renews = false;
                state.handshake = Handshake::connect(terms);
                state.retry_us = now.us + RETRY_US;
            } else if state.due_us(now).is_none_or(|due_us| due_us > now.us) {
                continue;
            }
            let Some(handshake) = &mut state.handshake else {
                continue;
            };
            let raw = Raw { side, port, to };
            let send = |bytes: &[u8]| out.push_raw(raw, |room| copy(bytes, room));
            let step = handshake.handle_timeout(terms, now.instant(), send);
            if let Err(reason) = state.take(step, now) {
                count(reason);
            }
        }
    }

    /// When [`End::pump`] has something to do.
    pub(super) fn poll_timeout(&self, now: Now) -> Option<u64> {
        let checks = self.ice.as_ref().and_then(|agent| agent.poll_timeout());
        let Guard::Dtls(end) = &self.guard else {
            return checks;
        };
        let ports = end.ports.iter().filter_map(|port| port.due_us(now));
        ports.chain(checks).min()
    }

    /// Unprotects a packet; its new length.
    #[inline]
    pub(super) fn open(
        &mut self,
        port: Part,
        part: Part,
        packet: &mut [u8],
    ) -> Result<usize, DropReason> {
        match self.keys(port)? {
            Some(keys) => keys.open(part, packet),
            None => Ok(packet.len()),
        }
    }

    /// Protects a packet that leaves by `port`; its new length.
    #[inline]
    pub(super) fn seal(
        &mut self,
        port: Part,
        part: Part,
        room: &mut [u8],
        len: usize,
    ) -> Result<usize, DropReason> {
        match self.keys(port)? {
            Some(keys) => keys.seal(part, room, len),
            None => Ok(len),
        }
    }

    /// The keys of a port; `None` where nothing is protected.
    #[inline]
    fn keys(&mut self, port: Part) -> Result<Option<&mut Keys>, DropReason> {
        match &mut self.guard {
            Guard::Plain => Ok(None),
            Guard::Sdes(keys) => Ok(Some(keys)),
            Guard::Dtls(end) => {
                let keys = end.ports[port as usize].keys.as_deref_mut();
                keys.map(Some).ok_or(DropReason::NoKey)
            }
        }
    }
}

impl DtlsPort {
    /// Whether there are no keys, or only those of a peer that was elsewhere.
    const fn needs_keys(&self) -> bool {
        self.keys.is_none() || self.renews
    }

    /// Another handshake of ours is wanted. The keys stay until it is done, for good if the peer
    /// takes no notice of it.
    fn renew(&mut self) {
        let before = self.handshake.take();
        if self.keys.is_some() {
            self.done = before.or(self.done.take());
            self.renews = true;
        }
        self.retry_us = 0;
    }

    /// Sets a handshake that is done aside if the peer begins another: a call that was moved to
    /// another phone may go on under the same certificate. The keys stay until there are others.
    fn make_way(&mut self, bytes: &[u8]) {
        if let Some(done) = self.handshake.take_if(|known| known.is_followed_by(bytes)) {
            self.done = Some(done);
        }
    }

    /// Takes what a handshake has come to. One that failed before there were keys is forgotten, so
    /// that another can begin; one that failed after leaves the keys as they are.
    fn take(&mut self, step: Step, now: Now) -> Result<(), DropReason> {
        let reason = match step {
            Step::Going => return Ok(()),
            Step::Keyed(keys) => {
                self.keys = Some(keys);
                self.done = None;
                return Ok(());
            }
            // The keys outlive the connection that they came of.
            Step::Closed => {
                self.handshake = None;
                return Ok(());
            }
            Step::Failed => DropReason::Dtls,
            Step::Stranger => DropReason::Fingerprint,
            Step::Outdated => {
                if !std::mem::replace(&mut self.told_outdated, true) {
                    tracing::warn!(
                        "a phone speaks no DTLS newer than 1.0, which is refused (RFC 8996): its \
                         call has no audio"
                    );
                }
                DropReason::DtlsVersion
            }
        };
        self.handshake = self.done.take();
        self.retry_us = now.us + RETRY_US;
        Err(reason)
    }

    fn due_us(&self, now: Now) -> Option<u64> {
        if self.stuck {
            return None;
        }
        let Some(handshake) = &self.handshake else {
            let waits = self.needs_keys() && self.retry_us > now.us;
            return waits.then_some(self.retry_us);
        };
        let due = handshake.poll_timeout()?;
        // Rounded up: called a part of a microsecond too early, it would have nothing to do.
        let due = due.saturating_duration_since(now.epoch);
        Some(due.as_nanos().div_ceil(1_000) as u64)
    }
}

fn copy(bytes: &[u8], room: &mut [u8]) -> Option<usize> {
    room.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(bytes.len())
}

/// Associations kept beside the one that is talked to.
const PARKED_MAX: usize = 8;
/// The pause after a handshake of ours has failed.
const RETRY_US: u64 = 1_000_000;
