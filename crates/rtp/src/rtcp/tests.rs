use super::*;
use proptest::prelude::*;

/// SR with one block, SDES with CNAME `a@b`, BYE.
fn compound() -> Vec<u8> {
    let mut bytes = vec![0x81, 200, 0, 12];
    for word in [
        0x11_u32,
        0x83aa_7e80,
        0x8000_0000,
        160,
        50,
        8_000,
        0x22,
        0x40ff_fffe,
        0x0001_0005,
        7,
        0x7e80_8000,
        65_536,
    ] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend([
        0x81, 202, 0, 3, 0, 0, 0, 0x11, 1, 3, b'a', b'@', b'b', 0, 0, 0,
    ]);
    bytes.extend([0x81, 203, 0, 1, 0, 0, 0, 0x11]);
    bytes
}

#[test]
fn reads_a_compound() {
    let bytes = compound();
    let packets: Vec<_> = Compound::parse(&bytes)
        .expect("well formed")
        .packets()
        .collect();
    let RtcpPacket::SenderReport {
        ssrc,
        report,
        blocks,
    } = packets[0]
    else {
        panic!("{:?} is no sender report", packets[0]);
    };
    assert_eq!(ssrc, 0x11);
    assert_eq!((report.packets, report.bytes), (50, 8_000));
    assert_eq!(report.ntp, 0x83aa_7e80_8000_0000);
    let block = blocks.iter().next().expect("one block");
    assert_eq!(
        (block.ssrc, block.fraction_lost, block.lost, block.jitter),
        (0x22, 64, -2, 7)
    );
    assert_eq!(packets[1], RtcpPacket::SourceDescription { cname: b"a@b" });
    assert_eq!(packets[2], RtcpPacket::Bye { ssrc: Some(0x11) });
    assert_eq!(packets.len(), 3);
}

#[test]
fn refuses_bad_frames() {
    let error = |bytes: &[u8]| Compound::parse(bytes).expect_err("a bad frame");
    assert_eq!(error(&[]), RtcpError::Truncated);
    assert_eq!(error(&[0x80, 200, 0, 1]), RtcpError::Truncated);
    assert_eq!(error(&[0x40, 200, 0, 0]), RtcpError::Version);
    assert_eq!(error(&[0x80, 8, 0, 0]), RtcpError::PacketType(8));
    let mut tail = compound();
    tail.push(0);
    assert_eq!(error(&tail), RtcpError::Truncated);
}

#[test]
fn a_count_beyond_the_packet_is_no_report() {
    let bytes = [0x9f, 201, 0, 1, 0, 0, 0, 1];
    let packets: Vec<_> = Compound::parse(&bytes)
        .expect("well framed")
        .packets()
        .collect();
    assert_eq!(packets, [RtcpPacket::Other { packet_type: 201 }]);
}

#[test]
fn finds_the_cname_in_a_second_chunk() {
    let bytes = [
        0x82, 202, 0, 6, 0, 0, 0, 1, 2, 2, b'x', b'y', 0, 0, 0, 0, 0, 0, 0, 2, 1, 1, b'z', 0, 0, 0,
        0, 0,
    ];
    let packets: Vec<_> = Compound::parse(&bytes)
        .expect("well framed")
        .packets()
        .collect();
    assert_eq!(packets, [RtcpPacket::SourceDescription { cname: b"z" }]);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        if let Ok(compound) = Compound::parse(&bytes) {
            prop_assert!(compound.packets().count() >= 1);
        }
    }

    #[test]
    fn no_changed_byte_panics(at in 0_usize..80, value: u8) {
        let mut bytes = compound();
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(compound) = Compound::parse(&bytes) {
            for packet in compound.packets() {
                if let RtcpPacket::SenderReport { blocks, .. } = packet {
                    prop_assert!(blocks.iter().count() < 32);
                }
            }
        }
    }
}
