//! An ICE agent for one side of a medium (RFC 8445), lite or full.
//!
//! Each port of ours is one host candidate. A lite agent answers checks and takes the first path
//! that is proved at once; a full one checks the peer's candidates, too, and nominates if that is
//! its part. Either believes in a move to another address only after a check of its own has been
//! answered from there: a check that somebody recorded and plays again from elsewhere diverts
//! nothing.
//!
//! A full agent asks for consent all the time (RFC 7675): a peer that has not answered for half a
//! minute gets no more media. A lite one only gives it, by answering.
//!
//! Deviations from RFC 8445: no frozen pairs, as there is one stream and one local candidate; the
//! first valid pair is nominated, as all lead to the same port of ours. From RFC 7675 §5.1: a peer
//! that is back after its consent has run out needs no restart, as a check of ours that it answers
//! proves the same.

mod consent;

use std::net::SocketAddr;

use super::Part;
use consent::{Asking, Consent};

use super::security::{AgentKind, Credentials, IceTerms, Offerer};
use super::stun::{Claim, Class, Message, Transaction, Writer};
use crate::counters::DropReason;

/// The agent.
#[derive(Debug)]
pub(super) struct Agent {
    terms: IceTerms,
    part: Claim,
    /// By [`Part`].
    ports: [Port; 2],
}

/// The paths that end at one port of ours.
#[derive(Debug, Default)]
struct Port {
    /// Addresses of the peer that are proved, at most [`VALID_MAX`].
    valid: Vec<SocketAddr>,
    /// Where media goes.
    selected: Option<SocketAddr>,
    /// Whether the path was nominated.
    nominated: bool,
    /// At most [`CHECKS_MAX`].
    checks: Vec<Check>,
    /// Of the peer at the selected address; `None` where it is not asked for.
    consent: Option<Consent>,
}

/// A check of ours that waits for its answer.
#[derive(Debug)]
struct Check {
    to: SocketAddr,
    transaction: Transaction,
    /// Why it is sent.
    purpose: Purpose,
    due_us: u64,
    tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To learn whether the path works.
    Prove,
    /// The same, and the peer has nominated it.
    Follow,
    /// To nominate it.
    Nominate,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Handled {
    /// Length of the response that was written.
    pub(super) response: Option<usize>,
}

impl Agent {
    /// Begins at `now_us`. `random` names it among agents that claim the same part.
    pub(super) fn new(terms: IceTerms, random: u64, now_us: u64) -> Self {
        let mut agent = Self {
            part: part(&terms, random),
            terms,
            ports: [Port::default(), Port::default()],
        };
        agent.begin(now_us);
        agent
    }

    /// Takes new terms: those of a restart if the credentials differ (RFC 8445 §9), else more
    /// candidates. Media flows on by the old path until a new one is proved.
    pub(super) fn update(&mut self, terms: IceTerms, now_us: u64) {
        if terms == self.terms {
            return;
        }
        let kinds = |terms: &IceTerms| (terms.agent, terms.remote_agent);
        if kinds(&terms) != kinds(&self.terms) {
            let (Claim::Controlling(random) | Claim::Controlled(random)) = self.part;
            self.part = part(&terms, random);
        }
        // RTCP that moves to the port of RTP leaves a port that nobody is asked by any more.
        let [rtp, rtcp] = &terms.candidates;
        if rtcp.is_empty() && !rtp.is_empty() {
            self.ports[Part::Rtcp as usize] = Port::default();
        }
        let is_restart = terms.remote != self.terms.remote;
        for port in &mut self.ports {
            port.checks.clear();
            port.nominated = false;
            // A lite agent asks for none, and another peer has not been asked yet.
            let is_over = is_restart || terms.agent == AgentKind::Lite;
            port.consent.take_if(|_| is_over);
        }
        self.terms = terms;
        self.begin(now_us);
    }

    /// Checks addresses that the peer has named after its description; a lite agent waits for
    /// the peer's own checks from there.
    pub(super) fn add_candidates(&mut self, candidates: &[(Part, SocketAddr)], now_us: u64) {
        for (part, address) in candidates {
            let known = &mut self.terms.candidates[*part as usize];
            if known.contains(address) || known.len() == CHECKS_MAX {
                continue;
            }
            known.push(*address);
            if self.terms.agent == AgentKind::Full {
                self.ports[*part as usize].check(*address, Purpose::Prove, now_us);
            }
        }
    }

    /// Whether a packet from an address is the peer's.
    pub(super) fn knows(&self, port: Part, from: SocketAddr) -> bool {
        self.ports[port as usize].valid.contains(&from)
    }

    /// Where packets for the peer go.
    pub(super) fn selected(&self, port: Part) -> Option<SocketAddr> {
        self.ports[port as usize].selected
    }

    /// Takes a STUN message. A response to it is written into `room`.
    pub(super) fn handle_packet(
        &mut self,
        port: Part,
        from: SocketAddr,
        bytes: &[u8],
        now_us: u64,
        room: &mut [u8],
    ) -> Result<Handled, DropReason> {
        let message = Message::parse(bytes).ok_or(DropReason::Stun)?;
        match message.class {
            Class::Request => self.handle_request(port, from, &message, now_us, room),
            Class::Success | Class::Error => {
                self.handle_response(port, from, &message, now_us)?;
                Ok(Handled::default())
            }
            // Keeps a binding of a NAT alive.
            Class::Indication => Ok(Handled::default()),
        }
    }

    /// When [`Agent::poll_transmit`] has something to say.
    pub(super) fn poll_timeout(&self) -> Option<u64> {
        let checks = self.ports.iter().flat_map(|port| &port.checks);
        let consents = self.ports.iter().flat_map(|port| &port.consent);
        let due = checks.map(|check| check.due_us);
        due.chain(consents.map(|consent| consent.due_us)).min()
    }

    /// Writes the next check that is due into `room`: by which port, where to, and its length.
    pub(super) fn poll_transmit(
        &mut self,
        now_us: u64,
        room: &mut [u8],
    ) -> Option<(Part, SocketAddr, usize)> {
        for part in [Part::Rtp, Part::Rtcp] {
            if let Some(found) = self.ask_consent(part, now_us, room) {
                return Some(found);
            }
            let checks = &mut self.ports[part as usize].checks;
            checks.retain(|check| check.tries < TRIES_MAX || check.due_us > now_us);
            let Some(check) = checks.iter_mut().find(|check| check.due_us <= now_us) else {
                continue;
            };
            check.due_us = now_us + (RTO_US << check.tries);
            check.tries += 1;
            let Credentials { ufrag, password } = &self.terms.remote;
            let writer = Writer::new(room, Class::Request, check.transaction)
                .username([ufrag, &self.terms.local.ufrag])
                .priority(PEER_REFLEXIVE_PRIORITY)
                .claim(self.part);
            let writer = match check.purpose {
                Purpose::Nominate => writer.nominate(),
                Purpose::Prove | Purpose::Follow => writer,
            };
            return Some((part, check.to, writer.finish(password)));
        }
        None
    }

    /// Takes the consent to send by a port that has run out: nothing goes there any more. By
    /// [`Part`], whether it has.
    pub(super) fn expire(&mut self, now_us: u64) -> [bool; 2] {
        let mut expired = [false; 2];
        for (port, expired) in self.ports.iter_mut().zip(&mut expired) {
            let ended = port.consent.take_if(|consent| consent.is_over(now_us));
            if let Some(consent) = ended {
                port.valid.retain(|valid| *valid != consent.from);
                port.selected = None;
                port.nominated = false;
                *expired = true;
            }
        }
        expired
    }

    /// Writes the next question for consent, if it is due.
    fn ask_consent(
        &mut self,
        part: Part,
        now_us: u64,
        room: &mut [u8],
    ) -> Option<(Part, SocketAddr, usize)> {
        let port = &mut self.ports[part as usize];
        let selected = port
            .selected
            .filter(|_| self.terms.agent == AgentKind::Full)?;
        let consent = port
            .consent
            .take()
            .filter(|consent| consent.from == selected);
        let consent = port
            .consent
            .insert(consent.unwrap_or_else(|| Consent::new(selected, now_us)));
        let Asking::Now(transaction) = consent.ask(now_us) else {
            return None;
        };
        let Credentials { ufrag, password } = &self.terms.remote;
        let writer = Writer::new(room, Class::Request, transaction)
            .username([ufrag, &self.terms.local.ufrag])
            .priority(PEER_REFLEXIVE_PRIORITY)
            .claim(self.part);
        Some((part, selected, writer.finish(password)))
    }

    /// Looks for paths as far as that is ours to do.
    fn begin(&mut self, now_us: u64) {
        let both_lite = [self.terms.agent, self.terms.remote_agent] == [AgentKind::Lite; 2];
        for part in [Part::Rtp, Part::Rtcp] {
            let port = &mut self.ports[part as usize];
            let candidates = &self.terms.candidates[part as usize];
            for (index, to) in candidates.iter().take(CHECKS_MAX).enumerate() {
                if both_lite {
                    // Nobody checks: the addresses are believed as described (RFC 8445 §6.1.1).
                    port.validate(*to);
                    port.selected.get_or_insert(*to);
                } else if self.terms.agent == AgentKind::Full {
                    port.check(*to, Purpose::Prove, now_us + index as u64 * PACE_US);
                }
            }
        }
    }

    fn handle_request(
        &mut self,
        port: Part,
        from: SocketAddr,
        message: &Message<'_>,
        now_us: u64,
        room: &mut [u8],
    ) -> Result<Handled, DropReason> {
        let Credentials { ufrag, password } = &self.terms.local;
        let expected = [ufrag.as_bytes(), b":", self.terms.remote.ufrag.as_bytes()].concat();
        if message.username != Some(&expected) || !message.is_authentic(password) {
            return Err(DropReason::Stun);
        }
        let full = self.terms.agent == AgentKind::Full;
        let conflict = full && self.loses_conflict(message.claims);
        let password = &self.terms.local.password;
        if conflict {
            let writer = Writer::new(room, Class::Error, message.transaction);
            let response = Some(writer.error(ROLE_CONFLICT).finish(password));
            return Ok(Handled { response });
        }
        let writer = Writer::new(room, Class::Success, message.transaction);
        let response = Some(writer.mapped_address(from).finish(password));
        let agent = self.terms.agent;
        let port = &mut self.ports[port as usize];
        let controlled = matches!(self.part, Claim::Controlled(_));
        if port.valid.contains(&from) && port.selected.is_some() {
            if message.nominates && controlled {
                port.select(from);
            }
        } else if agent == AgentKind::Lite && port.valid.is_empty() {
            port.validate(from);
            port.selected = Some(from);
            port.nominated = message.nominates;
        } else {
            let purpose = match message.nominates {
                true => Purpose::Follow,
                false => Purpose::Prove,
            };
            port.check(from, purpose, now_us);
        }
        Ok(Handled { response })
    }

    fn handle_response(
        &mut self,
        port: Part,
        from: SocketAddr,
        message: &Message<'_>,
        now_us: u64,
    ) -> Result<(), DropReason> {
        let controls = matches!(self.part, Claim::Controlling(_));
        let port = &mut self.ports[port as usize];
        if let Some(consent) = &mut port.consent
            && consent.has_asked(from, &message.transaction)
        {
            if !message.is_authentic(&self.terms.remote.password) {
                return Err(DropReason::Stun);
            }
            if message.class == Class::Success {
                consent.grant(now_us);
            }
            return Ok(());
        }
        let asked = |check: &Check| check.transaction == message.transaction && check.to == from;
        let found = port.checks.iter().position(asked);
        let found = found.ok_or(DropReason::Stun)?;
        if !message.is_authentic(&self.terms.remote.password) {
            return Err(DropReason::Stun);
        }
        let check = port.checks.swap_remove(found);
        if message.class == Class::Error {
            if message.error_code == Some(ROLE_CONFLICT) {
                self.part = other(self.part);
                port.check(from, Purpose::Prove, now_us);
            }
            return Ok(());
        }
        port.validate(from);
        match check.purpose {
            Purpose::Nominate | Purpose::Follow => port.select(from),
            Purpose::Prove if controls && !port.nominated => {
                port.check(from, Purpose::Nominate, now_us);
            }
            Purpose::Prove => {}
        }
        port.selected.get_or_insert(from);
        Ok(())
    }

    /// Settles who has which part if both claim the same (RFC 8445 §7.3.1.1); whether the peer
    /// has to change its mind.
    fn loses_conflict(&mut self, claims: Option<Claim>) -> bool {
        let (ours, theirs) = match (self.part, claims) {
            (Claim::Controlling(ours), Some(Claim::Controlling(theirs))) => (ours, theirs),
            // The one with the greater number controls.
            (Claim::Controlled(ours), Some(Claim::Controlled(theirs))) => (theirs, ours),
            _ => return false,
        };
        if ours >= theirs {
            return true;
        }
        self.part = other(self.part);
        false
    }
}

impl Port {
    fn validate(&mut self, address: SocketAddr) {
        if self.valid.contains(&address) {
            return;
        }
        if self.valid.len() == VALID_MAX {
            let selected = self.selected;
            let oldest = self.valid.iter().position(|valid| Some(*valid) != selected);
            self.valid.remove(oldest.unwrap_or(0));
        }
        self.valid.push(address);
    }

    fn select(&mut self, address: SocketAddr) {
        self.selected = Some(address);
        self.nominated = true;
    }

    fn check(&mut self, to: SocketAddr, purpose: Purpose, due_us: u64) {
        let same = self.checks.iter_mut().find(|check| check.to == to);
        if let Some(check) = same {
            if check.purpose == Purpose::Prove {
                check.purpose = purpose;
            }
            return;
        }
        let mut transaction = Transaction::default();
        if self.checks.len() == CHECKS_MAX || getrandom::fill(&mut transaction).is_err() {
            return;
        }
        self.checks.push(Check {
            to,
            transaction,
            purpose,
            due_us,
            tries: 0,
        });
    }
}

/// The part that falls to us (RFC 8445 §6.1.1).
fn part(terms: &IceTerms, random: u64) -> Claim {
    let controls = match (terms.agent, terms.remote_agent) {
        (AgentKind::Full, AgentKind::Lite) => true,
        (AgentKind::Lite, AgentKind::Full) => false,
        _ => terms.offerer == Offerer::We,
    };
    match controls {
        true => Claim::Controlling(random),
        false => Claim::Controlled(random),
    }
}

fn other(part: Claim) -> Claim {
    match part {
        Claim::Controlling(tie) => Claim::Controlled(tie),
        Claim::Controlled(tie) => Claim::Controlling(tie),
    }
}

/// Proved addresses kept for one port; the oldest gives way.
const VALID_MAX: usize = 8;
/// Checks under way for one port; further ones are not begun.
const CHECKS_MAX: usize = 16;
/// The first wait for an answer; it doubles.
const RTO_US: u64 = 100_000;
/// How often a check is sent.
const TRIES_MAX: u32 = 7;
/// Between the first checks of two candidates (RFC 8445 §14.2).
const PACE_US: u64 = 50_000;
/// Of a peer-reflexive candidate, which is what our address would be learned as (RFC 8445
/// §5.1.2.1).
const PEER_REFLEXIVE_PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;
/// RFC 8445 §7.3.1.1.
const ROLE_CONFLICT: u16 = 487;

#[cfg(test)]
mod tests;
