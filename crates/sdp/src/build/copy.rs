//! The offer of copies of media that others send: each medium as its author described it, less what
//! speaks of how it reaches us.

use super::{Session, header, line, print, text, write_format};
use crate::{Direction, Media};

/// A medium that is offered as a copy.
#[derive(Clone, Debug)]
pub struct Copied<'d> {
    /// What its author says of it.
    pub media: Media<'d>,
    /// The transport to offer.
    pub proto: &'d [u8],
    /// Which payload types are sent, best first, and what each means.
    pub formats: Vec<crate::Codec<'d>>,
    /// Whether the author's keys are offered with it: then packets stay as they come.
    pub keys: Keys,
}

/// Whose keys a copy is offered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Its author's.
    Authors,
    /// None.
    None,
}

/// An offer of copies, `a=sendonly` each. Ports are that of discard: whoever sends them puts in its
/// own.
#[must_use]
pub fn copy_offer(session: Session, media: &[Copied<'_>]) -> Vec<u8> {
    let mut out = header(session, session.address);
    for copied in media {
        write_copied(&mut out, copied);
    }
    out
}

/// The answer to whoever publishes: all that it offers is taken and nothing is sent
/// (RFC 3264 §6.1). Its ports and keys are for others to write.
#[must_use]
pub fn receiving(direction: Direction) -> Direction {
    match direction.sends() {
        true => Direction::RecvOnly,
        false => Direction::Inactive,
    }
}

fn write_copied(out: &mut Vec<u8>, copied: &Copied<'_>) {
    text(out, b"m=");
    text(out, copied.media.kind_name());
    print(out, format_args!(" {DISCARD_PORT} "));
    text(out, copied.proto);
    for format in &copied.formats {
        print(out, format_args!(" {}", format.payload_type));
    }
    text(out, b"\r\n");
    for format in &copied.formats {
        write_format(out, format);
    }
    for name in KEPT {
        for value in copied.media.attributes(name) {
            attribute(out, name, value);
        }
    }
    if copied.keys == Keys::Authors {
        for value in copied.media.attributes("crypto") {
            attribute(out, "crypto", value);
        }
    }
    line(out, format_args!("a={}", Direction::SendOnly.name()));
}

fn attribute(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    print(out, format_args!("a={name}:"));
    text(out, value);
    text(out, b"\r\n");
}

/// Attributes that speak of the media itself.
const KEPT: [&str; 2] = ["ptime", "extmap"];
/// RFC 863.
const DISCARD_PORT: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Description;

    #[test]
    fn a_copy_is_offered_with_the_formats_that_are_sent_and_nothing_of_the_way_to_us() {
        let described = Description::parse(
            b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
            m=audio 4000 RTP/SAVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\na=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\n\
            a=ptime:30\r\na=sendrecv\r\n",
        )
        .expect("a description");
        let media = described.medium(0).expect("a medium");
        let copied = |keys| Copied {
            media,
            proto: b"RTP/AVP",
            formats: media.codecs().collect(),
            keys,
        };
        let session = Session {
            id: 7,
            version: 1,
            address: [192, 0, 2, 1].into(),
        };
        let offer = String::from_utf8(copy_offer(session, &[copied(Keys::None)])).expect("text");
        let medium = offer.split_once("m=").expect("a medium").1;
        assert_eq!(
            medium,
            "audio 9 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15\r\na=ptime:30\r\na=sendonly\r\n"
        );
        let keyed = String::from_utf8(copy_offer(session, &[copied(Keys::Authors)])).expect("text");
        assert!(keyed.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"));
    }
}
