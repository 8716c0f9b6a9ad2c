//! What goes into a call and what comes out.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use sip::{Destination, Flow, Message, Method};

use crate::config::Config;
use crate::keys::Press;
use crate::leg::{Leg, PairId};
use crate::plan::Plan;
use crate::reason::{Cause, Why};

/// A server transaction in the eyes of the owner.
pub type Uas = u64;

/// A request the call has sent, until its final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// A question to the media relay: the answer names it, so that one that comes too late is not
/// taken for the answer to the next question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaAsk(pub u16);

/// How one of our requests ended without a response of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uac {
    /// No final response in time (408).
    Timeout,
    /// It could not be delivered (503).
    Unreachable,
}

/// Which end of the media session a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The caller's.
    A,
    /// The callee's.
    B,
}

impl Side {
    /// The opposite end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// The phone that a description is for, as far as its media is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toward {
    /// The family it wants media in.
    pub family: Family,
    /// What it is.
    pub phone: Phone,
    /// How it gives and takes keys.
    pub keys: Keys,
    /// How the author of the description does.
    pub author_keys: Keys,
}

impl Toward {
    /// A phone that is reached by a flow, and whose keys and whose author's travel so.
    #[must_use]
    pub const fn of(flow: Flow, keys: Keys, author_keys: Keys) -> Self {
        Self {
            family: Family::of(flow.remote.ip().to_canonical()),
            phone: Phone::of(flow),
            keys,
            author_keys,
        }
    }
}

/// The two ends of a description that the media relay is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaEnds {
    /// Where the signalling of its author comes from.
    pub signalling: IpAddr,
    /// Whom the relay's answer is for.
    pub toward: Toward,
    /// Where the signalling of that side is; `None` if there is none.
    pub reached: Option<IpAddr>,
    /// What that side has last described itself; empty if nothing.
    pub known: Bytes,
    /// How the description was given.
    pub given: Given,
}

/// How a side gave a description that the media relay is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Given {
    /// As the exchange between the two sides wants it.
    #[default]
    InTurn,
    /// To another relay, which is lost: the side does not know this one yet, and will hear of it
    /// later than it hears of the side.
    Elsewhere,
    /// In answer to an offer of ours, while its media moved: new ICE credentials in it are no
    /// restart of the peer's (RFC 8445 §9).
    ToOurOffer,
}

/// How a party gives and takes the keys of a telephone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// As telephone events (RFC 4733), or tones where they are not negotiated.
    #[default]
    Events,
    /// As tones.
    Tones,
    /// By INFO.
    Messages,
}

/// What a phone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phone {
    /// One that speaks RTP, and perhaps more.
    Sip,
    /// One in a browser, reached by WebSocket: it speaks WebRTC and nothing else (RFC 8827 §6.5).
    Browser,
}

impl Phone {
    /// Of the flow that it is reached by.
    #[must_use]
    pub const fn of(flow: Flow) -> Self {
        match flow.transport {
            sip::Transport::Ws | sip::Transport::Wss => Self::Browser,
            sip::Transport::Udp | sip::Transport::Tcp | sip::Transport::Tls => Self::Sip,
        }
    }
}

/// Why an attempt could not be dialled, or a description not be relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedDial {
    /// The status it counts as.
    pub status: u16,
    /// In a few words.
    pub why: Why,
}

impl RefusedDial {
    /// With a reason.
    #[must_use]
    pub const fn because(status: u16, why: Why) -> Self {
        Self { status, why }
    }
}

impl From<u16> for RefusedDial {
    /// With nothing to say beyond the status.
    fn from(status: u16) -> Self {
        Self::because(status, sip::status::phrase(status).into())
    }
}

/// What happens to a call.
#[derive(Debug)]
pub enum Input {
    /// A request inside a dialog, ACK included.
    Request {
        /// Its server transaction; 0 for ACK.
        uas: Uas,
        /// Where it came from.
        flow: Flow,
        /// The request.
        message: Message,
    },
    /// A response to one of our requests; of INVITE every 1xx and every repeated 2xx.
    Response {
        /// Which request.
        request: RequestId,
        /// Where it came from.
        flow: Flow,
        /// The response.
        message: Message,
    },
    /// One of our requests got no response.
    Failed {
        /// Which request.
        request: RequestId,
        /// How.
        why: Uac,
    },
    /// The caller cancelled its INVITE; the CANCEL has been answered.
    Cancelled {
        /// The Reason of the CANCEL, if it had one.
        reason: Option<Box<[u8]>>,
    },
    /// No ACK came for a 2xx of ours.
    NoAck {
        /// The INVITE's server transaction.
        uas: Uas,
    },
    /// The answer to [`Output::Dial`]: where the attempt goes, best target first.
    Dial {
        /// The attempt, as [`Output::Dial`] named it.
        attempt: usize,
        /// Its targets.
        targets: Result<Vec<Destination>, RefusedDial>,
    },
    /// The answer to [`Output::Redirected`] or [`Output::Transfer`].
    Routed(Result<Plan, RefusedDial>),
    /// The answer to [`Output::Media`]: the description for the other side.
    Media(MediaAsk, Result<Bytes, RefusedDial>),
    /// A media session is lost: its relay has died, or is taken out of use.
    MediaLost {
        /// Which.
        session: u64,
    },
    /// Nobody is heard in a media session, or a side wants no more of it: reason to end the call,
    /// unless its media are in another by now.
    SessionOver {
        /// Which.
        session: u64,
        /// Why the call ends.
        cause: Cause,
    },
    /// The media relay has heard a key.
    Key {
        /// In which session.
        session: u64,
        /// Of whom.
        from: Side,
        /// Which.
        press: Press,
    },
    /// A leg that another call has released takes the place of the one that referred to it.
    Adopt {
        /// The leg.
        leg: Box<Leg>,
        /// The owner's name for its attempt in this call.
        token: Option<u32>,
    },
    /// End the call.
    End(Cause),
}

/// What a media relay is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaOp {
    /// A description that asks.
    Offer,
    /// A description that answers.
    Answer,
    /// A description that asks, to be answered by the echo application.
    Echo,
}

/// Where a request inside a dialog goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Known.
    To(Destination),
    /// To be resolved from this URI; the destination is where the dialog was last seen, for the
    /// choice of listener.
    Resolve(Box<[u8]>, Destination),
}

/// How a response is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Respond {
    /// As its status says; a 2xx to INVITE is repeated until [`Output::Acknowledged`].
    Plain,
    /// A provisional response to be repeated until [`Output::Pracked`] (RFC 3262 §3).
    Reliable,
}

/// How a call ended: what the CDR needs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndReport {
    /// Why.
    pub cause: Cause,
    /// The final status to the caller; 200 if it was answered.
    pub status: u16,
    /// Call-ID of the callee's leg, or of the last attempt's.
    pub callee_call_id: Box<[u8]>,
}

/// Something the owner writes down or shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The first 18x went to the caller.
    Ringing,
    /// The 2xx went to the caller; the attempt that answered.
    Answered {
        /// The owner's name for the attempt; `None` for an application.
        token: Option<u32>,
    },
    /// An attempt is over, for health and limits; it did not answer, or its leg has ended.
    AttemptEnded {
        /// The owner's name for the attempt.
        token: u32,
        /// The status it counts as; 0 if we gave it up ourselves.
        status: u16,
        /// Whether the peer itself sent that status.
        answered_by_peer: bool,
        /// Retry-After in seconds, if the peer sent one.
        retry_after_s: Option<u32>,
    },
    /// The leg of an attempt was given up to another call, and its permits go with it.
    AttemptMoved {
        /// The owner's name for the attempt in this call.
        token: u32,
    },
    /// Its media was moved to another relay, and both sides know.
    MediaMoved {
        /// From the loss to the last answer.
        took: Duration,
    },
    /// The call is over for CDR and limits; transactions may still linger.
    Ended(EndReport),
}

/// What a call wants done, in order.
#[derive(Debug)]
pub enum Output {
    /// Send a response.
    Respond {
        /// The server transaction.
        uas: Uas,
        /// The status.
        status: u16,
        /// The message.
        bytes: Bytes,
        /// How.
        how: Respond,
    },
    /// Send a request in a transaction of its own; its Via is still to be put in.
    Request {
        /// Names it in the answers.
        id: RequestId,
        /// The method.
        method: Method,
        /// Where to.
        hop: Hop,
        /// The message.
        bytes: Bytes,
    },
    /// Send the ACK of a 2xx; its Via is still to be put in.
    Ack {
        /// Where to.
        hop: Hop,
        /// The message.
        bytes: Bytes,
    },
    /// Cancel an INVITE of ours.
    Cancel {
        /// Which.
        id: RequestId,
        /// The Reason to give.
        reason: Box<str>,
    },
    /// The ACK of a 2xx came: stop repeating it.
    Acknowledged {
        /// The server transaction.
        uas: Uas,
    },
    /// The PRACK of a reliable provisional response came: stop repeating it.
    Pracked {
        /// The server transaction of the INVITE.
        uas: Uas,
    },
    /// Find the targets of an attempt and take its permits; answer with [`Input::Dial`].
    Dial {
        /// Names the attempt in the answer.
        attempt: usize,
        /// The owner's name for it.
        token: u32,
        /// Where it goes, if that is known already.
        destination: Option<Destination>,
        /// What to resolve otherwise.
        uri: Box<[u8]>,
    },
    /// Where do these contacts of a 3xx lead? Answer with [`Input::Routed`].
    Redirected {
        /// The owner's name for the attempt that sent them.
        token: u32,
        /// The URIs, best first.
        contacts: Vec<Box<[u8]>>,
    },
    /// Where does this Refer-To lead, for that side? Answer with [`Input::Routed`].
    Transfer {
        /// Who asks.
        by: Side,
        /// The URI, without its headers.
        target: Box<[u8]>,
        /// Replaces of the URI's headers, unescaped: join with the call it names.
        replaces: Option<Box<[u8]>>,
    },
    /// Ask the media relay; answer with [`Input::Media`], with an error if the relay is gone:
    /// inputs and timers wait for it, for a few seconds.
    Media {
        /// Names the question in the answer.
        ask: MediaAsk,
        /// Which session.
        session: u64,
        /// What.
        op: MediaOp,
        /// Whose description.
        from: Side,
        /// The description.
        sdp: Bytes,
        /// Who is at either end.
        ends: MediaEnds,
    },
    /// A side has named more addresses of its ICE agent, for the media relay.
    Candidates {
        /// Which session.
        session: u64,
        /// Who.
        from: Side,
        /// The body, of type `application/trickle-ice-sdpfrag`.
        fragment: Bytes,
    },
    /// Have a side of a media session hear a key.
    Press {
        /// Which session.
        session: u64,
        /// Who hears it.
        to: Side,
        /// Which.
        press: Press,
    },
    /// The media session is no longer needed.
    MediaEnd {
        /// Which.
        session: u64,
    },
    /// Something to write down.
    Fact(Fact),
    /// Nothing more will come; forget the call.
    Gone,
}

/// What a call can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// An attempt stays silent: the request of its INVITE.
    Silence(RequestId),
    /// The current stage rings too long.
    Ring,
    /// The call lasts too long.
    Duration,
    /// Our turn to refresh the session of a leg.
    Refresh(PairId, Side),
    /// The peer's turn has passed.
    SessionExpires(PairId, Side),
    /// Try a refused re-INVITE again (RFC 3261 §14.1).
    Retry(PairId, Side),
    /// The last transactions had their time.
    Linger,
    /// The media is lost, and is to be asked for anew.
    Reanchor,
    /// Tell a leg again where its media is now (RFC 3261 §14.1).
    Retell(PairId, Side),
}

/// The surroundings of one step: time, settings, and where outputs go.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// Now.
    pub now: Time,
    /// Settings.
    pub config: &'a Config,
    /// Outputs are appended here.
    pub out: &'a mut VecDeque<Output>,
}

impl Ctx<'_> {
    pub(crate) fn emit(&mut self, output: Output) {
        self.out.push_back(output);
    }
}
