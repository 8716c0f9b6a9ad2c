//! Streams cut anywhere, and lengths meant to harm.

use proptest::prelude::*;

use super::*;

const REMOTE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5060);

fn options(length: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n{length}\r\n{body}"
    )
}

fn pull_all(framer: &mut Framer) -> Vec<Framed> {
    std::iter::from_fn(|| framer.pull().unwrap()).collect()
}

fn broken(stream: &str) -> Broken {
    let mut framer = Framer::new();
    framer.push(stream.as_bytes());
    let broken = framer.pull().unwrap_err();
    assert_eq!(framer.pull(), Ok(None), "a broken stream yields nothing");
    broken
}

fn message(text: &str) -> Framed {
    Framed::Message(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn every_way_to_write_a_length_is_understood() {
    for length in [
        "Content-Length: 4\r\n",
        "content-LENGTH  :4\r\n",
        "l:4\r\n",
        "L\t:\t 4  \r\n",
        "Content-Length:\r\n  4\r\n",
        "l\r\n : 4\r\n",
        "l: 4\r\nContent-Length: 4\r\n",
        "Content-Length: 0004\r\n",
        "Content-Length: 4\n",
    ] {
        let mut framer = Framer::new();
        let text = options(length, "body");
        framer.push(text.as_bytes());
        assert_eq!(pull_all(&mut framer), [message(&text)], "{length:?}");
    }
}

#[test]
fn a_length_in_a_folded_line_of_another_header_does_not_count() {
    let text = options("Subject: x\r\n Content-Length: 9\r\nl: 0\r\n", "");
    let mut framer = Framer::new();
    framer.push(text.as_bytes());
    assert_eq!(pull_all(&mut framer), [message(&text)]);
}

#[test]
fn pings_are_told_from_line_ends() {
    let text = options("l: 0\r\n", "");
    let mut framer = Framer::new();
    framer.push(b"\r\n\r\n\r\n");
    assert_eq!(pull_all(&mut framer), [Framed::Ping]);
    assert!(!framer.is_partial(), "a line end begins no message");
    framer.push(text.as_bytes());
    framer.push(b"\r\n\r");
    assert_eq!(pull_all(&mut framer), [message(&text)]);
    framer.push(b"\n");
    assert_eq!(pull_all(&mut framer), [Framed::Ping]);
    framer.push(b"\n\n\rO");
    assert_eq!(pull_all(&mut framer), []);
    assert!(framer.is_partial());
}

#[test]
fn hostile_lengths_break_the_stream() {
    use FramingError::{BodyTooLarge, LengthMalformed, LengthMissing};
    for (length, error) in [
        ("", LengthMissing),
        ("Content-Length: -1\r\n", LengthMalformed),
        ("Content-Length: +1\r\n", LengthMalformed),
        ("Content-Length:\r\n", LengthMalformed),
        ("Content-Length: 4, 4\r\n", LengthMalformed),
        ("Content-Length: 0x4\r\n", LengthMalformed),
        ("Content-Length: 4 4\r\n", LengthMalformed),
        ("l: 4\r\nContent-Length: 5\r\n", LengthMalformed),
        ("Content-Length: 4294967300\r\n", BodyTooLarge),
        ("Content-Length: 65535\r\n", BodyTooLarge),
        ("Content-Length: 18446744073709551615\r\n", BodyTooLarge),
        ("Content-Length: 18446744073709551620\r\n", LengthMalformed),
    ] {
        let broken = broken(&options(length, "body"));
        assert_eq!(broken.error, error, "{length:?}");
        let answer = broken.answer(REMOTE).unwrap();
        let status: &[u8] = if error == BodyTooLarge {
            b"413"
        } else {
            b"400"
        };
        assert_eq!(&answer[8..11], status, "{length:?}");
    }
}

#[test]
fn an_endless_head_breaks_the_stream() {
    let endless = broken(&options(&"X: y\r\n".repeat(HEAD_BYTES_MAX / 6), ""));
    assert_eq!(endless.error, FramingError::HeadTooLarge);
    let one_line = broken(&options(&"x".repeat(HEAD_BYTES_MAX), ""));
    assert_eq!(one_line.error, FramingError::HeadTooLarge);
    assert_eq!(&one_line.answer(REMOTE).unwrap()[8..11], b"413");
}

#[test]
fn the_limits_themselves_are_allowed() {
    let bare = options("l: 65000\r\n", "").len();
    let body = MESSAGE_BYTES_MAX - bare;
    let text = options(&format!("l: {body}\r\n"), &"b".repeat(body));
    assert_eq!(text.len(), MESSAGE_BYTES_MAX);
    let mut framer = Framer::new();
    framer.push(text.as_bytes());
    assert_eq!(pull_all(&mut framer), [message(&text)]);

    let bare = options("X: \r\nl: 0\r\n", "").len();
    let filler = "y".repeat(HEAD_BYTES_MAX - bare);
    let text = options(&format!("X: {filler}\r\nl: 0\r\n"), "");
    framer.push(text.as_bytes());
    assert_eq!(pull_all(&mut framer), [message(&text)]);
}

#[test]
fn only_requests_that_name_themselves_are_answered() {
    assert_eq!(
        broken("SIP/2.0 200 OK\r\nl: x\r\n\r\n").answer(REMOTE),
        None
    );
    assert_eq!(
        broken("\u{16}\u{3}\u{1}GET / HTTP/1.1\r\n\r\n").answer(REMOTE),
        None
    );
    assert_eq!(
        broken("OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\n").answer(REMOTE),
        None
    );
    let ack = options("l: x\r\n", "").replace("OPTIONS", "ACK");
    assert_eq!(broken(&ack).answer(REMOTE), None);
}

/// A piece of a valid stream, and what it is framed as when it stands alone.
fn piece() -> impl Strategy<Value = (String, Option<Framed>)> {
    let lengths = prop_oneof![
        Just("Content-Length: "),
        Just("l :\t"),
        Just("l:\r\n "),
        Just("Z: 1\r\nCONTENT-LENGTH:")
    ];
    let message_piece = ("[a-z\r\n:]{0,40}", lengths).prop_map(|(body, length)| {
        let text = options(&format!("{length}{}\r\n", body.len()), &body);
        let framed = message(&text);
        (text, Some(framed))
    });
    prop_oneof![
        4 => message_piece,
        1 => Just(("\r\n\r\n".to_owned(), Some(Framed::Ping))),
        1 => Just(("\n".to_owned(), None)),
    ]
}

proptest! {
    #[test]
    fn any_cut_of_a_stream_gives_the_same_messages(
        pieces in prop::collection::vec(piece(), 0..6),
        cuts in prop::collection::vec(0usize..2_000, 0..12),
    ) {
        let stream: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
        let expected: Vec<Framed> = pieces.into_iter().filter_map(|(_, framed)| framed).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < stream.len()).collect();
        cuts.sort_unstable();
        let mut framer = Framer::new();
        let mut framed = Vec::new();
        let mut from = 0;
        for to in cuts.into_iter().chain([stream.len()]) {
            framer.push(&stream.as_bytes()[from..to]);
            framed.extend(pull_all(&mut framer));
            from = to;
        }
        prop_assert_eq!(framed, expected);
        prop_assert!(!framer.is_partial());
    }

    #[test]
    fn no_bytes_panic_and_what_is_framed_has_an_end(
        bytes in prop::collection::vec(prop_oneof![
            any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b':'), Just(b'l'), Just(b'0'), Just(b' ')
        ], 0..300),
    ) {
        let mut framer = Framer::new();
        framer.push(&bytes);
        while let Ok(Some(framed)) = framer.pull() {
            if let Framed::Message(text) = framed {
                // The parser must see the same end as the framer.
                if let Ok(parsed) = Message::parse(text.clone(), Framing::Stream) {
                    prop_assert!(text.ends_with(parsed.body()));
                }
            }
        }
    }
}
