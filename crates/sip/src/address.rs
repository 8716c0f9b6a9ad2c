//! The `name-addr` and `addr-spec` forms of From, To, Contact, Route and their like.

use crate::lex::{Params, find_bare, trim, unquote};
use crate::scan::find;
use crate::uri::{Uri, UriError};

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// An angle bracket or quote is not closed, or something stands where nothing may.
    #[error("a quote or angle bracket is not closed, or text stands outside them")]
    Form,
    /// The URI is malformed.
    #[error(transparent)]
    Uri(#[from] UriError),
}

/// A display name, a URI and header parameters, over borrowed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name without quotes, escapes kept; empty if there is none.
    pub display: &'a [u8],
    /// The URI as written.
    pub uri: &'a [u8],
    /// The parameters of the header, not of the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Takes one address apart. Without angle brackets, what follows a semicolon belongs to the
    /// header and not to the URI (RFC 3261 §20.10).
    ///
    /// # Errors
    /// [`AddressError::Form`] if brackets or quotes do not close. The URI itself is not judged
    /// here; see [`NameAddr::parsed_uri`].
    pub fn parse(raw: &'a [u8]) -> Result<Self, AddressError> {
        let raw = trim(raw);
        if let Some(open) = find_open(raw)? {
            let inner = &raw[open + 1..];
            let close = find(inner, b'>').ok_or(AddressError::Form)?;
            let display = trim(&raw[..open]);
            let tail = trim(&inner[close + 1..]);
            if !tail.is_empty() && tail[0] != b';' {
                return Err(AddressError::Form);
            }
            if display.first() == Some(&b'"')
                && (display.len() < 2 || display.last() != Some(&b'"'))
            {
                return Err(AddressError::Form);
            }
            Ok(Self {
                display: unquote(display),
                uri: trim(&inner[..close]),
                params: Params(tail),
            })
        } else {
            let end = find(raw, b';').unwrap_or(raw.len());
            let uri = trim(&raw[..end]);
            // A question mark needs brackets around it (RFC 3261 §20).
            if uri.is_empty() || uri.iter().any(|b| matches!(b, b'"' | b'>' | b'?')) {
                return Err(AddressError::Form);
            }
            Ok(Self {
                display: b"",
                uri,
                params: Params(&raw[end..]),
            })
        }
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value("tag").filter(|t| !t.is_empty())
    }

    /// The URI, taken apart.
    ///
    /// # Errors
    /// As [`Uri::parse`].
    pub fn parsed_uri(&self) -> Result<Uri<'a>, UriError> {
        Uri::parse(self.uri)
    }
}

fn find_open(raw: &[u8]) -> Result<Option<usize>, AddressError> {
    if raw.first() == Some(&b'"') {
        return find_bare(raw, b'<').map(Some).ok_or(AddressError::Form);
    }
    Ok(find(raw, b'<'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read() {
        let a =
            NameAddr::parse(br#" "A. G. \"Bell\" <x>" <sip:bell@a.com;lr> ; tag = 7 "#).unwrap();
        assert_eq!(a.display, br#"A. G. \"Bell\" <x>"#);
        assert_eq!(a.uri, b"sip:bell@a.com;lr");
        assert_eq!(a.tag(), Some(&b"7"[..]));
        let a = NameAddr::parse(b"caller<sip:caller@example.com>;tag=323").unwrap();
        assert_eq!(
            (a.display, a.uri),
            (&b"caller"[..], &b"sip:caller@example.com"[..])
        );
        let a = NameAddr::parse(b"sip:c8oqz84zk7z@privacy.org;tag=hyh8").unwrap();
        assert_eq!(a.uri, b"sip:c8oqz84zk7z@privacy.org");
        assert_eq!(a.tag(), Some(&b"hyh8"[..]));
    }

    #[test]
    fn what_does_not_close_is_refused() {
        for bad in [
            &b"<sip:a@b"[..],
            b"\"a <sip:a@b>",
            b"\"a\"",
            b"",
            b"<sip:a@b> x",
            b"sip:a@b>",
        ] {
            assert!(
                NameAddr::parse(bad).is_err(),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
    }
}
