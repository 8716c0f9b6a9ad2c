use super::*;
use crate::formats::Formats;
use proptest::prelude::*;

const PEER: &str = "198.51.100.7:4000";
const STRANGER: &str = "192.0.2.66:4000";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Negotiated with PCMA only, towards A; B has said nothing.
fn channel(kind: Kind) -> Channel {
    let sdp = b"v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 8\r\n";
    let description = sdp::Description::parse(sdp).expect("a description");
    let mut formats = Formats::none();
    formats.allow(&description.medium(0).expect("a medium"));
    let mut channel = Channel::new(Role::Relay.ways(), [Arc::default(), Arc::default()]);
    let terms = Terms {
        kind,
        described: Some(address(PEER)),
        signalling: None,
        policy: crate::options::SourcePolicy::Learn,
        receives: true,
        rtcp: RtcpPort::Own,
        xr: Xr::Unwanted,
        formats: Arc::new(formats),
    };
    channel.negotiate(Side::A, terms, u64::MAX);
    channel
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Rtp), Just(Kind::Rtcp), Just(Kind::Opaque)]
}

/// Noise, and noise that begins like RTP or RTCP.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..64);
    (
        prop_oneof![Just(None), Just(Some(8_u8)), Just(Some(200))],
        noise,
    )
        .prop_map(|(second, noise)| match second {
            Some(second) => [&[0x80, second], &noise[..]].concat(),
            None => noise,
        })
}

#[test]
fn rtcp_that_came_multiplexed_does_not_pin() {
    let mut channel = channel(Kind::Rtp);
    let rtcp = [0x80, 201, 0, 1, 0, 0, 0, 9];
    assert_eq!(
        channel.inspect(Side::A, address(STRANGER), &rtcp, 0),
        Err(DropReason::UnknownSource)
    );
    assert_eq!(
        channel.inspect(Side::A, address(PEER), &rtcp, 0),
        Ok(Passed::Media)
    );
}

#[test]
fn a_payload_type_beyond_the_negotiated_is_passed_from_the_peer_only() {
    let mut channel = channel(Kind::Rtp);
    let mut packet = [0; 20];
    packet[..2].copy_from_slice(&[0x80, 96]);
    assert_eq!(
        channel.inspect(Side::A, address(STRANGER), &packet, 0),
        Err(DropReason::PayloadType)
    );
    assert_eq!(
        channel.inspect(Side::A, address(PEER), &packet, 0),
        Ok(Passed::Media)
    );
}

#[test]
fn without_a_negotiation_nothing_passes_and_nothing_is_sent() {
    let mut channel = channel(Kind::Rtp);
    let mut packet = [0; 20];
    packet[..2].copy_from_slice(&[0x80, 8]);
    assert_eq!(
        channel.inspect(Side::B, address(PEER), &packet, 0),
        Err(DropReason::UnknownSource)
    );
    assert_eq!(
        channel.route(Side::A).err(),
        Some(DropReason::NoDestination)
    );
}

proptest! {
    #[test]
    fn no_bytes_of_a_stranger_pass(kind in kinds(), packets in prop::collection::vec(packets(), 0..40)) {
        let mut channel = channel(kind);
        for (i, packet) in (0..).zip(packets) {
            let verdict = channel.inspect(Side::A, address(STRANGER), &packet, i * 20_000);
            prop_assert!(verdict.is_err());
        }
    }

    #[test]
    fn no_bytes_of_the_peer_panic(kind in kinds(), packets in prop::collection::vec(packets(), 0..40)) {
        let mut channel = channel(kind);
        for (i, packet) in (0..).zip(packets) {
            let passed = channel.inspect(Side::A, address(PEER), &packet, i * 20_000).is_ok();
            prop_assert!(kind != Kind::Opaque || passed);
        }
    }
}
