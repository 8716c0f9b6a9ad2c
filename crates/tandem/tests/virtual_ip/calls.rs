//! Calls through the address: those that ring while it moves, and those that come afterwards.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::{Dialog, Message, Peer, session, wait_for_within};

use crate::cluster::{Cluster, DOMAIN};
use crate::node::{SECOND, VIRTUAL};

const CUSTOMER: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 5);
/// The address has to move, and the death of its node to be noticed, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two repetitions: T1 of RFC 3261 §17.1.1.1.
const INTERVAL: Duration = Duration::from_millis(500);

/// A call from alice that rings at bob, of which the other node knows.
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
        let cluster = Cluster::start()?;
        cluster.bypass_media()?;
        let (alice, bob) = cluster.phones()?;
        let invite = cluster.alice_calls_bob(&alice)?;
        let invited = bob.expect_request("INVITE");
        bob.send(bob.response(&invited, "180 Ringing", "b", &[], ""))?;
        alice.expect_status(180, "INVITE");
        cluster.wait_until_known("alice-bob");
        Ok(Self {
            cluster,
            alice,
            bob,
            invite,
            invited,
        })
    }

    /// Bob picks up, and says so until he is heard.
    fn is_answered(&self) {
        let answer = session(self.bob.address());
        let answer = self
            .bob
            .response(&self.invited, "200 OK", "b", &[], &answer);
        wait_for_within(PATIENCE, "bob to be heard", || {
            self.bob.send(&answer).ok()?;
            let is_heard = |m: &Message| m.method() == "ACK";
            (!self.bob.stays_silent(INTERVAL, is_heard)).then_some(())
        });
    }

    /// Both are connected until bob hangs up, and there is one record of it, also when the dead node
    /// is back.
    fn comes_to_its_end(mut self) -> Result<()> {
        let (alice, bob) = (&self.alice, &self.bob);
        let answer = alice.expect_status(200, "INVITE");
        assert!(answer.body.contains(&bob.address().port().to_string()));
        alice.send(alice.ack(&self.invite, &answer))?;
        let dialog = Dialog::of_callee(&self.invited, "b");
        bob.send(bob.within(&dialog, "BYE", 1, &[], ""))?;
        let bye = alice.expect_request("BYE");
        alice.send(alice.response(&bye, "200 OK", "", &[], ""))?;
        bob.expect_status(200, "BYE");
        let cdr = self.cluster.only_cdr();
        assert_eq!(
            (&cdr["outcome"], &cdr["ended_by"]),
            (&json!("answered"), &json!("callee"))
        );
        self.cluster.first_comes_back()?;
        assert_eq!(self.cluster.only_cdr()["call"], cdr["call"]);
        Ok(())
    }
}

#[test]
fn whoever_answers_while_the_address_moves_is_connected_by_the_survivor() -> Result<()> {
    let mut ringing = Ringing::begin()?;
    ringing.cluster.first.platform.kill_9();
    ringing.is_answered();
    ringing.comes_to_its_end()
}

#[test]
fn a_phone_that_rings_on_after_the_address_has_moved_is_connected_by_the_survivor() -> Result<()> {
    let mut ringing = Ringing::begin()?;
    ringing.cluster.first_dies();
    // To the phone it is what it had.
    let again = ringing.bob.expect_request("INVITE");
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        assert_eq!(again.header(name), ringing.invited.header(name));
    }
    let bob = &ringing.bob;
    bob.send(bob.response(&again, "180 Ringing", "b", &[], ""))?;
    ringing.is_answered();
    ringing.comes_to_its_end()
}

/// What a message says of where its sender is, and where its media are.
#[track_caller]
fn assert_from_the_address(message: &Message) {
    let place = format!("{VIRTUAL}:5060");
    assert!(message.contact_uri().contains(&place), "{message:?}");
    assert_eq!(message.header("Record-Route"), None, "{message:?}");
    let media = format!("c=IN IP4 {SECOND}\r\n");
    assert!(message.body.contains(&media), "{message:?}");
}

/// Bob's phone rings and is answered; the caller hears so from the address, talks and hangs up.
fn is_taken_by_bob(bob: &Peer, caller: &Peer, invite: &str) -> Result<()> {
    let mut invited = None;
    let is_invite = |m: &Message| {
        invited = Some(m.clone());
        m.status().is_none() && m.method() == "INVITE"
    };
    if bob.stays_silent(PATIENCE, is_invite) {
        let answer = caller.expect("an answer", |m| m.status() > Some(100));
        panic!("bob heard nothing, and the caller {answer:?}");
    }
    let invited = invited.context("an INVITE")?;
    let via = invited.header("Via").unwrap_or_default();
    let ours = format!("SIP/2.0/UDP {VIRTUAL}:5060;");
    assert!(via.starts_with(&ours), "{via}");
    assert_from_the_address(&invited);
    bob.send(bob.response(&invited, "180 Ringing", "b", &[], ""))?;
    caller.expect_status(180, "INVITE");
    let answer = session(bob.address());
    bob.send(bob.response(&invited, "200 OK", "b", &[], &answer))?;
    let answer = caller.expect_status(200, "INVITE");
    assert_from_the_address(&answer);
    caller.send(caller.ack(invite, &answer))?;
    bob.expect_request("ACK");
    let dialog = Dialog::of_caller(invite, &answer);
    caller.send(caller.within(&dialog, "BYE", 9, &[], ""))?;
    let bye = bob.expect_request("BYE");
    bob.send(bob.response(&bye, "200 OK", "", &[], ""))?;
    caller.expect_status(200, "BYE");
    Ok(())
}

#[test]
fn calls_that_come_after_the_address_has_moved_go_through_it_to_phones_of_the_dead_node()
-> Result<()> {
    let mut cluster = Cluster::start()?;
    cluster
        .phones
        .run(&format!("ip address add {CUSTOMER}/24 dev eth0"))?;
    let (alice, bob) = cluster.phones()?;
    cluster.first.with(|platform| -> Result<()> {
        let rest = platform.rest();
        rest.add_customer(&format!("{CUSTOMER}/32"), &json!({}))?;
        let users = rest.list("/v1/users")?;
        let rung = users.iter().find(|user| user["name"] == "bob");
        let number = json!({
            "account": rest.account()?,
            "number": "4930111",
            "target": { "kind": "user", "user": rung.context("bob")?["id"] },
        });
        rest.create("/v1/numbers", &number)?;
        Ok(())
    })?;
    cluster.second.with(|platform| {
        wait_for_within(PATIENCE, "the number at the second", || {
            let numbers = platform.rest().list("/v1/numbers").ok()?;
            (numbers.len() == 1).then_some(())
        });
    });
    cluster.first_dies();

    let invite = cluster.alice_calls_bob(&alice)?;
    is_taken_by_bob(&bob, &alice, &invite)?;
    assert_eq!(cluster.only_cdr()["outcome"], "answered");

    let customer = cluster.peer(CUSTOMER)?;
    let offer = session(customer.address());
    let uri = format!("sip:4930111@{DOMAIN}");
    let invite = customer.request("INVITE", &uri, &[], &offer);
    customer.send(&invite)?;
    is_taken_by_bob(&bob, &customer, &invite)
}
