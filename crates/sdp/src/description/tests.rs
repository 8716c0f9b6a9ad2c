use proptest::prelude::*;

use crate::{Codec, Description, Direction, Host, Kind, MAX_MEDIA, Profile, SdpError};

const OFFER: &[u8] = b"v=0\r\n\
    o=alice 2890844526 2890844527 IN IP4 host.example.com\r\n\
    s=\xe9t\xe9\r\n\
    c=IN IP4 192.0.2.1\r\n\
    t=0 0\r\n\
    a=sendonly\r\n\
    m=audio 49170 RTP/AVP 0 97 101\r\n\
    a=rtpmap:97 opus/48000/2\r\n\
    a=fmtp:97 useinbandfec=1;stereo=0\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=ptime:30\r\n\
    a=rtcp:50000 IN IP6 2001:db8::1\r\n\
    m=video 0 UDP/TLS/RTP/SAVPF 31 99\r\n\
    c=IN IP6 2001:db8::2\r\n\
    a=inactive\r\n\
    a=rtcp-mux\r\n\
    a=fingerprint:sha-256 00\r\n";

#[test]
fn session_part_is_read() {
    let sdp = Description::parse(OFFER).unwrap();
    let origin = sdp.origin().unwrap();
    assert_eq!(origin.username, b"alice");
    assert_eq!(origin.session_id, b"2890844526");
    assert_eq!(origin.version_number(), Some(2_890_844_527));
    assert_eq!(origin.address, b"host.example.com");
    let connection = sdp.connection().unwrap().unwrap();
    assert_eq!(connection.host, Host::Ip("192.0.2.1".parse().unwrap()));
    assert_eq!(sdp.direction(), Direction::SendOnly);
    assert_eq!(sdp.media_count(), 2);
}

#[test]
fn media_inherit_what_they_do_not_say() {
    let sdp = Description::parse(OFFER).unwrap();
    let audio = sdp.medium(0).unwrap();
    assert_eq!((audio.kind(), audio.profile()), (Kind::Audio, Profile::Rtp));
    assert_eq!(audio.rtp_address(), Ok("192.0.2.1:49170".parse().unwrap()));
    assert_eq!(
        audio.rtcp_address(),
        Ok("[2001:db8::1]:50000".parse().unwrap())
    );
    assert_eq!(audio.direction(), Direction::SendOnly);
    assert_eq!(audio.ptime_ms(), Some(30));
    assert!(audio.is_held() && !audio.is_rejected() && !audio.has_rtcp_mux());

    let video = sdp.medium(1).unwrap();
    assert_eq!(video.kind(), Kind::Video);
    assert_eq!(video.profile(), Profile::DtlsSrtp);
    assert_eq!(video.direction(), Direction::Inactive);
    assert!(video.is_rejected() && video.has_rtcp_mux() && video.has_fingerprint());
    assert!(!audio.has_fingerprint());
    assert_eq!(video.rtp_address().unwrap().ip().to_string(), "2001:db8::2");
}

#[test]
fn payload_types_mean_what_rtpmap_or_rfc_3551_says() {
    let sdp = Description::parse(OFFER).unwrap();
    let codecs: Vec<Codec<'_>> = sdp.medium(0).unwrap().codecs().collect();
    assert_eq!(codecs.len(), 3);
    assert!(codecs[0].is("pcmu") && codecs[0].clock_rate_hz == 8_000);
    assert!(codecs[1].is("OPUS") && codecs[1].channels == 2);
    assert_eq!(codecs[1].fmtp, Some(&b"useinbandfec=1;stereo=0"[..]));
    assert_eq!(codecs[2].fmtp, Some(&b"0-16"[..]));
    let video: Vec<_> = sdp.medium(1).unwrap().codecs().collect();
    assert_eq!(video.len(), 1, "99 has no rtpmap: {video:?}");
}

#[test]
fn sloppy_line_ends_and_unknown_lines_are_read() {
    let sdp = Description::parse(
        b"v=0\no=- 1 1 IN IP4 10.0.0.1\n\nnonsense\nX=y\ns=-\nm=audio  8000/2  RTP/AVP  8\nc=IN IP4 10.0.0.2",
    )
    .unwrap();
    let media = sdp.medium(0).unwrap();
    assert_eq!((media.port(), media.port_count()), (8000, 2));
    assert_eq!(media.rtp_address(), Ok("10.0.0.2:8000".parse().unwrap()));
    assert_eq!(media.rtcp_address(), Ok("10.0.0.2:8001".parse().unwrap()));
}

#[test]
fn addresses_that_name_no_single_party_are_refused() {
    let refused = |c: &str| {
        let bytes = format!("v=0\r\n{c}\r\nm=audio 8000 RTP/AVP 8\r\n");
        let sdp = Description::parse(bytes.as_bytes()).unwrap();
        sdp.medium(0).unwrap().rtp_address().unwrap_err()
    };
    assert_eq!(refused("c=IN IP4 224.2.36.42/127"), SdpError::Multicast);
    assert_eq!(refused("c=IN IP4 10.0.0.1/127/3"), SdpError::Multicast);
    assert_eq!(refused("c=IN IP6 ff15::101/3"), SdpError::Multicast);
    assert_eq!(refused("c=IN IP4 example.com"), SdpError::HostName);
    assert_eq!(refused("c=IN IP4"), SdpError::MalformedConnection);
    assert_eq!(refused("c=ATM NSAP 47"), SdpError::MalformedConnection);
    assert_eq!(
        refused("c=IN IP4 224.0.0.1/300"),
        SdpError::MalformedConnection
    );
    assert_eq!(refused("b=AS:1"), SdpError::NoConnection);
}

#[test]
fn hold_is_seen_in_both_of_its_forms() {
    let held = |extra: &str, connection: &str| {
        let bytes = format!("v=0\r\nc=IN IP4 {connection}\r\nm=audio 8000 RTP/AVP 8\r\n{extra}");
        Description::parse(bytes.as_bytes()).unwrap().is_held()
    };
    assert!(!held("", "10.0.0.1"));
    assert!(!held("a=recvonly\r\n", "10.0.0.1"));
    assert!(held("a=sendonly\r\n", "10.0.0.1"));
    assert!(held("a=inactive\r\n", "10.0.0.1"));
    assert!(held("", "0.0.0.0"));
    assert!(held("a=sendonly\r\nm=video 0 RTP/AVP 31\r\n", "10.0.0.1"));
    assert!(!held(
        "a=sendonly\r\nm=video 9 RTP/AVP 31\r\na=sendrecv\r\n",
        "10.0.0.1"
    ));
}

#[test]
fn what_is_no_description_is_refused() {
    let error = |bytes: &[u8]| Description::parse(bytes).unwrap_err();
    assert_eq!(error(b""), SdpError::NotSdp);
    assert_eq!(error(b"o=- 1 1 IN IP4 x\r\nv=0\r\n"), SdpError::NotSdp);
    assert_eq!(error(b"v=1\r\n"), SdpError::Version);
    for line in [
        "audio",
        "audio x RTP/AVP 0",
        "audio 65536 RTP/AVP 0",
        "audio 1/ RTP/AVP",
        "",
    ] {
        let bytes = format!("v=0\r\nm=audio 1 RTP/AVP 0\r\nm={line}\r\n");
        let index = 1;
        assert_eq!(
            error(bytes.as_bytes()),
            SdpError::MalformedMedia { index },
            "{line}"
        );
    }
}

#[test]
fn bounds_hold() {
    let long = [b"v=0\r\na=".as_slice(), &[b'x'; 65_536]].concat();
    assert_eq!(Description::parse(&long).unwrap_err(), SdpError::TooLong);
    let lines = "v=0\r\n".to_owned() + &"a=x\r\n".repeat(crate::MAX_LINES);
    assert_eq!(
        Description::parse(lines.as_bytes()).unwrap_err(),
        SdpError::TooManyLines
    );
    let media = "v=0\r\n".to_owned() + &"m=audio 1 RTP/AVP 0\r\n".repeat(MAX_MEDIA + 1);
    assert_eq!(
        Description::parse(media.as_bytes()).unwrap_err(),
        SdpError::TooManyMedia
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [b"v=0\r\n".as_slice(), &tail].concat();
        if let Ok(sdp) = Description::parse(&bytes) {
            visit(&sdp);
        }
        let _ = Description::parse(&tail);
    }

    #[test]
    fn likely_lines_are_read_without_panic(
        lines in proptest::collection::vec(likely_line(), 0..30),
    ) {
        let bytes = ["v=0\r\n".to_owned(), lines.concat()].concat();
        if let Ok(sdp) = Description::parse(bytes.as_bytes()) {
            visit(&sdp);
        }
    }
}

/// Lines near to what the parser looks for.
pub(crate) fn likely_line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just(String::new()),
        "[a-z0-9/:. -]{0,12}",
        "[0-9]{1,6}",
        Just("IN IP4 10.0.0.1".to_owned()),
        Just("- 1 2 IN IP4 10.0.0.1".to_owned()),
        Just("audio 4000 RTP/AVP 0 8 101".to_owned()),
        Just("video 0 RTP/SAVP 31".to_owned()),
        Just("101 telephone-event/8000".to_owned()),
    ];
    let name = proptest::sample::select(vec![
        "o=",
        "c=",
        "m=",
        "a=rtpmap:",
        "a=fmtp:",
        "a=rtcp:",
        "a=ptime:",
        "a=sendonly",
        "a=rtcp-mux",
        "a=candidate:",
        "a=ice-ufrag:",
        "i=",
        "b=",
        "",
        "a=",
        "a",
    ]);
    let end = proptest::sample::select(vec!["\r\n", "\n", "\r\n", "\r\r\n"]);
    (name, word, end).prop_map(|(name, word, end)| format!("{name}{word}{end}"))
}

fn visit(sdp: &Description<'_>) {
    let _ = (
        sdp.origin(),
        sdp.connection(),
        sdp.direction(),
        sdp.is_held(),
    );
    for media in sdp.media() {
        let _ = (
            media.kind(),
            media.profile(),
            media.port_count(),
            media.codecs().count(),
        );
        let _ = (
            media.rtp_address(),
            media.rtcp_address(),
            media.ptime_ms(),
            media.is_held(),
        );
        let _ = (media.has_ice(), media.has_crypto(), media.has_fingerprint());
    }
}
