//! Failures: what each means for the branch, and which one the caller is told.

use sip::{Flow, HeaderName, Message, NameAddr};

use super::kept::{pack_response, unpack_response};
use crate::call::Call;
use crate::challenge;
use crate::headers::Trust;
use crate::io::{Ctx, Fact, Output, Timer, Uac};
use crate::plan::{Redirects, Yields};
use crate::reason::{Cause, Why};
use crate::snapshot::{Packer, Unpacker};

/// The most redirections one set-up follows (RFC 3261 §8.1.3.4 leaves it to us); a later 3xx
/// counts as a failure.
const REDIRECTS_MAX: u8 = 5;

/// Whose failure it is.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The peer's: its response, and whether its identities are believed.
    Peer(Message, Trust),
    /// It rang for too long.
    NoAnswer,
    /// Ours, or of the way to the peer.
    Us(Why),
}

impl Failure {
    fn cause(&self, status: u16) -> Cause {
        match self {
            Self::Peer(..) => Cause::Refused(status),
            Self::NoAnswer => Cause::NoAnswer,
            Self::Us(why) => {
                let why = why.clone();
                Cause::RefusedByUs { status, why }
            }
        }
    }
}

impl From<&'static str> for Failure {
    fn from(why: &'static str) -> Self {
        Self::Us(why.into())
    }
}

impl Call {
    /// The final response to the INVITE of a branch.
    pub(crate) fn handle_final(
        &mut self,
        ctx: &mut Ctx<'_>,
        branch: usize,
        flow: Flow,
        message: Message,
    ) {
        let Some(setup) = &mut self.setup else { return };
        let id = setup.branches[branch].request.take();
        if let Some(id) = id {
            self.disarm(Timer::Silence(id));
        }
        match message.status() {
            200..=299 => {
                self.handle_success(ctx, branch, flow, message);
                return;
            }
            300..=399 => self.handle_redirect(ctx, branch, &message),
            401 | 407 if self.answer_challenge(branch, &message, ctx) => return,
            422 if self.raise_session_interval(branch, &message) => {
                self.try_again(ctx, branch, flow);
                return;
            }
            503 if self.has_more_targets(branch) => {
                self.try_next_target(ctx, branch);
                return;
            }
            _ => self.fail_branch(ctx, branch, &message),
        }
        self.settle(ctx);
    }

    /// No response of the peer: the next target of RFC 3263 §4.3, else a failure.
    pub(crate) fn handle_silent(&mut self, ctx: &mut Ctx<'_>, branch: usize, why: Uac) {
        if let Some(setup) = &mut self.setup
            && let Some(id) = setup.branches[branch].request.take()
        {
            self.disarm(Timer::Silence(id));
        }
        self.fail_over(ctx, branch, why);
    }

    pub(crate) fn fail_over(&mut self, ctx: &mut Ctx<'_>, branch: usize, why: Uac) {
        if let Some(setup) = &mut self.setup {
            setup.branches[branch].request = None;
        }
        if self.has_more_targets(branch) {
            self.try_next_target(ctx, branch);
            return;
        }
        let (status, failure) = match why {
            Uac::Timeout => (408, "no response from the next hop"),
            Uac::Unreachable => (503, "the next hop cannot be reached"),
        };
        self.report_failure(ctx, branch, status, None);
        self.note_failure(status, failure.into());
        self.drop_pairs(ctx, |p| p.branch == branch);
        self.settle(ctx);
    }

    fn try_next_target(&mut self, ctx: &mut Ctx<'_>, branch: usize) {
        self.drop_pairs(ctx, |p| p.branch == branch);
        if let Some(setup) = &mut self.setup {
            // A challenge holds for the server that made it.
            setup.branches[branch].authorization = None;
        }
        self.try_target(ctx, branch);
    }

    fn has_more_targets(&self, branch: usize) -> bool {
        self.setup
            .as_ref()
            .is_some_and(|s| !s.branches[branch].targets.is_empty())
    }

    fn fail_branch(&mut self, ctx: &mut Ctx<'_>, branch: usize, message: &Message) {
        // Digest towards us is our affair: the caller can do nothing with our carrier's challenge.
        let status = match message.status() {
            401 | 407 => 502,
            status => status,
        };
        self.report_failure(ctx, branch, message.status(), Some(message));
        let trust = self.setup.as_ref().map_or(Trust::Untrusted, |s| {
            s.attempts[s.branches[branch].attempt].trust
        });
        let failure = if status == message.status() {
            Failure::Peer(message.clone(), trust)
        } else {
            "the next hop does not take our credentials".into()
        };
        self.note_failure(status, failure);
        self.drop_pairs(ctx, |p| p.branch == branch);
        if status >= 600 {
            // RFC 3261 §16.7 step 5: nobody else is asked.
            self.stop_looking(ctx, &Cause::Refused(status).header());
        } else if !self.yields(branch, status) {
            self.stop_dialling();
        }
    }

    fn yields(&self, branch: usize, status: u16) -> bool {
        let Some(setup) = &self.setup else {
            return false;
        };
        match setup.attempts[setup.branches[branch].attempt].yields {
            Yields::AnyFailure => true,
            Yields::Trouble => matches!(status, 408 | 430 | 500..600),
        }
    }

    fn report_failure(&self, ctx: &mut Ctx<'_>, branch: usize, status: u16, by: Option<&Message>) {
        let Some(setup) = &self.setup else { return };
        ctx.emit(Output::Fact(Fact::AttemptEnded {
            token: setup.token(branch),
            status,
            answered_by_peer: by.is_some(),
            retry_after_s: by.and_then(retry_after_s),
        }));
    }

    /// Remembers a failure if it says more than the best one so far (RFC 3261 §16.7 step 6).
    pub(crate) fn note_failure(&mut self, status: u16, failure: Failure) {
        let Some(setup) = &mut self.setup else { return };
        let better = setup
            .best
            .as_ref()
            .is_none_or(|(best, _)| rank(status) < rank(*best));
        if better {
            setup.best = Some((status, failure));
        }
    }

    /// When nothing is under way any more: the next stage, else the final failure.
    pub(crate) fn settle(&mut self, ctx: &mut Ctx<'_>) {
        let Some(setup) = &self.setup else { return };
        let busy = !setup.asking.is_empty() || setup.redirecting > 0;
        if busy || setup.branches.iter().any(|b| b.request.is_some()) {
            return;
        }
        if self.is_waiting() || self.dial_next_stage(ctx) {
            return;
        }
        let Some(setup) = &mut self.setup else { return };
        let nobody = setup.attempts.is_empty();
        let (status, failure) = setup.best.take().unwrap_or_else(|| {
            let failure = match nobody {
                true => "not registered".into(),
                false => Failure::NoAnswer,
            };
            (480, failure)
        });
        let source = match &failure {
            Failure::Peer(message, trust) => Some((message, *trust)),
            Failure::NoAnswer | Failure::Us(_) => None,
        };
        self.fail_setup(ctx, status, source, failure.cause(status));
    }

    /// A 3xx: its contacts are routed anew, if the attempt may redirect.
    fn handle_redirect(&mut self, ctx: &mut Ctx<'_>, branch: usize, message: &Message) {
        self.report_failure(ctx, branch, message.status(), Some(message));
        self.drop_pairs(ctx, |p| p.branch == branch);
        let Some(setup) = &mut self.setup else { return };
        let attempt = &setup.attempts[setup.branches[branch].attempt];
        let contacts = redirect_contacts(message);
        let may = attempt.redirects == Redirects::Follow && setup.redirects < REDIRECTS_MAX;
        if !may || contacts.is_empty() {
            self.note_failure(480, "redirected, which is not followed".into());
            return;
        }
        setup.redirects += 1;
        setup.redirecting += 1;
        ctx.emit(Output::Redirected {
            token: attempt.token,
            contacts,
        });
    }

    /// Answers a challenge with the attempt's credentials (RFC 3261 §22.2); `false` if there are
    /// none or they were refused.
    fn answer_challenge(&mut self, branch: usize, message: &Message, ctx: &mut Ctx<'_>) -> bool {
        let cnonce = [self.random.bits(), self.random.bits()];
        let Some(setup) = &mut self.setup else {
            return false;
        };
        let entry = &mut setup.branches[branch];
        let attempt = &setup.attempts[entry.attempt];
        let tries = entry.authorization.as_ref().map_or(0, |(_, n)| *n);
        let request = (&b"INVITE"[..], &*attempt.uri);
        let header = attempt
            .credentials
            .as_ref()
            .and_then(|c| challenge::authorization(message, request, c, tries, cnonce));
        let Some(header) = header else {
            return false;
        };
        entry.authorization = Some((header, tries + 1));
        let flow = entry.flow;
        self.try_again(ctx, branch, flow);
        true
    }

    /// A 422: asks for the interval the callee wants (RFC 4028 §7.4).
    fn raise_session_interval(&mut self, branch: usize, message: &Message) -> bool {
        let Some(setup) = &mut self.setup else {
            return false;
        };
        let wanted = message.number(HeaderName::MinSe).unwrap_or(0);
        let entry = &mut setup.branches[branch];
        let raises = wanted > entry.session_s && entry.session_s > 0;
        if raises {
            entry.session_s = wanted;
        }
        raises
    }

    /// Sends the INVITE again to the target that has just answered.
    fn try_again(&mut self, ctx: &mut Ctx<'_>, branch: usize, flow: Flow) {
        self.drop_pairs(ctx, |p| p.branch == branch);
        let Some(setup) = &mut self.setup else { return };
        let entry = &mut setup.branches[branch];
        let target = match flow.conn {
            Some(_) => sip::Destination::Flow(flow),
            None => sip::Destination::Address {
                transport: entry.flow.transport,
                listener: entry.flow.listener,
                remote: entry.flow.remote,
                name: "".into(),
            },
        };
        entry.targets.push(target);
        self.try_target(ctx, branch);
    }
}

/// Appends the best failure so far. What we ourselves had to say of one is not kept.
pub(super) fn pack_best(out: &mut Packer, best: Option<&(u16, Failure)>) {
    let Some((status, failure)) = best else {
        return out.put_u8(0);
    };
    match failure {
        Failure::Peer(message, trust) => {
            out.put_u8(1);
            pack_response(out, message, *trust);
        }
        Failure::NoAnswer => out.put_u8(2),
        Failure::Us(_) => out.put_u8(3),
    }
    out.put_u64((*status).into());
}

/// The outer `None` says that the bytes could not be read.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the bytes could be read"
)]
pub(super) fn unpack_best(from: &mut Unpacker<'_>) -> Option<Option<(u16, Failure)>> {
    let failure = match from.u8()? {
        0 => return Some(None),
        1 => {
            let (message, trust) = unpack_response(from)?;
            Failure::Peer(message, trust)
        }
        2 => Failure::NoAnswer,
        3 => Failure::Us("failed before the call changed its node".into()),
        _ => return None,
    };
    Some(Some((from.u64()?.try_into().ok()?, failure)))
}

/// How little a failure tells: lower is told to the caller first.
const fn rank(status: u16) -> u16 {
    match status {
        600..700 => 0,
        // What the called party or the number itself says.
        486 | 404 | 484 | 403 | 410 | 415 | 420 | 488 => 1,
        300..400 => 4,
        408 => 5,
        480 => 3,
        400..500 => 2,
        _ => 6,
    }
}

fn retry_after_s(message: &Message) -> Option<u32> {
    let value = message.header(HeaderName::RetryAfter)?;
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    sip::lex::number(&value[..digits])
}

/// The contacts of a 3xx by falling q.
fn redirect_contacts(message: &Message) -> Vec<Box<[u8]>> {
    let mut all: Vec<(u32, Box<[u8]>)> = message
        .values(HeaderName::Contact)
        .filter_map(|v| NameAddr::parse(v).ok())
        .map(|a| (q_thousandths(a.params.value("q")), a.uri.into()))
        .collect();
    all.sort_by_key(|(q, _)| core::cmp::Reverse(*q));
    all.into_iter().map(|(_, uri)| uri).collect()
}

fn q_thousandths(q: Option<&[u8]>) -> u32 {
    q.and_then(|q| core::str::from_utf8(q).ok())
        .and_then(|q| q.parse::<f32>().ok())
        .filter(|q| (0.0..=1.0).contains(q))
        .map_or(1_000, |q| (q * 1_000.0) as u32)
}
