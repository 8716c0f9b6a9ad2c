//! Via (RFC 3261 §20.42, RFC 3581).

use core::net::IpAddr;

use crate::Transport;
use crate::lex::{Params, is_lws, is_token, number, trim};
use crate::scan::find;
use crate::uri::{UriError, host_port, parse_ip};

/// Why a text is no Via value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViaError {
    /// The part before the host is not `SIP/version/transport`.
    #[error("Via begins with SIP, a version and a transport")]
    Protocol,
    /// The sent-by part is malformed.
    #[error(transparent)]
    SentBy(#[from] UriError),
}

/// One Via value over borrowed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport, `None` for one we do not speak.
    pub transport: Option<Transport>,
    /// The host of sent-by, brackets of IPv6 kept.
    pub host: &'a [u8],
    /// The port of sent-by.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Takes one value apart; white space may stand around the slashes and the colon. The
    /// version may be any, for the sake of the 505.
    ///
    /// # Errors
    /// [`ViaError`] names the part that does not fit.
    pub fn parse(raw: &'a [u8]) -> Result<Self, ViaError> {
        let raw = trim(raw);
        if let Some((b"SIP/2.0/", rest)) = raw.split_at_checked(8)
            && !rest.first().is_some_and(|b| is_lws(*b))
        {
            return Self::behind_version(rest);
        }
        let slash1 = find(raw, b'/').ok_or(ViaError::Protocol)?;
        let rest = &raw[slash1 + 1..];
        let slash2 = find(rest, b'/').ok_or(ViaError::Protocol)?;
        let name_fits = trim(&raw[..slash1]).eq_ignore_ascii_case(b"SIP");
        let version = trim(&rest[..slash2]);
        if !name_fits || version.is_empty() || !version.iter().all(|b| is_token(*b)) {
            return Err(ViaError::Protocol);
        }
        Self::behind_version(trim(&rest[slash2 + 1..]))
    }

    fn behind_version(rest: &'a [u8]) -> Result<Self, ViaError> {
        let end = rest
            .iter()
            .position(|b| is_lws(*b))
            .ok_or(ViaError::Protocol)?;
        let transport = Transport::from_name(&rest[..end]);
        let rest = trim(&rest[end..]);
        let semi = find(rest, b';').unwrap_or(rest.len());
        let sent_by = trim(&rest[..semi]);
        let (host, port) = match host_port(sent_by) {
            Ok(sent_by) => sent_by,
            Err(error) => match spaced_port(sent_by) {
                Some((host, port)) => (host_port(host)?.0, Some(port)),
                None => return Err(error.into()),
            },
        };
        Ok(Self {
            transport,
            host,
            port,
            params: Params(&rest[semi..]),
        })
    }

    /// The branch.
    #[must_use]
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.value("branch").filter(|b| !b.is_empty())
    }

    /// The address the receiver saw.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        self.params.value("received").and_then(parse_ip)
    }

    /// The port the receiver saw.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.params.value("rport").and_then(number)
    }
}

/// `host : port` with white space around the colon.
fn spaced_port(sent_by: &[u8]) -> Option<(&[u8], u16)> {
    let colon = memchr::memrchr(b':', sent_by)?;
    let host = trim(&sent_by[..colon]);
    let spaced = host.len() != colon || sent_by.get(colon + 1).is_some_and(|b| is_lws(*b));
    if !spaced {
        return None;
    }
    number(&sent_by[colon + 1..]).map(|port| (host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_folds_are_allowed_everywhere() {
        let v = Via::parse(b"SIP  / 2.0\r\n / UDP     first.example.com: 4000;ttl=16\r\n ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1").unwrap();
        assert_eq!(v.transport, Some(Transport::Udp));
        assert_eq!((v.host, v.port), (&b"first.example.com"[..], Some(4000)));
        assert_eq!(v.branch(), Some(&b"z9hG4bKa7c6a8dlze.1"[..]));
    }

    #[test]
    fn addresses_and_flags_are_read() {
        let v = Via::parse(b"SIP/2.0/TLS [2001:db8::9:1]:5061;rport;received=192.0.2.1;branch=z")
            .unwrap();
        assert_eq!(v.host, b"[2001:db8::9:1]");
        assert_eq!(v.rport(), None);
        assert!(v.params.has("rport"));
        assert_eq!(v.received(), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(
            Via::parse(b"SIP/2.0/SCTP a;branch=b").unwrap().transport,
            None
        );
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for bad in [
            &b""[..],
            b"SIP/2.0",
            b"SIP/2.0/UDP",
            b"SIP//UDP a",
            b"X/2.0/UDP a",
            b"SIP/2.0/UDP a:b",
        ] {
            assert!(Via::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
