//! Figures of what the kernel relays are those that user space would have found.

use std::time::Duration;

use media::{LegReport, MediaEvent, Side};
use testkit::wait_for;

use crate::stage::{HOOKS, SESSION, Stage};

fn report(stage: &mut Stage) -> LegReport {
    stage
        .engine(|engine| engine.report(SESSION))
        .expect("a session")
        .a
}

#[test]
fn each_packet_and_byte_is_in_the_report() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        let before = report(&mut stage);
        // Over the wrap of sequence numbers.
        for _ in 0..200 {
            stage.talk();
        }
        let after = report(&mut stage);
        assert_eq!(after.packets, before.packets + 200);
        assert_eq!(after.bytes, before.bytes + 200 * 18);
        assert_eq!((after.codec.as_str(), after.lost), ("PCMA", 0));
        wait_for("the counters", || {
            let counters = stage.counters();
            (counters.relayed_packets == 2 * after.packets).then_some(())
        });
    }
}

#[test]
fn losses_are_found() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        for _ in 0..10 {
            stage.a.packet(8, "lost on the way");
            stage.talk();
        }
        wait_for("the losses", || {
            (report(&mut stage).lost == 10).then_some(())
        });
        // Not forgotten by another negotiation, and not found twice.
        stage.negotiate(SESSION, "sendrecv");
        stage.until_in_kernel();
        assert_eq!(report(&mut stage).lost, 10);
    }
}

#[test]
fn a_new_ssrc_and_a_restart_pass_and_go_back_into_the_kernel() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        stage.a.ssrc ^= 1;
        stage.a.sequence = 10;
        stage.until_in_kernel();
        stage.a.sequence = 30_000;
        stage.until_in_kernel();
        assert_eq!(report(&mut stage).lost, 0);
    }
}

#[test]
fn who_talks_in_the_kernel_is_not_silent() {
    for hook in HOOKS {
        let quiet = Duration::from_millis(900);
        let Some(mut stage) = Stage::with(hook, |config| config.inactivity = Some(quiet)) else {
            return;
        };
        stage.until_in_kernel();
        let told = |stage: &mut Stage| stage.engine(|engine| engine.poll_event());
        // B alone goes on.
        let silent = wait_for("A's silence", || {
            stage.b.say(stage.towards_a, "still here");
            stage.a.hear();
            told(&mut stage)
        });
        let (session, side) = (SESSION, Side::A);
        assert_eq!(silent, MediaEvent::Silent { session, side });
        assert_eq!(told(&mut stage), None);
    }
}

#[test]
fn what_one_call_has_left_in_the_kernel_two_others_do_not_share() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        stage.until_in_kernel();
        stage.engine(|engine| engine.delete(SESSION));
        let (first, second) = (SESSION + 1, SESSION + 2);
        (stage.towards_b, stage.towards_a) = stage.negotiate(first, "sendrecv");
        stage.until_in_kernel();
        let of_first = |stage: &mut Stage| {
            let report = stage.engine(|engine| engine.report(first));
            report.expect("a session").a.packets
        };
        let before = of_first(&mut stage);
        (stage.towards_b, stage.towards_a) = stage.negotiate(second, "sendrecv");
        stage.until_in_kernel();
        assert_eq!(of_first(&mut stage), before, "{hook:?}");
    }
}
