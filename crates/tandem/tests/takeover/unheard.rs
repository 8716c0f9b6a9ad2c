//! Answers that their callers have not heard when the switch dies that gave them.

use std::time::Duration;

use anyhow::Result;
use testkit::{Message, wait_for};

use crate::by_hand::{calls, insists, lets_go, takes};
use crate::cluster::{Cluster, metric, only_answered};

/// Of two survivors, either may have the call, and only that one waits for the ACK.
#[test]
fn an_answer_that_its_caller_has_not_heard_is_said_again_until_its_ack() -> Result<()> {
    let mut cluster = Cluster::of(3)?;
    cluster.bypass_media()?;
    let (alice, bob) = (cluster.hand_phone("alice")?, cluster.hand_phone("bob")?);
    cluster.switches[0].wait_for_routable(2);
    let invite = calls(&cluster, &alice, "alice", "bob", &[])?;
    let bobs = takes(&bob, "b")?;
    cluster.wait_until_known_unheard(&["alice-bob"]);
    cluster.kill();
    let owner = cluster.owner(&[1, 2]);
    let here = cluster.switches[owner].ready().sip.udp.to_string();
    let is_answer = |m: &Message| m.status() == Some(200) && m.method() == "INVITE";
    let answer = alice.expect("the survivor's answer", |m| {
        is_answer(m) && m.header("Contact").is_some_and(|at| at.contains(&here))
    });
    let ack = alice.ack(&invite, &answer);
    for round in 0.. {
        assert!(
            round < 10,
            "the answer is repeated though it is acknowledged"
        );
        alice.send(&ack)?;
        // Longer than T2, the longest interval between two repetitions.
        if alice.stays_silent(Duration::from_secs(5), is_answer) {
            break;
        }
    }
    // The dispatcher may still have to notice that the first one is gone.
    let bye = bob.within(&bobs, "BYE", 1, &[], "");
    insists(&bob, &bye, |m| m.status() == Some(200))?;
    let dialog = Message::parse(&invite).expect("we built this INVITE");
    lets_go(&alice, dialog.header("Call-ID").unwrap_or_default())?;
    let cdrs = cluster.cdrs_of(owner, 1);
    only_answered(&cdrs, "callee");
    let survivor = &cluster.switches[owner];
    wait_for("the call to be over", || {
        let taken = metric(survivor, "tandem_calls_taken_over_total");
        (taken == 1 && cluster.calls(owner) == 0).then_some(())
    });
    Ok(())
}
