//! Dialogs (RFC 3261 §12): the identity, targets and sequence numbers two user agents share.
//!
//! A dialog here is plain data: it writes requests and judges the order of incoming ones, and
//! can be stored. Early and confirmed dialogs differ only in the eyes of their user.

use core::iter;

use crate::lex::{Params, commas};
use crate::scan::find;
use crate::uri::Uri;
use crate::{AddressError, HeaderName, Message, Method, NameAddr, Writer};

/// One side of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: Box<[u8]>,
    /// Our tag.
    pub local_tag: Box<[u8]>,
    /// The peer's tag; empty until a response brought one, or if the peer is an RFC 2543 one.
    pub remote_tag: Box<[u8]>,
    /// Our address as in From or To, without the tag.
    pub local: Box<[u8]>,
    /// The peer's address, without the tag.
    pub remote: Box<[u8]>,
    /// The peer's Contact URI; requests go there.
    pub target: Box<[u8]>,
    /// The route set as one comma list in the order it is written; empty if there is none.
    pub routes: Box<[u8]>,
    /// Number of our last request.
    pub local_seq: u32,
    /// Number of the peer's last request; 0 if there was none.
    pub remote_seq: u32,
}

impl Dialog {
    /// The side that is called (RFC 3261 §12.1.1).
    ///
    /// # Errors
    /// From, To or Contact is missing or malformed.
    pub fn of_callee(invite: &Message, local_tag: &[u8]) -> Result<Self, AddressError> {
        let from = invite.from()?;
        let contact = invite.address(HeaderName::Contact)?;
        contact.parsed_uri()?;
        Ok(Self {
            call_id: invite.call_id().unwrap_or_default().into(),
            local_tag: local_tag.into(),
            remote_tag: from.tag().unwrap_or_default().into(),
            local: untagged(invite.header(HeaderName::To).unwrap_or_default()),
            remote: untagged(invite.header(HeaderName::From).unwrap_or_default()),
            target: contact.uri.into(),
            routes: join(invite.values(HeaderName::RecordRoute)),
            local_seq: 0,
            remote_seq: invite.cseq().map_or(0, |c| c.number),
        })
    }

    /// The side that calls, before any response: `local` and `remote` are From and To values
    /// without tags.
    #[must_use]
    pub fn of_caller(call_id: &[u8], local_tag: &[u8], local: &[u8], remote: &[u8]) -> Self {
        Self {
            call_id: call_id.into(),
            local_tag: local_tag.into(),
            remote_tag: Box::default(),
            local: local.into(),
            remote: remote.into(),
            target: Box::default(),
            routes: Box::default(),
            local_seq: 0,
            remote_seq: 0,
        }
    }

    /// Takes tag, target and route set from a 1xx or 2xx (RFC 3261 §12.1.2). A 2xx that lacks a
    /// Contact keeps the target it had.
    pub fn establish(&mut self, response: &Message) {
        if let Ok(to) = response.to() {
            self.remote_tag = to.tag().unwrap_or_default().into();
        }
        self.refresh_target(response);
        let mut routes: Vec<&[u8]> = response.values(HeaderName::RecordRoute).collect();
        routes.reverse();
        self.routes = join(routes.into_iter());
    }

    /// Takes the peer's Contact as the new target (RFC 3261 §12.2.1.2, §12.2.2).
    pub fn refresh_target(&mut self, message: &Message) {
        if let Ok(contact) = message.address(HeaderName::Contact)
            && contact.parsed_uri().is_ok()
            && contact.uri != &*self.target
        {
            self.target = contact.uri.into();
        }
    }

    /// Whether a request comes in order (RFC 3261 §12.2.2); remembers its number if so. ACK and
    /// CANCEL carry the number of their INVITE and are always in order.
    pub fn accept(&mut self, request: &Message) -> bool {
        if matches!(request.method(), Method::Ack | Method::Cancel) {
            return true;
        }
        let Some(cseq) = request.cseq() else {
            return false;
        };
        if self.remote_seq != 0 && cseq.number <= self.remote_seq {
            return false;
        }
        self.remote_seq = cseq.number;
        true
    }

    /// Where the next request goes: the topmost route, else the target.
    #[must_use]
    pub fn next_hop(&self) -> &[u8] {
        commas(&self.routes)
            .next()
            .and_then(|r| NameAddr::parse(r).ok())
            .map_or(&*self.target, |r| r.uri)
    }

    /// Begins the next request of the dialog (RFC 3261 §12.2.1.1): request line, Route, From,
    /// To, Call-ID, CSeq and Max-Forwards.
    #[must_use]
    pub fn request(&mut self, method: &str) -> Writer {
        self.local_seq += 1;
        self.request_numbered(method, self.local_seq)
    }

    /// As [`Dialog::request`] with the number of an earlier request, for ACK.
    #[must_use]
    pub fn request_numbered(&self, method: &str, seq: u32) -> Writer {
        let strict = self.strict_router();
        let mut w = Writer::request(method, strict.unwrap_or(&self.target));
        self.write_routes(&mut w, strict.is_some());
        self.write_identity(&mut w, method, seq);
        w.header("Max-Forwards", b"70");
        w
    }

    /// From, To, Call-ID and CSeq of a request of ours.
    pub fn write_identity(&self, w: &mut Writer, method: &str, seq: u32) {
        w.raw(b"From: ")
            .raw(&self.local)
            .raw(b";tag=")
            .raw(&self.local_tag);
        w.raw(b"\r\nTo: ").raw(&self.remote);
        if !self.remote_tag.is_empty() {
            w.raw(b";tag=").raw(&self.remote_tag);
        }
        w.raw(b"\r\n").header("Call-ID", &self.call_id);
        w.cseq(seq, method);
    }

    /// The URI of a first route without `lr`, which replaces the request URI.
    fn strict_router(&self) -> Option<&[u8]> {
        let first = NameAddr::parse(commas(&self.routes).next()?).ok()?;
        let uri = Uri::parse(first.uri).ok()?;
        (!uri.params.has("lr")).then_some(first.uri)
    }

    fn write_routes(&self, w: &mut Writer, strict: bool) {
        if self.routes.is_empty() {
            return;
        }
        if strict {
            for route in commas(&self.routes).skip(1) {
                w.header("Route", route);
            }
            w.raw(b"Route: <").raw(&self.target).raw(b">\r\n");
        } else {
            w.header("Route", &self.routes);
        }
    }

    /// The dialog as Replaces names it, seen from the peer's side (RFC 3891 §3): Call-ID, to-tag
    /// (ours), from-tag (the peer's).
    #[must_use]
    pub fn is_named_by(&self, replaces: &Replaces<'_>) -> bool {
        *self.call_id == *replaces.call_id
            && *self.local_tag == *replaces.to_tag
            && *self.remote_tag == *replaces.from_tag
    }
}

/// Replaces (RFC 3891 §6.1), taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    /// Call-ID of the dialog.
    pub call_id: &'a [u8],
    /// The tag of the user agent that receives the header.
    pub to_tag: &'a [u8],
    /// The tag of its peer.
    pub from_tag: &'a [u8],
    /// Whether only an early dialog may be replaced.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// Takes a value apart; `None` if a part is missing.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let semi = find(value, b';')?;
        let params = Params(&value[semi..]);
        Some(Self {
            call_id: crate::lex::trim(&value[..semi]),
            to_tag: params.value("to-tag")?,
            from_tag: params.value("from-tag")?,
            early_only: params.has("early-only"),
        })
    }
}

/// A From or To value without its tag parameter, everything else kept.
fn untagged(value: &[u8]) -> Box<[u8]> {
    let Ok(address) = NameAddr::parse(value) else {
        return value.into();
    };
    let head = value.len() - address.params.0.len();
    let head = crate::lex::trim(value.get(..head).unwrap_or(value));
    let is_tag = |name: &[u8]| name.eq_ignore_ascii_case(b"tag");
    let mut kept = address.params.iter().filter(|(name, _)| !is_tag(name));
    let Some(first) = kept.next() else {
        return head.into();
    };
    let mut out = Vec::with_capacity(value.len());
    out.extend_from_slice(head);
    for (name, param) in iter::once(first).chain(kept) {
        out.push(b';');
        out.extend_from_slice(name);
        if let Some(param) = param {
            out.push(b'=');
            out.extend_from_slice(param);
        }
    }
    out.into()
}

fn join<'a>(values: impl Iterator<Item = &'a [u8]>) -> Box<[u8]> {
    let mut out = Vec::new();
    for value in values {
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(value);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Framing;

    fn invite(extra: &str) -> Message {
        let text = format!(
            "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
             From: \"A\" <sip:a@x;p=1>;tag=fromtag;x=y\r\nTo: <sip:b@x>\r\nCall-ID: cid\r\n\
             CSeq: 10 INVITE\r\nContact: <sip:a@1.2.3.4>\r\n{extra}\r\n"
        );
        Message::parse(Bytes::from(text), Framing::Datagram).unwrap()
    }

    fn text(w: Writer) -> String {
        String::from_utf8(w.finish().to_vec()).unwrap()
    }

    #[test]
    fn the_callee_writes_requests_along_record_route() {
        let m = invite("Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\n");
        let mut d = Dialog::of_callee(&m, b"me").unwrap();
        assert_eq!(d.next_hop(), b"sip:p2;lr");
        let bye = text(d.request("BYE"));
        assert!(
            bye.starts_with("BYE sip:a@1.2.3.4 SIP/2.0\r\nRoute: <sip:p2;lr>, <sip:p1;lr>\r\n")
        );
        assert!(bye.contains("From: <sip:b@x>;tag=me\r\n"));
        assert!(bye.contains("To: \"A\" <sip:a@x;p=1>;x=y;tag=fromtag\r\n"));
        assert!(bye.contains("CSeq: 1 BYE\r\n"));
    }

    #[test]
    fn a_strict_router_takes_the_place_of_the_request_uri() {
        let m = invite("Record-Route: <sip:strict>, <sip:p1;lr>\r\n");
        let mut d = Dialog::of_callee(&m, b"me").unwrap();
        let bye = text(d.request("BYE"));
        assert!(bye.starts_with(
            "BYE sip:strict SIP/2.0\r\nRoute: <sip:p1;lr>\r\nRoute: <sip:a@1.2.3.4>\r\n"
        ));
    }

    #[test]
    fn the_caller_learns_tag_target_and_reversed_routes() {
        let mut d = Dialog::of_caller(b"c", b"l", b"<sip:l@x>", b"<sip:r@x>");
        let _ = d.request("INVITE");
        let ok = "SIP/2.0 200 OK\r\nTo: <sip:r@x>;tag=rt\r\nContact: <sip:r@9.9.9.9>\r\n\
                  Record-Route: <sip:a;lr>\r\nRecord-Route: <sip:b;lr>\r\n\r\n";
        d.establish(&Message::parse(Bytes::from(ok), Framing::Datagram).unwrap());
        assert_eq!(
            (&*d.remote_tag, &*d.target),
            (&b"rt"[..], &b"sip:r@9.9.9.9"[..])
        );
        assert_eq!(&*d.routes, b"<sip:b;lr>, <sip:a;lr>");
        assert!(text(d.request_numbered("ACK", 1)).contains("CSeq: 1 ACK\r\n"));
    }

    #[test]
    fn old_numbers_are_out_of_order() {
        let m = invite("");
        let mut d = Dialog::of_callee(&m, b"me").unwrap();
        assert!(!d.accept(&m), "RFC 3261 §12.2.2: not higher than the last");
        let newer = m.raw().to_vec();
        let newer = String::from_utf8(newer)
            .unwrap()
            .replace("CSeq: 10", "CSeq: 12");
        assert!(d.accept(&Message::parse(Bytes::from(newer), Framing::Datagram).unwrap()));
    }

    #[test]
    fn replaces_names_a_dialog_from_the_peers_side() {
        let d = Dialog {
            remote_tag: (*b"rt").into(),
            ..Dialog::of_caller(b"c@h", b"lt", b"", b"")
        };
        let r = Replaces::parse(b"c@h;to-tag=lt;from-tag=rt;early-only").unwrap();
        assert!(d.is_named_by(&r) && r.early_only);
        assert!(Replaces::parse(b"c@h;to-tag=lt").is_none());
    }
}
