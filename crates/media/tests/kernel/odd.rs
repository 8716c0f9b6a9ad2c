//! Packets that no flow expects go up, are judged there, and do no harm.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use media::DropReason;
use testkit::wait_for;

use crate::stage::{HOOKS, Stage};

#[test]
fn short_long_and_foreign_packets_are_judged_in_user_space() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        let not_rtp = [0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0];
        // Longer than a frame: it comes in fragments.
        let oversized = stage.a.packet(8, &"x".repeat(2_100));
        for bytes in [&oversized[..], &not_rtp, &[0x80, 8, 0], &[]] {
            stage
                .a
                .rtp
                .send_to(bytes, stage.towards_b)
                .expect("sending");
        }
        wait_for("all to be counted", || {
            let dropped = |reason| stage.dropped(reason);
            let counts = [
                DropReason::Oversized,
                DropReason::NotRtp,
                DropReason::Truncated,
            ];
            (counts.map(dropped) == [1, 1, 2]).then_some(())
        });
        stage.talk();
    }
}

#[test]
fn a_packet_in_fragments_is_relayed_by_user_space() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        let before = stage.in_user_space();
        let long = "y".repeat(1_900);
        stage.a.say(stage.towards_b, &long);
        assert_eq!(stage.b.hear().0, long);
        assert_eq!(stage.in_user_space(), before + 1);
        stage.until_in_kernel();
    }
}

#[test]
fn ip_options_go_up() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        let before = stage.in_user_space();
        set_ip_options(&stage.a.rtp, &[1, 1, 1, 0]);
        stage.a.say(stage.towards_b, "with options");
        assert_eq!(stage.b.hear().0, "with options");
        assert_eq!(stage.in_user_space(), before + 1);
        set_ip_options(&stage.a.rtp, &[]);
        stage.until_in_kernel();
    }
}

#[test]
fn an_unexpected_payload_type_and_rtcp_go_up() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        let before = stage.in_user_space();
        let packet = stage.a.packet(99, "not negotiated");
        stage
            .a
            .rtp
            .send_to(&packet, stage.towards_b)
            .expect("sending");
        assert_eq!(stage.b.hear().0, "not negotiated");
        // A receiver report on the port of RTP.
        let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
        stage
            .a
            .rtp
            .send_to(&report, stage.towards_b)
            .expect("sending");
        let mut buffer = [0; 64];
        let (len, _) = stage
            .b
            .rtp
            .recv_from(&mut buffer)
            .expect("a packet in time");
        assert_eq!(buffer[..len], report);
        assert_eq!(stage.in_user_space(), before + 2);
        stage.until_in_kernel();
        let lost = stage.engine(|engine| engine.report(crate::stage::SESSION));
        assert_eq!(lost.expect("a session").a.lost, 0);
    }
}

/// Puts options into the IP header of what a socket sends: ip(7).
#[expect(unsafe_code, reason = "setting IP options has no safe form")]
fn set_ip_options(socket: &UdpSocket, options: &[u8]) {
    // SAFETY: the options live through the call, and their length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_OPTIONS,
            options.as_ptr().cast(),
            options.len() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
