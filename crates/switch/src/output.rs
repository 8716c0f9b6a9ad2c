//! What the switch wants done by the world around it.

use std::net::IpAddr;

use bytes::Bytes;
use call::{MediaAsk, MediaEnds, MediaOp, Side};
use clock::Time;
use model::{AccountId, CallId, CarrierId, Cdr, CustomerId, GatewayId, MediaServerId, UserId};
use registrar::UpstreamFailure;
use sip::{Flow, Transmit, Transport};

use crate::media_servers::{Adopted, Place};

/// Names a call within one run of the process; carried in the tags of its dialogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub u64);

/// What the switch wants, in order.
#[derive(Debug)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Find the targets of a host (RFC 3263); answer with `handle_resolved`.
    Resolve {
        /// Names the question.
        id: u64,
        /// The host, as in the URI.
        host: Box<str>,
        /// The port, if the URI has one.
        port: Option<u16>,
        /// The transport, if the URI has one.
        transport: Option<Transport>,
        /// Whether the URI is `sips`.
        secure: bool,
    },
    /// Ask the media relay; answer with `handle_media`.
    Media(Box<MediaRequest>),
    /// Record what both sides of a session say, from now to its end.
    Record {
        /// The call, after which the file is called.
        call: CallId,
        /// The session.
        session: u64,
        /// Which session of the call it is that is recorded, from 1.
        part: u16,
    },
    /// A side has named more addresses of its ICE agent.
    Candidates {
        /// The session.
        session: u64,
        /// Who.
        from: Side,
        /// The body, of type `application/trickle-ice-sdpfrag`.
        fragment: Bytes,
    },
    /// Have a side of a session hear a key.
    Press {
        /// The session.
        session: u64,
        /// Who hears it.
        to: Side,
        /// Which.
        press: call::Press,
    },
    /// A media session is over: report what was received, by `handle_media_report`.
    MediaEnd {
        /// The call.
        call: CallKey,
        /// The session.
        session: u64,
    },
    /// A media session of a call that was begun by another node goes on as ours.
    Adopt(Box<Adopted>),
    /// A media session goes on as another node's: it is not ended, and not looked after any more.
    Forsake {
        /// The session.
        session: u64,
    },
    /// Let other nodes know of a call, so that they can go on with it.
    Keep {
        /// The call.
        call: CallKey,
        /// What they need.
        record: Vec<u8>,
    },
    /// A call has ended: others need not know of it any more.
    Unkeep {
        /// The call.
        call: CallKey,
    },
    /// Where is this call? Take it up by `take_call` if its node is dead, else answer with
    /// `handle_sought`.
    Seek {
        /// The call.
        call: CallKey,
    },
    /// Write to the journal before anything that follows is sent.
    Journal(JournalEvent),
    /// Forget a saved binding.
    RemoveBinding {
        /// Its address of record.
        aor: Box<str>,
        /// Its key.
        key: [u8; 8],
    },
    /// Tell whoever watches.
    Event(Event),
}

/// What the relay is asked.
#[derive(Debug)]
pub struct MediaRequest {
    /// The call.
    pub call: CallKey,
    /// Names the question in the answer.
    pub ask: MediaAsk,
    /// The Call-ID of the caller's leg.
    pub sip_call_id: Box<str>,
    /// The session.
    pub session: u64,
    /// What.
    pub op: MediaOp,
    /// Whose description.
    pub from: Side,
    /// The description.
    pub sdp: Bytes,
    /// Who is at either end.
    pub ends: MediaEnds,
    /// Where the media is to be served.
    pub place: Place,
    /// Media servers that did not serve it.
    pub tried: Vec<MediaServerId>,
    /// The status it counts as if nobody serves it.
    pub refusal: Option<u16>,
    /// Why the server that is asked was chosen.
    pub why: Option<String>,
}

/// An entry for the journal.
#[derive(Clone, Debug)]
pub enum JournalEvent {
    /// A call began; if the node dies it is closed from this.
    Opened(Box<Opening>),
    /// It was answered.
    Answered {
        /// Which.
        call: CallId,
        /// When.
        at: Time,
    },
    /// It is over: its record.
    Closed(Box<Cdr>),
    /// Another node goes on with it, and will write its record.
    Left {
        /// Which.
        call: CallId,
    },
}

/// What is known of a call when it begins.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The call.
    pub call: CallId,
    /// Who pays.
    pub account: Option<AccountId>,
    /// The user who called.
    pub from_user: Option<UserId>,
    /// The customer who sent it.
    pub customer: Option<CustomerId>,
    /// The carrier it came from.
    pub carrier: Option<CarrierId>,
    /// The INVITE arrived.
    pub start: Time,
    /// The user part of From.
    pub caller: Box<str>,
    /// The user part of the request URI.
    pub called: Box<str>,
    /// Where the INVITE came from.
    pub source: Flow,
    /// Call-ID of the caller's leg.
    pub sip_call_id: Box<str>,
}

/// Something that happened, for watchers.
#[derive(Clone, Debug)]
pub enum Event {
    /// A call changed its state.
    Call {
        /// Which.
        id: CallId,
        /// What happened.
        change: CallChange,
        /// Caller and called party.
        parties: (String, String),
    },
    /// A binding changed.
    Registration(registrar::Event),
    /// A gateway went up or down.
    Gateway {
        /// Which.
        id: GatewayId,
        /// Whether calls go to it.
        up: bool,
        /// Why.
        reason: String,
    },
    /// We registered at a gateway, or could not.
    GatewayRegistration {
        /// Which.
        id: GatewayId,
        /// Why we could not.
        failure: Option<UpstreamFailure>,
    },
    /// A source was banned.
    Banned {
        /// Whose packets are dropped.
        address: IpAddr,
        /// Why.
        reason: &'static str,
        /// Until when.
        until: Time,
    },
}

/// What happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallChange {
    /// It began.
    Started,
    /// A callee rings.
    Ringing,
    /// It was answered.
    Answered,
    /// It is over, with this status.
    Ended(u16),
}
