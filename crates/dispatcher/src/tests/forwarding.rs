//! Requests and responses that pass.

use balancer::{Admission, Event};
use sip::HeaderName;

use super::world::{A, B, PHONE, Side, World, config, inside, request};

/// A call through it, to where its INVITE went: the target, and the Record-Route.
fn set_up(world: &mut World, call: &str) -> (String, Vec<String>) {
    let sent = world.udp(PHONE, &request("INVITE", call, call, ""));
    assert_eq!(sent.len(), 1);
    let routes = sent[0].all(HeaderName::RecordRoute);
    let target = sent[0].to.to_string();
    let passed = world.udp(&target, &sent[0].answer("200 OK", ""));
    assert_eq!(passed[0].to.to_string(), PHONE);
    (target, routes)
}

#[test]
fn an_invite_goes_to_a_target_and_its_answer_comes_back() {
    let mut world = World::new();
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let invite = &sent[0];
    assert_eq!(invite.to.to_string(), A);
    assert_eq!(invite.start(), "INVITE sip:bob@example.com SIP/2.0");
    let vias = invite.all(HeaderName::Via);
    assert!(vias[0].starts_with("SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK"));
    assert!(
        vias[1].contains("rport=40000") && vias[1].contains("received=192.0.2.7"),
        "{vias:?}"
    );
    assert_eq!(invite.all(HeaderName::MaxForwards), ["69"]);
    let answer = invite.answer("180 Ringing", "");
    let passed = world.udp(A, &answer);
    assert_eq!(passed[0].to.to_string(), PHONE);
    assert_eq!(passed[0].start(), "SIP/2.0 180 Ringing");
    assert_eq!(passed[0].all(HeaderName::Via).len(), 1, "ours is gone");
    assert!(passed[0].all(HeaderName::Via)[0].contains("branch=z9hG4bK1"));
}

#[test]
fn calls_alternate_and_are_counted_until_their_bye() {
    let mut world = World::new();
    let (first, routes) = set_up(&mut world, "c1");
    let (second, _) = set_up(&mut world, "c2");
    assert_eq!([first.as_str(), second.as_str()], [A, B]);
    assert_eq!((world.calls("a"), world.calls("b")), (1, 1));
    let sent = world.udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    assert_eq!(sent[0].to.to_string(), A);
    assert!(
        sent[0].all(HeaderName::Route).is_empty(),
        "ours is taken off"
    );
    assert_eq!((world.calls("a"), world.calls("b")), (0, 1));
    let passed = world.udp(A, &sent[0].answer("200 OK", ""));
    assert_eq!(passed[0].to.to_string(), PHONE);
}

#[test]
fn both_sides_reach_each_other_and_a_restart_changes_nothing() {
    let mut world = World::new();
    let (target, routes) = set_up(&mut world, "c1");
    // Another dispatcher with the same key, and as many targets as it likes.
    let mut config = config();
    config.seed = 99;
    let mut other = World::with(config);
    let sent = other.udp(PHONE, &inside("ACK", "c1", &routes, Side::Caller));
    assert_eq!(sent[0].to.to_string(), target);
    let sent = other.udp(&target, &inside("INVITE", "c1", &routes, Side::Callee));
    assert_eq!(sent[0].to.to_string(), PHONE);
    assert_eq!(other.calls("a"), 1, "learned");
    let sent = other.udp(&target, &inside("BYE", "c1", &routes, Side::Callee));
    assert_eq!(sent[0].to.to_string(), PHONE);
    assert_eq!(other.calls("a"), 0);
}

#[test]
fn forged_and_borrowed_routes_lead_nowhere() {
    let mut world = World::new();
    let (_, routes) = set_up(&mut world, "c1");
    let flipped = routes[0].replacen("sip:d", "sip:dB", 1);
    for (routes, call) in [
        (vec![flipped], "c1"),
        (routes.clone(), "another"),
        (vec!["<sip:d@198.51.100.1:5060;lr>".to_owned()], "c1"),
        (
            vec!["<sip:pAAAAAAAAAAAAAAAAAAAA@198.51.100.1:5060;lr>".to_owned()],
            "c1",
        ),
    ] {
        let sent = world.udp(PHONE, &inside("BYE", call, &routes, Side::Caller));
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].start(), "SIP/2.0 403 Forged Route");
        let sent = world.udp(PHONE, &inside("ACK", call, &routes, Side::Caller));
        assert!(sent.is_empty(), "nobody answers an ACK");
    }
    assert_eq!(world.dispatcher.counters().forged, 8);
    let mut foreign = config();
    foreign.cluster_key = [8; 32];
    let sent = World::with(foreign).udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    assert_eq!(sent[0].start(), "SIP/2.0 403 Forged Route");
}

#[test]
fn a_plain_route_of_ours_is_taken_off_and_a_dialog_without_one_is_refused() {
    let mut world = World::new();
    let route = "Route: <sip:sip.example.com;lr>\r\n";
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", route));
    assert!(sent[0].all(HeaderName::Route).is_empty());
    let sent = world.udp(PHONE, &inside("BYE", "c1", &[], Side::Caller));
    assert!(
        sent[0].start().starts_with("SIP/2.0 481"),
        "{}",
        sent[0].start()
    );
}

#[test]
fn what_has_been_here_is_a_loop_and_hops_end() {
    let mut world = World::new();
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let text = String::from_utf8(sent[0].message.raw().to_vec()).unwrap();
    let back = text.replacen(
        "\r\nVia:",
        "\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx\r\nVia:",
        1,
    );
    let sent = world.udp(A, &back);
    assert_eq!(sent[0].start(), "SIP/2.0 482 Loop Detected");
    let spent = request("INVITE", "c2", "2", "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    let sent = world.udp(PHONE, &spent);
    assert_eq!(sent[0].start(), "SIP/2.0 483 Too Many Hops");
    let without = request("INVITE", "c3", "3", "").replace("Max-Forwards: 70\r\n", "");
    let sent = world.udp(PHONE, &without);
    assert_eq!(sent[0].all(HeaderName::MaxForwards), ["70"]);
}

#[test]
fn bad_messages_get_their_answers_and_strays_none() {
    let mut world = World::new();
    let no_call_id = request("INVITE", "c1", "1", "").replace("Call-ID: c1\r\n", "");
    assert!(
        world.udp(PHONE, &no_call_id)[0]
            .start()
            .starts_with("SIP/2.0 400")
    );
    let version = request("INVITE", "c1", "1", "").replacen("SIP/2.0\r\n", "SIP/7.0\r\n", 1);
    assert!(
        world.udp(PHONE, &version)[0]
            .start()
            .starts_with("SIP/2.0 505")
    );
    assert!(world.udp(PHONE, "what is this").is_empty());
    assert!(world.udp(PHONE, "\r\n\r\n").is_empty());
    // A response to nothing of ours, and one whose Via leads elsewhere than we sealed.
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let forged = sent[0]
        .answer("200 OK", "")
        .replace("10.9.9.9:5060", "203.0.113.9:5060");
    assert!(world.udp(A, &forged).is_empty());
    let stray = request("INVITE", "c9", "9", "").replacen(
        "INVITE sip:bob@example.com SIP/2.0",
        "SIP/2.0 200 OK",
        1,
    );
    assert!(world.udp(A, &stray).is_empty());
    assert_eq!(world.dispatcher.counters().strays, 2);
}

#[test]
fn options_to_us_are_answered_by_us() {
    let mut world = World::new();
    let ours = |text: String| text.replace("sip:bob@example.com SIP", "sip:sip.example.com SIP");
    let sent = world.udp(PHONE, &ours(request("OPTIONS", "o1", "1", "")));
    assert_eq!(
        (sent[0].to.to_string().as_str(), sent[0].start().as_str()),
        (PHONE, "SIP/2.0 200 OK")
    );
    world.drain("a");
    world.drain("b");
    let sent = world.udp(PHONE, &ours(request("OPTIONS", "o2", "2", "")));
    assert!(sent[0].start().starts_with("SIP/2.0 503"));
    assert!(sent[0].message.header(HeaderName::RetryAfter).is_some());
}

#[test]
fn draining_leaves_calls_up_and_says_when_the_last_has_left() {
    let mut world = World::new();
    let (_, routes) = set_up(&mut world, "c1");
    world.drain("a");
    for call in ["c2", "c3"] {
        assert_eq!(set_up(&mut world, call).0, B);
    }
    let told = |world: &World| {
        world
            .events
            .iter()
            .any(|(e, name)| matches!(e, Event::Drained { .. }) && name == "a")
    };
    assert!(!told(&world));
    let sent = world.udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    assert_eq!(sent[0].to.to_string(), A);
    assert!(told(&world));
}

#[test]
fn a_dispatcher_that_drains_begins_nothing_and_ends_nothing() {
    let mut world = World::new();
    let (target, routes) = set_up(&mut world, "c1");
    let ringing = world.udp(PHONE, &request("INVITE", "c2", "2", ""));
    world.dispatcher.set_admission(Admission::Draining);
    for (method, id) in [("INVITE", "c3"), ("REGISTER", "c4"), ("MESSAGE", "c5")] {
        let refused = world.udp(PHONE, &request(method, id, id, ""));
        assert_eq!(refused.len(), 1, "{method} reaches no target");
        assert_eq!(refused[0].to.to_string(), PHONE, "{method}");
        assert!(refused[0].start().starts_with("SIP/2.0 503"), "{method}");
        assert_eq!(refused[0].all(HeaderName::RetryAfter), ["5"], "{method}");
    }
    let options = request("OPTIONS", "o1", "o1", "");
    let options = options.replace("sip:bob@example.com SIP", "sip:sip.example.com SIP");
    let asked = world.udp(PHONE, &options);
    assert!(
        asked[0].start().starts_with("SIP/2.0 503"),
        "{}",
        asked[0].start()
    );
    assert_eq!(world.dispatcher.counters().refused_draining, 4);
    // What was taken before goes on: answered, hung up.
    let answered = world.udp(&ringing[0].to.to_string(), &ringing[0].answer("200 OK", ""));
    assert_eq!(answered[0].start(), "SIP/2.0 200 OK");
    let bye = world.udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    assert_eq!(bye[0].to.to_string(), target);
    world.dispatcher.set_admission(Admission::Open);
    let taken = world.udp(PHONE, &request("INVITE", "c6", "6", ""));
    assert!(
        taken[0].start().starts_with("INVITE"),
        "{}",
        taken[0].start()
    );
}

/// Targets know customers by their address, and go by what we say of it.
#[test]
fn nobody_can_say_of_himself_where_he_is() {
    let mut world = World::new();
    for (number, forged) in [
        ";received=203.0.113.5",
        ";received=203.0.113.5;rport=5060",
        ";rport=5060;received=203.0.113.5",
        ";rport",
        "",
        ";x=\"",
    ]
    .iter()
    .enumerate()
    {
        let id = format!("c{number}");
        let text = request("INVITE", &id, &id, "").replace(";rport", forged);
        for text in [
            text.replace("10.9.9.9:5060", "203.0.113.5:5060"),
            text.replace("10.9.9.9:5060", "192.0.2.7:40000")
                .replace(&id, &format!("{id}b")),
        ] {
            let sent = world.udp(PHONE, &text);
            let via = &sent[0].all(HeaderName::Via)[1];
            assert!(via.contains(";received=192.0.2.7;rport=40000"), "{via}");
            assert!(!via.contains("received=203"), "{via}");
            assert!(!via.contains("rport=5060"), "{via}");
        }
    }
}

#[test]
fn the_body_and_what_we_do_not_know_pass_untouched() {
    let mut world = World::new();
    let odd = "X-Odd:   spaced \t value\r\n  folded\r\nSubject: a, b;c\r\n";
    let body = "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n";
    let text = request("INVITE", "c1", "1", odd).replace(
        "Content-Length: 0\r\n\r\n",
        &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
    );
    let sent = world.udp(PHONE, &format!("{text}trailing rubbish"));
    let raw = String::from_utf8(sent[0].message.raw().to_vec()).unwrap();
    assert!(raw.contains(odd), "{raw}");
    assert!(raw.ends_with(&format!("\r\n\r\n{body}")), "{raw}");
}

#[test]
fn several_vias_and_routes_in_one_line_are_told_apart() {
    let mut world = World::new();
    let (_, routes) = set_up(&mut world, "c1");
    let joined = vec![format!("{}, <sip:next.example.net;lr>", routes[0])];
    let sent = world.udp(PHONE, &inside("INFO", "c1", &joined, Side::Caller));
    assert_eq!(
        sent[0].all(HeaderName::Route),
        ["<sip:next.example.net;lr>"]
    );
    let text = request("INVITE", "c2", "2", "").replace(
        ";rport",
        ";rport, SIP/2.0/UDP far.example.net;branch=z9hG4bKfar",
    );
    let sent = world.udp(PHONE, &text);
    assert_eq!(sent[0].all(HeaderName::Via).len(), 3);
    let target = sent[0].to.to_string();
    // A target that puts all of them into one line.
    let vias = sent[0].all(HeaderName::Via);
    let mut answer = sent[0].answer("486 Busy Here", "");
    for via in &vias {
        answer = answer.replace(&format!("Via: {via}\r\n"), "");
    }
    answer = answer.replacen("\r\n", &format!("\r\nv: {}\r\n", vias.join(", ")), 1);
    let passed = world.udp(&target, &answer);
    assert_eq!(passed[0].all(HeaderName::Via), vias[1..]);
}

/// Two dispatchers are behind one name, and whoever is there has the calls of both.
#[test]
fn a_name_in_record_route_leads_to_any_dispatcher_with_the_key() {
    let mut config = config();
    config.route_name = Some("edge.example.net".into());
    let mut world = World::with(config.clone());
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let routes = sent[0].all(HeaderName::RecordRoute);
    assert!(routes[0].ends_with("@edge.example.net;lr>"), "{routes:?}");
    assert!(sent[0].all(HeaderName::Via)[0].contains("198.51.100.1"));
    world.udp(A, &sent[0].answer("200 OK", ""));
    config.seed = 99;
    let mut other = World::with(config);
    let bye = inside("BYE", "c1", &routes, Side::Caller);
    assert_eq!(other.udp(PHONE, &bye)[0].to.to_string(), A);
    // The flow of a phone is held by one of them.
    let sent = world.udp(PHONE, &request("REGISTER", "r1", "r1", ""));
    assert!(sent[0].all(HeaderName::Path)[0].contains("@198.51.100.1:5060;lr"));
}

/// Its caller had the refusal, and had said the INVITE again before (RFC 3261 §17.2.1).
#[test]
fn an_invite_that_was_refused_rings_nobody_when_it_comes_again() {
    let mut world = World::new();
    let invite = request("INVITE", "c1", "1", "");
    world.dispatcher.set_admission(Admission::Draining);
    let [refused] = &world.udp(PHONE, &invite)[..] else {
        panic!("one answer");
    };
    world.dispatcher.set_admission(Admission::Open);
    let [again] = &world.udp(PHONE, &invite)[..] else {
        panic!("one answer");
    };
    for answer in [refused, again] {
        assert_eq!(answer.to.to_string(), PHONE);
        assert_eq!(answer.start(), "SIP/2.0 503 Service Unavailable");
    }
    assert_eq!(again.all(HeaderName::To), refused.all(HeaderName::To));
    let next = world.udp(PHONE, &request("INVITE", "c2", "2", ""));
    assert_ne!(next[0].to.to_string(), PHONE, "another call is taken");
}
