//! Writing messages.
//!
//! A [`Writer`] appends to one buffer. Requests are written without Via: the transaction layer
//! puts its own behind the first line when it knows the path. Responses copy what RFC 3261
//! §8.2.6.2 has them copy, and fill in `received` and `rport` (RFC 3581 §4).

use core::fmt;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::digits::push_decimal;
use crate::scan::{find, find_any};
use crate::{HeaderName, Message, Via, status};

/// A message being written.
#[derive(Debug)]
pub struct Writer {
    buf: Vec<u8>,
}

impl Writer {
    /// A message that is written from its first byte, with room for so many.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            buf: Vec::with_capacity(bytes),
        }
    }

    /// A request line.
    #[must_use]
    pub fn request(method: &str, uri: &[u8]) -> Self {
        let mut buf = Vec::with_capacity(REQUEST_BYTES);
        buf.extend_from_slice(method.as_bytes());
        buf.push(b' ');
        buf.extend_from_slice(uri);
        buf.extend_from_slice(b" SIP/2.0\r\n");
        Self { buf }
    }

    /// A status line and the headers copied from the request: Via, From, To, Call-ID, CSeq.
    /// `remote` is where the request came from. `to_tag` is added to To if it has none; empty
    /// adds none. An empty `phrase` stands for the usual one.
    #[must_use]
    pub fn response(
        request: &Message,
        remote: SocketAddr,
        code: u16,
        phrase: &str,
        to_tag: &[u8],
    ) -> Self {
        let phrase = if phrase.is_empty() {
            status::phrase(code)
        } else {
            phrase
        };
        let mut w = Self {
            buf: Vec::with_capacity(RESPONSE_BYTES),
        };
        w.raw(b"SIP/2.0 ").number(code.into());
        w.raw(b" ").raw(phrase.as_bytes()).raw(b"\r\n");
        let mut top = true;
        for value in request.values(HeaderName::Via) {
            w.buf.extend_from_slice(b"Via: ");
            if top {
                w.top_via(request, value, remote);
                top = false;
            } else {
                w.buf.extend_from_slice(value);
            }
            w.buf.extend_from_slice(b"\r\n");
        }
        for name in [
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            let Some(value) = request.header(name) else {
                continue;
            };
            w.buf.extend_from_slice(name.as_str().as_bytes());
            w.buf.extend_from_slice(b": ");
            w.buf.extend_from_slice(value);
            let untagged = name == HeaderName::To
                && !to_tag.is_empty()
                && request.to().is_ok_and(|to| to.tag().is_none());
            if untagged {
                w.buf.extend_from_slice(b";tag=");
                w.buf.extend_from_slice(to_tag);
            }
            w.buf.extend_from_slice(b"\r\n");
        }
        w
    }

    /// The topmost Via value of a request that came from `remote`, with `received` and `rport`
    /// filled in where they are needed (RFC 3261 §18.2.1, RFC 3581 §4). What its sender wrote of
    /// these two is dropped: only who receives a request knows where it came from.
    pub fn top_via(&mut self, request: &Message, value: &[u8], remote: SocketAddr) {
        let Ok(via) = request.via() else {
            self.buf.extend_from_slice(value);
            return;
        };
        self.sent_by(value, &via);
        let asks_rport = self.params_of_sender(&via);
        let ip = remote.ip().to_canonical();
        if asks_rport {
            self.raw(b";rport=").number(remote.port().into());
        }
        // Most name their address in its usual form, which is not parsed to be compared.
        let before = self.buf.len();
        self.raw(b";received=");
        let text = self.buf.len();
        self.ip(ip);
        let names_itself =
            || self.buf[text..] == *via.host || crate::uri::parse_ip(via.host) == Some(ip);
        if !asks_rport && names_itself() {
            self.buf.truncate(before);
        }
    }

    /// As [`Self::top_via`], for somebody behind us who goes by what we saw: both parameters are
    /// there whether they were asked for or not, and stand in front of all that the sender wrote,
    /// where nothing of his can hide them.
    pub fn traced_via(&mut self, request: &Message, value: &[u8], remote: SocketAddr) {
        let Ok(via) = request.via() else {
            self.buf.extend_from_slice(value);
            return;
        };
        self.sent_by(value, &via);
        self.raw(b";received=").ip(remote.ip().to_canonical());
        self.raw(b";rport=").number(remote.port().into());
        self.params_of_sender(&via);
    }

    /// A Via value up to its parameters.
    fn sent_by(&mut self, value: &[u8], via: &Via<'_>) {
        let value = crate::lex::trim(value);
        let end = value.len().saturating_sub(via.params.0.len());
        self.raw(crate::lex::trim(&value[..end]));
    }

    /// The parameters of a Via that are its sender's to write; whether `rport` was among them.
    fn params_of_sender(&mut self, via: &Via<'_>) -> bool {
        let text = via.params.0;
        if find_any(text, [b'"', b'<', b'\n']).is_none() {
            return self.plain_params_of_sender(text);
        }
        let mut asks_rport = false;
        for (name, argument) in via.params.iter() {
            if name.eq_ignore_ascii_case(b"rport") {
                asks_rport = true;
            } else if !name.eq_ignore_ascii_case(b"received") {
                self.raw(b";").raw(name);
                if let Some(argument) = argument {
                    self.raw(b"=").raw(argument);
                }
            }
        }
        asks_rport
    }

    /// The same of parameters in which no semicolon is quoted, and nothing is folded: as they stand.
    fn plain_params_of_sender(&mut self, text: &[u8]) -> bool {
        let mut asks_rport = false;
        let mut rest = text;
        while !rest.is_empty() {
            let behind = usize::from(rest.first() == Some(&b';'));
            let end = find(&rest[behind..], b';').map_or(rest.len(), |at| behind + at);
            let one = crate::lex::trim(&rest[behind..end]);
            rest = &rest[end..];
            let name_end = one.iter().position(|b| matches!(b, b'=' | b' ' | b'\t'));
            match &one[..name_end.unwrap_or(one.len())] {
                [] => {}
                [b'r' | b'R', tail @ ..] if tail.eq_ignore_ascii_case(b"port") => {
                    asks_rport = true;
                }
                [b'r' | b'R', tail @ ..] if tail.eq_ignore_ascii_case(b"eceived") => {}
                _ => drop(self.raw(b";").raw(one)),
            }
        }
        asks_rport
    }

    /// One header line.
    pub fn header(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.buf.extend_from_slice(name.as_bytes());
        self.buf.extend_from_slice(b": ");
        self.buf.extend_from_slice(value);
        self.buf.extend_from_slice(b"\r\n");
        self
    }

    /// One header line with a number.
    pub fn header_number(&mut self, name: &str, value: u32) -> &mut Self {
        self.raw(name.as_bytes()).raw(b": ");
        self.number(value).raw(b"\r\n")
    }

    /// The CSeq line.
    pub fn cseq(&mut self, number: u32, method: &str) -> &mut Self {
        self.raw(b"CSeq: ").number(number).raw(b" ");
        self.raw(method.as_bytes()).raw(b"\r\n")
    }

    /// A Contact line with a URI in angle brackets.
    pub fn contact(&mut self, uri: &str) -> &mut Self {
        self.raw(b"Contact: <").raw(uri.as_bytes()).raw(b">\r\n")
    }

    /// One header line from format arguments; they must not hold line ends.
    pub fn header_fmt(&mut self, name: &str, value: fmt::Arguments<'_>) -> &mut Self {
        // Writing to a Vec cannot fail.
        let _ = write!(self.buf, "{name}: {value}\r\n");
        self
    }

    /// All fields of a name, each line as it came.
    pub fn copy(&mut self, from: &Message, name: HeaderName) -> &mut Self {
        for field in from.fields().iter().filter(|f| f.name == name) {
            let (name, value) = (from.field_name(field), from.field_value(field));
            self.buf.extend_from_slice(name);
            self.buf.extend_from_slice(b": ");
            self.buf.extend_from_slice(value);
            self.buf.extend_from_slice(b"\r\n");
        }
        self
    }

    /// Raw text: whole header lines with their line ends, or parts of one.
    pub fn raw(&mut self, text: &[u8]) -> &mut Self {
        self.buf.extend_from_slice(text);
        self
    }

    /// The text so far, for those who append to it themselves.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    /// A decimal number, as part of a line.
    pub fn number(&mut self, number: u32) -> &mut Self {
        push_decimal(&mut self.buf, number);
        self
    }

    fn ip(&mut self, ip: IpAddr) -> &mut Self {
        match ip {
            IpAddr::V4(v4) => {
                let [first, rest @ ..] = v4.octets();
                self.number(first.into());
                for octet in rest {
                    self.raw(b".").number(octet.into());
                }
            }
            // Writing to a Vec cannot fail.
            IpAddr::V6(v6) => {
                let _ = write!(self.buf, "{v6}");
            }
        }
        self
    }

    /// The bytes written until now.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.buf
    }

    /// Ends the message as it stands: whoever uses this has written everything.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        Bytes::from(self.buf)
    }

    /// Ends the message without a body.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        self.buf.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        Bytes::from(self.buf)
    }

    /// Ends the message with a body of unnamed type; Content-Length is already written.
    #[must_use]
    pub fn finish_raw(mut self, body: &[u8]) -> Bytes {
        self.buf.extend_from_slice(b"\r\n");
        self.buf.extend_from_slice(body);
        Bytes::from(self.buf)
    }

    /// Ends the message with a body.
    #[must_use]
    pub fn finish_with(mut self, content_type: &[u8], body: &[u8]) -> Bytes {
        self.header("Content-Type", content_type);
        self.raw(b"Content-Length: ").number(body.len() as u32);
        self.raw(b"\r\n\r\n");
        self.buf.extend_from_slice(body);
        Bytes::from(self.buf)
    }
}

/// Room for most requests, a description included.
const REQUEST_BYTES: usize = 1_536;
/// Room for most responses, a description included.
const RESPONSE_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Framing;

    fn request(via: &str) -> Message {
        let text = format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
             Call-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        Message::parse(Bytes::from(text), Framing::Datagram).unwrap()
    }

    fn answer(via: &str, remote: &str) -> Message {
        let w = Writer::response(&request(via), remote.parse().unwrap(), 200, "", b"me");
        Message::parse(w.finish(), Framing::Datagram).unwrap()
    }

    #[test]
    fn rport_and_received_are_filled_in() {
        let m = answer(
            "SIP/2.0/UDP 10.0.0.1:5060 ; rport ;branch=z9hG4bK1",
            "192.0.2.7:4000",
        );
        let via = m.via().unwrap();
        assert_eq!(via.rport(), Some(4000));
        assert_eq!(via.received(), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(via.branch(), Some(&b"z9hG4bK1"[..]));
        assert_eq!(m.to().unwrap().tag(), Some(&b"me"[..]));
    }

    #[test]
    fn received_is_added_only_where_sent_by_lies() {
        let m = answer(
            "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1",
            "192.0.2.7:5060",
        );
        assert_eq!(m.via().unwrap().received(), None);
        let m = answer("SIP/2.0/UDP host.example;branch=z9hG4bK1", "192.0.2.7:5060");
        assert_eq!(
            m.via().unwrap().received(),
            Some("192.0.2.7".parse().unwrap())
        );
    }

    /// Whoever may write them may claim to be anybody.
    #[test]
    fn what_a_sender_says_of_his_own_address_is_dropped() {
        let remote = "192.0.2.7:4000";
        for forged in [
            ";received=203.0.113.9",
            ";received=203.0.113.9;rport",
            ";rport=5060;received=203.0.113.9",
            ";rport;rport=5060;RECEIVED = 203.0.113.9;received=203.0.113.9",
            ";received=192.0.2.7;rport=5060",
        ] {
            let via = format!("SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK1{forged}");
            let answer = answer(&via, remote);
            let top = answer.header(HeaderName::Via).unwrap().to_vec();
            let top = String::from_utf8(top).unwrap();
            assert_eq!(top.matches("received").count(), 1, "{top}");
            assert!(top.contains(";received=192.0.2.7"), "{top}");
            assert_eq!(
                top.contains("rport=4000"),
                forged.contains("rport"),
                "{top}"
            );
            assert!(!top.contains("rport=5060"), "{top}");
        }
    }

    #[test]
    fn a_traced_via_says_where_it_came_from_whatever_its_sender_wrote() {
        for written in [
            "",
            ";rport",
            ";received=203.0.113.9",
            ";rport=1;received=203.0.113.9",
            ";x=\"",
            ";x=\";received=203.0.113.9",
            ";x=<;rport=1",
            " ; received = 203.0.113.9",
        ] {
            for host in ["192.0.2.7:4000", "203.0.113.9", "host.example"] {
                let request = request(&format!("SIP/2.0/UDP {host};branch=z9hG4bK1{written}"));
                let value = request.header(HeaderName::Via).unwrap();
                let mut w = Writer::with_capacity(100);
                w.traced_via(&request, value, "192.0.2.7:4000".parse().unwrap());
                let via = Via::parse(w.written()).unwrap();
                let seen = (via.received(), via.rport());
                let wanted = (Some("192.0.2.7".parse().unwrap()), Some(4000));
                assert_eq!(seen, wanted, "{host} {written}");
                assert_eq!(via.branch(), Some(&b"z9hG4bK1"[..]));
            }
        }
    }

    #[test]
    fn numbers_are_decimal() {
        let mut w = Writer::request("INFO", b"sip:a@b");
        for number in [0, 9, 10, 65_535, u32::MAX] {
            w.raw(b"X: ").number(number).raw(b"\r\n");
        }
        let m = Message::parse(w.finish(), Framing::Datagram).unwrap();
        let all: Vec<_> = m.fields().iter().map(|f| m.field_value(f)).collect();
        let numbers: [&[u8]; 6] = [b"0", b"9", b"10", b"65535", b"4294967295", b"0"];
        assert_eq!(all, numbers);
    }

    #[test]
    fn several_vias_come_back_in_order() {
        let m = answer(
            "SIP/2.0/UDP 192.0.2.7;branch=a, SIP/2.0/TCP b;branch=b",
            "192.0.2.7:5060",
        );
        assert_eq!(m.values(HeaderName::Via).count(), 2);
        assert_eq!(m.via().unwrap().branch(), Some(&b"a"[..]));
    }
}
