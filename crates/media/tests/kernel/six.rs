//! The same over IPv6; and what the program leaves to user space.

use media::{AddressFamily, DropReason, KernelPath};
use testkit::wait_for;

use crate::stage::{HOOKS, SESSION, Stage};

fn answered(hook: KernelPath) -> Option<Stage> {
    Stage::between([AddressFamily::V6; 2], hook, |_| {})
}

#[test]
fn calls_over_ipv6_are_relayed_in_the_kernel_too() {
    for hook in HOOKS {
        let Some(mut stage) = answered(hook) else {
            return;
        };
        stage.until_in_kernel();
        let before = stage.in_user_space();
        for _ in 0..200 {
            stage.talk();
        }
        let report = stage.engine(|engine| engine.delete(SESSION));
        assert_eq!(stage.in_user_space(), before, "{hook:?}");
        let report = report.expect("a session");
        assert!(report.a.packets >= 200 && report.b.packets >= 200);
        assert_eq!((report.a.lost, report.b.lost), (0, 0));
        assert_eq!(report.a.codec, "PCMA");
    }
}

#[test]
fn a_host_that_forwards_ipv6_asks_its_routes() {
    for hook in HOOKS {
        let Some(mut stage) = answered(hook) else {
            return;
        };
        let forward = "sysctl -q -w net.ipv6.conf.all.forwarding=1";
        stage.server.run(forward).expect("a setting");
        stage.until_in_kernel();
        let before = stage.in_user_space();
        (0..50).for_each(|_| stage.talk());
        assert_eq!(stage.in_user_space(), before, "{hook:?}");
    }
}

#[test]
fn checksums_that_a_card_would_complete_are_completed_over_ipv6() {
    let Some(mut stage) = answered(KernelPath::Tc) else {
        return;
    };
    stage.until_in_kernel();
    for host in &stage.phones {
        host.run("ethtool -K eth0 tx on").expect("a setting");
    }
    let before = stage.in_user_space();
    (0..50).for_each(|_| stage.talk());
    assert_eq!(stage.in_user_space(), before);
}

#[test]
fn strangers_with_ipv6_are_never_relayed() {
    for hook in HOOKS {
        let Some(mut stage) = answered(hook) else {
            return;
        };
        stage.until_in_kernel();
        let before = stage.dropped(DropReason::UnknownSource);
        stage.stranger.ssrc = stage.a.ssrc;
        stage.stranger.sequence = stage.a.sequence;
        for to in [stage.towards_b, stage.towards_a] {
            (0..20).for_each(|_| stage.stranger.say(to, "injected"));
        }
        // Nobody hears it: what comes next is what A and B say.
        for _ in 0..50 {
            stage.talk();
        }
        wait_for("the strangers to be counted", || {
            (stage.dropped(DropReason::UnknownSource) == before + 40).then_some(())
        });
    }
}

#[test]
fn a_call_between_the_families_is_relayed_by_user_space() {
    let Some(mut stage) = Stage::between(
        [AddressFamily::V4, AddressFamily::V6],
        KernelPath::Tc,
        |_| {},
    ) else {
        return;
    };
    for _ in 0..50 {
        stage.talk();
    }
    assert_eq!(stage.counters().kernel_packets, 0);
}
