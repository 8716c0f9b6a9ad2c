//! Which headers cross from one leg to the other.
//!
//! Headers that belong to a hop or a dialog are written anew; all others cross unchanged, byte
//! for byte, unknown ones included. Identities cross as RFC 3325 §5 to §7 has it.

use memchr::memmem;
use sip::{HeaderName, Message, Writer, lex};

/// The methods we understand inside and outside dialogs.
pub(crate) const ALLOW: &[u8] =
    b"INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, REFER, NOTIFY";

/// Whether a peer belongs to our trust domain (RFC 3325 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Its asserted identities are believed, and it may see private ones.
    Trusted,
    /// Neither.
    #[default]
    Untrusted,
}

/// Headers written anew on each leg.
const fn is_own(name: HeaderName) -> bool {
    use HeaderName as N;
    matches!(
        name,
        N::Via
            | N::From
            | N::To
            | N::CallId
            | N::CSeq
            | N::Contact
            | N::ContentLength
            | N::ContentType
            | N::MaxForwards
            | N::Route
            | N::RecordRoute
            | N::Path
            | N::ServiceRoute
            | N::Allow
            | N::Supported
            | N::Require
            | N::ProxyRequire
            | N::Unsupported
            | N::Authorization
            | N::ProxyAuthorization
            | N::WwwAuthenticate
            | N::ProxyAuthenticate
            | N::SessionExpires
            | N::MinSe
            | N::RSeq
            | N::RAck
            | N::Replaces
            | N::ReferTo
            | N::UserAgent
            | N::RetryAfter
            | N::FlowTimer
            | N::PPreferredIdentity
    )
}

/// Unknown to the table of names, and of one hop all the same.
const OWN_OTHERS: [&str; 4] = ["Server", "Timestamp", "Identity", "Max-Breadth"];

/// Copies what crosses from one leg's message to the other's.
pub(crate) fn carry(w: &mut Writer, message: &Message, from: Trust, to: Trust) {
    let hides_identity =
        from == Trust::Untrusted || (to == Trust::Untrusted && is_private(message));
    for field in message.fields() {
        if is_own(field.name) {
            continue;
        }
        let name = message.field_name(field);
        if field.name == HeaderName::Other
            && OWN_OTHERS
                .iter()
                .any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
        {
            continue;
        }
        if hides_identity && is_identity(field.name, name) {
            continue;
        }
        w.raw(name)
            .raw(b": ")
            .raw(message.field_value(field))
            .raw(b"\r\n");
    }
}

/// Headers that say who somebody is: the standard's and its widespread forerunner.
fn is_identity(known: HeaderName, name: &[u8]) -> bool {
    known == HeaderName::PAssertedIdentity
        || (known == HeaderName::Other && name.eq_ignore_ascii_case(b"Remote-Party-ID"))
}

/// Whether the sender of a message asks to hide its identity.
pub(crate) fn is_private(message: &Message) -> bool {
    message.values(HeaderName::Privacy).any(asks_privacy)
}

/// Whether a Privacy value asks to hide the identity (RFC 3323 §4.2, RFC 3325 §9.3).
fn asks_privacy(value: &[u8]) -> bool {
    value
        .split(|b| matches!(b, b';' | b','))
        .map(lex::trim)
        .any(|v| v.eq_ignore_ascii_case(b"id") || v.eq_ignore_ascii_case(b"user"))
}

/// Ends a message with the description, or with whatever other body the source has.
pub(crate) fn finish(mut w: Writer, source: &Message, sdp: Option<&[u8]>) -> bytes::Bytes {
    if let Some(sdp) = sdp {
        announce_candidates(&mut w, sdp);
        let kind = source.header(HeaderName::ContentType);
        return match kind.zip(source.multipart_with_sdp(sdp)) {
            Some((kind, body)) => w.finish_with(kind, &body),
            None => w.finish_with(b"application/sdp", sdp),
        };
    }
    if source.body().is_empty() || source.sdp().is_some() {
        return w.finish();
    }
    match source.header(HeaderName::ContentType) {
        Some(kind) => w.finish_with(kind, source.body()),
        None => {
            w.header_number("Content-Length", source.body().len() as u32);
            w.finish_raw(source.body())
        }
    }
}

/// Says that candidates may come by INFO, if a description of ours says that they may come
/// (RFC 8840 §10).
pub(crate) fn announce_candidates(w: &mut Writer, sdp: &[u8]) {
    if memmem::find(sdp, b"a=ice-options:trickle").is_some() {
        w.header("Recv-Info", b"trickle-ice");
    }
}
