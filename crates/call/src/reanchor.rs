//! Moving the media of a call to another relay, because the one it had is lost.
//!
//! The last description of each side is told to a new relay as an offer and its answer, in a
//! session of its own; then both sides are re-INVITEd at once with what the relay made of them
//! (RFC 3261 §14). What they answer is told to the relay if it differs from before: keys,
//! candidates and ports may change with the relay. While a side is in an exchange of its own the
//! move waits; while nobody relays it is tried again.
//!
//! A side that speaks ICE is told first, and its answer put to the relay as the answer it is: its
//! credentials change with ours (RFC 8445 §9), and to a relay that had been told the old ones
//! that would be a restart, with new ones of the relay's own. Where both sides speak it, the
//! callee's description is told without it, only for the caller to have something to answer; then
//! what the caller has answered is told as an offer, for the callee to answer with credentials that
//! are new to the relay. Where media are bundled, the relay has to know that the caller's answer is
//! one.
//!
//! During set-up nobody can be told: what answers the offer is put to a new relay together with
//! the offer, so that the caller's 2xx is right, and the callee is told as soon as both are idle.
//! Early media is silent until then: before an answer, neither side can be sent a new offer. The
//! call rings on all the same, and only what follows the answer is bounded.

use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use sip::{Flow, HeaderName, Message, Method};

use crate::call::{Call, Phase};
use crate::headers::ALLOW;
use crate::io::{Ctx, Fact, Given, MediaEnds, MediaOp, Output, Side, Timer};
use crate::leg::{Leg, Offering, PairId};
use crate::pending::{Purpose, Question, Wait};
use crate::reason::Cause;
use crate::refresh;
use crate::relay::write_session;

/// Attributes of ICE (RFC 8839).
const ICE: [&[u8]; 4] = [
    b"a=ice-",
    b"a=candidate:",
    b"a=remote-candidates:",
    b"a=end-of-candidates",
];
/// How soon a move is tried again while a side is busy: it mostly waits for an ACK.
const BUSY_WAIT: Duration = Duration::from_millis(100);
/// How soon a relay is asked for again when there was none.
const NOBODY_WAIT: Duration = Duration::from_secs(1);
/// How often a side may ask for patience (RFC 3261 §21.5.1, §21.5.4) before its media counts as
/// lost for good.
const PATIENCE_MAX: u8 = 3;
/// The longest patience a side is given at a time.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(4);

/// A call whose media is lost.
#[derive(Debug)]
pub(crate) struct Reanchor {
    since: Time,
    stage: Stage,
    /// Whose description the relay is told as an offer.
    offerer: Side,
    told: Told,
    /// By side: what it is to be told, until it has taken it.
    telling: [Option<Box<[u8]>>; 2],
    patience: u8,
}

/// How the relay is told the offerer's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Whole,
    /// Without ICE, whose credentials will be others: the other side's answer is told as an offer
    /// after.
    WithoutIce,
}

impl Reanchor {
    /// Of a call that was taken down; since when is not known.
    pub(crate) const fn waiting() -> Self {
        Self {
            since: Time::ZERO,
            stage: Stage::Waiting,
            offerer: Side::A,
            told: Told::Whole,
            telling: [None, None],
            patience: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// For a relay, or for its sides to be idle.
    Waiting,
    /// A relay has been found, and the side that speaks ICE is told before it answers the other.
    First,
    /// The sides are told.
    Telling,
}

/// What the relay is asked meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The offerer's description.
    Offer,
    /// The other's.
    Answer,
    /// The other's once more, as the offer to which the offerer will say its own.
    Turned,
    /// Both, of a call that an application has answered.
    Echo(Side),
    /// A new description of the offerer, and then the other's.
    Again,
    /// A new description, whose answer is for nobody.
    Fed,
}

impl Call {
    /// The relay of a session has died.
    pub(crate) fn handle_media_lost(&mut self, ctx: &mut Ctx<'_>, session: u64) {
        if self.phase == Phase::Over {
            return;
        }
        let returned_to = self.transfer.as_mut().map(|t| &mut t.old_session);
        if self.session == session && self.session_open {
            self.session_open = false;
            self.next_session();
        } else if let Some(old) = returned_to.filter(|old| **old == Some(session)) {
            *old = None;
        } else {
            return;
        }
        ctx.emit(Output::MediaEnd { session });
        if let Some(setup) = &mut self.setup {
            setup.forget_relayed_offer();
        }
        let since = self.reanchor.take().map_or(ctx.now, |before| before.since);
        self.reanchor = Some(Box::new(Reanchor {
            since,
            stage: Stage::Waiting,
            offerer: Side::A,
            told: Told::Whole,
            telling: [None, None],
            patience: 0,
        }));
        if let Some(asked) = self.wait.take() {
            self.ask_anew(ctx, asked.question, asked.then);
        }
        self.move_media(ctx);
    }

    /// A question that the old relay has not answered goes to another.
    fn ask_anew(&mut self, ctx: &mut Ctx<'_>, question: Question, then: Wait) {
        match then {
            Wait::Reanchor { .. } => {}
            // The offer was told to the old one.
            Wait::Rebuilt { question, then } => self.rebuild(ctx, question, *then),
            then if question.op == MediaOp::Answer && !self.session_open => {
                self.rebuild(ctx, question, then);
            }
            then => self.ask(ctx, question, then),
        }
    }

    /// Tells a new relay the offer first that the question answers.
    pub(crate) fn rebuild(&mut self, ctx: &mut Ctx<'_>, question: Question, then: Wait) {
        let offerer = question.from.other();
        let (pair, offer) = match &then {
            Wait::Response { relayed, .. } if relayed.offered => {
                (Some(relayed.pair), relayed.request.sdp())
            }
            Wait::Answer { pair, .. } | Wait::Provisional { pair, .. } => {
                (Some(*pair), self.setup.as_ref().and_then(|s| s.offer()))
            }
            Wait::Ack { pair, .. } | Wait::JoinAnswer { pair, .. } => {
                let leg = self.leg(*pair, offerer);
                (Some(*pair), leg.map(|l| &*l.received))
            }
            _ => (None, None),
        };
        let Some(offer) = offer.map(Bytes::copy_from_slice) else {
            self.ask(ctx, question, then);
            return;
        };
        let offer = Question {
            op: MediaOp::Offer,
            from: offerer,
            sdp: offer,
            ends: MediaEnds {
                known: question.sdp.clone(),
                ..self.media_ends(pair, offerer)
            },
        };
        let then = Box::new(then);
        self.ask(ctx, offer, Wait::Rebuilt { question, then });
    }

    /// The media was lost on another node, and patience begins anew here.
    pub(crate) fn look_for_relay(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::take(&mut self.session_open) {
            let session = self.next_session();
            ctx.emit(Output::MediaEnd { session });
        }
        self.move_media_soon(ctx);
    }

    /// The call is answered: now both sides can be told, and patience begins.
    pub(crate) fn move_media_soon(&mut self, ctx: &Ctx<'_>) {
        if let Some(reanchor) = &mut self.reanchor {
            reanchor.since = ctx.now;
            self.arm_after(ctx, Timer::Reanchor, BUSY_WAIT);
        }
    }

    /// Looks for another relay, if both sides are idle.
    pub(crate) fn move_media(&mut self, ctx: &mut Ctx<'_>) {
        let Some(reanchor) = &self.reanchor else {
            return;
        };
        if reanchor.stage != Stage::Waiting || self.phase != Phase::Answered {
            return;
        }
        let limit = ctx.config.media_lost_max;
        if !limit.is_zero() && ctx.now.since(reanchor.since) >= limit {
            self.end(ctx, Cause::MediaFailed);
            return;
        }
        let changing = self.transfer.as_ref().is_some_and(|t| t.is_under_way());
        let mut legs = self.pairs.iter().flat_map(|p| p.legs.iter().flatten());
        let busy = changing || self.is_waiting() || !legs.all(Leg::is_idle);
        if busy {
            self.arm_after(ctx, Timer::Reanchor, BUSY_WAIT);
            return;
        }
        let Some(pair) = self.pairs.first() else {
            return;
        };
        let (id, a, b) = (pair.id, pair.leg(Side::A), pair.leg(Side::B));
        let mut told = Told::Whole;
        let (from, op, step) = match (a, b) {
            (Some(a), Some(b)) if speaks_ice(a) && !is_bundled(a) && !is_bundled(b) => {
                if speaks_ice(b) {
                    told = Told::WithoutIce;
                }
                (Side::B, MediaOp::Offer, Step::Offer)
            }
            (Some(_), Some(_)) => (Side::A, MediaOp::Offer, Step::Offer),
            (Some(_), None) => (Side::A, MediaOp::Echo, Step::Echo(Side::A)),
            (None, _) => (Side::B, MediaOp::Echo, Step::Echo(Side::B)),
        };
        let silent = |leg: Option<&Leg>| leg.is_some_and(|l| l.received.is_empty());
        if silent(a) || silent(b) {
            // Nobody has said yet where its media goes; who does will be asked of a new relay.
            self.reanchor = None;
            return;
        }
        if let Some(reanchor) = &mut self.reanchor {
            (reanchor.offerer, reanchor.told) = (from, told);
        }
        if !self.session_open {
            self.next_session();
        }
        self.ask_of(ctx, id, from, op, step);
    }

    /// Asks the relay with the last description of a side.
    fn ask_of(&mut self, ctx: &mut Ctx<'_>, pair: PairId, from: Side, op: MediaOp, step: Step) {
        let Some(leg) = self.leg(pair, from) else {
            return;
        };
        let moving = self.reanchor.as_ref();
        let is_fresh = moving.is_some_and(|moving| moving.stage == Stage::First);
        let given = match (op, step) {
            (MediaOp::Offer, Step::Again) | (MediaOp::Echo, Step::Fed) => Given::ToOurOffer,
            (_, Step::Offer | Step::Answer | Step::Echo(_)) if !is_fresh => Given::Elsewhere,
            _ => Given::InTurn,
        };
        let told = moving.map(|moving| moving.told);
        let sdp = match (step, told) {
            (Step::Offer, Some(Told::WithoutIce)) => without_ice(&leg.received),
            _ => Bytes::copy_from_slice(&leg.received),
        };
        let question = Question {
            op,
            from,
            sdp,
            ends: MediaEnds {
                given,
                ..self.media_ends(Some(pair), from)
            },
        };
        self.ask(ctx, question, Wait::Reanchor { pair, step });
    }

    /// The relay has answered a step.
    pub(crate) fn go_on_moving(&mut self, ctx: &mut Ctx<'_>, pair: PairId, step: Step, sdp: &[u8]) {
        let moving = self.reanchor.as_ref();
        let Some((offerer, told)) = moving.map(|moving| (moving.offerer, moving.told)) else {
            return;
        };
        let answerer = offerer.other();
        let is_restarted = self.leg(pair, answerer).is_some_and(speaks_ice);
        let Some(reanchor) = &mut self.reanchor else {
            return;
        };
        match step {
            Step::Offer => {
                reanchor.telling[answerer as usize] = Some(sdp.into());
                if is_restarted {
                    reanchor.stage = Stage::First;
                    self.retell(ctx, pair, answerer);
                } else {
                    self.ask_of(ctx, pair, answerer, MediaOp::Answer, Step::Answer);
                }
            }
            Step::Answer if told == Told::WithoutIce => {
                // What it would be told has no ICE either.
                self.ask_of(ctx, pair, answerer, MediaOp::Offer, Step::Turned);
            }
            Step::Turned => {
                reanchor.telling[offerer as usize] = Some(sdp.into());
                reanchor.stage = Stage::Telling;
                (reanchor.offerer, reanchor.told) = (answerer, Told::Whole);
                self.retell(ctx, pair, offerer);
            }
            Step::Answer => {
                reanchor.telling[offerer as usize] = Some(as_offer(sdp));
                reanchor.stage = Stage::Telling;
                self.retell(ctx, pair, Side::A);
                self.retell(ctx, pair, Side::B);
            }
            Step::Echo(side) => {
                reanchor.telling[side as usize] = Some(as_offer(sdp));
                reanchor.stage = Stage::Telling;
                self.retell(ctx, pair, side);
            }
            Step::Again => self.ask_of(ctx, pair, answerer, MediaOp::Answer, Step::Fed),
            Step::Fed => self.moved_if_told(ctx),
        }
    }

    /// No relay serves the call, or not so.
    pub(crate) fn moving_failed(&mut self, ctx: &mut Ctx<'_>, step: &Step) {
        let Some(reanchor) = &mut self.reanchor else {
            return;
        };
        match step {
            Step::Offer | Step::Answer | Step::Turned | Step::Echo(_) => {
                reanchor.telling = [None, None];
                reanchor.stage = Stage::Waiting;
                if std::mem::take(&mut self.session_open) {
                    let session = self.session;
                    ctx.emit(Output::MediaEnd { session });
                }
                self.arm_after(ctx, Timer::Reanchor, NOBODY_WAIT);
            }
            // What it was told first still holds.
            Step::Again | Step::Fed => self.moved_if_told(ctx),
        }
    }

    /// A re-INVITE with where the media of a side is now.
    pub(crate) fn retell(&mut self, ctx: &mut Ctx<'_>, pair: PairId, side: Side) {
        let telling = self.reanchor.as_ref().filter(|r| r.stage != Stage::Waiting);
        let Some(sdp) = telling.and_then(|r| r.telling[side as usize].clone()) else {
            return;
        };
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        if !leg.is_idle() {
            self.arm_after(ctx, Timer::Retell(pair, side), BUSY_WAIT);
            return;
        }
        leg.offering = Offering::Us;
        leg.own_origin();
        let sdp = leg.describe(&sdp);
        let mut w = leg.dialog.request("INVITE");
        leg.begin_invite();
        w.contact(leg.contact(ctx.config));
        w.header("Allow", ALLOW)
            .header("Supported", b"timer, replaces");
        write_session(&mut w, leg, ctx.config.session_expires_min_s);
        let bytes = w.finish_with(b"application/sdp", &sdp);
        let way = leg.way();
        self.send(
            ctx,
            Method::Invite,
            way,
            bytes,
            Purpose::Retell { pair, side },
        );
    }

    /// A side's answer to it.
    pub(crate) fn handle_retold(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        flow: Flow,
        message: &Message,
    ) {
        let who = self.who(pair, side);
        let is_success = (200..300).contains(&message.status());
        let Some(leg) = self.leg_mut(pair, side) else {
            if is_success {
                // The call has ended meanwhile: the 2xx wants its ACK all the same.
                self.end_stray_dialog(ctx, flow, message, None);
            }
            return;
        };
        leg.offering = Offering::Nobody;
        match message.status() {
            200..300 => {
                leg.dialog.refresh_target(message);
                leg.flow.conn = flow.conn.or(leg.flow.conn);
                leg.learn(message);
                refresh::accept_as_caller(leg, ctx.config, message);
                self.send_ack(ctx, pair, side, None);
                self.arm_session(ctx, pair, side);
                self.retold(ctx, pair, side, message.sdp());
            }
            408 | 481 => self.end(ctx, Cause::PeerGone(who)),
            491 => {
                let after = self.back_off(pair, side);
                self.arm_after(ctx, Timer::Retell(pair, side), after);
            }
            500 | 503 | 504 if self.may_be_patient() => {
                let asked_s = message.number(HeaderName::RetryAfter).unwrap_or(1);
                let after = Duration::from_secs(u64::from(asked_s)).min(RETRY_AFTER_MAX);
                self.arm_after(ctx, Timer::Retell(pair, side), after);
            }
            // Its media goes to a relay that is no longer there, and it wants it so.
            _ => self.end(ctx, Cause::MediaFailed),
        }
    }

    fn may_be_patient(&mut self) -> bool {
        let Some(reanchor) = &mut self.reanchor else {
            return false;
        };
        reanchor.patience += 1;
        reanchor.patience <= PATIENCE_MAX
    }

    /// A side knows where its media is; the relay is told what it answered, if that is new.
    fn retold(&mut self, ctx: &mut Ctx<'_>, pair: PairId, side: Side, answer: Option<&[u8]>) {
        let changed = match (answer, self.leg_mut(pair, side)) {
            (Some(answer), Some(leg)) => {
                let changed = !says_the_same(&leg.received, answer);
                leg.received = answer.into();
                changed
            }
            _ => false,
        };
        let Some(reanchor) = &mut self.reanchor else {
            return;
        };
        let stage = reanchor.stage;
        if stage == Stage::Waiting {
            // The new relay is lost as well; what comes next tells it anew.
            return;
        }
        reanchor.telling[side as usize] = None;
        let is_offerer = side == reanchor.offerer;
        let alone = self.leg(pair, side.other()).is_none();
        match side {
            side if stage == Stage::First => {
                self.ask_of(ctx, pair, side, MediaOp::Answer, Step::Answer)
            }
            _ if !changed => self.moved_if_told(ctx),
            side if alone => self.ask_of(ctx, pair, side, MediaOp::Echo, Step::Fed),
            side if is_offerer => self.ask_of(ctx, pair, side, MediaOp::Offer, Step::Again),
            side => self.ask_of(ctx, pair, side, MediaOp::Answer, Step::Fed),
        }
    }

    fn moved_if_told(&mut self, ctx: &mut Ctx<'_>) {
        let told = |r: &Reanchor| r.stage == Stage::Telling && r.telling == [None, None];
        if self.reanchor.as_deref().is_some_and(told)
            && let Some(reanchor) = self.reanchor.take()
        {
            let took = ctx.now.since(reanchor.since);
            ctx.emit(Output::Fact(Fact::MediaMoved { took }));
        }
    }
}

/// Whether a side finds out our address by ICE.
fn speaks_ice(leg: &Leg) -> bool {
    memchr::memmem::find(&leg.received, b"\na=ice-ufrag:").is_some()
}

/// Whether media of a side share a transport by name (RFC 9143): a description that is made of the
/// other side's knows nothing of that, and a browser takes none without it any more.
fn is_bundled(leg: &Leg) -> bool {
    memchr::memmem::find(&leg.sent, b"\na=group:BUNDLE").is_some()
}

/// An answer as the offer that we make of it: who waits for a handshake leaves it to the other
/// who begins (RFC 5763 §5).
fn as_offer(answer: &[u8]) -> Box<[u8]> {
    let lines = answer.split_inclusive(|b| *b == b'\n');
    let lines = lines.map(|line| match line.trim_ascii_end() {
        b"a=setup:passive" => b"a=setup:actpass\r\n".as_slice(),
        _ => line,
    });
    lines.flatten().copied().collect()
}

/// A description of somebody who does not speak ICE.
fn without_ice(sdp: &[u8]) -> Bytes {
    let speaks = |line: &[u8]| ICE.iter().any(|attribute| line.starts_with(attribute));
    let lines = sdp.split_inclusive(|b| *b == b'\n');
    lines
        .filter(|line| !speaks(line))
        .flatten()
        .copied()
        .collect()
}

/// Whether two descriptions differ in their version alone.
fn says_the_same(a: &[u8], b: &[u8]) -> bool {
    let lines = |sdp| <[u8]>::split(sdp, |b| *b == b'\n').filter(|l| !l.starts_with(b"o="));
    lines(a).eq(lines(b))
}
