//! Requests that are sent elsewhere, and those that follow them.

use std::time::Duration;

use balancer::{Algorithm, Event};
use sip::HeaderName;

use super::world::{A, B, PHONE, Side, World, config, inside, request, target};
use crate::Redirects;

#[test]
fn a_503_is_acknowledged_and_the_next_target_asked() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let sent = world.udp(
        A,
        &first[0].answer("503 Service Unavailable", "Retry-After: 9\r\n"),
    );
    assert_eq!(sent[0].start(), "ACK sip:bob@example.com SIP/2.0");
    assert_eq!(sent[0].to.to_string(), A);
    let branch = |s: &super::world::Sent| s.message.via().unwrap().branch().unwrap().to_vec();
    assert_eq!(branch(&sent[0]), branch(&first[0]), "that of its INVITE");
    assert_eq!(
        (sent[1].to.to_string().as_str(), sent[1].start().as_str()),
        (B, "INVITE sip:bob@example.com SIP/2.0")
    );
    assert_ne!(
        branch(&sent[1]),
        branch(&first[0]),
        "a transaction of its own"
    );
    let second = branch(&sent[1]);
    // Nothing of it reaches the caller but the answer of the second.
    let passed = world.udp(B, &sent[1].answer("486 Busy Here", ""));
    assert_eq!(
        (
            passed[0].to.to_string().as_str(),
            passed[0].start().as_str()
        ),
        (PHONE, "SIP/2.0 486 Busy Here")
    );
    let ack = request("INVITE", "c1", "1", "").replace("INVITE", "ACK");
    let sent = world.udp(PHONE, &ack);
    assert_eq!(
        sent[0].to.to_string(),
        B,
        "the ACK goes where the INVITE went"
    );
    assert_eq!(branch(&sent[0]), second, "and is of its transaction");
    // And it rests, as it asked to.
    for call in ["c2", "c3"] {
        assert_eq!(
            world.udp(PHONE, &request("INVITE", call, call, ""))[0]
                .to
                .to_string(),
            B
        );
    }
}

#[test]
fn when_all_refuse_the_caller_learns_when_to_come_back() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let second = world.udp(A, &first[0].answer("503 Service Unavailable", ""));
    let sent = world.udp(B, &second[1].answer("503 Service Unavailable", ""));
    assert_eq!(sent.len(), 2);
    assert!(sent[1].start().starts_with("SIP/2.0 503"));
    assert_eq!(sent[1].to.to_string(), PHONE);
    assert!(sent[1].message.header(HeaderName::RetryAfter).is_some());
    let ack = request("INVITE", "c1", "1", "").replace("INVITE", "ACK");
    assert!(world.udp(PHONE, &ack).is_empty(), "it ends here");
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

#[test]
fn the_last_of_more_targets_than_are_asked_says_when_to_come_back() {
    let mut world = World::new();
    let places = (1..=10).map(|n| target(&format!("t{n}"), &format!("10.0.0.{n}:5060")));
    let places: Vec<_> = places.collect();
    world.dispatcher.set_targets(world.now, &places).unwrap();
    let mut sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let mut asked = 0;
    while sent[sent.len() - 1].start().starts_with("INVITE ") {
        asked += 1;
        let last = sent.remove(sent.len() - 1);
        let from = last.to.to_string();
        sent = world.udp(
            &from,
            &last.answer("503 Service Unavailable", "Retry-After: 17\r\n"),
        );
    }
    assert!(asked < places.len(), "somebody was not asked");
    let answer = &sent[sent.len() - 1];
    assert_eq!(answer.to.to_string(), PHONE);
    assert_eq!(answer.all(HeaderName::RetryAfter), ["17"]);
    assert_eq!(world.dispatcher.counters().refused_overloaded, 1);
}

#[test]
fn silence_and_refusal_move_a_call_and_take_the_target_down() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    assert_eq!(first[0].to.to_string(), A);
    // Its repetition goes to the same target.
    world.wait(Duration::from_millis(500));
    let again = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    assert_eq!(again[0].message.raw(), first[0].message.raw());
    let moved = world.wait(Duration::from_secs(2));
    assert_eq!(moved[0].to.to_string(), B);
    // The next one is refused by the kernel: at once.
    world.udp(PHONE, &request("INVITE", "c2", "2", ""));
    let sent = world.udp(PHONE, &request("INVITE", "c3", "3", ""));
    let on_a = if sent[0].to.to_string() == A {
        sent
    } else {
        world.udp(PHONE, &request("INVITE", "c4", "4", ""))
    };
    assert_eq!(on_a[0].to.to_string(), A);
    world
        .dispatcher
        .handle_transmit_failed(world.now, on_a[0].key);
    assert_eq!(world.sent()[0].to.to_string(), B);
    assert!(
        world
            .events
            .iter()
            .any(|(e, name)| matches!(e, Event::Down { .. }) && name == "a")
    );
    for call in ["c5", "c6", "c7"] {
        assert_eq!(
            world.udp(PHONE, &request("INVITE", call, call, ""))[0]
                .to
                .to_string(),
            B
        );
    }
}

#[test]
fn what_a_target_given_up_says_late_is_seen_to() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let second = world.wait(Duration::from_secs(3));
    assert_eq!(second[0].to.to_string(), B);
    let sent = world.udp(A, &first[0].answer("180 Ringing", ""));
    assert_eq!(
        (sent[0].start().as_str(), sent[0].to.to_string().as_str()),
        ("CANCEL sip:bob@example.com SIP/2.0", A)
    );
    assert_eq!(sent.len(), 1, "the caller hears of one target");
    let sent = world.udp(A, &first[0].answer("487 Request Terminated", ""));
    assert_eq!(sent[0].start(), "ACK sip:bob@example.com SIP/2.0");
    let sent = world.udp(A, &first[0].answer("200 OK", ""));
    assert_eq!(
        (sent[0].start().as_str(), sent[0].to.to_string().as_str()),
        ("SIP/2.0 200 OK", PHONE),
        "an answer always passes"
    );
}

#[test]
fn after_the_first_ringing_a_call_stays() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    world.udp(A, &first[0].answer("100 Trying", ""));
    world.udp(A, &first[0].answer("183 Session Progress", ""));
    let sent = world.udp(A, &first[0].answer("503 Service Unavailable", ""));
    assert_eq!(
        (sent.len(), sent[0].start().as_str()),
        (1, "SIP/2.0 503 Service Unavailable")
    );
    assert_eq!(world.wait(Duration::from_secs(700)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0, "nothing is left");
}

#[test]
fn cancel_follows_its_invite() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let second = world.udp(A, &first[0].answer("503 Service Unavailable", ""));
    world.udp(B, &second[1].answer("180 Ringing", ""));
    let cancel = request("INVITE", "c1", "1", "").replace("INVITE", "CANCEL");
    let sent = world.udp(PHONE, &cancel);
    assert_eq!(sent[0].to.to_string(), B);
    assert_eq!(
        sent[0].message.via().unwrap().branch(),
        second[1].message.via().unwrap().branch()
    );
    let passed = world.udp(B, &sent[0].answer("200 OK", ""));
    assert_eq!(passed[0].to.to_string(), PHONE);
    let passed = world.udp(B, &second[1].answer("487 Request Terminated", ""));
    assert_eq!(passed[0].start(), "SIP/2.0 487 Request Terminated");
    let strange = request("INVITE", "c9", "9", "").replace("INVITE", "CANCEL");
    assert!(
        world.udp(PHONE, &strange)[0]
            .start()
            .starts_with("SIP/2.0 481")
    );
}

#[test]
fn a_call_cancelled_at_a_dead_target_ends_for_its_caller() {
    let mut world = World::new();
    world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let cancel = request("INVITE", "c1", "1", "").replace("INVITE", "CANCEL");
    world.udp(PHONE, &cancel);
    let sent = world.wait(Duration::from_millis(2_300));
    assert_eq!(
        (sent.len(), sent[0].start().as_str()),
        (1, "SIP/2.0 487 Request Terminated")
    );
}

#[test]
fn a_full_target_sends_us_to_its_peer_and_we_go() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let contact = "Contact: <sip:bob@10.0.0.2:5060?Reason=full>\r\n";
    let sent = world.udp(A, &first[0].answer("302 Moved Temporarily", contact));
    assert_eq!(sent[0].start(), "ACK sip:bob@example.com SIP/2.0");
    assert_eq!(
        (sent[1].to.to_string().as_str(), sent[1].start().as_str()),
        (B, "INVITE sip:bob@10.0.0.2:5060 SIP/2.0")
    );
    // The peer is full, too, and sends us back: nobody is bounced.
    let contact = "Contact: <sip:bob@10.0.0.1:5060>\r\n";
    let sent = world.udp(B, &sent[1].answer("302 Moved Temporarily", contact));
    assert_eq!(sent.len(), 2);
    assert!(sent[1].start().starts_with("SIP/2.0 503"));
    assert!(sent[1].message.header(HeaderName::RetryAfter).is_some());
    assert_eq!(world.dispatcher.counters().redirects, 1);
    assert_eq!(world.dispatcher.counters().refused_overloaded, 1);
}

#[test]
fn when_all_are_full_the_caller_learns_from_the_last_when_to_come_back() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let contact = "Contact: <sip:bob@10.0.0.2:5060;tandem-overflow=10.0.0.1>\r\n";
    let sent = world.udp(A, &first[0].answer("302 Moved Temporarily", contact));
    assert_eq!(
        sent[1].start(),
        "INVITE sip:bob@10.0.0.2:5060;tandem-overflow=10.0.0.1 SIP/2.0"
    );
    let sent = world.udp(
        B,
        &sent[1].answer("503 Service Unavailable", "Retry-After: 17\r\n"),
    );
    assert!(sent[1].start().starts_with("SIP/2.0 503"));
    assert_eq!(sent[1].all(HeaderName::RetryAfter), ["17"]);
}

#[test]
fn a_peer_named_by_another_port_is_the_target_of_that_host() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let contact = "Contact: <sip:bob@10.0.0.2:7777;transport=tcp>\r\n";
    let sent = world.udp(A, &first[0].answer("302 Moved Temporarily", contact));
    assert_eq!(sent[1].to.to_string(), B);
}

#[test]
fn a_peer_named_by_its_host_is_the_target_of_that_name() {
    let mut world = World::new();
    let named = crate::Target {
        host: "two.example.net".into(),
        ..target("b", B)
    };
    let now = world.now;
    let both = [target("a", A), named];
    world.dispatcher.set_targets(now, &both).unwrap();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let contact = "Contact: <sip:bob@Two.example.net;tandem-overflow=one>\r\n";
    let sent = world.udp(A, &first[0].answer("302 Moved Temporarily", contact));
    assert_eq!(sent[1].to.to_string(), B);
    assert!(sent[1].start().contains("Two.example.net"), "followed");
}

#[test]
fn a_peer_that_is_no_target_is_not_told_to_the_caller() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let contact = "Contact: <sip:bob@inner.example.net;tandem-overflow=one>\r\n";
    let sent = world.udp(A, &first[0].answer("302 Moved Temporarily", contact));
    assert_eq!(sent[1].to.to_string(), B);
    assert_eq!(sent[1].start(), "INVITE sip:bob@example.com SIP/2.0");
}

#[test]
fn redirections_elsewhere_pass_and_so_do_all_if_told() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let elsewhere = "Contact: <sip:bob@203.0.113.5>\r\n";
    let sent = world.udp(A, &first[0].answer("302 Moved Temporarily", elsewhere));
    assert_eq!(
        (sent.len(), sent[0].start().as_str()),
        (1, "SIP/2.0 302 Moved Temporarily")
    );
    let mut config = config();
    config.redirects = Redirects::Pass;
    let mut world = World::with(config);
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let sent = world.udp(
        A,
        &first[0].answer(
            "302 Moved Temporarily",
            "Contact: <sip:bob@10.0.0.2:5060>\r\n",
        ),
    );
    assert_eq!((sent.len(), sent[0].to.to_string().as_str()), (1, PHONE));
}

#[test]
fn requests_inside_calls_of_a_dead_target_go_to_a_fellow() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let routes = first[0].all(HeaderName::RecordRoute);
    world.udp(A, &first[0].answer("200 OK", ""));
    let bye = inside("BYE", "c1", &routes, Side::Caller);
    let sent = world.udp(PHONE, &bye);
    assert_eq!(sent[0].to.to_string(), A);
    // Nobody listens there any more; the caller repeats its BYE.
    world
        .dispatcher
        .handle_transmit_failed(world.now, sent[0].key);
    let sent = world.udp(PHONE, &bye);
    assert_eq!(sent[0].to.to_string(), B);
    assert_eq!(world.dispatcher.counters().stand_ins, 1);
}

#[test]
fn a_target_taken_out_keeps_its_calls() {
    let mut world = World::new();
    let first = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let routes = first[0].all(HeaderName::RecordRoute);
    world.udp(A, &first[0].answer("200 OK", ""));
    let rest: Vec<_> = world.dispatcher.targets().skip(1).cloned().collect();
    world.dispatcher.set_targets(world.now, &rest).unwrap();
    let sent = world.udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    assert_eq!(sent[0].to.to_string(), A);
}

#[test]
fn hashes_go_by_what_was_asked_for() {
    for hash_on in [
        crate::HashOn::To,
        crate::HashOn::RequestUri,
        crate::HashOn::AuthUser,
        crate::HashOn::From,
    ] {
        let mut config = config();
        config.policy.algorithm = Algorithm::Hash;
        config.hash_on = hash_on;
        let mut world = World::with(config);
        let mut seen = std::collections::BTreeSet::new();
        for user in 0..20 {
            let mut targets = std::collections::BTreeSet::new();
            for call in 0..5 {
                let text = request(
                    "INVITE",
                    &format!("{user}-{call}"),
                    &format!("{user}-{call}"),
                    &format!("Authorization: Digest realm=\"a, b\", username=\"u{user}\"\r\n"),
                );
                let text = text
                    .replace("bob@", &format!("bob{user}@"))
                    .replace("alice@example.com>;", &format!("alice{user}@example.com>;"));
                targets.insert(world.udp(PHONE, &text)[0].to);
            }
            assert_eq!(targets.len(), 1, "{hash_on:?}");
            seen.extend(targets);
        }
        assert_eq!(seen.len(), 2, "{hash_on:?}: both have some");
    }
}

#[test]
fn wishes_to_be_spared_are_heard_and_told() {
    let mut world = World::new();
    let text = request("INVITE", "c1", "1", "").replace(";rport", ";rport;oc;oc-algo=\"loss\"");
    let first = world.udp(PHONE, &text);
    let via = &first[0].all(HeaderName::Via)[0];
    assert!(via.contains(";oc;oc-algo=\"loss\""), "{via}");
    let said = via.replace(
        ";oc;oc-algo=\"loss\"",
        ";oc=100;oc-algo=\"loss\";oc-validity=5000;oc-seq=5.5",
    );
    let answer = first[0]
        .answer("486 Busy Here", "")
        .replace(via.as_str(), &said);
    let passed = world.udp(A, &answer);
    let told = &passed[0].all(HeaderName::Via)[0];
    assert!(
        told.contains(";oc=50;oc-algo=\"loss\";oc-validity=500;oc-seq="),
        "{told}"
    );
    assert!(!told.contains(";oc;"), "{told}");
    for call in ["c2", "c3"] {
        assert_eq!(
            world.udp(PHONE, &request("INVITE", call, call, ""))[0]
                .to
                .to_string(),
            B
        );
    }
}

#[test]
fn our_own_rate_is_kept() {
    let mut config = config();
    config.cps_max = 2;
    let mut world = World::with(config);
    let mut starts: Vec<String> = Vec::new();
    for call in ["c1", "c2", "c3"] {
        starts.push(world.udp(PHONE, &request("INVITE", call, call, ""))[0].start());
    }
    assert!(
        starts[2].starts_with("SIP/2.0 503") && starts[1].starts_with("INVITE"),
        "{starts:?}"
    );
    world.wait(Duration::from_secs(1));
    let sent = world.udp(PHONE, &request("INVITE", "c4", "c4", ""));
    assert!(sent[0].start().starts_with("INVITE"));
}

#[test]
fn a_target_that_no_listener_speaks_to_is_passed_over() {
    let mut world = World::new();
    let unreachable = target("six", "[2001:db8::1]:5060");
    let now = world.now;
    let both = [unreachable, target("b", B)];
    world.dispatcher.set_targets(now, &both).unwrap();
    for call in ["c1", "c2", "c3"] {
        let sent = world.udp(PHONE, &request("INVITE", call, call, ""));
        assert_eq!(sent[0].to.to_string(), B, "{call}");
    }
}

/// A host name gets one more address: the record's only target is one of two then.
#[test]
fn a_target_that_is_named_otherwise_is_the_same() {
    let mut world = World::new();
    let answered = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    assert_eq!(answered[0].to.to_string(), A);
    world.udp(A, &answered[0].answer("200 OK", ""));
    let other = world.udp(PHONE, &request("INVITE", "c2", "2", ""));
    world.udp(B, &other[0].answer("180 Ringing", ""));
    let trying = world.udp(PHONE, &request("INVITE", "c3", "3", ""));
    assert_eq!(trying[0].to.to_string(), A);
    world.udp(A, &trying[0].answer("100 Trying", ""));
    let renamed = [
        target("a@1", A),
        target("a@2", "10.0.0.3:5060"),
        target("b", B),
    ];
    world.dispatcher.set_targets(world.now, &renamed).unwrap();
    assert_eq!(world.calls("a@1"), 1, "it has its call");
    let sent = world.wait(Duration::from_secs(12));
    assert!(
        sent.iter().all(|s| !s.start().starts_with("INVITE")),
        "nobody else is called"
    );
    let passed = world.udp(A, &trying[0].answer("200 OK", ""));
    assert_eq!(passed[0].to.to_string(), PHONE);
    assert_eq!(world.calls("a@1"), 2);
    // Names may change places, too, and a set that is none changes nothing.
    let swapped = [target("a@2", A), target("a@1", "10.0.0.3:5060")];
    world.dispatcher.set_targets(world.now, &swapped).unwrap();
    assert_eq!(world.calls("a@2"), 2);
    let twice = [target("x", A), target("x", B)];
    assert!(world.dispatcher.set_targets(world.now, &twice).is_err());
    assert_eq!(world.calls("a@2"), 2);
}
