//! Peers as text: one side of a dialog, written without the crate's own writer.

use bytes::Bytes;
use sip::{Framing, HeaderName, Message};

/// One side of a dialog, outside of the call.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    call_id: String,
    /// From without tag, and the tag.
    local: (String, String),
    remote: (String, String),
    pub(crate) seq: u32,
}

pub(crate) const ALICE_SDP: &str = "v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=alice\r\n\
    c=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
pub(crate) const BOB_SDP: &str = "v=0\r\no=bob 1 1 IN IP4 192.0.2.20\r\ns=bob\r\n\
    c=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";

pub(crate) fn sdp(name: &str, ip: &str) -> String {
    sdp_with(name, ip, "")
}

/// With attributes, whole lines.
pub(crate) fn sdp_with(name: &str, ip: &str, attributes: &str) -> String {
    format!(
        "v=0\r\no={name} 7 7 IN IP4 {ip}\r\ns={name}\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio 6000 RTP/AVP 0\r\n{attributes}"
    )
}

impl Peer {
    /// Somebody who is about to call.
    pub(crate) fn caller(name: &str, called: &str) -> Self {
        Self {
            call_id: format!("{name}-call"),
            local: (format!("<sip:{name}@example.com>"), format!("{name}tag")),
            remote: (format!("<sip:{called}@example.com>"), String::new()),
            seq: 0,
        }
    }

    /// The one an INVITE of the call has reached.
    pub(crate) fn callee(invite: &Message, tag: &str) -> Self {
        let value = |name| String::from_utf8(invite.header(name).unwrap().to_vec()).unwrap();
        let from = value(HeaderName::From);
        let (remote, remote_tag) = from.split_once(";tag=").unwrap();
        let to = value(HeaderName::To);
        Self {
            call_id: value(HeaderName::CallId),
            local: (to.split(";tag=").next().unwrap().to_owned(), tag.to_owned()),
            remote: (remote.to_owned(), remote_tag.to_owned()),
            seq: 100,
        }
    }

    /// Takes the call's tag from its response.
    pub(crate) fn established(&mut self, response: &Message) {
        let to = response.to().unwrap();
        self.remote.1 = String::from_utf8(to.tag().unwrap().to_vec()).unwrap();
    }

    /// As seen by the early dialog of this response.
    pub(crate) fn in_dialog_of(&self, response: &Message) -> Self {
        let mut peer = self.clone();
        peer.established(response);
        peer
    }

    pub(crate) fn call_id(&self) -> &str {
        &self.call_id
    }

    /// The next request.
    pub(crate) fn request(&mut self, method: &str, headers: &str, body: &str) -> Message {
        self.seq += 1;
        self.numbered(method, self.seq, headers, body)
    }

    /// The ACK of an INVITE by its number.
    pub(crate) fn ack(&self, seq: u32, body: &str) -> Message {
        self.numbered("ACK", seq, "", body)
    }

    pub(crate) fn numbered(&self, method: &str, seq: u32, headers: &str, body: &str) -> Message {
        let tagged = |(uri, tag): &(String, String)| match tag.as_str() {
            "" => uri.clone(),
            tag => format!("{uri};tag={tag}"),
        };
        let name = self.local.1.trim_end_matches("tag");
        let typed = headers.contains("Content-Type");
        let kind = match body {
            "" => "",
            _ if typed => "",
            _ => "Content-Type: application/sdp\r\n",
        };
        let hops = match headers.contains("Max-Forwards") {
            true => "",
            false => "Max-Forwards: 70\r\n",
        };
        let text = format!(
            "{method} sip:x@203.0.113.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{name}{seq}{method}\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {seq} {method}\r\n\
             Contact: <sip:{name}@192.0.2.10>\r\n{hops}{headers}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            tagged(&self.local),
            tagged(&self.remote),
            self.call_id,
            body.len()
        );
        Message::parse(Bytes::from(text), Framing::Datagram).unwrap()
    }

    /// Replaces as a third party writes it to take the place of this peer.
    pub(crate) fn replaces(&self) -> String {
        let (call_id, ours, theirs) = (&self.call_id, &self.remote.1, &self.local.1);
        format!("{call_id};to-tag={ours};from-tag={theirs}")
    }
}

/// A response to a request of the call.
pub(crate) fn response(
    request: &Message,
    status: u16,
    tag: &str,
    headers: &str,
    sdp: &str,
) -> Message {
    let value = |name| String::from_utf8_lossy(request.header(name).unwrap()).into_owned();
    let to = value(HeaderName::To);
    let to = match to.contains(";tag=") || tag.is_empty() {
        true => to,
        false => format!("{to};tag={tag}"),
    };
    let kind = match sdp {
        "" => "",
        _ => "Content-Type: application/sdp\r\n",
    };
    let contact = match tag {
        "" => String::new(),
        tag => format!("Contact: <sip:{tag}@192.0.2.20>\r\n"),
    };
    let text = format!(
        "SIP/2.0 {status} Whatever\r\nVia: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKours\r\n\
         From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         {contact}{headers}{kind}Content-Length: {}\r\n\r\n{sdp}",
        value(HeaderName::From),
        value(HeaderName::CallId),
        value(HeaderName::CSeq),
        sdp.len()
    );
    Message::parse(Bytes::from(text), Framing::Datagram).unwrap()
}
