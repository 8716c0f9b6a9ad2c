//! Failures that are not the end: other targets, redirections, session intervals
//! (RFC 3263 §4.3, RFC 3261 §8.1.3.4, RFC 4028 §7.4).

use call::{Attempt, Cause, Input, Output, Redirects, RefusedDial, Uac};
use sip::{HeaderName, Method};

use crate::peer::ALICE_SDP;
use crate::world::{INVITE, Sent, World, attempt, config, plan, udp};

fn two_targets() -> World {
    let targets = vec![udp("192.0.2.21", 5060), udp("192.0.2.22", 5060)];
    let trust = call::Trust::Untrusted;
    World::build(
        crate::world::to_bob(),
        config(),
        trust,
        "",
        ALICE_SDP,
        |w| {
            w.targets.insert("bob".into(), Ok(targets));
        },
    )
}

fn remote(sent: &Sent) -> String {
    match &sent.hop {
        call::Hop::To(sip::Destination::Address { remote, .. }) => remote.to_string(),
        hop => panic!("{hop:?}"),
    }
}

#[test]
fn the_next_target_is_tried_when_one_is_silent_or_unavailable() {
    for how in ["silent", "unreachable", "503", "slow"] {
        let mut w = two_targets();
        let one = w.sent(Method::Invite);
        assert_eq!(remote(&one), "192.0.2.21:5060");
        match how {
            "silent" => w.fail(&one, Uac::Timeout),
            "unreachable" => w.fail(&one, Uac::Unreachable),
            "503" => w.reply(&one, 503, "one", "", ""),
            _ => {
                w.pass_s(4);
                w.cancelled(&[&one]);
            }
        }
        assert_eq!(w.ended_attempts(), [], "{how}: the attempt goes on");
        let two = w.sent(Method::Invite);
        assert_eq!(remote(&two), "192.0.2.22:5060");
        w.fail(&two, Uac::Timeout);
        w.told(INVITE, 408);
        w.close_refused(408, "no response from the next hop");
    }
}

#[test]
fn a_486_of_the_first_target_is_no_reason_for_the_second() {
    let mut w = two_targets();
    let one = w.sent(Method::Invite);
    w.reply(&one, 486, "one", "", "");
    w.told(INVITE, 486);
    w.silent();
    w.close(&Cause::Refused(486));
}

#[test]
fn an_attempt_without_targets_fails() {
    let trust = call::Trust::Untrusted;
    let mut w = World::build(
        crate::world::to_bob(),
        config(),
        trust,
        "",
        ALICE_SDP,
        |w| {
            w.targets.insert("bob".into(), Err(503));
        },
    );
    assert_eq!(w.ended_attempts(), [(0, 503)]);
    w.told(INVITE, 503);
    w.close_refused(503, "Service Unavailable");
}

#[test]
fn a_302_is_followed_by_falling_q() {
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    let contacts = "Contact: <sip:low@x>;q=0.2, <sip:high@x>;q=0.9, <sip:one@x>\r\n";
    w.reply_raw(&invite, 302, contacts);
    let asked = w.asked.pop_front();
    let Some(Output::Redirected { token: 0, contacts }) = asked else {
        panic!("{asked:?}");
    };
    let contacts: Vec<_> = contacts
        .iter()
        .map(|c| String::from_utf8_lossy(c))
        .collect();
    assert_eq!(contacts, ["sip:one@x", "sip:high@x", "sip:low@x"]);
    w.feed(Input::Routed(Ok(plan(vec![attempt(0, 1, "mobile")]))));
    let mobile = w.sent(Method::Invite);
    assert_eq!(mobile.message.uri(), b"sip:mobile@192.0.2.20");
    w.reply(&mobile, 486, "m", "", "");
    w.told(INVITE, 486);
    w.close(&Cause::Refused(486));
}

#[test]
fn gateways_of_a_redirection_ring_one_after_the_other() {
    let mut w = World::new(plan(vec![attempt(0, 0, "bob"), attempt(1, 1, "late")]));
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 302, "bob", "", "");
    w.feed(Input::Routed(Ok(plan(vec![
        attempt(0, 2, "one"),
        attempt(1, 3, "two"),
    ]))));
    for name in ["one", "two", "late"] {
        let invite = w.sent(Method::Invite);
        w.silent();
        assert!(
            invite
                .message
                .uri()
                .starts_with(format!("sip:{name}@").as_bytes())
        );
        w.reply(&invite, 500, name, "", "");
    }
    w.told(INVITE, 500);
    w.close(&Cause::Refused(500));
}

#[test]
fn a_302_that_leads_nowhere_or_may_not_redirect_is_a_failure() {
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 302, "bob", "", "");
    w.feed(Input::Routed(Err(RefusedDial::from(403))));
    w.told(INVITE, 403);
    w.close_refused(403, "Forbidden");
    let mut w = World::new(plan(vec![Attempt {
        redirects: Redirects::Refuse,
        ..attempt(0, 0, "bob")
    }]));
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 302, "bob", "", "");
    assert!(w.asked.is_empty());
    w.told(INVITE, 480);
    w.close_refused(480, "redirected, which is not followed");
}

#[test]
fn redirections_in_a_circle_come_to_an_end() {
    let mut w = World::new(crate::world::to_bob());
    for token in 1..=5 {
        let invite = w.sent(Method::Invite);
        w.reply(&invite, 302, "bob", "", "");
        w.feed(Input::Routed(Ok(plan(vec![attempt(0, token, "bob")]))));
    }
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 302, "bob", "", "");
    w.told(INVITE, 480);
    w.silent();
    w.close_refused(480, "redirected, which is not followed");
}

#[test]
fn a_caller_that_gives_up_while_a_redirection_is_routed() {
    let mut w = World::new(crate::world::to_bob());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 302, "bob", "", "");
    w.cancel();
    w.told(INVITE, 487);
    w.feed(Input::Routed(Ok(crate::world::to_bob())));
    w.silent();
    w.close(&Cause::Cancelled);
}

#[test]
fn a_422_raises_the_session_interval_once() {
    let mut w = World::new(crate::world::to_bob());
    let first = w.sent(Method::Invite);
    assert_eq!(header(&first, HeaderName::SessionExpires), "1800");
    w.reply(&first, 422, "b", "Min-SE: 3600\r\n", "");
    let second = w.sent(Method::Invite);
    assert_eq!(header(&second, HeaderName::SessionExpires), "3600");
    w.reply(&second, 422, "b", "Min-SE: 3600\r\n", "");
    w.told(INVITE, 422);
    w.close(&Cause::Refused(422));
}

fn header(sent: &Sent, name: HeaderName) -> String {
    crate::world::header(&sent.message, name).to_owned()
}
