//! A caller on TCP, who says everything once, and whose switch dies over the call.

use anyhow::{Context as _, Result};
use testkit::{Dialog, Message, Peer, StreamPeer, session, wait_for};

use crate::cluster::{Cluster, DOMAIN, only_answered};

/// A cluster, a caller on TCP, and the phone that is called.
struct Call {
    cluster: Cluster,
    alice: StreamPeer,
    bob: Peer,
    /// Alice's, with credentials.
    invite: String,
}

impl Call {
    /// Alice has been challenged, and is about to call; the dispatcher reaches the switches over this
    /// transport.
    fn about_to_be(transport: &str) -> Result<Self> {
        let cluster = Cluster::reached_over(transport, 2)?;
        cluster.bypass_media()?;
        let bob = cluster.hand_phone("bob")?;
        for switch in &cluster.switches {
            switch.wait_for_routable(1);
        }
        let mut alice = StreamPeer::tcp(cluster.dispatcher.sip().tcp)?;
        let from = format!("From: <sip:alice@{DOMAIN}>;tag=alice-bob");
        let offer = session("127.0.0.1:40000".parse()?);
        let first = alice.request("INVITE", &format!("sip:bob@{DOMAIN}"), &[&from], &offer);
        alice.send(&first)?;
        let refusal = alice.expect_status(407, "INVITE");
        alice.send(alice.ack(&first, &refusal))?;
        let who = cluster.switches[0].ready().credentials("alice");
        let invite = alice.answer_challenge(&who, &first, &refusal, &offer);
        Ok(Self {
            cluster,
            alice,
            bob,
            invite,
        })
    }

    /// Calls that the first switch was chosen for.
    fn chosen(&self) -> Result<u64> {
        let chosen = self.cluster.dispatcher.target("s0")["chosen_total"].as_u64();
        chosen.context("no count of choices")
    }

    /// Bob takes this INVITE; alice has heard of nothing but that, talks and hangs up; there is one
    /// record of an answered call.
    fn take(mut self, invited: &Message) -> Result<()> {
        let answer = session(self.bob.address());
        let answer = self.bob.response(invited, "200 OK", "b", &[], &answer);
        self.bob.send(answer)?;
        let is_final = |m: &Message| m.method() == "INVITE" && m.status() >= Some(200);
        let answer = self.alice.expect("the answer", is_final);
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        self.alice.send(self.alice.ack(&self.invite, &answer))?;
        self.bob.expect_request("ACK");
        let dialog = Dialog::of_caller(&self.invite, &answer);
        self.alice.send(self.alice.within(&dialog, "BYE", 9))?;
        let bye = self.bob.expect_request("BYE");
        self.bob
            .send(self.bob.response(&bye, "200 OK", "", &[], ""))?;
        self.alice.expect_status(200, "BYE");
        only_answered(&self.cluster.cdrs(1), "caller");
        Ok(())
    }
}

/// The first switch takes what is sent to it, and dies before it has looked at it.
fn dies_before_it_says_anything(transport: &str) -> Result<()> {
    let mut call = Call::about_to_be(transport)?;
    let before = call.chosen()?;
    call.cluster.switches[0].program().hang()?;
    call.alice.send(&call.invite)?;
    wait_for("the first to be asked", || {
        (call.chosen().ok()? > before).then_some(())
    });
    call.cluster.kill();
    let invited = call.bob.expect_request("INVITE");
    let ringing = call.bob.response(&invited, "180 Ringing", "b", &[], "");
    call.bob.send(ringing)?;
    call.alice.expect_status(180, "INVITE");
    call.take(&invited)
}

#[test]
fn an_invite_over_tcp_that_dies_with_its_switch_is_sent_to_another() -> Result<()> {
    dies_before_it_says_anything("tcp")
}

#[test]
fn an_invite_over_tcp_that_dies_with_its_switch_behind_udp_is_sent_to_another() -> Result<()> {
    dies_before_it_says_anything("udp")
}

#[test]
fn a_caller_on_tcp_who_has_heard_100_is_called_for_by_another_switch() -> Result<()> {
    let mut call = Call::about_to_be("tcp")?;
    call.alice.send(&call.invite)?;
    call.alice.expect_status(100, "INVITE");
    let lost = call.bob.expect_request("INVITE");
    call.cluster.kill();
    let is_new = |m: &Message| {
        m.method() == "INVITE"
            && m.status().is_none()
            && m.header("Call-ID") != lost.header("Call-ID")
    };
    let invited = call.bob.expect("the other's INVITE", is_new);
    call.take(&invited)
}

/// Alice hears that it rings, the switch dies, and bob's phone rings on or again.
fn dies_while_it_rings(transport: &str) -> Result<()> {
    let mut call = Call::about_to_be(transport)?;
    call.alice.send(&call.invite)?;
    let rung = call.bob.expect_request("INVITE");
    call.bob
        .send(call.bob.response(&rung, "180 Ringing", "b", &[], ""))?;
    call.alice.expect_status(180, "INVITE");
    call.cluster.wait_until_known(&["alice-bob"]);
    call.cluster.kill();
    let again = call.bob.expect_request("INVITE");
    // What went to the dispatcher over TCP is asked anew, for nobody can say it over that connection.
    let is_same = again.header("Call-ID") == rung.header("Call-ID");
    assert_eq!(is_same, transport == "udp", "{again:?}");
    call.bob
        .send(call.bob.response(&again, "180 Ringing", "b", &[], ""))?;
    call.cluster.wait_until_avoided();
    call.take(&again)
}

#[test]
fn a_caller_on_tcp_who_has_heard_that_it_rings_is_answered_through_another_switch() -> Result<()> {
    dies_while_it_rings("tcp")
}

#[test]
fn a_caller_on_tcp_behind_udp_who_has_heard_that_it_rings_is_answered_through_another_switch()
-> Result<()> {
    dies_while_it_rings("udp")
}
