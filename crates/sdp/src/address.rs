//! The lines `o=` (RFC 8866 §5.2) and `c=` (RFC 8866 §5.7).

use std::net::IpAddr;

use crate::SdpError;
use crate::line::{number, words};

/// Who made a description, and which edition it is (`o=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user name, `-` if there is none.
    pub username: &'a [u8],
    /// The session identifier as written; digits, of any length.
    pub session_id: &'a [u8],
    /// The version as written; digits, of any length.
    pub version: &'a [u8],
    /// The address or name of the machine, as written.
    pub address: &'a [u8],
}

impl<'a> Origin<'a> {
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = words(value);
        let origin = Self {
            username: words.next()?,
            session_id: words.next()?,
            version: words.next()?,
            address: words.nth(2)?,
        };
        Some(origin)
    }

    /// The version as a number; `None` if it has more than 64 bits or is no number.
    #[must_use]
    pub fn version_number(&self) -> Option<u64> {
        number(self.version)
    }
}

/// Where media is to be sent (`c=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The address or name.
    pub host: Host<'a>,
    /// Time to live of a multicast IPv4 address.
    pub ttl: Option<u8>,
    /// How many contiguous multicast addresses; 1 if not said.
    pub count: u16,
}

impl<'a> Connection<'a> {
    /// Reads `IN IP4 host[/ttl[/count]]` or `IN IP6 host[/count]`.
    pub(crate) fn parse(value: &'a [u8]) -> Result<Self, SdpError> {
        let mut words = words(value);
        let (Some(net), Some(family), Some(target)) = (words.next(), words.next(), words.next())
        else {
            return Err(SdpError::MalformedConnection);
        };
        let ip4 = family.eq_ignore_ascii_case(b"IP4");
        if !net.eq_ignore_ascii_case(b"IN") || !(ip4 || family.eq_ignore_ascii_case(b"IP6")) {
            return Err(SdpError::MalformedConnection);
        }
        let mut parts = target.split(|b| *b == b'/');
        let host = Host::parse(parts.next().unwrap_or_default());
        let ttl = if ip4 { parts.next() } else { None };
        let count = parts.next();
        let malformed = SdpError::MalformedConnection;
        if parts.next().is_some() {
            return Err(malformed);
        }
        Ok(Self {
            host: host.ok_or(malformed)?,
            ttl: ttl.map(|t| number(t).ok_or(malformed)).transpose()?,
            count: count.map_or(Some(1), number).ok_or(malformed)?,
        })
    }

    /// The address, if it is one that a packet can be sent to and that names one party.
    ///
    /// # Errors
    /// [`SdpError::Multicast`] and [`SdpError::HostName`]. The unspecified address passes: it
    /// says hold (RFC 3264 §8.4).
    pub fn unicast(&self) -> Result<IpAddr, SdpError> {
        match self.host {
            Host::Ip(ip) if ip.is_multicast() || self.ttl.is_some() || self.count != 1 => {
                Err(SdpError::Multicast)
            }
            Host::Ip(ip) => Ok(ip),
            Host::Name(_) => Err(SdpError::HostName),
        }
    }

    /// Whether it is `0.0.0.0` or `::`, the hold of RFC 2543.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        matches!(self.host, Host::Ip(ip) if ip.is_unspecified())
    }
}

/// An address or a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IPv4 or IPv6 address. The family written beside it is not held against it.
    Ip(IpAddr),
    /// Anything else.
    Name(&'a [u8]),
}

impl<'a> Host<'a> {
    fn parse(word: &'a [u8]) -> Option<Self> {
        if word.is_empty() {
            return None;
        }
        let ip = core::str::from_utf8(word).ok().and_then(|s| s.parse().ok());
        Some(ip.map_or(Self::Name(word), Self::Ip))
    }
}
