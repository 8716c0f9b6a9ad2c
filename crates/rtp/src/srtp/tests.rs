//! Vectors, and what a stream goes through.

use proptest::prelude::*;

use super::cipher::{Cipher, CounterMode};
use super::*;

/// Bytes from hexadecimal digits, blanks ignored.
pub(super) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks_exact(2)
        .map(|pair| {
            let pair = str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        })
        .collect()
}

fn master(suite: Suite) -> MasterKey {
    let material: Vec<u8> = (0..).take(suite.material_bytes()).collect();
    MasterKey::new(suite, &material).expect("a key")
}

fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = crate::Header {
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 0xcafe_babe,
        marker: false,
    };
    [&header.encode()[..], payload].concat()
}

fn protected(protector: &mut Protector, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + OVERHEAD_BYTES_MAX, 0);
    let len = protector.protect_rtp(&mut buffer, packet.len());
    buffer.truncate(len.expect("it can be protected"));
    buffer
}

fn unprotected(unprotector: &mut Unprotector, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let len = unprotector.unprotect_rtp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

const RECEIVER_REPORT: [u8; 12] = [0x81, 201, 0, 2, 0xca, 0xfe, 0xba, 0xbe, 1, 2, 3, 4];

#[test]
fn the_keystream_is_that_of_rfc_3711_b2() {
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C");
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
    let salt: [u8; 14] = salt.try_into().expect("14 bytes");
    let Cipher::CounterMode(cipher) = Cipher::counter_mode(&key, &[], salt, 10) else {
        panic!("counter mode");
    };
    let mut stream = vec![0; 0xff02 * 16];
    CounterMode::apply(&cipher, 0, 0, &mut stream);
    let block = |index: usize| stream[index * 16..][..16].to_vec();
    assert_eq!(block(0), hex("E03EAD0935C95E80E166B16DD92B4EB4"));
    assert_eq!(block(1), hex("D23513162B02D0F72A43A2FE4A5F97AB"));
    assert_eq!(block(2), hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
    assert_eq!(block(0xfeff), hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
    assert_eq!(block(0xff00), hex("362B7C3C6773516318A077D7FC5073AE"));
    assert_eq!(block(0xff01), hex("6A2CC3787889374FBEB4C81B17BA6C44"));
}

#[test]
fn counter_mode_packets_are_those_of_other_implementations() {
    let material = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let master = MasterKey::new(Suite::AesCm128HmacSha1_80, &material).expect("a key");
    let plain = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let sealed = hex(
        "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb",
    );
    assert_eq!(protected(&mut Protector::new(&master), &plain), sealed);
    let opened = unprotected(&mut Unprotector::new(&master), &sealed);
    assert_eq!(opened, Ok(plain));
    let mut sealed = hex(
        "81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001 993e08cd 54d6c123 0798",
    );
    let len = Unprotector::new(&master).unprotect_rtcp(&mut sealed);
    sealed.truncate(len.expect("authentic"));
    let plain = hex("81c8000b cafebabe abababab abababab abababab abababab");
    assert_eq!(sealed, plain);
}

#[test]
fn gcm_packets_are_those_of_rfc_7714_16_and_17() {
    let salt = hex("51756964 2070726f 2071756f");
    let rtp = hex(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 \
         696e2070 61727465 73207472 6573",
    );
    let rtcp = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef \
         deadbeef deadbeef deadbeef deadbeef",
    );
    let key: Vec<u8> = (0..32).collect();
    for (key_bytes, sealed_rtp, sealed_rtcp) in [
        (16, GCM_128_RTP, GCM_128_RTCP),
        (32, GCM_256_RTP, GCM_256_RTCP),
    ] {
        let cipher = Cipher::gcm(&key[..key_bytes], &salt);
        let mut packet = rtp.clone();
        packet.resize(rtp.len() + 16, 0);
        let source = (0x5501_a0b2, 0xf17b);
        let sealed = cipher.seal_rtp(&mut packet, 12, rtp.len(), source);
        assert_eq!(sealed, Ok(packet.len()));
        assert_eq!(packet, hex(sealed_rtp));
        assert_eq!(cipher.open_rtp(&mut packet, 12, source), Ok(rtp.len()));
        assert_eq!(packet[..rtp.len()], rtp);

        let mut packet = rtcp.clone();
        packet.resize(rtcp.len() + 20, 0);
        let source = (0x4d61_7273, 0x5d4);
        let sealed = cipher.seal_rtcp(&mut packet, rtcp.len(), source);
        assert_eq!(sealed, Ok(packet.len()));
        assert_eq!(packet, hex(sealed_rtcp));
        assert_eq!(cipher.rtcp_index(&packet), Ok(0x5d4));
        assert_eq!(cipher.open_rtcp(&mut packet, source), Ok(rtcp.len()));
        assert_eq!(packet[..rtcp.len()], rtcp);
    }
}

#[test]
fn each_suite_reads_what_it_has_written_and_nothing_else() {
    for suite in Suite::ALL {
        let mut protector = Protector::new(&master(suite));
        let mut unprotector = Unprotector::new(&master(suite));
        let plain = packet(7, b"secret");
        let sealed = protected(&mut protector, &plain);
        let overhead = match suite {
            Suite::AesCm128HmacSha1_80 => 10,
            Suite::AesCm128HmacSha1_32 => 4,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
        };
        assert_eq!(sealed.len(), plain.len() + overhead, "{suite:?}");
        assert_eq!(sealed[..12], plain[..12]);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            let opened = unprotected(&mut unprotector, &forged);
            assert!(opened.is_err(), "{suite:?} took a change of byte {at}");
        }
        for len in 0..sealed.len() {
            assert!(unprotected(&mut unprotector, &sealed[..len]).is_err());
        }
        assert_eq!(unprotected(&mut unprotector, &sealed), Ok(plain));
        let again = unprotected(&mut unprotector, &sealed);
        assert_eq!(again, Err(SrtpError::Replayed));
    }
}

#[test]
fn rtcp_is_encrypted_numbered_and_not_replayed() {
    for suite in Suite::ALL {
        let mut protector = Protector::new(&master(suite));
        let mut unprotector = Unprotector::new(&master(suite));
        for _ in 0..3 {
            let mut buffer = RECEIVER_REPORT.to_vec();
            buffer.resize(RECEIVER_REPORT.len() + OVERHEAD_BYTES_MAX, 0);
            let len = protector.protect_rtcp(&mut buffer, RECEIVER_REPORT.len());
            buffer.truncate(len.expect("protected"));
            assert_ne!(buffer[8..12], RECEIVER_REPORT[8..12]);
            let mut opened = buffer.clone();
            let len = unprotector.unprotect_rtcp(&mut opened);
            assert_eq!(opened[..len.expect("authentic")], RECEIVER_REPORT);
            let replayed = unprotector.unprotect_rtcp(&mut buffer);
            assert_eq!(replayed, Err(SrtpError::Replayed), "{suite:?}");
        }
        let mut plain = RECEIVER_REPORT.to_vec();
        plain.extend([0; 20]);
        let plain = unprotector.unprotect_rtcp(&mut plain);
        assert_eq!(plain, Err(SrtpError::NotAuthentic));
    }
}

#[test]
fn the_counter_rolls_over_with_loss_and_reordering_around_it() {
    let key = master(Suite::AesCm128HmacSha1_80);
    let mut protector = Protector::new(&key);
    let mut unprotector = Unprotector::new(&key);
    let sequences = [65_530, 65_533, 65_531, 2, 65_535, 65_534, 0, 1, 3];
    for sequence in sequences {
        let plain = packet(sequence, b"x");
        let sealed = protected(&mut protector, &plain);
        assert_eq!(unprotected(&mut unprotector, &sealed), Ok(plain));
    }
}

#[test]
fn a_loss_of_more_than_half_of_all_sequence_numbers_is_survived() {
    for suite in Suite::ALL {
        let key = master(suite);
        let mut protector = Protector::new(&key);
        let mut unprotector = Unprotector::new(&key);
        let mut heard = 0;
        // One round and three quarters, of which only the ends arrive.
        for step in (0..114_688_u32).step_by(1_024) {
            let plain = packet(step as u16, b"x");
            let sealed = protected(&mut protector, &plain);
            if step == 0 || step >= 102_400 {
                assert_eq!(unprotected(&mut unprotector, &sealed), Ok(plain));
                heard += 1;
            }
        }
        assert_eq!(heard, 13, "{suite:?}");
    }
}

#[test]
fn a_new_key_is_taken_up_whether_the_counter_goes_on_or_begins_anew() {
    for suite in Suite::ALL {
        let old = master(suite);
        let new = MasterKey::new(suite, &vec![9; suite.material_bytes()]).expect("a key");
        let mut protector = Protector::new(&old);
        let mut unprotector = Unprotector::new(&old);
        for sequence in [65_535, 0, 1] {
            let sealed = protected(&mut protector, &packet(sequence, b"x"));
            assert!(unprotected(&mut unprotector, &sealed).is_ok());
        }
        let late = protected(&mut protector, &packet(2, b"x"));
        unprotector.rekey(&new);
        assert!(unprotected(&mut unprotector, &late).is_err());
        // Anew.
        protector.rekey(&new);
        let plain = packet(3, b"y");
        let sealed = protected(&mut protector, &plain);
        assert_eq!(unprotected(&mut unprotector, &sealed), Ok(plain));
        // On: both know the counter when the key changes once more.
        let mut unprotector = Unprotector::new(&old);
        unprotector.rekey(&old);
        let mut protector = Protector::new(&old);
        for sequence in [65_535, 0] {
            let sealed = protected(&mut protector, &packet(sequence, b"x"));
            assert!(unprotected(&mut unprotector, &sealed).is_ok());
        }
        unprotector.rekey(&old);
        let plain = packet(1, b"z");
        let sealed = protected(&mut protector, &plain);
        assert_eq!(unprotected(&mut unprotector, &sealed), Ok(plain));
    }
}

#[test]
fn a_source_that_begins_anew_at_a_lower_number_is_heard_from_its_second_packet_on() {
    for suite in Suite::ALL {
        for (last, first) in [(40_000, 100), (10, 2), (65_535, 30_000), (100, 60_000)] {
            let key = master(suite);
            let mut protector = Protector::new(&key);
            let mut unprotector = Unprotector::new(&key);
            for sequence in last - 10..=last {
                let sealed = protected(&mut protector, &packet(sequence, b"old"));
                assert!(unprotected(&mut unprotector, &sealed).is_ok());
            }
            let mut sent = Vec::new();
            for sequence in first..first + 40 {
                let mut buffer = packet(sequence, b"new");
                let len = buffer.len();
                buffer.resize(len + OVERHEAD_BYTES_MAX, 0);
                let Ok(len) = protector.protect_rtp(&mut buffer, len) else {
                    assert_eq!(sequence, first, "only the first is lost");
                    continue;
                };
                let heard = unprotected(&mut unprotector, &buffer[..len]).expect("authentic");
                assert!(heard.ends_with(b"new"));
                sent.push(u16::from_be_bytes([heard[2], heard[3]]));
            }
            assert!(sent.len() >= 39);
            let ahead = |pair: &[u16]| pair[1] == pair[0].wrapping_add(1);
            assert!(sent.windows(2).all(ahead), "{sent:?}");
        }
    }
}

#[test]
fn packets_that_come_late_or_twice_are_no_new_beginning() {
    let mut protector = Protector::new(&master(Suite::AesCm128HmacSha1_80));
    let mut protect = |sequence: u16| {
        let mut buffer = packet(sequence, b"x");
        let len = buffer.len();
        buffer.resize(len + OVERHEAD_BYTES_MAX, 0);
        let sealed = protector.protect_rtp(&mut buffer, len);
        sealed.map(|_| u16::from_be_bytes([buffer[2], buffer[3]]))
    };
    for sequence in 1_000..1_010 {
        assert_eq!(protect(sequence), Ok(sequence));
        assert_eq!(protect(sequence), Err(SrtpError::Replayed), "twice");
    }
    assert_eq!(protect(200), Err(SrtpError::Replayed), "very late");
    assert_eq!(protect(1_010), Ok(1_010));
    assert_eq!(protect(201), Err(SrtpError::Replayed), "very late");
}

#[test]
fn no_index_is_used_twice_and_sources_are_bounded() {
    let mut protector = Protector::new(&master(Suite::AeadAes128Gcm));
    let mut buffer = [0; 64];
    let mut protect = |bytes: &[u8]| {
        buffer[..bytes.len()].copy_from_slice(bytes);
        protector.protect_rtp(&mut buffer, bytes.len())
    };
    assert!(protect(&packet(1, b"one")).is_ok());
    assert_eq!(protect(&packet(1, b"two")), Err(SrtpError::Replayed));
    let from = |ssrc: u32| {
        let mut packet = packet(1, b"x");
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        packet
    };
    let refused = (0..300).filter(|ssrc| protect(&from(*ssrc)).is_err());
    assert_eq!(refused.count(), 300 - 255);
    let full = Protector::new(&master(Suite::AeadAes128Gcm)).protect_rtp(&mut [0x80; 20], 20);
    assert_eq!(full, Err(SrtpError::NoRoom));
}

proptest! {
    #[test]
    fn no_bytes_panic(mut bytes: Vec<u8>, version: bool) {
        if let Some(first) = bytes.first_mut().filter(|_| version) {
            *first = 0x80 | *first & 0x3f;
        }
        for suite in Suite::ALL {
            let mut unprotector = Unprotector::new(&master(suite));
            prop_assert!(unprotector.unprotect_rtp(&mut bytes.clone()).is_err());
            prop_assert!(unprotector.unprotect_rtcp(&mut bytes.clone()).is_err());
        }
    }

    #[test]
    fn any_packet_reads_back(payload: Vec<u8>, sequence: u16, first in 0x80_u8..0xc0) {
        let mut plain = packet(sequence, &payload);
        plain[0] = first;
        for suite in Suite::ALL {
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + OVERHEAD_BYTES_MAX, 0);
            let sealed = Protector::new(&master(suite)).protect_rtp(&mut buffer, plain.len());
            // A header longer than the packet is refused.
            let Ok(len) = sealed else { continue };
            buffer.truncate(len);
            let len = Unprotector::new(&master(suite)).unprotect_rtp(&mut buffer);
            prop_assert_eq!(&buffer[..len.expect("authentic")], &plain[..]);
        }
    }
}

/// RFC 7714 §16.1.1, §16.2.1, §17.1, §17.2.
const GCM_128_RTP: &str = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca \
    be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce";
const GCM_256_RTP: &str = "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa \
    b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13";
const GCM_128_RTCP: &str = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 \
    6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade \
    800005d4";
const GCM_256_RTCP: &str = "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d \
    bffe0a50 a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be \
    800005d4";

#[test]
fn who_comes_hours_late_finds_out_how_often_the_numbers_rolled_over() {
    for suite in Suite::ALL {
        let mut protector = Protector::new(&master(suite));
        let sequences = (0..200_u32).map(|n| ((n * 20_000) & 0xffff) as u16);
        let sent: Vec<_> = sequences
            .map(|sequence| protected(&mut protector, &packet(sequence, b"late")))
            .collect();
        let mut late = Unprotector::new(&master(suite));
        for packet in &sent[196..] {
            assert!(unprotected(&mut late, packet).is_ok(), "{suite:?}");
        }
        let mut attacked = Unprotector::new(&master(suite));
        for _ in 0..1_000 {
            let mut forged = sent[199].clone();
            forged[14] ^= 1;
            let refused = unprotected(&mut attacked, &forged);
            assert_eq!(refused, Err(SrtpError::NotAuthentic));
        }
        assert!(
            unprotected(&mut attacked, &sent[0]).is_ok(),
            "what needs no search"
        );
    }
}
