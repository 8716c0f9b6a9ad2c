//! The call itself: its state, and where each input goes.

mod dispatch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clock::Time;
use sip::{Flow, HeaderName, Message, Method, Writer};
use smallvec::SmallVec;

use crate::challenge::{Access, Repeat, Way};
use crate::config::MediaMode;
use crate::ending;
use crate::ending::Parting;
use crate::headers::Trust;
use crate::io::{Ctx, Hop, Input, Keys, MediaAsk, Output, RequestId, Respond, Side, Timer, Uas};
use crate::leg::{Leg, Pair, PairId, Reach};
use crate::pending::{Asked, Pending, Purpose, Wait};
use crate::plan::{Credentials, Plan};
use crate::random::Random;
use crate::reanchor::Reanchor;
use crate::setup::Setup;
use crate::transfer::Transfer;

/// The most inputs that wait for the media relay. Beyond, requests get 503 and provisional
/// responses are dropped; what remains answers something the call itself has asked for.
const INBOX_MAX: usize = 64;

/// How long the media relay may take to answer; then what waits for it fails with 503.
pub(crate) const MEDIA_WAIT: Duration = Duration::from_secs(4);

/// What the owner knows of a new call.
#[derive(Clone, Debug)]
pub struct CallFacts {
    /// Names the call; carried in the tags it makes.
    pub key: u64,
    /// The owner's proof that the key is genuine; carried beside it.
    pub seal: u64,
    /// Secret bits for tags and Call-IDs.
    pub seed: u64,
    /// How requests reach the caller.
    pub reach: Reach,
    /// Whether the caller is trusted.
    pub trust: Trust,
    /// How the caller gives and takes keys.
    pub keys: Keys,
    /// How we answer the caller's challenges, where it is a gateway.
    pub credentials: Option<Arc<Credentials>>,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has answered yet.
    Setup,
    /// Answered.
    Answered,
    /// Over; the last transactions linger.
    Over,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    pub(crate) key: u64,
    pub(crate) seal: u64,
    pub(crate) random: Random,
    pub(crate) phase: Phase,
    pub(crate) trust: Trust,
    /// How the caller gives and takes keys.
    pub(crate) keys: Keys,
    pub(crate) media: MediaMode,
    /// The media session; a new one after the legs were joined anew.
    pub(crate) session: u64,
    /// Counts the sessions of the call; after a transfer that failed `session` is an earlier one.
    pub(crate) last_session: u8,
    /// Whether the relay has been asked for the session.
    pub(crate) session_open: bool,
    /// The early dialogs while it is set up, the two legs afterwards.
    pub(crate) pairs: SmallVec<[Pair; 1]>,
    pub(crate) setup: Option<Box<Setup>>,
    pub(crate) transfer: Option<Box<Transfer>>,
    /// The media is lost, and not yet back.
    pub(crate) reanchor: Option<Box<Reanchor>>,
    pub(crate) pending: Vec<Pending>,
    /// Legs of an ended call whose peers have not acknowledged our 2xx yet.
    pub(crate) parting: Vec<Parting>,
    timers: SmallVec<[(Time, Timer); 4]>,
    pub(crate) wait: Option<Box<Asked>>,
    pub(crate) last_ask: MediaAsk,
    inbox: VecDeque<Input>,
    pub(crate) next_request: u32,
    pub(crate) next_pair: u8,
    /// How many attempts the set-ups before this one had: names of attempts are not used twice.
    pub(crate) attempts_before: usize,
    /// Whether [`Output::Gone`] has been said.
    gone: bool,
}

impl Call {
    /// A call from a new INVITE; dials the first stage of the plan at once.
    pub fn start(
        ctx: &mut Ctx<'_>,
        facts: CallFacts,
        uas: Uas,
        flow: Flow,
        invite: Message,
        plan: Plan,
    ) -> Self {
        let mut call = Self::new(&facts, plan.media);
        let access = facts.credentials.map(|c| Access::new(c, flow));
        call.setup = Some(Box::new(Setup::of_caller(
            uas,
            flow,
            facts.reach,
            access,
            invite,
            plan,
        )));
        if let Some(setup) = &mut call.setup {
            setup.keys = facts.keys;
        }
        call.begin_setup(ctx);
        call.tidy(ctx);
        call
    }

    pub(crate) fn new(facts: &CallFacts, media: MediaMode) -> Self {
        Self {
            key: facts.key,
            seal: facts.seal,
            random: Random::new(facts.seed),
            phase: Phase::Setup,
            trust: facts.trust,
            keys: facts.keys,
            media,
            session: facts.key,
            last_session: 0,
            session_open: false,
            pairs: SmallVec::new(),
            setup: None,
            transfer: None,
            reanchor: None,
            pending: Vec::new(),
            parting: Vec::new(),
            timers: SmallVec::new(),
            wait: None,
            last_ask: MediaAsk::default(),
            inbox: VecDeque::new(),
            next_request: 1,
            next_pair: 0,
            attempts_before: 0,
            gone: false,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, ctx: &mut Ctx<'_>, input: Input) {
        if self.gone {
            return;
        }
        let is_media = matches!(input, Input::Media(..) | Input::MediaLost { .. });
        if self.wait.is_some() && !is_media {
            if !self.is_given_up_by(&input) {
                self.put_aside(ctx, input);
                return;
            }
            self.wait = None;
        }
        self.take(ctx, input);
        self.take_what_waited(ctx);
        self.tidy(ctx);
    }

    /// Whether what the media relay was asked for is the answer of an application to a caller that
    /// gives up: it gets none, for its CANCEL is answered already (RFC 3261 §9.2).
    fn is_given_up_by(&self, input: &Input) -> bool {
        let asked = self.wait.as_ref();
        let is_answer = asked.is_some_and(|asked| matches!(asked.then, Wait::Application));
        is_answer && self.phase == Phase::Setup && matches!(input, Input::Cancelled { .. })
    }

    /// What came while the media relay was asked, until it is asked again.
    fn take_what_waited(&mut self, ctx: &mut Ctx<'_>) {
        while self.wait.is_none() {
            let Some(next) = self.inbox.pop_front() else {
                break;
            };
            self.take(ctx, next);
        }
    }

    /// Keeps an input until the media relay has answered.
    fn put_aside(&mut self, ctx: &mut Ctx<'_>, input: Input) {
        let full = self.inbox.len() >= INBOX_MAX;
        match input {
            Input::Request { uas, flow, message } if full => {
                if message.method() != Method::Ack {
                    self.respond(ctx, uas, flow, &message, 503);
                }
            }
            Input::Response { message, .. } if full && message.status() < 200 => {}
            input => self.inbox.push_back(input),
        }
    }

    /// Fires the timers that are due; while the media relay is asked they wait like inputs, all but
    /// the longest duration.
    pub fn handle_timeout(&mut self, ctx: &mut Ctx<'_>) {
        if self.relay_due().is_some_and(|until| until <= ctx.now) {
            self.give_up_on_relay(ctx);
            let over = self.duration_ends().is_some_and(|end| end <= ctx.now);
            if over && !self.is_waiting() {
                self.disarm(Timer::Duration);
                self.fire(ctx, Timer::Duration);
            }
            self.take_what_waited(ctx);
        }
        while let Some(when) = self.poll_timeout().filter(|when| *when <= ctx.now) {
            if self.is_waiting() {
                break;
            }
            let Some(at) = self.timers.iter().position(|(w, _)| *w == when) else {
                break;
            };
            let (_, timer) = self.timers.remove(at);
            self.fire(ctx, timer);
        }
        self.tidy(ctx);
    }

    /// When [`Call::handle_timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.relay_due()
            .or_else(|| self.timers.iter().map(|(when, _)| *when).min())
    }

    /// Until when the media relay may answer what it was asked: a call lasts no longer than its limit
    /// because a relay is silent.
    fn relay_due(&self) -> Option<Time> {
        let until = self.wait.as_ref()?.until;
        Some(self.duration_ends().map_or(until, |end| until.min(end)))
    }

    fn duration_ends(&self) -> Option<Time> {
        let mut ends = self.timers.iter().filter(|(_, t)| *t == Timer::Duration);
        ends.next().map(|(when, _)| *when)
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What its tags carry.
    #[must_use]
    pub const fn key(&self) -> u64 {
        self.key
    }

    /// The media session that its parties are in. While a transfer is under way, the one before is not:
    /// only the referrer was in it, and may return.
    #[must_use]
    pub const fn session(&self) -> u64 {
        self.session
    }

    /// Our tags in the dialogs that a snapshot has.
    pub fn tags(&self) -> impl Iterator<Item = &[u8]> {
        self.kept_legs().map(|leg| &*leg.dialog.local_tag)
    }

    /// The owner's names for the attempts that are under way, or whose legs a snapshot has.
    #[must_use]
    pub fn tokens(&self) -> Vec<u32> {
        match &self.setup {
            Some(setup) => setup.open_tokens(),
            None => self.kept_legs().filter_map(|leg| leg.token).collect(),
        }
    }

    /// Its pairs of legs: early dialogs while it is set up, then one.
    #[must_use]
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The key in a tag of ours; `None` for tags that no call made.
    #[must_use]
    pub fn key_of_tag(tag: &[u8]) -> Option<u64> {
        Self::sealed_key_of_tag(tag).map(|(_, key)| key)
    }

    /// What a tag says: the seal of a key, and the key. Whether it is genuine is for the owner to
    /// see ([`CallFacts::seal`]).
    #[must_use]
    pub fn sealed_key_of_tag(tag: &[u8]) -> Option<(u64, u64)> {
        crate::random::sealed_key_of_tag(tag)
    }

    /// Another tag of ours.
    pub(crate) fn new_tag(&mut self) -> Box<[u8]> {
        self.random.tag(self.seal, self.key)
    }

    /// Whether a dialog with these tags belongs to the call.
    #[must_use]
    pub fn has_dialog(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> bool {
        let fits = |l: &Leg| *l.dialog.call_id == *call_id && l.is_dialog(local_tag, remote_tag);
        let referrer = self.transfer.as_ref().and_then(|t| t.referrer.as_ref());
        self.pairs
            .iter()
            .flat_map(|p| p.legs.iter().flatten())
            .chain(referrer)
            .chain(self.parting.iter().map(|p| &p.leg))
            .any(fits)
    }

    pub(crate) const fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    pub(crate) fn arm(&mut self, timer: Timer, at: Time) {
        self.disarm(timer);
        self.timers.push((at, timer));
    }

    pub(crate) fn arm_after(&mut self, ctx: &Ctx<'_>, timer: Timer, after: Duration) {
        self.arm(timer, ctx.now + after);
    }

    pub(crate) fn disarm(&mut self, timer: Timer) {
        self.timers.retain(|(_, t)| *t != timer);
    }

    /// Its timers were set by another clock; by ours they are at what `translate` says.
    pub fn translate_timers(&mut self, translate: impl Fn(Time) -> Time) {
        for (at, _) in &mut self.timers {
            *at = translate(*at);
        }
    }

    pub(crate) fn timers(&self) -> impl Iterator<Item = (Time, Timer)> {
        self.timers.iter().copied()
    }

    /// Whether nothing of ours waits for anybody.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.wait.is_none() && self.inbox.is_empty()
    }

    /// Whether something waits for the media relay.
    pub(crate) fn has_unheard_inputs(&self) -> bool {
        self.wait.is_some() || !self.inbox.is_empty()
    }

    pub(crate) fn disarm_all(&mut self) {
        self.timers.clear();
    }

    pub(crate) fn send(
        &mut self,
        ctx: &mut Ctx<'_>,
        method: Method,
        way: impl Into<Way>,
        bytes: Bytes,
        purpose: Purpose,
    ) -> RequestId {
        let way = way.into();
        let repeat = Repeat::of(&way, &bytes);
        self.send_repeatable(ctx, method, way.hop, bytes, purpose, repeat)
    }

    pub(crate) fn send_repeatable(
        &mut self,
        ctx: &mut Ctx<'_>,
        method: Method,
        hop: Hop,
        bytes: Bytes,
        purpose: Purpose,
        repeat: Option<Box<Repeat>>,
    ) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.pending.push(Pending {
            id,
            purpose,
            repeat,
        });
        ctx.emit(Output::Request {
            id,
            method,
            hop,
            bytes,
        });
        id
    }

    pub(crate) fn respond(
        &mut self,
        ctx: &mut Ctx<'_>,
        uas: Uas,
        flow: Flow,
        request: &Message,
        status: u16,
    ) {
        // Only an INVITE that replaces a leg comes without a tag of ours (RFC 3261 §8.2.6.2).
        let tagged = request.to().is_ok_and(|to| to.tag().is_some());
        let tag = if tagged {
            Box::default()
        } else {
            self.new_tag()
        };
        let mut w = Writer::response(request, flow.remote, status, "", &tag);
        w.header("Server", ctx.config.product.as_bytes());
        if status == 405 {
            w.header("Allow", crate::headers::ALLOW);
        }
        if status == 415 {
            w.header(
                "Accept",
                b"application/sdp, application/dtmf-relay, application/dtmf",
            );
        }
        if matches!(status, 500 | 503) {
            // RFC 3261 §14.2: when to try again.
            w.header("Retry-After", b"3");
        }
        if status == 422 {
            let min_s = ctx.config.session_expires_min_s;
            w.header_number("Min-SE", min_s);
        }
        ctx.emit(Output::Respond {
            uas,
            status,
            bytes: w.finish(),
            how: Respond::Plain,
        });
    }

    /// A name that no pair of the call has.
    pub(crate) fn new_pair_id(&mut self) -> PairId {
        loop {
            let id = PairId(self.next_pair);
            self.next_pair = self.next_pair.wrapping_add(1);
            if self.pair(id).is_none() {
                return id;
            }
        }
    }

    pub(crate) fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pairs.iter().find(|p| p.id == id)
    }

    pub(crate) fn leg_mut(&mut self, id: PairId, side: Side) -> Option<&mut Leg> {
        self.pairs
            .iter_mut()
            .find(|p| p.id == id)
            .and_then(|p| p.leg_mut(side))
    }

    pub(crate) fn leg(&self, id: PairId, side: Side) -> Option<&Leg> {
        self.pair(id).and_then(|p| p.leg(side))
    }

    /// Which leg a request inside a dialog belongs to.
    pub(crate) fn find_leg(&self, message: &Message) -> Option<(PairId, Side)> {
        let local = message.to().ok()?.tag()?;
        let remote = message.from().ok()?.tag().unwrap_or_default();
        self.leg_with_tags(local, remote)
    }

    /// The leg of a dialog; RFC 2543 peers have an empty tag.
    pub(crate) fn leg_with_tags(&self, local: &[u8], remote: &[u8]) -> Option<(PairId, Side)> {
        self.pairs.iter().find_map(|pair| {
            [Side::A, Side::B]
                .into_iter()
                .find(|side| pair.leg(*side).is_some_and(|l| l.is_dialog(local, remote)))
                .map(|side| (pair.id, side))
        })
    }

    /// After each step: an ended call without open transactions is to be forgotten, and an idle
    /// one keeps no empty buffers.
    pub(crate) fn tidy(&mut self, ctx: &mut Ctx<'_>) {
        if self.inbox.is_empty() {
            self.inbox = VecDeque::new();
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        if self.phase != Phase::Over || self.wait.is_some() || self.gone {
            return;
        }
        if self.pending.is_empty() && self.parting.is_empty() {
            self.disarm_all();
            self.gone = true;
            ctx.emit(Output::Gone);
        } else if !self.timers.iter().any(|(_, t)| *t == Timer::Linger) {
            self.arm_after(ctx, Timer::Linger, ending::LINGER);
        }
    }
}

/// Whether a message belongs to a reliable provisional response (RFC 3262 §4).
pub(crate) fn is_reliable(message: &Message) -> bool {
    message.lists(HeaderName::Require, "100rel") && message.number(HeaderName::RSeq).is_some()
}
