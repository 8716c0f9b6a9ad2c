//! Any bytes as a session description: what we make of a good one is good.

use sdp::{Description, Direction, Edit, Session, check_answer, rejecting_answer};

pub(crate) fn run(input: &[u8]) {
    let Ok(offer) = Description::parse(input) else {
        return;
    };
    read_all(&offer);
    assert!(sdp::same_session_unchanged(&offer, &offer));
    let unchanged = Edit::new(&offer).finish();
    assert!(Description::parse(&unchanged).is_ok());
    relay(&offer);
    refuse(&offer);
}

fn read_all(description: &Description<'_>) {
    let _ = (description.origin(), description.connection());
    let _ = (description.direction(), description.is_held());
    for media in description.media() {
        let _ = (media.kind(), media.profile(), media.port_count());
        let _ = (media.connection(), media.rtp_address());
        let _ = (media.rtcp_address(), media.rtcp_attribute());
        let _ = (media.ptime_ms(), media.direction(), media.is_held());
        let _ = (media.has_ice(), media.has_crypto(), media.has_rtcp_mux());
        assert!(media.codecs().count() <= media.formats().count());
    }
}

fn relay(offer: &Description<'_>) {
    let address = "[2001:db8::1]:30000".parse().expect("an address");
    let mut edit = Edit::new(offer);
    edit.origin_address("192.0.2.1".parse().expect("an address"));
    edit.origin_version(7).strip_ice();
    for index in 0..offer.media_count() {
        edit.relay(index, address, 30_001);
        edit.direction(index, Direction::SendOnly);
    }
    let bytes = edit.finish();
    let changed = Description::parse(&bytes).expect("what we write we can read");
    assert_eq!(changed.media_count(), offer.media_count());
    for media in changed.media() {
        assert!(media.is_rejected() || media.rtp_address() == Ok(address));
    }
}

fn refuse(offer: &Description<'_>) {
    let session = Session {
        id: 1,
        version: 1,
        address: "192.0.2.1".parse().expect("an address"),
    };
    let bytes = rejecting_answer(offer, session);
    let answer = Description::parse(&bytes).expect("what we write we can read");
    assert!(answer.is_rejected());
    assert_eq!(check_answer(offer, &answer), Ok(()));
}
