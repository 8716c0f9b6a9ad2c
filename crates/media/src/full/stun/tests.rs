use super::*;
use proptest::prelude::*;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// The request of RFC 5769 §2.1.
const REQUEST: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];

#[test]
fn reads_the_request_of_rfc_5769() {
    let message = Message::parse(&REQUEST).expect("a message");
    assert_eq!(message.class, Class::Request);
    assert_eq!(message.username, Some(&b"evtj:h6vY"[..]));
    let tie = 0x932f_f9b1_5126_3b36;
    assert_eq!(message.claims, Some(Claim::Controlled(tie)));
    assert!(message.is_authentic(PASSWORD));
    assert!(!message.is_authentic("VOkJxbRl1RmTxUk/WvJxBu"));
}

#[test]
fn a_changed_or_cut_message_is_none_or_not_authentic() {
    // What names FINGERPRINT is not signed; without a name it is passed over.
    for at in (0..100).chain(104..REQUEST.len()) {
        let mut forged = REQUEST;
        forged[at] ^= 4;
        let authentic = Message::parse(&forged).is_some_and(|m| m.is_authentic(PASSWORD));
        assert!(!authentic, "a change of byte {at} passed");
    }
    for len in 0..REQUEST.len() {
        assert!(Message::parse(&REQUEST[..len]).is_none());
    }
}

#[test]
fn what_is_written_reads_back() {
    let mut room = [0xaa; MESSAGE_BYTES_MAX];
    let len = Writer::new(&mut room, Class::Request, [7; 12])
        .username(["theirs", "ours"])
        .priority(1)
        .claim(Claim::Controlling(9))
        .nominate()
        .finish("secret");
    let message = Message::parse(&room[..len]).expect("a message");
    assert!(message.is_authentic("secret") && message.nominates);
    assert_eq!(message.username, Some(&b"theirs:ours"[..]));
    assert_eq!(message.claims, Some(Claim::Controlling(9)));
    let len = Writer::new(&mut room, Class::Error, [7; 12])
        .error(487)
        .finish("secret");
    let message = Message::parse(&room[..len]).expect("a message");
    assert_eq!(
        (message.class, message.error_code),
        (Class::Error, Some(487))
    );
}

#[test]
fn the_mapped_address_is_that_of_rfc_5769() {
    let transaction: Transaction = REQUEST[8..20].try_into().expect("12 bytes");
    let mut room = [0; MESSAGE_BYTES_MAX];
    let v4 = "192.0.2.1:32853".parse().expect("an address");
    Writer::new(&mut room, Class::Success, transaction).mapped_address(v4);
    assert_eq!(
        room[20..32],
        [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]
    );
    let v6 = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
    let v6 = v6.parse().expect("an address");
    Writer::new(&mut room, Class::Success, transaction).mapped_address(v6);
    assert_eq!(
        room[28..44],
        [
            0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2,
            0xb9, 0xd9
        ]
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(tail: Vec<u8>, mut body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::parse(&tail);
        body.truncate(body.len() / 4 * 4);
        let mut bytes = REQUEST[..20].to_vec();
        bytes[2..4].copy_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend(body);
        if let Some(message) = Message::parse(&bytes) {
            prop_assert!(!message.is_authentic(PASSWORD));
        }
    }
}
