//! Setting a call up: the INVITE of a caller, or a transfer, is offered to attempts until one
//! answers (RFC 3261 §13, §16.7 for the choice among answers).

mod answer;
mod dial;
mod inherit;
mod invite;
mod kept;
mod outcome;
mod provisional;

pub use inherit::Invited;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use sip::{Destination, Dialog, Flow, HeaderName, Message, Writer};

use crate::call::{Call, Phase};
use crate::challenge::Access;
use crate::headers;
use crate::io::{
    Ctx, Fact, Family, Given, Keys, MediaEnds, Output, Phone, RequestId, Respond, Side, Timer,
    Toward, Uas,
};
use crate::leg::{PairId, Reach, session_expires};
use crate::pending::Purpose;
use crate::plan::{ATTEMPTS_MAX, Attempt, Plan};
use crate::reason::Cause;

/// When a caller may come again whose media nobody could serve, in seconds.
const MEDIA_RETRY_AFTER_S: u32 = 3;

/// The Reason for those who rang when somebody else answered (RFC 3326 §3.1).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// An INVITE of ours in search of somebody who answers.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) upstream: Upstream,
    attempts: Vec<Attempt>,
    /// What the name of the first attempt is to the owner; the others follow.
    first: usize,
    /// The next attempt to be dialled.
    next: usize,
    /// Attempts dialled whose targets are not known yet.
    asking: Vec<usize>,
    /// Redirections being routed.
    redirecting: usize,
    branches: Vec<Branch>,
    /// The description to offer; `None` if the caller leaves the offer to the callee.
    offer: Option<Box<[u8]>>,
    /// What the relay made of it, for one family.
    relayed_offers: Vec<(Toward, Bytes)>,
    /// How the one who waits gives and takes keys.
    pub(crate) keys: Keys,
    /// The best failure so far.
    best: Option<(u16, outcome::Failure)>,
    redirects: u8,
    /// Whether the first 18x went to the caller.
    rang: bool,
    /// Our tag in the last early dialog of the caller; a failure carries it, too.
    tag: Option<Box<[u8]>>,
    /// The mirror of RSeq.
    reliable: provisional::Reliable,
}

/// For whom somebody is looked for.
#[derive(Debug)]
pub(crate) enum Upstream {
    /// The caller waits for an answer to its INVITE.
    Caller {
        uas: Uas,
        flow: Flow,
        reach: Reach,
        /// What the caller's challenges are answered with.
        access: Option<Arc<Access>>,
        invite: Message,
    },
    /// A side of the call was referred to somebody else (RFC 3515).
    Transfer { kept: Side },
}

/// One attempt under way.
#[derive(Debug)]
struct Branch {
    attempt: usize,
    /// The dialog before any response; early dialogs are made from it.
    dialog: Dialog,
    flow: Flow,
    /// The request under way; `None` when it has ended.
    request: Option<RequestId>,
    /// Targets not yet tried, best last (RFC 3263 §4.3).
    targets: Vec<Destination>,
    /// The Authorization header of the next try, and how often we were challenged.
    authorization: Option<(Vec<u8>, u8)>,
    /// Session-Expires asked for; raised by 422.
    session_s: u32,
    /// The last RSeq seen, by early dialog.
    rseqs: Vec<(PairId, u32)>,
}

impl Branch {
    fn access(&self, attempt: &Attempt) -> Option<Arc<Access>> {
        let credentials = attempt.credentials.clone()?;
        Some(Access::new(credentials, self.flow))
    }
}

impl Setup {
    pub(crate) fn of_caller(
        uas: Uas,
        flow: Flow,
        reach: Reach,
        access: Option<Arc<Access>>,
        invite: Message,
        plan: Plan,
    ) -> Self {
        let offer = invite.sdp().map(Into::into);
        let upstream = Upstream::Caller {
            uas,
            flow,
            reach,
            access,
            invite,
        };
        Self::new(upstream, plan, offer, 0)
    }

    pub(crate) fn of_transfer(kept: Side, plan: Plan, offer: &[u8], first: usize) -> Self {
        let offer = (!offer.is_empty()).then(|| offer.into());
        Self::new(Upstream::Transfer { kept }, plan, offer, first)
    }

    fn new(upstream: Upstream, plan: Plan, offer: Option<Box<[u8]>>, first: usize) -> Self {
        let mut attempts = plan.attempts;
        attempts.truncate(ATTEMPTS_MAX);
        Self {
            upstream,
            attempts,
            first,
            next: 0,
            asking: Vec::new(),
            redirecting: 0,
            branches: Vec::new(),
            offer,
            relayed_offers: Vec::new(),
            keys: Keys::Events,
            best: None,
            redirects: 0,
            rang: false,
            tag: None,
            reliable: provisional::Reliable::default(),
        }
    }

    /// The caller's offer, if it made one.
    pub(crate) fn offer(&self) -> Option<&[u8]> {
        self.offer.as_deref()
    }

    /// What the relay made of the offer holds no longer.
    pub(crate) fn forget_relayed_offer(&mut self) {
        self.relayed_offers.clear();
    }

    /// Whether the caller made the offer.
    pub(crate) const fn has_offer(&self) -> bool {
        self.offer.is_some()
    }

    /// The phone of a branch, for the relay.
    fn toward(&self, branch: usize) -> Toward {
        let entry = &self.branches[branch];
        Toward::of(entry.flow, self.attempts[entry.attempt].keys, self.keys)
    }

    /// The owner's name for the attempt of a branch.
    fn token(&self, branch: usize) -> u32 {
        self.attempts[self.branches[branch].attempt].token
    }

    /// What challenges in the dialogs of a branch are answered with.
    fn access(&self, branch: usize) -> Option<Arc<Access>> {
        let entry = &self.branches[branch];
        entry.access(&self.attempts[entry.attempt])
    }

    /// Call-ID of the last INVITE sent.
    fn last_call_id(&self) -> Box<[u8]> {
        let last = self.branches.last();
        last.map(|b| b.dialog.call_id.clone()).unwrap_or_default()
    }
}

impl Call {
    pub(crate) fn begin_setup(&mut self, ctx: &mut Ctx<'_>) {
        if self.may_begin(ctx) {
            self.dial_next_stage(ctx);
            self.settle(ctx);
        }
    }

    /// Refuses a caller whose INVITE is at its last hop, cannot make a dialog, or asks for too
    /// short a session (RFC 3261 §16.3, §12.1.1, RFC 4028 §9).
    pub(crate) fn may_begin(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let upstream = self.setup.as_ref().map(|s| &s.upstream);
        let Some(Upstream::Caller { invite, .. }) = upstream else {
            return upstream.is_some();
        };
        let status = if invite.number(HeaderName::MaxForwards) == Some(0) {
            483
        } else if Dialog::of_callee(invite, b"").is_err() {
            400
        } else if asks_too_short_session(invite, ctx.config.session_expires_min_s) {
            422
        } else {
            return true;
        };
        let why = sip::status::phrase(status).into();
        self.fail_setup(ctx, status, None, Cause::RefusedByUs { status, why });
        false
    }

    /// For the relay: the ends of a description of this side.
    pub(crate) fn media_ends(&self, pair: Option<PairId>, from: Side) -> MediaEnds {
        let author = pair.and_then(|p| self.leg(p, from));
        let here = author.map(crate::leg::Leg::signalling);
        let author_keys = author.map_or(self.keys, |l| l.keys);
        let there = pair.and_then(|p| self.leg(p, from.other()));
        let upstream = match self.setup.as_ref().map(|s| &s.upstream) {
            Some(Upstream::Caller { flow, .. }) => Some(*flow),
            _ => None,
        };
        let ip = |flow: Flow| flow.remote.ip().to_canonical();
        let signalling = here.or(upstream.map(ip));
        let toward = there.map_or_else(
            || Toward {
                family: signalling.map_or(Family::V4, Family::of),
                phone: Phone::Sip,
                keys: Keys::Events,
                author_keys,
            },
            |leg| leg.toward(author_keys),
        );
        MediaEnds {
            signalling: signalling.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            toward,
            reached: there.map(crate::leg::Leg::signalling),
            known: there.map_or_else(Bytes::new, |leg| Bytes::copy_from_slice(&leg.received)),
            given: Given::InTurn,
        }
    }

    /// Gives up one branch: CANCEL, and a late 2xx is ended.
    fn abandon(&mut self, ctx: &mut Ctx<'_>, branch: usize, reason: &str) {
        let Some(setup) = &mut self.setup else { return };
        let Some(id) = setup.branches[branch].request.take() else {
            return;
        };
        let token = setup.token(branch);
        let access = setup.access(branch);
        self.abandon_request(ctx, id, Some(token), access, reason);
        self.drop_pairs(ctx, |p| p.branch == branch);
    }

    /// Cancels an INVITE. `token` names its attempt if the attempt's end is to be told.
    fn abandon_request(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: RequestId,
        token: Option<u32>,
        access: Option<Arc<Access>>,
        reason: &str,
    ) {
        self.disarm(Timer::Silence(id));
        if let Some(pending) = self.pending.iter_mut().find(|p| p.id == id) {
            pending.purpose = Purpose::Abandoned { token, access };
        }
        let reason = reason.into();
        ctx.emit(Output::Cancel { id, reason });
    }

    /// Gives up all branches but one, and dials nobody else.
    fn abandon_all(&mut self, ctx: &mut Ctx<'_>, but: Option<usize>, reason: &str) {
        self.stop_dialling();
        let Some(setup) = &mut self.setup else { return };
        setup.redirecting = 0;
        let count = setup.branches.len();
        for attempt in std::mem::take(&mut setup.asking) {
            let token = setup.attempts[attempt].token;
            attempt_ended(ctx, token, 0);
        }
        for branch in (0..count).filter(|b| Some(*b) != but) {
            self.abandon(ctx, branch, reason);
        }
    }

    /// Gives up all branches but the one that has answered.
    pub(crate) fn abandon_others(&mut self, ctx: &mut Ctx<'_>, branch: usize) {
        self.abandon_all(ctx, Some(branch), ELSEWHERE);
    }

    /// Gives up all branches.
    pub(crate) fn stop_looking(&mut self, ctx: &mut Ctx<'_>, reason: &str) {
        self.abandon_all(ctx, None, reason);
    }

    fn stop_dialling(&mut self) {
        if let Some(setup) = &mut self.setup {
            setup.next = setup.attempts.len();
        }
    }

    /// The set-up is over; its attempts keep their names to themselves.
    pub(crate) fn forget_setup(&mut self) -> Option<Box<Setup>> {
        let setup = self.setup.take()?;
        self.attempts_before = setup.first + setup.attempts.len();
        self.disarm(Timer::Ring);
        Some(setup)
    }

    /// The caller gave up (RFC 3261 §9.2); its Reason is passed on (RFC 3326 §2).
    pub(crate) fn handle_cancelled(&mut self, ctx: &mut Ctx<'_>, reason: Option<&[u8]>) {
        match self.phase {
            Phase::Setup => {
                let reason = reason.and_then(|r| core::str::from_utf8(r).ok());
                let ours = Cause::Cancelled.header();
                self.stop_looking(ctx, reason.unwrap_or(&ours));
                self.fail_setup(ctx, 487, None, Cause::Cancelled);
            }
            Phase::Answered => self.cancel_relayed(ctx, reason),
            Phase::Over => {}
        }
    }

    /// Nobody answered: the final failure to the caller, which ends the call, or to the leg that
    /// asked for a transfer.
    pub(crate) fn fail_setup(
        &mut self,
        ctx: &mut Ctx<'_>,
        status: u16,
        source: Option<(&Message, headers::Trust)>,
        cause: Cause,
    ) {
        let reason = cause.header();
        self.stop_looking(ctx, &reason);
        let Some(setup) = self.forget_setup() else {
            return;
        };
        let Upstream::Caller {
            uas, flow, invite, ..
        } = &setup.upstream
        else {
            self.transfer_failed(ctx, status);
            return;
        };
        let tag = match &setup.tag {
            Some(tag) => tag.clone(),
            None => self.new_tag(),
        };
        let phrase = source
            .filter(|(m, _)| m.status() == status)
            .and_then(|(m, _)| core::str::from_utf8(m.reason()).ok());
        let mut w = Writer::response(invite, flow.remote, status, phrase.unwrap_or(""), &tag);
        w.header("Server", ctx.config.product.as_bytes());
        if status == 422 {
            w.header_fmt(
                "Min-SE",
                format_args!("{}", ctx.config.session_expires_min_s),
            );
        }
        if status == 503 && cause == Cause::MediaFailed {
            // It is this server that lacks something, and not for ever.
            w.header_number("Retry-After", MEDIA_RETRY_AFTER_S);
        }
        if let Some((source, trust)) = source {
            headers::carry(&mut w, source, trust, self.trust);
        }
        if source.is_none_or(|(m, _)| m.header(HeaderName::Reason).is_none()) {
            w.header("Reason", reason.as_bytes());
        }
        ctx.emit(Output::Respond {
            uas: *uas,
            status,
            bytes: w.finish(),
            how: Respond::Plain,
        });
        self.drop_pairs(ctx, |_| true);
        self.finish(ctx, cause, status, setup.last_call_id());
    }

    /// An attempt that we gave up is over, unless that has been told.
    pub(crate) fn attempt_given_up(&self, ctx: &mut Ctx<'_>, token: Option<u32>) {
        if let Some(token) = token {
            attempt_ended(ctx, token, 0);
        }
    }
}

/// Tells of an attempt that ended without a word of the peer.
fn attempt_ended(ctx: &mut Ctx<'_>, token: u32, status: u16) {
    ctx.emit(Output::Fact(Fact::AttemptEnded {
        token,
        status,
        answered_by_peer: false,
        retry_after_s: None,
    }));
}

/// Whether a request that could be told so asks for a session shorter than we take; where the
/// peer knows no session timers a proxy has asked, whom 422 would not reach (RFC 4028 §9).
pub(crate) fn asks_too_short_session(request: &Message, min_s: u32) -> bool {
    session_expires(request).is_some_and(|(s, _)| s < min_s)
        && request.lists(HeaderName::Supported, "timer")
}
