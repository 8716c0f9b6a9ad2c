//! Candidates that come after the description: the fragments of trickle ICE (RFC 8840 §9).

use crate::SdpError;
use crate::ice::Candidate;
use crate::line;

/// One fragment: candidates by medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The user name fragment of the agent of all media that name none of their own.
    pub ufrag: Option<&'a [u8]>,
    /// Of media, in the order of their lines.
    pub media: Vec<Trickled<'a>>,
}

/// Candidates of one medium.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trickled<'a> {
    /// What the medium is named by; `None` for the first one.
    pub mid: Option<&'a [u8]>,
    /// The user name fragment of its agent, if it is named beside it: media that share no transport
    /// have one each. Candidates of another belong to another description.
    pub ufrag: Option<&'a [u8]>,
    /// Those that can be sent to.
    pub candidates: Vec<Candidate>,
}

impl<'a> Fragment<'a> {
    /// Reads a body of type `application/trickle-ice-sdpfrag`.
    ///
    /// # Errors
    /// If it is longer than a description may be.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SdpError> {
        if bytes.len() > crate::MAX_BYTES {
            return Err(SdpError::TooLong);
        }
        let mut fragment = Self {
            ufrag: None,
            media: vec![Trickled::default()],
        };
        for line in line::index(bytes)? {
            if line.value(bytes, b'm').is_some() && fragment.media.len() < MEDIA_MAX {
                fragment.media.push(Trickled::default());
            } else if let Some(ufrag) = line.attribute(bytes, b"ice-ufrag") {
                let named = Some(ufrag.trim_ascii());
                match &mut fragment.media[..] {
                    [_, .., medium] => medium.ufrag = named,
                    // Before the first line of media.
                    _ => fragment.ufrag = named,
                }
            } else if let Some(medium) = fragment.media.last_mut() {
                if let Some(mid) = line.attribute(bytes, b"mid") {
                    medium.mid = Some(mid.trim_ascii());
                } else if let Some(candidate) = line.attribute(bytes, b"candidate") {
                    medium.candidates.extend(Candidate::parse(candidate));
                }
            }
        }
        fragment
            .media
            .retain(|medium| !medium.candidates.is_empty());
        Ok(fragment)
    }
}

/// Media of one fragment; candidates of further ones count as those of the last.
const MEDIA_MAX: usize = crate::MAX_MEDIA;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_example_of_the_standard() {
        let body = b"a=ice-pwd:asd88fgpdd777uzjYhagZg\r\n\
            a=ice-ufrag:8hhY\r\n\
            m=audio 9 RTP/AVP 0\r\n\
            a=mid:1\r\n\
            a=candidate:1 1 UDP 1658497328 2001:db8:a0b:12f0::3 5000 typ host\r\n\
            a=candidate:2 1 UDP 1658497328 192.0.2.4 5000 typ host\r\n\
            m=audio 9 RTP/AVP 0\r\n\
            a=mid:2\r\n\
            a=candidate:1 1 UDP 1658497328 name.local 5002 typ host\r\n\
            a=end-of-candidates\r\n";
        let fragment = Fragment::parse(body).expect("a fragment");
        assert_eq!(fragment.ufrag, Some(&b"8hhY"[..]));
        assert_eq!(fragment.media.len(), 1, "a name is no address");
        assert_eq!(fragment.media[0].mid, Some(&b"1"[..]));
        let candidates = &fragment.media[0].candidates;
        assert_eq!(
            candidates[1].address,
            "192.0.2.4:5000".parse().expect("an address")
        );
    }

    #[test]
    fn media_that_share_no_transport_have_agents_of_their_own() {
        let body = b"a=ice-ufrag:all\r\n\
            m=audio 9 RTP/AVP 0\r\na=mid:1\r\na=ice-ufrag:one\r\n\
            a=candidate:1 1 UDP 1 192.0.2.4 5000 typ host\r\n\
            m=video 9 RTP/AVP 96\r\na=mid:2\r\na=ice-ufrag:two\r\n\
            a=candidate:1 1 UDP 1 192.0.2.4 5002 typ host\r\n\
            m=video 9 RTP/AVP 96\r\na=mid:3\r\n\
            a=candidate:1 1 UDP 1 192.0.2.4 5004 typ host\r\n";
        let fragment = Fragment::parse(body).expect("a fragment");
        let named: Vec<_> = fragment.media.iter().map(|medium| medium.ufrag).collect();
        assert_eq!(named, [Some(&b"one"[..]), Some(b"two"), None]);
        assert_eq!(fragment.ufrag, Some(&b"all"[..]));
    }

    #[test]
    fn what_is_none_has_no_candidates_and_too_much_is_refused() {
        for bytes in [&b""[..], b"\r\n", b"a=candidate", b"v=0\r\nnonsense\xff"] {
            assert_eq!(Fragment::parse(bytes).expect("read").media, []);
        }
        let many = vec![b'a'; crate::MAX_BYTES + 1];
        assert!(Fragment::parse(&many).is_err());
    }
}
