//! From a REGISTER to a [`Request`].

use sip::lex::{number, unquote};
use sip::{Flow, HeaderName, Message, NameAddr};
use smallvec::SmallVec;

use crate::RegisterError;
use crate::binding::Q_MAX;
use crate::policy;
use crate::request::{Contacts, Hops, NewContact, Replies, Request, Supported};

/// Reads a REGISTER that came by `flow` and whose sender may register `aor`. `contacts_max` is
/// the user's own number of contacts, 0 for the platform's.
///
/// # Errors
/// A header that matters is malformed, or there is too much of it.
pub fn from_message<'a>(
    message: &'a Message,
    flow: Flow,
    aor: &'a str,
    contacts_max: u16,
) -> Result<Request<'a>, RegisterError> {
    let rport = message.via().is_ok_and(|via| via.params.has("rport"));
    let hops = message.values(HeaderName::Via).take(2).count();
    Ok(Request {
        aor,
        contacts_max,
        flow,
        replies: if rport {
            Replies::ToSource
        } else {
            Replies::ToNamedPort
        },
        hops: if hops > 1 {
            Hops::Proxied
        } else {
            Hops::Direct
        },
        call_id: message.call_id().ok_or(RegisterError::Sequence)?,
        cseq: message.cseq().ok_or(RegisterError::Sequence)?.number,
        contacts: contacts(message)?,
        expires_s: message.header(HeaderName::Expires).and_then(seconds),
        path: path(message)?,
        user_agent: message.header(HeaderName::UserAgent).unwrap_or_default(),
        supported: Supported {
            path: message.lists(HeaderName::Supported, "path"),
            gruu: message.lists(HeaderName::Supported, "gruu"),
            outbound: message.lists(HeaderName::Supported, "outbound"),
        },
    })
}

fn contacts(message: &Message) -> Result<Contacts<'_>, RegisterError> {
    let mut list = SmallVec::new();
    let mut stars = 0;
    for value in message.values(HeaderName::Contact) {
        if list.len() + stars > policy::CONTACTS_PER_REQUEST_MAX {
            return Err(RegisterError::TooManyContacts);
        }
        if value == b"*" {
            stars += 1;
        } else {
            list.push(contact(value)?);
        }
    }
    Ok(match (stars, list.len()) {
        (0, _) => Contacts::List(list),
        (1, 0) => Contacts::All,
        _ => Contacts::AllAndMore,
    })
}

fn contact(value: &[u8]) -> Result<NewContact<'_>, RegisterError> {
    let address = NameAddr::parse(value).map_err(|_| RegisterError::Contact)?;
    let mut contact = NewContact {
        uri: address.uri,
        expires_s: None,
        q_milli: Q_MAX,
        instance: b"",
        reg_id: 0,
    };
    for (name, value) in address.params.iter() {
        let Some(value) = value else { continue };
        if name.eq_ignore_ascii_case(b"expires") {
            contact.expires_s = seconds(value);
        } else if name.eq_ignore_ascii_case(b"q") {
            contact.q_milli = q_milli(value).unwrap_or(Q_MAX);
        } else if name.eq_ignore_ascii_case(b"+sip.instance") {
            contact.instance = instance(value);
        } else if name.eq_ignore_ascii_case(b"reg-id") {
            contact.reg_id = number(value).unwrap_or(0);
        }
    }
    Ok(contact)
}

fn path(message: &Message) -> Result<SmallVec<[&[u8]; 2]>, RegisterError> {
    let mut path = SmallVec::new();
    let mut len = 0;
    for value in message.values(HeaderName::Path) {
        len += value.len();
        let is_address = NameAddr::parse(value).is_ok_and(|address| address.parsed_uri().is_ok());
        if !is_address || len > policy::PATH_MAX {
            return Err(RegisterError::Path);
        }
        path.push(value);
    }
    Ok(path)
}

/// Delta-seconds. What is too large for us is as long as it gets (RFC 3261 §20.19 ends at
/// 2^32 - 1); what is no number is as if it were not there.
fn seconds(value: &[u8]) -> Option<u32> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| number(value).unwrap_or(u32::MAX))
}

/// Thousandths of `0[.ddd]` or `1[.000]` (RFC 3261 §25.1, qvalue).
fn q_milli(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&value[..dot], &value[dot + 1..]),
        None => (value, &b""[..]),
    };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let fraction = (0..3).fold(0, |sum, at| {
        sum * 10 + decimals.get(at).map_or(0, |digit| u16::from(digit - b'0'))
    });
    match whole {
        b"" | b"0" if !(whole.is_empty() && decimals.is_empty()) => Some(fraction),
        b"1" if fraction == 0 => Some(Q_MAX),
        _ => None,
    }
}

/// Without its quotes and angle brackets.
fn instance(value: &[u8]) -> &[u8] {
    let inner = unquote(value);
    match inner {
        [b'<', inner @ .., b'>'] => inner,
        _ => inner,
    }
}
