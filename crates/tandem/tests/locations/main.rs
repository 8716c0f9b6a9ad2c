//! Nodes that share a PostgreSQL and a Redis: a user registered at one is reached through the others,
//! whoever dies.

mod apart;
mod array;
mod cluster;
mod crowd;
mod death;

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testkit::{Peer, PhoneTransport, Platform, StreamPeer, session, wait_for};

use cluster::{ALICE_HZ, BOB_HZ, Cluster, cancel_of, forget_received, metric};

#[test]
fn phones_at_different_nodes_call_each_other() -> Result<()> {
    let cluster = Cluster::start()?;
    let mut alice = cluster.phone(0, "alice", PhoneTransport::Tcp, ALICE_HZ)?;
    let mut bob = cluster.phone(1, "bob", PhoneTransport::Udp, BOB_HZ)?;
    cluster.wait_for_routable(2);
    let domain = &cluster.nodes[0].ready().domain;
    alice.dial(&format!("sip:bob@{domain}"))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    // To the phone whose connection another node has: each side holds, and each side ends a call.
    for ends in [0, 1] {
        bob.dial(&format!("sip:alice@{domain}"))?;
        alice.wait_for_incoming();
        alice.answer()?;
        bob.wait_for_tone(ALICE_HZ);
        alice.wait_for_tone(BOB_HZ);
        let held = |node: usize| {
            let calls = cluster.nodes[node].rest().list("/v1/calls").ok()?;
            let legs = calls.first()?["legs"].as_array()?.clone();
            Some(legs.iter().filter(|leg| leg["held"] == true).count())
        };
        for phone in [&mut alice, &mut bob] {
            phone.hold()?;
            wait_for("hold", || (held(1)? == 1).then_some(()));
            phone.resume()?;
            wait_for("its end", || (held(1)? == 0).then_some(()));
        }
        let [first, second] = match ends {
            0 => [&mut alice, &mut bob],
            _ => [&mut bob, &mut alice],
        };
        first.hang_up()?;
        second.wait_for_closed();
        cluster.nodes[1].wait_until_idle();
    }
    let passed = metric(&cluster.nodes[0], "tandem_sip_passed_on_total");
    assert!(passed.is_some_and(|passed| passed >= 10.0), "{passed:?}");
    Ok(())
}

#[test]
fn a_phone_behind_a_nat_is_reached_by_the_node_that_it_registered_at() -> Result<()> {
    let cluster = Cluster::start()?;
    let phone = Peer::new(cluster.nodes[0].ready().sip.udp)?;
    let contact = "Contact: <sip:bob@10.9.8.7:5060>";
    assert_eq!(cluster.register(&phone, 0, "bob", contact)?, 200);
    phone.answer_options()?;
    cluster.wait_for_routable(1);
    let (caller, invite) = cluster.call(1, "alice", "bob")?;
    let invited = phone.expect_request("INVITE");
    assert_eq!(invited.all("Via").count(), 2, "{invited:?}");
    assert!(invited.header("Route").is_none(), "{invited:?}");
    let node = cluster.nodes[0].ready().sip.udp.to_string();
    let route = invited.header("Record-Route").unwrap_or_default();
    assert!(route.contains(&node), "{invited:?}");
    phone.send(phone.response(&invited, "486 Busy Here", "r", &[], ""))?;
    phone.expect_request("ACK");
    let refused = caller.refused(&invite)?;
    assert_eq!(refused.status(), Some(486));
    // A caller who gives up.
    let (caller, invite) = cluster.call(1, "alice", "bob")?;
    let invited = phone.expect_request("INVITE");
    phone.send(phone.response(&invited, "180 Ringing", "r", &[], ""))?;
    caller.expect_status(180, "INVITE");
    caller.send(cancel_of(&invite))?;
    let cancel = phone.expect_request("CANCEL");
    phone.send(phone.response(&cancel, "200 OK", "r", &[], ""))?;
    phone.send(phone.response(&invited, "487 Request Terminated", "r", &[], ""))?;
    phone.expect_request("ACK");
    assert_eq!(caller.refused(&invite)?.status(), Some(487));
    Ok(())
}

#[test]
fn a_phone_is_passed_on_to_another_node_inside_its_dialogs_only() -> Result<()> {
    let cluster = Cluster::start()?;
    let phone = Peer::new(cluster.nodes[0].ready().sip.udp)?;
    let contact = "Contact: <sip:bob@10.9.8.7:5060>";
    assert_eq!(cluster.register(&phone, 0, "bob", contact)?, 200);
    phone.answer_options()?;
    cluster.wait_for_routable(1);
    let (caller, invite) = cluster.call(1, "alice", "bob")?;
    let invited = phone.expect_request("INVITE");
    let header = |name: &str| invited.header(name).unwrap_or_default();
    let lines = [
        format!("Route: {}", header("Record-Route")),
        format!("Call-ID: {}", header("Call-ID")),
        format!("From: {};tag=r", header("To")),
        "User-Agent: friendly-scanner".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let uri = format!("sip:{}", cluster.nodes[1].ready().sip.udp);
    phone.send(phone.request("OPTIONS", &uri, &lines, ""))?;
    phone.expect_status(430, "OPTIONS");
    phone.send(phone.response(&invited, "486 Busy Here", "r", &[], ""))?;
    phone.expect_request("ACK");
    assert_eq!(caller.refused(&invite)?.status(), Some(486));
    Ok(())
}

#[test]
fn a_route_that_no_node_has_sealed_leads_nowhere() -> Result<()> {
    let cluster = Cluster::start()?;
    let phone = Peer::new(cluster.nodes[0].ready().sip.udp)?;
    assert_eq!(
        cluster.register(&phone, 0, "bob", "Contact: <sip:bob@10.9.8.7>")?,
        200
    );
    phone.answer_options()?;
    cluster.wait_for_routable(1);
    let stranger = Peer::new(cluster.nodes[0].ready().sip.udp)?;
    let route = format!(
        "Route: <sip:bAAAAAAAAAAAAAAAAAAAAAA@{};lr>",
        cluster.nodes[0].ready().sip.udp
    );
    let offer = session(stranger.address());
    let invite = stranger.request("INVITE", "sip:bob@10.9.8.7", &[&route], &offer);
    stranger.send(&invite)?;
    stranger.expect("a refusal", |m| m.status().is_some_and(|s| s >= 400));
    assert!(phone.stays_silent(Duration::from_millis(200), |m| m.method() == "INVITE"));
    Ok(())
}

#[test]
fn a_phone_that_moves_has_one_registration_and_one_node_that_pings_it() -> Result<()> {
    let cluster = Cluster::with(&json!({ "keep_alive_interval_s": 5 }))?;
    let phone = Peer::new(cluster.nodes[0].ready().sip.udp)?;
    let contact = "Contact: <sip:bob@10.9.8.7:5060>";
    assert_eq!(cluster.register(&phone, 0, "bob", contact)?, 200);
    phone.answer_options()?;
    cluster.wait_for_routable(1);
    let first = wait_for("its node", || cluster.holder());
    let again = Peer::new(cluster.nodes[1].ready().sip.udp)?;
    assert_eq!(cluster.register(&again, 1, "bob", contact)?, 200);
    again.answer_options()?;
    let second = wait_for("its new node", || {
        cluster.holder().filter(|holder| *holder != first)
    });
    assert_ne!(first, second);
    cluster.wait_for_routable(1);
    let options = |m: &testkit::Message| m.method() == "OPTIONS";
    forget_received(&phone);
    again.answer_options()?;
    let quiet = phone.stays_silent(Duration::from_millis(100), options);
    assert!(quiet, "its first node leaves it alone");
    // Taken back at the first, it is gone at both.
    let gone = "Contact: <sip:bob@10.9.8.7:5060>;expires=0";
    assert_eq!(cluster.register(&phone, 0, "bob", gone)?, 200);
    wait_for("no registration", || {
        let mut all = cluster.nodes.iter().flat_map(Platform::registrations);
        all.next().is_none().then_some(())
    });
    Ok(())
}

#[test]
fn the_number_of_contacts_counts_over_both_nodes() -> Result<()> {
    let settings = json!({ "contacts_max": 2, "verify_bindings": false });
    let cluster = Cluster::with(&settings)?;
    let phones = [0, 1, 1].map(|node| (node, Peer::new(cluster.nodes[node].ready().sip.udp)));
    let mut statuses = Vec::new();
    for (n, (node, phone)) in phones.into_iter().enumerate() {
        let phone = phone?;
        let contact = format!("Contact: <sip:bob@{}>", phone.address());
        statuses.push(cluster.register(&phone, node, "bob", &contact)?);
        if n < 2 {
            cluster.wait_for_routable(n + 1);
        }
    }
    assert_eq!(statuses, [200, 200, 403]);
    Ok(())
}

#[test]
fn a_websocket_at_one_node_is_called_through_the_other() -> Result<()> {
    let cluster = Cluster::start()?;
    let ready = cluster.nodes[0].ready();
    let mut browser = StreamPeer::websocket(ready.sip.ws)?;
    let uri = format!("sip:{}", ready.domain);
    let lines = [
        format!("To: <sip:bob@{}>", ready.domain),
        format!("From: <sip:bob@{}>;tag=ws", ready.domain),
        "Contact: <sip:bob@df7jal23ls0d.invalid;transport=ws>;expires=600".to_owned(),
        "Call-ID: websocket-1".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    browser.send(browser.request("REGISTER", &uri, &lines, ""))?;
    let challenge = browser.expect_status(401, "REGISTER");
    let challenge = challenge.header("WWW-Authenticate").unwrap_or_default();
    let who = cluster.credentials("bob");
    let value = testkit::authorization(&who, challenge, "REGISTER", &uri);
    let header = format!("Authorization: {value}");
    let mut again = lines.clone();
    again.extend(["CSeq: 2 REGISTER", header.as_str()]);
    browser.send(browser.request("REGISTER", &uri, &again, ""))?;
    browser.expect_status(200, "REGISTER");
    cluster.wait_for_routable(1);
    let (caller, invite) = cluster.call(1, "alice", "bob")?;
    let invited = browser.expect("INVITE", |m| m.method() == "INVITE" && m.status().is_none());
    assert!(
        invited.start.contains("df7jal23ls0d.invalid"),
        "{invited:?}"
    );
    assert_eq!(
        invited.all("Record-Route").count(),
        2,
        "one for each side: {invited:?}"
    );
    // The connection ends: so does the registration, everywhere.
    drop(browser);
    wait_for("no registration", || {
        let mut all = cluster.nodes.iter().flat_map(Platform::registrations);
        all.next().is_none().then_some(())
    });
    caller.send(cancel_of(&invite))?;
    Ok(())
}

#[test]
fn registrations_that_are_kept_local_are_not_known_elsewhere() -> Result<()> {
    let settings = json!({ "verify_bindings": false });
    let cluster = Cluster::of_options(2, &settings, &["--registrations", "local"])?;
    let phone = cluster.bob(0)?;
    let phones = [phone];
    cluster.call_all(0, &phones)?;
    let (caller, invite) = cluster.call(1, "alice", "bob")?;
    assert_eq!(caller.refused(&invite)?.status(), Some(480));
    assert_eq!(metric(&cluster.nodes[1], "tandem_locations_complete"), None);
    assert!(cluster.nodes[1].registrations().is_empty());
    Ok(())
}
