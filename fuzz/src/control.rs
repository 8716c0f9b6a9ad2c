//! Any bytes as messages of the control protocol, whole and in a stream.

use ng::bencode::{self, Leniency};
use ng::{Encoding, Frame, Reply, Request};

pub(crate) fn run(input: &[u8]) {
    if let Ok(frame) = Frame::split(input)
        && let Ok(dictionary) = frame.dictionary()
    {
        check_request(&dictionary);
        if let Ok(reply) = Reply::read(&dictionary) {
            let _ = Reply::read(&reply.dictionary()).expect("a reply of ours is one");
        }
    }
    if let Ok(dictionary) = bencode::decode(input, Leniency::Strict) {
        let mut out = Vec::new();
        bencode::encode(&dictionary, &mut out);
        assert_eq!(out, input, "strict reading knows one form only");
    }
    if let Ok(Some(length)) = ng::stream_length(input) {
        assert!(0 < length && length <= input.len());
        let shorter = ng::stream_length(&input[..length - 1]);
        assert_eq!(shorter, Ok(None), "a message ends where it ends");
    }
}

/// What was understood of a request is understood again when we write it.
fn check_request(dictionary: &ng::Dictionary<'_>) {
    let Ok(request) = Request::read(dictionary) else {
        return;
    };
    let message = request.encode("k", Encoding::Bencode);
    let frame = Frame::split(&message).expect("a message of ours is one");
    let dictionary = frame.dictionary().expect("what we write can be read");
    let again = Request::read(&dictionary).expect("a request of ours is one");
    assert_eq!(again.command.name(), request.command.name());
    assert!(again.unknown.len() <= request.unknown.len() + 1);
}
