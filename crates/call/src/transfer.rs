//! Transfers: REFER (RFC 3515), blind and with Replaces (RFC 3891, RFC 5589).
//!
//! The side that refers is the referrer; the other is kept and joined to the target. Until the
//! target has answered, the old pair stays as it is, so a failed transfer changes nothing. The
//! target takes the referrer's place in the pair, in a media session of its own.

use sip::{Flow, HeaderName, Message, Method, NameAddr, Replaces, Uri, Writer, uri};

use crate::call::{Call, Phase};
use crate::io::{Ctx, Hop, MediaOp, Output, RefusedDial, Respond, Side, Timer, Uas};
use crate::leg::{Leg, Offering, PairId};
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
    /// The referrer's leg, once somebody has taken its place; it is ended last.
    pub(crate) referrer: Option<Leg>,
    /// The media session to return to if it fails.
    old_session: Option<u64>,
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
    /// REFER, the target has answered.
    Joining,
    /// INVITE with Replaces.
    Replacing,
}

#[derive(Clone, Debug)]
struct Join {
    side: Side,
    sdp: Box<[u8]>,
    half: Half,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

impl Transfer {
    pub(crate) const fn new(pair: PairId, by: Side, kind: Kind) -> Self {
        Self {
            pair,
            by,
            kind,
            referrer: None,
            old_session: None,
            join: None,
        }
    }
}

impl Call {
    pub(crate) fn handle_refer(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        uas: Uas,
        flow: Flow,
        request: &Message,
    ) {
        let Some((target, replaces)) = refer_target(request) else {
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
        w.header_fmt("Contact", format_args!("<{}>", leg.contact(ctx.config)));
        ctx.emit(Output::Respond {
            uas,
            status: 202,
            bytes: w.finish(),
            how: Respond::Plain,
        });
        self.transfer = Some(Box::new(Transfer::new(pair, side, Kind::Routing)));
        self.notify(ctx, 100, None);
        ctx.emit(Output::Transfer {
            by: side,
            target,
            replaces,
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
                self.setup = Some(Box::new(Setup::of_transfer(kept, plan, &offer)));
                self.begin_setup(ctx);
            }
            Err(refused) => self.transfer_failed(ctx, refused.status),
        }
    }

    /// Joins the side that was kept with a leg of another call, which has given it up
    /// ([`Call::release`]). `token` is the owner's name for its attempt in this call.
    pub fn adopt(&mut self, ctx: &mut Ctx<'_>, mut leg: Leg, token: Option<u32>) {
        let Some(transfer) = &self.transfer else {
            return;
        };
        let (pair, by) = (transfer.pair, transfer.by);
        leg.token = token;
        self.open_new_session();
        self.take_place(ctx, pair, by, leg);
        let offer = self
            .leg(pair, by.other())
            .map(|l| active(&l.received))
            .unwrap_or_default();
        let then = Wait::JoinOffer {
            pair,
            from: by.other(),
        };
        self.media(ctx, MediaOp::Offer, Some(pair), by.other(), &offer, then);
        self.forget_transfer_if_done();
    }

    /// Gives up the peer of the leg that Replaces names, and ends the rest of the call. `None`
    /// if there is no such leg, or nobody has answered yet.
    pub fn release(&mut self, ctx: &mut Ctx<'_>, replaces: &Replaces<'_>) -> Option<Leg> {
        if self.phase != Phase::Answered || self.is_waiting() || self.transfer.is_some() {
            return None;
        }
        let (pair, side) = self.named_leg(replaces)?;
        let entry = self.pairs.iter_mut().find(|p| p.id == pair)?;
        let leg = entry.legs[side.other() as usize].take()?;
        self.hang_up(ctx, None, Cause::Transferred);
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
        message: Message,
    ) {
        self.abandon_all(ctx, Some(branch), &Cause::HungUp(crate::EndedBy::Platform));
        let Some(setup) = self.setup.take() else {
            return;
        };
        self.disarm(Timer::Ring);
        let Some(transfer) = &self.transfer else {
            return;
        };
        let (pair, by) = (transfer.pair, transfer.by);
        let mut leg = setup.callee_leg(branch, flow, &message);
        crate::refresh::accept_as_caller(&mut leg, ctx.config, &message);
        self.take_place(ctx, pair, by, leg);
        self.send_ack(ctx, pair, by, None);
        self.arm_session(ctx, pair, by);
        if let Some(sdp) = message.sdp().map(<[u8]>::to_vec) {
            self.keep_received(pair, by, &sdp);
            let then = Wait::JoinAnswer { pair, from: by };
            self.media(ctx, MediaOp::Answer, Some(pair), by, &sdp, then);
        }
        self.forget_transfer_if_done();
    }

    /// Puts a leg in the place of the referrer, tells the referrer, and ends the old media.
    fn take_place(&mut self, ctx: &mut Ctx<'_>, pair: PairId, by: Side, leg: Leg) {
        self.disarm(Timer::Refresh(pair, by));
        self.disarm(Timer::SessionExpires(pair, by));
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

    pub(crate) fn transfer_failed(&mut self, ctx: &mut Ctx<'_>, status: u16) {
        self.notify(ctx, status, Some("noresource"));
        let Some(transfer) = self.transfer.take() else {
            return;
        };
        if let Some(session) = transfer.old_session {
            ctx.emit(Output::MediaEnd {
                session: self.session,
            });
            self.session = session;
        }
        if self.leg(transfer.pair, transfer.by).is_none() {
            self.hang_up(ctx, None, Cause::Refused(status));
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
        let (pair, by) = (transfer.pair, transfer.by);
        let leg = match transfer.referrer.as_mut() {
            Some(leg) => leg,
            None => match self.pairs.iter_mut().find(|p| p.id == pair) {
                Some(entry) => match entry.leg_mut(by) {
                    Some(leg) => leg,
                    None => return,
                },
                None => return,
            },
        };
        let mut w = leg.dialog.request("NOTIFY");
        w.header_fmt("Contact", format_args!("<{}>", leg.contact(ctx.config)));
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
        let hop = leg.hop();
        let last = end.is_some();
        self.send(ctx, Method::Notify, hop, bytes, Purpose::Notify { last });
    }

    /// The referrer has heard the outcome: its own leg ends (RFC 5589 §6).
    pub(crate) fn handle_notified(&mut self, ctx: &mut Ctx<'_>, last: bool, _status: u16) {
        if !last {
            return;
        }
        let referrer = self.transfer.as_mut().and_then(|t| t.referrer.take());
        if let Some(leg) = referrer {
            self.bye(ctx, leg, &Cause::Transferred.header());
        }
        self.forget_transfer_if_done();
    }

    /// Whether a BYE of this side only means that it leaves the rest to a transfer under way.
    pub(crate) fn leaves_for_transfer(&mut self, pair: PairId, side: Side) -> bool {
        let Some(transfer) = &self.transfer else {
            return false;
        };
        let leaves = transfer.pair == pair
            && transfer.by == side
            && matches!(transfer.kind, Kind::Routing | Kind::Dialling);
        if leaves && let Some(entry) = self.pairs.iter_mut().find(|p| p.id == pair) {
            entry.legs[side as usize] = None;
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

    pub(crate) fn forget_referrer(&mut self) {
        if let Some(transfer) = &mut self.transfer {
            transfer.referrer = None;
        }
        self.forget_transfer_if_done();
    }

    fn forget_transfer_if_done(&mut self) {
        let done = self
            .transfer
            .as_ref()
            .is_some_and(|t| t.kind == Kind::Joining && t.referrer.is_none() && t.join.is_none());
        if done {
            self.transfer = None;
        }
    }

    /// From here on the relay is asked for a session of its own.
    fn open_new_session(&mut self) {
        let count = (self.session >> 56) + 1;
        let next = (self.session & ((1 << 56) - 1)) | (count << 56);
        let old = std::mem::replace(&mut self.session, next);
        if let Some(transfer) = &mut self.transfer {
            transfer.old_session = self.session_open.then_some(old);
        }
    }

    pub(crate) fn send_join(&mut self, ctx: &mut Ctx<'_>, pair: PairId, from: Side, sdp: &[u8]) {
        self.reoffer(
            ctx,
            pair,
            Join {
                side: from.other(),
                sdp: sdp.into(),
                half: Half::First,
            },
        );
    }

    pub(crate) fn send_join_back(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        from: Side,
        sdp: &[u8],
    ) {
        self.reoffer(
            ctx,
            pair,
            Join {
                side: from.other(),
                sdp: sdp.into(),
                half: Half::Second,
            },
        );
    }

    /// A re-INVITE of ours with another party's description; waits its turn if the leg is in the
    /// middle of an exchange.
    fn reoffer(&mut self, ctx: &mut Ctx<'_>, pair: PairId, join: Join) {
        let side = join.side;
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        if leg.offering != Offering::Nobody || leg.unacked != 0 || leg.owes_ack {
            self.put_off(ctx, pair, join);
            return;
        }
        leg.offering = Offering::Us;
        let sdp = leg.describe(&join.sdp);
        let mut w = leg.dialog.request("INVITE");
        leg.invite_seq = leg.dialog.local_seq;
        w.header_fmt("Contact", format_args!("<{}>", leg.contact(ctx.config)));
        w.header("Allow", crate::headers::ALLOW)
            .header("Supported", b"timer, replaces");
        if leg.session_s > 0 {
            w.header_fmt("Session-Expires", format_args!("{}", leg.session_s));
        }
        let bytes = w.finish_with(b"application/sdp", &sdp);
        let hop: Hop = leg.hop();
        let purpose = match join.half {
            Half::First => Purpose::JoinFirst { pair, side },
            Half::Second => Purpose::JoinSecond { pair, side },
        };
        if let Some(transfer) = &mut self.transfer {
            transfer.join = Some(join);
        }
        self.send(ctx, Method::Invite, hop, bytes, purpose);
    }

    fn put_off(&mut self, ctx: &mut Ctx<'_>, pair: PairId, join: Join) {
        let side = join.side;
        let after = self.back_off(side);
        let transfer = self
            .transfer
            .get_or_insert_with(|| Box::new(Transfer::new(pair, side, Kind::Joining)));
        transfer.join = Some(join);
        self.arm_after(ctx, Timer::Retry(pair, side), after);
    }

    /// Tries a put-off join again; `false` if there is none for that side.
    pub(crate) fn retry_join(&mut self, ctx: &mut Ctx<'_>, pair: PairId, side: Side) -> bool {
        let join = self
            .transfer
            .as_mut()
            .filter(|t| t.pair == pair && t.join.as_ref().is_some_and(|j| j.side == side))
            .and_then(|t| t.join.take());
        match join {
            Some(join) => {
                self.reoffer(ctx, pair, join);
                true
            }
            None => false,
        }
    }

    pub(crate) fn handle_join_first(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        flow: Flow,
        message: &Message,
    ) {
        if !self.joined(ctx, pair, side, flow, message) {
            return;
        }
        if let Some(sdp) = message.sdp().map(<[u8]>::to_vec) {
            self.keep_received(pair, side, &sdp);
            let then = Wait::JoinAnswer { pair, from: side };
            self.media(ctx, MediaOp::Answer, Some(pair), side, &sdp, then);
        }
    }

    pub(crate) fn handle_join_second(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        flow: Flow,
        message: &Message,
    ) {
        if !self.joined(ctx, pair, side, flow, message) {
            return;
        }
        if let Some(sdp) = message.sdp().map(<[u8]>::to_vec) {
            self.keep_received(pair, side, &sdp);
            self.media(ctx, MediaOp::Answer, Some(pair), side, &sdp, Wait::JoinDone);
        }
        self.forget_transfer_if_done();
    }

    /// The answer to a re-INVITE of a join: acknowledged, put off, or the end of the call.
    fn joined(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        flow: Flow,
        message: &Message,
    ) -> bool {
        let who = self.who(pair, side);
        let join = self.transfer.as_mut().and_then(|t| t.join.take());
        let Some(leg) = self.leg_mut(pair, side) else {
            return false;
        };
        leg.offering = Offering::Nobody;
        match (message.status(), join) {
            (200..300, _) => {
                leg.dialog.refresh_target(message);
                leg.flow.conn = flow.conn.or(leg.flow.conn);
                crate::refresh::accept_as_caller(leg, ctx.config, message);
                self.send_ack(ctx, pair, side, None);
                self.arm_session(ctx, pair, side);
                true
            }
            (491, Some(join)) => {
                self.put_off(ctx, pair, join);
                false
            }
            _ => {
                self.end(ctx, Cause::PeerGone(who));
                false
            }
        }
    }
}

/// The target of a REFER, and the Replaces in its headers (RFC 3891 §4).
fn refer_target(request: &Message) -> Option<(Box<[u8]>, Option<Box<[u8]>>)> {
    let value = request.header(HeaderName::ReferTo)?;
    let address = NameAddr::parse(value).ok()?;
    let parsed = Uri::parse(address.uri).ok()?;
    let replaces = parsed.headers.split(|b| *b == b'&').find_map(|header| {
        let eq = header.iter().position(|b| *b == b'=')?;
        header[..eq]
            .eq_ignore_ascii_case(b"Replaces")
            .then(|| uri::unescape(&header[eq + 1..]))
    });
    let end = memchr::memchr(b'?', address.uri).unwrap_or(address.uri.len());
    Some((address.uri[..end].into(), replaces.map(Into::into)))
}

/// A description with every medium both ways again: a referrer puts the other side on hold
/// before it refers, and the target shall not inherit that.
fn active(received: &[u8]) -> Vec<u8> {
    let Ok(description) = sdp::Description::parse(received) else {
        return received.to_vec();
    };
    let mut edit = sdp::Edit::new(&description);
    for index in 0..description.media_count() {
        edit.direction(index, sdp::Direction::SendRecv);
    }
    edit.finish()
}
