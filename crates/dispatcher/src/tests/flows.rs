//! Phones on streams: their flows, and what is repeated for them.

use std::time::Duration;

use sip::{ConnId, HeaderName};

use super::world::{A, PHONE, Side, World, config, inside, request, secure, tls};

/// A registration over TLS; its Path.
fn register(world: &mut World, conn: u64) -> String {
    world.dispatcher.handle_opened(tls(conn));
    let sent = world.tls(
        conn,
        &secure(&request(
            "REGISTER",
            "r1",
            "r1",
            "Supported: path, outbound\r\n",
        )),
    );
    let path = sent[0].message.header_named("Path");
    assert!(path.is_none(), "a name we know");
    let path = sent[0].all(HeaderName::Path).remove(0);
    let target = sent[0].to.to_string();
    let passed = world.udp(&target, &sent[0].answer("200 OK", ""));
    assert_eq!(passed[0].conn, Some(ConnId(conn)));
    path
}

#[test]
fn a_phone_behind_tls_is_reached_through_its_path() {
    let mut world = World::new();
    let path = register(&mut world, 5);
    assert!(path.ends_with("@198.51.100.1:5060;lr;ob>"), "{path}");
    let invite = request("INVITE", "c1", "i1", &format!("Route: {path}\r\n"));
    let sent = world.udp(A, &invite);
    assert_eq!(sent[0].conn, Some(ConnId(5)));
    let routes = sent[0].all(HeaderName::RecordRoute);
    assert_eq!(routes.len(), 2, "one for each side");
    assert!(routes[0].contains(":5061;transport=tls;lr"), "{routes:?}");
    assert!(routes[1].contains(":5060;lr"), "{routes:?}");
    let passed = world.tls(5, &sent[0].answer("200 OK", ""));
    assert_eq!(passed[0].to.to_string(), A);
    // Inside, both ways. The phone has the routes in reverse of the order the caller has.
    let bye = inside("BYE", "c1", &routes, Side::Callee);
    let sent = world.tls(5, &secure(&bye));
    assert_eq!(sent[0].to.to_string(), A);
    assert!(sent[0].all(HeaderName::Route).is_empty(), "both are ours");
    let reversed: Vec<_> = routes.iter().rev().cloned().collect();
    let sent = world.udp(A, &inside("INFO", "c1", &reversed, Side::Caller));
    assert_eq!(sent[0].conn, Some(ConnId(5)));
}

#[test]
fn a_flow_that_is_gone_fails_and_none_is_made_up() {
    let mut world = World::new();
    let path = register(&mut world, 5);
    world.dispatcher.handle_closed(tls(5));
    let invite = request("INVITE", "c1", "i1", &format!("Route: {path}\r\n"));
    let sent = world.udp(A, &invite);
    assert_eq!(sent[0].start(), "SIP/2.0 430 Flow Failed");
    // Another start has other connections, even under the same number.
    let mut config = config();
    config.seed = 2;
    let mut other = World::with(config);
    other.dispatcher.handle_opened(tls(5));
    let sent = other.udp(A, &invite);
    assert_eq!(sent[0].start(), "SIP/2.0 430 Flow Failed");
}

#[test]
fn a_phone_on_udp_is_reached_where_its_nat_is() {
    let mut world = World::new();
    let sent = world.udp("192.0.2.7:40000", &request("REGISTER", "r1", "r1", ""));
    let path = sent[0].all(HeaderName::Path).remove(0);
    let invite = request("INVITE", "c1", "i1", &format!("Route: {path}\r\n"));
    let sent = world.udp(A, &invite);
    assert_eq!(sent[0].to.to_string(), "192.0.2.7:40000");
    assert_eq!(sent[0].all(HeaderName::RecordRoute).len(), 1);
}

/// Who speaks over a stream repeats nothing: over UDP it must be done for it (RFC 3261 §17.1).
#[test]
fn requests_from_streams_are_repeated_over_udp_until_answered() {
    let mut world = World::new();
    world.dispatcher.handle_opened(tls(5));
    let sent = world.tls(5, &secure(&request("INVITE", "c1", "1", "")));
    let target = sent[0].to.to_string();
    let repeated = world.wait(Duration::from_millis(1_600));
    assert_eq!(repeated.len(), 2, "after 0.5 and 1.5 s");
    assert_eq!(repeated[0].message.raw(), sent[0].message.raw());
    let routes = sent[0].all(HeaderName::RecordRoute);
    world.udp(&target, &sent[0].answer("200 OK", ""));
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    // Inside a dialog as well, until there is an answer.
    let reversed: Vec<_> = routes.iter().rev().cloned().collect();
    let bye = world.tls(5, &secure(&inside("BYE", "c1", &reversed, Side::Caller)));
    assert_eq!(world.wait(Duration::from_millis(600)).len(), 1);
    let passed = world.udp(&target, &bye[0].answer("200 OK", ""));
    assert_eq!(passed[0].conn, Some(ConnId(5)));
    assert_eq!(world.wait(Duration::from_secs(60)).len(), 0);
    assert_eq!(world.dispatcher.pending_count(), 0);
}

/// The switch leaves phones behind a Path to whoever holds their flow.
#[test]
fn phones_on_udp_are_kept_alive_as_long_as_they_are_registered() {
    let mut world = World::new();
    let register = |world: &mut World, branch: &str, contact: &str| {
        let sent = world.udp(PHONE, &request("REGISTER", "r1", branch, ""));
        world.udp(&sent[0].to.to_string(), &sent[0].answer("200 OK", contact));
    };
    register(
        &mut world,
        "r1",
        "Contact: <sip:alice@10.9.9.9>;expires=120\r\n",
    );
    assert_eq!(world.dispatcher.flow_count(), 1);
    world.wait(Duration::from_secs(110));
    assert_eq!(world.pulses, [PHONE.parse().unwrap(); 4]);
    // Its next registration holds it on, the one that takes it back ends it.
    register(
        &mut world,
        "r2",
        "Contact: <sip:alice@10.9.9.9>\r\nExpires: 60\r\n",
    );
    world.wait(Duration::from_secs(50));
    assert_eq!(world.pulses.len(), 6);
    register(&mut world, "r3", "");
    world.wait(Duration::from_secs(600));
    assert_eq!(world.pulses.len(), 6);
    assert_eq!(world.dispatcher.flow_count(), 0);
}

/// A user has several phones, and an answer lists the contacts of all of them.
#[test]
fn a_phone_that_has_left_is_not_kept_alive_for_the_sake_of_another() {
    let mut world = World::new();
    let other = "<sip:alice@10.8.8.8:5062>;expires=3600";
    let mut register = |branch: &str, more: &str, contacts: &str| {
        let sent = world.udp(PHONE, &request("REGISTER", "r1", branch, more));
        let contacts = format!("Contact: {contacts}\r\n");
        world.udp(
            &sent[0].to.to_string(),
            &sent[0].answer("200 OK", &contacts),
        );
        world.wait(Duration::from_secs(60));
        std::mem::take(&mut world.pulses).len()
    };
    let both = format!("<sip:alice@10.9.9.9>;expires=120, {other}");
    assert_eq!(register("r1", "", &both), 2);
    assert_eq!(register("r2", "Expires: 0\r\n", other), 0);
    assert_eq!(world.dispatcher.flow_count(), 0);
}

/// A phone has several lines, and so has a PBX: one of them leaves, and the others stay.
#[test]
fn a_line_that_leaves_does_not_take_the_others_of_its_phone_along() {
    let mut world = World::new();
    let mut register = |user: &str, branch: &str, more: &str, expires: u32| {
        let text = request("REGISTER", user, branch, more);
        let text = text
            .replace("alice", user)
            .replace("sip:bob@", &format!("sip:{user}@"));
        let sent = world.udp(PHONE, &text);
        let contact = format!("Contact: <sip:{user}@10.9.9.9>;expires={expires}\r\n");
        let contact = if expires > 0 { contact } else { String::new() };
        world.udp(&sent[0].to.to_string(), &sent[0].answer("200 OK", &contact));
        world.wait(Duration::from_secs(60));
        std::mem::take(&mut world.pulses).len()
    };
    assert!(register("u1", "r1", "", 3_600) > 0);
    assert!(register("u2", "r2", "", 3_600) > 0);
    assert!(register("u2", "r3", "Expires: 0\r\n", 0) > 0, "u1 is there");
    assert_eq!(register("u1", "r4", "Expires: 0\r\n", 0), 0);
    assert_eq!(world.dispatcher.flow_count(), 0);
}
