//! Any bytes as a stream: it makes no difference how they are cut, and what the framer takes for
//! a message has the length the parser finds.

use bytes::Bytes;
use sip::framing::{Framed, Framer};
use sip::{Framing, Message, ParseError};

pub(crate) fn run(input: &[u8]) {
    let whole = cut(input, input.len());
    for step in [1, 2, 7, 64] {
        assert_eq!(cut(input, step), whole, "in steps of {step}");
    }
    for framed in &whole.0 {
        if let Framed::Message(bytes) = framed {
            fits(bytes);
        }
    }
}

/// What comes out, and whether the stream broke.
fn cut(input: &[u8], step: usize) -> (Vec<Framed>, bool) {
    let mut framer = Framer::new();
    let mut found = Vec::new();
    for piece in input.chunks(step.max(1)) {
        framer.push(piece);
        loop {
            match framer.pull() {
                Ok(Some(framed)) => found.push(framed),
                Ok(None) => break,
                Err(broken) => {
                    let remote = "192.0.2.1:5060".parse().expect("an address");
                    if let Some(answer) = broken.answer(remote) {
                        assert!(Message::parse(answer, Framing::Stream).is_ok());
                    }
                    return (found, true);
                }
            }
        }
    }
    (found, false)
}

fn fits(bytes: &Bytes) {
    match Message::parse(bytes.clone(), Framing::Stream) {
        Ok(message) => {
            let behind = message.body().as_ptr_range().end;
            assert!(message.body().is_empty() || behind == bytes.as_ptr_range().end);
        }
        Err(malformed) => assert!(
            !matches!(
                malformed.error,
                ParseError::ContentLength | ParseError::Truncated
            ),
            "{}",
            malformed.error
        ),
    }
}
