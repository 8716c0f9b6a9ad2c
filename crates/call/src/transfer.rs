//! Transfers: REFER (RFC 3515), blind and with Replaces (RFC 3891, RFC 5589).
//!
//! The side that refers is the referrer; the other is kept and joined to the target. Until the
//! target has answered, the old pair stays as it is, so a failed transfer changes nothing. The
//! target takes the referrer's place in the pair, in a media session of its own.

mod join;

use sip::{Flow, HeaderName, Message, Method, NameAddr, Replaces, Uri, Writer, uri};

use join::Join;

use crate::call::{Call, Phase};
use crate::io::{Ctx, Fact, Input, MediaOp, Output, RefusedDial, Respond, Side, Timer, Uas};
use crate::leg::{Leg, PairId};
use crate::pending::{Purpose, Wait};
use crate::plan::Plan;
use crate::reason::Cause;
use crate::setup::Setup;

/// A change of partners under way.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) pair: PairId,
    /// The side that refers, or is replaced.
    pub(crate) by: Side,
    pub(crate) kind: Kind,
    /// Where it refers to; empty if somebody else takes the place.
    pub(crate) target: Box<[u8]>,
    /// The referrer's leg, once somebody has taken its place; it is ended last.
    pub(crate) referrer: Option<Leg>,
    /// The media session to return to if it fails.
    pub(crate) old_session: Option<u64>,
    /// A re-INVITE that waits for its turn.
    join: Option<Join>,
}

/// How the change came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// REFER, whose plan is not known yet.
    Routing,
    /// REFER, the target being dialled.
    Dialling,
    /// REFER, the target has answered, and the two are told of each other's media.
    Joining,
    /// REFER, all done but for the end of the referrer.
    Joined,
    /// INVITE with Replaces.
    Replacing,
}

impl Transfer {
    /// The call is over: the session it would have returned to is not needed.
    pub(crate) fn end_media(&self, ctx: &mut Ctx<'_>) {
        if let Some(session) = self.old_session {
            ctx.emit(Output::MediaEnd { session });
        }
    }

    /// Whether the sides may still change.
    pub(crate) fn is_under_way(&self) -> bool {
        self.kind != Kind::Joined
    }

    pub(crate) fn new(pair: PairId, by: Side, kind: Kind) -> Self {
        Self {
            pair,
            by,
            kind,
            target: Box::default(),
            referrer: None,
            old_session: None,
            join: None,
        }
    }
}

/// The media session of a call is its key, with the number of partners it had on top.
const SESSION_BITS: u32 = 56;

impl Call {
    pub(crate) fn handle_refer(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        request: &Message,
    ) {
        let Some(target) = Target::of(request) else {
            self.respond(ctx, uas, flow, request, 400);
            return;
        };
        let whole = self.leg(pair, Side::A).is_some() && self.leg(pair, Side::B).is_some();
        if self.phase != Phase::Answered || self.transfer.is_some() || !whole {
            self.respond(ctx, uas, flow, request, 491);
            return;
        }
        let Some(leg) = self.leg(pair, side) else {
            return;
        };
        let mut w = Writer::response(request, flow.remote, 202, "", b"");
        w.contact(leg.contact(ctx.config));
        ctx.emit(Output::Respond {
            uas,
            status: 202,
            bytes: w.finish(),
            how: Respond::Plain,
        });
        let mut transfer = Transfer::new(pair, side, Kind::Routing);
        transfer.target.clone_from(&target.uri);
        self.transfer = Some(Box::new(transfer));
        self.notify(ctx, 100, None);
        ctx.emit(Output::Transfer {
            by: side,
            target: target.uri,
            replaces: target.replaces,
        });
    }

    pub(crate) fn transfer_waits_for_plan(&self) -> bool {
        self.transfer
            .as_ref()
            .is_some_and(|t| t.kind == Kind::Routing)
    }

    /// Where the target of a blind transfer leads.
    pub(crate) fn handle_transfer_plan(
        &mut self,
        ctx: &mut Ctx<'_>,
        plan: Result<Plan, RefusedDial>,
    ) {
        let Some(transfer) = &mut self.transfer else {
            return;
        };
        let (pair, kept) = (transfer.pair, transfer.by.other());
        match plan {
            Ok(plan) => {
                transfer.kind = Kind::Dialling;
                self.open_new_session();
                let offer = self
                    .leg(pair, kept)
                    .map(|l| active(&l.received))
                    .unwrap_or_default();
                let mut setup = Setup::of_transfer(kept, plan, &offer, self.attempts_before);
                setup.keys = self.leg(pair, kept).map(|l| l.keys).unwrap_or_default();
                self.setup = Some(Box::new(setup));
                self.begin_setup(ctx);
            }
            Err(refused) => self.transfer_failed(ctx, refused.status),
        }
    }

    /// Joins the side that was kept with a leg of another call, which has given it up
    /// ([`Call::release`]). `token` is the owner's name for its attempt in this call.
    pub fn adopt(&mut self, ctx: &mut Ctx<'_>, leg: Leg, token: Option<u32>) {
        let leg = Box::new(leg);
        self.handle(ctx, Input::Adopt { leg, token });
    }

    pub(crate) fn take_over(&mut self, ctx: &mut Ctx<'_>, mut leg: Leg, token: Option<u32>) {
        leg.token = token;
        leg.own_origin();
        let waiting = self.transfer.as_ref().filter(|t| t.kind == Kind::Routing);
        let Some((pair, by)) = waiting.map(|t| (t.pair, t.by)) else {
            // Whoever asked for it has left meanwhile.
            self.part(ctx, leg, Cause::Transferred.header().as_bytes());
            return;
        };
        let kept = by.other();
        self.open_new_session();
        self.take_place(ctx, pair, by, leg);
        let offer = self
            .leg(pair, kept)
            .map(|l| active(&l.received))
            .unwrap_or_default();
        let then = Wait::JoinOffer { pair, from: kept };
        self.media(ctx, MediaOp::Offer, Some(pair), kept, &offer, then);
    }

    /// Gives up the peer of the leg that Replaces names, and ends the rest of the call; what
    /// [`Leg::token`] names is told by [`Fact::AttemptMoved`]. `None` if there is no such leg, or nobody has answered yet.
    pub fn release(&mut self, ctx: &mut Ctx<'_>, replaces: &Replaces<'_>) -> Option<Leg> {
        if self.phase != Phase::Answered || self.is_waiting() || self.transfer.is_some() {
            return None;
        }
        let (pair, side) = self.named_leg(replaces)?;
        let entry = self.pairs.iter_mut().find(|p| p.id == pair)?;
        let peer = &mut entry.legs[side.other() as usize];
        let leg = peer.take_if(|leg| leg.is_idle())?;
        if let Some(token) = leg.token {
            ctx.emit(Output::Fact(Fact::AttemptMoved { token }));
        }
        let reason = Cause::Transferred.header();
        self.hang_up(ctx, None, Cause::Transferred, reason.as_bytes());
        self.tidy(ctx);
        Some(leg)
    }

    /// The leg whose dialog Replaces names.
    #[must_use]
    pub fn named_leg(&self, replaces: &Replaces<'_>) -> Option<(PairId, Side)> {
        self.pairs.iter().find_map(|pair| {
            [Side::A, Side::B]
                .into_iter()
                .find(|s| pair.leg(*s).is_some_and(|l| l.dialog.is_named_by(replaces)))
                .map(|side| (pair.id, side))
        })
    }

    /// The target of a blind transfer answered: it takes the referrer's place.
    pub(crate) fn handle_transfer_answer(
        &mut self,
        ctx: &mut Ctx<'_>,
        branch: usize,
        flow: Flow,
        message: &Message,
    ) {
        self.abandon_others(ctx, branch);
        let Some(setup) = self.forget_setup() else {
            return;
        };
        let Some(transfer) = &self.transfer else {
            return;
        };
        let (pair, by) = (transfer.pair, transfer.by);
        let mut leg = setup.callee_leg(branch, flow, message);
        crate::refresh::accept_as_caller(&mut leg, ctx.config, message);
        self.take_place(ctx, pair, by, leg);
        self.send_ack(ctx, pair, by, None);
        self.arm_session(ctx, pair, by);
        match message.sdp().map(<[u8]>::to_vec) {
            Some(sdp) => {
                self.keep_received(pair, by, &sdp);
                let then = Wait::JoinAnswer { pair, from: by };
                self.media(ctx, MediaOp::Answer, Some(pair), by, &sdp, then);
            }
            None => self.joined_up(),
        }
    }

    /// Puts a leg in the place of the referrer, tells the referrer, and ends the old media.
    fn take_place(&mut self, ctx: &mut Ctx<'_>, pair: PairId, by: Side, leg: Leg) {
        self.disarm(Timer::Refresh(pair, by));
        self.disarm(Timer::SessionExpires(pair, by));
        self.disarm(Timer::Retry(pair, by));
        self.part_from_referrer(ctx, pair, by);
        let Some(entry) = self.pairs.iter_mut().find(|p| p.id == pair) else {
            return;
        };
        let referrer = entry.legs[by as usize].replace(leg);
        if let Some(kept) = entry.leg_mut(by.other()) {
            kept.own_origin();
        }
        let Some(transfer) = &mut self.transfer else {
            return;
        };
        transfer.kind = Kind::Joining;
        transfer.referrer = referrer;
        if let Some(session) = transfer.old_session.take() {
            ctx.emit(Output::MediaEnd { session });
        }
        self.notify(ctx, 200, Some("noresource"));
    }

    /// What was under way between the referrer and the side that is kept comes to nothing.
    fn part_from_referrer(&mut self, ctx: &mut Ctx<'_>, pair: PairId, by: Side) {
        self.refuse_relays(ctx, 491, |r| r.pair == pair && r.from != by);
        let mut left = Vec::new();
        for pending in &mut self.pending {
            match &mut pending.purpose {
                Purpose::Refresh { pair: p, side, .. } if *p == pair && *side == by => {
                    pending.purpose = Purpose::Closing;
                }
                Purpose::Relay(r) if r.pair == pair => {
                    // The side that is kept still has to answer it: to us, from now on.
                    let method = r.request.method();
                    let side = by.other();
                    let ours = if r.may_offer() {
                        Purpose::Refresh { pair, side, method }
                    } else {
                        Purpose::Closing
                    };
                    let purpose = std::mem::replace(&mut pending.purpose, ours);
                    if let Purpose::Relay(relayed) = purpose {
                        left.push(relayed);
                    }
                }
                _ => {}
            }
        }
        for relayed in left {
            self.respond(ctx, relayed.uas, relayed.flow, &relayed.request, 491);
        }
    }

    pub(crate) fn transfer_failed(&mut self, ctx: &mut Ctx<'_>, status: u16) {
        self.notify(ctx, status, Some("noresource"));
        let Some(transfer) = self.transfer.take() else {
            return;
        };
        if transfer.kind == Kind::Dialling {
            if std::mem::take(&mut self.session_open) {
                let session = self.session;
                ctx.emit(Output::MediaEnd { session });
            }
            if let Some(session) = transfer.old_session {
                self.session = session;
                self.session_open = true;
            }
        }
        if self.leg(transfer.pair, transfer.by).is_none() {
            let cause = Cause::TransferFailed(status);
            let reason = cause.header();
            self.hang_up(ctx, None, cause, reason.as_bytes());
        }
    }

    pub(crate) fn notify_progress(&mut self, ctx: &mut Ctx<'_>, status: u16) {
        self.notify(ctx, status, None);
    }

    /// NOTIFY with a fragment of the answer (RFC 3515 §2.4.5); `end` names why it is the last.
    fn notify(&mut self, ctx: &mut Ctx<'_>, status: u16, end: Option<&str>) {
        let Some(transfer) = &mut self.transfer else {
            return;
        };
        // Until somebody has taken its place, the referrer is part of the pair; it may have left.
        let leg = match transfer.kind {
            Kind::Routing | Kind::Dialling => {
                let entry = self.pairs.iter_mut().find(|p| p.id == transfer.pair);
                entry.and_then(|p| p.leg_mut(transfer.by))
            }
            _ => transfer.referrer.as_mut(),
        };
        let Some(leg) = leg else { return };
        let mut w = leg.dialog.request("NOTIFY");
        w.contact(leg.contact(ctx.config));
        w.header("Event", b"refer");
        match end {
            Some(reason) => w.header_fmt(
                "Subscription-State",
                format_args!("terminated;reason={reason}"),
            ),
            None => w.header("Subscription-State", b"active;expires=180"),
        };
        let fragment = format!("SIP/2.0 {status} {}\r\n", sip::status::phrase(status));
        let bytes = w.finish_with(b"message/sipfrag;version=2.0", fragment.as_bytes());
        let way = leg.way();
        let last = end.is_some();
        self.send(ctx, Method::Notify, way, bytes, Purpose::Notify { last });
    }

    /// The referrer has heard the outcome: its own leg ends (RFC 5589 §6).
    pub(crate) fn handle_notified(&mut self, ctx: &mut Ctx<'_>, last: bool) {
        if !last {
            return;
        }
        let referrer = self.transfer.as_mut().and_then(|t| t.referrer.take());
        if let Some(leg) = referrer {
            self.part(ctx, leg, Cause::Transferred.header().as_bytes());
        }
        self.forget_transfer_if_done();
    }

    /// Whether a BYE of this side only means that it leaves the rest to a transfer under way.
    pub(crate) fn leaves_for_transfer(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
    ) -> bool {
        let Some(transfer) = &self.transfer else {
            return false;
        };
        let leaves = transfer.pair == pair
            && transfer.by == side
            && matches!(transfer.kind, Kind::Routing | Kind::Dialling);
        if leaves {
            self.part_from_referrer(ctx, pair, side);
            let entry = self.pairs.iter_mut().find(|p| p.id == pair);
            if let Some(leg) = entry.and_then(|p| p.legs[side as usize].take()) {
                crate::ending::peer_left(ctx, &leg);
            }
        }
        leaves
    }

    pub(crate) fn is_referrer(&self, message: &Message) -> bool {
        let local = message.to().ok().and_then(|t| t.tag()).unwrap_or_default();
        let remote = message
            .from()
            .ok()
            .and_then(|f| f.tag())
            .unwrap_or_default();
        self.transfer
            .as_ref()
            .and_then(|t| t.referrer.as_ref())
            .is_some_and(|l| l.is_dialog(local, remote))
    }

    /// The referrer has left by itself.
    pub(crate) fn forget_referrer(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(leg) = self.transfer.as_mut().and_then(|t| t.referrer.take()) {
            crate::ending::peer_left(ctx, &leg);
        }
        self.forget_transfer_if_done();
    }

    fn forget_transfer_if_done(&mut self) {
        let done = self
            .transfer
            .as_ref()
            .is_some_and(|t| t.kind == Kind::Joined && t.referrer.is_none());
        if done {
            self.transfer = None;
        }
    }

    /// From here on the relay is asked for a session of its own.
    fn open_new_session(&mut self) {
        let was_open = std::mem::take(&mut self.session_open);
        let old = self.next_session();
        if let Some(transfer) = &mut self.transfer {
            transfer.old_session = was_open.then_some(old);
        }
    }

    /// The next session has a number of its own; that of the one before.
    pub(crate) fn next_session(&mut self) -> u64 {
        self.last_session = self.last_session.wrapping_add(1);
        let count = u64::from(self.last_session);
        let next = (self.session & ((1 << SESSION_BITS) - 1)) | (count << SESSION_BITS);
        std::mem::replace(&mut self.session, next)
    }

    /// The two sides know each other's media.
    pub(crate) fn joined_up(&mut self) {
        if let Some(transfer) = &mut self.transfer {
            transfer.kind = Kind::Joined;
        }
        self.forget_transfer_if_done();
    }
}

/// Where a REFER points.
struct Target {
    /// The URI without its headers.
    uri: Box<[u8]>,
    /// Replaces among its headers, unescaped (RFC 3891 §4).
    replaces: Option<Box<[u8]>>,
}

impl Target {
    fn of(refer: &Message) -> Option<Self> {
        let value = refer.header(HeaderName::ReferTo)?;
        let address = NameAddr::parse(value).ok()?;
        let parsed = Uri::parse(address.uri).ok()?;
        let replaces = parsed.headers.split(|b| *b == b'&').find_map(|header| {
            let eq = memchr::memchr(b'=', header)?;
            let (name, value) = (&header[..eq], &header[eq + 1..]);
            let found = name.eq_ignore_ascii_case(b"Replaces");
            found.then(|| uri::unescape(value).into())
        });
        let end = memchr::memchr(b'?', address.uri).unwrap_or(address.uri.len());
        let uri = address.uri[..end].into();
        Some(Self { uri, replaces })
    }
}

/// A description with every medium both ways again: a referrer puts the other side on hold
/// before it refers, and the target shall not inherit that.
pub(crate) fn active(received: &[u8]) -> Vec<u8> {
    let Ok(description) = sdp::Description::parse(received) else {
        return received.to_vec();
    };
    let mut edit = sdp::Edit::new(&description);
    for index in 0..description.media_count() {
        edit.direction(index, sdp::Direction::SendRecv);
    }
    edit.finish()
}
