//! Repetitions that nobody else makes (RFC 3261 §17).
//!
//! Who speaks over a stream says each thing once. Where its words go on by UDP, they are repeated
//! here: requests, CANCEL among them, until they are answered; refusals of INVITEs until their ACK
//! comes; and other final answers as often as the request comes again. ACKs are made anew for
//! refusals that come again. What is repeated from end to end is left to the ends: 2xx to INVITE,
//! and ACK to that (§13.3.1.4).

use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use sip::{Destination, Message, Method};

use crate::dispatcher::{Key, of_attempt};
use crate::pending::{Original, Pending, State};
use crate::request::{Ingress, PATIENCE};
use crate::response::Opened;
use crate::{Dispatcher, Output};

/// A message that is sent again.
#[derive(Debug)]
pub(crate) struct Again {
    to: Destination,
    bytes: Bytes,
    /// Between this repetition and the next.
    interval: Duration,
    pub(crate) at: Time,
}

impl Again {
    /// Of what was sent just now, until it is answered.
    pub(crate) fn of(now: Time, to: &Destination, bytes: &Bytes) -> Box<Self> {
        Box::new(Self {
            to: to.clone(),
            bytes: bytes.clone(),
            interval: REPEAT_FIRST,
            at: now + REPEAT_FIRST,
        })
    }

    /// From now on at the longest interval.
    pub(crate) fn slow_down(&mut self) {
        self.interval = REPEAT_MAX;
    }

    /// Of what was sent just now, if it is asked for.
    fn on_demand(now: Time, to: &Destination, bytes: &Bytes) -> Box<Self> {
        Box::new(Self {
            at: now + PATIENCE,
            ..*Self::of(now, to, bytes)
        })
    }
}

impl Dispatcher {
    /// Has a request that was sent on just now repeated, if its sender leaves that to us.
    pub(crate) fn repeat_request(
        &mut self,
        now: Time,
        ingress: &Ingress,
        (method, attempt): (Method, u8),
        (to, bytes): (&Destination, &Bytes),
    ) {
        let is_left_to_us = ingress.flow.transport.is_reliable()
            && !to.transport().is_reliable()
            && method != Method::Ack;
        let key = own_key(ingress.key, method);
        if is_left_to_us && !self.pending.is_full() && self.pending.find(key).is_none() {
            self.pending.insert(Pending {
                key,
                method,
                original: None,
                again: Some(Again::of(now, to, bytes)),
                uri: None,
                destination: to.clone(),
                target: None,
                attempt,
                state: State::Waiting,
                cancelled: false,
                until: now + PATIENCE,
            });
        }
    }

    /// Has a final response that was passed on just now repeated, if its sender leaves that to us.
    pub(crate) fn repeat_response(
        &mut self,
        now: Time,
        opened: &Opened,
        message: &Message,
        (to, bytes): (&Destination, &Bytes),
    ) {
        let (method, status) = (opened.method, message.status());
        let is_end_to_end = method == Method::Invite && status < 300;
        let is_left_to_us =
            opened.flow.transport.is_reliable() && !to.transport().is_reliable() && status >= 200;
        if is_end_to_end || !is_left_to_us {
            return;
        }
        let again = match method {
            Method::Invite => Again::of(now, to, bytes),
            _ => Again::on_demand(now, to, bytes),
        };
        self.pending.keeps_answers = true;
        if let Some(pending) = self.pending.find(opened.key) {
            pending.again = Some(again);
            self.pending.hasten(opened.key);
        } else if !self.pending.is_full() {
            self.pending.insert(Pending {
                key: opened.key,
                method,
                original: None,
                again: Some(again),
                uri: None,
                destination: Destination::Flow(opened.flow),
                target: None,
                attempt: opened.branch.attempt,
                state: State::Settled,
                cancelled: false,
                until: now + PATIENCE,
            });
        }
    }

    /// Keeps an INVITE that was refused just now after targets had it: our answer is repeated to a
    /// caller on UDP until its ACK comes, and what targets say late is not for the caller any more.
    /// `attempt` is none that any of them had.
    pub(crate) fn keep_refused(&mut self, now: Time, original: &Original, attempt: u8) {
        let method = original.message.method();
        let Some(Output::Transmit(sent)) = self.outputs.back() else {
            return;
        };
        if method != Method::Invite || self.pending.is_full() {
            return;
        }
        let is_lossy = !sent.to.transport().is_reliable();
        self.pending.keeps_answers = true;
        self.pending.insert(Pending {
            key: original.ingress.key,
            method,
            original: None,
            again: is_lossy.then(|| Again::of(now, &sent.to, &sent.bytes)),
            uri: None,
            destination: sent.to.clone(),
            target: None,
            attempt,
            state: State::Refused,
            cancelled: false,
            until: now + PATIENCE,
        });
    }

    /// What a request changes in what is repeated: its answer is sent again at once, or, if it is
    /// an ACK, no more. Whether nothing else is to be done about it.
    pub(crate) fn recall(&mut self, key: u64, method: Method) -> bool {
        if !self.pending.keeps_answers {
            return false;
        }
        let Some(pending) = self.pending.find(own_key(key, method)) else {
            return false;
        };
        if !pending.state.is_over() {
            return false;
        }
        if method == Method::Ack {
            pending.again = None;
            return false;
        }
        let Some(again) = pending.again.as_ref().filter(|_| method == pending.method) else {
            return false;
        };
        let (to, bytes) = (again.to.clone(), again.bytes.clone());
        self.transmit(to, bytes, 0);
        true
    }

    /// Sends once more what is due, a request inside a call to whoever has that now.
    pub(crate) fn repeat(&mut self, now: Time, key: u64) {
        if self.follow_call(now, key) {
            return;
        }
        let Some(pending) = self.pending.find(key) else {
            return;
        };
        let is_invite = pending.method == Method::Invite && pending.state == State::Waiting;
        let longest = if is_invite { PATIENCE } else { REPEAT_MAX };
        let Some(again) = &mut pending.again else {
            return;
        };
        again.interval = (again.interval * 2).min(longest);
        again.at = now + again.interval;
        let (to, bytes) = (again.to.clone(), again.bytes.clone());
        let sent = Key::Pending(of_attempt(key, pending.attempt)).write();
        self.pending.hasten(key);
        self.transmit(to, bytes, sent);
    }
}

/// The key that a request is kept under: a CANCEL has the transaction key of its INVITE.
pub(crate) const fn own_key(transaction: u64, method: Method) -> u64 {
    match method {
        Method::Cancel => transaction ^ OF_CANCEL,
        _ => transaction,
    }
}

/// T1 of RFC 3261 §17.1.1.1.
const REPEAT_FIRST: Duration = Duration::from_millis(500);
/// T2 of RFC 3261 §17.1.2.2.
const REPEAT_MAX: Duration = Duration::from_secs(4);
/// Any bit but the lowest, which keys of transactions always have.
const OF_CANCEL: u64 = 1 << 63;
