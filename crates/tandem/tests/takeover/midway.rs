//! Switches that die in the middle of something: a transfer, an interval of a session timer, or a call
//! that has moved before.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use testkit::{Dialog, GatewaySpec, MediaServer, Message, Peer, session, wait_for_within};

use crate::by_hand::{calls, is_answered, lets_go, takes};
use crate::cluster::{ALICE_HZ, BINARY, BOB_HZ, Cluster, DOMAIN, metric, only_answered, talked_us};

/// Takes the next re-INVITE, once it describes the other's media.
fn is_told_of(peer: &Peer, other: &Peer) -> Result<()> {
    let port = format!("m=audio {} ", other.address().port());
    let describes = |m: &Message| m.method() == "INVITE" && m.body.contains(&port);
    let invited = peer.expect("a re-INVITE with the other's media", |m| {
        m.status().is_none() && describes(m)
    });
    peer.send(peer.response(&invited, "200 OK", "", &[], &session(peer.address())))?;
    peer.expect_request("ACK");
    Ok(())
}

/// Alice talks to bob, both by hand; and a gateway of a carrier that takes all numbers.
struct Parties {
    alice: Peer,
    bob: Peer,
    gateway: Peer,
    /// Alice's.
    dialog: Dialog,
    /// Call-ID of bob's.
    bobs: String,
}

fn talking(cluster: &Cluster) -> Result<Parties> {
    cluster.bypass_media()?;
    let gateway = Peer::new(cluster.switches[0].ready().sip.udp)?;
    let spec = [GatewaySpec::at(gateway.address())];
    cluster.switches[0]
        .rest()
        .add_carrier("49", &spec, &json!({}))?;
    let (alice, bob) = (cluster.hand_phone("alice")?, cluster.hand_phone("bob")?);
    cluster.switches[0].wait_for_routable(2);
    let invite = calls(cluster, &alice, "alice", "bob", &[])?;
    let bobs = takes(&bob, "b")?.call_id;
    let dialog = is_answered(&alice, &invite)?;
    Ok(Parties {
        alice,
        bob,
        gateway,
        dialog,
        bobs,
    })
}

#[test]
fn a_blind_transfer_under_way_comes_to_its_end() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let Parties {
        alice,
        bob,
        gateway,
        dialog,
        bobs,
    } = talking(&cluster)?;
    let answered = Instant::now();
    let refer_to = format!("Refer-To: <sip:4930111@{DOMAIN}>");
    alice.send(alice.within(&dialog, "REFER", 3, &[&refer_to], ""))?;
    alice.expect_status(202, "REFER");
    let rung = gateway.expect_request("INVITE");
    gateway.send(gateway.response(&rung, "180 Ringing", "g", &[], ""))?;
    cluster.wait_until_known(&["4930111"]);
    cluster.kill();
    // It hears of the call again, from the survivor.
    let gateway = gateway.towards(cluster.switches[1].ready().sip.udp);
    let again = gateway.expect("the survivor's INVITE", |m| {
        m.method() == "INVITE" && m.header("Call-ID") != rung.header("Call-ID")
    });
    let answer = session(gateway.address());
    gateway.send(gateway.response(&again, "200 OK", "g2", &[], &answer))?;
    is_told_of(&bob, &gateway)?;
    lets_go(&alice, &dialog.call_id)?;
    let outside = Dialog::of_callee(&again, "g2");
    gateway.send(gateway.within(&outside, "BYE", 1, &[], ""))?;
    gateway.expect_status(200, "BYE");
    lets_go(&bob, &bobs)?;
    let talked = answered.elapsed();
    let cdrs = cluster.cdrs(1);
    let [cdr] = &cdrs[..] else {
        panic!("{cdrs:?}");
    };
    assert_eq!(cdr["outcome"], "answered", "{cdr}");
    assert!(
        u128::from(talked_us(cdr)) + 500_000 >= talked.as_micros(),
        "{cdr}"
    );
    Ok(())
}

#[test]
fn an_attended_transfer_under_way_comes_to_its_end() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let Parties {
        alice,
        bob,
        gateway,
        dialog: with_bob,
        bobs,
    } = talking(&cluster)?;
    let invite = calls(&cluster, &alice, "alice", "4930222", &[])?;
    let outside = takes(&gateway, "g")?;
    let with_gateway = is_answered(&alice, &invite)?;
    let replaces = format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        with_gateway.call_id.replace('@', "%40"),
        with_gateway.remote_tag,
        with_gateway.local_tag
    );
    let refer_to = format!("Refer-To: <sip:4930222@{DOMAIN}?Replaces={replaces}>");
    alice.send(alice.within(&with_bob, "REFER", 3, &[&refer_to], ""))?;
    alice.expect_status(202, "REFER");
    lets_go(&alice, &with_gateway.call_id)?;
    // The gateway is told of bob's media, and says nothing yet.
    let told = gateway.expect_request("INVITE");
    assert!(!told.to_tag().is_empty(), "{told:?}");
    let place = format!("peer@{}", gateway.address());
    cluster.wait_until_known(&["alice-bob", &place]);
    cluster.kill();
    let gateway = gateway.towards(cluster.switches[1].ready().sip.udp);
    is_told_of(&gateway, &bob)?;
    is_told_of(&bob, &gateway)?;
    lets_go(&alice, &with_bob.call_id)?;
    gateway.send(gateway.within(&outside, "BYE", 1, &[], ""))?;
    gateway.expect_status(200, "BYE");
    lets_go(&bob, &bobs)?;
    // Alice's two calls.
    let cdrs = cluster.cdrs(1);
    for cdr in &cdrs {
        assert_eq!(cdr["outcome"], "answered", "{cdr}");
    }
    Ok(())
}

#[test]
fn a_peer_that_falls_silent_ends_the_call_at_the_survivor() -> Result<()> {
    let mut cluster = Cluster::start()?;
    cluster.bypass_media()?;
    let (alice, bob) = (cluster.hand_phone("alice")?, cluster.hand_phone("bob")?);
    cluster.switches[0].wait_for_routable(2);
    let timer = ["Supported: timer", "Session-Expires: 90;refresher=uac"];
    let invite = calls(&cluster, &alice, "alice", "bob", &timer)?;
    takes(&bob, "b")?;
    is_answered(&alice, &invite)?;
    let answered = Instant::now();
    cluster.wait_until_known(&["alice-bob"]);
    cluster.kill();
    cluster.owner(&[1]);
    // Alice owes a refresh, and is never heard again.
    let ends = |peer: &Peer| {
        wait_for_within(Duration::from_secs(100), "the end", || {
            let is_bye = |m: &Message| m.status().is_none() && m.method() == "BYE";
            (!peer.stays_silent(Duration::from_millis(100), is_bye)).then_some(())
        });
    };
    ends(&bob);
    ends(&alice);
    let talked = answered.elapsed();
    assert!(
        talked >= Duration::from_secs(50),
        "it was not her turn yet: {talked:?}"
    );
    let cdrs = wait_for_within(Duration::from_secs(60), "the CDR", || {
        let cdrs = cluster.switches[1].rest().list("/v1/cdrs").ok()?;
        (!cdrs.is_empty()).then_some(cdrs)
    });
    let [cdr] = &cdrs[..] else {
        panic!("{cdrs:?}");
    };
    assert_eq!(cdr["outcome"], "answered", "{cdr}");
    let us = u128::from(talked_us(cdr));
    assert!(
        us.abs_diff(talked.as_micros()) < 1_000_000,
        "{talked:?}: {cdr}"
    );
    Ok(())
}

#[test]
fn a_call_moves_twice() -> Result<()> {
    let mut cluster = Cluster::of(3)?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let (mut alice, mut bob) = cluster.talking()?;
    let answered = Instant::now();
    cluster.kill();
    let second = cluster.owner(&[1, 2]);
    alice.wait_for_tone(BOB_HZ);
    cluster.switches[second].kill_9();
    let third = cluster.owner(&[3 - second]);
    assert_eq!(
        metric(&cluster.switches[third], "tandem_calls_taken_over_total"),
        1
    );
    alice.hold()?;
    alice.resume()?;
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    let talked = answered.elapsed();
    bob.hang_up()?;
    alice.wait_for_closed();
    let cdrs = cluster.cdrs_of(third, 1);
    let cdr = only_answered(&cdrs, "callee");
    assert!(u128::from(talked_us(cdr)) >= talked.as_micros(), "{cdr}");
    Ok(())
}
