//! Which server transaction a request belongs to, and where responses go.

use std::net::SocketAddr;

use super::branch::{COOKIE, Tokens};
use crate::{Flow, HeaderName, Message, Transport, Via};

/// Writes the key of RFC 3261 §17.2.3: branch, sent-by and method, where an ACK counts as
/// `method` INVITE. Requests of RFC 2543 have no unique branch; for them the key is the request
/// URI, the From tag, Call-ID, the CSeq number and the whole top Via. Their To tag is left out,
/// because an ACK carries ours: two requests that differ in nothing else differ in CSeq.
pub(super) fn write_key(out: &mut Vec<u8>, message: &Message, via: &Via<'_>, method: &[u8]) {
    out.clear();
    match via.branch() {
        Some(branch) if has_cookie(branch) => {
            out.push(b'3');
            part(out, branch);
            let host = out.len();
            part(out, via.host);
            out[host..].make_ascii_lowercase();
            out.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
        }
        _ => {
            out.push(b'2');
            part(out, message.uri());
            part(
                out,
                message.from().ok().and_then(|f| f.tag()).unwrap_or(b""),
            );
            part(out, message.call_id().unwrap_or(b""));
            let cseq = message.cseq().map_or(0, |c| c.number);
            out.extend_from_slice(&cseq.to_be_bytes());
            let top = message.values(HeaderName::Via).next();
            part(out, top.unwrap_or(b""));
        }
    }
    out.extend_from_slice(method);
}

/// The hash of what a request keeps on all its ways to us: From tag, Call-ID, CSeq (RFC 3261
/// §8.2.2.2). `None` for a request inside a dialog, which cannot be merged.
pub(super) fn origin(tokens: &Tokens, message: &Message) -> Option<u64> {
    if has_to_tag(message) {
        return None;
    }
    let from_tag = message.from().ok().and_then(|f| f.tag());
    let parts = [
        from_tag,
        message.call_id(),
        message.header(HeaderName::CSeq),
    ];
    Some(tokens.hash(&parts.map(Option::unwrap_or_default)))
}

fn has_to_tag(message: &Message) -> bool {
    message.to().is_ok_and(|to| to.tag().is_some())
}

/// Where responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4): over UDP to the address the
/// request came from, at its source port if it asked for that with `rport`, else at the port of
/// sent-by. Over streams the same is the address of last resort, when the connection is gone.
///
/// Deviation from RFC 3261 §18.2.2: `maddr` is ignored, because a request could name a third
/// party in it.
#[must_use]
pub fn response_address(flow: &Flow, via: &Via<'_>) -> SocketAddr {
    let asks_rport = via.params.has("rport");
    if flow.transport == Transport::Udp && asks_rport {
        return flow.remote;
    }
    let port = via.port.unwrap_or(flow.transport.default_port());
    SocketAddr::new(flow.remote.ip(), port)
}

fn has_cookie(branch: &[u8]) -> bool {
    branch.len() > COOKIE.len() && branch[..COOKIE.len()].eq_ignore_ascii_case(COOKIE.as_bytes())
}

/// The length goes first, so that no two lists of parts give the same bytes.
fn part(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text);
}
