use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use crate::description::tests::likely_line;
use crate::{Description, Direction, Edit};

const OFFER: &str = "v=0\r\no=alice 1 7 IN IP4 10.0.0.1\r\ns=-\r\nX=kept\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
    a=ice-lite\r\nm=audio 4000/2 RTP/AVP 0\r\ni=first\r\na=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\n\
    a=sendonly\r\na=rtcp:4009 IN IP4 10.0.0.1\r\na=ptime:20\r\na=sendrecv\r\n\
    m=video 4002 RTP/AVP 31\r\nc=IN IP4 10.0.0.3\r\n";

fn edited(bytes: &str, change: impl FnOnce(&mut Edit<'_>)) -> String {
    let sdp = Description::parse(bytes.as_bytes()).unwrap();
    let mut edit = Edit::new(&sdp);
    change(&mut edit);
    String::from_utf8(edit.finish()).unwrap()
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn one_relay_for_all_media_changes_lines_in_place() {
    let out = edited(OFFER, |edit| {
        edit.origin_address(IpAddr::from([192, 0, 2, 1]))
            .origin_version(8)
            .relay(0, socket("192.0.2.1:30000"), 30_001)
            .relay(1, socket("192.0.2.1:30002"), 30_003)
            .direction(0, Direction::Inactive)
            .strip_ice();
    });
    assert_eq!(
        out,
        "v=0\r\no=alice 1 8 IN IP4 192.0.2.1\r\ns=-\r\nX=kept\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 30000 RTP/AVP 0\r\ni=first\r\n\
        a=inactive\r\na=rtcp:30001\r\na=ptime:20\r\n\
        m=video 30002 RTP/AVP 31\r\nc=IN IP4 192.0.2.1\r\n"
    );
}

#[test]
fn a_second_relay_address_gets_a_line_of_its_own() {
    let bytes =
        "v=0\nc=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 0\ni=x\na=ptime:20\nm=video 4002 RTP/AVP 31";
    let out = edited(bytes, |edit| {
        edit.relay(0, socket("192.0.2.1:30000"), 30_000).relay(
            1,
            socket("[2001:db8::1]:30002"),
            30_003,
        );
    });
    assert_eq!(
        out,
        "v=0\nc=IN IP4 192.0.2.1\nm=audio 30000 RTP/AVP 0\ni=x\na=ptime:20\na=rtcp:30000\n\
        m=video 30002 RTP/AVP 31\nc=IN IP6 2001:db8::1\n"
    );
}

#[test]
fn a_medium_left_alone_keeps_its_connection() {
    let out = edited(OFFER, |edit| {
        edit.relay(0, socket("192.0.2.1:30000"), 30_001);
    });
    assert!(
        out.ends_with("m=video 4002 RTP/AVP 31\r\nc=IN IP4 10.0.0.3\r\n"),
        "{out}"
    );
    let out = edited(OFFER, |edit| {
        edit.relay(1, socket("192.0.2.1:30000"), 30_001);
    });
    assert!(
        out.contains("m=audio 4000/2 RTP/AVP 0\r\ni=first\r\nc=IN IP4 10.0.0.1\r\n"),
        "{out}"
    );
}

#[test]
fn refused_media_do_not_tell_where_a_peer_is() {
    let out = edited(OFFER, |edit| {
        edit.relay(0, socket("192.0.2.1:30000"), 30_001).reject(1);
    });
    assert!(out.ends_with("m=video 0 RTP/AVP 31\r\n"), "{out}");
    let out = edited(
        "v=0\r\nm=audio 0 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n",
        |edit| {
            edit.origin_address(IpAddr::from([192, 0, 2, 1]));
        },
    );
    assert_eq!(out, "v=0\r\nm=audio 0 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n");
}

#[test]
fn a_refused_medium_is_not_opened_by_a_relay() {
    let bytes = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 0 RTP/AVP 0\r\n";
    let out = edited(bytes, |edit| {
        edit.relay(0, socket("192.0.2.1:30000"), 30_001);
    });
    assert_eq!(out, bytes);
}

#[test]
fn changes_to_media_that_are_not_there_do_nothing() {
    let out = edited(OFFER, |edit| {
        edit.relay(9, socket("192.0.2.1:1"), 2)
            .reject(9)
            .direction(9, Direction::Inactive);
    });
    assert_eq!(out, OFFER);
}

proptest! {
    #[test]
    fn no_change_leaves_every_byte(lines in proptest::collection::vec(likely_line(), 0..30)) {
        let bytes = ["v=0\r\n".to_owned(), lines.concat()].concat();
        if let Ok(sdp) = Description::parse(bytes.as_bytes()) {
            prop_assert_eq!(Edit::new(&sdp).finish(), bytes.as_bytes());
        }
    }

    #[test]
    fn arbitrary_bytes_survive(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [b"v=0\n".as_slice(), &tail].concat();
        if let Ok(sdp) = Description::parse(&bytes) {
            prop_assert_eq!(Edit::new(&sdp).finish(), bytes);
        }
    }

    #[test]
    fn a_relayed_description_reads_as_told(
        lines in proptest::collection::vec(likely_line(), 0..30),
        rtcp_port in 1_u16..,
        open_end: bool,
    ) {
        let mut bytes = ["v=0\r\n".to_owned(), lines.concat()].concat();
        if open_end {
            bytes.truncate(bytes.trim_end().len());
        }
        let Ok(sdp) = Description::parse(bytes.as_bytes()) else { return Ok(()) };
        let rtp = socket("192.0.2.1:30000");
        let mut edit = Edit::new(&sdp);
        for media in sdp.media() {
            edit.relay(media.index(), rtp, rtcp_port);
            edit.direction(media.index(), Direction::RecvOnly);
        }
        let out = edit.strip_ice().finish();
        let again = Description::parse(&out).unwrap();
        prop_assert_eq!(again.media_count(), sdp.media_count());
        for (old, new) in sdp.media().zip(again.media()) {
            prop_assert!(!new.has_ice());
            prop_assert_eq!(new.direction(), Direction::RecvOnly);
            prop_assert!(old.formats().eq(new.formats()));
            if old.is_rejected() {
                prop_assert_eq!(new.port(), 0);
                continue;
            }
            prop_assert_eq!(new.rtp_address(), Ok(rtp));
            if !new.has_rtcp_mux() {
                prop_assert_eq!(new.rtcp_address().unwrap().port(), rtcp_port);
            }
        }
    }
}
