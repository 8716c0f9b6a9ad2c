//! The called side: rings at once, answers after a while, agrees to every BYE.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::load::batch::Sender;
use crate::load::message::{Message, write_response};

/// All calls it has, by a hash of their Call-IDs.
pub(crate) struct Callee {
    contact: String,
    answer: String,
    delay: Duration,
    calls: HashMap<u64, Called>,
    /// When to answer which call, in order of time.
    due: VecDeque<(Instant, u64)>,
    /// When to see whether which answer has its ACK, in order of time.
    checks: VecDeque<(Instant, u64)>,
    hasher: ahash::RandomState,
    pub(crate) counts: CalleeCounts,
    /// Where the server wants the audio of each call, if asked to remember.
    pub(crate) audio_ports: Vec<u16>,
}

/// What it has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CalleeCounts {
    /// Calls it was offered.
    pub(crate) invited: u64,
    /// INVITEs and BYEs the server sent again.
    pub(crate) repeated_requests: u64,
    /// Answers it had to send again because no ACK came.
    pub(crate) repeated_answers: u64,
}

impl std::iter::Sum for CalleeCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            invited: sum.invited + one.invited,
            repeated_requests: sum.repeated_requests + one.repeated_requests,
            repeated_answers: sum.repeated_answers + one.repeated_answers,
        })
    }
}

struct Called {
    answer: Vec<u8>,
    to: SocketAddrV4,
    acknowledged: bool,
}

impl Callee {
    pub(crate) fn new(local: SocketAddrV4, answer: String, delay: Duration) -> Self {
        Self {
            contact: format!("sip:callee@{local}"),
            answer,
            delay,
            calls: HashMap::new(),
            due: VecDeque::new(),
            checks: VecDeque::new(),
            hasher: ahash::RandomState::with_seeds(1, 2, 3, 4),
            counts: CalleeCounts::default(),
            audio_ports: Vec::new(),
        }
    }

    /// Takes a request.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        bytes: &[u8],
        source: SocketAddrV4,
        sender: &mut Sender,
    ) {
        let message = Message::parse(bytes);
        let key = self.hasher.hash_one(message.call_id);
        if message.status() != 0 {
            return;
        }
        match message.method() {
            b"INVITE" => self.invited(now, key, &message, source, sender),
            b"ACK" => {
                if let Some(call) = self.calls.get_mut(&key) {
                    call.acknowledged = true;
                    call.answer = Vec::new();
                }
            }
            method => {
                if method == b"BYE" && self.calls.remove(&key).is_none() {
                    self.counts.repeated_requests += 1;
                }
                let contact = &self.contact;
                sender.queue(source, |out| {
                    write_response(out, &message, "200 OK", key, contact, "");
                });
            }
        }
    }

    /// Sends the answers that are due, and those again that found no ACK.
    pub(crate) fn handle_timeout(&mut self, now: Instant, sender: &mut Sender) {
        while let Some(key) = take_due(&mut self.due, now) {
            self.answer(now, key, sender);
        }
        while let Some(key) = take_due(&mut self.checks, now) {
            if self.answer(now, key, sender) {
                self.counts.repeated_answers += 1;
            }
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let fronts = [self.due.front(), self.checks.front()];
        fronts.into_iter().flatten().map(|&(time, _)| time).min()
    }

    fn invited(
        &mut self,
        now: Instant,
        key: u64,
        invite: &Message<'_>,
        source: SocketAddrV4,
        sender: &mut Sender,
    ) {
        if self.calls.contains_key(&key) {
            self.counts.repeated_requests += 1;
            return;
        }
        self.counts.invited += 1;
        sender.queue(source, |out| {
            write_response(out, invite, "180 Ringing", key, &self.contact, "");
        });
        let mut answer = Vec::with_capacity(1_024);
        write_response(
            &mut answer,
            invite,
            "200 OK",
            key,
            &self.contact,
            &self.answer,
        );
        self.audio_ports.extend(invite.audio_port());
        let call = Called {
            answer,
            to: source,
            acknowledged: false,
        };
        self.calls.insert(key, call);
        self.due.push_back((now + self.delay, key));
    }

    /// Sends the answer of a call that still lives and has no ACK; says whether it did.
    fn answer(&mut self, now: Instant, key: u64, sender: &mut Sender) -> bool {
        let Some(call) = self.calls.get(&key).filter(|call| !call.acknowledged) else {
            return false;
        };
        sender.queue(call.to, |out| out.extend_from_slice(&call.answer));
        self.checks.push_back((now + REPEAT_AFTER, key));
        true
    }
}

fn take_due(queue: &mut VecDeque<(Instant, u64)>, now: Instant) -> Option<u64> {
    let &(_, key) = queue.front().filter(|&&(time, _)| time <= now)?;
    queue.pop_front();
    Some(key)
}

/// T1 of RFC 3261 §17.1.1.1.
const REPEAT_AFTER: Duration = Duration::from_millis(500);
