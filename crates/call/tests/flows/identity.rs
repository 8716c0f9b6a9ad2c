//! Who sees who is calling (RFC 3323, RFC 3325).

use call::{Attempt, Cause, Plan, Trust};
use sip::Method;

use crate::peer::ALICE_SDP;
use crate::world::{INVITE, World, attempt, config, plan, text};

const ASSERTED: &str = "P-Asserted-Identity: <sip:+4930123@example.com>\r\n";
const FORERUNNER: &str = "Remote-Party-ID: <sip:+4930123@example.com>\r\n";

fn to(trust: Trust) -> Plan {
    plan(vec![Attempt {
        trust,
        ..attempt(0, 0, "bob")
    }])
}

/// What Bob's INVITE says of Alice.
fn shown(plan: Plan, from: Trust, headers: &str) -> String {
    let mut w = World::build(plan, config(), from, headers, ALICE_SDP, |_| ());
    let invite = w.sent(Method::Invite);
    w.reply(&invite, 404, "b", "", "");
    w.close(&Cause::Refused(404));
    text(&invite.message)
}

#[test]
fn identities_cross_by_trust_and_privacy() {
    use Trust::{Trusted, Untrusted};
    let private = "Privacy: id\r\n";
    for (from, towards, privacy, crosses) in [
        (Trusted, Trusted, "", true),
        (Trusted, Untrusted, "", true),
        (Untrusted, Trusted, "", false),
        (Trusted, Trusted, private, true),
        (Trusted, Untrusted, private, false),
        (Trusted, Untrusted, "Privacy: none\r\n", true),
        (Trusted, Untrusted, "Privacy: header;user\r\n", false),
    ] {
        for header in [ASSERTED, FORERUNNER] {
            let shown = shown(to(towards), from, &format!("{header}{privacy}"));
            assert_eq!(
                shown.contains(header),
                crosses,
                "{from:?} {towards:?} {privacy}"
            );
            assert!(shown.contains(privacy), "Privacy itself goes on");
        }
    }
}

#[test]
fn preferred_identities_never_cross() {
    let preferred = "P-Preferred-Identity: <sip:boss@example.com>\r\n";
    assert!(!shown(to(Trust::Trusted), Trust::Trusted, preferred).contains("Preferred"));
}

#[test]
fn our_own_assertion_takes_the_place_of_the_callers() {
    let ours = |trust| {
        plan(vec![Attempt {
            identity: (*b"<sip:200@example.com>").into(),
            trust,
            ..attempt(0, 0, "bob")
        }])
    };
    let seen = shown(ours(Trust::Trusted), Trust::Trusted, ASSERTED);
    assert!(seen.contains("P-Asserted-Identity: <sip:200@example.com>\r\n"));
    assert!(!seen.contains("+4930123"));
    let hidden = shown(ours(Trust::Untrusted), Trust::Trusted, "Privacy: id\r\n");
    assert!(!hidden.contains("P-Asserted-Identity"));
}

#[test]
fn the_callees_identity_goes_back_by_the_same_rules() {
    for (callee, crosses) in [(Trust::Trusted, true), (Trust::Untrusted, false)] {
        let mut w = World::build(
            to(callee),
            config(),
            Trust::Untrusted,
            "",
            ALICE_SDP,
            |_| (),
        );
        let invite = w.sent(Method::Invite);
        w.reply(&invite, 180, "b", ASSERTED, "");
        assert_eq!(text(&w.told(INVITE, 180)).contains(ASSERTED), crosses);
        w.reply(&invite, 486, "b", ASSERTED, "");
        assert_eq!(text(&w.told(INVITE, 486)).contains(ASSERTED), crosses);
        w.close(&Cause::Refused(486));
    }
}

#[test]
fn what_belongs_to_a_hop_stays_and_what_does_not_crosses() {
    let headers = "Authorization: Digest x=\"y\"\r\nUser-Agent: phone\r\nDiversion: <sip:d@x>\r\n\
                   History-Info: <sip:h@x>;index=1\r\nX-Trace: 7\r\nRoute: <sip:us;lr>\r\n";
    let seen = shown(to(Trust::Untrusted), Trust::Trusted, headers);
    for stays in ["Authorization", "phone", "sip:us"] {
        assert!(!seen.contains(stays), "{stays}");
    }
    for crosses in [
        "Diversion: <sip:d@x>",
        "History-Info: <sip:h@x>;index=1",
        "X-Trace: 7",
    ] {
        assert!(seen.contains(crosses), "{crosses}");
    }
}
