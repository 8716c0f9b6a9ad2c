//! What goes into the kernel, what comes back, and what never passes.

use media::{DropReason, KernelPath};
use testkit::wait_for;

use crate::stage::{EVENT, HOOKS, SESSION, Stage, everywhere};

#[test]
fn user_space_sees_no_packet_and_the_far_end_sees_all() {
    for (hook, families) in everywhere() {
        let Some(mut stage) = Stage::relayed(hook, families) else {
            return;
        };
        let before = stage.in_user_space();
        for _ in 0..300 {
            stage.talk();
        }
        let report = stage.engine(|engine| engine.delete(SESSION));
        assert_eq!(stage.in_user_space(), before, "{hook:?} {families:?}");
        let report = report.expect("a session");
        assert!(report.a.packets >= 300 && report.b.packets >= 300);
        assert_eq!((report.a.lost, report.b.lost), (0, 0));
        assert_eq!(report.a.codec, "PCMA");
    }
}

#[test]
fn it_works_on_a_host_that_forwards_too() {
    for (hook, families) in everywhere() {
        let Some(mut stage) = Stage::between(families, hook, |_| {}) else {
            return;
        };
        for family in ["ipv4", "ipv6"] {
            let forward = format!("sysctl -q -w net.{family}.conf.all.forwarding=1");
            stage.server.run(&forward).expect("a setting");
        }
        stage.until_in_kernel();
        let before = stage.in_user_space();
        (0..50).for_each(|_| stage.talk());
        assert_eq!(stage.in_user_space(), before, "{hook:?} {families:?}");
    }
}

#[test]
fn checksums_that_a_card_would_complete_are_completed() {
    for (hook, families) in everywhere().filter(|(hook, _)| *hook == KernelPath::Tc) {
        let Some(mut stage) = Stage::relayed(hook, families) else {
            return;
        };
        for host in &stage.phones {
            host.run("ethtool -K eth0 tx on").expect("a setting");
        }
        let before = stage.in_user_space();
        (0..50).for_each(|_| stage.talk());
        assert_eq!(stage.in_user_space(), before, "{families:?}");
    }
}

#[test]
fn packets_of_any_length_arrive_as_they_were_sent() {
    for (hook, families) in everywhere() {
        let Some(mut stage) = Stage::relayed(hook, families) else {
            return;
        };
        let before = stage.in_user_space();
        for length in [0, 1, 2, 3, 159, 160, 500, 1_400] {
            let text = "x".repeat(length);
            stage.a.say(stage.towards_b, &text);
            assert_eq!(stage.b.hear(), (text.clone(), stage.towards_a));
            stage.b.say(stage.towards_a, &text);
            assert_eq!(stage.a.hear(), (text, stage.towards_b));
        }
        assert_eq!(stage.in_user_space(), before, "{hook:?} {families:?}");
    }
}

#[test]
fn a_strangers_packets_are_never_relayed() {
    for (hook, families) in everywhere() {
        let Some(mut stage) = Stage::relayed(hook, families) else {
            return;
        };
        let before = stage.dropped(DropReason::UnknownSource);
        let ports = [stage.towards_b, stage.towards_a];
        for (side, (to, family)) in ports.into_iter().zip(families).enumerate() {
            // From elsewhere, from another port of the peer's host, and with A's own SSRC.
            for host in [2, side] {
                let mut stranger = stage.phone_at(host, family);
                stranger.ssrc = stage.a.ssrc;
                stranger.sequence = stage.a.sequence;
                (0..20).for_each(|_| stranger.say(to, "injected"));
            }
        }
        // Nobody hears it, and nobody is answered: what comes next is what A and B say.
        for _ in 0..50 {
            stage.talk();
        }
        wait_for("the strangers to be counted", || {
            (stage.dropped(DropReason::UnknownSource) == before + 80).then_some(())
        });
        stage.talk();
    }
}

#[test]
fn a_renegotiation_takes_the_flow_back_at_once() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        stage.negotiate(SESSION, "sendonly");
        let held = stage.dropped(DropReason::Held);
        wait_for("the hold to take effect", || {
            stage.a.say(stage.towards_b, "unheard");
            (stage.dropped(DropReason::Held) > held).then_some(())
        });
        // B may have heard A until then, never after.
        stage.a.say(stage.towards_b, "unheard");
        stage.b.rtp.set_nonblocking(true).expect("a setting");
        while stage.b.rtp.recv_from(&mut [0; 2_048]).is_ok() {}
        stage.b.rtp.set_nonblocking(false).expect("a setting");
        (0..20).for_each(|_| stage.a.say(stage.towards_b, "unheard"));
        wait_for("all to be counted", || {
            (stage.dropped(DropReason::Held) >= held + 22).then_some(())
        });
        stage.negotiate(SESSION, "sendrecv");
        stage.until_in_kernel();
    }
}

#[test]
fn deletion_ends_the_flow() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        let ended = (stage.towards_b, stage.towards_a);
        (stage.towards_b, stage.towards_a) = stage.negotiate(8, "sendrecv");
        stage.until_in_kernel();
        stage.engine(|engine| engine.delete(SESSION));
        // Until the worker has closed it, what was sent may pass.
        wait_for("the ports to be closed", || {
            let bind = || std::net::UdpSocket::bind(ended.0).is_ok();
            stage.server.enter(bind).then_some(())
        });
        stage.a.say(ended.0, "unheard");
        stage.b.say(ended.1, "unheard");
        // On the same path, and after it: who hears this has not heard that.
        stage.talk();
    }
}

#[test]
fn telephone_events_pass_and_are_counted() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        let before = stage.in_user_space();
        for _ in 0..3 {
            let event = stage.a.packet(EVENT, "\u{5}\u{a}\u{0}\u{50}");
            stage
                .a
                .rtp
                .send_to(&event, stage.towards_b)
                .expect("sending");
            assert_eq!(stage.b.hear().0, "\u{5}\u{a}\u{0}\u{50}");
        }
        let report = stage.engine(|engine| engine.report(SESSION));
        assert_eq!(report.expect("a session").a.telephone_events, 3);
        assert_eq!(stage.in_user_space(), before);
        wait_for("the counter", || {
            (stage.counters().telephone_events == 3).then_some(())
        });
    }
}
