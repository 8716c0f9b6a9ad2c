//! Takeovers of which not all know what they should: words of Redis are lost, it is emptied, a switch
//! hangs behind an API that answers, and nobody notices that a node has been started again.

use anyhow::Result;
use testkit::{Dialog, Peer, wait_for};

use crate::by_hand::{calls, insists, is_answered, lets_go, takes};
use crate::cluster::{CALLS_KNOWN, Cluster, metric, only_answered};

/// An answered call between phones played by hand, without media.
struct Answered {
    cluster: Cluster,
    alice: Peer,
    bob: Peer,
    /// Alice's and bob's.
    dialogs: [Dialog; 2],
}

impl Answered {
    fn begin() -> Result<Self> {
        let cluster = Cluster::start()?;
        cluster.bypass_media()?;
        let (alice, bob) = (cluster.hand_phone("alice")?, cluster.hand_phone("bob")?);
        cluster.switches[0].wait_for_routable(2);
        let invite = calls(&cluster, &alice, "alice", "bob", &[])?;
        let called = takes(&bob, "b")?;
        let dialogs = [is_answered(&alice, &invite)?, called];
        let known = || (cluster.redis.ask(CALLS_KNOWN).ok()? == ":1").then_some(());
        wait_for("others to know of it, answered as it is", known);
        Ok(Self {
            cluster,
            alice,
            bob,
            dialogs,
        })
    }

    /// The second switch has the call.
    fn wait_until_taken(&self) {
        wait_for("the other to have the call", || {
            (self.cluster.calls(1) == 1).then_some(())
        });
    }

    /// The first switch knows that it has lost it.
    fn wait_until_lost(&self) {
        wait_for("it to have noticed", || {
            let switch = &self.cluster.switches[0];
            (metric(switch, "tandem_calls_lost_to_others_total") == 1).then_some(())
        });
        assert_eq!(self.cluster.calls(0), 0);
    }

    /// Bob hangs up, and alice hears of it; one record says so.
    fn ends(&self, survivor: usize) -> Result<()> {
        let [calling, called] = &self.dialogs;
        let bye = self.bob.within(called, "BYE", 1, &[], "");
        // The dispatcher may still have to notice that the first one is gone.
        insists(&self.bob, &bye, |m| m.status() == Some(200))?;
        lets_go(&self.alice, &calling.call_id)?;
        let cdrs = self.cluster.cdrs_of(survivor, 1);
        only_answered(&cdrs, "callee");
        Ok(())
    }
}

#[test]
fn a_call_goes_on_though_the_word_of_who_has_it_is_lost() -> Result<()> {
    let mut answered = Answered::begin()?;
    let line = &answered.cluster.lines[1];
    line.lose_answer(&answered.dialogs[0].call_id);
    answered.cluster.kill();
    answered.wait_until_taken();
    assert!(answered.cluster.lines[1].has_lost_it());
    answered.ends(1)
}

#[test]
fn a_switch_that_hangs_behind_an_api_that_answers_loses_its_calls() -> Result<()> {
    let answered = Answered::begin()?;
    let switch = &answered.cluster.switches[0];
    let hung = switch.program().hang_thread("sip")?;
    answered.wait_until_taken();
    let (status, _) = switch.rest().send("GET", "/readyz", None)?;
    assert_eq!(status, 504, "its own check sees it too");
    drop(hung);
    answered.wait_until_lost();
    answered.ends(1)
}

#[test]
fn a_switch_that_hung_goes_on_with_nothing_though_redis_was_emptied() -> Result<()> {
    let answered = Answered::begin()?;
    let hung = answered.cluster.switches[0].program();
    hung.hang()?;
    answered.wait_until_taken();
    answered.cluster.redis.ask("FLUSHALL")?;
    hung.go_on()?;
    answered.wait_until_lost();
    answered.ends(1)
}

/// The API at its old address answers, for it is the same machine: by that nobody is dead.
#[test]
fn what_a_node_was_before_is_dead_though_nobody_else_can_tell() -> Result<()> {
    let mut answered = Answered::begin()?;
    let switch = &mut answered.cluster.switches[0];
    switch.add_argument("--cluster-address");
    switch.add_argument("127.0.0.2");
    answered.cluster.kill();
    answered.cluster.bring_back()?;
    let survivor = answered.cluster.owner(&[0, 1]);
    answered.ends(survivor)?;
    assert_eq!(answered.cluster.cdrs_of(survivor, 1).len(), 1);
    Ok(())
}
