//! Who is spoken to in what.

use bytes::Bytes;
use call::{Family, MediaAsk, MediaEnds, Side, Toward};

use super::*;
use crate::media_servers::Place;
use crate::output::CallKey;

const PLAIN: &str = "m=audio 4000 RTP/AVP 8 0\r\n";
const G722: &str = "m=audio 4000 RTP/AVP 9\r\n";
const OPUS: &str = "m=audio 4000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n";
const SDES: &str = "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n";
const TAKEN_UP: &str =
    "m=audio 4000 RTP/AVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n";
const WEB: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=rtcp-mux\r\n\
    a=fingerprint:sha-256 00:11\r\na=setup:actpass\r\n";

/// The terms of an offer: what is told of one side, and what is known of the other.
fn offered(told: &str, known: &str, phone: Phone) -> MediaTerms {
    terms(MediaOp::Offer, told, known, phone)
}

fn terms(op: MediaOp, told: &str, known: &str, phone: Phone) -> MediaTerms {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    let whole = |media: &str| match media {
        "" => Bytes::new(),
        media => Bytes::from(format!("{head}{media}")),
    };
    MediaTerms::of(&MediaRequest {
        call: CallKey(1),
        sip_call_id: "a84b4c76e66710".into(),
        ask: MediaAsk(1),
        session: 1,
        op,
        from: Side::A,
        sdp: whole(told),
        ends: MediaEnds {
            signalling: "192.0.2.9".parse().unwrap(),
            toward: Toward {
                family: Family::V4,
                phone,
                keys: call::Keys::Events,
                author_keys: call::Keys::Events,
            },
            reached: None,
            known: whole(known),
            given: Given::InTurn,
        },
        place: Place::default(),
        tried: Vec::new(),
        refusal: None,
        why: None,
    })
}

const WEB_TERMS: (Carriage, Ice, Rtcp) =
    (Carriage::Dtls(Feedback::With), Ice::Lite, Rtcp::SharedOnly);

fn transport(terms: &MediaTerms) -> (Carriage, Ice, Rtcp) {
    (terms.carriage, terms.ice, terms.rtcp)
}

#[test]
fn a_stranger_is_offered_what_its_kind_takes() {
    for told in [PLAIN, SDES, WEB] {
        let terms = offered(told, "", Phone::Browser);
        assert_eq!(transport(&terms), WEB_TERMS, "{told}");
    }
    let sip = |told| transport(&offered(told, "", Phone::Sip));
    assert_eq!(
        sip(PLAIN),
        (Carriage::AsOffered, Ice::None, Rtcp::AsOffered)
    );
    assert_eq!(sip(SDES), (Carriage::Opportunistic, Ice::None, Rtcp::Own));
    let plain = Carriage::Rtp(Feedback::Without);
    assert_eq!(sip(WEB), (plain, Ice::None, Rtcp::Own));
}

#[test]
fn whoever_has_spoken_is_spoken_to_likewise() {
    for told in [PLAIN, SDES, WEB] {
        let terms = offered(told, WEB, Phone::Browser);
        assert_eq!(transport(&terms), WEB_TERMS, "{told}");
        let sdes = offered(told, SDES, Phone::Sip).carriage;
        assert_eq!(sdes, Carriage::Sdes(Feedback::Without), "{told}");
        let taken_up = offered(told, TAKEN_UP, Phone::Sip).carriage;
        assert_eq!(taken_up, Carriage::Opportunistic, "{told}");
    }
    let plain = Carriage::Rtp(Feedback::Without);
    assert_eq!(offered(SDES, PLAIN, Phone::Sip).carriage, plain);
    let both_plain = offered(PLAIN, PLAIN, Phone::Sip).carriage;
    assert_eq!(both_plain, Carriage::AsOffered);
}

#[test]
fn an_offerer_with_ice_is_answered_with_it() {
    let answered = |known| terms(MediaOp::Answer, PLAIN, known, Phone::Sip).ice;
    assert_eq!(answered(WEB), Ice::Lite);
    assert_eq!(answered(PLAIN), Ice::None);
    assert_eq!(terms(MediaOp::Echo, WEB, "", Phone::Browser).ice, Ice::Lite);
}

#[test]
fn codecs_are_added_where_the_two_sides_have_none_in_common() {
    let added = |told, known| offered(told, known, Phone::Sip).transcode;
    assert_eq!(added(OPUS, ""), ["PCMA", "PCMU"]);
    assert_eq!(added(G722, ""), ["PCMA", "PCMU"]);
    assert!(added(PLAIN, "").is_empty());
    assert!(added("m=audio 4000 RTP/AVP 18\r\n", "").is_empty());
    assert!(added("m=audio 0 RTP/AVP 9\r\n", "").is_empty());
    assert_eq!(added(PLAIN, OPUS), ["opus"], "as it was before the move");
    assert!(added(OPUS, WEB).is_empty());
}
