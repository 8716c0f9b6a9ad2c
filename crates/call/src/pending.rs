//! Requests of ours that wait for a response, and steps that wait for the media relay.

use std::sync::Arc;

use bytes::Bytes;
use clock::Time;
use sip::{Flow, Message, Method};

use crate::challenge::{Access, Repeat};
use crate::io::{MediaAsk, MediaEnds, MediaOp, RequestId, Side, Uas};
use crate::leg::PairId;
use crate::reanchor::Step;

/// A request of ours without a final response.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: RequestId,
    pub(crate) purpose: Purpose,
    /// Where its challenge can be answered.
    pub(crate) repeat: Option<Box<Repeat>>,
}

/// What the response is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// An attempt of the set-up.
    Invite {
        /// Index into the branches.
        branch: usize,
    },
    /// An INVITE that lost or was given up: a 2xx is acknowledged and ended.
    Abandoned {
        /// The owner's name for its attempt; `None` if its end has been told already.
        token: Option<u32>,
        /// What a challenge to the BYE of its late 2xx is answered with.
        access: Option<Arc<Access>>,
    },
    /// A request of one leg carried into the other.
    Relay(Box<Relayed>),
    /// A session refresh of ours.
    Refresh {
        pair: PairId,
        side: Side,
        method: Method,
    },
    /// The first half of joining two legs: an INVITE with the other's description.
    JoinFirst { pair: PairId, side: Side },
    /// The second half.
    JoinSecond { pair: PairId, side: Side },
    /// A re-INVITE that tells a leg where its media is now.
    Retell { pair: PairId, side: Side },
    /// BYE and the like, whose response changes nothing.
    Closing,
    /// A BYE for a dialog; while it is unanswered, a repeated 2xx of that dialog wants an ACK only.
    Bye {
        /// Call-ID and the peer's tag.
        dialog: Box<[u8]>,
    },
    /// NOTIFY to the leg that asked for a transfer; the last is followed by that leg's BYE.
    Notify { last: bool },
}

/// A request that came from one leg and went on to the other.
#[derive(Debug)]
pub(crate) struct Relayed {
    pub(crate) pair: PairId,
    /// Where it came from.
    pub(crate) from: Side,
    pub(crate) uas: Uas,
    pub(crate) flow: Flow,
    pub(crate) request: Message,
    /// Whether it carried an offer, so that the response carries the answer.
    pub(crate) offered: bool,
    /// RAck towards the callee, of a PRACK.
    pub(crate) rack: Option<String>,
    /// What we had described to the other side before; it holds again if the request fails.
    pub(crate) before: Option<Box<[u8]>>,
}

impl Relayed {
    /// Whether it begins an exchange that may change the session.
    pub(crate) fn may_offer(&self) -> bool {
        matches!(self.request.method(), Method::Invite | Method::Update)
    }
}

/// A question to the media relay that has no answer yet.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) ask: MediaAsk,
    /// From then on no answer is expected.
    pub(crate) until: Time,
    pub(crate) question: Question,
    pub(crate) then: Wait,
}

/// What the media relay is asked, as long as it may have to be asked again.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) op: MediaOp,
    pub(crate) from: Side,
    pub(crate) sdp: Bytes,
    pub(crate) ends: MediaEnds,
}

/// A step that goes on when the media relay has answered.
#[derive(Debug)]
pub(crate) enum Wait {
    /// Send the INVITE of a branch.
    Invite { branch: usize },
    /// Pass a provisional response to the caller.
    Provisional { pair: PairId, message: Message },
    /// Pass the 2xx to the caller.
    Answer { pair: PairId, message: Message },
    /// Carry a request to the other side.
    Request(Box<Relayed>),
    /// Carry the response back.
    Response {
        relayed: Box<Relayed>,
        message: Message,
    },
    /// Carry the answer in an ACK to the other side.
    Ack { pair: PairId, from: Side },
    /// Answer a side that talks to an application, or to nobody, ourselves.
    Local {
        pair: PairId,
        side: Side,
        uas: Uas,
        flow: Flow,
        request: Message,
    },
    /// Answer the first INVITE of a caller by an application.
    Application,
    /// Offer the description of one side to the other, both being in the call.
    JoinOffer { pair: PairId, from: Side },
    /// Offer the other's answer back.
    JoinAnswer { pair: PairId, from: Side },
    /// The last answer is for the relay alone.
    JoinDone,
    /// The relay was told the offer again that the question answers.
    Rebuilt { question: Question, then: Box<Wait> },
    /// A step of moving the media to another relay.
    Reanchor { pair: PairId, step: Step },
    /// The answer to the offer of an application is for the relay alone.
    ApplicationAnswer,
}
