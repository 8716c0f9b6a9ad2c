//! Session timers (RFC 4028): each leg has its own, for each has its own peer.
//!
//! We refresh with UPDATE where the peer takes it, else with a re-INVITE that repeats our last
//! description. A peer that knows no session timers is refreshed by us all the same: its answer
//! is the proof of life.

use std::time::Duration;

use sip::{Flow, HeaderName, Message, Method, Writer};

use crate::call::{Call, Phase};
use crate::config::Config;
use crate::headers::ALLOW;
use crate::io::{Ctx, Side, Timer};
use crate::leg::{Leg, Offering, PairId, Refresher, Role, session_expires};
use crate::pending::Purpose;
use crate::reason::Cause;
use crate::relay::write_session;

impl Call {
    /// Starts the timer of a leg anew, after a session refresh or its first answer.
    pub(crate) fn arm_session(&mut self, ctx: &Ctx<'_>, pair: PairId, side: Side) {
        self.disarm(Timer::Refresh(pair, side));
        self.disarm(Timer::SessionExpires(pair, side));
        let answered = self.phase == Phase::Answered;
        let Some(leg) = self.leg(pair, side).filter(|_| answered) else {
            return;
        };
        let interval = Duration::from_secs(u64::from(leg.session_s));
        if interval.is_zero() {
            return;
        }
        match leg.refresher {
            Refresher::Us => self.arm_after(ctx, Timer::Refresh(pair, side), interval / 2),
            Refresher::Peer => {
                // RFC 4028 §10: the BYE leaves before the interval is over.
                let margin = Duration::from_secs(32).min(interval / 3);
                self.arm_after(ctx, Timer::SessionExpires(pair, side), interval - margin);
            }
            Refresher::Nobody => {}
        }
    }

    /// Refreshes the session of a leg, or tries again what got 491.
    pub(crate) fn refresh_session(&mut self, ctx: &mut Ctx<'_>, pair: PairId, side: Side) {
        if self.phase != Phase::Answered || self.retry_join(ctx, pair, side) {
            return;
        }
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        if !leg.is_idle() {
            // Whatever is under way proves the peer alive; look again soon.
            self.arm_after(ctx, Timer::Refresh(pair, side), Duration::from_secs(2));
            return;
        }
        let method = if leg.takes_update || leg.sent.is_empty() {
            Method::Update
        } else {
            leg.offering = Offering::Us;
            Method::Invite
        };
        let mut w = leg.dialog.request(method.as_str());
        w.contact(leg.contact(ctx.config));
        w.header("Allow", ALLOW)
            .header("Supported", b"timer, replaces");
        write_session(&mut w, leg, ctx.config.session_expires_min_s);
        let bytes = if method == Method::Invite {
            leg.begin_invite();
            w.finish_with(b"application/sdp", &leg.sent)
        } else {
            w.finish()
        };
        let way = leg.way();
        self.send(
            ctx,
            method,
            way,
            bytes,
            Purpose::Refresh { pair, side, method },
        );
    }

    pub(crate) fn handle_refreshed(
        &mut self,
        ctx: &mut Ctx<'_>,
        pair: PairId,
        side: Side,
        method: Method,
        flow: Flow,
        message: &Message,
    ) {
        let who = self.who(pair, side);
        let Some(leg) = self.leg_mut(pair, side) else {
            return;
        };
        leg.offering = Offering::Nobody;
        let can_reinvite = method == Method::Update && !leg.sent.is_empty();
        match message.status() {
            200..300 => {
                leg.dialog.refresh_target(message);
                leg.flow.conn = flow.conn.or(leg.flow.conn);
                leg.learn(message);
                if session_expires(message).is_some() {
                    accept_as_caller(leg, ctx.config, message);
                }
                if method == Method::Invite {
                    self.send_ack(ctx, pair, side, None);
                }
                self.arm_session(ctx, pair, side);
            }
            // RFC 3261 §12.2.1.2, RFC 4028 §10: the peer has lost the dialog.
            404 | 408 | 410 | 481 => self.end(ctx, Cause::PeerGone(who)),
            422 if min_se(message) > leg.session_s => {
                leg.session_s = min_se(message);
                self.refresh_session(ctx, pair, side);
            }
            491 => {
                let after = self.back_off(pair, side);
                self.arm_after(ctx, Timer::Retry(pair, side), after);
            }
            _ if can_reinvite => {
                leg.takes_update = false;
                self.refresh_session(ctx, pair, side);
            }
            // Any other answer shows that the peer is there (RFC 4028 §10).
            _ => self.arm_session(ctx, pair, side),
        }
    }

    /// How long after a 491 (RFC 3261 §14.1): the owner of the Call-ID waits longer.
    pub(crate) fn back_off(&mut self, pair: PairId, side: Side) -> Duration {
        let tens_of_ms = match self.leg(pair, side).map(|l| l.role) {
            Some(Role::Caller) => 210 + self.random.below(191),
            _ => self.random.below(201),
        };
        Duration::from_millis(u64::from(tens_of_ms) * 10)
    }
}

fn min_se(message: &Message) -> u32 {
    message.number(HeaderName::MinSe).unwrap_or(0)
}

/// The leg's session timer from the INVITE or UPDATE of its peer, and our answer's headers
/// (RFC 4028 §9).
pub(crate) fn accept_as_callee(leg: &mut Leg, config: &Config, request: &Message, w: &mut Writer) {
    let supports = request.lists(HeaderName::Supported, "timer");
    let asked = session_expires(request);
    let interval_s = match asked {
        Some((s, _)) => s.max(config.session_expires_min_s),
        None => config.session_expires_s,
    };
    leg.session_s = interval_s;
    if interval_s == 0 {
        leg.refresher = Refresher::Nobody;
        return;
    }
    let asks_us = asked
        .and_then(|(_, r)| r)
        .is_some_and(|r| r.eq_ignore_ascii_case(b"uas"));
    let peer_refreshes = supports && !asks_us;
    if peer_refreshes {
        leg.refresher = Refresher::Peer;
        w.header("Require", b"timer");
        w.raw(b"Session-Expires: ").number(interval_s);
        w.raw(b";refresher=uac\r\n");
    } else {
        leg.refresher = Refresher::Us;
        w.raw(b"Session-Expires: ").number(interval_s);
        w.raw(b";refresher=uas\r\n");
    }
}

/// The leg's session timer from the 2xx to our INVITE (RFC 4028 §7.2).
pub(crate) fn accept_as_caller(leg: &mut Leg, config: &Config, response: &Message) {
    match session_expires(response) {
        Some((interval_s, refresher)) => {
            // Less than we asked for as the least is a mistake that would keep us busy.
            leg.session_s = interval_s.max(config.session_expires_min_s);
            leg.refresher = refresher_of_answer(refresher);
        }
        None => {
            leg.session_s = config.session_expires_s;
            leg.refresher = Refresher::Us;
        }
    }
}

/// In a response `uas` is the peer, for we sent the request.
fn refresher_of_answer(refresher: Option<&[u8]>) -> Refresher {
    match refresher {
        Some(who) if who.eq_ignore_ascii_case(b"uas") => Refresher::Peer,
        _ => Refresher::Us,
    }
}
