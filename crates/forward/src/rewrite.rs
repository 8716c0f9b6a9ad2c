//! Messages on their way through: all that need not change is carried over as it came.

use std::net::SocketAddr;

use bytes::Bytes;
use sip::lex::commas;
use sip::{HeaderName, Message, Via, Writer};

/// What changes in a request that is forwarded (RFC 3261 §16.6).
#[derive(Debug)]
pub struct Changes<'a> {
    /// Another request URI.
    pub uri: Option<&'a [u8]>,
    /// Route values of ours to take off the front.
    pub own_routes: usize,
    /// Where the request came from: for `received` and `rport`.
    pub source: SocketAddr,
    /// Whether it leaves over a stream, where the length must be said.
    pub framing: Framing,
}

/// How a message says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Its datagram ends.
    Datagram,
    /// It says so itself.
    Stream,
}

/// A request, forwarded. `lines` writes whole header lines that go in front: our Via first.
#[must_use]
pub fn request(
    message: &Message,
    changes: &Changes<'_>,
    lines: impl FnOnce(&mut Vec<u8>),
) -> Bytes {
    let raw = message.raw();
    let mut out = Writer::with_capacity(raw.len() + SLACK);
    out.raw(message.method_text()).raw(b" ");
    out.raw(changes.uri.unwrap_or(message.uri()));
    out.raw(b" SIP/2.0\r\n");
    lines(out.buffer());
    let mut at = message.line(0).start;
    let mut routes = changes.own_routes;
    let mut is_first_via = true;
    let mut has_hops = false;
    let mut has_length = false;
    for (index, field) in message.fields().iter().enumerate() {
        match field.name {
            HeaderName::Via if is_first_via => {
                let line = message.line(index);
                out.raw(&raw[at..line.start]);
                at = line.end;
                let value = message.field_value(field);
                // A line without a value is not its sender's Via, and is left out.
                is_first_via = !received_via(&mut out, message, value, changes.source);
            }
            HeaderName::MaxForwards => {
                has_hops = true;
                let line = message.line(index);
                out.raw(&raw[at..line.start]);
                at = line.end;
                let hops = message.number(HeaderName::MaxForwards).unwrap_or(HOPS);
                out.raw(b"Max-Forwards: ").number(hops.saturating_sub(1));
                out.raw(b"\r\n");
            }
            HeaderName::Route if routes > 0 => {
                let line = message.line(index);
                out.raw(&raw[at..line.start]);
                at = line.end;
                for value in commas(message.field_value(field)) {
                    if routes > 0 {
                        routes -= 1;
                    } else {
                        out.header("Route", value);
                    }
                }
            }
            HeaderName::ContentLength => has_length = true,
            _ => {}
        }
    }
    let is_complete = has_hops && (has_length || changes.framing == Framing::Datagram);
    if is_complete {
        out.raw(&raw[at..message.end()]);
        return out.into_bytes();
    }
    out.raw(&raw[at..headers_end(message)]);
    if !has_hops {
        out.raw(b"Max-Forwards: ").number(HOPS).raw(b"\r\n");
    }
    finish(out, message, has_length, changes.framing)
}

/// A response without our Via. `below` is written behind the Via of the one it goes to.
#[must_use]
pub fn response(message: &Message, below: &[u8], framing: Framing) -> Bytes {
    let raw = message.raw();
    let mut out = Writer::with_capacity(raw.len() + below.len());
    let start = raw
        .iter()
        .take_while(|b| matches!(b, b'\r' | b'\n'))
        .count();
    let mut at = start;
    // How many Via values there were; the last that is looked at.
    let mut place = 0;
    let last = if below.is_empty() { 0 } else { 1 };
    for (index, field) in message.fields().iter().enumerate() {
        if place > last {
            break;
        }
        if field.name != HeaderName::Via {
            continue;
        }
        let line = message.line(index);
        out.raw(&raw[at..line.start]);
        at = line.end;
        for value in commas(message.field_value(field)) {
            match place {
                0 => {}
                1 => with_wish(&mut out, value, below),
                _ => drop(out.header("Via", value)),
            }
            place += 1;
        }
    }
    let has_length = || message.header(HeaderName::ContentLength).is_some();
    if framing == Framing::Datagram || has_length() {
        out.raw(&raw[at..message.end()]);
        return out.into_bytes();
    }
    out.raw(&raw[at..headers_end(message)]);
    finish(out, message, false, framing)
}

/// Where the last header line ends: behind it stand the empty line and the body.
fn headers_end(message: &Message) -> usize {
    message.line(message.fields().len().saturating_sub(1)).end
}

fn finish(mut out: Writer, message: &Message, has_length: bool, framing: Framing) -> Bytes {
    let body = message.body();
    if !has_length && framing == Framing::Stream {
        out.raw(b"Content-Length: ").number(body.len() as u32);
        out.raw(b"\r\n");
    }
    out.raw(b"\r\n").raw(body);
    out.into_bytes()
}

/// The first Via line of a request, with what we saw of its sender: targets go by it. Whether
/// there was any value.
fn received_via(out: &mut Writer, message: &Message, value: &[u8], source: SocketAddr) -> bool {
    let mut is_first = true;
    for value in commas(value) {
        out.raw(b"Via: ");
        if is_first {
            out.traced_via(message, value, source);
        } else {
            out.raw(value);
        }
        out.raw(b"\r\n");
        is_first = false;
    }
    !is_first
}

/// A Via line with our wish in the place of what its writer offered (RFC 7339 §4.1).
fn with_wish(out: &mut Writer, value: &[u8], wish: &[u8]) {
    if let (false, Ok(via)) = (wish.is_empty(), Via::parse(value)) {
        let head = value.len() - via.params.0.len();
        out.raw(b"Via: ").raw(sip::lex::trim(&value[..head]));
        for (name, argument) in via.params.iter() {
            if name.get(..2).is_some_and(|n| n.eq_ignore_ascii_case(b"oc")) {
                continue;
            }
            out.raw(b";").raw(name);
            if let Some(argument) = argument {
                out.raw(b"=").raw(argument);
            }
        }
        out.raw(wish).raw(b"\r\n");
    } else {
        out.header("Via", value);
    }
}

/// A message without the header lines of a name that SIP does not know.
#[must_use]
pub fn without(message: &Message, name: &str) -> Bytes {
    let raw = message.raw();
    let mut out = Writer::with_capacity(raw.len());
    let mut at = 0;
    for (index, field) in message.fields().iter().enumerate() {
        let text = message.field_name(field);
        if text.eq_ignore_ascii_case(name.as_bytes()) {
            let line = message.line(index);
            out.raw(&raw[at..line.start]);
            at = line.end;
        }
    }
    out.raw(&raw[at..]);
    out.into_bytes()
}

/// A response of ours with our wish in its topmost Via.
#[must_use]
pub fn with_wish_on_top(bytes: Bytes, wish: &[u8]) -> Bytes {
    let Ok(message) = Message::parse(bytes.clone(), sip::Framing::Datagram) else {
        return bytes;
    };
    let raw = message.raw();
    let line = message.line(0);
    let is_via = message.fields().first().map(|field| field.name) == Some(HeaderName::Via);
    let Some(value) = message.header(HeaderName::Via).filter(|_| is_via) else {
        return bytes;
    };
    let mut out = Writer::with_capacity(raw.len() + wish.len());
    out.raw(&raw[..line.start]);
    with_wish(&mut out, value, wish);
    out.raw(&raw[line.end..]);
    out.into_bytes()
}

/// Max-Forwards where there is none (RFC 3261 §16.6 point 3).
const HOPS: u32 = 70;
/// What our lines, `received` and `rport` add to most.
const SLACK: usize = 512;
