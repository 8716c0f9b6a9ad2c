//! Ways to clients: where they said, or where their requests came from.

use sip::{ConnId, HeaderName, Transport};

use super::world::{A, B, PHONE, Side, World, inside, request, secure, tls};

/// What sends the requests of others.
const PROXY: &str = "192.0.2.9:5060";

/// A call that came through a proxy, with the Via of its caller below the proxy's; its
/// Record-Route.
fn through_proxy(world: &mut World) -> Vec<String> {
    let invite = request("INVITE", "c1", "1", "").replacen(
        "Via: ",
        "Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKproxy\r\nVia: ",
        1,
    );
    let sent = world.udp(PROXY, &invite);
    let target = sent[0].to.to_string();
    assert_eq!(target, A);
    world.udp(&target, &sent[0].answer("200 OK", ""));
    sent[0].all(HeaderName::RecordRoute)
}

/// A request of the callee, with another request URI and a Route behind ours.
fn of_callee(routes: &[String], uri: &str, route: &str) -> String {
    let mut routes = routes.to_vec();
    routes.extend((!route.is_empty()).then(|| route.to_owned()));
    inside("BYE", "c1", &routes, Side::Callee)
        .replace("sip:bob@example.com SIP", &format!("{uri} SIP"))
}

#[test]
fn requests_go_where_the_next_route_or_the_request_uri_leads() {
    let mut world = World::new();
    let routes = through_proxy(&mut world);
    let mut to = |uri: &str, route: &str| {
        let sent = world.udp(A, &of_callee(&routes, uri, route));
        (sent[0].to.to_string(), sent[0].transport)
    };
    let uri = "sip:alice@203.0.113.5:5062";
    assert_eq!(
        to(uri, "<sip:203.0.113.7:5080;lr>"),
        ("203.0.113.7:5080".into(), Transport::Udp)
    );
    assert_eq!(to(uri, ""), ("203.0.113.5:5062".into(), Transport::Udp));
    let secure = "sip:alice@203.0.113.5;transport=tls";
    assert_eq!(to(secure, ""), ("203.0.113.5:5061".into(), Transport::Tls));
    // Names are for resolvers, and private addresses for those on the same network.
    for uri in [
        "sip:alice@pbx.example.com",
        "sip:alice@10.9.9.9",
        "sip:alice@0.0.0.0:5062",
        "sip:alice@127.0.0.1:8090",
    ] {
        assert_eq!(to(uri, ""), (PROXY.into(), Transport::Udp));
    }
}

#[test]
fn a_phone_behind_a_nat_is_where_its_requests_come_from() {
    let mut world = World::new();
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let routes = sent[0].all(HeaderName::RecordRoute);
    world.udp(A, &sent[0].answer("200 OK", ""));
    let sent = world.udp(A, &of_callee(&routes, "sip:alice@203.0.113.5:5062", ""));
    assert_eq!(sent[0].to.to_string(), PHONE);
}

#[test]
fn nobody_but_targets_says_where_requests_go() {
    let mut world = World::new();
    let routes = through_proxy(&mut world);
    let request = of_callee(&routes, "sip:alice@203.0.113.5:5062", "");
    let sent = world.udp("192.0.2.66:5060", &request);
    assert_eq!(sent[0].to.to_string(), PROXY);
    let sent = world.udp(B, &request);
    assert_eq!(
        sent[0].to.to_string(),
        "203.0.113.5:5062",
        "it has taken the call over"
    );
}

#[test]
fn a_peer_that_has_closed_its_connection_is_called() {
    let mut world = World::new();
    world.dispatcher.handle_opened(tls(5));
    // It listens on 5071, by its own word, and calls from another port.
    let invite =
        secure(&request("INVITE", "c1", "1", "")).replace("10.9.9.9:5061", "192.0.2.7:5071");
    let sent = world.tls(5, &invite);
    let routes = sent[0].all(HeaderName::RecordRoute);
    let uri = "sip:alice@192.0.2.7:5071;transport=tls";
    let bye = of_callee(&routes, uri, "");
    assert_eq!(world.udp(A, &bye)[0].conn, Some(ConnId(5)), "it is there");
    world.dispatcher.handle_closed(tls(5));
    let passed = world.udp(A, &sent[0].answer("200 OK", ""));
    assert_eq!(
        (passed[0].conn, passed[0].to.to_string()),
        (None, "192.0.2.7:5071".into())
    );
    let sent = world.udp(A, &bye);
    assert_eq!(
        (sent[0].conn, sent[0].to.to_string()),
        (None, "192.0.2.7:5071".into())
    );
}

#[test]
fn a_target_taken_out_is_known_by_its_certificate() {
    let mut world = World::with_secure_target();
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    assert_eq!(sent[0].name, "a.example.com");
    let routes = sent[0].all(HeaderName::RecordRoute);
    let routes: Vec<_> = routes.into_iter().rev().collect();
    world.tls_from(9, A, &sent[0].answer("200 OK", ""));
    let now = world.now;
    world.dispatcher.set_targets(now, &[]).unwrap();
    let sent = world.udp(PHONE, &inside("BYE", "c1", &routes, Side::Caller));
    assert_eq!(
        (sent[0].to.to_string().as_str(), sent[0].name.as_str()),
        (A, "a.example.com")
    );
}

/// Old devices do not ask for `rport`, and stand behind NATs all the same.
#[test]
fn a_phone_that_names_a_private_address_is_where_its_requests_come_from() {
    let mut world = World::new();
    let asks_nothing = |text: String| text.replace(";rport", "");
    let sent = world.udp(PHONE, &asks_nothing(request("REGISTER", "r1", "1", "")));
    let path = sent[0].all(HeaderName::Path).remove(0);
    let passed = world.udp(&sent[0].to.to_string(), &sent[0].answer("200 OK", ""));
    assert_eq!(passed[0].to.to_string(), PHONE);
    let invite = request("INVITE", "c1", "2", &format!("Route: {path}\r\n"));
    assert_eq!(world.udp(A, &invite)[0].to.to_string(), PHONE);
    // Who names the address he has is at the port he names (RFC 3261 §18.2.2).
    let open =
        asks_nothing(request("OPTIONS", "o1", "3", "")).replace("10.9.9.9:5060", "192.0.2.7");
    let sent = world.udp(PHONE, &open);
    let passed = world.udp(&sent[0].to.to_string(), &sent[0].answer("200 OK", ""));
    assert_eq!(passed[0].to.to_string(), "192.0.2.7:5060");
}
