//! Any bytes as a message: nothing panics, what is found lies inside, and what passes the check
//! can be answered with a response that passes it too.

use bytes::Bytes;
use sip::{Framing, HeaderName, Message, NameAddr, Uri, Via, Writer};

pub(crate) fn run(input: &[u8]) {
    for framing in [Framing::Datagram, Framing::Stream] {
        match Message::parse(Bytes::copy_from_slice(input), framing) {
            Ok(message) => {
                read_all(&message);
                same_again(&message, framing);
                if message.is_request() {
                    answer(&message);
                }
            }
            Err(malformed) => {
                if let Some(partial) = malformed.partial {
                    read_all(&partial);
                    respond(&partial, malformed.error.status());
                }
            }
        }
    }
}

/// Asks for everything a message can be asked for.
fn read_all(message: &Message) {
    let _ = message.check();
    let _ = (message.cseq(), message.via(), message.from(), message.to());
    let _ = (message.sdp(), message.reason(), message.method_text());
    let _ = Uri::parse(message.uri());
    for field in message.fields() {
        assert!(!message.field_name(field).is_empty());
        let value = message.field_value(field);
        let _ = NameAddr::parse(value).map(|a| (a.tag(), a.parsed_uri().is_ok()));
        let _ = Via::parse(value).map(|v| (v.branch(), v.received(), v.rport()));
        let _ = message.number(field.name);
        assert!(message.headers(field.name).count() > 0);
        assert!(message.values(field.name).all(|v| !v.is_empty()));
    }
}

/// A message is the same when it is read again from its own bytes.
fn same_again(message: &Message, framing: Framing) {
    let again = Message::parse(message.raw().clone(), framing).expect("it was read before");
    assert_eq!(again.fields().len(), message.fields().len());
    assert_eq!(again.body(), message.body());
}

fn answer(request: &Message) {
    let response = respond(request, 200);
    if request.check().is_ok() {
        let response = response.expect("a checked request can be answered");
        assert_eq!(response.check(), Ok(()));
        assert_eq!(response.call_id(), request.call_id());
        assert_eq!(response.cseq(), request.cseq());
        let vias = |m: &Message| m.values(HeaderName::Via).count();
        assert_eq!(vias(&response), vias(request));
    }
}

fn respond(request: &Message, status: u16) -> Option<Message> {
    let remote = "192.0.2.1:5060".parse().expect("an address");
    let bytes = Writer::response(request, remote, status, "", b"tag").finish();
    Message::parse(bytes, Framing::Datagram).ok()
}
