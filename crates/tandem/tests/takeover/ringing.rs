//! Calls that ring while their switch dies.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Dialog, GatewaySpec, MediaServer, Message, Peer, session, wait_for};

use crate::by_hand::{calls, cancel, insists, is_answered, lets_go};
use crate::cluster::{ALICE_HZ, BINARY, BOB_HZ, Cluster};

/// A call from alice that rings at bob, both by hand; others know of it.
struct Ringing {
    cluster: Cluster,
    alice: Peer,
    bob: Peer,
    /// Alice's.
    invite: String,
    /// As bob has it.
    invited: Message,
}

impl Ringing {
    fn begin() -> Result<Self> {
        Self::begin_with(&json!({}))
    }

    /// With these settings besides.
    fn begin_with(settings: &Value) -> Result<Self> {
        let cluster = Cluster::start()?;
        cluster.bypass_media()?;
        cluster.switches[0]
            .rest()
            .change("/v1/settings", settings)?;
        let (alice, bob) = (cluster.hand_phone("alice")?, cluster.hand_phone("bob")?);
        cluster.switches[0].wait_for_routable(2);
        let invite = calls(&cluster, &alice, "alice", "bob", &[])?;
        let invited = bob.expect_request("INVITE");
        bob.send(bob.response(&invited, "180 Ringing", "b", &[], ""))?;
        alice.expect_status(180, "INVITE");
        cluster.wait_until_known(&["alice-bob"]);
        Ok(Self {
            cluster,
            alice,
            bob,
            invite,
            invited,
        })
    }

    /// The switch dies; the survivor has the call, and bob has heard of it: nothing new.
    fn moves(&mut self) -> Result<()> {
        self.cluster.kill();
        let again = self.bob.expect_request("INVITE");
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            assert_eq!(again.header(name), self.invited.header(name), "{again:?}");
        }
        assert_eq!(again.start, self.invited.start);
        let ringing = self.bob.response(&again, "180 Ringing", "b", &[], "");
        self.bob.send(ringing)?;
        // Neither repeats what is lost on its way to the dead switch.
        self.cluster.wait_until_avoided();
        Ok(())
    }

    fn answer(&self) -> String {
        let answer = session(self.bob.address());
        self.bob
            .response(&self.invited, "200 OK", "b", &[], &answer)
    }

    fn only_cdr(&self) -> Value {
        let cdrs = self.cluster.cdrs(1);
        let [cdr] = &cdrs[..] else {
            panic!("{cdrs:?}");
        };
        cdr.clone()
    }
}

/// Ends an answered call from the callee's side.
fn hangs_up(ringing: &Ringing) -> Result<()> {
    let dialog = Dialog::of_callee(&ringing.invited, "b");
    ringing
        .bob
        .send(ringing.bob.within(&dialog, "BYE", 1, &[], ""))?;
    let invite = Message::parse(&ringing.invite).expect("we built this INVITE");
    lets_go(&ringing.alice, invite.header("Call-ID").unwrap_or_default())?;
    ringing.bob.expect_status(200, "BYE");
    Ok(())
}

#[test]
fn whoever_answers_after_the_switch_has_died_is_heard() -> Result<()> {
    let mut ringing = Ringing::begin()?;
    ringing.moves()?;
    ringing.bob.send(ringing.answer())?;
    is_answered(&ringing.alice, &ringing.invite)?;
    ringing.bob.expect_request("ACK");
    hangs_up(&ringing)?;
    let cdr = ringing.only_cdr();
    assert_eq!(
        (&cdr["outcome"], &cdr["ended_by"]),
        (&json!("answered"), &json!("callee"))
    );
    ringing.cluster.bring_back()?;
    assert_eq!(ringing.cluster.cdrs(1).len(), 1, "one call has one record");
    Ok(())
}

#[test]
fn whoever_answers_before_anybody_knows_that_the_switch_is_dead_is_heard() -> Result<()> {
    let mut ringing = Ringing::begin()?;
    ringing.cluster.kill();
    insists(&ringing.bob, &ringing.answer(), |m| m.method() == "ACK")?;
    ringing.cluster.wait_until_avoided();
    is_answered(&ringing.alice, &ringing.invite)?;
    hangs_up(&ringing)?;
    assert_eq!(ringing.only_cdr()["outcome"], "answered");
    Ok(())
}

#[test]
fn a_caller_gives_up_at_the_survivor() -> Result<()> {
    let mut ringing = Ringing::begin()?;
    ringing.moves()?;
    let is_over = |m: &Message| m.status() == Some(487);
    insists(&ringing.alice, &cancel(&ringing.invite), is_over)?;
    let cancelled = ringing.bob.expect_request("CANCEL");
    assert_eq!(cancelled.header("Via"), ringing.invited.header("Via"));
    let bob = &ringing.bob;
    bob.send(bob.response(&cancelled, "200 OK", "b", &[], ""))?;
    bob.send(bob.response(&ringing.invited, "487 Request Terminated", "b", &[], ""))?;
    bob.expect_request("ACK");
    assert_eq!(ringing.only_cdr()["outcome"], "cancelled");
    Ok(())
}

#[test]
fn a_callee_declines_at_the_survivor() -> Result<()> {
    let mut ringing = Ringing::begin()?;
    ringing.moves()?;
    let busy = ringing
        .bob
        .response(&ringing.invited, "486 Busy Here", "b", &[], "");
    ringing.bob.send(busy)?;
    ringing.bob.expect_request("ACK");
    assert_eq!(ringing.alice.refused(&ringing.invite)?.status(), Some(486));
    assert_eq!(ringing.only_cdr()["outcome"], "busy");
    Ok(())
}

#[test]
fn a_gateway_that_answers_nobody_else_is_asked_again() -> Result<()> {
    let mut cluster = Cluster::start()?;
    cluster.bypass_media()?;
    // Behind no dispatcher: those are at 127.0.0.1.
    let gateway = Peer::bound("127.0.0.2:0", cluster.switches[0].ready().sip.udp)?;
    let spec = [GatewaySpec::at(gateway.address())];
    let rest = cluster.switches[0].rest();
    rest.add_carrier("49", &spec, &json!({}))?;
    let alice = cluster.hand_phone("alice")?;
    cluster.switches[0].wait_for_routable(1);
    let invite = calls(&cluster, &alice, "alice", "4930111", &[])?;
    let rung = gateway.expect_request("INVITE");
    gateway.send(gateway.response(&rung, "180 Ringing", "g", &[], ""))?;
    alice.expect_status(180, "INVITE");
    cluster.wait_until_known(&["alice-4930111"]);
    cluster.kill();
    let gateway = gateway.towards(cluster.switches[1].ready().sip.udp);
    let cancelled = gateway.expect_request("CANCEL");
    assert_eq!(cancelled.header("Via"), rung.header("Via"));
    assert_eq!(cancelled.header("Call-ID"), rung.header("Call-ID"));
    gateway.send(gateway.response(&cancelled, "200 OK", "g", &[], ""))?;
    gateway.send(gateway.response(&rung, "487 Request Terminated", "g", &[], ""))?;
    let again = gateway.expect_request("INVITE");
    gateway.send(gateway.response(&again, "180 Ringing", "g2", &[], ""))?;
    cluster.wait_until_avoided();
    assert_ne!(again.header("Call-ID"), rung.header("Call-ID"));
    let answer = session(gateway.address());
    gateway.send(gateway.response(&again, "200 OK", "g2", &[], &answer))?;
    is_answered(&alice, &invite)?;
    let dialog = Dialog::of_callee(&again, "g2");
    gateway.send(gateway.within(&dialog, "BYE", 1, &[], ""))?;
    let invite = Message::parse(&invite).expect("we built this INVITE");
    lets_go(&alice, invite.header("Call-ID").unwrap_or_default())?;
    let cdrs = cluster.cdrs(1);
    let [cdr] = &cdrs[..] else {
        panic!("{cdrs:?}");
    };
    assert_eq!(cdr["outcome"], "answered", "{cdr}");
    Ok(())
}

/// Softphones: bob takes the call once the survivor has it.
fn softphones_talk_after_it(media: Option<&MediaServer>) -> Result<()> {
    let mut cluster = Cluster::start()?;
    if let Some(media) = media {
        cluster.use_media(media)?;
    }
    let mut alice = cluster.phone("alice", ALICE_HZ)?;
    let mut bob = cluster.phone("bob", BOB_HZ)?;
    cluster.switches[0].wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", crate::cluster::DOMAIN))?;
    bob.wait_for_incoming();
    cluster.wait_until_known(&["bob@"]);
    cluster.kill();
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    let cdrs = cluster.cdrs(1);
    let [cdr] = &cdrs[..] else {
        panic!("{cdrs:?}");
    };
    assert_eq!(cdr["outcome"], "answered", "{cdr}");
    Ok(())
}

#[test]
fn softphones_talk_although_the_switch_died_while_one_rang() -> Result<()> {
    softphones_talk_after_it(None)
}

#[test]
fn media_on_a_server_stay_there_although_the_switch_died_while_it_rang() -> Result<()> {
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    softphones_talk_after_it(Some(&media))
}

#[test]
fn it_rings_at_the_survivor_no_longer_than_it_would_have() -> Result<()> {
    let mut ringing = Ringing::begin_with(&json!({ "ring_timeout_s": 12 }))?;
    ringing.moves()?;
    let cancelled = ringing.bob.expect_request("CANCEL");
    let bob = &ringing.bob;
    bob.send(bob.response(&cancelled, "200 OK", "b", &[], ""))?;
    bob.send(bob.response(&ringing.invited, "487 Request Terminated", "b", &[], ""))?;
    bob.expect_request("ACK");
    assert_eq!(ringing.alice.refused(&ringing.invite)?.status(), Some(480));
    assert_eq!(ringing.only_cdr()["outcome"], "no-answer");
    Ok(())
}
