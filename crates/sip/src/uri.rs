//! URIs: SIP and SIPS taken apart, others kept whole (RFC 3261 §19.1, RFC 3966).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use crate::Transport;
use crate::lex::{Params, is_host, number};
use crate::scan::{find, find_either};

/// A URI scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Any other; such a URI is kept whole.
    Other,
}

/// Why a text is no URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// It has no scheme, or one with characters RFC 3986 §3.1 does not allow.
    #[error("a URI begins with a scheme and a colon")]
    Scheme,
    /// Its host is empty or has characters no host has.
    #[error("the host part is missing or malformed")]
    Host,
    /// Its port is no number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A space, control character or angle bracket stands inside.
    #[error("white space, control characters and angle brackets must be escaped")]
    Character,
}

/// A URI over borrowed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The whole text.
    pub raw: &'a [u8],
    /// Its scheme.
    pub scheme: Scheme,
    /// The user part, escapes kept, without password; of `tel:` the number.
    pub user: Option<&'a [u8]>,
    /// The password, which nobody should send.
    pub password: Option<&'a [u8]>,
    /// The host, brackets of IPv6 kept; empty for `tel:` and others.
    pub host: &'a [u8],
    /// The port.
    pub port: Option<u16>,
    /// The parameters, from the first semicolon.
    pub params: Params<'a>,
    /// The headers, behind the question mark.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Takes a URI apart.
    ///
    /// # Errors
    /// [`UriError`] names the part that does not fit.
    pub fn parse(raw: &'a [u8]) -> Result<Self, UriError> {
        // Without an early end, which would cost more than it saves.
        let foreign = raw.iter().fold(0, |sum, b| sum | FOREIGN[usize::from(*b)]);
        if foreign != 0 {
            return Err(UriError::Character);
        }
        if let Some((b"sip:", rest)) = raw.split_at_checked(4) {
            return Self::parse_sip(raw, Scheme::Sip, rest);
        }
        let colon = find(raw, b':').ok_or(UriError::Scheme)?;
        let (scheme, rest) = (&raw[..colon], &raw[colon + 1..]);
        let first_is_letter = scheme.first().is_some_and(u8::is_ascii_alphabetic);
        let tail_fits = scheme
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !first_is_letter || !tail_fits {
            return Err(UriError::Scheme);
        }
        if scheme.eq_ignore_ascii_case(b"sip") {
            Self::parse_sip(raw, Scheme::Sip, rest)
        } else if scheme.eq_ignore_ascii_case(b"sips") {
            Self::parse_sip(raw, Scheme::Sips, rest)
        } else if scheme.eq_ignore_ascii_case(b"tel") {
            let (user, params) = split_at(rest, b';');
            Ok(Self {
                user: Some(user),
                params: Params(params),
                ..Self::whole(raw, Scheme::Tel)
            })
        } else {
            Ok(Self::whole(raw, Scheme::Other))
        }
    }

    const fn whole(raw: &'a [u8], scheme: Scheme) -> Self {
        Self {
            raw,
            scheme,
            user: None,
            password: None,
            host: b"",
            port: None,
            params: Params(b""),
            headers: b"",
        }
    }

    fn parse_sip(raw: &'a [u8], scheme: Scheme, rest: &'a [u8]) -> Result<Self, UriError> {
        // The user part may hold ; and ? but no bare @, so the last @ before the host's
        // parameters is also the first one (RFC 3261 §25.1).
        let (userinfo, hostpart) = match find(rest, b'@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let (user, password) = match userinfo {
            Some(info) => match find(info, b':') {
                Some(at) => (Some(&info[..at]), Some(&info[at + 1..])),
                None => (Some(info), None),
            },
            None => (None, None),
        };
        let end = find_either(hostpart, b';', b'?').unwrap_or(hostpart.len());
        let (hostport, tail) = hostpart.split_at(end);
        let (params, headers) = match tail {
            [] | [b'?', ..] => (&tail[..0], tail),
            _ => split_at(tail, b'?'),
        };
        let headers = headers.get(1..).unwrap_or(b"");
        let (host, port) = host_port(hostport)?;
        Ok(Self {
            raw,
            scheme,
            user,
            password,
            host,
            port,
            params: Params(params),
            headers,
        })
    }

    /// The host as an address, if it is one.
    #[must_use]
    pub fn host_ip(&self) -> Option<IpAddr> {
        parse_ip(self.host)
    }

    /// The `transport` parameter, if known to us.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        self.params
            .value("transport")
            .and_then(Transport::from_name)
    }

    /// The user part with `%` escapes resolved; broken escapes are kept as they are.
    #[must_use]
    pub fn user_unescaped(&self) -> Vec<u8> {
        self.user.map(unescape).unwrap_or_default()
    }

    /// The same without an allocation where nothing is escaped, as in most.
    #[must_use]
    pub fn user_decoded(&self) -> Cow<'a, [u8]> {
        match self.user {
            Some(user) if find(user, b'%').is_some() => Cow::Owned(unescape(user)),
            user => Cow::Borrowed(user.unwrap_or_default()),
        }
    }

    /// Whether two URIs name the same resource (RFC 3261 §19.1.4).
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        if self.raw == other.raw {
            return true;
        }
        if self.scheme != other.scheme || self.scheme == Scheme::Other {
            return false;
        }
        let same_user = match (self.user, other.user) {
            (None, None) => true,
            (Some(a), Some(b)) => unescape(a) == unescape(b),
            _ => false,
        };
        same_user
            && self.password == other.password
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port
            && params_agree(self.params, other.params)
            && headers_agree(self.headers, other.headers)
    }
}

/// 1 for each byte that no URI has.
const FOREIGN: [u8; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < table.len() {
        let is_foreign = b <= b' ' as usize || matches!(b as u8, 0x7f | b'<' | b'>' | b'"');
        table[b] = is_foreign as u8;
        b += 1;
    }
    table
};

/// Host and port of `host[:port]`, brackets of IPv6 kept.
///
/// # Errors
/// [`UriError::Host`] or [`UriError::Port`].
pub fn host_port(s: &[u8]) -> Result<(&[u8], Option<u16>), UriError> {
    let end = if s.first() == Some(&b'[') {
        let close = find(s, b']').ok_or(UriError::Host)?;
        let inner = core::str::from_utf8(&s[1..close]).map_err(|_| UriError::Host)?;
        inner.parse::<Ipv6Addr>().map_err(|_| UriError::Host)?;
        close + 1
    } else {
        let end = s.iter().position(|b| !is_host(*b)).unwrap_or(s.len());
        if end == 0 || s.get(end).is_some_and(|b| *b != b':') {
            return Err(UriError::Host);
        }
        end
    };
    match &s[end..] {
        [] => Ok((&s[..end], None)),
        [b':', port @ ..] => match number::<u16>(port) {
            Some(0) | None => Err(UriError::Port),
            port => Ok((&s[..end], port)),
        },
        _ => Err(UriError::Host),
    }
}

/// An IP address as written in a URI or Via, with or without brackets.
#[must_use]
pub fn parse_ip(host: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(host).ok()?;
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    match inner {
        Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text
            .parse::<Ipv4Addr>()
            .ok()
            .map(IpAddr::V4)
            .or_else(|| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)),
    }
}

/// A user part with what may not stand in one escaped (RFC 3261 §25.1).
#[must_use]
pub fn escape_user(user: &str) -> Cow<'_, str> {
    use core::fmt::Write as _;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
    if user.bytes().all(is_plain) {
        return Cow::Borrowed(user);
    }
    let mut out = String::with_capacity(3 * user.len());
    for byte in user.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}

/// `%` escapes resolved; broken ones are kept.
#[must_use]
pub fn unescape(s: &[u8]) -> Vec<u8> {
    if find(s, b'%').is_none() {
        return s.to_vec();
    }
    let mut out = Vec::with_capacity(s.len());
    let mut at = 0;
    while at < s.len() {
        let hex = |i: usize| s.get(i).and_then(|b| (*b as char).to_digit(16));
        match (s[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(h), Some(l)) => {
                out.push((h * 16 + l) as u8);
                at += 3;
            }
            (b, ..) => {
                out.push(b);
                at += 1;
            }
        }
    }
    out
}

fn split_at(s: &[u8], sep: u8) -> (&[u8], &[u8]) {
    s.split_at(find(s, sep).unwrap_or(s.len()))
}

/// Parameters that must agree if either side has them (RFC 3261 §19.1.4).
const DECISIVE: [&str; 4] = ["user", "ttl", "method", "maddr"];

/// The most parameters that are compared one by one, which takes the square of their number; URIs
/// with more are equivalent only if they are equal.
const COMPARED_PARAMS_MAX: usize = 32;

fn params_agree(a: Params<'_>, b: Params<'_>) -> bool {
    if a.iter().count().max(b.iter().count()) > COMPARED_PARAMS_MAX {
        return false;
    }
    // Both ways, because a parameter may stand twice on one side.
    shared_agree(a, b)
        && shared_agree(b, a)
        && DECISIVE
            .iter()
            .chain(&["transport"])
            .all(|name| a.has(name) == b.has(name))
}

/// Whether each parameter of `a` that `b` has too has the same value there.
fn shared_agree(a: Params<'_>, b: Params<'_>) -> bool {
    let same = |x: Option<&[u8]>, y: Option<&[u8]>| match (x, y) {
        (Some(x), Some(y)) => unescape(x).eq_ignore_ascii_case(&unescape(y)),
        (None, None) => true,
        _ => false,
    };
    a.iter().all(|(name, value)| {
        b.iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .is_none_or(|(_, other)| same(value, other))
    })
}

fn headers_agree(a: &[u8], b: &[u8]) -> bool {
    let sorted = |s: &[u8]| {
        let mut all: Vec<Vec<u8>> = s
            .split(|c| *c == b'&')
            .filter(|h| !h.is_empty())
            .map(|h| unescape(h).to_ascii_lowercase())
            .collect();
        all.sort();
        all
    };
    sorted(a) == sorted(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(s: &str) -> Uri<'_> {
        Uri::parse(s.as_bytes()).unwrap()
    }

    #[test]
    fn a_sip_uri_is_taken_apart() {
        let u = uri("sips:al%69ce:pw@[2001:db8::1]:5071;transport=TCP;lr?Subject=a&Priority=b");
        assert_eq!(u.scheme, Scheme::Sips);
        assert_eq!(u.user_unescaped(), b"alice");
        assert_eq!(u.password, Some(&b"pw"[..]));
        assert_eq!(u.host_ip(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(u.port, Some(5071));
        assert_eq!(u.transport(), Some(Transport::Tcp));
        assert!(u.params.has("lr"));
        assert_eq!(u.headers, b"Subject=a&Priority=b");
    }

    #[test]
    fn semicolons_and_question_marks_may_stand_in_the_user_part() {
        let u = uri("sip:user;par=u%40example.net@example.com");
        assert_eq!(u.user, Some(&b"user;par=u%40example.net"[..]));
        assert_eq!(u.host, b"example.com");
        let u = uri(
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
        );
        assert_eq!(u.host, b"example.com");
    }

    #[test]
    fn tel_and_unknown_schemes_are_kept() {
        assert_eq!(
            uri("tel:+1-201-555-0123;phone-context=x").user,
            Some(&b"+1-201-555-0123"[..])
        );
        assert_eq!(uri("soap.beep://192.0.2.103:3002").scheme, Scheme::Other);
    }

    #[test]
    fn malformed_uris_name_the_part() {
        for (text, error) in [
            ("nocolon", UriError::Scheme),
            ("1sip:a@b", UriError::Scheme),
            ("sip:a@", UriError::Host),
            ("sip:a@b:0", UriError::Port),
            ("sip:a@b:99999", UriError::Port),
            ("sip:a@[::1", UriError::Host),
            ("sip:a b@c", UriError::Character),
            ("sip:a@b<c", UriError::Character),
        ] {
            assert_eq!(Uri::parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    /// The examples of RFC 3261 §19.1.4.
    #[test]
    fn equivalence_follows_the_examples_of_the_rfc() {
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;newparam=5",
            ),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(uri(a).is_equivalent(&uri(b)), "{a} {b}");
        }
        for (a, b) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:bob@biloxi.com",
                "sip:bob@biloxi.com:6000;transport=tcp",
            ),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=off",
                "sip:carol@chicago.com;security=on",
            ),
        ] {
            assert!(!uri(a).is_equivalent(&uri(b)), "{a} {b}");
        }
    }

    #[test]
    fn equivalence_goes_both_ways_whatever_the_parameters() {
        for (a, b) in [
            (&b"sip:a@b;x=1;x=2"[..], &b"sip:a@b;x=1"[..]),
            (b"sip:a@b;=1", b"sip:a@b;\xff\xff"),
        ] {
            let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
            assert_eq!(a.is_equivalent(&b), b.is_equivalent(&a));
        }
        let long = format!("sip:a@b{}", ";x=1".repeat(COMPARED_PARAMS_MAX + 1));
        assert!(uri(&long).is_equivalent(&uri(&long)));
        assert!(!uri(&long).is_equivalent(&uri("sip:a@b")));
    }

    #[test]
    fn a_user_part_cannot_break_out_of_its_uri() {
        assert_eq!(escape_user("alice"), "alice");
        assert_eq!(escape_user("+44 20>;x@y\r\n"), "+44%2020%3E;x%40y%0D%0A");
    }
}
